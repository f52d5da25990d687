package rewrite

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"unicode/utf8"

	"github.com/askfirst/askfirst/rewrite/scan"
)

// dataURL appends the content of a data: URL to dst. It reports whether ref is
// one. Content that is not well encoded ends where that begins.
func dataURL(dst, ref []byte) ([]byte, bool) {
	n := afterScheme(ref, "data:")
	if n < 0 {
		return dst, false
	}
	media, content, ok := bytes.Cut(ref[n:], comma)
	if !ok {
		return dst, false
	}
	start := len(dst)
	dst = appendPercentDecoded(dst, content)
	if bytes.HasSuffix(bytes.ToLower(bytes.TrimSpace(media)), []byte("base64")) {
		text := bytes.TrimRight(withoutBlanks(dst[start:]), "=")
		n, _ = base64.RawStdEncoding.Decode(text, text)
		dst = dst[:start+n]
	}
	return dst, true
}

// mediaOf returns the media type of a data: URL, in lower case.
func mediaOf(ref []byte) []byte {
	media, _, _ := bytes.Cut(ref, comma)
	return bytes.ToLower(media)
}

// isXML reports whether a data: URL has a document of XML.
func isXML(ref []byte) bool { return bytes.Contains(mediaOf(ref), []byte("xml")) }

// hidesASCII reports whether the text of a data: URL may be in an encoding in which
// ASCII does not stand for itself: UTF-16, or ISO-2022-JP, which the text may name and
// needs escape sequences.
func hidesASCII(ref, text []byte) bool {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.IndexByte(text, 0x1b) >= 0 {
		return true
	}
	media := mediaOf(ref)
	return bytes.Count(media, []byte("charset")) > len(asciiCharset.FindAll(media, -1))
}

var asciiCharset = regexp.MustCompile(`charset="?(?:utf-?8|us-ascii|iso-8859-\d+|windows-\d+)\b`)

// withoutBlanks takes white space out of text, in place.
func withoutBlanks(text []byte) []byte {
	n := 0
	for _, c := range text {
		if !isSpace(c) {
			text[n] = c
			n++
		}
	}
	return text[:n]
}

func appendPercentDecoded(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hex(s[i+1]) < 16 && hex(s[i+2]) < 16 {
			dst = append(dst, hex(s[i+1])<<4|hex(s[i+2]))
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}

// hex returns the value of a hexadecimal digit, 16 for any other byte.
func hex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// nextString finds the first JSON string in text, appends its value to dst and
// returns what is after it. The value is nil where there is none.
func nextString(dst, text []byte) (value, rest []byte) {
	i := bytes.IndexByte(text, '"')
	if i < 0 {
		return nil, nil
	}
	text = text[i+1:]
	n := endOfString(text, '"')
	value = appendString(dst, text[:n])
	if value == nil {
		value = []byte{}
	}
	return value, text[min(n+1, len(text)):]
}

// endOfString returns where the string that text begins in ends: at its quote, or
// with text.
func endOfString(text []byte, quote byte) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case quote:
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}

// appendString appends the value of a string, given what is between its quotes,
// as JavaScript reads it (ECMA-262, section 12.9.4), and so JSON.
func appendString(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		digits := s[i+1:]
		switch c := s[i]; c {
		case 'b', 'f', 'n', 'r', 't', 'v':
			dst = append(dst, stringEscapes[c])
			continue
		case '\n':
			continue
		case '\r':
			if len(digits) > 0 && digits[0] == '\n' {
				i++
			}
			continue
		case 'x':
			digits = digits[:min(len(digits), 2)]
		case 'u':
			if n := bytes.IndexByte(digits, '}'); n > 0 && digits[0] == '{' {
				digits = digits[1:n]
				i += 2
			} else {
				digits = digits[:min(len(digits), 4)]
			}
		default:
			if c < '0' || c > '7' {
				// What stands for itself, and a line's end of another sort.
				if !bytes.HasPrefix(s[i:], lineSeparator) && !bytes.HasPrefix(s[i:], paragraphSeparator) {
					dst = append(dst, c)
				} else {
					i += 2
				}
				continue
			}
			r := 0
			n := 0
			for ; n < 3 && i+n < len(s) && '0' <= s[i+n] && s[i+n] <= '7' && r*8+int(s[i+n]-'0') < 256; n++ {
				r = r*8 + int(s[i+n]-'0')
			}
			dst = utf8.AppendRune(dst, rune(r))
			i += n - 1
			continue
		}
		var r rune
		for _, d := range digits {
			r = min(r<<4|rune(hex(d)&15), utf8.MaxRune+1)
		}
		dst = utf8.AppendRune(dst, r)
		i += len(digits)
	}
	return dst
}

