package rewrite

import (
	"strings"
	"sync/atomic"

	"github.com/askfirst/askfirst/rules"
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
