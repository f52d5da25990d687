package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// tag is the start tag that is being decided about.
type tag struct {
	start int // in the bytes being read
	end   int
	elem  scan.Element
	ids   []attribute // of the scanner's attributes
	held  []bool      // which of them are renamed
	// reason is why the element is held; fate is Pass where it is not.
	reason   rules.Decision
	fate     consent.Fate
	kind     rules.Kind
	mark     bool // the reason is a mark in HTML, not a reference
	own      rules.Decision
	hasOwn   bool
	script   scriptType
	parked   bool
	hide     bool // a script: its type becomes text/plain
	external bool // a script with src
	// substitute is the value of an attribute that stands in for the renamed
	// one of that name.
	substitute     []byte
	substituteName string
	nested         rules.Decision
	nestedFate     consent.Fate
}

// onHandler stands for an event handler's attribute, whatever its name.
const onHandler attribute = 255

// startTag decides about a start tag and writes it, if it is not to wait for
// the text of its element.
func (rw *Rewriter) startTag(b []byte) {
	s := &rw.scan
	if rw.skip || s.Overflow {
		// A tag that was too large is over; the text of its element goes too.
		rw.copyTo(b, s.Start)
		rw.done = s.End
		rw.skip = s.InRaw()
		rw.raw = s.Element
		return
	}
	t := &rw.tag
	e := s.Element
	if rw.boxes.element == e && e != 0 && !e.Void() {
		rw.boxes.depth++
	}
	hit := rw.classify(b)
	after := rw.inject.stage < opened && rw.inject.startTag(rw, b)
	t.start, t.end, t.elem = s.Start, s.End, e
	if hit || watched[e] {
		rw.decide(b)
	}
	if after {
		rw.copyTo(b, s.End)
		rw.inject.open(rw)
	} else if rw.inject.stage < opened {
		rw.copyTo(b, s.End)
	}
}

// watched are the elements that matter without any attribute.
var watched = func() (w [256]bool) {
	for _, e := range []scan.Element{scan.Script, scan.Style, scan.Noscript, scan.Frameset} {
		w[e] = true
	}
	return w
}()

// classify finds the numbers of the tag's attributes and reports whether any
// of them matters.
func (rw *Rewriter) classify(b []byte) bool {
	s, t := &rw.scan, &rw.tag
	t.ids = t.ids[:0]
	hit := false
	for i := range s.Attrs {
		a := &s.Attrs[i]
		from, to := s.Start+int(a.Name), s.Start+int(a.NameEnd)
		id := attribute(attributeTable.Find(b, from, to))
		if id == 0 && to-from > 2 && b[from]|0x20 == 'o' && b[from+1]|0x20 == 'n' {
			id = onHandler
		}
		t.ids = append(t.ids, id)
		hit = hit || id != 0
	}
	if !hit && (rw.marks.elements || rw.marks.attrs) {
		hit = rw.marks.elements && sieved(&rw.marks.element, s.Name(b)) || rw.marks.attrs && len(s.Attrs) > 0
	}
	return hit
}

// find returns the place of the first attribute of that number, -1 if there is
// none: of several with one name a browser takes the first.
func (rw *Rewriter) find(id attribute) int {
	for i, have := range rw.tag.ids {
		if have == id {
			return i
		}
	}
	return -1
}

// rawValue returns the i-th attribute's value as written.
func (rw *Rewriter) rawValue(b []byte, i int) []byte {
	a := &rw.scan.Attrs[i]
	return b[rw.scan.Start+int(a.Value) : rw.scan.Start+int(a.ValueEnd)]
}

// valueOf returns the i-th attribute's value as a browser reads it. It is
// valid until the next call.
func (rw *Rewriter) valueOf(b []byte, i int) []byte {
	raw := rw.rawValue(b, i)
	if scan.Plain(raw) {
		return raw
	}
	rw.value = scan.AppendValue(rw.value[:0], raw)
	return rw.value
}

// decide looks at everything by which the tag may act.
func (rw *Rewriter) decide(b []byte) {
	s, t := &rw.scan, &rw.tag
	t.reason, t.fate, t.kind, t.mark = rules.Decision{}, consent.Pass, 0, false
	t.hasOwn, t.script, t.parked, t.hide, t.external = false, notScript, false, false, false
	t.substitute = nil
	t.held = t.held[:0]
	for range s.Attrs {
		t.held = append(t.held, false)
	}
	rw.readOwn(b)
	switch t.elem {
	case scan.Script:
		if rw.startScript(b) {
			return
		}
	case scan.Style:
		if !s.Foreign || s.InRaw() {
			rw.pending = scan.Style
			return
		}
	case scan.Noscript:
		if s.InRaw() {
			rw.pending = scan.Noscript
		}
	case scan.Frameset:
		rw.inject.frameset()
	case scan.Base:
		if a := rw.find(attrHref); a >= 0 && !rw.based {
			rw.based = true
			rw.page.SetBase(rw.valueOf(b, a))
		}
	}
	rw.readVectors(b)
	rw.readMarks(b)
	rw.emit(b)
}

