package proxy

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// answerError is an upstream's answer that is no HTTP, or that two readers
// could read differently.
type answerError struct{ cause error }

func (e *answerError) Error() string { return "the upstream's answer is malformed: " + e.cause.Error() }

func badAnswer(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) {
		return &answerError{f}
	}
	return err
}

// answerCut is an error in the middle of an answer.
func answerCut(err error) error {
	if errors.Is(err, errVisitorLeft) {
		return err
	}
	return errors.Join(errUnfinished, badAnswer(err))
}

// passInterim passes an interim answer on, but for what this proxy answers by
// itself.
func (x *exchange) passInterim() error {
	if x.request.minor == 0 || x.answer.status == 100 && !x.expects {
		return nil
	}
	if x.answer.status == 100 {
		x.expects = false
	}
	out := x.appendStatusLine(x.interim[:0])
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if x.answer.nominated(f) || f.id == nameContentLength {
			continue
		}
		out = x.appendAnswerField(out, f)
	}
	x.interim = append(out, "\r\n"...)
	return x.v.send(x.interim)
}

func (x *exchange) appendStatusLine(out []byte) []byte {
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(x.answer.status), 10)
	return append(append(append(out, ' '), x.answer.reason...), "\r\n"...)
}

// composeAnswer begins the head of an answer that is passed on: all but how it
// is framed.
func (x *exchange) composeAnswer() {
	out := x.appendStatusLine(x.out[:0])
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		switch f.id {
		case nameContentLength:
			continue
		case nameTrailer:
			if x.download.framing != chunked || x.request.minor == 0 {
				continue
			}
		case nameSurrogateControl, nameCDNCacheControl, nameSingleCache:
			if x.locksWorker() || x.holds {
				continue
			}
		case nameCacheControl:
			if x.locksWorker() || x.holds {
				out = appendPrivate(out, f)
				continue
			}
		}
		if !x.answer.nominated(f) {
			out = x.appendAnswerField(out, f)
		}
	}
	x.out = x.appendTiming(x.appendDate(x.appendWorkerLock(out)))
}

// appendDate says when an answer was made whose maker did not (RFC 9110,
// section 6.6.1).
func (x *exchange) appendDate(out []byte) []byte {
	if x.answer.get(nameDate) != nil {
		return out
	}
	out = append(out, "Date: "...)
	return append(fasthttp.AppendHTTPDate(out, x.begun), "\r\n"...)
}

// outFraming returns how the body is framed towards the visitor.
func (x *exchange) outFraming() framing {
	switch f := x.download.framing; {
	case f == noBody, f == sized:
		return f
	case x.request.minor == 1:
		return chunked
	}
	x.last = true
	return untilClose
}

// appendAnswerField appends a field of an answer, less what the visitor has not
// agreed to.
func (x *exchange) appendAnswerField(out []byte, f *field) []byte {
	if f.id == unnamed || !x.cfg.Rewrite {
		return appendField(out, f.name, f.value)
	}
	switch f.id {
	case nameSetCookie:
		if !x.passesCookie(f.value) {
			return out
		}
	case nameLink:
		return x.appendLinks(out, f)
	case nameRefresh:
		// One in quotes ends at the first of the kind, to Chromium at the last.
		url := refreshURL(f.value)
		until := bytes.IndexAny(url, `"'`)
		if !x.allowsURL(url, rules.Other) || until > 0 && !x.allowsURL(url[:until], rules.Other) {
			return out
		}
	case nameReportingEndpoints, nameReportTo:
		if !x.allowsQuoted(f.value) {
			return out
		}
	case nameNEL:
		// What NEL names is a group of Report-To: without that it says nothing,
		// but what the browser has from before would go on reporting.
		for i := range x.answer.fields {
			if g := &x.answer.fields[i]; g.id == nameReportTo && !x.allowsQuoted(g.value) {
				return out
			}
		}
	case nameCSP, nameCSPReportOnly:
		return x.appendUnreported(out, f)
	case nameSpeculationRules:
		if !x.allowsQuoted(f.value) {
			return out
		}
	case nameAttributionSource, nameAttributionTrigger, nameObserveTopics:
		if !x.shown.Granted.Has(consent.Marketing) {
			return out
		}
	}
	return appendField(out, f.name, f.value)
}

