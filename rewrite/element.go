package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// tag is the start tag that is being decided about.
type tag struct {
	start, nameEnd, end int // in what is being read
	elem                scan.Element
	foreign             bool
	ids                 []attribute // of the scanner's attributes
	edits               []edit      // what becomes of their names
	edited              bool
	// reason is why the element is held; fate is Pass where it is not.
	reason rules.Decision
	fate   consent.Fate
	marked bool // it may have a vendor's mark
	mark   bool // the reason is a mark in HTML, not a reference
	// own is what the page itself says of the element, if owned.
	own    rules.Decision
	owned  bool
	script scriptType
	hide   bool // when held, its type becomes text/plain
	gone   bool // held for good, whatever is granted
	stands [2]standIn
	// sourceAt is the attribute in which another tool keeps the URL of a
	// parked element; -1 for none.
	sourceAt int
}

// edit is what becomes of an attribute's name.
type edit uint8

const (
	asWritten  edit = iota
	held            // gets the prefix
	heldSource      // becomes data-askfirst-src
	heldType        // becomes data-askfirst-type
	heldXlink       // becomes data-askfirst-xlink-href
	source          // becomes src
	typed           // becomes type
	unparked        // becomes data-askfirst-parked
)

var editedNames = [...]string{heldSource: prefix + "src", heldType: prefix + "type", heldXlink: prefix + "xlink-href", source: "src", typed: "type", unparked: prefix + "parked"}

// rename holds the i-th attribute.
func (t *tag) rename(i int) {
	t.edits[i] = held
	if t.ids[i] == attrXlinkHref {
		t.edits[i] = heldXlink
	}
	t.edited = true
}

// standIn is an attribute that is added in the place of a renamed one.
type standIn struct {
	name  string
	value []byte
}

func (t *tag) stand(name string, value []byte) {
	for i := range t.stands {
		if t.stands[i].name == "" {
			t.stands[i] = standIn{name, value}
			return
		}
	}
}

// begin takes a new tag, about which nothing is decided.
func (t *tag) begin() {
	t.reason, t.fate, t.mark = rules.Decision{}, consent.Pass, false
	t.owned, t.script, t.hide, t.gone, t.edited = false, notScript, false, false, false
	t.stands = [2]standIn{}
	t.sourceAt = -1
	t.edits = t.edits[:0]
	for range t.ids {
		t.edits = append(t.edits, asWritten)
	}
}

// onHandler stands for an event handler's attribute, whatever its name.
const onHandler attribute = 255

// startTag decides about a start tag and writes it, if it is not to wait for
// the text of its element.
func (rw *Rewriter) startTag() {
	s := &rw.scan
	if rw.skip || s.Overflow {
		// A tag that was too large is over; the text of its element goes too.
		rw.copyTo(s.Start)
		rw.done = s.End
		rw.skip = s.InRaw()
		return
	}
	if rw.aside.pending {
		rw.settle()
	}
	t := &rw.tag
	e := s.Element
	t.start, t.nameEnd, t.end, t.elem, t.foreign = s.Start, s.NameEnd, s.End, e, s.Foreign
	if rw.boxes.element == e && e != 0 && !rw.empty() {
		rw.boxes.depth++
	}
	hit := rw.classify()
	after := rw.inject.stage < opened && rw.inject.startTag(rw)
	if hit || watched[e] {
		rw.decide()
	}
	if after {
		rw.copyTo(s.End)
		rw.inject.open(rw)
	} else if rw.inject.stage < opened {
		rw.copyTo(s.End)
	}
}

// watched are the elements that matter without any attribute.
var watched = func() (w [256]bool) {
	for _, e := range []scan.Element{scan.Script, scan.Style, scan.Noscript, scan.Frameset, scan.Base} {
		w[e] = true
	}
	return w
}()

