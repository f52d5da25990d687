package consent

// Regime is how consent works for a visitor.
type Regime uint8

const (
	// OptIn holds everything until the visitor agrees (GDPR, ePrivacy).
	OptIn Regime = iota
	// OptOut lets everything pass until the visitor objects (CPRA and the like).
	OptOut
	// Notice lets everything pass and tells the visitor so.
	Notice
	regimes
)

var regimeNames = [regimes]string{"opt-in", "opt-out", "notice"}

// String returns the regime's name as configuration spells it.
func (r Regime) String() string {
	if r < regimes {
		return regimeNames[r]
	}
	return "invalid"
}

// ParseRegime returns the regime named s, spelled in lower case.
func ParseRegime(s string) (Regime, bool) {
	for r, name := range regimeNames {
		if s == name {
			return Regime(r), true
		}
	}
	return 0, false
}
