package rewrite

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// readVectors decides about each attribute that refers to others.
func (rw *Rewriter) readVectors() {
	t := &rw.tag
	role := &roles[t.elem].first
	for i, id := range t.ids {
		if id == 0 {
			continue
		}
		if id == onHandler {
			if !rw.repeats(i) {
				rw.judge(i, &handlers)
			}
			continue
		}
		n := role[id]
		if n == 0 || !rw.counts(i) || t.elem == scan.Script && t.script != running {
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

// counts reports whether some reader takes the i-th attribute: the parser takes
// the first of a name, Chromium's preload scanner one after an empty one too,
// and in SVG, of which it takes a script with such an address to be, the last.
func (rw *Rewriter) counts(i int) bool {
	id := rw.tag.ids[i]
	first := rw.find(id)
	return first == i || rw.tag.foreign || rw.tag.elem == scan.Script && (id == attrHref || id == attrXlinkHref) || len(rw.rawValue(first)) == 0
}

// repeats reports whether an earlier attribute has the name of the i-th, which
// is an event handler's.
func (rw *Rewriter) repeats(i int) bool {
	for j := range i {
		if rw.tag.ids[j] == onHandler && bytes.EqualFold(rw.nameOf(j), rw.nameOf(i)) {
			return true
		}
	}
	return false
}

// handlers is the vector of event handlers.
var handlers vector

// applies returns the first vector from v on that has v's element and
// attribute and whose condition the tag meets, nil for none.
func (rw *Rewriter) applies(v *vector) *vector {
	for i := range rw.tag.conditions {
		switch c := &rw.tag.conditions[i]; c.from {
		case nil:
			c.from, c.found = v, rw.meets(v)
			return c.found
		case v:
			return c.found
		}
	}
	return rw.meets(v)
}

// meets is applies without what the tag has kept.
func (rw *Rewriter) meets(v *vector) *vector {
	by := roles[rw.tag.elem].by
	// Of several the parser takes the first, Chromium's preload scanner the last.
	for i, id := range rw.tag.ids {
		if id != by {
			continue
		}
		rw.text = append(rw.text[:0], rw.valueOf(i)...)
		for at := v; ; at = &vectors[at.next-1] {
			if by == attrRel && hasWord(rw.text, at.when) || by != attrRel && scan.EqualFold(bytes.TrimSpace(rw.text), at.when) {
				return at
			}
			if at.next == 0 {
				break
			}
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
				if hidesASCII(value, text) {
					rw.hold(i, unread(&encodingRule), v, nil)
				} else {
					rw.judgeInner(i, text, v, isXML(value))
				}
				return
			}
		}
		if v.kind == rules.Style {
			if sheet, ok := dataURL(rw.extra[:0], value); ok {
				rw.extra = sheet
				rw.holdSheet(value, sheet, v, i, 0)
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
	case asPaint:
		rw.findHeld(value, v, i)
	case asAnimated:
		if isJavaScript(value) {
			rw.judgeCode(i, value, v)
			return
		}
		rw.findHeld(value, v, i)
		for len(value) > 0 {
			var u []byte
			u, value, _ = bytes.Cut(value, semicolon)
			rw.judgeURL(i, u, v)
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
	case asAMP:
		rw.judgeAMP(i, value, v)
	case asRefresh:
		first, last := refreshURL(value)
		rw.judgeURL(i, first, v)
		if len(last) > len(first) {
			rw.judgeURL(i, last, v)
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
			rw.hold(i, rules.Decision{Category: consent.Functional, Party: rules.ThirdParty, Rule: &prefetchRule}, v, nil)
		}
	}
}

var (
	colonSlashes = []byte("://")
	semicolon    = []byte(";")
	prefetchRule = rules.Rule{Source: "vector", Text: "x-dns-prefetch-control: on"}
)

// maxBases bounds how many <base> elements are kept beside the first. Others are
// held, so that none counts that references are not read by.
const maxBases = 16

var baseVector = vector{element: "base", attribute: "href", read: asURL, kind: rules.Other, fate: consent.Hold}

// rebase takes the href of a <base>, its i-th attribute. The first counts, but not
// in a template or in SVG, nor where it leads nowhere, and in a document in an
// attribute it counts there alone: which one a browser takes is left open where
// there is more than one.
func (rw *Rewriter) rebase(i int, href []byte) {
	if !rw.based && !rw.tag.foreign {
		rw.based = true
		rw.setBase(rw.page, href)
		return
	}
	if len(rw.bases) == 0 {
		rw.bases = append(rw.bases, new(rules.Page))
		rw.bases[0].Reset(rw.doc.URL)
	}
	if len(rw.bases) == maxBases {
		rw.hold(i, unread(&oversizeRule), &baseVector, nil)
		return
	}
	p := new(rules.Page)
	p.Reset(rw.doc.URL)
	rw.setBase(p, href)
	rw.bases = append(rw.bases, p)
}

func (rw *Rewriter) setBase(p *rules.Page, href []byte) {
	p.SetBase(href)
	if rw.doc.Elsewhere != nil && p.Elsewhere() {
		rw.doc.Elsewhere()
	}
}

// ask asks the rules about a reference, read by each base that may count. The
// answer is that of a rule, of several that in the last category, with the page
// whose target it is about.
func (rw *Rewriter) ask(ref []byte, k rules.Kind, s rules.Sign) (d rules.Decision, page *rules.Page) {
	if !isASCII(ref) && !utf8.Valid(ref) {
		// What a browser makes of the bytes depends on the page's encoding.
		if d, page = rw.askEach(rw.ascii(ref), k, s); d.Rule != nil {
			return d, page
		}
	}
	return rw.askEach(ref, k, s)
}

// isASCII reports whether a reference has ASCII alone. The last eight bytes may
// have been among those looked at before.
func isASCII(ref []byte) bool {
	if len(ref) < 8 {
		return false
	}
	high := binary.LittleEndian.Uint64(ref[len(ref)-8:])
	for ; len(ref) > 8; ref = ref[8:] {
		high |= binary.LittleEndian.Uint64(ref)
	}
	return high&highs == 0
}

func (rw *Rewriter) askEach(ref []byte, k rules.Kind, s rules.Sign) (d rules.Decision, page *rules.Page) {
	d, page = rw.doc.Rules.URLWith(rw.page, ref, k, s), rw.page
	for _, p := range rw.bases {
		if other := rw.doc.Rules.URLWith(p, ref, k, s); other.Rule != nil && !d.Never && (d.Rule == nil || other.Never || other.Category > d.Category) {
			d, page = other, p
		}
	}
	return d, page
}

// judgeURL asks the rules about one reference of the i-th attribute. An empty
// one makes no request: HTML says so of each element.
func (rw *Rewriter) judgeURL(i int, ref []byte, v *vector) {
	if len(ref) == 0 {
		return
	}
	d, page := rw.ask(ref, v.kind, 0)
	if d.Party == rules.NoParty {
		return
	}
	if d.Party == rules.ThirdParty && d.Rule == nil && (v.kind == rules.Image || v.kind == rules.Frame) {
		if s := rw.signs(); s != 0 {
			d, page = rw.ask(ref, v.kind, s)
		}
	}
	if rw.tag.elem == scan.AmpAnalytics && d.Vendor != nil && d.Vendor.Container {
		// AMP's runtime lets no guard hold what a container would load.
		d.Vendor, d.Category = nil, consent.Analytics
	}
	rw.hold(i, d, v, page)
}

// judgeCode asks the rules about the code in the i-th attribute.
func (rw *Rewriter) judgeCode(i int, code []byte, v *vector) {
	d := rw.doc.Rules.Inline(rw.page, code)
	if d.Rule == nil && !rw.tag.owned {
		if d.Imports {
			imports := *v
			imports.kind, imports.only = rules.Script, true
			rw.judgeImports(i, code, true, false, imports)
		}
		return
	}
	inline := *v
	inline.kind = rules.Inline
	rw.hold(i, d, &inline, nil)
}

// hold renames the i-th attribute unless the decision lets it act, tells Seen,
// and reports whether it did. A negative i stands for the element's text.
func (rw *Rewriter) hold(i int, d rules.Decision, v *vector, page *rules.Page) bool {
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
		t.stops = t.stops || fate != consent.Strip
		rw.blame(d, fate)
	}
	rw.seen(v.kind, page, d, fate)
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

// allows reports whether d may act under the visitor's choice. unknown says that
// it is held only where a rule knows it, and that none does.
func (rw *Rewriter) allows(d rules.Decision, unknown bool) bool {
	if d.Category == consent.Unclassified && !d.Never {
		return unknown || !rw.doc.HoldUnclassified || rw.doc.Granted.Has(consent.Marketing)
	}
	return d.Allowed(rw.doc.Granted) || rw.doc.Let != nil && d.Vendor == rw.doc.Let && !d.Never
}

// seen tells Document.Seen what concerns others than the site itself.
func (rw *Rewriter) seen(kind rules.Kind, page *rules.Page, d rules.Decision, fate consent.Fate) {
	if rw.doc.Seen == nil || d.Party != rules.ThirdParty && d.Rule == nil && fate == consent.Pass {
		return
	}
	rw.sight = Tag{Kind: kind, Decision: d, Fate: fate}
	if page != nil {
		rw.sight.Host, rw.sight.Path = page.Target()
	}
	rw.doc.Seen(&rw.sight)
}
