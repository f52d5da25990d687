package rewrite

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// Limit is how much of one tag, inline script, style element, noscript or
// frame document is kept back to be looked at as a whole, in bytes. What is
// larger does not pass unexamined:
//
//   - a tag is left out, up to its '>';
//   - a script or style element is held for marketing, and one of SVG loses its text;
//   - the content of a noscript element, and a CDATA section of SVG or MathML, is
//     left out.
const Limit = 1 << 20

const (
	// batch is how much output is gathered before it is written. A piece of
	// the page that is larger is written from where it lies. What is appended
	// in between, some attributes, is to find room in keepBuffer.
	batch = keepBuffer - 512
	// bridge is how much of a new chunk is joined at a time to what was kept
	// back of the one before.
	bridge = 4 << 10
	// keepBuffer is the largest buffer that stays with a pooled Rewriter.
	keepBuffer = 4 << 10
	// keepScratch is the largest scratch that does.
	keepScratch = 512
	// keepLarge is the largest buffer that is kept for others to borrow: one
	// in which the largest script has room.
	keepLarge = Limit + 2*bridge
)

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("rewrite: write after close")

// Rewriter rewrites one document at a time.
type Rewriter struct {
	w   io.Writer
	doc *Document
	err error

	scan scan.Scanner
	flat flat
	page *rules.Page
	own  rules.Page // what page points to, but in a nested document
	// bases are the pages that page may be instead, where it is not plain which
	// <base> counts. Few pages have any.
	bases []*rules.Page

	buf      []byte // kept back from earlier writes
	small    []byte // the buffer of rw while buf is a borrowed one
	borrowed *[]byte
	out      []byte // decided, not yet written
	written  int    // how much was, in bytes
	in       []byte // what is being read
	done     int    // how much of in is decided

	tag      tag
	pending  scan.Element // the element whose raw text is awaited, with its start tag
	skip     bool         // what is being read is left out
	skipText bool         // the text of an element is, but not its end tag
	keeps    bool         // the last tag was of an element in which another tool keeps markup back
	aside    aside
	boxes    boxes
	inject   injection
	marks    *marks

	based    bool // a <base> has been seen
	bodied   bool // a <body> has
	framed   bool // a <frameset> has, and no <body> before it
	counting bool // in <amp-analytics>, whose JSON has the URLs that it counts with

	depth int            // of the documents that this one stands in
	holds bool           // something is held
	mixed bool           // things of several categories are
	worst rules.Decision // why: of several reasons that of the last category

	sight                  Tag
	boxed                  Box
	text, extra, css       []byte // scratch
	value, srcdoc, foreign scratch
	policy                 scratch
	letters                scratch // see ascii
	cuts                   []cut
	seams                  []seam // of the page that Revise takes
	closed, nested         bool
	enclosed               bool // what comes after is part of the same page
	blocked                bool // it is markup that another tool holds back
	elementless            bool // it is markup in a page of frames alone, where it makes no element
}

var pool = sync.Pool{New: func() any { return new(Rewriter) }}

// Acquire returns a Rewriter from a pool, set to write doc to w.
func Acquire(w io.Writer, doc *Document) *Rewriter {
	rw := pool.Get().(*Rewriter)
	rw.start(w, doc)
	rw.page = &rw.own
	rw.page.Reset(doc.URL)
	return rw
}

func (rw *Rewriter) start(w io.Writer, doc *Document) {
	rw.w, rw.doc, rw.err = w, doc, nil
	syntax := scan.HTML
	if doc.XML {
		syntax = scan.XML
	}
	rw.scan.Names = attributeTable
	rw.scan.Reset(syntax)
	rw.flat.reset()
	rw.out, rw.done, rw.written, rw.seams = rw.out[:0], 0, 0, rw.seams[:0]
	rw.pending, rw.skip, rw.skipText = 0, false, false
	rw.boxes = boxes{}
	rw.inject.reset(doc)
	rw.marks = marksOf(doc.Rules)
	rw.closed, rw.nested, rw.enclosed, rw.based, rw.counting, rw.depth = false, false, false, false, false, 0
	rw.bodied, rw.framed, rw.elementless, rw.blocked, rw.keeps = false, false, false, false, false
	rw.worst, rw.holds, rw.mixed = rules.Decision{}, false, false
	rw.aside.pending = false
	rw.bases = rw.bases[:0]
}

