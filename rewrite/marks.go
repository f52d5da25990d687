package rewrite

import (
	"strings"
	"sync/atomic"

	"github.com/askfirst/askfirst/rules"
)

// marks is a sieve before the rules' own table: most classes and ids of a page
// are no vendor's marks, and fail by their first letter and length.
type marks struct {
	engine             *rules.Engine
	class, id          [256]uint64 // bit n of [c]: a mark that begins with c and has n bytes, or 63 and more
	elements, attrs    bool
	element, attribute [256]uint64
}

// sieves keeps the sieve of the engine that was used last.
var sieves atomic.Pointer[marks]

// marksOf returns the sieve of e.
func marksOf(e *rules.Engine) *marks {
	if m := sieves.Load(); m != nil && m.engine == e {
		return m
	}
	m := &marks{engine: e}
	if e != nil {
		for _, v := range e.Vendors() {
			for _, mark := range v.Marks {
				m.add(mark)
			}
		}
	}
	sieves.Store(m)
	return m
}

func (m *marks) add(mark string) {
	switch mark[0] {
	case '.':
		sift(&m.class, mark[1:])
	case '#':
		sift(&m.id, mark[1:])
	case '[':
		m.attrs = true
		sift(&m.attribute, strings.TrimSuffix(mark[1:], "]"))
	default:
		m.elements = true
		sift(&m.element, mark)
	}
}

func sift(t *[256]uint64, name string) {
	if name != "" {
		t[name[0]|0x20] |= 1 << min(len(name), 63)
	}
}

func sieved(t *[256]uint64, name []byte) bool {
	return len(name) > 0 && t[name[0]|0x20]>>min(len(name), 63)&1 != 0
}

// mayContain reports whether a class attribute's value, as written, may have a
// class in the sieve.
func mayContain(t *[256]uint64, raw []byte) bool {
	for i := 0; i < len(raw); {
		for raw[i] <= ' ' {
			if i++; i == len(raw) {
				return false
			}
		}
		lengths := t[raw[i]|0x20]
		from := i
		for i < len(raw) && raw[i] > ' ' {
			if raw[i] == '&' {
				return true
			}
			i++
		}
		if lengths>>min(i-from, 63)&1 != 0 {
			return true
		}
	}
	return false
}
