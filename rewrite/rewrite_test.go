package rewrite

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// engine is made once for all tests.
var engine = sync.OnceValue(func() *rules.Engine {
	e, err := rules.New(rules.Options{})
	if err != nil {
		panic(err)
	}
	return e
})

func document(granted consent.Set) *Document {
	return &Document{Rules: engine(), URL: []byte("https://shop.example/blog/post"), Granted: granted}
}

// hooked is a document with hooks that write what is easily found.
func hooked(granted consent.Set) *Document {
	d := document(granted)
	d.Head = func(dst, lang []byte) []byte { return fmt.Appendf(dst, "<!--HEAD %s-->", lang) }
	d.Foot = func(dst, lang []byte) []byte { return fmt.Appendf(dst, "<!--FOOT %s-->", lang) }
	d.Placeholder = func(dst, lang []byte, b *Box) []byte {
		vendor := ""
		if b.Vendor != nil {
			vendor = b.Vendor.ID
		}
		return fmt.Appendf(dst, `<askfirst-placeholder data-vendor="%s" data-category="%s" data-box="%s %s×%s">`,
			vendor, b.Category, b.Element, b.Width, b.Height)
	}
	return d
}

// rewritten returns page as doc rewrites it, written in chunks of n bytes; 0 is
// all at once.
func rewritten(t testing.TB, doc *Document, page []byte, n int) []byte {
	var out bytes.Buffer
	rw := Acquire(&out, doc)
	defer Release(rw)
	if n == 0 {
		n = len(page) + 1
	}
	for p := page; len(p) > 0; p = p[min(n, len(p)):] {
		if _, err := rw.Write(p[:min(n, len(p))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := rw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const typical = `<!doctype html><html lang=en><head><title>a</title><link rel=preconnect href=https://www.google-analytics.com><script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
<script>window.dataLayer=[];gtag('config','G-123');function gtag(){dataLayer.push(arguments)}</script></head><body>
<img src=https://www.facebook.com/tr?id=1&ev=PageView height=1><noscript><img src="https://www.facebook.com/tr?id=1&ev=PageView"></noscript>
<iframe width=560 height=315 src="https://www.youtube.com/embed/x" title="t"></iframe><div class="fb-like x" data-a=></div>
<!-- a comment > --!><style>@import "https://fonts.googleapis.com/css?x";</style>
<img srcset="https://www.facebook.com/tr?id=1 2x" src=/a.png foo=><script><!-- <script> </script> --></script>
</body></html>`

func TestChunks(t *testing.T) {
	want := rewritten(t, hooked(0), []byte(typical), 0)
	for n := 1; n < len(typical); n++ {
		if got := rewritten(t, hooked(0), []byte(typical), n); !bytes.Equal(got, want) {
			t.Fatalf("chunks of %d:\n%s\nwant\n%s", n, got, want)
		}
	}
}

// TestRefreshEndsInTwoWays holds where either reading of an address in quotes leads to
// somebody else: up to the first quote of its kind, or to the last, as in Chromium.
func TestRefreshEndsInTwoWays(t *testing.T) {
	for content, isHeld := range map[string]bool{
		`0;url='//www.facebook.com'@shop.example/'`: true,
		`0;url='//shop.example'@www.facebook.com/'`: true,
		`0;url='//shop.example/'//www.facebook.com`: false,
		`0;url='/next`: false,
	} {
		page := `<meta http-equiv="refresh" content="` + content + `">`
		if out := string(rewritten(t, document(0), []byte(page), 0)); (out != page) != isHeld {
			t.Errorf("%s: %s", page, out)
		}
	}
}
