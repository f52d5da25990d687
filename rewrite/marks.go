package rewrite

import (
	"strings"
	"sync/atomic"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// marks is a sieve before the rules' own table: most classes and ids of a page
// are no vendor's marks, and fail by their length and first and last letters.
type marks struct {
	engine                        *rules.Engine
	class, id, element, attribute sieve
	elements, attrs               bool // there are marks of that sort
}

// sieve has bit n set where a name that begins or ends in a byte, in either
// case, has n bytes, or 63 and more.
type sieve struct{ first, last [256]uint64 }

func (s *sieve) add(name string) {
	if name != "" {
		bit := uint64(1) << min(len(name), 63)
		s.first[name[0]|0x20] |= bit
		s.last[name[len(name)-1]|0x20] |= bit
	}
}

// has reports whether name may be one that was added.
func (s *sieve) has(name []byte) bool {
	return len(name) > 0 && s.first[name[0]|0x20]&s.last[name[len(name)-1]|0x20]>>min(len(name), 63)&1 != 0
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
		m.attrs = true
		m.attribute.add(strings.TrimSuffix(mark[1:], "]"))
	default:
		m.elements = true
		m.element.add(mark)
	}
}

// mayContain reports whether a class attribute's value, as written, may have a
// class in the sieve.
func (s *sieve) mayContain(raw []byte) bool {
	for i := 0; i < len(raw); {
		for raw[i] <= ' ' {
			if i++; i == len(raw) {
				return false
			}
		}
		from := i
		for i < len(raw) && raw[i] > ' ' {
			if raw[i] == '&' {
				return true
			}
			i++
		}
		if s.first[raw[from]|0x20]&s.last[raw[i-1]|0x20]>>min(i-from, 63)&1 != 0 {
			return true
		}
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
			if name, list = nextWord(list); m.class.has(name) && rw.mark(e.Class(name)) {
				return
			}
		}
	}
	if a := rw.find(attrID); a >= 0 {
		if name := rw.valueOf(a); m.id.has(name) && rw.mark(e.ID(name)) {
			return
		}
	}
	if m.elements {
		if name := rw.in[t.start+1 : t.nameEnd]; m.element.has(name) && rw.mark(e.Element(rw.lower(name))) {
			return
		}
	}
	if m.attrs {
		for i := range s.Attrs {
			a := &s.Attrs[i]
			name := rw.in[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]
			if m.attribute.has(name) && rw.mark(e.Attribute(rw.lower(name))) {
				return
			}
		}
	}
}

// lower returns name in lower case, valid until the next call.
func (rw *Rewriter) lower(name []byte) []byte {
	rw.text = rw.text[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		rw.text = append(rw.text, c)
	}
	return rw.text
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
	rw.seen(rules.Widget, nil, nil, d, fate)
	return true
}
