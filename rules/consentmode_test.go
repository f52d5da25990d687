package rules

import (
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

func TestTagsThatHeedConsentModePass(t *testing.T) {
	e, err := New(Options{ConsentMode: true, Overrides: []Override{{Vendor: "doubleclick", Category: consent.Marketing}}})
	if err != nil {
		t.Fatal(err)
	}
	var p Page
	p.Reset([]byte("https://shop.example/"))
	for ref, want := range map[string]consent.Category{
		"https://www.googletagmanager.com/gtag/js?id=G-1": consent.Necessary,
		"https://www.google-analytics.com/g/collect":      consent.Necessary,
		"https://www.googletagmanager.com/gtm.js?id=GTM":  consent.Necessary,
		"https://ad.doubleclick.net/x":                    consent.Marketing, // the operator's own rule
		"https://connect.facebook.net/en_US/fbevents.js":  consent.Marketing,
	} {
		if d := e.URL(&p, []byte(ref), Script); d.Category != want {
			t.Errorf("%s is %s, want %s", ref, d.Category, want)
		}
	}
	for name, want := range map[string]consent.Category{"_ga": consent.Analytics, "_ga_X1": consent.Analytics, "_gcl_au": consent.Marketing} {
		if d := e.Cookie([]byte(name)); d.Category != want || d.Vendor == nil {
			t.Errorf("the cookie %s is %s, want %s", name, d.Category, want)
		}
	}
	if d := e.Storage([]byte("_gcl_ls")); d.Category != consent.Marketing || d.Vendor == nil || e.ExplainStorage([]byte("_gcl_ls")).Decision.Category != consent.Marketing {
		t.Errorf("the storage key _gcl_ls is %s", d.Category)
	}
	if d := e.Inline(&p, []byte("gtag('config', 'G-1')")); d.Category != consent.Necessary {
		t.Errorf("an inline snippet is %s", d.Category)
	}
	plain, err := New(Options{Overrides: []Override{{Vendor: "doubleclick", Category: consent.Marketing}}})
	if err != nil || plain.Revision() == e.Revision() {
		t.Errorf("the revision does not tell: %v", err)
	}
}

// TestConsentModeLeavesOverrides: what the operator said of a vendor or a name holds,
// though the tag heeds Consent Mode.
func TestConsentModeLeavesOverrides(t *testing.T) {
	for _, c := range []struct {
		override Override
		cookie   string
		never    bool
		category consent.Category
	}{
		{Override{Vendor: "google-analytics", AlwaysHold: true}, "_ga", true, consent.Analytics},
		{Override{Cookie: "_ga*", Category: consent.Marketing}, "_ga", false, consent.Marketing},
		{Override{Cookie: "_ga*", Category: consent.Marketing}, "_ga_ABC", false, consent.Marketing},
	} {
		e := newEngine(t, Options{ConsentMode: true, Overrides: []Override{c.override}})
		if d := e.Cookie([]byte(c.cookie)); d.Never != c.never || !d.Never && d.Category != c.category {
			t.Errorf("%v: %s is %v, never %v", c.override, c.cookie, d.Category, d.Never)
		}
	}
}
