package scan

import "bytes"

// ReadText has s read on at b[at], b being the buffer given to Next, as in the text
// of e, a raw text element.
func (s *Scanner) ReadText(e Element, at int) {
	*s = Scanner{Attrs: s.Attrs[:0], open: s.open[:0], Element: e, End: at, pos: at, state: rawData}
}

var commentOpen = []byte("<!--")

// raw reads the text of a raw text element: the RCDATA, RAWTEXT, script data
// and PLAINTEXT states. It reports whether the text is complete.
func (s *Scanner) raw(b []byte, eof bool) bool {
	s.Start = max(s.End, 0)
	for {
		if s.state == scriptEscaped || s.state == scriptDoubleEscaped {
			if !s.escaped(b, eof) {
				return false
			}
			if s.state == data {
				return true
			}
			continue
		}
		n := -1
		if s.state == rawData {
			n = bytes.IndexByte(b[s.pos:], '<')
		}
		if n < 0 {
			s.pos = len(b)
			return false
		}
		s.pos += n
		rest := b[s.pos:]
		switch {
		case len(rest) < 2 && !eof:
			return false
		case len(rest) >= 2 && rest[1] == '/':
			switch s.closes(rest[2:], s.Element.String(), eof) {
			case yes:
				return s.endRaw()
			case unknown:
				return false
			}
		case s.Element == Script && len(rest) >= 2 && rest[1] == '!':
			if len(rest) < len(commentOpen) && bytes.HasPrefix(commentOpen, rest) && !eof {
				return false
			}
			if bytes.HasPrefix(rest, commentOpen) {
				s.pos += 4
				s.dashes = 2
				s.state = scriptEscaped
				continue
			}
		}
		s.pos++
	}
}

func (s *Scanner) endRaw() bool {
	s.End = s.pos
	s.state = data
	return true
}

type answer uint8

const (
	no answer = iota
	yes
	unknown
)

// closes reports whether b begins with name and a byte that ends a tag name.
func (s *Scanner) closes(b []byte, name string, eof bool) answer {
	if len(b) <= len(name) {
		if !eof && EqualFold(b, name[:len(b)]) {
			return unknown
		}
		return no
	}
	if EqualFold(b[:len(name)], name) && nameEnd[b[len(name)]] {
		return yes
	}
	return no
}

// escaped reads script data after "<!--", where a "<script" makes the next
// "</script" part of the text. It returns false if the input ran out, and true
// when the state has changed.
func (s *Scanner) escaped(b []byte, eof bool) bool {
	for s.pos < len(b) {
		switch b[s.pos] {
		case '-':
			s.dashes = min(s.dashes+1, 2)
			s.pos++
			continue
		case '>':
			if s.dashes == 2 {
				s.pos++
				s.state = rawData
				return true
			}
		case '<':
			rest := b[s.pos+1:]
			if len(rest) == 0 && !eof {
				return false
			}
			if len(rest) > 0 && rest[0] == '/' {
				switch s.closes(rest[1:], "script", eof) {
				case unknown:
					return false
				case yes:
					if s.state == scriptEscaped {
						return s.endRaw()
					}
					s.state = scriptEscaped
				}
			} else if s.state == scriptEscaped {
				switch s.closes(rest, "script", eof) {
				case unknown:
					return false
				case yes:
					s.state = scriptDoubleEscaped
				}
			}
		}
		s.dashes = 0
		s.pos++
	}
	return false
}
