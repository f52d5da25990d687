package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
)

//go:embed dist/guard.js
var guardBundle []byte

// asset is a file that never changes under its address.
type asset struct {
	url       string
	integrity string
	body      []byte
	// brotli and gzip return the body in these encodings, compressed as well
	// as can be, the first time that one is asked for.
	brotli, gzip func() []byte
}

// newGuard puts the rules in front of the guard's bundle.
func newGuard(prefix string, e *rules.Engine) *asset {
	body := append([]byte(nil), "self.__askfirst_rules="...)
	table := len(body)
	body = e.AppendTable(body)
	if len(body) == table {
		body = append(body, "{}"...)
	}
	body = append(body, ";\n"...)
	body = append(body, guardBundle...)
	name := sha256.Sum256(body)
	sum := sha512.Sum384(body)
	return &asset{
		url:       prefix + "guard." + base64.RawURLEncoding.EncodeToString(name[:12]) + ".js",
		integrity: "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
		body:      body,
		brotli: sync.OnceValue(func() []byte {
			var out bytes.Buffer
			w := brotli.NewWriterLevel(&out, brotli.BestCompression)
			w.Write(body)
			w.Close()
			return out.Bytes()
		}),
		gzip: sync.OnceValue(func() []byte {
			var out bytes.Buffer
			w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
			w.Write(body)
			w.Close()
			return out.Bytes()
		}),
	}
}

const yearInSeconds = "31536000"

func (b *Banner) serveGuard(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetContentType("text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age="+yearInSeconds+", immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	accept := ctx.Request.Header.Peek("Accept-Encoding")
	switch {
	case accepts(accept, "br"):
		h.SetContentEncoding("br")
		ctx.Response.SetBodyRaw(b.guard.brotli())
	case accepts(accept, "gzip"):
		h.SetContentEncoding("gzip")
		ctx.Response.SetBodyRaw(b.guard.gzip())
	default:
		ctx.Response.SetBodyRaw(b.guard.body)
	}
}

// accepts reports whether an Accept-Encoding field names a coding with a weight
// above zero.
func accepts(field []byte, coding string) bool {
	for len(field) > 0 {
		var item []byte
		item, field, _ = bytes.Cut(field, comma)
		name, params, _ := bytes.Cut(item, semicolon)
		if bytes.EqualFold(bytes.TrimSpace(name), []byte(coding)) {
			return quality(params) > 0
		}
	}
	return false
}
