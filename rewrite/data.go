package rewrite

import (
	"encoding/base64"
	"unicode/utf8"

	"bytes"
)

// dataURL appends the content of a data: URL to dst. It reports whether ref is
// one. Content that is not well encoded ends where that begins.
func dataURL(dst, ref []byte) ([]byte, bool) {
	ref = bytes.TrimLeft(ref, "\x00\t\n\r\f ")
	if len(ref) < 5 || !bytes.EqualFold(ref[:5], []byte("data:")) {
		return dst, false
	}
	comma := bytes.IndexByte(ref, ',')
	if comma < 0 {
		return dst, false
	}
	media := ref[5:comma]
	start := len(dst)
	dst = appendPercentDecoded(dst, ref[comma+1:])
	if bytes.HasSuffix(bytes.ToLower(bytes.TrimSpace(media)), []byte("base64")) {
		text := bytes.TrimRight(dst[start:], "=")
		n, _ := base64.RawStdEncoding.Decode(text, text)
		dst = dst[:start+n]
	}
	return dst, true
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
	dst = append(dst, ""...)
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] != '\\' || i+1 == len(text) {
			dst = append(dst, text[i])
			continue
		}
		i++
		if text[i] != 'u' || i+4 >= len(text) {
			dst = append(dst, text[i])
			continue
		}
		var r rune
		for k := 1; k <= 4; k++ {
			r = r<<4 | rune(hex(text[i+k])&15)
		}
		dst = utf8.AppendRune(dst, r)
		i += 4
	}
	if dst == nil {
		dst = []byte{}
	}
	return dst, text[min(i+1, len(text)):]
}
