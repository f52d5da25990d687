package rewrite

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"sync/atomic"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// marks is a sieve before the rules' own table: most classes and ids of a page
// are no vendor's marks, and fail by their first eight letters.
type marks struct {
	engine                        *rules.Engine
	class, id, element, attribute sieve
	elements, attrs               bool // there are marks of that sort
	known, standard               bool // some of an attribute, of an element that has a number
}

// sieve has a bit set for the first eight bytes of each name, in lower case.
type sieve [1 << 8]uint64

// place returns where the bit of a name stands, by its scan.NameHead.
func place(head uint64) (word, bit uint64) {
	h := head * 0x9e3779b97f4a7c15
	return h >> 56, 1 << (h >> 50 & 63)
}

func (s *sieve) add(name string) {
	if name != "" {
		word, bit := place(scan.NameHead([]byte(name), 0, len(name)))
		s[word] |= bit
	}
}

// has reports whether b[i:j] may be a name that was added.
func (s *sieve) has(b []byte, i, j int) bool {
	return i < j && s.hasHead(scan.NameHead(b, i, j))
}

func (s *sieve) hasHead(head uint64) bool {
	word, bit := place(head)
	return s[word]&bit != 0
}

// sieves keeps the sieve of the engine that was used last.
var sieves atomic.Pointer[marks]

// marksOf returns the sieve of e.
func marksOf(e *rules.Engine) *marks {
	if m := sieves.Load(); m != nil && m.engine == e {
		return m
	}
	m := &marks{engine: e}
	for _, v := range e.Vendors() {
		for _, mark := range v.Marks {
			m.add(mark)
		}
	}
	m.class.add(borlabsBox)
	sieves.Store(m)
	return m
}

func (m *marks) add(mark string) {
	switch mark[0] {
	case '.':
		m.class.add(mark[1:])
	case '#':
		m.id.add(mark[1:])
	case '[':
		name, _, _ := strings.Cut(strings.TrimSuffix(mark[1:], "]"), "^=")
		m.attrs, m.known = true, m.known || attributeOf(name) != 0
		m.attribute.add(name)
	default:
		m.elements, m.standard = true, m.standard || scan.ElementOf(mark) != 0
		m.element.add(mark)
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// mayContain reports whether b[i:end], a class attribute's value as written, may
// have a class in the sieve.
func (s *sieve) mayContain(b []byte, i, end int) bool {
	begins := true // a class begins at b[i], or white space stands there
	for i < end {
		if i+8 > len(b) {
			return s.mayContainLast(b, i, end)
		}
		w := binary.LittleEndian.Uint64(b[i:])
		if amp := w ^ ones*'&'; (amp-ones)&^amp&highs != 0 {
			return true // a character reference, here or soon after
		}
		// The lowest byte that is white space or another control.
		n := bits.TrailingZeros64((w-ones*(' '+1))&^w&highs) >> 3
		if begins && n > 0 && s.hasHead(scan.LowerHead(w, min(n, end-i))) {
			return true
		}
		begins = n < 8
		i += min(n+1, 8)
	}
	return false
}

// mayContainLast is mayContain at the end of what has been read.
func (s *sieve) mayContainLast(b []byte, i, end int) bool {
	if bytes.IndexByte(b[i:end], '&') >= 0 {
		return true
	}
	for i < end {
		j := i
		for j < end && b[j] > ' ' {
			j++
		}
		if s.has(b, i, j) {
			return true
		}
		i = j + 1
	}
	return false
}

// readMarks decides about the marks of widgets that have no script of their
// own.
func (rw *Rewriter) readMarks() {
	t, s, m := &rw.tag, &rw.scan, rw.marks
	if !t.marked || t.fate != consent.Pass || t.elem == scan.Script || t.elem == scan.Style || rw.find(attrHeld) >= 0 {
		return
	}
	e := rw.doc.Rules
	if a := rw.find(attrClass); a >= 0 {
		for list := rw.valueOf(a); len(list) > 0; {
			var name []byte
			if name, list = nextWord(list); m.class.has(name, 0, len(name)) && rw.mark(e.Class(name)) {
				return
			}
		}
	}
	if a := rw.find(attrID); a >= 0 {
		if name := rw.valueOf(a); m.id.has(name, 0, len(name)) && rw.mark(e.ID(name)) {
			return
		}
	}
	if m.elements {
		if name := rw.in[t.start+1 : t.nameEnd]; m.element.has(name, 0, len(name)) && rw.mark(e.Element(rw.lower(name))) {
			return
		}
	}
	if m.attrs {
		for i := range s.Attrs {
			a := &s.Attrs[i]
			name := rw.in[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]
			if m.attribute.has(name, 0, len(name)) && rw.mark(e.Attribute(rw.lower(name), rw.valueOf(i))) {
				return
			}
		}
	}
}

// lower returns name in lower case, valid until the next call.
func (rw *Rewriter) lower(name []byte) []byte {
	rw.text = appendLower(rw.text[:0], name)
	return rw.text
}

func appendLower(dst, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// mark takes the rules' answer about a mark and reports whether it is one.
func (rw *Rewriter) mark(d rules.Decision) bool {
	if d.Rule == nil {
		return false
	}
	t := &rw.tag
	if t.owned {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, false) {
		fate = consent.Hold
		if rw.boxable(d.Vendor) {
			fate = consent.Placeholder
		}
		t.mark = true
		rw.blame(d, fate)
	}
	rw.seen(rules.Widget, nil, d, fate)
	return true
}
