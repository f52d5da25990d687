package banner

import (
	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"
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
