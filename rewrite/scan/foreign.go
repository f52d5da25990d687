package scan

// namespace is that of an open element.
type namespace uint8

const (
	htmlSpace namespace = iota
	svgSpace
	mathSpace
)

func namespaceOf(e Element) namespace {
	if e == Math {
		return mathSpace
	}
	return svgSpace
}

// node is an element that is open inside SVG or MathML, or their root.
type node struct {
	name  uint64 // a hash of the name in lower case
	space namespace
	elem  Element
	// html says that the element is an HTML integration point.
	html bool
}

// maxDepth bounds the stack. Deeper elements are not pushed: they are then
// read as if they stood in the deepest that is.
const maxDepth = 512

func nameHash(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (s *Scanner) push(name []byte, e Element, space namespace) {
	if len(s.open) < maxDepth {
		s.open = append(s.open, node{name: nameHash(name), space: space, elem: e,
			html: space == svgSpace && (e == ForeignObject || e == Desc || e == Title)})
	}
}

// AppendClosing appends the end tags of the SVG and MathML that is open, and of
// the HTML in it, as far as names are known; but none of a noscript element, which
// would end the text of one around to who takes it for text. It stops at an element
// of HTML of which it appends none: while that is open nothing around it is ended.
// Raw text is ended before, by who asks.
func (s *Scanner) AppendClosing(dst []byte) []byte {
	top := len(s.open) - 1
	if s.InRaw() && top >= 0 && s.open[top].elem == s.Element {
		top--
	}
	for i := top; i >= 0; i-- {
		switch e := s.open[i].elem; {
		case s.open[i].space == htmlSpace && (e == Unknown || e == Noscript):
			return dst
		case e != Unknown && e != Noscript:
			dst = e.AppendEndTag(dst)
		}
	}
	for range s.doubt {
		dst = s.Root.AppendEndTag(dst)
	}
	return dst
}

// mathText reports whether n is a MathML text integration point.
func (n *node) mathText() bool {
	return n.space == mathSpace && (n.elem == Mi || n.elem == Mo || n.elem == Mn || n.elem == Ms || n.elem == Mtext)
}

// cdataAllowed reports whether "<![CDATA[" opens a CDATA section here: where the
// adjusted current node is not in the HTML namespace.
func (s *Scanner) cdataAllowed() bool {
	return s.syntax == XML || len(s.open) > 0 && s.open[len(s.open)-1].space != htmlSpace
}

// startForeign follows a start tag while SVG or MathML is open. It reports
// whether the tag is foreign; if not it is one of HTML.
func (s *Scanner) startForeign(b, name []byte, e Element) bool {
	top := &s.open[len(s.open)-1]
	asHTML := top.space == htmlSpace || top.html ||
		top.mathText() && e != Mglyph && e != Malignmark ||
		top.space == mathSpace && top.elem == Annotation && e == SVG
	if !asHTML && (traits[e]&breakout != 0 || e == Font && s.fontBreaksOut(b)) {
		for len(s.open) > 0 {
			top = &s.open[len(s.open)-1]
			if top.space == htmlSpace || top.html || top.mathText() {
				break
			}
			s.open = s.open[:len(s.open)-1]
		}
		asHTML = true
	}
	if asHTML {
		if len(s.open) > 0 && traits[e]&void == 0 && e != SVG && e != Math {
			s.push(name, e, htmlSpace)
		}
		return false
	}
	s.Foreign = true
	if !s.SelfClosing {
		space := top.space
		s.push(name, e, space)
		if e == Annotation && space == mathSpace {
			s.open[len(s.open)-1].html = s.annotatesHTML(b)
		}
	}
	return true
}

// endForeign follows an end tag while SVG or MathML is open.
func (s *Scanner) endForeign(name []byte, e Element) {
	top := &s.open[len(s.open)-1]
	h := nameHash(name)
	if top.space != htmlSpace && (e == P || e == Br) {
		for len(s.open) > 0 {
			top = &s.open[len(s.open)-1]
			if top.space == htmlSpace || top.html || top.mathText() {
				return
			}
			s.open = s.open[:len(s.open)-1]
		}
		return
	}
	inHTML := top.space == htmlSpace
	for i := len(s.open) - 1; i >= 0; i-- {
		n := &s.open[i]
		if inHTML && n.space != htmlSpace {
			// An end tag met in HTML closes no foreign element.
			return
		}
		if n.name == h {
			s.open = s.open[:i]
			return
		}
		if !inHTML && n.space == htmlSpace {
			inHTML = true
		}
	}
	// What it closes, if anything, is outside of the outermost <svg>, and takes
	// that with it. If nothing, SVG goes on.
	if e != Unknown && !inHTML && closesAround(e) {
		s.leave(e)
	}
}

// leave follows an end tag of e that may close an HTML element around SVG. What is
// reported is as if it does.
func (s *Scanner) leave(e Element) {
	n, integrates := 0, false
	for i := range s.open {
		if s.open[i].elem == s.open[0].elem {
			n++
		}
		integrates = integrates || s.open[i].html || s.open[i].mathText()
	}
	if integrates && !tabular(e) {
		return // It has no such element in scope.
	}
	s.Root, s.doubt = s.open[0].elem, n
	s.open = s.open[:0]
	if integrates {
		s.depend()
	}
}

// tabular reports whether the end tag of e closes elements around one in which HTML
// is integrated in SVG, too.
func tabular(e Element) bool {
	switch e {
	case Table, Td, Th, Tr, Tbody, Thead, Tfoot, Caption, Select, Template:
		return true
	}
	return false
}

// closesAround reports whether the end tag of e, met in foreign content, may
// close an HTML element around it.
func closesAround(e Element) bool {
	switch e {
	case Div, Table, Td, Th, Tr, Tbody, Thead, Tfoot, Caption, Button, Ul, Ol, Dl, Li, Dd, Dt, Center, Blockquote, Pre, Menu, Listing,
		H1, H2, H3, H4, H5, H6, Object, Applet, Form, Select, Template:
		return true
	}
	return false
}

// startAround follows a start tag where SVG may be open around it.
func (s *Scanner) startAround(e Element) {
	switch {
	case traits[e]&foreign != 0:
		s.depend()
	case traits[e]&breakout != 0:
		s.doubt = 0
	}
}

// endAround follows an end tag where SVG may be open around it.
func (s *Scanner) endAround(e Element) {
	switch e {
	case s.Root:
		s.doubt--
	case P, Br:
		s.doubt = 0
	}
}

// depend says that how the token is read depends on whether SVG is open around it.
func (s *Scanner) depend() { s.Around, s.doubt = s.doubt, 0 }

func (s *Scanner) fontBreaksOut(b []byte) bool {
	for _, a := range s.Attrs {
		switch n := b[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]; {
		case EqualFold(n, "color"), EqualFold(n, "face"), EqualFold(n, "size"):
			return true
		}
	}
	return false
}

// annotatesHTML reports whether an annotation-xml says that it holds HTML.
func (s *Scanner) annotatesHTML(b []byte) bool {
	for _, a := range s.Attrs {
		if EqualFold(b[s.Start+int(a.Name):s.Start+int(a.NameEnd)], "encoding") {
			v := AppendValue(nil, b[s.Start+int(a.Value):s.Start+int(a.ValueEnd)])
			return EqualFold(v, "text/html") || EqualFold(v, "application/xhtml+xml")
		}
	}
	return false
}
