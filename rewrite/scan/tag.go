package scan

import (
	"bytes"
	"encoding/binary"
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
			if i, c = s.attributes(b, i); c == '>' {
				return s.closeTag(b, i+1)
			}
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
				s.add(a)
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
				s.add(a)
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
				s.add(a)
				return s.closeTag(b, i+1)
			default:
				a.Form = '='
				a.Value = int32(i - start)
				st = valueUnquoted
			}
		case valueDouble, valueSingle:
			n := quote(b[i:], a.Form)
			if n < 0 {
				i = len(b)
				break loop
			}
			i += n
			a.ValueEnd = int32(i - start)
			i++
			a.End = int32(i - start)
			s.add(a)
			st = beforeName
		case valueUnquoted:
			for !space(b[i]) && b[i] != '>' {
				if i++; i == len(b) {
					break loop
				}
			}
			a.ValueEnd = int32(i - start)
			a.End = a.ValueEnd
			s.add(a)
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

// attributes reads from b[i] on as many attributes as are written in the usual
// way, each name="value" or name='value' after one white space. It returns
// where it stopped and the byte there, 0 at the end of b.
func (s *Scanner) attributes(b []byte, i int) (int, byte) {
	start := s.Start
	for i < len(b) {
		c := b[i]
		if !space(c) {
			return i, c
		}
		at := i + 1
		if at == len(b) || !letter(b[at]) {
			return i, c
		}
		j := at + 1
		for j < len(b) && !attrNameEnd[b[j]] {
			j++
		}
		if j+1 >= len(b) || b[j] != '=' || b[j+1] != '"' && b[j+1] != '\'' {
			return i, c
		}
		n := quote(b[j+2:], b[j+1])
		if n < 0 {
			return i, c
		}
		end := j + 2 + n
		s.add(Attr{int32(at - start), int32(j - start), int32(j + 2 - start), int32(end - start), int32(end + 1 - start), b[j+1]})
		i = end + 1
	}
	return i, 0
}

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

// quote returns the index of c in b, -1 if it is not there. Most attribute
// values are short: the first bytes are looked at in place, which saves the
// call of a vector search.
func quote(b []byte, c byte) int {
	pattern := ones * uint64(c)
	i := 0
	for ; i < 32 && i+8 <= len(b); i += 8 {
		v := binary.LittleEndian.Uint64(b[i:]) ^ pattern
		if m := (v - ones) &^ v & highs; m != 0 {
			return i + firstByte(m)
		}
	}
	n := bytes.IndexByte(b[i:], c)
	if n < 0 {
		return -1
	}
	return i + n
}

// closeTag ends the tag that ends before b[i] and decides how what follows is
// read. It returns true.
func (s *Scanner) closeTag(b []byte, i int) bool {
	s.pos, s.End = i, i
	s.state = data
	s.Foreign = false
	if s.dropped {
		s.Attrs = s.Attrs[:0]
		if traits[s.Element]&rawText != 0 && !s.end && !(s.Element == Noscript && s.Unscripted) && len(s.open) == 0 && s.syntax == HTML {
			s.state = rawData
		}
		return true
	}
	name := s.Start + 1
	if s.end {
		name++
	}
	e := Element(elementTable.Find(b, name, s.NameEnd))
	s.Element = e
	if len(s.open) > 0 {
		if s.end {
			s.endForeign(b[name:s.NameEnd], e)
			return true
		}
		if s.startForeign(b, b[name:s.NameEnd], e) {
			return true
		}
	} else if s.end {
		return true
	}
	t := traits[e]
	if t&special == 0 || s.syntax == XML {
		return true
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
		s.push(b[name:s.NameEnd], e, namespaceOf(e))
	default:
		s.Foreign = true
	}
	return true
}

func (s *Scanner) add(a Attr) {
	if len(s.Attrs) == MaxAttrs || s.dropped {
		s.Overflow = true
		return
	}
	s.Attrs = append(s.Attrs, a)
}
