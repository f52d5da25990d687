package rewrite

import (
	"bytes"
	"regexp"

	"github.com/askfirst/askfirst/rewrite/scan"
)

var (
	addedMarks   = regexp.MustCompile(`( type="text/plain")?( data-askfirst-category="[a-z]+"( data-askfirst-vendor="[^"]*")?| data-askfirst-removed)`)
	parkedMarks  = regexp.MustCompile(`^(<[A-Za-z]+) data-askfirst-category="[a-z]+"( data-askfirst-vendor="[^"]*")?`)
	addedDoc     = regexp.MustCompile(` srcdoc="[^"]*"`)
	addedFirst   = regexp.MustCompile(`(?i) (?:href|src|xlink:href|from|to|by|values)="[^"]*"`)
	addedStyle   = regexp.MustCompile(` style="[^"]*"`)
	heldTwice    = regexp.MustCompile(`(?s)data-askfirst-(?:xlink-)?(?:href\b.*\bdata-askfirst-(?:xlink-)?href|src\b.*\bdata-askfirst-src|from\b.*\bdata-askfirst-from|to\b.*\bdata-askfirst-to|by\b.*\bdata-askfirst-by|values\b.*\bdata-askfirst-values)\b`)
	ledBack      = regexp.MustCompile(`<!--</([a-z]+)></([a-z]+)>-->|</[a-z]+ data-askfirst>`)
	injectedHook = regexp.MustCompile(`<!--(HEAD|FOOT) [^>]*-->`)
)

// undo takes back by regular expressions all that the rewriter did to a page
// that has no marks of ours in it by itself.
func undo(page []byte) []byte {
	page = unmend(page)
	return undoIn(page, bytes.Contains(bytes.ToLower(page), []byte("<frameset")))
}

// unmend takes back what was added so that all read the page alike.
func unmend(page []byte) []byte {
	return bytes.ReplaceAll(ledBack.ReplaceAll(page, nil), []byte(partedCDATA), []byte("<"))
}

// undoIn is undo for a page, or text in one, of frames or not.
func undoIn(page []byte, framed bool) []byte {
	var out []byte
	var s scan.Scanner
	s.Reset(scan.HTML)
	page = injectedHook.ReplaceAll(page, nil)
	done := 0
	markup := false // the text of an element is, of a noscript or of any in a page of frames
	copied, restored := false, false
	for {
		token := s.Next(page, true)
		if token == scan.More {
			if restored {
				out = append(out, page[done:s.Start]...)
				done = s.Start + len(noImport)
			}
			if markup && s.InRaw() {
				from := max(s.Start, done)
				return append(append(out, page[done:from]...), undoIn(page[from:], framed)...)
			}
			return append(out, page[done:]...)
		}
		name := bytes.ToLower(page[s.Start:min(s.End, len(page))])
		switch token {
		case scan.Raw:
			if copied {
				done = s.End
			}
			if restored {
				out = append(out, page[done:s.Start]...)
				done = s.Start + len(noImport)
				restored = false
			}
			if markup && !copied {
				from := max(s.Start, done)
				out = append(append(out, page[min(done, from):from]...), undoIn(page[from:s.End], framed)...)
				done = s.End
			}
		case scan.EndTag:
			restored = false
			markup = false
			if s.Element == scan.Askfirst {
				out = append(out, page[done:s.Start]...)
				done = s.End
			}
			if copied {
				done = s.End
				copied = false
			}
		case scan.StartTag:
			markup = s.Element == scan.Noscript || framed && s.InRaw()
			tag := page[s.Start:s.End]
			if bytes.HasPrefix(name, []byte("<askfirst-placeholder")) {
				out = append(out, page[done:s.Start]...)
				done = s.End
				continue
			}
			if bytes.HasPrefix(tag, []byte("<style data-askfirst-copy")) {
				out = append(out, page[done:s.Start]...)
				done = s.End
				copied = true
				continue
			}
			if !bytes.Contains(tag, []byte("data-askfirst-")) {
				continue
			}
			out = append(out, page[done:s.Start]...)
			done = s.End
			out = append(out, undoTag(tag)...)
			restored = s.Element == scan.Style && bytes.HasPrefix(page[s.End:], []byte(noImport))
			if restored && !s.InRaw() {
				done += len(noImport)
				restored = false
			}
		}
	}
}

func undoTag(tag []byte) []byte {
	if parkedMarks.Match(tag) {
		tag = parkedMarks.ReplaceAll(tag, []byte("$1"))
		tag = bytes.ReplaceAll(tag, []byte(prefix+"src"), []byte("data-src"))
		return bytes.ReplaceAll(tag, []byte(prefix+"type"), []byte("data-type"))
	}
	// What stands in comes right before the marks.
	if m := addedMarks.FindIndex(tag); m != nil {
		head := tag[:m[0]]
		for _, added := range []*regexp.Regexp{addedDoc, addedStyle, addedDoc, addedFirst} {
			lower := bytes.ToLower(head)
			if added == addedFirst && !heldTwice.Match(lower) {
				continue
			}
			if !bytes.Contains(lower, []byte(prefix+"style")) && added == addedStyle || !bytes.Contains(lower, []byte(prefix+"srcdoc")) && added == addedDoc {
				continue
			}
			if k := lastAttribute(tag, len(head)) - 1; k > 0 && len(added.Find(head[k:])) == len(head)-k {
				head = head[:k]
			}
		}
		tag = append(append([]byte(nil), head...), tag[m[1]:]...)
	}
	tag = bytes.ReplaceAll(tag, liveType, typeName)
	tag = bytes.ReplaceAll(tag, []byte(prefix+"xlink-href"), []byte("xlink:href"))
	return bytes.ReplaceAll(tag, []byte(prefix), nil)
}

// lastAttribute returns where the attribute of the tag begins that ends before end,
// 0 where there is none: what looks like one may be the value of another.
func lastAttribute(tag []byte, end int) int {
	var s scan.Scanner
	s.Reset(scan.HTML)
	s.Next(tag, true)
	for _, a := range s.Attrs {
		if int(a.End) == end {
			return int(a.Name)
		}
	}
	return 0
}