// classify finds the numbers of the tag's attributes and reports whether the
// element may act by any of them. Most tags have nothing but classes that are
// no vendor's and links, and are done with here.
func (rw *Rewriter) classify() bool {
	s, t, m := &rw.scan, &rw.tag, rw.marks
	t.ids = t.ids[:0]
	marked := m.elements && m.element.has(rw.in[t.start+1:t.nameEnd])
	hit := false
	role := roles[t.elem]
	for i := range s.Attrs {
		a := &s.Attrs[i]
		from, to := t.start+int(a.Name), t.start+int(a.NameEnd)
		id := attribute(attributeTable.Find(rw.in, from, to))
		if id == 0 {
			if to-from > 2 && rw.in[from]|0x20 == 'o' && rw.in[from+1]|0x20 == 'n' {
				id = onHandler
				hit = true
			}
		}
		marked = marked || m.attrs && m.attribute.has(rw.in[from:to])
		t.ids = append(t.ids, id)
		switch {
		case id == 0 || hit && id != attrClass && id != attrID:
		case id == attrCategory, parkedAttribute[id]:
			hit = true
		case id == attrClass:
			marked = marked || m.class.mayContain(rw.rawValue(i))
		case id == attrID:
			v := rw.rawValue(i)
			marked = marked || m.id.has(v) || !scan.Plain(v)
		case role[id] != 0:
			switch vectors[role[id]-1].read {
			case asLink:
				hit = mayBeScript(rw.rawValue(i))
			case asStyle:
				hit = bytes.IndexByte(rw.rawValue(i), '(') >= 0 || !scan.Plain(rw.rawValue(i))
			default:
				hit = true
			}
		}
	}
	t.marked = marked
	return hit || marked
}

