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
	kept   bool // the tag before it says that its text may be what Borlabs Cookie blocks
	hide   bool // when held, its type becomes text/plain
	stops  bool // what is held would act: it is no hint that is stripped
	gone   bool // held for good, whatever is granted
	stands [2]standIn
	// sourceAt is the attribute in which another tool keeps the URL of a
	// parked element; -1 for none.
	sourceAt int
	before   []byte // is written before the tag
	// What is told by a long attribute is told once, of however many it is asked for.
	sign       rules.Sign
	signed     bool
	conditions [2]condition // a tag has two attributes with a condition at most
}

// condition is what applies has found for the vector that it began from.
type condition struct{ from, found *vector }

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
func (t *tag) begin(attrs []scan.Attr) {
	t.reason, t.fate, t.mark = rules.Decision{}, consent.Pass, false
	t.owned, t.script, t.hide, t.stops, t.gone, t.edited = false, notScript, false, false, false, false
	t.stands = [2]standIn{}
	t.sourceAt, t.before = -1, nil
	t.signed, t.conditions = false, [2]condition{}
	t.edits = t.edits[:0]
	t.ids = t.ids[:0]
	for i := range attrs {
		t.ids = append(t.ids, attribute(attrs[i].ID))
		t.edits = append(t.edits, asWritten)
	}
}

// onHandler stands for an event handler's attribute, whatever its name.
const onHandler attribute = 255

// startTag decides about a start tag and writes it, if it is not to wait for
// the text of its element.
func (rw *Rewriter) startTag() {
	s := &rw.scan
	if rw.leavesOut() {
		// A tag that was too large is over; the text of its element goes too.
		rw.copyTo(s.Start)
		rw.done = s.End
		rw.skip = s.InRaw()
		return
	}
	if rw.aside.pending {
		rw.settle(s.Depth() < rw.aside.depth)
	}
	rw.endSkippedText()
	t := &rw.tag
	e := s.Element
	t.start, t.nameEnd, t.end, t.elem, t.foreign = s.Start, s.NameEnd, s.End, e, s.Foreign
	t.kept, rw.keeps = rw.keeps, false
	if rw.boxes.element == e && e != 0 && !rw.empty() {
		rw.boxes.depth++
	}
	hit := rw.classify()
	after := rw.inject.stage < opened && rw.inject.startTag(rw)
	if hit || watched[e] {
		rw.decide()
	}
	if rw.framed && s.InRaw() && rw.pending == 0 && e != scan.Noframes {
		rw.pending = scan.Noscript
	}
	if after {
		rw.copyTo(s.End)
		rw.inject.open(rw)
	} else if rw.inject.stage < part {
		rw.copyTo(s.End)
	}
}

// endSkippedText ends the leaving out of an element's text.
func (rw *Rewriter) endSkippedText() {
	if rw.skipText {
		rw.done = max(rw.done, rw.scan.Start)
		rw.skipText = false
	}
}

// leavesOut reports whether the start tag is too large to be looked at.
func (rw *Rewriter) leavesOut() bool {
	s := &rw.scan
	return rw.skip || s.Overflow || s.End-s.Start > Limit
}

// watched are the elements that matter without any attribute.
var watched = func() (w [256]bool) {
	for _, e := range []scan.Element{scan.Script, scan.Style, scan.Noscript, scan.Body, scan.Frameset, scan.Base, scan.AmpAnalytics} {
		w[e] = true
	}
	return w
}()

// classify reports whether the element may act by any of its attributes. Most
// tags have nothing but classes that are no vendor's and links, and are done
// with here.
func (rw *Rewriter) classify() bool {
	s, t, m := &rw.scan, &rw.tag, rw.marks
	in := rw.in
	marked := m.elements && (t.elem == 0 || m.standard) && m.element.has(in, t.start+1, t.nameEnd)
	hit, depends := false, false
	how := &roles[t.elem]
	for i := range s.Attrs {
		a := &s.Attrs[i]
		if a.ID == 0 || m.attrs && m.known {
			from, to := t.start+int(a.Name), t.start+int(a.NameEnd)
			if a.ID == 0 && in[from]|0x20 == 'o' && to-from > 2 && in[from+1]|0x20 == 'n' {
				a.ID = uint8(onHandler)
				hit = true
				continue
			}
			marked = marked || m.attrs && m.attribute.has(in, from, to)
		}
		switch how.effect[a.ID] {
		case noEffect:
		case acts:
			hit = true
		case actsIf:
			depends = true
		case isClass:
			marked = marked || m.class.mayContain(in, t.start+int(a.Value), t.start+int(a.ValueEnd))
		case isID:
			from, to := t.start+int(a.Value), t.start+int(a.ValueEnd)
			marked = marked || m.id.has(in, from, to) || !scan.Plain(in[from:to])
		case isLink:
			hit = hit || mayBeScript(rw.rawValue(i))
		case isStyle:
			v := rw.rawValue(i)
			hit = hit || mayHaveURL(v) || !scan.Plain(v)
		}
	}
	t.marked = marked
	return hit || marked || depends && rw.find(how.by) >= 0
}

