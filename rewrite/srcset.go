package rewrite

import "bytes"

// nextCandidate splits the URL of the first image candidate off a srcset
// attribute, as the standard's "parse a srcset attribute" does.
func nextCandidate(list []byte) (url, rest []byte) {
	i := 0
	for i < len(list) && (isSpace(list[i]) || list[i] == ',') {
		i++
	}
	j := i
	for j < len(list) && !isSpace(list[j]) {
		j++
	}
	url = list[i:j]
	if n := len(url); n > 0 && url[n-1] == ',' {
		return bytes.TrimRight(url, ","), list[j:]
	}
	depth := 0
	for ; j < len(list); j++ {
		switch list[j] {
		case '(':
			depth++
		case ')':
			depth = max(depth-1, 0)
		case ',':
			if depth == 0 {
				return url, list[j+1:]
			}
		}
	}
	return url, nil
}

// refreshURL returns the URL in the content of <meta http-equiv=refresh>, as
// the standard's shared declarative refresh steps find it; empty for none. One in
// quotes ends at the first of the kind to them, to Chromium at the last.
func refreshURL(content []byte) (first, last []byte) {
	i := 0
	skip := func(in func(byte) bool) {
		for i < len(content) && in(content[i]) {
			i++
		}
	}
	skip(isSpace)
	skip(func(c byte) bool { return '0' <= c && c <= '9' || c == '.' })
	if i == len(content) || content[i] != ';' && content[i] != ',' && !isSpace(content[i]) {
		return nil, nil
	}
	skip(isSpace)
	if i < len(content) && (content[i] == ';' || content[i] == ',') {
		i++
	}
	skip(isSpace)
	if rest := content[i:]; len(rest) > 3 && bytes.EqualFold(rest[:3], []byte("url")) {
		k := 3
		for k < len(rest) && isSpace(rest[k]) {
			k++
		}
		if k < len(rest) && rest[k] == '=' {
			i += k + 1
			skip(isSpace)
		}
	}
	url := content[i:]
	if len(url) > 0 && (url[0] == '"' || url[0] == '\'') {
		quote := url[0]
		url = url[1:]
		if n := bytes.IndexByte(url, quote); n >= 0 {
			return url[:n], url[:bytes.LastIndexByte(url, quote)]
		}
	}
	return url, url
}

// isJavaScript reports whether a URL has the scheme javascript:.
func isJavaScript(url []byte) bool { return afterScheme(url, "javascript:") >= 0 }

// afterScheme returns where what follows the scheme begins in a URL, -1 where it
// has another. It may have white space in it as all URLs may (URL, section 4.4).
func afterScheme(url []byte, scheme string) int {
	n := 0
	for i, c := range url {
		switch {
		case c == '\t' || c == '\n' || c == '\r':
		case n == 0 && c <= ' ':
		case c == scheme[n] || c|0x20 == scheme[n] && scheme[n] != ':':
			if n++; n == len(scheme) {
				return i + 1
			}
		default:
			return -1
		}
	}
	return -1
}
