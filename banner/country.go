package banner

import (
	"strings"

	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/askfirst/askfirst/rules/consent"
)

// country returns the name of a country in the language, or the code itself
// where there is no name for it. Without a code there is none.
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

// inEEA reports whether a country is in the European Economic Area. To send data
// anywhere else is a transfer (GDPR, chapter V).
func inEEA(code string) bool {
	return len(code) == 2 && strings.Contains(consent.EEA, strings.ToUpper(code))
}