// mayHaveURL reports whether CSS has a function or a string.
func mayHaveURL(css []byte) bool {
	return bytes.IndexByte(css, '(') >= 0 || bytes.IndexByte(css, '\'') >= 0 || bytes.IndexByte(css, '"') >= 0
}

// mayBeScript reports whether a URL, as written, can be a javascript: one.
func mayBeScript(raw []byte) bool {
	return len(raw) > 0 && (raw[0]|0x20 == 'j' || raw[0] <= ' ' || raw[0] == '&')
}

// find returns the place of the first attribute of that number, -1 if there is
// none: of several with one name a browser takes the first.
func (rw *Rewriter) find(id attribute) int {
	attrs := rw.scan.Attrs
	for i := range attrs {
		if attrs[i].ID == uint8(id) {
			return i
		}
	}
	return -1
}

// nameOf returns the i-th attribute's name as written.
func (rw *Rewriter) nameOf(i int) []byte {
	a := &rw.scan.Attrs[i]
	return rw.in[rw.tag.start+int(a.Name) : rw.tag.start+int(a.NameEnd)]
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
	rw.value.b = scan.AppendValue(rw.value.room(len(raw)), raw)
	return rw.value.b
}

// decide looks at everything by which the tag may act.
func (rw *Rewriter) decide() {
	s, t := &rw.scan, &rw.tag
	t.begin(s.Attrs)
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
	case scan.Body:
		rw.bodied = true
	case scan.Frameset:
		rw.inject.frameset()
		rw.framed = rw.framed || !rw.bodied
	case scan.AmpAnalytics:
		rw.counting = true
	case scan.Meta:
		rw.adaptPolicy()
	case scan.Base:
		if a := rw.find(attrHref); a >= 0 {
			rw.rebase(a, rw.valueOf(a))
		}
	}
	rw.readVectors()
	rw.readParkedSource()
	rw.readBlocked()
	rw.readMarks()
	rw.emit()
}

// adaptPolicy has a policy that the tag says of the page let act what is injected.
func (rw *Rewriter) adaptPolicy() {
	named, content := rw.find(attrHTTPEquiv), rw.find(attrContent)
	if rw.doc.Policy == nil || rw.nested || named < 0 || content < 0 || !bytes.EqualFold(rw.valueOf(named), []byte("content-security-policy")) {
		return
	}
	policy := rw.valueOf(content)
	rw.policy.b = rw.doc.Policy(rw.policy.room(len(policy)+512), policy)
	if !bytes.Equal(rw.policy.b, policy) {
		rw.tag.rename(content)
		rw.tag.stand("content", rw.policy.b)
	}
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
		rw.aside.depth = s.Depth()
		rw.aside.attrs = append(rw.aside.attrs[:0], s.Attrs...)
		rw.aside.ids = append(rw.aside.ids[:0], t.ids...)
	}
}

// aside is a script or style element of SVG, whose text is no raw text: its
// tag is put aside while the scanner reads on.
type aside struct {
	pending bool
	depth   int // of foreign elements, with this one
	attrs   []scan.Attr
	ids     []attribute
}

// settle decides about the tag put aside. Its text ends where the scanner's
// token begins. If that does not close the element it stands in it, and more of
// the text may follow: the element is held unread.
func (rw *Rewriter) settle(closed bool) {
	s, t, a := &rw.scan, &rw.tag, &rw.aside
	if s.Start-t.start > Limit {
		rw.holdUnread(&oversizeRule)
		return
	}
	text := rw.in[t.end:s.Start]
	content, ok := appendForeignText(rw.foreign.room(len(text)), text)
	rw.foreign.b = content
	if !ok || !closed {
		rw.holdUnread(&markupRule)
		return
	}
	a.pending = false
	rw.swapAside()
	rw.decideText(content)
	rw.swapAside()
}

// swapAside puts the attributes of the tag put aside in the place of those of
// the scanner's, or back.
func (rw *Rewriter) swapAside() {
	s, t, a := &rw.scan, &rw.tag, &rw.aside
	s.Attrs, a.attrs = a.attrs, s.Attrs
	t.ids, a.ids = a.ids, t.ids
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
		rw.settle(s.Depth() < rw.aside.depth || rw.doc.XML)
	}
	rw.endSkippedText()
	rw.pending, rw.keeps = 0, false
	if s.Element == scan.AmpAnalytics {
		rw.counting = false
	}
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
