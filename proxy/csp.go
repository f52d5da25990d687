package proxy

import (
	"bytes"
	"strings"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/rules"
)

// holdingPolicy is added to a page that could not be read: it lets the page
// contact its own host alone. A second policy only tightens, so it takes
// nothing away from the site's own.
const holdingPolicy = "Content-Security-Policy: default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-src 'self'\r\n"

// contentPolicy adapts a site's Content-Security-Policy so that what is put
// into its pages works, and nothing else does that did not before.
type contentPolicy struct {
	prefix    string // of the own endpoints
	guard     string // path of the guard
	boxes     string // and of the script that it asks for
	integrity string // 'sha384-…' of the guard
	styles    string // hashes of the style elements
}

func newContentPolicy(b *banner.Banner, prefix string) contentPolicy {
	return contentPolicy{
		prefix:    prefix,
		guard:     b.GuardURL(),
		boxes:     b.BoxesURL(),
		integrity: "'" + b.GuardHash() + "'",
		styles:    strings.Join(b.StyleHashes(), " "),
	}
}

// directive is one directive of a policy: its name and its source list.
type directive struct{ name, sources []byte }

// sources says what of a source list matters here.
type sources struct {
	list   []byte
	none   bool // nothing is allowed: empty or 'none'
	self   bool
	any    bool // *
	inline bool // 'unsafe-inline' is in force
	strict bool // 'strict-dynamic' is in force
	nonce  []byte
}

func readSources(list []byte) sources {
	s := sources{list: list}
	hashed := false
	words := 0
	for rest := list; ; {
		var w []byte
		if w, rest = cutWord(rest); w == nil {
			break
		}
		words++
		switch {
		case equalFold(w, "'none'"):
			s.none = true
		case equalFold(w, "'self'"):
			s.self = true
		case string(w) == "*":
			s.any = true
		case equalFold(w, "'unsafe-inline'"):
			s.inline = true
		case equalFold(w, "'strict-dynamic'"):
			s.strict = true
		case hasPrefixFold(w, "'nonce-") && len(w) > len("'nonce-'"):
			if s.nonce == nil {
				s.nonce = w[len("'nonce-") : len(w)-1]
			}
		case hasPrefixFold(w, "'sha256-"), hasPrefixFold(w, "'sha384-"), hasPrefixFold(w, "'sha512-"):
			hashed = true
		}
	}
	s.none = words == 0 || s.none && words == 1
	s.inline = s.inline && !hashed && s.nonce == nil && !s.strict
	return s
}

