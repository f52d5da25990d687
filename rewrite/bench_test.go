package rewrite

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/html"

	"github.com/askfirst/askfirst/rules/consent"
)

// shopPage makes a page of about size bytes as shops, magazines and blogs send
// them: long class lists, inline JSON and scripts, a style element, images with
// srcset, links, and the tags of a dozen vendors. The same size gives the same
// page.
func shopPage(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var b bytes.Buffer
	words := []string{"autumn", "sale", "leather", "delivery", "free", "returns", "within", "thirty", "days", "colour", "the", "of", "and", "our"}
	text := func(n int) {
		for range n {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
	}
	b.WriteString(`<!DOCTYPE html><html lang="en" class="no-js"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="preconnect" href="https://fonts.gstatic.com" crossorigin>
<link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Inter:wght@400;700&display=swap"><link rel="stylesheet" href="/assets/app-3f9c.css">
<script async src="https://www.googletagmanager.com/gtag/js?id=G-ABC123"></script>
<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments);}gtag('js',new Date());gtag('config','G-ABC123');</script>
<style>`)
	for i := range size / 4000 {
		fmt.Fprintf(&b, ".c-card--%d{display:grid;padding:%dpx;background:#fff url(/img/%d.svg) no-repeat}\n@media (min-width:%dem){.c-card__title{font:700 1rem/1.5 Inter,sans-serif}}\n", i, i%64, i, 40+i)
	}
	b.WriteString(`</style></head><body class="template-index is-loading">`)
	b.WriteString(`<noscript><img height="1" width="1" style="display:none" src="https://www.facebook.com/tr?id=1&ev=PageView&noscript=1"/></noscript>`)
	for i := 0; b.Len() < size*7/10; i++ {
		fmt.Fprintf(&b, `<article class="c-card c-card--%d flex flex-col md:w-1/3 px-4 py-2 hover:shadow-lg" id="product-%d" data-sku="SKU-%06d" itemscope>`, i, i, r.IntN(1e6))
		fmt.Fprintf(&b, `<a class="c-card__link block" href="/products/%d?variant=%d&amp;utm_source=home"><picture><source srcset="/cdn/p/%d_400.webp 400w, /cdn/p/%d_800.webp 800w" type="image/webp"><img class="c-card__image lazyload" loading="lazy" width="400" height="400" alt="Leather shoe" src="/cdn/p/%d_400.jpg"></picture></a>`, i, i*7, i, i, i)
		b.WriteString(`<h3 class="c-card__title text-base font-bold">`)
		text(5)
		b.WriteString(`</h3><p class="c-card__text text-sm leading-6 text-gray-700">`)
		text(30)
		b.WriteString("</p><ul class=\"c-card__sizes\">\n")
		for k := range 4 {
			fmt.Fprintf(&b, "<li class=\"c-size\"><button type=\"button\" class=\"btn btn--small\" data-size=\"%d\" aria-label=\"Size %d\">%d</button></li>\n", 38+k, 38+k, 38+k)
		}
		b.WriteString("</ul></article>\n")
		switch i % 12 {
		case 3:
			fmt.Fprintf(&b, `<div class="video"><iframe width="560" height="315" src="https://www.youtube.com/embed/v%d" title="Video" allowfullscreen></iframe></div>`, i)
		case 7:
			b.WriteString(`<div class="fb-like" data-href="https://shop.example/" data-layout="button_count"></div><img src="https://www.facebook.com/tr?id=1&amp;ev=ViewContent" width="1" height="1" alt="">`)
		case 11:
			b.WriteString("<!-- promotion -->\n<script>window.promo=window.promo||[];promo.push({slot:'inline',size:[300,250]});</script>\n")
		}
	}
	b.WriteString(`<script id="__NEXT_DATA__" type="application/json">{"props":[`)
	for i := 0; b.Len() < size*85/100; i++ {
		fmt.Fprintf(&b, `{"id":%d,"title":"Leather shoe","price":{"amount":%d,"currency":"EUR"},"html":"<p>Fine<\/p>"},`, i, r.IntN(9999))
	}
	b.WriteString("null]}</script><script>!function(){")
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "var t%d=document.querySelector('.c-card--%d');if(t%d&&t%d.dataset.sku){t%d.addEventListener('click',function(e){e.preventDefault();open%d(e.target)})}\n", i, i, i, i, i, i)
	}
	b.WriteString(`}();</script><script src="https://static.hotjar.com/c/hotjar-1.js?sv=6" async></script></body></html>`)
	return b.Bytes()
}

// benchPages are the pages to measure with: generated ones, or the files of
// ASKFIRST_PAGES, a glob pattern.
func benchPages(tb testing.TB) [][]byte {
	if pattern := os.Getenv("ASKFIRST_PAGES"); pattern != "" {
		files, err := filepath.Glob(pattern)
		if err != nil {
			tb.Fatal(err)
		}
		var pages [][]byte
		for _, name := range files {
			page, err := os.ReadFile(name)
			if err != nil {
				tb.Fatal(err)
			}
			if len(page) >= 50<<10 && len(page) <= 900<<10 {
				pages = append(pages, page)
			}
		}
		return pages
	}
	return [][]byte{shopPage(60 << 10), shopPage(200 << 10), shopPage(600 << 10)}
}

func BenchmarkRewrite(b *testing.B) {
	pages := benchPages(b)
	total := 0
	for _, p := range pages {
		total += len(p)
	}
	run := func(name string, doc *Document) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range pages {
					rw := Acquire(io.Discard, doc)
					rw.Write(p)
					rw.Close()
					Release(rw)
				}
			}
		})
	}
	run("held", document(0))
	run("granted", document(consent.All))
	seen := document(0)
	seen.Seen = func(*Tag) {}
	run("seen", seen)
}

// BenchmarkTokenizer is what the tokenizer of golang.org/x/net/html takes for
// the same pages, without any rules.
func BenchmarkTokenizer(b *testing.B) {
	pages := benchPages(b)
	total := 0
	for _, p := range pages {
		total += len(p)
	}
	b.SetBytes(int64(total))
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range pages {
			z := html.NewTokenizer(bytes.NewReader(p))
			for z.Next() != html.ErrorToken {
				if _, more := z.TagName(); more {
					for more {
						_, _, more = z.TagAttr()
					}
				}
			}
		}
	}
}

func appendNothing(dst, _ []byte) []byte { return dst }
