package proxy

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/rules/consent"
)

const onceCookie = banner.OnceCookie

// Cookie fields are read and cut as they stand (RFC 6265, section 4.2.1, and
// what browsers really send): a cookie that is let through keeps every byte.

// cutCookie cuts the first cookie off a Cookie value: its name, its value and
// the bytes of both as they stand, without the semicolon.
func cutCookie(list []byte) (name, value, whole, rest []byte) {
	whole, rest, _ = bytes.Cut(list, []byte{';'})
	pair := trim(whole)
	eq := bytes.IndexByte(pair, '=')
	if eq < 0 {
		// Browsers send a nameless cookie as its value alone.
		return nil, pair, whole, rest
	}
	return trim(pair[:eq]), trim(pair[eq+1:]), whole, rest
}

// findCookie returns the value of the first cookie with the given name.
func findCookie(list []byte, name string) ([]byte, bool) {
	for len(list) > 0 {
		var n, value []byte
		n, value, _, list = cutCookie(list)
		if string(n) == name {
			return value, true
		}
	}
	return nil, false
}

// appendCookies appends the Cookie field without the cookies that the visitor
// has not agreed to, and without our own. Where none are left it appends
// nothing.
func (x *exchange) appendCookies(out []byte, f *field) []byte {
	if !x.cfg.Rewrite {
		return appendField(out, f.name, f.value)
	}
	start := len(out)
	out = append(append(out, f.name...), ": "...)
	empty := len(out)
	for rest := f.value; len(rest) > 0; {
		var name, whole []byte
		name, _, whole, rest = cutCookie(rest)
		if string(name) == consent.CookieName || string(name) == onceCookie || string(name) == ownCookie {
			continue
		}
		if d := x.site.engine.Cookie(name); !d.Allowed(x.standing.Granted) {
			x.withheld = append(x.withheld, name)
			x.proxy.countCookie(x.site, name, d, cookieRequest, true)
			continue
		}
		if len(out) > empty {
			out = append(out, ';')
		} else {
			whole = trim(whole)
		}
		out = append(out, whole...)
	}
	if len(out) == empty {
		return out[:start]
	}
	return append(out, "\r\n"...)
}

// passesCookie reports whether a Set-Cookie value may reach the visitor.
func (x *exchange) passesCookie(value []byte) bool {
	name, _, _, _ := cutCookie(value)
	d := x.site.engine.Cookie(name)
	held := !d.Allowed(x.standing.Granted)
	if d.Rule != nil {
		x.proxy.countCookie(x.site, name, d, cookieResponse, held)
	}
	return !held || expires(value)
}

// expires reports whether a Set-Cookie value only takes a cookie away. That is
// always let through.
func expires(value []byte) bool {
	past, aged := false, false
	for _, rest, more := bytes.Cut(value, []byte{';'}); more; {
		var attribute []byte
		attribute, rest, more = bytes.Cut(rest, []byte{';'})
		name, v, _ := bytes.Cut(attribute, []byte{'='})
		v = trim(v)
		switch {
		case equalFold(trim(name), "max-age") && len(v) > 0:
			// The last one counts, and more than Expires (RFC 6265, section 5.3).
			past, aged = v[0] == '-' || len(bytes.TrimLeft(v, "0")) == 0, true
		case equalFold(trim(name), "expires") && !aged:
			at, err := fasthttp.ParseHTTPDate(v)
			past = err == nil && at.Unix() <= 0
		}
	}
	return past
}

// maxExpired bounds how many cookies one response takes away.
const maxExpired = 24

// appendExpiry takes away the cookies that were withheld from the upstream, on
// the host and on every domain above it that may have set them, and the cookie
// that let one vendor in, which has served.
func (x *exchange) appendExpiry(out []byte) []byte {
	if x.shared {
		return out
	}
	fields := 0
	for i, name := range x.withheld {
		if i == maxExpired {
			break
		}
		out = x.appendExpired(out, name, nil)
		for domain := x.host; !isAddress(domain) && fields < 2*maxExpired; fields++ {
			out = x.appendExpired(out, name, domain)
			dot := bytes.IndexByte(domain, '.')
			if dot < 0 || bytes.IndexByte(domain[dot+1:], '.') < 0 {
				break
			}
			domain = domain[dot+1:]
		}
	}
	if x.once != nil {
		out = x.appendExpired(out, []byte(onceCookie), nil)
	}
	return out
}

func (x *exchange) appendExpired(out, name, domain []byte) []byte {
	if len(domain) > 0 && bytes.IndexByte(domain, '.') < 0 {
		return out
	}
	out = append(append(append(out, "Set-Cookie: "...), name...), "=; Path=/; Max-Age=0"...)
	if x.secure {
		// Names that begin with __Secure- are heeded with it alone.
		out = append(out, "; Secure"...)
	}
	if len(domain) > 0 {
		out = append(append(out, "; Domain="...), domain...)
	}
	return append(out, "\r\n"...)
}

// isAddress reports whether a host is an IP address, which has no domains
// above it.
func isAddress(host []byte) bool {
	return len(host) == 0 || host[0] == '[' || class[host[len(host)-1]]&digit != 0
}
