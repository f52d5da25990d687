package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// blank stands in for a URL that is held in a style sheet. CSS Values 4 sets
// it aside for a resource that is known not to exist: nobody is asked for it.
var blank = []byte("about:invalid")

// judgeStyle decides about the URLs in a style attribute. If one is held the
// attribute is renamed, and one without it stands in, so that the rest of the
// element's style stays.
func (rw *Rewriter) judgeStyle(i int, css []byte, v *vector) {
	if hidesBackslash(css) && rw.findHeld(rw.ascii(css), v, i) {
		return
	}
	if rw.findHeld(css, v, i) {
		rw.css = rw.css[:0]
		rw.withoutHeld(css, func(p []byte) { rw.css = append(rw.css, p...) })
		rw.tag.stand("style", rw.css)
	}
}

// styleElement decides about the text of a style element. If something in it
// is held the whole element is, so that it can be restored; a copy without the
// URLs that are held stands before it, so that the page keeps its looks.
//
// Chromium's preload scanner fetches what is imported at the beginning of any
// style element, whatever its type. A "-->" before the text stops it, and is
// nothing to CSS when the element is restored. That scanner drops NULs, which
// the parser replaces: a text with NULs is read both ways, and gets no copy. Nor
// does one in which a backslash may be part of a character, or one in a page of
// frames, where it is markup.
func (rw *Rewriter) styleElement(text []byte) {
	t := &rw.tag
	rw.readVectors()
	imports := bytes.IndexByte(text, '@') >= 0
	hasNUL := bytes.IndexByte(text, 0) >= 0
	hides := hidesBackslash(text)
	read := t.isCSS(rw) || imports && !bytes.HasPrefix(text, noImport)
	if read && (rw.findHeld(text, &styleVector, -1) || hasNUL && rw.findHeld(rw.withoutNUL(text), &styleVector, -1) ||
		hides && rw.findHeld(rw.ascii(text), &styleVector, -1)) {
		t.hide = true
		if !t.foreign && !hasNUL && !hides && !rw.framed {
			rw.copyBefore(t.start)
			rw.writeCopy(text)
		}
	}
	rw.emit()
	if t.hide && imports {
		rw.out = append(rw.out, noImport...)
	}
}

var noImport = []byte("-->")

func (rw *Rewriter) withoutNUL(text []byte) []byte {
	rw.css = rw.css[:0]
	for piece := range bytes.SplitSeq(text, nul) {
		rw.css = append(rw.css, piece...)
	}
	return rw.css
}

var nul = []byte{0}

var styleVector = vector{element: "style", read: asStyle, kind: rules.Image, fate: consent.Hold}

// isCSS reports whether a style element's type makes it a style sheet.
func (t *tag) isCSS(rw *Rewriter) bool {
	a := rw.find(attrType)
	if a < 0 {
		return true
	}
	v := rw.valueOf(a)
	return len(v) == 0 || scan.EqualFold(v, "text/css")
}

// writeCopy writes the style element, without the URLs that are held and with
// all its attributes but the id, which is to stay unique.
func (rw *Rewriter) writeCopy(css []byte) {
	s := &rw.scan
	rw.out = rw.appendEmpty(append(rw.out, "<style"...), "data-askfirst-copy")
	for i := range s.Attrs {
		a := &s.Attrs[i]
		if id := rw.tag.ids[i]; id == attrID || id == attrStyle || a.Form == '-' {
			continue
		}
		rw.out = append(rw.out, ' ')
		rw.out = append(rw.out, rw.in[rw.tag.start+int(a.Name):rw.tag.start+int(a.End)]...)
	}
	rw.out = append(rw.out, '>')
	write := rw.write
	if rw.doc.XML {
		write = func(p []byte) { rw.out = rw.appendEscaped(rw.out, p) }
	}
	rw.withoutHeld(css, write)
	rw.out = append(rw.out, "</style>"...)
}

// cut is where in CSS a URL stands that is held.
type cut struct{ from, to int32 }

