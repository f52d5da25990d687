package consent

import "strings"

// Transfer is on what personal data go to a company in another country (GDPR,
// chapter V).
type Transfer string

const (
	// NoTransfer is where data stay in the European Economic Area, and where the
	// country is not known.
	NoTransfer Transfer = ""
	// Adequacy is a decision of the European Commission on the country (article 45).
	Adequacy Transfer = "adequacy"
	// Framework is the company's certificate under the EU-US Data Privacy Framework
	// (decision 2023/1795). The seat does not tell of it: it has to be stated.
	Framework Transfer = "dpf"
	// Clauses are standard contractual clauses (article 46, 2, c): these, too,
	// have to be stated.
	Clauses Transfer = "scc"
	// Unstated is where nobody has said on what.
	Unstated Transfer = "unstated"
)

// EEA are the countries of the European Economic Area: the member states of the
// European Union (TEU, article 52) with Iceland, Liechtenstein and Norway (EEA
// agreement, article 126).
const EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"

// partsOfEEA have country codes of their own and belong to France or Finland
// (TFEU, articles 349 and 355).
const partsOfEEA = "AX GF GP MQ RE YT MF"

// adequate are the countries whose protection of personal data the European
// Commission has found adequate (GDPR, article 45) for all that a vendor of
// theirs may receive, as of February 2026: Andorra (2010/625/EU), Argentina
// (2003/490/EC), Brazil (2026/179), Canada (2002/2/EC, for commercial
// organisations, which vendors are), Switzerland (2000/518/EC), Faroe Islands
// (2010/146/EU), United Kingdom (2021/1772, prolonged in December 2025),
// Guernsey (2003/821/EC), Israel (2011/61/EU), Isle of Man (2004/411/EC), Jersey
// (2008/393/EC), Japan (2019/419), Korea (2022/254), New Zealand (2013/65/EU),
// Uruguay (2012/484/EU).
const adequate = "AD AR BR CA CH FO GB GG IL IM JE JP KR NZ UY"

// TransferTo returns on what data go to a company with its seat in a country
// (ISO 3166-1; empty for not known). stated is what the operator
// says, empty for nothing; it beats what is known of the country.
func TransferTo(country, stated string) Transfer {
	switch {
	case country == "" || InEEA(country):
		return NoTransfer
	case stated != "":
		return Transfer(stated)
	case has(adequate, country):
		return Adequacy
	}
	return Unstated
}

// InEEA reports whether a country (ISO 3166-1) is in the European
// Economic Area. To send data anywhere else is a transfer.
func InEEA(country string) bool { return has(EEA, country) || has(partsOfEEA, country) }

func has(countries, country string) bool {
	return strings.Contains(" "+countries+" ", " "+strings.ToUpper(country)+" ")
}
