package rules

import "slices"

// Explanation is a decision with what would have been decided without it.
type Explanation struct {
	Decision
	// Otherwise is what would have decided if the rule of the decision were
	// not there, then if the rule of that were not there either, and so on.
	// The last has a nil Rule. It is empty where the decision has none.
	Otherwise []Decision
	// Aside is what would be decided about a program of the site's if it were
	// but a snippet; see Vendor.Inlined.
	Aside Decision
}

// maxOtherwise bounds Explanation.Otherwise.
const maxOtherwise = 32

// without are rules that a decision is made without.
type without []*Rule

func (w without) has(r *Rule) bool { return len(w) > 0 && slices.Contains(w, r) }

func explain(decide func(without) Decision) Explanation {
	x := Explanation{Decision: decide(nil)}
	var w without
	for r := x.Rule; r != nil && len(w) < maxOtherwise; {
		w = append(w, r)
		d := decide(w)
		x.Otherwise = append(x.Otherwise, d)
		r = d.Rule
	}
	return x
}

// ExplainURL explains what URLWith decides. It allocates.
func (e *Engine) ExplainURL(p *Page, ref []byte, k Kind, s Sign) Explanation {
	party := p.resolve(ref)
	if party == NoParty {
		return Explanation{}
	}
	p.readLabels()
	return explain(func(w without) Decision { return e.decide(p, party, k, s, w) })
}

// ExplainInline explains what Inline decides.
func (e *Engine) ExplainInline(p *Page, code []byte) Explanation {
	x := explain(func(w without) Decision { return e.decideInline(p, code, w) })
	if x.Rule != nil {
		return x
	}
	t := &e.catalogue.inline
	if n, _ := t.search(p, code, nil, true); n < len(t.signatures) {
		x.Aside = e.overridden(p, &t.signatures[n].verdict, nil).ofCode(false)
	}
	return x
}

// ExplainCookie explains what Cookie decides.
func (e *Engine) ExplainCookie(name []byte) Explanation {
	return explain(func(w without) Decision { return e.decideCookie(name, w) })
}

// ExplainStorage explains what Storage decides.
func (e *Engine) ExplainStorage(key []byte) Explanation {
	return explain(func(w without) Decision { return e.decideStorage(key, w) })
}
