package banner

import (
	"strings"

	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/askfirst/askfirst/rules"
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

// adequate are the countries whose protection of personal data the European
// Commission has found adequate (GDPR, article 45) for all that a vendor of
// theirs may receive: Andorra, Argentina, Switzerland, Faroe Islands, United
// Kingdom, Guernsey, Isle of Man, Israel, Jersey, Japan, Korea, New Zealand,
// Uruguay. Canada's decision (2002/2/EC) is for commercial organisations, which
// vendors are. That for the United States (2023/1795) is for those who have
// certified themselves under the Data Privacy Framework, which the seat does not
// tell: it has to be stated.
const adequate = "AD AR CA CH FO GB GG IL IM JE JP KR NZ UY"

// transfer returns on what data may go to a vendor outside the EEA.
func (b *Banner) transfer(v *rules.Vendor) string {
	if stated := b.o.Transfers[v.ID]; stated != "" {
		return stated
	}
	if len(v.Country) == 2 && strings.Contains(adequate, strings.ToUpper(v.Country)) {
		return "adequacy"
	}
	return "unstated"
}

// inEEA reports whether a country is in the European Economic Area. To send data
// anywhere else is a transfer (GDPR, chapter V).
func inEEA(code string) bool {
	return len(code) == 2 && strings.Contains(consent.EEA, strings.ToUpper(code))
}
