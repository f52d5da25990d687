package rewrite

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/askfirst/askfirst/rewrite/scan"
)

// endless are pages that never come to an end of something: what comes before
// it, a piece to repeat, and what comes after.
var endless = map[string][3]string{
	"text":             {"<p>", "some text ", "</p>"},
	"tags":             {"<div>", `<img src="https://www.facebook.com/tr?id=1" class="a b">`, "</div>"},
	"attribute":        {`<img alt="`, "abcdefgh", `" src="https://www.facebook.com/tr?id=1"><p>after`},
	"attribute name":   {"<img ", "abcdefgh", ` src="https://www.facebook.com/tr?id=1"><p>after`},
	"attributes":       {"<img ", "a b=c d='e' ", `src="https://www.facebook.com/tr?id=1"><p>after`},
	"tag name":         {"<", "abcdefgh", "><p>after"},
	"end tag":          {"</p ", "a b=c ", "><p>after"},
	"script tag":       {"<script ", "a b=c ", ">document.write('<img src=https://www.facebook.com/tr?id=1>')</script><p>after"},
	"inline script":    {"<script>", "var a='<b>';\n", "fbq('init','1');fbq('track','PageView')</script><p>after"},
	"escaped script":   {"<script><!--", "<script>-->", "fbq('init','1')</script><p>after"}, // its end alone would look live
	"external script":  {`<script src="/own.js">`, "var a;\n", "</script><p>after"},
	"JSON":             {`<script type="application/json">`, "[1,2,3],", "</script><p>after"},
	"style":            {"<style>", "a{color:red}", "@import 'https://www.facebook.com/tr?id=1'</style><p>after"},
	"noscript":         {"<noscript>", "<p>a</p>", "<img src=https://www.facebook.com/tr?id=1></noscript><p>after"},
	"comment":          {"<!--", "- -> --! ", "--><p>after"},
	"bogus comment":    {"<!", "abc ", "><p>after"},
	"CDATA":            {"<svg><![CDATA[", "]] ]> > ", "]]></svg><p>after"},
	"textarea":         {"<textarea>", "</textare <", "</textarea><p>after"},
	"plaintext":        {"<plaintext>", "<p>", "<p>after"},
	"foreign elements": {"<svg>", "<g><a>", "</svg><p>after"},
	"foreign style":    {"<svg><style>", "a{color:red}", "@import 'https://www.facebook.com/tr?id=1'</style></svg><p>after"},
	"foreign CDATA":    {"<svg><style><![CDATA[", "</style><a>", "]]></style></svg><p>after"},
	"tags in CDATA":    {"<svg><![CDATA[>", "<a", ">]]></svg><p>after"},
	"foreign title":    {"<svg><title>", "<!--</title>-->", "</title></svg><p>after"},
	"foreign comment":  {"<svg><title><!--", "</title><a>", "--></title></svg><p>after"},
	"foreign script":   {"<svg><script type=a>", "<![CDATA[></script><a>]]>", "</script></svg><p>after"},
	"nested boxes":     {"", `<object data="https://www.youtube.com/embed/x">`, "<p>after"},
	"nested documents": {"", `<iframe srcdoc="<noscript><img src=https://www.facebook.com/tr?id=1>"></iframe>`, "<p>after"},
}

// long are those of endless that are kept back, and so run for 200 MB.
var long = map[string]bool{"attribute": true, "inline script": true, "style": true, "noscript": true, "text": true, "tag name": true, "CDATA": true, "attribute name": true, "script tag": true}

// TestEndless rewrites much of each, and checks that memory stays within 4 MiB
// of what it was, and that nothing the rules hold comes out live.
func TestEndless(t *testing.T) {
	for name, parts := range endless {
		t.Run(name, func(t *testing.T) {
			size := 12 << 20
			if long[name] && !testing.Short() {
				size = 200 << 20
			}
			piece := bytes.Repeat([]byte(parts[1]), 32<<10/len(parts[1])+1)
			var tail tailWriter
			engine()
			before := heldBytes()
			rw := Acquire(&tail, document(0))
			rw.Write([]byte(parts[0]))
			most := before
			for n := 0; n < size; n += len(piece) {
				if _, err := rw.Write(piece); err != nil {
					t.Fatal(err)
				}
				if n>>24 != (n+len(piece))>>24 || n < 8<<20 {
					most = max(most, heldBytes())
				}
			}
			rw.Write([]byte(parts[2]))
			rw.Close()
			Release(rw)
			t.Logf("%d MB, at most %d KiB above baseline", size>>20, (most-before)>>10)
			if most > before+4<<20 {
				t.Errorf("%d KiB above baseline", (most-before)>>10)
			}
			o := newOracle()
			o.parse(tail.last(), true)
			o.parse(tail.last(), false)
			if len(o.found) > 0 {
				t.Errorf("live: %q at the end of %q", o.found, tail.last())
			}
			if strings.HasSuffix(parts[2], "<p>after") && !bytes.HasSuffix(tail.last(), []byte("<p>after")) {
				t.Errorf("ends in %q", tail.last())
			}
		})
	}
}

