package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// told are the tags of a page, as text.
type told struct {
	tags []string
	last []string
}

func (s *told) Len() int           { return len(s.tags) }
func (s *told) Again(from, to int) { s.tags = append(s.tags, s.last[from:to]...) }

func (s *told) tell(t *Tag) {
	s.tags = append(s.tags, fmt.Sprintf("%v %s %s %v %v", t.Kind, t.Host, t.Path, t.Decision.Category, t.Fate))
}

// revised is a page as Revise makes it of the last version.
func revised(t testing.TB, doc Document, page []byte, last *Version, tags []string) (*Version, []string, int) {
	var out bytes.Buffer
	s := &told{last: tags}
	doc.Seen = s.tell
	rw := Acquire(&out, &doc)
	defer Release(rw)
	anew, err := rw.Revise(page, last, s)
	if err != nil {
		t.Fatal(err)
	}
	return rw.Version(page, out.Bytes(), s.Len()), s.tags, anew
}

// plainly is the same without a last version, as it comes in a stream.
func plainly(t testing.TB, doc Document, page []byte) ([]byte, []string) {
	s := &told{}
	doc.Seen = s.tell
	return rewritten(t, &doc, page, 0), s.tags
}

func checkRevised(t testing.TB, doc *Document, from, page []byte, v *Version, tags []string) {
	t.Helper()
	want, wantTags := plainly(t, *doc, page)
	if !bytes.Equal(v.Out, want) {
		same := 0
		for same < min(len(v.Out), len(want)) && v.Out[same] == want[same] {
			same++
		}
		os.WriteFile(filepath.Join(os.TempDir(), "revise-from.html"), from, 0o600)
		os.WriteFile(filepath.Join(os.TempDir(), "revise-page.html"), page, 0o600)
		t.Fatalf("revised, from byte %d on:\n%.300s\nwant\n%.300s", same, v.Out[max(0, same-100):], want[max(0, same-100):])
	}
	if !slices.Equal(tags, wantTags) {
		t.Fatalf("tags %q, want %q, of\n%s\nafter\n%s", tags, wantTags, page, from)
	}
}

func revisablePages(t testing.TB) (pages [][]byte) {
	files, err := filepath.Glob("testdata/*.in.html")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		p, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	return append(pages, []byte(typical), shopPage(30<<10))
}

// TestRevise changes pages in many ways, one after another, and has each
// version made of the one before.
func TestRevise(t *testing.T) {
	pages := revisablePages(t)
	var all []byte
	for _, p := range pages {
		all = append(all, p...)
	}
	r := rand.New(rand.NewPCG(7, 7))
	spice := []string{"<", ">", "\"", "<!--", "-->", "<script>", "</script>", "<svg>", "</svg>", "<title>", "</title>", "<base href=//www.youtube.com/>",
		"<iframe src=//www.youtube.com/embed/x>", "</iframe>", "<noscript>", "</noscript>", "</body>", "<html lang=de>", "<head>", "<frameset>", "<plaintext>",
		"<amp-analytics>", "<style>", "token=0123456789abcdef", "&amp;", "<div class=fb-like>", "<!doctype html>"}
	for _, granted := range []consent.Set{0, consent.SetOf(consent.Analytics)} {
		doc := hooked(granted)
		for _, page := range pages {
			last, tags, _ := revised(t, *doc, page, nil, nil)
			checkRevised(t, doc, nil, page, last, tags)
			for range 60 {
				next := bytes.Clone(last.In)
				for range 1 + r.IntN(4) {
					at := r.IntN(len(next) + 1)
					till := at + min(r.IntN(200), len(next)-at)
					var in []byte
					switch r.IntN(5) {
					case 0:
						in = []byte(spice[r.IntN(len(spice))])
						till = at
					case 1: // deleted
					case 2: // other bytes of the same length
						in = bytes.Map(func(c rune) rune {
							if c >= '0' && c <= '9' {
								return '0' + rune(r.IntN(10))
							}
							return c
						}, next[at:till])
					case 3: // something of another page
						from := r.IntN(len(all))
						in = all[from : from+min(r.IntN(3000), len(all)-from)]
					case 4:
						in = []byte(spice[r.IntN(len(spice))])
					}
					next = slices.Concat(next[:at], in, next[till:])
					if len(next) == 0 {
						next = []byte("x")
					}
				}
				v, vTags, _ := revised(t, *doc, next, last, tags)
				checkRevised(t, doc, last.In, next, v, vTags)
				if r.IntN(3) > 0 && len(next) < 100<<10 {
					last, tags = v, vTags
				}
			}
		}
	}
}