// Release gives rw back to the pool.
func Release(rw *Rewriter) {
	rw.trim()
	rw.w, rw.doc, rw.page = nil, nil, nil
	pool.Put(rw)
}

// trim gives up the memory that an odd page needed.
func (rw *Rewriter) trim() {
	rw.drop()
	rw.value.trim()
	rw.srcdoc.trim()
	rw.foreign.trim()
	rw.policy.trim()
	rw.letters.trim()
	if cap(rw.cuts) > 512 {
		rw.cuts = nil
	}
	if cap(rw.seams) > 512 {
		rw.seams = nil
	}
	if cap(rw.flat.mends) > 512 {
		rw.flat.mends = nil
	}
	for _, b := range [...]*[]byte{&rw.out, &rw.text, &rw.extra, &rw.css} {
		if cap(*b) > keepBuffer {
			*b = nil
		}
	}
	if cap(rw.tag.ids) > 1024 {
		rw.tag.ids, rw.tag.edits, rw.aside = nil, nil, aside{}
	}
	rw.scan.Reset(scan.HTML)
}

// Write takes the next bytes of the page. What can be decided is written on at
// once; at most one unfinished tag is kept back, with the text of an inline
// script, style or noscript element. Its error is that of the underlying
// writer.
func (rw *Rewriter) Write(p []byte) (int, error) {
	if rw.closed {
		return 0, ErrClosed
	}
	n := len(p)
	for len(rw.buf) > 0 && len(p) > 0 {
		// Go on in the buffer only until what was kept back is decided.
		kept := len(rw.buf)
		joined := min(len(p), bridge)
		rw.keep(p[:joined])
		used := rw.read(rw.buf, kept, false)
		if used < kept {
			p = p[joined:]
			rw.buf = rw.buf[:copy(rw.buf, rw.buf[used:])]
			continue
		}
		p = p[used-kept:]
		rw.drop()
	}
	if len(p) > 0 {
		used := rw.read(p, len(p)+1, false)
		rw.keep(p[used:])
	}
	rw.flush()
	return n, rw.err
}

// keep adds p to what is kept back. A small buffer stays with rw; a large one,
// for a script or style that came in several pieces, is borrowed.
func (rw *Rewriter) keep(p []byte) {
	need := len(rw.buf) + len(p)
	if need <= cap(rw.buf) {
		rw.buf = append(rw.buf, p...)
		return
	}
	if rw.borrowed == nil && cap(rw.buf) > 0 {
		rw.small = rw.buf[:0]
	}
	if rw.borrowed == nil && need > keepBuffer {
		rw.borrowed = borrow.Get().(*[]byte)
	}
	var grown []byte
	if rw.borrowed != nil && cap(*rw.borrowed) >= need {
		grown = (*rw.borrowed)[:0]
	} else {
		// It grows in few and large steps: each leaves garbage behind.
		size := max(need, min(4*cap(rw.buf), keepLarge), 1<<10)
		if rw.borrowed == nil {
			size = max(need, min(size, keepBuffer))
		}
		grown = make([]byte, 0, size)
	}
	rw.buf = append(append(grown, rw.buf...), p...)
}

// drop forgets what was kept back.
func (rw *Rewriter) drop() {
	if rw.borrowed == nil {
		rw.buf = rw.buf[:0]
		return
	}
	if cap(rw.buf) <= keepLarge {
		*rw.borrowed = rw.buf[:0]
	}
	borrow.Put(rw.borrowed)
	rw.borrowed = nil
	rw.buf, rw.small = rw.small, nil
}

// borrow has the large buffers that no rewriter needs now.
var borrow = sync.Pool{New: func() any { return new([]byte) }}

// scratch is memory for one thing after another: its own where little is
// needed, borrowed where much is.
type scratch struct {
	b    []byte
	own  []byte  // set aside while b is borrowed
	lent *[]byte // where b goes back to
}

// room returns b, empty and with room for n bytes.
func (s *scratch) room(n int) []byte {
	switch {
	case cap(s.b) >= n:
	case n <= keepScratch:
		s.b = make([]byte, 0, keepScratch)
	default:
		if s.lent == nil {
			s.own, s.lent = s.b, borrow.Get().(*[]byte)
			s.b = *s.lent
		}
		if cap(s.b) < n {
			s.b = make([]byte, 0, n)
		}
	}
	return s.b[:0]
}