// heldBytes collects and returns what is held then: how much garbage lies about
// is the collector's and the pools' affair.
func heldBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestLimitChunks checks that what is just within the limit, and just beyond,
// comes out the same however it is cut.
func TestLimitChunks(t *testing.T) {
	for name, parts := range endless {
		if parts[0] == "" || name == "tags" || name == "foreign elements" {
			continue
		}
		for _, size := range []int{Limit - 2000, Limit - len(parts[0]), Limit + 2000} {
			page := []byte(parts[0])
			page = append(page, bytes.Repeat([]byte(parts[1]), size/len(parts[1]))...)
			page = append(page, parts[2]...)
			whole := rewritten(t, document(0), page, 0)
			for _, chunk := range []int{1000, 32 << 10, 1<<20 + 7} {
				if got := rewritten(t, document(0), page, chunk); !bytes.Equal(got, whole) {
					t.Errorf("%s of %d in chunks of %d: %d bytes, whole %d", name, size, chunk, len(got), len(whole))
				}
			}
		}
	}
}

// tailWriter keeps the last few hundred bytes that are written to it.
type tailWriter struct{ kept [4096]byte }

func (w *tailWriter) Write(p []byte) (int, error) {
	if len(p) >= len(w.kept) {
		copy(w.kept[:], p[len(p)-len(w.kept):])
		return len(p), nil
	}
	copy(w.kept[:], w.kept[len(p):])
	copy(w.kept[len(w.kept)-len(p):], p)
	return len(p), nil
}

// last returns the end of the output from its last but few tags on.
func (w *tailWriter) last() []byte { return w.kept[len(w.kept)-200:] }

// TestState bounds what a stream costs while nothing large is kept back.
func TestState(t *testing.T) {
	rw := Acquire(io.Discard, document(0))
	defer Release(rw)
	page := shopPage(200 << 10)
	for p := page; len(p) > 0; p = p[min(4096, len(p)):] {
		rw.Write(p[:min(4096, len(p))])
	}
	rw.Close()
	rw.drop()
	size := int(unsafe.Sizeof(*rw)) + cap(rw.buf) + cap(rw.out) + cap(rw.value.b) + cap(rw.text) + cap(rw.extra) + cap(rw.css) +
		cap(rw.srcdoc.b) + cap(rw.foreign.b) + cap(rw.cuts)*int(unsafe.Sizeof(cut{})) + cap(rw.scan.Attrs)*int(unsafe.Sizeof(scan.Attr{})) + cap(rw.tag.ids) + cap(rw.tag.edits)
	t.Logf("%d bytes of state: %d + %d %d %d %d %d %d %d %d %d", size, unsafe.Sizeof(*rw), cap(rw.buf), cap(rw.out), cap(rw.value.b), cap(rw.text), cap(rw.extra), cap(rw.css), cap(rw.srcdoc.b), cap(rw.foreign.b), cap(rw.scan.Attrs))
	if size > 16<<10 {
		t.Errorf("%d bytes of state", size)
	}
}

// TestStateOfMany measures what each of many streams costs that stand still in
// the middle of a page.
func TestStateOfMany(t *testing.T) {
	const streams = 500
	page := shopPage(60 << 10)
	open := make([]*Rewriter, streams)
	doc := document(0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range open {
		open[i] = Acquire(io.Discard, doc)
		open[i].Write(page[:30<<10+i])
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)) / streams
	t.Logf("%d bytes each", each)
	if each > 16<<10 {
		t.Errorf("%d bytes each", each)
	}
	for _, rw := range open {
		rw.Close()
		Release(rw)
	}
}

// TestRepeatedReferences rewrites tags in which a long attribute and many references
// stand that depend on it. Were it read for each, they would take minutes.
func TestRepeatedReferences(t *testing.T) {
	const half = Limit / 2
	for name, page := range map[string]string{
		"rel of hrefs":        `<link rel="` + strings.Repeat("a ", half/2) + `" href=""` + strings.Repeat(" href=x", scan.MaxAttrs-2) + ">",
		"rels of hrefs":       `<link href=""` + strings.Repeat(" href=x", scan.MaxAttrs/2) + strings.Repeat(` rel="`+strings.Repeat("a ", 200)+`"`, scan.MaxAttrs/2-1) + ">",
		"rel of two":          `<link rel="` + strings.Repeat("a ", half/2) + `" href="" imagesrcset=""` + strings.Repeat(" href=x imagesrcset=x", scan.MaxAttrs/2-2) + ">",
		"style of sources":    `<img style="` + strings.Repeat("a:b;", half/4) + `" src=""` + strings.Repeat(` src="//x.example/a"`, scan.MaxAttrs-2) + ">",
		"style of candidates": `<img style="` + strings.Repeat("a:b;", half/4) + `" srcset="` + strings.Repeat("//x.example/a 1x,", half/20) + `">`,
	} {
		if out := rewritten(t, document(0), []byte(page), 0); string(out) != page {
			t.Errorf("%s: changed", name)
		}
	}
}
