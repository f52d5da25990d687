package audit

import "unicode/utf8"

// maxPath is the longest path that is kept, in bytes; the rest is cut off.
const maxPath = 160

// What stands in a folded path for what was there.
const (
	foldNumber = "{n}"
	foldToken  = "{id}"
	foldMail   = "{mail}"
	foldCut    = "…"
)

// AppendFolded appends a path in the form in which it is counted: without
// query, fragment and path parameters, and with numbers, UUIDs, e-mail
// addresses and what looks like an identifier or a secret folded, so that
// pages of one kind count as one and nothing in a path leads to a person.
// Bytes that are not printable or not UTF-8 become "?".
func AppendFolded(dst, path []byte) []byte {
	start := len(dst)
	for i := 0; i < len(path) && path[i] != '?' && path[i] != '#'; {
		if path[i] == '/' {
			dst = append(dst, '/')
			i++
			continue
		}
		end := i
		for end < len(path) && path[end] != '/' && path[end] != '?' && path[end] != '#' {
			end++
		}
		dst = appendSegment(dst, path[i:end])
		i = end
		if len(dst)-start > maxPath {
			dst = append(cutRune(dst[:start+maxPath]), foldCut...)
			break
		}
	}
	if len(dst) == start {
		dst = append(dst, '/')
	}
	return dst
}

// cutRune takes a half rune off the end.
func cutRune(b []byte) []byte {
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// appendSegment appends one segment of a path, or a name, folded.
func appendSegment(dst, seg []byte) []byte {
	for i, c := range seg {
		if c == ';' { // path parameters: ;jsessionid=…
			seg = seg[:i]
			break
		}
	}
	if len(seg) > 2*maxPath {
		return append(dst, foldToken...)
	}
	var s shape
	s.measure(seg)
	switch {
	case s.mail:
		return append(dst, foldMail...)
	case s.digits > 0 && s.letters == 0 && (s.digits == s.len || s.digits >= 7):
		return append(dst, foldNumber...)
	case s.token() || uuid(seg):
		return append(dst, foldToken...)
	}
	// Long numbers and identifiers within a segment: word by word.
	for i := 0; i < len(seg); {
		end := i
		for end < len(seg) && alphanumeric(seg[end]) {
			end++
		}
		if end == i {
			dst = appendPrintable(dst, seg, &i)
			continue
		}
		dst = appendWord(dst, seg[i:end])
		i = end
	}
	return dst
}

// appendWord appends a run of ASCII letters and digits.
func appendWord(dst, word []byte) []byte {
	var s shape
	s.measure(word)
	if s.token() || s.digits > 0 && s.len >= 20 || s.len >= 48 {
		return append(dst, foldToken...)
	}
	if s.run < 5 {
		return append(dst, word...)
	}
	for i := 0; i < len(word); {
		end := i
		for end < len(word) && digit(word[end]) {
			end++
		}
		switch {
		case end-i >= 5:
			dst = append(dst, foldNumber...)
		case end == i:
			end++
			fallthrough
		default:
			dst = append(dst, word[i:end]...)
		}
		i = end
	}
	return dst
}

// appendPrintable appends the rune at seg[*i] if it can be shown.
func appendPrintable(dst, seg []byte, i *int) []byte {
	c := seg[*i]
	if c < utf8.RuneSelf {
		*i++
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		return append(dst, c)
	}
	r, size := utf8.DecodeRune(seg[*i:])
	*i += size
	if r == utf8.RuneError && size == 1 || r >= 0x80 && r < 0xa0 {
		return append(dst, '?')
	}
	return append(dst, seg[*i-size:*i]...)
}

// shape is what tells an identifier from words.
type shape struct {
	len, letters, digits int
	// run is the longest run of digits.
	run int
	// turns counts where lower case meets upper, a letter a digit, or a digit a
	// letter: often in random text, seldom in words.
	turns int
	mail  bool
}

// measure reads a segment. A percent-encoded byte counts as a lower-case
// letter, as it mostly is part of a letter of another script.
func (s *shape) measure(seg []byte) {
	const none, lower, upper, number = 0, 1, 2, 3
	last, run := none, 0
	for i := 0; i < len(seg); i++ {
		c, class := seg[i], none
		s.len++
		if c == '%' && i+2 < len(seg) && hexDigit(seg[i+1]) && hexDigit(seg[i+2]) {
			if seg[i+1] == '4' && seg[i+2] == '0' {
				c = '@'
			} else {
				c = 'a'
			}
			i += 2
		}
		switch {
		case digit(c):
			class = number
			s.digits++
			run++
			s.run = max(s.run, run)
		case c >= 'a' && c <= 'z' || c >= utf8.RuneSelf:
			class = lower
			s.letters++
		case c >= 'A' && c <= 'Z':
			class = upper
			s.letters++
		case c == '@':
			s.mail = s.mail || i > 0 && i < len(seg)-1
		}
		if class != number {
			run = 0
		}
		if last != none && class != none && last != class && !(last == upper && class == lower) {
			s.turns++
		}
		last = class
	}
}

// token reports whether the segment looks random.
func (s *shape) token() bool { return s.len >= 16 && s.turns*4 >= s.len }

// uuid reports whether the segment is a UUID: hexadecimal, 8-4-4-4-12.
func uuid(seg []byte) bool {
	if len(seg) != 36 {
		return false
	}
	for i, c := range seg {
		if hyphen := i == 8 || i == 13 || i == 18 || i == 23; hyphen != (c == '-') || !hyphen && !hexDigit(c) {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func hexDigit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func alphanumeric(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }
