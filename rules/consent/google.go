package consent

import "time"

// GoogleMode is how Google's tags are dealt with under Consent Mode.
type GoogleMode string

// The modes.
const (
	// GoogleBasic holds Google's tags as all others until the visitor agrees.
	GoogleBasic GoogleMode = ""
	// GoogleAdvanced lets those that heed Consent Mode run before, in denied
	// state: they store nothing, but contact Google on every page.
	GoogleAdvanced GoogleMode = "advanced"
	// GoogleOff says nothing to Google's tags.
	GoogleOff GoogleMode = "off"
)

// Google says how Google Consent Mode v2 is spoken. Its zero value is basic.
type Google struct {
	Mode GoogleMode
	// Wait is wait_for_update: how long Google's tags wait for a choice that
	// is on its way; 0 for 500 ms.
	Wait time.Duration
	// URLPassthrough and AdsDataRedaction are Google's settings of that name.
	URLPassthrough, AdsDataRedaction bool
	// Regions are ISO 3166 codes of where Google is to deny until the visitor
	// agrees whatever their regime.
	Regions []string
}

// IsZero reports whether nothing is said.
func (g *Google) IsZero() bool {
	return g.Mode == GoogleBasic && g.Wait == 0 && !g.URLPassthrough && !g.AdsDataRedaction && len(g.Regions) == 0
}