// readVectors decides about each attribute that refers to others.
func (rw *Rewriter) readVectors(b []byte) {
	t := &rw.tag
	role := roles[t.elem]
	for i, id := range t.ids {
		if id == 0 {
			continue
		}
		if id == onHandler {
			rw.judge(b, i, &handlers)
			continue
		}
		n := role[id]
		if n == 0 || rw.find(id) != i || t.elem == scan.Script && t.script != running {
			continue
		}
		v := &vectors[n-1]
		if v.when != "" {
			if v = rw.applies(b, v); v == nil {
				continue
			}
		}
		rw.judge(b, i, v)
	}
}

// handlers is the vector of event handlers.
var handlers = vectors[len(vectors)-1]

// applies returns the first vector from v on that has v's element and
// attribute and whose condition the tag meets, nil for none.
func (rw *Rewriter) applies(b []byte, v *vector) *vector {
	var by attribute
	switch rw.tag.elem {
	case scan.Link:
		by = attrRel
	case scan.Meta:
		by = attrHTTPEquiv
	case scan.Param:
		by = attrName
	default:
		by = attrType
	}
	a := rw.find(by)
	if a < 0 {
		return nil
	}
	rw.text = append(rw.text[:0], rw.valueOf(b, a)...)
	for i := range vectors {
		w := &vectors[i]
		if w.element != v.element || w.attribute != v.attribute {
			continue
		}
		if by == attrRel && hasWord(rw.text, w.when) || by != attrRel && scan.EqualFold(bytes.TrimSpace(rw.text), w.when) {
			return w
		}
	}
	return nil
}

