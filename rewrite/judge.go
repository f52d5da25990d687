package rewrite

import (
	"bytes"

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
	by := roles[rw.tag.elem].by
	a := rw.find(by)
	if a < 0 {
		return nil
	}
	rw.text = append(rw.text[:0], rw.valueOf(a)...)
	for {
		if by == attrRel && hasWord(rw.text, v.when) || by != attrRel && scan.EqualFold(bytes.TrimSpace(rw.text), v.when) {
			return v
		}
		if v.next == 0 {
			return nil
		}
		v = &vectors[v.next-1]
	}
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
	case asAMP:
		rw.judgeAMP(i, value, v)
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

// judgeURL asks the rules about one reference of the i-th attribute. An empty
// one makes no request: HTML says so of each element.
func (rw *Rewriter) judgeURL(i int, ref []byte, v *vector) {
	if len(ref) == 0 {
		return
	}
	d := rw.doc.Rules.URL(rw.page, ref, v.kind)
	if d.Party == rules.NoParty {
		return
	}
	if d.Party == rules.ThirdParty && d.Rule == nil && (v.kind == rules.Image || v.kind == rules.Frame) {
		if s := rw.signs(); s != 0 {
			d = rw.doc.Rules.URLWith(rw.page, ref, v.kind, s)
		}
	}
	if rw.tag.elem == scan.AmpAnalytics && d.Vendor != nil && d.Vendor.Container {
		// AMP's runtime lets no guard hold what a container would load.
		d.Vendor, d.Category = nil, consent.Analytics
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

// allows reports whether d may act under the visitor's choice. unknown says that
// it is held only where a rule knows it, and that none does.
func (rw *Rewriter) allows(d rules.Decision, unknown bool) bool {
	if d.Category == consent.Unclassified && !d.Never {
		return unknown || !rw.doc.HoldUnclassified || rw.doc.Granted.Has(consent.Marketing)
	}
	return d.Allowed(rw.doc.Granted) || rw.doc.Let != nil && d.Vendor == rw.doc.Let && !d.Never
}

// seen tells Document.Seen what concerns others than the site itself.
func (rw *Rewriter) seen(kind rules.Kind, host, path []byte, d rules.Decision, fate consent.Fate) {
	if rw.doc.Seen == nil || d.Party != rules.ThirdParty && d.Rule == nil && fate == consent.Pass {
		return
	}
	rw.sight = Tag{Kind: kind, Host: host, Path: path, Decision: d, Fate: fate}
	rw.doc.Seen(&rw.sight)
}
