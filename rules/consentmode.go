package rules

import "github.com/askfirst/askfirst/rules/consent"

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
