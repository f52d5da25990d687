package proxy

import (
	"bytes"

	"golang.org/x/net/html"
)

// inSyntax returns dst, to which HTML has been added from the n-th byte on, with that
// in the page's syntax.
func (d *document) inSyntax(dst []byte, n int) []byte {
	if !d.options.XML {
		return dst
	}
	return appendXML(dst[:n], bytes.Clone(dst[n:]))
}

// appendXML appends elements that are written in HTML as XML has them (HTML, section
// 13.3): attributes have values, elements without content are closed, text is escaped
// wherever it stands. The outermost elements say their namespace, as the page may have
// another by default. Elements may be left open, as that of a placeholder is.
func appendXML(dst, markup []byte) []byte {
	z := html.NewTokenizer(bytes.NewReader(markup))
	for depth := 0; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return dst
		}
		switch t := z.Token(); kind {
		case html.TextToken:
			dst = append(dst, html.EscapeString(t.Data)...)
		case html.StartTagToken, html.SelfClosingTagToken:
			dst = append(append(dst, '<'), t.Data...)
			if depth == 0 {
				dst = append(dst, ` xmlns="http://www.w3.org/1999/xhtml"`...)
			}
			for _, a := range t.Attr {
				if depth == 0 && a.Key == "xmlns" {
					continue
				}
				dst = append(append(append(dst, ' '), a.Key...), `="`...)
				dst = append(append(dst, html.EscapeString(a.Val)...), '"')
			}
			if kind == html.SelfClosingTagToken || isVoid(t.Data) {
				dst = append(dst, '/')
			} else {
				depth++
			}
			dst = append(dst, '>')
		case html.EndTagToken:
			dst = append(append(append(dst, "</"...), t.Data...), '>')
			depth--
		}
	}
}

// isVoid reports whether an element has no content and no end tag (HTML, section
// 13.1.2).
func isVoid(name string) bool {
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr":
		return true
	}
	return false
}
