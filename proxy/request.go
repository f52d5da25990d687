package proxy

import (
	"bytes"
	"net/netip"
	"strconv"

	"github.com/askfirst/askfirst/configs"
)

// destination is what a browser wants a response for (Fetch, Sec-Fetch-Dest).
type destination uint8

const (
	unknown   destination = iota
	toPage                // a page of its own
	toFrame               // a page within another
	toScript              // fetch and XMLHttpRequest
	toElement             // an image, a script, a style sheet and the like
	toWorker              // a worker's script, or a module that it imports
)

// check refuses a request that two readers could take for different ones, and
// takes from it what the exchange needs.
func (x *exchange) check() error {
	r := &x.request
	if err := r.parseRequest(); err != nil {
		return err
	}
	f, n, err := r.framing()
	if err != nil {
		return err
	}
	if f == untilClose {
		f = noBody
	}
	x.upload.start(&x.v.in, f, n)
	x.last = !r.keepAlive() || x.proxy.draining.Load()
	switch string(r.method) {
	case "CONNECT", "TRACE":
		return faultMethod
	}
	if err := x.checkTarget(); err != nil {
		return err
	}
	if e := r.get(nameExpect); e != nil {
		if !equalFold(e, "100-continue") || r.count(nameExpect) > 1 {
			return faultExpectation
		}
		x.expects = r.minor == 1 && !x.upload.done()
	}
	if x.trusted(x.v.peer) {
		x.believe()
	}
	x.dest = destinationOf(r.get(nameSecFetchDest))
	x.part = x.dest == toFrame || x.dest == toScript ||
		string(r.get(nameHXRequest)) == "true" || r.get(nameTurboFrame) != nil ||
		equalFold(r.get(nameXRequestedWith), "xmlhttprequest")
	return nil
}

// checkTarget finds the target in origin form and the host that is meant. An
// absolute target must name the host that Host names.
func (x *exchange) checkTarget() error {
	r := &x.request
	hosts := r.count(nameHost)
	if hosts > 1 || hosts == 0 && r.minor == 1 {
		return faultHost
	}
	x.address = r.get(nameHost)
	switch t := r.target; {
	case t[0] == '/':
		x.target = t
	case string(t) == "*" && string(r.method) == "OPTIONS":
		x.target = t
	case hasPrefixFold(t, "http://"), hasPrefixFold(t, "https://"):
		rest := t[bytes.IndexByte(t, '/')+2:]
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if hosts == 1 && !equalFold(rest[:end], x.address) {
			return faultHost
		}
		x.address, x.target = rest[:end], rest[end:]
		if len(x.target) == 0 || x.target[0] == '?' {
			if len(x.target) == 0 && string(r.method) == "OPTIONS" {
				x.target = []byte("*")
			} else {
				x.target = append([]byte("/"), x.target...)
			}
		}
	default:
		return faultTarget
	}
	if hosts == 0 && x.address == nil {
		return nil
	}
	host, ok := hostOf(x.address)
	if !ok {
		return faultHost
	}
	for _, c := range host {
		x.host = append(x.host, lowerCase[c])
	}
	x.host = bytes.TrimSuffix(x.host, []byte{'.'})
	return nil
}