// hasWord reports whether the space-separated list has the word, in any case.
func hasWord(list []byte, word string) bool {
	for len(list) > 0 {
		var w []byte
		if w, list = nextWord(list); scan.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// nextWord splits the first word off a space-separated list.
func nextWord(list []byte) (word, rest []byte) {
	i := 0
	for i < len(list) && isSpace(list[i]) {
		i++
	}
	j := i
	for j < len(list) && !isSpace(list[j]) {
		j++
	}
	return list[i:j], list[j:]
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'
}

// judge decides about the i-th attribute, read as v says.
func (rw *Rewriter) judge(b []byte, i int, v *vector) {
	value := rw.valueOf(b, i)
	switch v.read {
	case asURL:
		if isJavaScript(value) {
			rw.judgeCode(i, value, v)
			return
		}
		rw.judgeURL(i, value, v)
	case asURLs:
		for len(value) > 0 {
			var u []byte
			if u, value = nextWord(value); len(u) > 0 {
				rw.judgeURL(i, u, v)
			}
		}
	case asSrcset:
		for len(value) > 0 {
			var u []byte
			if u, value = nextCandidate(value); len(u) > 0 {
				rw.judgeURL(i, u, v)
			}
		}
	case asLink:
		if isJavaScript(value) {
			rw.judgeCode(i, value, v)
		}
	case asCode:
		rw.judgeCode(i, value, v)
	case asRefresh:
		if u := refreshURL(value); len(u) > 0 {
			rw.judgeURL(i, u, v)
		}
	case asStyle:
		rw.judgeStyle(b, i, value, v)
	case asDocument:
		rw.judgeDocument(i, value)
	case asOrigins:
		for len(value) > 0 {
			var u []byte
			if u, value = nextWord(value); bytes.Contains(u, colonSlashes) {
				rw.judgeURL(i, bytes.Trim(u, ";,"), v)
			}
		}
	case asSwitch:
		if scan.EqualFold(bytes.TrimSpace(value), "on") {
			rw.hold(i, rules.Decision{Category: consent.Functional, Party: rules.ThirdParty, Rule: &prefetchRule}, v, nil, nil)
		}
	}
}

var (
	colonSlashes = []byte("://")
	prefetchRule = rules.Rule{Source: "vector", Text: "x-dns-prefetch-control: on"}
)

// judgeURL asks the rules about one reference of the i-th attribute.
func (rw *Rewriter) judgeURL(i int, ref []byte, v *vector) {
	kind := v.kind
	d := rw.doc.Rules.URL(rw.page, ref, kind)
	if d.Party == rules.NoParty {
		return
	}
	host, path := rw.page.Target()
	rw.hold(i, d, v, host, path)
}

// judgeCode asks the rules about the code in the i-th attribute.
func (rw *Rewriter) judgeCode(i int, code []byte, v *vector) {
	d := rw.doc.Rules.Inline(rw.page, code)
	if d.Rule == nil && !rw.tag.hasOwn {
		return
	}
	inline := *v
	inline.kind = rules.Inline
	rw.hold(i, d, &inline, nil, nil)
}

// hold renames the i-th attribute unless the decision lets it act, and tells
// Seen.
func (rw *Rewriter) hold(i int, d rules.Decision, v *vector, host, path []byte) {
	t := &rw.tag
	if t.hasOwn {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, v.only && d.Rule == nil) {
		fate = v.fate
		if fate == consent.Placeholder && !rw.boxable(d.Vendor) {
			fate = consent.Hold
		}
		t.held[i] = true
		rw.blame(d, fate, v.kind)
	}
	rw.seen(v.kind, host, path, d, fate)
}

// blame notes why the element is held. Of several reasons the one in the last
// category stays, so that agreeing to a lesser one does not release all.
func (rw *Rewriter) blame(d rules.Decision, fate consent.Fate, kind rules.Kind) {
	t := &rw.tag
	if t.fate == consent.Pass || d.Never && !t.reason.Never || d.Category > t.reason.Category && !t.reason.Never {
		t.reason, t.kind = d, kind
	}
	if t.fate != consent.Placeholder {
		t.fate = fate
	}
}

// allows reports whether d may act under the visitor's choice. known is false
// for what is held only where a rule knows it.
func (rw *Rewriter) allows(d rules.Decision, unknown bool) bool {
	if d.Category == consent.Unclassified && !d.Never {
		return unknown || !rw.doc.HoldUnclassified || rw.doc.Granted.Has(consent.Marketing)
	}
	return d.Allowed(rw.doc.Granted)
}

// seen tells Document.Seen what concerns others than the site itself.
func (rw *Rewriter) seen(kind rules.Kind, host, path []byte, d rules.Decision, fate consent.Fate) {
	if rw.doc.Seen == nil || d.Party != rules.ThirdParty && d.Rule == nil && fate == consent.Pass {
		return
	}
	rw.sight = Tag{Kind: kind, Host: host, Path: path, Decision: d, Fate: fate}
	rw.doc.Seen(&rw.sight)
}

// readMarks decides about the marks of widgets that have no script of their
// own.
func (rw *Rewriter) readMarks(b []byte) {
	t, s, m := &rw.tag, &rw.scan, rw.marks
	if t.fate != consent.Pass || t.elem == scan.Script || t.elem == scan.Style || rw.find(attrHeld) >= 0 {
		return
	}
	e := rw.doc.Rules
	if a := rw.find(attrClass); a >= 0 {
		for list := rw.valueOf(b, a); len(list) > 0; {
			var name []byte
			if name, list = nextWord(list); sieved(&m.class, name) && rw.mark(e.Class(name)) {
				return
			}
		}
	}
	if a := rw.find(attrID); a >= 0 {
		if name := rw.valueOf(b, a); sieved(&m.id, name) && rw.mark(e.ID(name)) {
			return
		}
	}
	if m.elements {
		if name := s.Name(b); sieved(&m.element, name) && rw.mark(e.Element(rw.lower(name))) {
			return
		}
	}
	if m.attrs {
		for i := range s.Attrs {
			a := &s.Attrs[i]
			name := b[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]
			if sieved(&m.attribute, name) && rw.mark(e.Attribute(rw.lower(name))) {
				return
			}
		}
	}
}

// lower returns name in lower case, valid until the next call.
func (rw *Rewriter) lower(name []byte) []byte {
	rw.text = rw.text[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		rw.text = append(rw.text, c)
	}
	return rw.text
}

// mark takes the rules' answer about a mark and reports whether it is one.
func (rw *Rewriter) mark(d rules.Decision) bool {
	if d.Rule == nil {
		return false
	}
	t := &rw.tag
	if t.hasOwn {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, false) {
		fate = consent.Hold
		if rw.boxable(d.Vendor) {
			fate = consent.Placeholder
		}
		t.mark = true
		rw.blame(d, fate, rules.Widget)
	}
	rw.seen(rules.Widget, nil, nil, d, fate)
	return true
}

func (rw *Rewriter) endTag(b []byte) {
	s := &rw.scan
	if rw.skip {
		// The end of an element that was left out.
		rw.done = s.End
		rw.skip = false
		return
	}
	rw.pending, rw.raw = 0, 0
	if rw.inject.stage < over {
		rw.inject.endTag(rw, b)
	}
	if rw.boxes.element == s.Element && s.Element != 0 {
		if rw.boxes.depth--; rw.boxes.depth == 0 {
			rw.boxes.element = 0
			rw.copyTo(b, s.End)
			rw.out = append(rw.out, PlaceholderEnd...)
		}
	}
}
