package banner

import (
	"strings"

	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// country returns the name of a country in the language, or the code itself
// where there is no name for it.
func (l *language) country(code string) string {
	region, err := tags.ParseRegion(code)
	if err != nil {
		return code
	}
	namer := display.Regions(tags.Make(l.tag))
	if namer == nil {
		return code
	}
	return namer.Name(region)
}

// eea are the countries of the European Economic Area. To send data anywhere
// else is a transfer (GDPR, chapter V).
const eea = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"

func inEEA(code string) bool { return len(code) == 2 && strings.Contains(eea, strings.ToUpper(code)) }
