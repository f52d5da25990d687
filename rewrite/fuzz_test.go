package rewrite

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules/consent"
)

// nastyCases is how many files testdata/nasty has, so that none is lost unseen.
const nastyCases = 397

// nasty calls use with each page of testdata/nasty.
func nasty(t testing.TB, use func(name string, page []byte)) {
	files, err := filepath.Glob("testdata/nasty/*.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != nastyCases {
		t.Errorf("%d nasty cases, want %d", len(files), nastyCases)
	}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		use(strings.TrimSuffix(filepath.Base(file), ".html"), page)
	}
}

// FuzzRewrite checks what holds for any input: the output does not depend on
// the chunks, is the input where everything is granted, can be undone to the
// byte, and is a fixed point.
func FuzzRewrite(f *testing.F) {
	nasty(f, func(_ string, page []byte) { f.Add(page, uint8(3)) })
	f.Fuzz(func(t *testing.T, page []byte, chunk uint8) {
		checkRewrite(t, page, int(chunk)+1)
	})
}

func TestNasty(t *testing.T) {
	nasty(t, func(name string, page []byte) {
		t.Run(name, func(t *testing.T) {
			for n := 1; n < 6; n++ {
				checkRewrite(t, page, n)
			}
		})
	})
}

func checkRewrite(t *testing.T, page []byte, chunk int) {
	whole := rewritten(t, hooked(0), page, 0)
	if got := rewritten(t, hooked(0), page, chunk); !bytes.Equal(got, whole) {
		t.Fatalf("in chunks of %d:\n%q\nwhole:\n%q", chunk, got, whole)
	}
	plain := rewritten(t, document(0), page, 0)
	if twice := rewritten(t, document(0), plain, 0); !bytes.Equal(twice, plain) {
		t.Fatalf("rewritten twice:\n%q\nonce:\n%q", twice, plain)
	}
	if all := unmend(rewritten(t, document(consent.All), page, chunk)); !bytes.Equal(all, page) && !cutOff(page) && !parks.Match(bytes.ToLower(page)) {
		t.Fatalf("all granted:\n%q\nwant:\n%q", all, page)
	}
	if lower := bytes.ToLower(page); bytes.Contains(lower, []byte("askfirst")) || revives.Match(lower) || cutOff(page) ||
		bytes.Count(lower, xlinkHref) != bytes.Count(page, xlinkHref) ||
		bytes.Contains(plain, liveType) && (bytes.Count(lower, typeName) != bytes.Count(page, typeName) || bytes.Contains(lower, dataType)) {
		return
	}
	if back := undo(plain); !bytes.Equal(back, page) {
		t.Fatalf("undone:\n%q\nwant:\n%q\nfrom\n%q", back, page, plain)
	}
}

// xlinkHref is held under a name of its own, in lower case.
var xlinkHref = []byte("xlink:href")

// liveType is what keeps the type of a script that another tool has parked and that
// is necessary, so that it goes live; data-type may be its type then.
var liveType, typeName, dataType = []byte(prefix + "parked"), []byte("type"), []byte("data-type")

// parks matches what may have been parked by another tool, and is put back.
var parks = regexp.MustCompile(`text/(plain|template)|suppressedsrc|-(cookieblock|cmplz|cli|uc|iub|blocker)-src|data-src|&`)

// revives matches what another tool has parked under another name than src: it
// is held under the name that will act, or as markup, and so cannot be told from
// what was there.
var revives = regexp.MustCompile(`suppressedsrc|-(cookieblock|cmplz|cli|uc|iub|blocker)-src|data-src|data-borlabs-cookie-content|_brlbs-content-blocker`)

// cutOff reports whether a noscript element of the page, or another in a page of
// frames whose text is read as markup, leaves something unfinished, which the
// rewriter ends, or has markup deeper in one another than it looks, which it
// leaves out.
func cutOff(page []byte) bool {
	return cutOffIn(page, bytes.Contains(bytes.ToLower(page), []byte("<frameset")), false, 0)
}

// cutOffIn looks at what stands in text, and in the elements in that.
func cutOffIn(text []byte, framed, unscripted bool, depth int) bool {
	if depth > maxNesting {
		return bytes.IndexByte(text, '<') >= 0
	}
	var s scan.Scanner
	s.Reset(scan.HTML)
	s.Unscripted = unscripted
	for end := 0; ; end = s.End {
		switch s.Next(text, true) {
		case scan.More:
			return framed && s.InRaw() && cutOffIn(text[end:], framed, true, depth+1)
		case scan.Raw:
			if s.Element != scan.Noscript && !framed {
				continue
			}
			inner := text[s.Start:s.End]
			if leavesUnfinished(inner) || cutOffIn(inner, framed, true, depth+1) {
				return true
			}
		}
	}
}

func leavesUnfinished(text []byte) bool {
	var s scan.Scanner
	s.Reset(scan.HTML)
	s.Unscripted = true
	for s.Next(text, true) != scan.More {
	}
	return s.Start < len(text)-1 || s.InRaw() || s.InComment() || s.InForeign()
}
