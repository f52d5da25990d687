package banner

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// page is what the templates of whole pages are given.
type page struct {
	language  *language
	T         texts
	Lang      string
	Title     string
	Prefix    string
	PolicyURL string
	CSS       string
	Heading   string
	Lead      string
	// Return is the way back to where the visitor was.
	Return string
	// Current is the page's own name below the prefix.
	Current string
	Body    any
}

// newPage fills in what all pages share. Own pages have no <html lang> to go by
// but one that a link may have brought along.
func (b *Banner) newPage(ctx *fasthttp.RequestCtx, v *Visit, name string) *page {
	p := b.pageIn(b.pageLanguage(ctx), v, name)
	p.Return = local(string(ctx.QueryArgs().Peek("return")))
	return p
}

func (b *Banner) pageLanguage(ctx *fasthttp.RequestCtx) int {
	return b.languages.choose(ctx.QueryArgs().Peek("language"), ctx.Request.Header.Peek("Accept-Language"))
}

// pageIn is a page in a language, as somebody sees it who came from the front
// page.
func (b *Banner) pageIn(language int, v *Visit, name string) *page {
	l := &b.languages.list[language]
	return &page{
		language: l, T: l.texts, Lang: l.tag, Title: cmp.Or(b.o.Title, b.site([]byte(v.Host))), Prefix: b.o.Prefix, PolicyURL: b.o.PolicyURL,
		Return: "/", Current: name,
	}
}

// renderPage makes the markup of a page.
func (b *Banner) renderPage(p *page) ([]byte, error) {
	var markup bytes.Buffer
	if err := templates.ExecuteTemplate(&markup, p.Current+".html", p); err != nil {
		return nil, err
	}
	return bytes.Replace(markup.Bytes(), []byte("<style></style>"), []byte("<style>"+b.pageCSS+"</style>"), 1), nil
}

// servePage answers with a whole page. It loads nothing and runs nothing.
func (b *Banner) servePage(ctx *fasthttp.RequestCtx, p *page) {
	markup, err := b.renderPage(p)
	if err != nil {
		b.log.Error("banner: render", "template", p.Current, "error", err)
		b.refuse(ctx, fasthttp.StatusInternalServerError, "this page could not be made")
		return
	}
	private(ctx)
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+styleHash(b.pageCSS)+"; form-action 'self'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("Vary", "Accept-Language, Cookie")
	h.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(markup)
}

// moment writes a time as everybody can read it: ISO 8601, in UTC.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// agreed names the categories of a set.
func agreed(t texts, s consent.Set) string {
	var names []string
	for _, c := range s.Categories() {
		names = append(names, t[c.String()])
	}
	if names == nil {
		return t["agreed_none"]
	}
	return strings.Join(names, ", ")
}
