package rules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// isOverridden reports whether the operator's own overrides decide about what o, one
// of consentModeOverrides, is about, whatever the page.
func (e *Engine) isOverridden(o Override) bool {
	i := slices.IndexFunc(e.overrides, func(s *overrideSet) bool { return s.pages == "" })
	if i < 0 {
		return false
	}
	s := e.overrides[i]
	// No name has a zero byte: what ends in one is matched by prefixes alone.
	name := []byte(strings.Replace(o.Cookie+o.Storage, "*", "\x00", 1))
	return len(s.byVendor[e.byID[cmp.Or(o.Vendor, o.As)]]) > 0 ||
		o.Cookie != "" && s.cookies.find(name, nil) != nil || o.Storage != "" && s.storage.find(name, nil) != nil
}

// consentModeOverrides are those of Options.ConsentMode. They stand after the
// operator's own, which so decide first.
func consentModeOverrides(vendors []*Vendor) (overrides []Override) {
	const file = "google_consent_mode: advanced"
	for _, v := range vendors {
		if !v.ConsentMode {
			continue
		}
		overrides = append(overrides, Override{Vendor: v.ID, Category: consent.Necessary, File: file})
		// An override about a vendor is about its cookies and storage keys too:
		// these are told apart by name.
		for _, c := range v.Cookies {
			if c.Party != "third" {
				overrides = append(overrides, Override{Cookie: c.Name, As: v.ID, Category: v.Category, File: file})
			}
		}
		for _, key := range v.Storage {
			overrides = append(overrides, Override{Storage: key.Name, As: v.ID, Category: v.Category, File: file})
		}
	}
	return overrides
}
