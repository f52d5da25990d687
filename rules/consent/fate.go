package consent

// Fate is what becomes of a tag under a choice.
type Fate uint8

const (
	// Pass leaves the tag as the site wrote it.
	Pass Fate = iota
	// Hold leaves the tag in the page, inert, to be released in place.
	Hold
	// Placeholder holds the tag and shows a click-to-load box in its stead.
	Placeholder
	// Strip removes what only serves to connect early or to report: hints,
	// pings, reporting headers.
	Strip
	fates
)

var fateNames = [fates]string{"pass", "hold", "placeholder", "strip"}

// String returns the fate's name.
func (f Fate) String() string {
	if f < fates {
		return fateNames[f]
	}
	return "invalid"
}