// mayBeScript reports whether a URL, as written, can be a javascript: one.
func mayBeScript(raw []byte) bool {
	return len(raw) > 0 && (raw[0]|0x20 == 'j' || raw[0] <= ' ' || raw[0] == '&')
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
func (rw *Rewriter) rawValue(i int) []byte {
	a := &rw.scan.Attrs[i]
	return rw.in[rw.tag.start+int(a.Value) : rw.tag.start+int(a.ValueEnd)]
}

// valueOf returns the i-th attribute's value as a browser reads it. It is
// valid until the next call.
func (rw *Rewriter) valueOf(i int) []byte {
	raw := rw.rawValue(i)
	if scan.Plain(raw) {
		return raw
	}
	rw.value = scan.AppendValue(rw.value[:0], raw)
	return rw.value
}

// decide looks at everything by which the tag may act.
func (rw *Rewriter) decide() {
	s, t := &rw.scan, &rw.tag
	t.begin()
	rw.readOwn()
	switch t.elem {
	case scan.Script:
		if rw.startScript() {
			return
		}
	case scan.Style:
		rw.await(scan.Style)
		return
	case scan.Noscript:
		if s.InRaw() {
			rw.pending = scan.Noscript
		}
	case scan.Frameset:
		rw.inject.frameset()
	case scan.Base:
		if a := rw.find(attrHref); a >= 0 && !rw.based {
			rw.based = true
			rw.page.SetBase(rw.valueOf(a))
		}
	}
	rw.readVectors()
	rw.readParkedSource()
	rw.readMarks()
	rw.emit()
}

// await keeps the tag back until the element's text is known.
func (rw *Rewriter) await(e scan.Element) {
	s, t := &rw.scan, &rw.tag
	switch {
	case s.InRaw():
		rw.pending = e
	case s.SelfClosing:
		// An empty foreign element.
	default:
		rw.pending = e
		rw.aside.pending = true
		rw.aside.attrs = append(rw.aside.attrs[:0], s.Attrs...)
		rw.aside.ids = append(rw.aside.ids[:0], t.ids...)
	}
}

// aside is a script or style element of SVG, whose text is no raw text: its
// tag is put aside while the scanner reads on.
type aside struct {
	pending bool
	attrs   []scan.Attr
	ids     []attribute
}

// settle decides about the tag put aside. Its text ends where the scanner's
// token begins.
func (rw *Rewriter) settle() {
	s, t, a := &rw.scan, &rw.tag, &rw.aside
	a.pending = false
	swap := func() {
		s.Attrs, a.attrs = a.attrs, s.Attrs
		t.ids, a.ids = a.ids, t.ids
	}
	swap()
	rw.foreign = appendForeignText(rw.foreign[:0], rw.in[t.end:s.Start])
	rw.decideText(rw.foreign)
	swap()
}

// readVectors decides about each attribute that refers to others.
func (rw *Rewriter) readVectors() {
	t := &rw.tag
	role := roles[t.elem]
	for i, id := range t.ids {
		if id == 0 {
			continue
		}
		if id == onHandler {
			rw.judge(i, &handlers)
			continue
		}
		n := role[id]
		if n == 0 || rw.find(id) != i || t.elem == scan.Script && t.script != running {
			continue
		}
		v := &vectors[n-1]
		if v.when != "" {
			if v = rw.applies(v); v == nil {
				continue
			}
		}
		rw.judge(i, v)
	}
}

// handlers is the vector of event handlers.
var handlers = vectors[len(vectors)-1]

// applies returns the first vector from v on that has v's element and
// attribute and whose condition the tag meets, nil for none.
func (rw *Rewriter) applies(v *vector) *vector {
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
	rw.text = append(rw.text[:0], rw.valueOf(a)...)
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
func (rw *Rewriter) judge(i int, v *vector) {
	value := rw.valueOf(i)
	switch v.read {
	case asURL:
		if isJavaScript(value) {
			rw.judgeCode(i, value, v)
			return
		}
		if v.kind == rules.Frame || v.kind == rules.Object {
			if text, ok := dataURL(rw.extra[:0], value); ok {
				rw.extra = text
				rw.judgeInner(i, text, v)
				return
			}
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
		rw.judgeStyle(i, value, v)
	case asDocument:
		rw.judgeDocument(i, value, v)
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
	if d.Rule == nil && !rw.tag.owned {
		return
	}
	inline := *v
	inline.kind = rules.Inline
	rw.hold(i, d, &inline, nil, nil)
}

// hold renames the i-th attribute unless the decision lets it act, tells Seen,
// and reports whether it did. A negative i stands for the element's text.
func (rw *Rewriter) hold(i int, d rules.Decision, v *vector, host, path []byte) bool {
	t := &rw.tag
	if t.owned {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, v.only && d.Rule == nil) {
		fate = v.fate
		if fate == consent.Placeholder && !rw.boxable(d.Vendor) {
			fate = consent.Hold
		}
		if i >= 0 {
			t.rename(i)
		}
		rw.blame(d, fate)
	}
	rw.seen(v.kind, host, path, d, fate)
	return fate != consent.Pass
}

// blame notes why the element is held. Of several reasons the one in the last
// category stays, so that agreeing to a lesser one does not release all.
func (rw *Rewriter) blame(d rules.Decision, fate consent.Fate) {
	t := &rw.tag
	if t.fate == consent.Pass || d.Never && !t.reason.Never || d.Category > t.reason.Category && !t.reason.Never {
		t.reason = d
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
func (rw *Rewriter) readMarks() {
	t, s, m := &rw.tag, &rw.scan, rw.marks
	if !t.marked || t.fate != consent.Pass || t.elem == scan.Script || t.elem == scan.Style || rw.find(attrHeld) >= 0 {
		return
	}
	e := rw.doc.Rules
	if a := rw.find(attrClass); a >= 0 {
		for list := rw.valueOf(a); len(list) > 0; {
			var name []byte
			if name, list = nextWord(list); m.class.has(name) && rw.mark(e.Class(name)) {
				return
			}
		}
	}
	if a := rw.find(attrID); a >= 0 {
		if name := rw.valueOf(a); m.id.has(name) && rw.mark(e.ID(name)) {
			return
		}
	}
	if m.elements {
		if name := rw.in[t.start+1 : t.nameEnd]; m.element.has(name) && rw.mark(e.Element(rw.lower(name))) {
			return
		}
	}
	if m.attrs {
		for i := range s.Attrs {
			a := &s.Attrs[i]
			name := rw.in[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]
			if m.attribute.has(name) && rw.mark(e.Attribute(rw.lower(name))) {
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
	if t.owned {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, false) {
		fate = consent.Hold
		if rw.boxable(d.Vendor) {
			fate = consent.Placeholder
		}
		t.mark = true
		rw.blame(d, fate)
	}
	rw.seen(rules.Widget, nil, nil, d, fate)
	return true
}

func (rw *Rewriter) endTag() {
	s := &rw.scan
	if rw.skip {
		// The end of an element that was left out.
		rw.done = s.End
		rw.skip = false
		return
	}
	if rw.aside.pending {
		rw.settle()
	}
	rw.pending = 0
	if rw.inject.stage < over {
		rw.inject.endTag(rw)
	}
	if rw.boxes.element == s.Element && s.Element != 0 {
		if rw.boxes.depth--; rw.boxes.depth == 0 {
			rw.boxes.element = 0
			rw.copyTo(s.End)
			rw.out = append(rw.out, PlaceholderEnd...)
		}
	}
}