// TestReviseAroundBlocked: what a script is to be read as may be told by the tag before.
func TestReviseAroundBlocked(t *testing.T) {
	const script = `<script type="text/template">PGlmcmFtZSBzcmM9Ii8vd3d3LnlvdXR1YmUuY29tL2VtYmVkL3giPjwvaWZyYW1lPg==</script></div>`
	doc := hooked(0)
	doc.RemoveBanners = true
	for fill := stride - 200; fill < stride+50; fill++ {
		begin := fmt.Appendf(nil, "<!doctype html><body>%s", bytes.Repeat([]byte("x"), fill))
		blocked := slices.Concat(begin, []byte(`<div data-borlabs-cookie-id="youtube">`+script))
		other := slices.Concat(begin, []byte(`<div data-borlabs-cookie-no="youtube">`+script))
		for _, pages := range [][2][]byte{{blocked, other}, {other, blocked}} {
			last, tags, _ := revised(t, *doc, pages[0], nil, nil)
			v, vTags, _ := revised(t, *doc, pages[1], last, tags)
			checkRevised(t, doc, pages[0], pages[1], v, vTags)
		}
	}
}

// TestReviseLittle says how much is read anew where little has changed.
func TestReviseLittle(t *testing.T) {
	page := shopPage(120 << 10)
	doc := hooked(0)
	last, tags, anew := revised(t, *doc, page, nil, nil)
	if anew != len(page) {
		t.Errorf("%d of %d bytes were read without a last version", anew, len(page))
	}
	for name, c := range map[string]struct {
		page []byte
		most int
	}{
		"nothing":        {page, 0},
		"the last bytes": {append(bytes.Clone(page), "<!-- 17 -->"...), 40 << 10},
		"same length":    {bytes.Replace(page, []byte("SKU-"), []byte("sku-"), 1), 8 << 10},
		"a token in the head": {bytes.Replace(page, []byte("<meta name=\"viewport\""),
			[]byte("<meta name=\"csrf-token\" content=\"0123456789\"><meta name=\"viewport\""), 1), 12 << 10},
		"three places": {bytes.Replace(bytes.Replace(bytes.Replace(page, []byte("id=\"product-5\""), []byte("id=\"product-five\""), 1),
			[]byte("id=\"product-20\""), []byte("id=\"twenty\""), 1), []byte("id=\"product-40\""), []byte("class=\"forty\""), 1), 24 << 10},
		"a card less": {bytes.Replace(page, page[bytes.Index(page, []byte("<article")):][:bytes.Index(page[bytes.Index(page, []byte("<article")):], []byte("</article>"))], nil, 1), 16 << 10},
	} {
		v, vTags, anew := revised(t, *doc, c.page, last, tags)
		checkRevised(t, doc, page, c.page, v, vTags)
		if anew > c.most {
			t.Errorf("%s: %d bytes of %d were read anew, want at most %d", name, anew, len(c.page), c.most)
		}
	}
}

func FuzzRevise(f *testing.F) {
	for _, p := range revisablePages(f) {
		if len(p) < 8<<10 {
			f.Add(p, 3, 20, []byte("<b>"))
		}
	}
	doc := hooked(0)
	f.Fuzz(func(t *testing.T, page []byte, at, cut int, in []byte) {
		if len(page) > 32<<10 || at < 0 || cut < 0 || at > len(page) {
			return
		}
		next := slices.Concat(page[:at], in, page[min(len(page), at+min(cut, len(page))):])
		last, tags, _ := revised(t, *doc, page, nil, nil)
		checkRevised(t, doc, nil, page, last, tags)
		v, vTags, _ := revised(t, *doc, next, last, tags)
		checkRevised(t, doc, page, next, v, vTags)
	})
}
