package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
)

// stage is how far the page is, as to what is injected.
type stage uint8

const (
	first   stage = iota // nothing seen yet: a document or a fragment
	waiting              // a document, its head not open yet
	part                 // a part of a page, unless a document's start follows
	opened               // the head hook has run
	over                 // nothing is to come
)

// injection finds the places where the hooks of a Document write.
type injection struct {
	stage stage
	lang  []byte
	mark  int // how much of a byte order mark has been seen
}

func (in *injection) reset(doc *Document) {
	in.stage, in.lang, in.mark = first, in.lang[:0], 0
	if doc.Fragment {
		in.stage = over
	}
}

// opens holds for the start tags that only a whole document begins with. A
// part may well begin with a link, a script or a style.
func opens(e scan.Element) bool {
	switch e {
	case scan.HTMLElement, scan.Head, scan.Body, scan.Title, scan.Meta, scan.Base, scan.Frameset:
		return true
	}
	return false
}

func (in *injection) sawDoctype(rw *Rewriter) {
	in.sawText(rw, rw.scan.Start)
	if in.stage < part || in.stage == part && rw.mayBegin() {
		in.stage = waiting
		rw.copyTo(rw.scan.End)
	}
}

// mayBegin reports whether a document may begin after what looked like a part: a
// plugin may well write a script before the page that it is for.
func (rw *Rewriter) mayBegin() bool {
	return !rw.doc.XML && rw.pending == 0 && !rw.skip && !rw.skipText && rw.boxes.element == 0
}

// sawText looks at the text before rw.in[end], which opens the body unless it is
// white space.
func (in *injection) sawText(rw *Rewriter, end int) {
	if in.stage >= part || end <= rw.done {
		return
	}
	text := rw.in[rw.done:end]
	if in.stage == first {
		for len(text) > 0 && in.mark < len(byteOrderMark) && text[0] == byteOrderMark[in.mark] {
			text = text[1:]
			in.mark++
		}
	}
	rest := bytes.TrimLeft(text, " \t\n\r\f")
	if len(rest) == 0 {
		return
	}
	if in.stage == first && !rw.doc.Page {
		in.stage = over
		return
	}
	rw.copyTo(end - len(rest))
	in.open(rw)
}

const byteOrderMark = "\xEF\xBB\xBF"

// startTag is told every start tag until the head is open. It reports whether
// the head hook is to run after this tag.
func (in *injection) startTag(rw *Rewriter) (after bool) {
	s := &rw.scan
	in.sawText(rw, s.Start)
	switch {
	case in.stage == first:
		in.stage = part
		if rw.doc.Page || opens(s.Element) && !(rw.doc.XML && bytes.IndexByte(s.Name(rw.in), ':') >= 0) {
			in.stage = waiting
		}
	case in.stage == part && (s.Element == scan.HTMLElement || s.Element == scan.Head || s.Element == scan.Body) && rw.mayBegin():
		in.stage = waiting
	}
	if in.stage != waiting {
		return false
	}
	switch s.Element {
	case scan.HTMLElement:
		if a := rw.find(attrLang); a >= 0 {
			in.lang = scan.AppendValue(in.lang[:0], rw.rawValue(a))
		}
		return false
	case scan.Head:
		return true
	}
	rw.copyTo(s.Start)
	in.open(rw)
	return false
}

func (in *injection) endTag(rw *Rewriter) {
	s := &rw.scan
	switch in.stage {
	case first, waiting:
		in.sawText(rw, s.Start)
		switch {
		case in.stage == waiting && (s.Element == scan.Head || s.Element == scan.Body || s.Element == scan.HTMLElement || s.Element == scan.Br):
			rw.copyTo(s.Start)
			in.open(rw)
		case in.stage <= waiting:
			// An end tag before anything is open is passed over.
			rw.copyTo(s.End)
		}
	}
	if in.stage == opened && (s.Element == scan.Body || s.Element == scan.HTMLElement) && (rw.doc.XML || !s.InForeign()) {
		rw.copyBefore(s.Start)
		in.close(rw)
	}
}

// open runs the head hook at the place that is written to next.
func (in *injection) open(rw *Rewriter) {
	in.stage = opened
	if rw.doc.Head != nil {
		rw.extra = rw.doc.Head(rw.extra[:0], in.lang)
		rw.write(rw.extra)
	}
}

func (in *injection) close(rw *Rewriter) {
	in.stage = over
	if rw.doc.Foot != nil {
		rw.extra = rw.doc.Foot(rw.extra[:0], in.lang)
		rw.write(rw.extra)
	}
}

// end runs what has not run. The scanner is at the end of the document, with
// what is unfinished beginning at its Start.
func (rw *Rewriter) end() {
	s, in := &rw.scan, &rw.inject
	if rw.leaves() {
		rw.done = len(rw.in)
	}
	unfinished := s.Start
	if rw.pending != 0 {
		unfinished = rw.tag.start
	}
	in.sawText(rw, unfinished)
	rw.copyTo(unfinished)
	if in.stage == waiting {
		in.open(rw)
	}
	if in.stage == opened && rw.doc.Foot != nil && rw.closeOpen() {
		// What is unfinished comes after the foot, and is to be read as it was.
		if rw.pending == 0 && !s.InCDATA() {
			rw.closeForeign()
		}
		in.close(rw)
	}
	if rw.enclosed && rw.cutOff() {
		return
	}
	if rw.pending != 0 {
		rw.unfinished()
	}
	rw.copyTo(len(rw.in))
}

// cutOff ends what a noscript element leaves unfinished, so that the page
// after it is read alike with scripts and without. It reports whether there is
// such a thing: a tag or comment is left out, raw text, SVG and MathML get their
// end tags, if they are any.
func (rw *Rewriter) cutOff() bool {
	s := &rw.scan
	raw := false
	switch {
	case s.InTag() && s.Start == len(rw.in)-1:
		// A '<' before the end tag is text.
	case s.InTag(), s.InComment():
		rw.closeForeign()
		return s.Start < len(rw.in)
	default:
		raw = s.InRaw() && s.Element != scan.Plaintext
	}
	if !raw && (!s.InForeign() || rw.doc.XML || rw.elementless) {
		return false
	}
	if rw.pending != 0 {
		rw.unfinished()
	}
	rw.copyTo(len(rw.in))
	if raw && (!rw.elementless || s.Element == scan.Noframes) {
		rw.out = s.Element.AppendEndTag(rw.out)
	}
	rw.closeForeign()
	return true
}

// closeForeign ends SVG and MathML that are open, where they are any.
func (rw *Rewriter) closeForeign() {
	if !rw.doc.XML && !rw.elementless {
		rw.out = rw.scan.AppendClosing(rw.out)
	}
}

// closeOpen ends the comment or raw text that is open at the end of the
// document, as far as it has been passed on, so that the foot is read as
// markup. It reports false where that cannot be or must not be done: plaintext
// has no end, and a script that is cut off does not run until it is closed.
func (rw *Rewriter) closeOpen() bool {
	s := &rw.scan
	switch {
	case rw.pending != 0:
		return true
	case s.InComment():
		if rw.done < s.Start {
			return true
		}
		rw.out = append(rw.out, s.Closing()...)
	case s.InRaw():
		if s.Element == scan.Plaintext || s.Element == scan.Script {
			return false
		}
		rw.out = s.Element.AppendEndTag(rw.out)
	}
	return true
}

// frameset gives up the foot: a page of frames has no body.
func (in *injection) frameset() {
	if in.stage == opened {
		in.stage = over
	}
}