// withoutHeld writes css with the URLs replaced that findHeld has found.
func (rw *Rewriter) withoutHeld(css []byte, write func([]byte)) {
	last := int32(0)
	for _, c := range rw.cuts {
		write(css[last:c.from])
		write(blank)
		last = c.to
	}
	write(css[last:])
}

// findHeld finds the URLs in css that are held and reports whether there are
// any. They are charged to the i-th attribute, or to the element's text where i
// is negative.
func (rw *Rewriter) findHeld(css []byte, v *vector, i int) bool {
	if !rw.mayHold(css, v) {
		return false
	}
	c := cssReader{css: css}
	rw.cuts = rw.cuts[:0]
	for c.next() {
		if rw.holdFound(&c, v, i, 0) {
			rw.cuts = append(rw.cuts, cut{int32(c.from), int32(c.to)})
		}
	}
	return len(rw.cuts) > 0
}

// holdFound decides about the URL that c has found, as findHeld does. What may be
// none is held only where a rule names it, a style sheet in a data: URL for what it
// refers to. depth is of the sheets that it stands in so.
func (rw *Rewriter) holdFound(c *cssReader, v *vector, i, depth int) bool {
	written := c.css[c.from:c.to]
	ref := written
	escapes := bytes.IndexByte(written, '\\') >= 0
	if escapes {
		rw.text = appendUnescaped(rw.text[:0], written)
		ref = rw.text
	}
	if c.kind == rules.Style {
		if sheet, ok := dataURL(nil, ref); ok {
			return rw.holdSheet(ref, sheet, v, i, depth+1)
		}
	}
	d, page := rw.ask(ref, c.kind, 0)
	if escapes && c.kind == rules.Style {
		// Chromium's preload scanner knows no escapes.
		if other, as := rw.ask(written, c.kind, 0); other.Party != rules.NoParty && !rw.allows(other, false) {
			d, page = other, as
		}
	}
	if d.Party == rules.NoParty {
		return false
	}
	one := *v
	one.kind, one.only = c.kind, v.only || c.unsure
	return rw.hold(i, d, &one, page)
}

// holdSheet decides about css, the style sheet in a data: URL, for all that it refers to.
func (rw *Rewriter) holdSheet(ref, css []byte, v *vector, i, depth int) (isHeld bool) {
	switch {
	case depth > maxNesting:
		return rw.hold(i, unread(&oversizeRule), v, nil)
	case hidesASCII(ref, css):
		return rw.hold(i, unread(&encodingRule), v, nil)
	}
	for c := (cssReader{css: css}); c.next(); {
		if rw.holdFound(&c, v, i, depth) {
			isHeld = true
		}
	}
	return isHeld
}

// mayHold reports whether there may be a URL in CSS that is held. It hops to
// the characters that such a URL cannot do without, which is many times faster
// than to read the CSS, and errs on the side of true. Where it reports false,
// Seen has been told of the URLs that pass.
func (rw *Rewriter) mayHold(css []byte, v *vector) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(css[i:], '@')
		if n < 0 {
			break
		}
		i += n
		if i+1 < len(css) && (css[i+1]|0x20 == 'i' || css[i+1] == '\\') {
			return true
		}
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(css[i:], '\\')
		if n < 0 {
			break
		}
		i += n
		if escapesName(css[i+1:]) {
			return true
		}
	}
	for _, quote := range [...]byte{'"', '\''} {
		for i := 0; ; i++ {
			n := bytes.IndexByte(css[i:], quote)
			if n < 0 {
				break
			}
			i += n
			if mayLead(css[i+1:]) && !selects(css[:i]) && !(i >= 4 && scan.EqualFold(css[i-4:i], "url(")) {
				return true
			}
		}
	}
	held, others := rw.arguments(css, nil)
	if !held && others && rw.doc.Seen != nil {
		rw.arguments(css, v)
	}
	return held
}

