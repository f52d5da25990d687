package banner

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// maxExpiries bounds the Set-Cookie fields of one answer: servers in front of
// the proxy refuse heads of more than 4 to 16 KiB.
const maxExpiries = 48

// expire takes cookies back that came with the request and that granted does
// not cover.
func (b *Banner) expire(ctx *fasthttp.RequestCtx, v *Visit, granted consent.Set, page string) {
	path, _, _ := strings.Cut(page, "?")
	for _, cookie := range b.Expiries(ctx.Request.Header.Peek("Cookie"), v.Host, path, v.Secure, granted) {
		setCookie(ctx, cookie)
	}
}

// clear has the browser forget more of the site (Clear-Site-Data, heeded over
// https): on withdrawal what the site wants, and where a form made the choice its
// caches. Pages that it keeps as they were, to go back to, would ask again or
// show what was withdrawn, and without a script nothing in them can catch up.
func (b *Banner) clear(ctx *fasthttp.RequestCtx, v *Visit, granted consent.Set, form bool) {
	var what []string
	if v.Standing.Made && v.Standing.Granted&consent.All&^granted != 0 {
		what = b.o.Clear
	}
	if form && !slices.Contains(what, "cache") {
		what = append(slices.Clip(what), "cache")
	}
	if len(what) > 0 {
		ctx.Response.Header.Set("Clear-Site-Data", `"`+strings.Join(what, `", "`)+`"`)
	}
}

// Expiries returns Set-Cookie values that take back each cookie of a Cookie
// field that granted does not cover. A Cookie field does not say where a cookie
// was set, so each is taken back for the host and every domain above it up to
// the registrable one, at the root and then at every path down to the page's.
// The likeliest places come first; there are at most 48 values.
func (b *Banner) Expiries(field []byte, host, path string, secure bool, granted consent.Set) []string {
	var names []string
	for len(field) > 0 && len(names) < maxExpiries {
		var pair []byte
		pair, field, _ = bytes.Cut(field, semicolon)
		name, _, _ := bytes.Cut(pair, []byte{'='})
		name = bytes.TrimSpace(name)
		if !isToken(name) || string(name) == consent.CookieName || string(name) == OnceCookie {
			continue
		}
		if slices.Contains(names, string(name)) {
			continue
		}
		if d := b.engine.Cookie(name); d.Rule != nil && !d.Allowed(granted) {
			names = append(names, string(name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	domains := domainsAbove(host)
	var expiries []string
	for _, p := range pathsTo(path) {
		for _, domain := range domains {
			for _, name := range names {
				if len(expiries) == maxExpiries {
					return expiries
				}
				cookie := name + "=; Path=" + p + "; Max-Age=0"
				if domain != "" {
					cookie += "; Domain=" + domain
				}
				if secure {
					cookie += "; Secure"
				}
				expiries = append(expiries, cookie)
			}
		}
	}
	return expiries
}

// domainsAbove returns where a cookie for host may have been set: "" (the host
// alone), the registrable domain, and what lies between.
func domainsAbove(host string) []string {
	name := withoutPort(host)
	top := registrable(name)
	domains := []string{""}
	if top == "" {
		return domains
	}
	domains = append(domains, top)
	for len(name) > len(top) {
		domains = append(domains, name)
		_, name, _ = strings.Cut(name, ".")
	}
	return domains
}

// pathsTo returns the paths that a cookie sent to path may have been set for:
// "/", then each path above it, and itself. What cannot stand in a Path
// attribute (RFC 6265 §4.1.1), and all after it, is left out.
func pathsTo(path string) []string {
	end := strings.IndexFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ';' })
	if end >= 0 {
		path = path[:strings.LastIndexByte(path[:end], '/')+1]
	}
	paths := []string{"/"}
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			paths = append(paths, path[:i], path[:i+1])
		}
	}
	if len(path) > 1 && path[len(path)-1] != '/' {
		paths = append(paths, path)
	}
	return paths
}

// isToken reports whether s is a token of RFC 9110 §5.6.2, as cookie names are.
func isToken(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(s) > 0
}
