package proxy

import (
	"bytes"
	"io"
	"slices"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// A worker whose script is a file of the site's own is guarded by what is put into that
// file, for who asks for it as a worker's (Sec-Fetch-Dest): the same file as a script of
// a page stays as it is. So are modules that a worker imports, which browsers ask for in
// the same way; they run before the one that imports them.
//
// What the guard is told of the page comes from Referer. A worker that is started by a
// worker, and a module that is imported, name that worker's script instead.

// asksForWorker reports whether the request is for the script of a worker.
func (x *exchange) asksForWorker() bool {
	return x.rewrites && x.dest == toWorker && (string(x.request.method) == "GET" || x.isHead())
}

// guardsWorker reports whether the request is for the script of a worker and something is
// held. Where nothing is, the page's guard guards no workers either; but shared workers
// outlive a withdrawal. Pages that are left alone have no guard at all.
func (x *exchange) guardsWorker() bool {
	if !x.asksForWorker() {
		return false
	}
	path, child := x.workersPage()
	if x.site.leaves(path) {
		return false
	}
	return child || string(x.request.get(nameSecFetchDest)) == "sharedworker" || x.standing.Granted&consent.All != consent.All ||
		slices.ContainsFunc(x.site.Overrides, func(o rules.Override) bool { return o.AlwaysHold })
}

// workersPage returns the path of the page that a worker is for, a slash where that is not
// known, and whether the page is for children. What may be for them is.
func (x *exchange) workersPage() (path []byte, child bool) {
	_, rest, _ := bytes.Cut(x.request.get(nameReferer), []byte("://"))
	path, own := bytes.CutPrefix(rest, x.address)
	path, _, _ = bytes.Cut(path, question)
	if own = own && len(path) > 0 && path[0] == '/' && pagePath(path); !own {
		path = []byte{'/'}
	}
	u := &x.site.UnderAge
	return path, x.standing.Child || u.Mark || len(u.Paths) > 0 && (!own || x.site.isForChildren(path))
}

// heedsReferer reports whether the answer depends on the page that a worker is for. Where
// nothing but the count of its calls does, a worker is not fetched anew for each page.
func (x *exchange) heedsReferer() bool {
	return x.dest == toWorker && (x.site.byPage || len(x.site.Leave) > 0)
}

// appendWorkerGuard appends what is put into a worker's script. It is one line, so that
// those of the script keep their numbers.
func (x *exchange) appendWorkerGuard(dst []byte, byPage bool) []byte {
	path, child := x.workersPage()
	if !byPage {
		path = path[:1]
	}
	return x.site.banner.AppendWorker(append(dst, ';'), string(path), child)
}

// isWorker reports whether the answer is the script of a worker, or speaks of one.
func (x *exchange) isWorker() bool {
	if !x.asksForWorker() {
		return false
	}
	switch s := x.answer.status; s {
	case 204, 205:
		return false
	case 304:
		return true
	default:
		return s/100 == 2 && mayBeScript(x.answer.get(nameContentType))
	}
}

// mayBeScript reports whether browsers may run what has this type as a worker: some take
// what has no type worth the name for a script.
func mayBeScript(contentType []byte) bool {
	media, _ := readContentType(contentType)
	for _, language := range [...]string{"javascript", "ecmascript", "jscript", "livescript"} {
		if containsFold(media, language) {
			return true
		}
	}
	return bytes.IndexByte(media, '/') < 0 || equalFold(media, "text/plain") || equalFold(media, "application/octet-stream")
}

// sendWorker sends the script of a worker, guarded. It depends on the choice, and what the
// file is wanted for, either way.
func (x *exchange) sendWorker() error {
	x.holds = true
	if !x.guards || x.answer.status == 304 && !x.revalidates {
		return x.pass()
	}
	d, ok := x.document()
	if !ok {
		return x.passHeld()
	}
	d.target = identity
	if len(d.codings) == 1 && d.codings[0] != deflated {
		d.target = d.codings[0]
	}
	x.adaptPolicies(policyNonce(&x.answer))
	if x.download.framing == noBody {
		x.composeDocument()
		return x.passNone()
	}
	if x.download.done() {
		return x.pass() // it does nothing
	}
	guard := x.appendWorkerGuard(nil, true)
	framing, size := x.outFraming(), x.download.left+int64(len(guard))
	if framing == sized && len(d.codings) > 0 {
		if framing = chunked; x.request.minor == 0 {
			framing = untilClose
		}
	}
	d.state = streaming
	if err := d.openScript(guard); err != nil {
		return answerCut(err)
	}
	x.composeDocument()
	return x.passStream(framing, size)
}

// openScript begins to take a worker's script through decoding: as far as is needed to
// know where in it the guard goes.
func (d *document) openScript(guard []byte) error {
	d.opened = true
	err := d.undo()
	if err != nil {
		return err
	}
	d.buf = getBuffer(largeBuffer)
	n, at, known := 0, 0, false
	for err == nil && !known && n < len(d.buf) {
		var m int
		m, err = d.decoded.Read(d.buf[n:])
		n += m
		at, known = prologue(d.buf[:n])
	}
	if err != nil && err != io.EOF {
		return err
	}
	d.plain = append(append(append(d.plain[:0], d.buf[:at]...), guard...), d.buf[at:n]...)
	d.encoder = newEncoder((*sink)(d), d.target)
	return nil
}

// streamScript sends a worker's script as it comes.
func (d *document) streamScript() error {
	script := (*rewritten)(d)
	_, err := script.Write(d.plain)
	for err == nil {
		var n int
		if n, err = d.decoded.Read(d.buf); n > 0 {
			if _, e := script.Write(d.buf[:n]); e != nil {
				err = e
			}
		}
	}
	if err == io.EOF {
		err = d.close()
	}
	if err != nil {
		return answerCut(err)
	}
	return d.send()
}

// prologue returns how much of a script's beginning must stay its beginning: a byte order
// mark, the line after #! and the directives, such as "use strict" (ECMAScript, sections
// 12.5 and 11.2.1). known says that what follows changes nothing.
func prologue(text []byte) (n int, known bool) {
	n = len(text) - len(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if bytes.HasPrefix(text[n:], []byte("#!")) {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return len(text), false
		}
		n = end + 1
	}
	at, _, known := skipBlank(text, n)
	for known && (text[at] == '"' || text[at] == '\'') {
		end := at + 1
		for end < len(text) && text[end] != text[at] && text[end] != '\n' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			return n, false
		}
		next, lines, ok := skipBlank(text, end+1)
		if !ok {
			return n, false
		}
		if text[next] == ';' {
			next++
		} else if !lines || bytes.IndexByte([]byte(".,([`+-*/%<>=&|^?:"), text[next]) >= 0 {
			break // an expression that begins with a string
		}
		n = end + 1
		at, _, known = skipBlank(text, next)
	}
	return n, known && len(text) >= len("\xef\xbb\xbf#!")
}

// skipBlank returns where in a script what is neither blank nor comment comes next, and
// whether in another line. ok is false where that is not known yet.
func skipBlank(text []byte, at int) (_ int, lines, ok bool) {
	for at < len(text) {
		switch c := text[at]; {
		case c == '\n', c == '\r':
			lines = true
			at++
		case c == ' ', c == '\t', c == '\v', c == '\f':
			at++
		case c == '/' && at+1 == len(text):
			return at, lines, false
		case c == '/' && text[at+1] == '/':
			end := bytes.IndexByte(text[at:], '\n')
			if end < 0 {
				return at, lines, false
			}
			at += end
		case c == '/' && text[at+1] == '*':
			end := bytes.Index(text[at+2:], []byte("*/"))
			if end < 0 {
				return at, lines, false
			}
			lines = lines || bytes.IndexByte(text[at:at+2+end], '\n') >= 0
			at += end + 4
		default:
			return at, lines, true
		}
	}
	return at, lines, false
}
