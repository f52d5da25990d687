package consent

import "time"

// Method is how a visitor made a choice known.
type Method string

// The methods.
const (
	ByButton Method = "button" // the banner or a placeholder, with a script
	ByForm   Method = "form"   // a form, without one
	ByGPC    Method = "gpc"    // Global Privacy Control
	ByAPI    Method = "api"    // window.askfirst
)

// Receipt is the record of one choice.
type Receipt struct {
	Choice
	// Site is the configured name of the site.
	Site string
	// Before is what had been agreed to before this choice.
	Before Set
	// Regime and RegimeRule say how consent worked for the visitor and what
	// decided that.
	Regime     Regime
	RegimeRule string
	// Country is the visitor's, ISO 3166-1 alpha-2; empty where the site's
	// regime does not depend on it, or it is not known.
	Country string
	// Action is what the visitor asked for: accept-all, reject-all, save,
	// withdraw, or gpc where Global Privacy Control was honoured.
	Action string
	Method Method
	// Vendors are the IDs of the vendors that were listed.
	Vendors []string
	// Language is the BCP 47 tag of the texts that were shown.
	Language string
	// Shown is the SHA-256 of the markup and texts that were shown; zero where
	// nothing of ours was.
	Shown [32]byte
	// Text is what Shown is of. It goes with a receipt that is recorded, and
	// comes back with none.
	Text []byte
	// Address is the visitor's address, cut to /24 (IPv4) or /48 (IPv6).
	Address string
	// Browser is the browser's family, without version.
	Browser string
	// TC and GPP are the strings that other software is given of the choice;
	// empty where the site has not switched them on or the visitor's regime
	// knows none.
	TC, GPP string
	// Erased is when the visitor had the record erased; zero otherwise.
	Erased time.Time
}