func (s *scratch) trim() {
	if s.lent != nil {
		if cap(s.b) <= keepLarge {
			*s.lent = s.b[:0]
		}
		borrow.Put(s.lent)
		s.b, s.own, s.lent = s.own, nil, nil
	}
	if cap(s.b) > keepScratch {
		s.b = nil
	}
}

// Close ends the page: what was kept back is written, and what could not be
// injected before is.
func (rw *Rewriter) Close() error {
	if rw.closed {
		return rw.err
	}
	rw.closed = true
	rw.read(rw.buf, len(rw.buf)+1, true)
	rw.flush()
	return rw.err
}

// read rewrites b, of which it returns how much it is done with: all up to an
// unfinished tag, or up to the first place at or after enough where nothing is
// kept back. eof says that b ends the document.
func (rw *Rewriter) read(b []byte, enough int, eof bool) int {
	rw.in, rw.done = b, 0
	for {
		token := rw.scan.Next(b, eof)
		if rw.flat.InRaw() || token == scan.StartTag && rw.scan.Foreign ||
			token == scan.CDATA || eof && rw.scan.InCDATA() || rw.scan.Around > 0 {
			rw.follow(token, eof)
		}
		switch token {
		case scan.StartTag:
			rw.startTag()
		case scan.EndTag:
			rw.endTag()
		case scan.Raw:
			rw.rawText()
			// That it has come to an end is known by its end tag.
			continue
		case scan.Doctype:
			if rw.endSkipped() {
				break
			}
			if rw.doc.XML {
				rw.readSubset()
			}
			rw.inject.sawDoctype(rw)
		case scan.CDATA:
			rw.endSkipped()
		case scan.Comment:
			if rw.endSkipped() {
			} else if rw.doc.XML && rw.holdsInstruction() {
				rw.copyTo(rw.scan.Start)
				rw.done = rw.scan.End
			} else if rw.inject.stage < part {
				rw.inject.sawText(rw, rw.scan.Start)
				rw.copyTo(rw.scan.End)
			}
		case scan.More:
			return rw.more(eof)
		}
		if at := rw.scan.End; at >= enough && rw.pending == 0 && !(rw.flat.InRaw() && rw.flat.Keep() < at) {
			if rw.leaves() {
				rw.done = at
			}
			rw.copyTo(at)
			rw.scan.Shift(at)
			rw.flat.shift(at)
			return at
		}
	}
}

// more decides about the rest of b when the input has run out.
func (rw *Rewriter) more(eof bool) int {
	s := &rw.scan
	if eof {
		rw.end()
		return len(rw.in)
	}
	keep := s.Keep()
	rw.inject.sawText(rw, s.Start)
	if rw.pending != 0 {
		if rw.tooLong() {
			rw.oversize()
		} else {
			// A tag that is out already does not come again.
			keep = max(rw.tag.start, rw.done)
		}
	} else if !rw.leaves() && (s.InCDATA() && !rw.doc.XML || s.InComment() && rw.flat.InRaw() || s.InBogus() && rw.doc.XML) {
		if len(rw.in)-s.Start > Limit {
			rw.leaveOut()
		} else {
			keep = s.Start
		}
	} else if s.InTag() && len(rw.in)-s.Start > Limit {
		// What stands in an end tag does nothing.
		if !rw.skip && !s.InEndTag() {
			rw.leaveOut()
		}
		rw.resync(s.Start)
		rw.copyTo(s.Start)
		s.DropTag(rw.in)
		keep = len(rw.in)
	}
	if rw.flat.InRaw() {
		// A '<' before another is text, which the flat scanner does not yet know.
		keep = max(min(keep, rw.flat.Keep()), rw.done)
	}
	if rw.leaves() && keep > rw.done {
		rw.done = keep
	}
	rw.copyTo(keep)
	s.Shift(keep)
	rw.flat.shift(keep)
	rw.tag.start -= keep
	rw.tag.nameEnd -= keep
	rw.tag.end -= keep
	return keep
}

// leaves reports whether what is read is left out.
func (rw *Rewriter) leaves() bool { return rw.skip || rw.skipText }

// leaveOut has what begins at the scanner's token, which is not to be looked at, left
// out up to its end.
func (rw *Rewriter) leaveOut() {
	rw.resync(rw.scan.Start)
	rw.copyTo(rw.scan.Start)
	rw.skip = true
}

// endSkipped ends the leaving out of a comment or CDATA section.
func (rw *Rewriter) endSkipped() bool {
	if !rw.skip {
		return false
	}
	rw.done = rw.scan.End
	rw.skip = false
	return true
}