// arguments decides about what stands in parentheses after url, src and
// image-set. It reports whether something may be held, and whether there is
// anything that concerns others. If v is not nil, Seen is told.
func (rw *Rewriter) arguments(css []byte, v *vector) (held, others bool) {
	for i := 0; ; i++ {
		n := bytes.IndexByte(css[i:], '(')
		if n < 0 {
			return false, others
		}
		i += n
		if i < 3 {
			continue
		}
		switch name := css[i-3 : i]; {
		case scan.EqualFold(name, "url"), scan.EqualFold(name, "src"):
		case scan.EqualFold(name, "set") && i >= 9 && scan.EqualFold(css[i-9:i], "image-set"):
			return true, others
		default:
			continue
		}
		ref, ok := argument(css[i+1:])
		if !ok {
			return true, others
		}
		if bytes.HasPrefix(ref, fragmentSign) || bytes.HasPrefix(ref, dataScheme) {
			continue
		}
		d, page := rw.ask(ref, rules.Image, 0)
		if d.Party == rules.NoParty {
			continue
		}
		if rw.tag.owned || !rw.allows(d, false) {
			return true, others
		}
		if d.Party == rules.ThirdParty || d.Rule != nil {
			others = true
			if v != nil {
				rw.seen(v.kind, page, d, consent.Pass)
			}
		}
	}
}

// argument returns the URL in parentheses that css continues with. It reports
// false where that takes more than a look.
func argument(css []byte) (ref []byte, ok bool) {
	i := 0
	for i < len(css) && isSpace(css[i]) {
		i++
	}
	end := byte(')')
	if i < len(css) && (css[i] == '"' || css[i] == '\'') {
		end = css[i]
		i++
	}
	ref = css[i:]
	if bytes.HasPrefix(ref, dataScheme) {
		return ref, true
	}
	n := bytes.IndexByte(ref[:min(len(ref), 2048)], end)
	if n < 0 || bytes.IndexByte(ref[:n], '\\') >= 0 {
		return nil, false
	}
	return bytes.TrimSpace(ref[:n]), true
}

var dataScheme, fragmentSign = []byte("data:"), []byte("#")

// escapesName reports whether what follows a backslash may be a letter or a
// hyphen, of which the names of functions are made.
func escapesName(b []byte) bool {
	r := escaped(b)
	return r == '-' || 'a' <= r|0x20 && r|0x20 <= 'z'
}

// escaped returns what a backslash and b, which follows it, stand for (CSS Syntax 3
// §4.3.7), -1 where nothing follows.
func escaped(b []byte) rune {
	var r rune
	n := 0
	for ; n < 6 && n < len(b) && hex(b[n]) < 16; n++ {
		r = r<<4 | rune(hex(b[n]))
	}
	switch {
	case n > 0:
		return r
	case len(b) == 0:
		return -1
	}
	return rune(b[0])
}

// A string may be an address wherever it stands: a custom property, an argument or
// the result of a function may bring it to where image-set() takes a string for one
// (CSS Images 4 §2.5). So one that may lead elsewhere is decided about, unless a
// selector compares an attribute with it.

// mayLead reports whether the string that s begins with may be an address with a
// scheme of HTTP or a host. It errs on the side of true.
func mayLead(s []byte) bool {
	s = bytes.TrimLeftFunc(s, func(r rune) bool { return r <= ' ' })
	if len(s) < 2 {
		return false
	}
	second := s[1]
	switch s[0] {
	case 'h', 'H':
		return second|0x20 == 't' || second == '\\' || second <= ' '
	case '/':
		return second == '/' || second == '\\' || second <= ' '
	case '\\':
		r := escaped(s[1:])
		return r <= ' ' || r == '/' || r == '\\' || r|0x20 == 'h'
	}
	return false
}

// selects reports whether the string that follows css is what a selector compares an
// attribute with.
func selects(css []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(css, " \t\n\r\f"), []byte{'='})
}

// cssReader finds the URLs in CSS as its tokenizer reads it (CSS Syntax 3): in
// url(), src() and image-set(), and after @import.
type cssReader struct {
	css      []byte
	i        int
	from, to int // of the URL that next found, without quotes
	kind     rules.Kind
	unsure   bool // it may be none

	importing bool // the last token but white space was @import
	naming    bool // in @namespace, whose URLs are names
	face      bool // in @font-face
	argument  bool // the last token but white space was url(
	depth     int  // of parentheses
	set       int  // the depth inside image-set(, 0 outside of it
}

