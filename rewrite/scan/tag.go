package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// tag reads a start or end tag from its name to its '>', in the states of the
// standard, and can stop and go on at any byte. It reports whether the tag is
// complete.
func (s *Scanner) tag(b []byte) bool {
	i, st := s.pos, s.state
	start := s.Start
	a := s.attr
loop:
	for i < len(b) {
		c := b[i]
		switch st {
		case tagName:
			for !nameEnd[b[i]] {
				if i++; i == len(b) {
					break loop
				}
			}
			s.NameEnd = i
			st = beforeName
		case beforeName:
			switch {
			case space(c):
				i++
			case c == '/':
				i++
				st = selfClosing
			case c == '>':
				return s.closeTag(b, i+1)
			default:
				// An equals sign here begins a name.
				a = Attr{Name: int32(i - start)}
				i++
				st = attrName
			}
		case attrName:
			for !attrNameEnd[b[i]] {
				if i++; i == len(b) {
					break loop
				}
			}
			a.NameEnd = int32(i - start)
			a.Value, a.ValueEnd, a.End = a.NameEnd, a.NameEnd, a.NameEnd
			if b[i] == '=' {
				i++
				a.Form = '-'
				a.End = int32(i - start)
				st = beforeValue
				continue
			}
			if b[i] == '>' {
				s.add(b, a)
				return s.closeTag(b, i+1)
			}
			st = afterName
		case afterName:
			switch {
			case space(c):
				i++
			case c == '=':
				i++
				a.Form = '-'
				a.End = int32(i - start)
				st = beforeValue
			default:
				s.add(b, a)
				st = beforeName
			}
		case beforeValue:
			switch {
			case c == '"':
				i++
				a.Form = c
				a.Value = int32(i - start)
				st = valueDouble
			case c == '\'':
				i++
				a.Form = c
				a.Value = int32(i - start)
				st = valueSingle
			case space(c):
				i++
			case c == '>':
				s.add(b, a)
				return s.closeTag(b, i+1)
			default:
				a.Form = '='
				a.Value = int32(i - start)
				st = valueUnquoted
			}
		case valueDouble, valueSingle:
			n := bytes.IndexByte(b[i:], a.Form)
			if n < 0 {
				i = len(b)
				break loop
			}
			i += n
			a.ValueEnd = int32(i - start)
			i++
			a.End = int32(i - start)
			s.add(b, a)
			st = beforeName
		case valueUnquoted:
			for !space(b[i]) && b[i] != '>' {
				if i++; i == len(b) {
					break loop
				}
			}
			a.ValueEnd = int32(i - start)
			a.End = a.ValueEnd
			s.add(b, a)
			st = beforeName
		case selfClosing:
			if c == '>' {
				s.SelfClosing = true
				return s.closeTag(b, i+1)
			}
			st = beforeName
		}
	}
	s.pos, s.state, s.attr = i, st, a
	return false
}

// usual reads the tag at b[s.Start] if it is all there and written in the usual
// way: without white space around equals signs, slashes between attributes and
// the like. Otherwise it returns More, and nothing has changed. Almost all tags of
// HTML are read here, eight bytes of a name at a time; the states do the rest, and
// XML, whose names may have prefixes.
func (s *Scanner) usual(b []byte) Token {
	start := s.Start
	i := start + 1
	if len(b)-i < 10 || s.syntax == XML {
		return More
	}
	end := b[i] == '/'
	if end {
		i++
	}
	if !letter(b[i]) {
		return More
	}
	w := binary.LittleEndian.Uint64(b[i:])
	j := i + letters(w)
	for !nameEnd[b[j]] {
		if j++; j == len(b) {
			return More
		}
	}
	e := Element(elementTable.find(LowerHead(w, j-i), b[i:j]))
	if end {
		if b[j] != '>' {
			return More
		}
		s.begin(e, true, false, j)
		s.Attrs = s.Attrs[:0]
		s.End = j + 1
		s.pos = s.End
		if len(s.open) > 0 {
			s.endForeign(b[i:j], e)
		} else if s.doubt > 0 {
			s.endAround(e)
		}
		return EndTag
	}
	nameEnd, attrs := j, s.Attrs[:0]
	selfClosing := false
	for {
		c := b[j]
		for space(c) {
			if j++; j == len(b) {
				return More
			}
			c = b[j]
		}
		if c == '>' {
			break
		}
		if len(b)-j < 10 || len(attrs) == MaxAttrs || c == '=' {
			return More
		}
		if c == '/' {
			if b[j+1] != '>' {
				return More
			}
			selfClosing = true
			j++
			break
		}
		at := j
		w := binary.LittleEndian.Uint64(b[j:])
		for j += letters(w); !attrNameEnd[b[j]]; {
			if j++; len(b)-j < 10 {
				return More
			}
			j += letters(binary.LittleEndian.Uint64(b[j:]))
		}
		// Written where it stays: what has just been written by parts is slow to
		// be copied as a whole.
		attrs = slices.Grow(attrs, 1)[:len(attrs)+1]
		a := &attrs[len(attrs)-1]
		*a = Attr{Name: int32(at - start), NameEnd: int32(j - start)}
		if s.Names != nil {
			a.ID = uint8(s.Names.find(LowerHead(w, j-at), b[at:j]))
		}
		if b[j] != '=' {
			// A name alone, unless an equals sign follows white space.
			a.Value, a.ValueEnd, a.End = a.NameEnd, a.NameEnd, a.NameEnd
			for space(b[j]) {
				if j++; j == len(b) {
					return More
				}
			}
			if b[j] == '=' {
				return More
			}
			continue
		}
		j++
		if j == len(b) {
			return More
		}
		if q := b[j]; q == '"' || q == '\'' {
			j++
			n := bytes.IndexByte(b[j:], q)
			if n < 0 || j+n+1 == len(b) {
				return More
			}
			a.Value, a.ValueEnd, a.End, a.Form = int32(j-start), int32(j+n-start), int32(j+n+1-start), q
			j += n + 1
		} else {
			if space(q) || q == '>' {
				return More
			}
			a.Value, a.Form = int32(j-start), '='
			for !space(b[j]) && b[j] != '>' {
				if j++; j == len(b) {
					return More
				}
			}
			a.ValueEnd, a.End = int32(j-start), int32(j-start)
		}
	}
	s.Attrs = attrs
	s.begin(e, false, selfClosing, nameEnd)
	s.End = j + 1
	s.pos = s.End
	s.opened(b, b[i:nameEnd], e)
	return StartTag
}