func cutWord(s []byte) (word, rest []byte) {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	j := i
	for j < len(s) && !isSpace(s[j]) {
		j++
	}
	if i == j {
		return nil, nil
	}
	return s[i:j], s[j:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// policyNonce returns the nonce under which the page's enforced policies let
// scripts run, nil where there is none.
func policyNonce(h *head) []byte {
	for i := range h.fields {
		if h.fields[i].id != nameCSP {
			continue
		}
		for rest := h.fields[i].value; len(rest) > 0; {
			var policy []byte
			policy, rest = cutList(rest)
			if s, ok := effective(readPolicy(policy), "script-src-elem", "script-src", "default-src"); ok && s.nonce != nil {
				return s.nonce
			}
		}
	}
	return nil
}

// readPolicy reads a serialized policy. Of directives with one name the first
// counts (CSP3, section 2.2.1).
func readPolicy(policy []byte) []directive {
	var ds []directive
next:
	for rest := policy; len(rest) > 0; {
		var d []byte
		d, rest, _ = bytes.Cut(rest, []byte{';'})
		name, list := cutWord(d)
		if name == nil {
			continue
		}
		for i := range ds {
			if equalFold(ds[i].name, name) {
				continue next
			}
		}
		ds = append(ds, directive{name, bytes.TrimSpace(list)})
	}
	return ds
}

// effective returns the source list that governs the first of the names: its
// own, or that of the first of the others that is there.
func effective(ds []directive, names ...string) (sources, bool) {
	for _, name := range names {
		for i := range ds {
			if equalFold(ds[i].name, name) {
				return readSources(ds[i].sources), true
			}
		}
	}
	return sources{}, false
}

// adaptPolicies writes the answer's Content-Security-Policy fields, adapted, to
// x.policies. It reports whether the guard must carry its hash. nonce is that
// of policyNonce.
func (x *exchange) adaptPolicies(nonce []byte) (integrity bool) {
	out := x.policies[:0]
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if f.id != nameCSP && f.id != nameCSPReportOnly {
			continue
		}
		out = append(append(out, f.name...), ": "...)
		for n, rest := 0, f.value; len(rest) > 0; n++ {
			var policy []byte
			policy, rest = cutList(rest)
			if n > 0 {
				out = append(out, ", "...)
			}
			var carries bool
			out, carries = x.adaptPolicy(out, policy, nonce)
			integrity = integrity || carries
		}
		out = append(out, "\r\n"...)
	}
	x.policies = out
	return integrity
}

// adaptPolicy appends one policy: as it stands if all that we put into a page
// may act under it, and otherwise with just that allowed.
func (x *exchange) adaptPolicy(out, policy, nonce []byte) (_ []byte, integrity bool) {
	p := &x.site.policy
	ds := readPolicy(policy)
	added := map[string]string{} // by directive
	fallback := map[string]string{}
	// need sees to it that the first of names allows what is needed.
	need := func(sources string, names ...string) {
		for _, name := range names {
			for i := range ds {
				if equalFold(ds[i].name, name) && name != "default-src" {
					added[name] = strings.TrimSpace(added[name] + " " + sources)
					return
				}
			}
		}
		// Only default-src governs: a list of its own with the same sources
		// is made, so that default-src does not grow.
		name := names[len(names)-2]
		fallback[name] = strings.TrimSpace(fallback[name] + " " + sources)
	}
	own := x.scheme() + "://" + string(x.address)
	if s, ok := effective(ds, "script-src-elem", "script-src", "default-src"); ok {
		switch {
		case s.nonce != nil && bytes.Equal(s.nonce, nonce):
		case s.strict:
			integrity = true
			need(p.integrity, "script-src-elem", "script-src", "default-src")
		case s.self || s.any:
		default:
			need(own+p.guard+" "+own+p.boxes, "script-src-elem", "script-src", "default-src")
		}
	}
	if s, ok := effective(ds, "style-src-elem", "style-src", "default-src"); ok {
		if !s.inline && !(s.nonce != nil && bytes.Equal(s.nonce, nonce)) {
			need(p.styles, "style-src-elem", "style-src", "default-src")
		}
	}
	if s, ok := effective(ds, "connect-src", "default-src"); ok && !s.self && !s.any {
		need(own+p.prefix, "connect-src", "default-src")
	}
	if s, ok := effective(ds, "img-src", "default-src"); ok && !s.self && !s.any && x.shown.Honours() {
		need(own+p.prefix, "img-src", "default-src")
	}
	if s, ok := effective(ds, "form-action"); ok && !s.self && !s.any {
		added["form-action"] = own + p.prefix
	}
	reports := x.allowsReports(ds)
	if len(added) == 0 && len(fallback) == 0 && reports {
		return append(out, policy...), integrity
	}
	first := true
	write := func(name, list []byte, more string) {
		if !first {
			out = append(out, "; "...)
		}
		first = false
		out = append(out, name...)
		if more != "" && readSources(list).none {
			list = nil
		}
		if len(list) > 0 {
			out = append(append(out, ' '), list...)
		}
		if more != "" {
			out = append(append(out, ' '), more...)
		}
	}
	for i := range ds {
		d := &ds[i]
		if equalFold(d.name, "report-uri") && !reports {
			continue
		}
		write(d.name, d.sources, added[strings.ToLower(string(d.name))])
		if equalFold(d.name, "default-src") {
			for _, name := range [...]string{"script-src", "style-src", "connect-src", "img-src"} {
				if more := fallback[name]; more != "" {
					write([]byte(name), d.sources, more)
				}
			}
		}
	}
	return out, integrity
}

// allowsReports reports whether all to whom a policy has violations reported may be told.
func (x *exchange) allowsReports(ds []directive) bool {
	allowed := true
	if s, ok := effective(ds, "report-uri"); ok {
		for rest := s.list; ; {
			var url []byte
			if url, rest = cutWord(rest); url == nil {
				break
			}
			allowed = x.allowsURL(url, rules.Ping) && allowed
		}
	}
	return allowed
}

// appendUnreported appends the policies of an answer into which nothing is put, each
// without its report-uri where the visitor has not agreed to whom that names.
func (x *exchange) appendUnreported(out []byte, f *field) []byte {
	if !containsFold(f.value, "report-uri") {
		return appendField(out, f.name, f.value)
	}
	out = append(append(out, f.name...), ": "...)
	for n, rest := 0, f.value; len(rest) > 0; n++ {
		var policy []byte
		policy, rest = cutList(rest)
		if n > 0 {
			out = append(out, ", "...)
		}
		ds := readPolicy(policy)
		if x.allowsReports(ds) {
			out = append(out, policy...)
			continue
		}
		for i := range ds {
			if d := &ds[i]; !equalFold(d.name, "report-uri") {
				out = append(append(append(append(out, d.name...), ' '), d.sources...), "; "...)
			}
		}
	}
	return append(out, "\r\n"...)
}