// allowsURL reports whether the browser may be sent to a URL that stands in a
// header field.
func (x *exchange) allowsURL(url []byte, k rules.Kind) bool {
	if len(url) == 0 {
		return true
	}
	page := x.rulesPage()
	d := x.site.engine.URL(page, url, k)
	allowed := d.Allowed(x.shown.Granted)
	fate := consent.Pass
	if !allowed {
		fate = consent.Strip
	}
	x.sight(page, d, k, fate)
	return allowed
}

// sight notes what a header field leads the browser to: what page was asked about last.
func (x *exchange) sight(page *rules.Page, d rules.Decision, k rules.Kind, fate consent.Fate) {
	if d.Party == rules.ThirdParty {
		host, path := page.Target()
		x.sighted = append(x.sighted, Sighting{Kind: k, Host: bytes.Clone(host), Path: bytes.Clone(path), Decision: d, Fate: fate})
	}
}

// allowsQuoted reports whether all URLs between double quotes in value are allowed:
// those of Reporting-Endpoints, Report-To and Speculation-Rules. To browsers a
// backslash in one is a slash, be it the value's escape or not.
func (x *exchange) allowsQuoted(value []byte) bool {
	for {
		_, rest, ok := bytes.Cut(value, []byte{'"'})
		if !ok {
			return true
		}
		end := 0
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		s := rest[:min(end, len(rest))]
		if bytes.ContainsAny(s, `/\`) && !x.allowsURL(s, rules.Ping) {
			return false
		}
		value = rest[min(end+1, len(rest)):]
	}
}

// refreshURL returns the URL of a Refresh value such as 5; url=/next.
func refreshURL(value []byte) []byte {
	// A blank alone parts the two as well (HTML, shared declarative refresh steps).
	url := bytes.TrimLeft(value, "0123456789.")
	if len(url) == len(value) {
		return nil
	}
	if url = trim(url); len(url) > 0 && (url[0] == ';' || url[0] == ',') {
		url = trim(url[1:])
	}
	if hasPrefixFold(url, "url") {
		if rest := trim(url[3:]); len(rest) > 0 && rest[0] == '=' {
			url = trim(rest[1:])
		}
	}
	return bytes.Trim(url, `"'`)
}

// appendLinks appends a Link field (RFC 8288) without the links over which the
// browser would contact somebody whom the visitor has not agreed to. Links that
// only say something, such as canonical and next, stay.
func (x *exchange) appendLinks(out []byte, f *field) []byte {
	start := len(out)
	out = append(append(out, f.name...), ": "...)
	empty := len(out)
	for rest := f.value; len(rest) > 0; {
		var link []byte
		link, rest = cutLink(rest)
		if !x.allowsLink(link) {
			continue
		}
		if len(out) > empty {
			out = append(out, ',')
		} else {
			link = trim(link)
		}
		out = append(out, link...)
	}
	if len(out) == empty {
		return out[:start]
	}
	return append(out, "\r\n"...)
}

// cutLink cuts the first link off a Link value: up to a comma that stands
// neither between angle brackets nor in a quoted string.
func cutLink(list []byte) (link, rest []byte) {
	quoted, angled := false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !angled:
			quoted = !quoted
		case quoted:
		case c == '<':
			angled = true
		case c == '>':
			angled = false
		case c == ',' && !angled:
			return list[:i], list[i+1:]
		}
	}
	return list, nil
}

