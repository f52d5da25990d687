package rewrite

import (
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// readOwn takes the mark that the page itself put on the element.
func (rw *Rewriter) readOwn(b []byte) {
	a := rw.find(attrCategory)
	if a < 0 {
		return
	}
	if c, ok := consent.ParseCategory(rw.valueOf(b, a)); ok {
		rw.tag.own, rw.tag.hasOwn = rules.Decision{Category: c, Rule: &ownRules[c]}, true
	}
}

// SourceMark is the source of a decision that the page itself made, by
// data-category on the element.
const SourceMark = "mark"

var ownRules = func() (r [6]rules.Rule) {
	for c := range r {
		r[c] = rules.Rule{Source: SourceMark, Text: `data-category="` + consent.Category(c).String() + `"`}
	}
	return r
}()

// withOwn returns d with the category that the page itself named.
func (rw *Rewriter) withOwn(d rules.Decision) rules.Decision {
	own := rw.tag.own
	own.Vendor, own.Party = d.Vendor, d.Party
	if own.Vendor != nil && own.Vendor.Container {
		// A container would be released with any category.
		own.Vendor = nil
	}
	return own
}

func (rw *Rewriter) parkedByBorlabs(b []byte) bool { return false }

func (rw *Rewriter) startParked(b []byte, src int) bool { return false }
