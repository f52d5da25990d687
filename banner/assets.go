package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"sync"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
)

//go:embed dist/guard.js
var guardBundle []byte

//go:embed dist/iab.js
var iabBundle []byte

// asset is a file that never changes under its address.
type asset struct {
	url       string
	integrity string
	*content
}

// content is what an asset holds, and its encodings.
type content struct {
	body []byte
	gzip func() []byte
	// quick is in Brotli, made in milliseconds for the first who ask; best
	// takes seconds, and is nil until it is there.
	quick func() []byte
	best  atomic.Pointer[[]byte]
	begin sync.Once
}

// contents are shared by all banners that serve the same bytes: sites with one
// set of rules, and a site before and after a reload. They are a cache only.
var contents, _ = lru.New[[sha256.Size]byte, *content](16)

func contentOf(sum [sha256.Size]byte, body []byte) *content {
	if c, ok := contents.Get(sum); ok {
		return c
	}
	c := &content{
		body:  body,
		gzip:  sync.OnceValue(func() []byte { return gzipped(body) }),
		quick: sync.OnceValue(func() []byte { return brotlied(body, 4) }),
	}
	contents.Add(sum, c)
	return c
}

// brotli returns the body in Brotli, as small as it has become so far.
func (c *content) brotli() []byte {
	if best := c.best.Load(); best != nil {
		return *best
	}
	c.begin.Do(func() {
		go func() {
			best := brotlied(c.body, brotli.BestCompression)
			c.best.Store(&best)
		}()
	})
	return c.quick()
}

func brotlied(body []byte, level int) []byte {
	var out bytes.Buffer
	w := brotli.NewWriterLevel(&out, level)
	w.Write(body)
	w.Close()
	return out.Bytes()
}

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	w.Write(body)
	w.Close()
	return out.Bytes()
}

// newGuard puts the rules and what the page must know of s in front of the
// guard's bundle, and after it that of the IAB's interfaces, where s has one.
func newGuard(prefix string, e *rules.Engine, s *Signals) *asset {
	body := append([]byte(nil), "self.__askfirst_rules="...)
	body = e.AppendTable(body)
	body = append(body, ";\n"...)
	body = s.appendSettings(body)
	body = append(body, guardBundle...)
	if s.TCF != nil || s.GPP != nil {
		body = append(body, iabBundle...)
	}
	name := sha256.Sum256(body)
	integrity := sha512.Sum384(body)
	return &asset{
		url:       prefix + "guard." + base64.RawURLEncoding.EncodeToString(name[:12]) + ".js",
		integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]),
		content:   contentOf(name, body),
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