// cssClass says how a token begins.
type cssClass uint8

const (
	cssOther cssClass = iota
	cssSpace
	cssName
	cssNumber // a digit or '#': the name after it is no function's
	cssMark
)

var cssClasses = func() (t [256]cssClass) {
	for c := range t {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', c == '_', c == '-', c >= 0x80, c == '\\', c == 0:
			t[c] = cssName
		case '0' <= c && c <= '9', c == '#':
			t[c] = cssNumber
		case c == ' ', c == '\t', c == '\n', c == '\r', c == '\f':
			t[c] = cssSpace
		default:
			switch c {
			case '/', '"', '\'', '@', '(', ')', ';', '{', '}':
				t[c] = cssMark
			}
		}
	}
	return t
}()

// cssTurns are the bytes at which something can begin that matters where
// nothing is awaited: a comment, a string, an at-rule, an argument, an escape.
var cssTurns = func() (t [256]uint8) {
	for _, c := range []byte("/\"'@(\\") {
		t[c] = 1
	}
	return t
}()

// next finds the next URL and reports whether there is one.
func (c *cssReader) next() bool {
	for c.i < len(c.css) {
		if !c.importing && !c.argument && !c.naming && !c.face && c.set == 0 {
			c.hop()
		}
		if c.i < len(c.css) && c.token() {
			return true
		}
	}
	return false
}

// hop moves over tokens that change nothing, up to one that may be a URL or
// tell how others are read. Most of a style sheet is passed over so.
func (c *cssReader) hop() {
	css, i := c.css, c.i
	for i+4 <= len(css) && cssTurns[css[i]]|cssTurns[css[i+1]]|cssTurns[css[i+2]]|cssTurns[css[i+3]] == 0 {
		i += 4
	}
	for i < len(css) && cssTurns[css[i]] == 0 {
		i++
	}
	if i < len(css) && (css[i] == '(' || css[i] == '\\') {
		// The token begins with the name before.
		for i > c.i && (cssClasses[css[i-1]] == cssName || cssClasses[css[i-1]] == cssNumber) {
			i--
			if css[i] == '#' {
				break
			}
		}
	}
	c.i = i
}

// token reads the next token and reports whether it is a URL.
func (c *cssReader) token() bool {
	css := c.css
	switch cssClasses[css[c.i]] {
	case cssSpace:
		c.i++
	case cssOther:
		c.importing, c.argument = false, false
		c.i++
	case cssNumber:
		c.importing, c.argument = false, false
		c.i++
		c.name()
	case cssName:
		return c.function()
	default:
		return c.punctuation()
	}
	return false
}

// punctuation reads a token that begins with one of / " ' @ ( ) ; { }, and
// reports whether it is a URL.
func (c *cssReader) punctuation() bool {
	css := c.css
	ch := css[c.i]
	c.i++
	switch ch {
	case '/':
		if c.i < len(css) && css[c.i] == '*' {
			n := bytes.Index(css[c.i+1:], commentEnd)
			if n < 0 {
				c.i = len(css)
			} else {
				c.i += n + 3
			}
			return false
		}
	case '"', '\'':
		c.string(ch)
		known := c.importing || c.argument || c.set > 0
		switch {
		case c.importing:
			c.kind = rules.Style
		case !known:
			c.kind = rules.Image
		}
		c.importing, c.argument = false, false
		c.unsure = c.naming || !known
		return known || mayLead(css[c.from:]) && !selects(css[:c.from-1])
	case '@':
		from := c.i
		c.name()
		name := css[from:c.i]
		c.importing = sameIdent(name, "import")
		c.naming = sameIdent(name, "namespace")
		c.face = sameIdent(name, "font-face")
		c.argument = false
		return false
	case '(':
		c.depth++
	case ')':
		if c.depth > 0 {
			c.depth--
		}
		if c.depth < c.set {
			c.set = 0
		}
	case ';', '{', '}':
		c.naming = false
		if ch == '}' {
			c.face = false
		}
		if ch != ';' {
			c.depth, c.set = 0, 0
		}
	}
	c.importing, c.argument = false, false
	return false
}