var (
	stringEscapes                     = [...]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}
	lineSeparator, paragraphSeparator = []byte("\u2028"), []byte("\u2029")
)

// appendUnescaped appends CSS text with its escapes resolved (CSS Syntax 3
// §4.3.7).
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		if s[i] == '\n' || s[i] == '\f' {
			continue
		}
		if s[i] == '\r' {
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			continue
		}
		var r rune
		n := 0
		for ; n < 6 && i+n < len(s) && hex(s[i+n]) < 16; n++ {
			r = r<<4 | rune(hex(s[i+n]))
		}
		if n == 0 {
			dst = append(dst, s[i])
			continue
		}
		if r == 0 {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
		i += n - 1
		if i+2 < len(s) && s[i+1] == '\r' && s[i+2] == '\n' {
			i++
		}
		if i+1 < len(s) && isSpace(s[i+1]) {
			i++
		}
	}
	return dst
}

// appendForeignText appends the text of an SVG script or style element, whose
// content text is: comments are no part of it, CDATA sections are, and
// character references are decoded outside of those. It reports false where
// there is other markup in it, around which the text would go on.
func appendForeignText(dst, content []byte) (text []byte, ok bool) {
	for len(content) > 0 {
		n := bytes.IndexByte(content, '<')
		if n < 0 {
			return scan.AppendText(dst, content), true
		}
		dst = scan.AppendText(dst, content[:n])
		content = content[n:]
		switch {
		case bytes.HasPrefix(content, cdataOpen):
			content = content[len(cdataOpen):]
			if n = bytes.Index(content, cdataClose); n < 0 {
				return append(dst, content...), true
			}
			dst = append(dst, content[:n]...)
			content = content[n+len(cdataClose):]
		case bytes.HasPrefix(content, commentOpen):
			comment, rest, closed := bytes.Cut(content[len(commentOpen):], commentClose)
			if oddComment.Match(comment) {
				return dst, false
			}
			if !closed {
				return dst, true
			}
			content = rest
		case len(content) > 1 && (content[1] == '!' || content[1] == '?' || content[1] == '/'):
			return dst, false
		default:
			dst = append(dst, '<')
			content = content[1:]
		}
	}
	return dst, true
}

// Pages that are not UTF-8 may be in Shift_JIS, GBK or Big5, in which a backslash
// can be the second byte of a character. They are read both as if each stood for
// itself and as if each after such a byte did not.

// hidesBackslash reports whether s is such a text, as far as that can be told.
func hidesBackslash(s []byte) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(s[i:], '\\')
		if n < 0 {
			return false
		}
		if i += n; i > 0 && s[i-1] >= utf8.RuneSelf {
			return !utf8.Valid(s)
		}
	}
}

// ascii returns s as appendASCII makes it, valid until the next call.
func (rw *Rewriter) ascii(s []byte) []byte {
	rw.letters.b = appendASCII(rw.letters.room(len(s)), s)
	return rw.letters.b
}

// appendASCII appends s with a letter for each byte of a character that is not
// ASCII, a backslash among them.
func appendASCII(dst, s []byte) []byte {
	wide := false
	for _, c := range s {
		if wide = c >= utf8.RuneSelf || wide && c == '\\'; wide {
			c = 'a'
		}
		dst = append(dst, c)
	}
	return dst
}

var (
	comma                     = []byte(",")
	cdataOpen, cdataClose     = []byte("<![CDATA["), []byte("]]>")
	commentOpen, commentClose = []byte("<!--"), []byte("-->")
	// oddComment matches what follows "<!--" in a comment that ends otherwise.
	oddComment = regexp.MustCompile(`^-?>|--!>`)
)
