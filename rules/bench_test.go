package rules

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// pageURLs are references as pages have them, of which the catalogue knows few.
func pageURLs(t testing.TB) [][]byte {
	text, err := os.ReadFile("testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

func newPage(url string) *Page {
	var p Page
	p.Reset([]byte(url))
	return &p
}

func BenchmarkURL(b *testing.B) {
	e := newEngine(b, Options{})
	p := newPage("https://www.shop.example/blog/post.html")
	urls := pageURLs(b)
	run := func(name string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e.URL(p, urls[i], Image)
				if i++; i == len(urls) {
					i = 0
				}
			}
		})
	}
	run("remembered")
	e.answers = nil
	run("never met")
}

func BenchmarkURLRead(b *testing.B) {
	p := newPage("https://www.shop.example/blog/post.html")
	urls := pageURLs(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.resolve(urls[i])
		if i++; i == len(urls) {
			i = 0
		}
	}
}

// quietCode is a script in which nothing matches.
func quietCode() []byte {
	return []byte(strings.Repeat("(function(){var list=document.querySelectorAll('.menu li a');for(var i=0;i<list.length;i++){list[i].addEventListener('click',function(event){event.preventDefault();this.classList.toggle('open');window.location.hash=this.getAttribute('href')})}})();\n", 100))
}

func BenchmarkInline(b *testing.B) {
	e := newEngine(b, Options{})
	p := newPage("https://www.shop.example/")
	code := quietCode()
	run := func(name string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(code)))
			b.ReportAllocs()
			for b.Loop() {
				if e.Inline(p, code).Rule != nil {
					b.Fatal("matches")
				}
			}
		})
	}
	run("remembered")
	e.catalogue.inline.known = nil
	run("never met")
}

func BenchmarkCookie(b *testing.B) {
	e := newEngine(b, Options{})
	names := [][]byte{[]byte("_ga_ABC123"), []byte("session"), []byte("wordpress_logged_in_0123456789abcdef"), []byte("_fbp")}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.Cookie(names[i%4])
		i++
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	e := newEngine(b, Options{})
	n := 0
	for b.Loop() {
		n = len(e.newTable().Base)
	}
	b.ReportMetric(float64(n), "bytes")
}

func TestAllocations(t *testing.T) {
	e := newEngine(t, Options{})
	p := newPage("https://www.shop.example/blog/post.html")
	urls, code := pageURLs(t), quietCode()
	address := []byte("https://www.shop.example/blog/post.html")
	cases := map[string]func(){
		"URL": func() {
			for _, u := range urls {
				e.URL(p, u, Image)
			}
		},
		"Reset": func() { p.Reset(address) },
		"Inline": func() {
			e.Inline(p, code)
			e.Inline(p, []byte("gtag('js',new Date());gtag('config','G-ABC123');"))
		},
		"Cookie":  func() { e.Cookie([]byte("_ga_ABC123")); e.Cookie([]byte("session")) },
		"Storage": func() { e.Storage([]byte("_hjSession_1")) },
		"marks": func() {
			e.Class([]byte("fb-like"))
			e.ID([]byte("disqus_thread"))
			e.Element([]byte("div"))
			e.Attribute([]byte("data-pin-do"), []byte("embedPin"))
		},
	}
	for name, f := range cases {
		f()
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