// copyTo passes b on up to i.
func (rw *Rewriter) copyTo(i int) {
	if len(rw.flat.mends) > 0 {
		rw.mend(i)
	}
	rw.pass(i)
}

// copyBefore passes b on up to the token at i, with what is to be written before
// that: what is added comes after it.
func (rw *Rewriter) copyBefore(i int) {
	if len(rw.flat.mends) > 0 {
		rw.mend(i + 1)
	}
	rw.pass(i)
}

// pass is copyTo without mends.
func (rw *Rewriter) pass(i int) {
	if i > rw.done {
		rw.write(rw.in[rw.done:i])
		rw.done = i
	}
}

func (rw *Rewriter) write(p []byte) {
	if cap(rw.out) == 0 {
		rw.out = make([]byte, 0, keepBuffer)
	}
	if len(rw.out)+len(p) <= batch || rw.nested {
		rw.out = append(rw.out, p...)
		return
	}
	rw.flush()
	if len(p) >= batch/2 {
		rw.writeOut(p)
		return
	}
	rw.out = append(rw.out, p...)
}

func (rw *Rewriter) flush() {
	if len(rw.out) > 0 && !rw.nested {
		rw.writeOut(rw.out)
		rw.out = rw.out[:0]
	}
}

func (rw *Rewriter) writeOut(p []byte) {
	if rw.err != nil {
		return
	}
	n, err := rw.w.Write(p)
	rw.written += n
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	rw.err = err
}

// lookahead is how much more than the text of an element has to be read to
// know that it is over: its end tag's name.
const lookahead = 16

// tooLong reports whether the text that is awaited has grown past Limit, as it
// will be found to have when it ends.
func (rw *Rewriter) tooLong() bool {
	if rw.aside.pending {
		return rw.scan.Start-rw.tag.start > Limit || len(rw.in)-rw.tag.start > 2*Limit
	}
	return len(rw.in)-rw.tag.start > Limit+lookahead
}

// oversize decides about an element whose text has grown past Limit.
func (rw *Rewriter) oversize() {
	if rw.pending == scan.Noscript {
		rw.pending = 0
		rw.copyTo(rw.tag.end)
		rw.skipText = true
		return
	}
	rw.holdUnread(&oversizeRule)
}

// holdUnread holds a script or style element whose text cannot be looked at.
func (rw *Rewriter) holdUnread(why *rules.Rule) {
	element := rw.pending
	rw.pending = 0
	aside := rw.aside.pending
	if aside {
		rw.aside.pending = false
		rw.swapAside()
	}
	t := &rw.tag
	inert := element == scan.Style && !t.isCSS(rw) && bytes.HasPrefix(rw.in[t.end:], noImport)
	t.hide = t.script != parked && !inert
	held := !inert && rw.hold(-1, unread(why), &inlineVector, nil)
	rw.emit()
	if held && element == scan.Style {
		rw.out = append(rw.out, noImport...)
	}
	if aside {
		rw.swapAside()
		if why == &oversizeRule {
			rw.dropText()
		}
	}
}

var (
	oversizeRule = rules.Rule{Source: "limit", Text: "larger than can be looked at"}
	encodingRule = rules.Rule{Source: "encoding", Text: "in an encoding that may hide what it says"}
	markupRule   = rules.Rule{Source: "markup", Text: "a script or style element of SVG with markup in its text"}
)

// unread is what is decided about what cannot be looked at.
func unread(why *rules.Rule) rules.Decision {
	return rules.Decision{Category: consent.Marketing, Rule: why}
}

// unfinished decides about an element whose end tag never came. A script cut
// off does not run, and so passes.
func (rw *Rewriter) unfinished() {
	s := &rw.scan
	switch {
	case rw.pending == scan.Script && rw.aside.pending:
		rw.aside.pending = false
	case rw.pending == scan.Script:
		rw.readFrames(rw.tag.end, len(rw.in), rw.enclosed)
	case rw.aside.pending:
		s.Start = len(rw.in)
		rw.settle(true)
	case rw.pending == scan.Noscript:
		rw.pending = 0
		rw.copyTo(rw.tag.end)
		rw.noscript(len(rw.in), rw.enclosed)
	default:
		rw.decideText(rw.in[rw.tag.end:])
		rw.readFrames(rw.tag.end, len(rw.in), rw.enclosed)
	}
}
