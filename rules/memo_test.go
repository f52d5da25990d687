package rules

import (
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestRemembered demands that a reference is decided about as it would be if nothing
// were remembered, whatever was asked before by pages that share an engine.
func TestRemembered(t *testing.T) {
	lists := []List{{Name: "l", Format: FormatABP, Category: consent.Marketing, Text: []byte(
		"/contact.html$script\n||cdnjs.cloudflare.com^$image,domain=shop.example\n/wp-content/$third-party,domain=~other.example\n|https://shop.example|$ping\n")}}
	overrides := []Override{{URL: "self/uploads", Category: consent.Functional, Pages: "/blog/*"}, {Domain: "brand.example", Category: consent.Social, Pages: "/"}}
	pages := []struct{ url, base string }{
		{"https://shop.example/", ""},
		{"https://shop.example/?q=1", ""},
		{"https://shop.example/blog/post.html", ""},
		{"http://shop.example/blog/post.html", ""},
		{"https://www.shop.example/blog/", "https://static.wixstatic.example/wp-content/"},
		{"https://www.shop.example/blog/", "https://shop.example"},
		{"https://www.shop.example/blog/", "https://other.example"},
		{"https://other.example/", "https://www.shop.example/blog/"},
		{"https://127.0.0.1/", ""},
		{"no address", ""},
	}
	refs := append(pageURLs(t)[:60:60], [][]byte{
		[]byte("https://shop.example"), []byte("https://other.example"), []byte("https://www.shop.example"), []byte("https:uploads/a.png"),
		[]byte("uploads/a.png"), []byte("/uploads/a.png"), []byte("../uploads/a.png"), []byte("?ev=1&id=2&rl=3"), []byte(" /contact.html"), []byte("#a"), []byte(""), []byte("data:,"),
		[]byte("//media.brand.example/wp-content/a"), []byte("/\t/tracker.brand.example/contact.html"),
	}...)
	for name, options := range map[string]Options{
		"catalogue":           {},
		"lists":               {Lists: lists},
		"lists and overrides": {Lists: lists, Overrides: overrides},
	} {
		e := newEngine(t, options)
		remembered := e.quiet
		ps := make([]Page, len(pages))
		for round := range 2 {
			for i, page := range pages {
				p := &ps[i]
				p.Reset([]byte(page.url))
				if page.base != "" {
					p.SetBase([]byte(page.base))
				}
				for _, ref := range refs {
					for k := range kinds {
						for _, s := range [...]Sign{0, Tiny, Noscript} {
							d := e.URLWith(p, ref, k, s)
							host, path := p.Target()
							target := string(host) + string(path)
							e.quiet = nil
							want := e.URLWith(p, ref, k, s)
							e.quiet = remembered
							if host, path = p.Target(); d != want || target != string(host)+string(path) {
								t.Fatalf("%s, round %d: %q of %s, base %q, as %v with %v: %v at %q, want %v at %q%q",
									name, round, ref, page.url, page.base, k, s, d, target, want, host, path)
							}
						}
					}
				}
			}
		}
	}
}
