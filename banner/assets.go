package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
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

//go:embed dist/boxes.js
var boxesBundle []byte

// asset is a file that never changes under its address.
type asset struct {
	url       string
	integrity string
	*content
}

// assets are what runs in pages: the guard with the base of the rules, which
// all pages wait for, the script of the boxes, and the parts of the rules, by
// their names, which the guard asks for when it meets what they are about.
type assets struct {
	guard    asset
	boxes    *content // under the guard's address but for its first word
	parts    map[string]*content
	revision string // of the parts
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
var contents, _ = lru.New[[sha256.Size]byte, *content](512)

func contentOf(body []byte) *content {
	sum := sha256.Sum256(body)
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

// newAssets puts the base of the rules and what the page must know of s in front
// of the guard's bundle, and after it that of the IAB's interfaces, where s has
// one.
func newAssets(prefix string, e *rules.Engine, s *Signals) assets {
	table := e.Table()
	body := append([]byte(nil), "self.__askfirst_rules="...)
	body = append(body, table.Base...)
	body = append(body, ";\n"...)
	body = s.appendSettings(body)
	body = append(body, guardBundle...)
	if s.TCF != nil || s.GPP != nil {
		body = append(append(body, ";\n"...), iabBundle...)
	}
	name := sha256.Sum256(slices.Concat(body, boxesBundle))
	integrity := sha512.Sum384(body)
	a := assets{
		guard: asset{
			url:       prefix + "guard." + base64.RawURLEncoding.EncodeToString(name[:12]) + ".js",
			integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]),
			content:   contentOf(body),
		},
		boxes:    contentOf(boxesBundle),
		parts:    make(map[string]*content, len(table.Parts)),
		revision: table.Revision,
	}
	for part, text := range table.Parts {
		a.parts[part] = contentOf(text)
	}
	return a
}

// find returns what an address below the prefix is, nil for nothing. current is
// false where the address is that of another build: another proxy, of before or
// after an update, may have made the page, and the page may not run without its
// guard.
func (a *assets) find(name string) (c *content, mediaType string, current bool) {
	file, revision, rest := cutAsset(name)
	switch {
	case file == "guard" && rest == "js":
		return a.guard.content, "text/javascript; charset=utf-8", strings.HasSuffix(a.guard.url, "."+revision+".js")
	case file == "boxes" && rest == "js":
		return a.boxes, "text/javascript; charset=utf-8", strings.HasSuffix(a.guard.url, "."+revision+".js")
	case file == "rules" && strings.HasSuffix(rest, ".json"):
		return a.parts[strings.TrimSuffix(rest, ".json")], "application/json", revision == a.revision
	}
	return nil, "", false
}

// cutAsset cuts file.revision.rest.
func cutAsset(name string) (file, revision, rest string) {
	file, rest, _ = strings.Cut(name, ".")
	revision, rest, _ = strings.Cut(rest, ".")
	return file, revision, rest
}

const yearInSeconds = "31536000"

// serveAsset answers with a file that never changes, in the shortest encoding
// that the browser takes. What is not what its address says is not to be kept.
func serveAsset(ctx *fasthttp.RequestCtx, c *content, mediaType string, current bool) {
	h := &ctx.Response.Header
	h.SetContentType(mediaType)
	if current {
		h.Set("Cache-Control", "public, max-age="+yearInSeconds+", immutable")
	} else {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	accept := ctx.Request.Header.Peek("Accept-Encoding")
	switch {
	case accepts(accept, "br"):
		h.SetContentEncoding("br")
		ctx.Response.SetBodyRaw(c.brotli())
	case accepts(accept, "gzip"):
		h.SetContentEncoding("gzip")
		ctx.Response.SetBodyRaw(c.gzip())
	default:
		ctx.Response.SetBodyRaw(c.body)
	}
}

// decision is the engine's as the guard reads it.
type decision struct {
	Category string  `json:"category"`
	Vendor   *[3]any `json:"vendor"` // ID, category and 1 for a container
	Party    string  `json:"party"`
	Never    bool    `json:"never"`
	Ruled    bool    `json:"ruled"`
}

// serveDecision answers the guard about one address that it cannot decide about
// itself: the operator has lists, or aliases in DNS are looked at.
func (b *Banner) serveDecision(ctx *fasthttp.RequestCtx, v *Visit) {
	args := ctx.QueryArgs()
	kind, known := rules.ParseKind(args.Peek("kind"))
	page := string(args.Peek("page"))
	if !known || !isLocal(page) {
		b.refuse(ctx, fasthttp.StatusBadRequest, "want kind, page and url")
		return
	}
	var sign rules.Sign
	switch string(args.Peek("unseen")) {
	case "tiny":
		sign = rules.Tiny
	case "hidden":
		sign = rules.Hidden
	}
	var p rules.Page
	p.Reset([]byte(origin(v) + page))
	d := b.engine.URLWith(&p, args.Peek("url"), kind, sign)
	answer := decision{Category: d.Category.String(), Party: d.Party.String(), Never: d.Never, Ruled: d.Rule != nil}
	if d.Vendor != nil {
		container := 0
		if d.Vendor.Container {
			container = 1
		}
		answer.Vendor = &[3]any{d.Vendor.ID, d.Vendor.Category.String(), container}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		b.refuse(ctx, fasthttp.StatusInternalServerError, "the answer could not be written")
		return
	}
	private(ctx)
	ctx.Response.Header.Set("Cache-Control", "private, max-age=300")
	ctx.SetContentType("application/json")
	ctx.SetBody(text)
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
