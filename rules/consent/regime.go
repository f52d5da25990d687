package consent

import "strings"

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

// Regimes say how consent works by where a visitor is. A rule about a region
// goes before one about its country. The zero Regimes are opt-in everywhere.
type Regimes struct {
	// Fallback holds where the place is unknown and where no rule is about it.
	Fallback Regime
	// Rules are the operator's, BuiltIn those that hold beside them; nil for
	// none. See BuiltInRegimes.
	Rules, BuiltIn map[Place]Regime
}

// ByPlace reports whether the place of a visitor matters.
func (r *Regimes) ByPlace() bool { return len(r.Rules)+len(r.BuiltIn) > 0 }

// Decide returns the regime at p, and the reason as receipts carry it: the place
// that the rule is about and who made it, such as "US-CA, built in"; "fallback"
// where none is. It does not allocate for the regime alone.
func (r *Regimes) Decide(p Place) (regime Regime, rule string) {
	regime, at, made := r.find(p)
	if at == 0 {
		return regime, made
	}
	return regime, at.String() + ", " + made
}

// Regime returns what Decide does without the reason.
func (r *Regimes) Regime(p Place) Regime {
	regime, _, _ := r.find(p)
	return regime
}

func (r *Regimes) find(p Place) (regime Regime, at Place, made string) {
	for _, at := range [...]Place{p, p.Country()} {
		if at == 0 {
			break
		}
		// A rule of the operator's about the country goes before one of ours
		// about its region: who wrote it may not know of ours.
		if regime, ok := r.Rules[at]; ok {
			return regime, at, "configured"
		}
	}
	for _, at := range [...]Place{p, p.Country()} {
		if regime, ok := r.BuiltIn[at]; ok && at != 0 {
			return regime, at, "built in"
		}
	}
	return r.Fallback, 0, "fallback"
}

// builtIn are the rules of BuiltInRegimes. What is not named here is a matter
// for the fallback.
var builtIn = [...]struct {
	regime Regime
	places string
}{
	// GDPR and ePrivacy directive.
	{OptIn, EEA},
	{OptIn, partsOfEEA},
	// UK GDPR and PECR, and the Crown dependencies and Gibraltar with laws
	// modelled on them; Swiss FADP and TCA.
	{OptIn, "GB GG JE IM GI CH"},
	// Laws by which consent comes first: LGPD, KVKK, DPDP Act, PIPA, PIPL, POPIA,
	// Thai PDPA, and those of Serbia, Ukraine, Vietnam, Nigeria, Kenya,
	// Argentina, Colombia, Saudi Arabia.
	{OptIn, "BR TR IN KR CN ZA TH RS UA VN NG KE AR CO SA"},
	// Quebec's Law 25 (CQLR c. P-39.1); elsewhere in Canada, PIPEDA lets implied
	// consent do where the visitor is told and can opt out.
	{OptIn, "CA-QC"},
	{OptOut, "CA"},
	// States whose privacy law lets consumers opt out of sale, sharing or
	// targeted advertising: CCPA/CPRA, VCDPA, CPA, CTDPA, UCPA and those after
	// them, up to the ones in force since 1 January 2026.
	{OptOut, "US-CA US-VA US-CO US-CT US-UT US-TX US-OR US-MT US-FL US-DE US-IA US-NE US-NH US-NJ US-TN US-MN US-MD US-IN US-KY US-RI"},
	// No general law about tracking: the visitor is told. Which of the United
	// States is not known, may be one with such a law.
	{Notice, "US-AL US-AK US-AZ US-AR US-DC US-GA US-HI US-ID US-IL US-KS US-LA US-ME US-MA US-MI US-MS US-MO US-NV US-NM US-NY US-NC US-ND US-OH US-OK US-PA US-PR US-SC US-SD US-VT US-WA US-WV US-WI US-WY"},
	{OptOut, "US"},
	// Laws by which the visitor is told and may object: Privacy Act 1988,
	// Privacy Act 2020, APPI and TBA.
	{Notice, "AU NZ JP"},
}

// BuiltInRegimes returns the rules that hold where an operator lets the place of
// a visitor decide and says nothing of it. They are a sensible beginning, no
// legal advice. Where none is about a place, the site's fallback holds.
func BuiltInRegimes() map[Place]Regime {
	rules := map[Place]Regime{}
	for _, b := range builtIn {
		for _, name := range strings.Fields(b.places) {
			p, ok := ParsePlace(name)
			if _, twice := rules[p]; twice || !ok {
				panic("consent: built-in regime of " + name)
			}
			rules[p] = b.regime
		}
	}
	return rules
}