// model writes the head that fasthttp reads: what it needs to know of a request,
// and what an own endpoint may ask it for. How the message is framed is not in
// it, so that fasthttp reads no body and promises none. It is in x.out.
func (x *exchange) model() []byte {
	r := &x.request
	if x.fault != nil {
		x.last = x.last || r.minor == 0
		x.out = append(x.out[:0], "GET / HTTP/1.1\r\nHost: refused\r\n\r\n"...)
		return x.out
	}
	out := append(append(x.out[:0], r.method...), ' ')
	if len(x.target) > 1 && x.target[1] == '/' {
		// It would look for a host in it.
		out = append(out, '/')
	} else {
		out = append(out, x.target...)
	}
	out = append(append(out, " HTTP/1."...), '0'+r.minor)
	out = append(out, "\r\nHost: "...)
	if x.address == nil {
		out = append(out, "unnamed"...)
	}
	out = append(append(out, x.address...), "\r\n"...)
	for i := range r.fields {
		switch f := &r.fields[i]; f.id {
		case nameHost, nameContentLength, nameTransferEncoding, nameTrailer, nameExpect, nameUpgrade, nameConnection:
		default:
			at := len(out)
			out = appendField(out, f.name, f.value)
			canonical(out[at : at+len(f.name)])
		}
	}
	switch {
	case x.last:
		out = append(out, "Connection: close\r\n"...)
	case r.minor == 0:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	x.out = append(out, crlf...)
	return x.out
}

// canonical respells a field name as fasthttp looks for it, who must not respell
// those that are sent on: HTTP/2 and 3 have names in lower case, and terminators
// pass them so.
func canonical(name []byte) {
	start := true
	for i, c := range name {
		switch lower := lowerCase[c]; {
		case start && lower >= 'a' && lower <= 'z':
			name[i] = lower - ('a' - 'A')
		default:
			name[i] = lower
		}
		start = c == '-'
	}
}

// maxHost is how long a host may be: a name in DNS has at most 253 bytes, and
// perhaps a dot at its end.
const maxHost = 254

// hostOf returns the host of host:port (RFC 9110, section 7.2).
func hostOf(address []byte) (host []byte, ok bool) {
	host, port := address, []byte(nil)
	if len(host) > 0 && host[0] == '[' {
		end := bytes.IndexByte(host, ']')
		if end < 0 {
			return nil, false
		}
		host, port = host[:end+1], host[end+1:]
		if _, err := netip.ParseAddr(string(host[1:end])); err != nil {
			return nil, false
		}
	} else if colon := bytes.IndexByte(host, ':'); colon >= 0 {
		host, port = host[:colon], host[colon:]
	}
	if len(port) > 0 {
		if port[0] != ':' {
			return nil, false
		}
		if n, ok := parseDecimal(port[1:]); len(port) > 1 && (!ok || n > 65535) {
			return nil, false
		}
	}
	if len(host) == 0 || len(host) > maxHost {
		return nil, false
	}
	for _, c := range host {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`"#/<>?@\^|{}`+"`"), c) >= 0 {
			return nil, false
		}
	}
	return host, true
}

func destinationOf(s []byte) destination {
	switch string(s) {
	case "":
		return unknown
	case "document":
		return toPage
	case "iframe", "frame", "fencedframe", "embed", "object":
		return toFrame
	case "empty":
		return toScript
	case "worker", "sharedworker":
		return toWorker
	}
	return toElement
}

func (x *exchange) trusted(a netip.Addr) bool { return trusts(x.cfg, a) }