var commentEnd = []byte("*/")

// name moves over the bytes of a name.
func (c *cssReader) name() {
	css := c.css
	for c.i < len(css) {
		switch cls := cssClasses[css[c.i]]; {
		case css[c.i] == '\\':
			c.i = min(c.i+2, len(css))
		case cls == cssName, cls == cssNumber && css[c.i] != '#':
			c.i++
		default:
			if c.i > 0 && isSpace(css[c.i]) && endsInHex(css[:c.i]) {
				// White space after a hexadecimal escape belongs to it.
				c.i++
				continue
			}
			return
		}
	}
}

// endsInHex reports whether b ends in a backslash and one to six hexadecimal
// digits.
func endsInHex(b []byte) bool {
	n := len(b)
	for k := 1; k <= 6 && n-k >= 0 && hex(b[n-k]) < 16; k++ {
		if n-k-1 >= 0 && b[n-k-1] == '\\' {
			return true
		}
	}
	return false
}

// function reads a name, and if it is that of url( its argument. It reports
// whether there is one.
func (c *cssReader) function() bool {
	css := c.css
	from := c.i
	c.name()
	if c.i == from {
		c.i++
	}
	name := css[from:c.i]
	importing := c.importing
	c.importing, c.argument = false, false
	if c.i == len(css) || css[c.i] != '(' {
		return false
	}
	c.i++
	c.depth++
	switch {
	case sameIdent(name, "url"), sameIdent(name, "src"):
	case sameIdent(name, "image-set"), sameIdent(name, "-webkit-image-set"):
		c.set, c.kind = c.depth, rules.Image
		return false
	default:
		return false
	}
	c.kind = rules.Image
	switch {
	case importing:
		c.kind = rules.Style
	case c.face:
		c.kind = rules.Font
	}
	for c.i < len(css) && isSpace(css[c.i]) {
		c.i++
	}
	if c.i < len(css) && (css[c.i] == '"' || css[c.i] == '\'') {
		c.argument = true
		return false
	}
	c.unsure = c.naming
	return c.bareURL()
}

// bareURL reads a URL without quotes, up to its ')'.
func (c *cssReader) bareURL() bool {
	css := c.css
	c.from = c.i
	// What is long is an image or a font in the style sheet itself.
	if n := bytes.IndexByte(css[c.i:], ')'); n > 0 && bytes.IndexByte(css[c.i:c.i+n], '\\') < 0 {
		c.i += n
	}
	for c.i < len(css) && css[c.i] != ')' {
		if css[c.i] == '\\' {
			c.i++
		}
		c.i++
	}
	c.i = min(c.i, len(css))
	c.to = c.i
	for c.to > c.from && isSpace(css[c.to-1]) {
		c.to--
	}
	return true
}

// string reads a string whose opening quote is behind c.i.
func (c *cssReader) string(quote byte) {
	css := c.css
	c.from = c.i
	for c.i < len(css) {
		switch css[c.i] {
		case quote:
			c.to = c.i
			c.i++
			return
		case '\n', '\r', '\f':
			c.to = c.i
			return
		case '\\':
			c.i++
		}
		c.i++
	}
	c.i = min(c.i, len(css))
	c.to = c.i
}

// sameIdent reports whether an identifier, as written, is name in lower case.
func sameIdent(ident []byte, name string) bool {
	if bytes.IndexByte(ident, '\\') < 0 {
		return scan.EqualFold(ident, name)
	}
	// An escape takes nine bytes at most.
	if len(ident) > 9*len(name) {
		return false
	}
	var buf [9 * len("-webkit-image-set")]byte
	return scan.EqualFold(appendUnescaped(buf[:0], ident), name)
}
