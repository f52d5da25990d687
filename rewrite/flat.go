package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
)

// Chromium's preload scanner knows no SVG and no MathML. It takes a style, script or
// title element of SVG for one of HTML, whose text goes on up to the first end tag of
// that name, be that in a comment, in a CDATA section or in an attribute; and outside
// of those it takes a CDATA section for a comment that ends with the first '>'. Where
// it would take for markup what the parser does not, it is led back: by a comment,
// which is one to both of them but ends the element for the scanner, or in a CDATA
// section by a section's end and beginning around a character reference. Neither
// changes what the page says.

// flat reads the text of such an element as the preload scanner does, while it is
// InRaw.
type flat struct {
	scan.Scanner
	// empty says that to the parser the element, a style sheet to the scanner, ended
	// with its start tag, and nothing but white space has come after.
	empty bool
	mends []mend
}

// mend is what is to be written before the byte at some place: what ends the text of
// elem, or so many end tags of it. For elem 0 a CDATA section goes on there for size
// bytes that is to be parted.
type mend struct {
	at   int
	size int32
	ends int16
	elem scan.Element
}

// maxMends is how many mends are put by, where they need not be.
const maxMends = 64

func (f *flat) reset() {
	f.Reset(scan.HTML)
	f.mends = f.mends[:0]
}

func (f *flat) shift(n int) {
	f.Shift(n)
	for i := range f.mends {
		f.mends[i].at -= n
	}
}

// follow has the flat scanner read on through the scanner's token.
func (rw *Rewriter) follow(token scan.Token, eof bool) {
	s, f := &rw.scan, &rw.flat
	if rw.doc.XML || rw.elementless {
		return
	}
	if s.Around > 0 {
		f.mends = append(f.mends, mend{at: s.Start, ends: int16(s.Around), elem: s.Root})
		s.Around = 0
	}
	if (token == scan.CDATA || token == scan.Comment) && !rw.leaves() && rw.pending == 0 && s.End-s.Start > Limit {
		rw.leaveOut()
	}
	if f.InRaw() {
		rw.followText(token, eof)
	}
	switch {
	case token == scan.StartTag:
		if s.Foreign && rw.rawFlat() && s.Element != scan.Plaintext && !rw.leavesOut() {
			f.ReadText(s.Element, s.End)
			f.empty = s.SelfClosing && s.Element == scan.Style
		}
	case (token == scan.CDATA || s.InCDATA() && eof) && !f.InRaw() && !rw.leaves():
		end := s.End
		if token == scan.More {
			end = len(rw.in)
		}
		rw.partCDATA(s.Start, end)
	}
}

// rawFlat reports whether the start tag is one after which the preload scanner takes
// what comes for text.
func (rw *Rewriter) rawFlat() bool {
	s := &rw.scan
	return s.Element.Raw() && !(s.Element == scan.Noscript && s.Unscripted)
}

// followText is follow in the text of an element.
func (rw *Rewriter) followText(token scan.Token, eof bool) {
	s, f := &rw.scan, &rw.flat
	end := s.End
	switch {
	case token != scan.More:
		eof = false
	case eof:
		end = len(rw.in)
	case s.InComment():
		end = s.Start
	default:
		end = s.Keep()
	}
	rw.text = appendEnd(rw.text[:0], f.Element)
	switch {
	case token == scan.Comment && bytes.Equal(rw.in[s.Start:s.End], rw.text):
		f.Reset(scan.HTML)
	case f.empty && rw.afterEmpty(end):
	case token == scan.StartTag && (rw.rawFlat() || rw.leavesOut()):
		rw.resync(s.Start)
	case f.Next(rw.in[:end], eof) == scan.Raw && !(token == scan.EndTag && f.End == s.Start):
		rw.flat.mends = append(f.mends, mend{at: s.Start, elem: f.Element})
	}
}

// afterEmpty looks for text up to rw.in[end] after an element that is empty to the
// parser, before which it ends it for the preload scanner too.
func (rw *Rewriter) afterEmpty(end int) bool {
	f := &rw.flat
	text := bytes.TrimLeft(rw.in[f.End:end], " \t\n\r\f")
	f.ReadText(f.Element, end-len(text))
	f.empty = len(text) == 0
	if !f.empty && text[0] != '<' {
		rw.resync(f.End)
		return true
	}
	return f.empty
}

// resync ends the text for the preload scanner before the byte at i, if it is in any.
func (rw *Rewriter) resync(i int) {
	if f := &rw.flat; f.InRaw() {
		f.mends = append(f.mends, mend{at: i, elem: f.Element})
		f.Reset(scan.HTML)
	}
}

// dropText has the text of the element whose start tag is written left out, up to the
// scanner's token.
func (rw *Rewriter) dropText() {
	f, t := &rw.flat, &rw.tag
	f.mends = f.mends[:0]
	if f.InRaw() && f.End == t.end {
		f.Reset(scan.HTML)
	}
	rw.out = appendEnd(rw.out, t.elem)
	rw.skipText = true
}

// partCDATA has a CDATA section parted before each '<' that the preload scanner takes
// for that of a tag.
func (rw *Rewriter) partCDATA(from, to int) {
	n := bytes.IndexByte(rw.in[from:to], '>')
	if n < 0 || nextTag(rw.in[from+n:to]) < 0 {
		return
	}
	if len(rw.flat.mends) > maxMends && rw.pending == 0 {
		rw.copyTo(from)
	}
	rw.flat.mends = append(rw.flat.mends, mend{at: from + n, size: int32(to - from - n)})
}

// nextTag returns where in text there is a '<' that begins markup, -1 where there is
// none.
func nextTag(text []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], '<')
		if n < 0 {
			return -1
		}
		i += n
		if i+1 < len(text) && begins[text[i+1]] {
			return i
		}
	}
}

// begins holds for the bytes that make markup of a '<' before them.
var begins = func() (b [256]bool) {
	for c := range b {
		b[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || c == '/' || c == '!' || c == '?'
	}
	return b
}()

// mend writes what is to be written up to rw.in[i], with the mends.
func (rw *Rewriter) mend(i int) {
	mends := rw.flat.mends
	n := 0
	for ; n < len(mends) && mends[n].at < i; n++ {
		m := &mends[n]
		rw.pass(m.at)
		switch {
		case m.elem == 0:
			for rw.done < m.at+int(m.size) && rw.done >= m.at {
				next := nextTag(rw.in[rw.done : m.at+int(m.size)])
				if next < 0 {
					break
				}
				rw.pass(rw.done + next)
				rw.out = append(rw.out, partedCDATA...)
				rw.done++
			}
		case m.ends == 0:
			rw.out = appendEnd(rw.out, m.elem)
		default:
			for range m.ends {
				rw.out = append(append(append(rw.out, "</"...), m.elem.String()...), endMark...)
			}
		}
	}
	rw.flat.mends = mends[:copy(mends, mends[n:])]
}

// endMark ends an end tag of ours.
const endMark = " data-askfirst>"

const partedCDATA = "]]>&lt;<![CDATA["

// appendEnd appends what ends the text of e for the preload scanner: twice, for a
// script within a comment takes two.
func appendEnd(dst []byte, e scan.Element) []byte {
	dst = e.AppendEndTag(e.AppendEndTag(append(dst, "<!--"...)))
	return append(dst, "-->"...)
}