// trusts reports whether what a is said to forward is believed.
func trusts(cfg *configs.Config, a netip.Addr) bool {
	for _, p := range cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// believe takes the visitor's address and scheme from what a trusted proxy
// says: the last address that is not a trusted proxy itself.
func (x *exchange) believe() {
	r := &x.request
	if proto := lastElement(r, nameXForwardedProto); proto != nil {
		x.secure = equalFold(proto, "https")
	}
	for i := len(r.fields) - 1; i >= 0; i-- {
		if r.fields[i].id != nameXForwardedFor {
			continue
		}
		for list := r.fields[i].value; len(list) > 0; {
			comma := bytes.LastIndexByte(list, ',')
			a, err := configs.ForwardedAddr(string(trim(list[comma+1:])))
			if err != nil {
				return
			}
			x.client = a
			if !x.trusted(x.client) || comma < 0 {
				if !x.trusted(x.client) {
					return
				}
				break
			}
			list = list[:comma]
		}
	}
}

func lastElement(h *head, n name) []byte {
	for i := len(h.fields) - 1; i >= 0; i-- {
		if h.fields[i].id == n {
			v := h.fields[i].value
			return trim(v[bytes.LastIndexByte(v, ',')+1:])
		}
	}
	return nil
}

// idempotent reports whether doing a request twice does no more than doing it
// once (RFC 9110, section 9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// composeRequest writes the head for the upstream to x.out. It is written anew:
// nothing that framed the visitor's message is copied.
func (x *exchange) composeRequest(upgrade bool) {
	r := &x.request
	out := append(x.out[:0], r.method...)
	out = append(append(out, ' '), x.target...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(append(out, x.address...), "\r\n"...)
	trust := x.trusted(x.v.peer)
	page := x.asksForPage()
	for i := range r.fields {
		f := &r.fields[i]
		switch f.id {
		case unnamed:
			if r.nominated(f) || standsFor(f.name) != unnamed {
				continue
			}
		case nameHost, nameContentLength, nameTransferEncoding, nameConnection, nameKeepAlive, nameProxyConnection,
			nameProxyAuthenticate, nameProxyAuthorization, nameTE, nameUpgrade, nameHTTP2Settings,
			nameXForwardedFor, nameForwarded, nameVia, nameXRequestID, nameAvailableDictionary:
			continue
		case nameXForwardedProto, nameXForwardedHost, nameXForwardedPort:
			if !trust {
				continue
			}
		case nameXRealIP:
			if !trust || x.site.TruncateAddress {
				continue
			}
		case nameTraceparent:
			if x.sites.tracer != nil {
				continue
			}
		case nameTrailer:
			if x.upload.framing != chunked {
				continue
			}
		case nameExpect:
			if !x.expects {
				continue
			}
		case nameCookie:
			out = x.appendCookies(out, f)
			continue
		case nameAcceptEncoding:
			out = appendCodings(out, f)
			continue
		case nameRange, nameIfRange:
			if page || x.guards {
				continue
			}
		case nameIfNoneMatch, nameIfMatch:
			out = x.appendValidators(out, f)
			continue
		case nameIfModifiedSince:
			if x.mayBePage() || x.guards {
				continue
			}
		}
		out = appendField(out, f.name, f.value)
	}
	switch x.upload.framing {
	case sized:
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, x.upload.left, 10)
		out = append(out, "\r\n"...)
	case chunked:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case upgrade:
		out = append(out, "Upgrade: websocket\r\nConnection: Upgrade\r\n"...)
	case r.lists(nameTE, "trailers"):
		out = append(out, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	x.out = append(x.appendCorrelation(x.appendForwarding(out, trust)), "\r\n"...)
}

// appendForwarding says who asked, by which host and scheme, and through whom.
// What a stranger said of that is not passed on.
func (x *exchange) appendForwarding(out []byte, trust bool) []byte {
	r := &x.request
	client, whole := x.v.peer, trust && !x.site.TruncateAddress
	if x.site.TruncateAddress {
		client = truncate(x.client)
	}
	out = append(out, "X-Forwarded-For: "...)
	if whole {
		out = appendAll(out, r, nameXForwardedFor)
	}
	out = appendAddr(out, client)
	if !trust || r.get(nameXForwardedProto) == nil {
		out = append(out, "\r\nX-Forwarded-Proto: "...)
		out = append(out, x.scheme()...)
	}
	if !trust || r.get(nameXForwardedHost) == nil {
		out = append(out, "\r\nX-Forwarded-Host: "...)
		out = append(out, x.address...)
	}
	out = append(out, "\r\nForwarded: "...)
	if whole {
		out = appendAll(out, r, nameForwarded)
	}
	out = append(out, "for="...)
	if client.Is6() {
		out = append(client.AppendTo(append(out, `"[`...)), `]"`...)
	} else {
		out = appendAddr(out, client)
	}
	out = append(append(append(out, `;host="`...), x.address...), '"')
	out = append(append(out, ";proto="...), x.scheme()...)
	out = appendAll(append(out, "\r\nVia: "...), r, nameVia)
	return append(append(out, '1', '.', '0'+r.minor), " askfirst\r\n"...)
}

// appendAll appends the values of all fields with the given name, each followed
// by a comma.
func appendAll(out []byte, h *head, n name) []byte {
	for i := range h.fields {
		if h.fields[i].id == n {
			out = append(append(out, h.fields[i].value...), ", "...)
		}
	}
	return out
}

// truncate takes the last bits off an address: what follows the /24 of IPv4,
// the /48 of IPv6.
func truncate(a netip.Addr) netip.Addr {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

func appendAddr(out []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(out, "unknown"...)
	}
	return a.AppendTo(out)
}

func (x *exchange) scheme() string {
	if x.secure {
		return "https"
	}
	return "http"
}

func appendField(out, name, value []byte) []byte {
	out = append(append(out, name...), ": "...)
	return append(append(out, value...), "\r\n"...)
}

// asksForPage reports whether the request is for a page: a navigation, or what
// looks like one where the browser does not say.
func (x *exchange) asksForPage() bool {
	if !x.rewrites {
		return false
	}
	switch x.dest {
	case toPage, toFrame:
		return true
	case unknown:
		return containsFold(x.request.get(nameAccept), "text/html")
	}
	return false
}

// showsWhole reports whether the browser says that it shows the answer as a document,
// be it in a frame, whatever that begins with. A page for all does not heed it.
func (x *exchange) showsWhole() bool {
	return !x.shared && (x.dest == toFrame || x.dest == toPage && !x.part)
}

// mayBePage reports whether the answer may be a page. Where the browser does
// not say what it is for, the path's extension must do.
func (x *exchange) mayBePage() bool {
	if x.asksForPage() {
		return true
	}
	return x.rewrites && x.dest < toElement && pagePath(x.path())
}

// pagePath reports whether a path ends as those of pages do.
func pagePath(path []byte) bool {
	last := path[bytes.LastIndexByte(path, '/')+1:]
	dot := bytes.LastIndexByte(last, '.')
	if dot < 0 {
		return true
	}
	ext := last[dot+1:]
	for _, page := range [...]string{"html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "do", "cgi", "cfm"} {
		if equalFold(ext, page) {
			return true
		}
	}
	return false
}
