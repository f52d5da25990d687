package banner

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// Visit is a request to an own endpoint, as the proxy knows it.
type Visit struct {
	Standing consent.Standing
	// RegimeRule says what decided the regime.
	RegimeRule string
	// Country is the visitor's, ISO 3166-1 alpha-2, empty where it was not asked
	// for or is not known.
	Country string
	// GPP is the section of the GPP that is in force, empty for none.
	GPP string
	// Secure says that the visitor came by https.
	Secure bool
	// Host is the page's host, with its port if it has one.
	Host string
	// Address is the visitor's address, already truncated.
	Address string
}

const gpcPath = "/.well-known/gpc.json"

// endpoint is one own address: what it answers to which method.
type endpoint struct {
	get, post func(*Banner, *fasthttp.RequestCtx, *Visit)
}

// endpoints are those below the prefix, beside the hashed assets.
var endpoints = map[string]endpoint{
	"box":           {get: (*Banner).serveBox},
	"consent":       {post: (*Banner).serveConsent},
	"gpc":           {get: (*Banner).serveHonoured},
	"preferences":   {get: (*Banner).servePreferences},
	"cookies":       {get: (*Banner).serveDeclaration},
	"cookies.json":  {get: (*Banner).serveDeclaration},
	"cookies.html":  {get: (*Banner).serveDeclaration},
	"receipt":       {get: (*Banner).serveReceipt},
	"receipt.json":  {get: (*Banner).serveReceipt},
	"receipt/erase": {post: (*Banner).serveErase},
	"events":        {post: (*Banner).serveEvents},
	"csp":           {post: (*Banner).serveViolations},
	"worker":        {get: (*Banner).serveWorker, post: (*Banner).serveCall},
}

// Serve answers a request to an own endpoint.
func (b *Banner) Serve(ctx *fasthttp.RequestCtx, v *Visit) {
	path := string(ctx.Path())
	var e endpoint
	switch {
	case path == gpcPath:
		e.get = (*Banner).serveGPC
	default:
		name := strings.TrimPrefix(path, b.o.Prefix)
		known := false
		if file, _, rest := cutAsset(name); file == "rules" && rest == "" {
			e.get, known = (*Banner).serveDecision, true
		} else if c, mediaType, current := b.assets.find(name); c != nil {
			e.get, known = func(_ *Banner, ctx *fasthttp.RequestCtx, _ *Visit) { serveAsset(ctx, c, mediaType, current) }, true
		} else {
			e, known = endpoints[name]
		}
		if !known {
			b.refuse(ctx, fasthttp.StatusNotFound, "nothing is here")
			return
		}
	}
	switch {
	case e.get != nil && (ctx.IsGet() || ctx.IsHead()):
		e.get(b, ctx, v)
	case e.post != nil && ctx.IsPost():
		if !sameOrigin(ctx, v.Host) {
			b.refuse(ctx, fasthttp.StatusForbidden, "this address answers pages of its own site only")
			return
		}
		e.post(b, ctx, v)
	default:
		allow := "POST"
		if e.get != nil {
			allow = "GET, HEAD"
		}
		ctx.Response.Header.Set("Allow", allow)
		b.refuse(ctx, fasthttp.StatusMethodNotAllowed, "this address answers "+allow)
	}
}

// refuse answers with an error in plain text.
func (b *Banner) refuse(ctx *fasthttp.RequestCtx, status int, why string) {
	b.counters.refused.Add(1)
	private(ctx)
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(why + "\n")
}

// private keeps an answer out of caches and from being read as another type.
func private(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Referrer-Policy", "same-origin")
}

// sameOrigin reports whether a request was made by a page of this origin, or by
// the visitor, or by what is no browser: a browser says Sec-Fetch-Site, or at
// least Origin, with every POST that a foreign page could make it send.
func sameOrigin(ctx *fasthttp.RequestCtx, host string) bool {
	h := &ctx.Request.Header
	switch site := string(h.Peek("Sec-Fetch-Site")); site {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := h.Peek("Origin")
	if len(origin) == 0 {
		return true
	}
	u, err := url.Parse(string(origin))
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Path == "" && u.RawQuery == "" && strings.EqualFold(u.Host, host)
}

var errTooLarge = errors.New("banner: body is too large")

// body returns the request's body if it has at most max bytes.
func body(ctx *fasthttp.RequestCtx, max int) ([]byte, error) {
	if ctx.Request.Header.ContentLength() > max {
		return nil, errTooLarge
	}
	if !ctx.Request.IsBodyStream() {
		if data := ctx.PostBody(); len(data) <= max {
			return data, nil
		}
		return nil, errTooLarge
	}
	data, err := io.ReadAll(io.LimitReader(ctx.RequestBodyStream(), int64(max)+1))
	if err == nil && len(data) > max {
		err = errTooLarge
	}
	return data, err
}

// readBody is body for handlers: it answers 413 or 400 itself, and then
// reports false. The connection is closed, for the rest is not read.
func (b *Banner) readBody(ctx *fasthttp.RequestCtx, max int) ([]byte, bool) {
	data, err := body(ctx, max)
	switch {
	case err == nil:
		return data, true
	case errors.Is(err, errTooLarge):
		b.refuse(ctx, fasthttp.StatusRequestEntityTooLarge, "the body is too large")
	default:
		b.refuse(ctx, fasthttp.StatusBadRequest, "the body did not arrive whole")
	}
	ctx.SetConnectionClose()
	return nil, false
}

// mediaType returns the request's media type in lower case, without parameters.
func mediaType(ctx *fasthttp.RequestCtx) string {
	t, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), semicolon)
	return strings.ToLower(string(bytes.TrimSpace(t)))
}

// local returns a return address if it is a path on this origin, "/" if not. A
// browser would read // and /\ as another host, and drops tabs and newlines
// before it looks.
func local(uri string) string {
	if !isLocal(uri) {
		return "/"
	}
	return uri
}

func isLocal(uri string) bool {
	if len(uri) == 0 || len(uri) > maxReturn || uri[0] != '/' {
		return false
	}
	if len(uri) > 1 && uri[1] == '/' {
		return false
	}
	for i := 0; i < len(uri); i++ {
		if c := uri[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// seeOther sends a form's sender on to a path of this origin.
func seeOther(ctx *fasthttp.RequestCtx, path string) {
	// Set, not Redirect: that would make an absolute address of what the
	// proxy takes for the host.
	ctx.Response.Header.Set("Location", path)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

func (b *Banner) serveGPC(ctx *fasthttp.RequestCtx, _ *Visit) {
	ctx.Response.Header.Set("Cache-Control", "public, max-age=86400")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.SetContentType("application/json")
	ctx.SetBodyString(`{"gpc":true,"lastUpdate":"2026-11-23"}` + "\n")
}
