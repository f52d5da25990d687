package iab

import (
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// TCF says what TC strings are made from beside the choice. It never changes.
type TCF struct {
	// CMP is the ID that the IAB gave the operator's consent management
	// platform, from 2 to 4095, and CMPVersion its version.
	CMP, CMPVersion int
	// Country is that of the publisher, whose law holds: two letters.
	Country string
	// Language is that of the texts, in ISO 639-1: two letters.
	Language string
	// List has the vendors that visitors are told of.
	List *VendorList
}

// purposes are the TCF's purposes and what the visitor must have agreed to for
// each, all of it:
//
//	1     store or access information on a device    anything
//	2     select advertising with limited data       marketing
//	3, 4  profiles for advertising, and their use    marketing
//	5, 6  profiles for content, and their use        marketing and functional
//	7     measure advertising                        marketing
//	8, 9  measure content, understand audiences      analytics
//	10    develop and improve services               analytics
//	11    select content with limited data           functional
//
// Special features (precise location, scanning of the device) are not asked
// about, so never agreed to. Legitimate interest is never claimed.
var purposes = [...]consent.Set{
	2:  consent.SetOf(consent.Marketing),
	3:  consent.SetOf(consent.Marketing),
	4:  consent.SetOf(consent.Marketing),
	5:  consent.SetOf(consent.Marketing, consent.Functional),
	6:  consent.SetOf(consent.Marketing, consent.Functional),
	7:  consent.SetOf(consent.Marketing),
	8:  consent.SetOf(consent.Analytics),
	9:  consent.SetOf(consent.Analytics),
	10: consent.SetOf(consent.Analytics),
	11: consent.SetOf(consent.Functional),
}

// agreed reports whether a choice covers a purpose.
func agreed(purpose int, granted consent.Set) bool {
	if purpose < 1 || purpose >= len(purposes) || granted.Empty() {
		return false
	}
	needs := purposes[purpose]
	return granted&needs == needs
}

// agreed reports whether a choice covers a vendor: every purpose that it asks
// consent for, of which it must have one.
func (v *Vendor) agreed(granted consent.Set) bool {
	for _, p := range v.Purposes {
		if !agreed(p, granted) {
			return false
		}
	}
	return len(v.Purposes) > 0
}

// String returns the TC string of a choice: the core segment and that of the
// disclosed vendors, which TCF 2.3 demands.
func (t *TCF) String(c *consent.Choice) string {
	return Dated(t.Core(c.Categories), c.At) + "." + t.Disclosed()
}

// The dates of a core segment begin at its second character, 36 bits each:
// they can be put in without reading the rest.
const (
	datesAt  = 1
	dateLen  = 6
	dayTenth = 24 * 60 * 60 * 10
)

// Dated puts the day of a choice into a core segment that Core has written.
// Both dates are the same, and exact to the day alone, as TCF 2.2 and later
// want it.
func Dated(core string, at time.Time) string {
	var b bits
	day := uint64(max(at.Unix(), 0)) * 10 / dayTenth * dayTenth
	b.add(day, 36)
	b.add(day, 36)
	return core[:datesAt] + b.String() + core[datesAt+2*dateLen:]
}

// Core returns the core segment for what was agreed to, without its dates; see
// Dated.
func (t *TCF) Core(granted consent.Set) string {
	var b bits
	b.add(2, 6)  // version
	b.add(0, 72) // created, last updated
	b.add(uint64(t.CMP), 12)
	b.add(uint64(t.CMPVersion), 12)
	b.add(1, 6) // screen
	b.letters(t.Language)
	b.add(uint64(t.List.Version), 12)
	b.add(uint64(t.List.PolicyVersion), 6)
	b.flag(true) // service-specific: for this site alone
	b.flag(true) // texts other than the framework's
	b.add(0, 12) // special features
	for p := 1; p <= 24; p++ {
		b.flag(agreed(p, granted))
	}
	b.add(0, 24)  // legitimate interests
	b.flag(false) // purpose one is asked about
	b.letters(t.Country)
	t.field(&b, func(v *Vendor) bool { return v.agreed(granted) })
	t.field(&b, func(*Vendor) bool { return false })
	b.add(0, 12) // publisher restrictions
	return b.String()
}

// Disclosed returns the segment that names the vendors that visitors are told
// of.
func (t *TCF) Disclosed() string {
	var b bits
	b.add(1, 3)
	t.field(&b, func(*Vendor) bool { return true })
	return b.String()
}

// field writes a set of vendors as a bit field.
func (t *TCF) field(b *bits, has func(*Vendor) bool) {
	max := 0
	for i := range t.List.Vendors {
		if v := &t.List.Vendors[i]; has(v) {
			max = v.ID
		}
	}
	b.add(uint64(max), 16)
	b.add(0, 1)
	next := 1
	for i := range t.List.Vendors {
		v := &t.List.Vendors[i]
		if !has(v) {
			continue
		}
		b.add(0, v.ID-next)
		b.add(1, 1)
		next = v.ID + 1
	}
}