// allowsLink reports whether a link leads the browser to nobody whom the visitor has
// not agreed to. In the quotes of a parameter backslashes may stand that say nothing,
// and beside the link's own address it may have those of imagesrcset.
func (x *exchange) allowsLink(link []byte) bool {
	open := bytes.IndexByte(link, '<')
	end := bytes.IndexByte(link, '>')
	if open < 0 || end < open {
		return true
	}
	url, parameters := trim(link[open+1:end]), link[end+1:]
	if bytes.IndexByte(parameters, '\\') >= 0 {
		parameters = bytes.ReplaceAll(parameters, []byte{'\\'}, nil)
	}
	if !acts(parameters) {
		return true
	}
	if containsFold(parameters, "imagesrcset") {
		for _, word := range bytes.FieldsFunc(parameters, func(c rune) bool { return c == ' ' || c == '\t' || c == '"' || c == ';' || c == ',' }) {
			if name, value, ok := bytes.Cut(word, []byte{'='}); ok && equalFold(name, "imagesrcset") {
				word = value
			}
			if bytes.IndexByte(word, '/') >= 0 && !x.allowsURL(word, rules.Hint) {
				return false
			}
		}
	}
	return x.allowsURL(url, rules.Hint)
}

// acts reports whether browsers act on a link with these parameters.
func acts(parameters []byte) bool {
	for _, relation := range [...]string{"preconnect", "dns-prefetch", "preload", "prefetch", "prerender", "stylesheet", "icon", "manifest", "dictionary"} {
		// A word of rel, wherever it stands: holding one link too many harms
		// less than passing one.
		if containsFold(parameters, relation) {
			return true
		}
	}
	return false
}

// fail answers a request that could not be served, or ends the connection if
// nobody waits for an answer.
func (x *exchange) fail(err error) {
	status, page := x.refuse(err)
	if status == 0 {
		x.v.broken = true
		return
	}
	x.begin(status).SetBodyRaw(page)
}

// failLate does the same in the middle of an answer of which nothing has left.
func (x *exchange) failLate(err error) {
	x.last = true
	status, page := x.refuse(err)
	if x.status = status; status != 0 {
		x.out = strconv.AppendInt(append(x.out, "Content-Length: "...), int64(len(page)), 10)
		x.v.send(x.out, crlf, closes, page)
	}
	x.v.broken = true
}

// refuse makes the answer to a request that could not be served: its head in
// x.out, and its page. The status is 0 if nobody waits for it.
func (x *exchange) refuse(err error) (int, []byte) {
	status, reason := 502, "upstream"
	var f *fault
	var bad *answerError
	switch {
	case errors.Is(err, errVisitorLeft):
		x.proxy.metrics.left.Add(1)
		return 0, nil
	case errors.As(err, &bad):
		reason = "upstream-answer"
	case errors.As(err, &f):
		status, reason = f.status, f.reason
	case errors.Is(err, errQueueFull):
		status, reason = 503, "queue"
	case errors.Is(err, errSilent), isTimeout(err):
		status, reason = 504, "upstream-timeout"
	}
	x.proxy.metrics.refuse(status, reason)
	if status >= 500 && status != 501 && status != 505 {
		x.proxy.log.Error("no answer from the upstream", "site", x.site.Name,
			"method", string(x.request.method), "path", string(x.path()), "status", status, "error", err)
	}
	if f != nil && f != faultNoSite && f != faultMethod || !x.upload.done() {
		x.last = true
	}
	x.answer.reset()
	x.refused, x.passes = true, false
	return status, x.composeRefusal(status)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// composeRefusal writes the head of an answer of our own, and returns a small
// page that says what happened.
func (x *exchange) composeRefusal(status int) []byte {
	text := fasthttp.StatusMessage(status)
	out := append(strconv.AppendInt(append(x.out[:0], "HTTP/1.1 "...), int64(status), 10), ' ')
	out = append(append(out, text...), "\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"...)
	switch status {
	case 503:
		out = append(out, "Retry-After: 1\r\n"...)
	case 405:
		out = append(out, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"...)
	}
	x.out = x.appendDate(out)
	return []byte("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + strconv.Itoa(status) + " " + text +
		"</title>\n<h1>" + text + "</h1>\n<p>" + explanation(status) + "</p>\n")
}

func explanation(status int) string {
	switch status {
	case 502:
		return "The site behind this address cannot be reached, or its answer could not be understood."
	case 503:
		return "The site is busy. Please try again in a moment."
	case 504:
		return "The site behind this address did not answer in time."
	case 421:
		return "No site of this name is served here."
	case 408:
		return "The request took too long to arrive."
	}
	return "The request could not be understood."
}
