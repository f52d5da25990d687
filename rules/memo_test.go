package rules

import (
	"fmt"
	"strings"
	"sync"
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
		{"https://shop.example/", "https://x.example/a.gif"},
		{"https://shop.example/", "https://x.example/a.gif?uid=abcdef0123456789abcdef0123456789abcdef0123456789"},
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
		remembered := e.answers
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
							e.answers = nil
							want := e.URLWith(p, ref, k, s)
							e.answers = remembered
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

// TestRememberedTogether has several pages ask one engine at once.
func TestRememberedTogether(t *testing.T) {
	e := newEngine(t, Options{})
	urls := append(pageURLs(t), []byte("https://www.googletagmanager.com/gtm.js?id=GTM-1"), []byte("https://www.google-analytics.com/collect?v=2"), []byte("https://connect.facebook.net/en_US/fbevents.js"))
	var pages sync.WaitGroup
	for n := range 4 {
		pages.Go(func() {
			p := newPage(fmt.Sprintf("https://shop%d.example/", n%2))
			for range 3 {
				for _, u := range urls {
					d, party := e.URL(p, u, Script), p.resolve(u)
					p.readLabels()
					if want := e.decide(p, party, Script, 0, nil); d != want {
						t.Errorf("%s: %v, want %v", u, d, want)
					}
				}
			}
		})
	}
	pages.Wait()
}

// TestPageIsReusedAfterALongBase, as it is for the next page of any site.
func TestPageIsReusedAfterALongBase(t *testing.T) {
	var p Page
	for _, base := range []string{"https://a.example/" + strings.Repeat("x", 5000), "https://b.example/", ""} {
		p.Reset([]byte("https://shop.example/"))
		p.SetBase([]byte(base))
		if got := p.resolve([]byte("y.js")); (got == ThirdParty) != (base != "") {
			t.Errorf("%.20s: party %v", base, got)
		}
	}
}