// begin takes a tag that usual has read.
func (s *Scanner) begin(e Element, end, selfClosing bool, nameEnd int) {
	s.Element, s.end, s.SelfClosing, s.NameEnd = e, end, selfClosing, nameEnd
	s.Overflow, s.dropped, s.Foreign = false, false, false
}

// letters returns how many bytes of w are for sure no end of a name, the
// lowest first: letters and what else has 0x40 set.
func letters(w uint64) int { return bits.TrailingZeros64(^w&0x4040404040404040) >> 3 }

// nameEnd holds for the bytes that end a tag's name, attrNameEnd for those
// that end an attribute's.
var nameEnd, attrNameEnd = func() (n, a [256]bool) {
	for _, c := range []byte(" \t\n\r\f/>") {
		n[c], a[c] = true, true
	}
	a['='] = true
	return n, a
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// closeTag ends the tag that ends before b[i] and decides how what follows is
// read. It returns true.
func (s *Scanner) closeTag(b []byte, i int) bool {
	s.pos, s.End = i, i
	s.state = data
	s.Foreign = false
	if s.dropped {
		s.Attrs = s.Attrs[:0]
	} else {
		name := s.Start + 1
		if s.end {
			name++
		}
		s.Element = s.element(b, name, s.NameEnd)
		switch {
		case s.end && len(s.open) > 0:
			s.endForeign(b[name:s.NameEnd], s.Element)
		case s.end && s.doubt > 0:
			s.endAround(s.Element)
		case !s.end && !s.Overflow:
			s.opened(b, b[name:s.NameEnd], s.Element)
		}
	}
	if (s.dropped || s.Overflow) && !s.end && traits[s.Element]&rawText != 0 && !(s.Element == Noscript && s.Unscripted) && len(s.open) == 0 && s.syntax == HTML {
		s.state = rawData
	}
	return true
}

// opened decides how what follows a start tag is read.
func (s *Scanner) opened(b, name []byte, e Element) {
	if s.doubt > 0 && len(s.open) == 0 {
		s.startAround(e)
	}
	if len(s.open) > 0 && s.startForeign(b, name, e) {
		return
	}
	t := traits[e]
	if t&special == 0 || s.syntax == XML {
		return
	}
	switch {
	case e == Noscript && s.Unscripted:
	case t&rawText != 0:
		s.state = rawData
		if e == Plaintext {
			s.state = plaintext
		}
	case !s.SelfClosing:
		s.Foreign = true
		s.push(name, e, namespaceOf(e))
	default:
		s.Foreign = true
	}
}

// element returns the element of the name b[i:j]. In XML it has whatever prefix is
// bound to its namespace (Namespaces in XML, section 3).
func (s *Scanner) element(b []byte, i, j int) Element {
	if s.syntax == XML {
		i += bytes.LastIndexByte(b[i:j], ':') + 1
	}
	return Element(elementTable.Find(b, i, j))
}

// attribute returns the number of the name b[i:j]. In XML any prefix may be bound to
// the namespace of XLink.
func (s *Scanner) attribute(b []byte, i, j int) uint8 {
	if s.syntax == XML && bytes.HasSuffix(b[i:j], prefixedHref) {
		b, i, j = xlinkHref, 0, len(xlinkHref)
	}
	return uint8(s.Names.Find(b, i, j))
}

var xlinkHref, prefixedHref = []byte("xlink:href"), []byte(":href")

func (s *Scanner) add(b []byte, a Attr) {
	if len(s.Attrs) == MaxAttrs || s.dropped {
		s.Overflow = true
		return
	}
	if s.Names != nil {
		a.ID = s.attribute(b, s.Start+int(a.Name), s.Start+int(a.NameEnd))
	}
	s.Attrs = append(s.Attrs, a)
}
