package banner

import "strings"

// purposes are the texts that say what a cookie is for in every language, each
// with words by which it is found in what the catalogue says in English. One
// cookie may have several.
var purposes = []struct{ text, words string }{
	{"purpose_elsewhere", " other sites | many sites | several sites | all sites | sites of all | across sites | over google's | over domains | domains to another | users on | where tiktok | mail address "},
	{"purpose_recognise", " recognises | visitor from another | known ones | from new ones | been here before | visitor is known | number of the visitor | visitor's number | number of a visitor | visitors apart | joins | ascribed | earlier visits | may be recognised | has a number | guess at who | who the visitor "},
	{"purpose_match", " matches | matched | is shared with "},
	{"purpose_visit", " together | numbers the visit | visits apart | one visit | still going on | visit began | visit has begun | visit ends | running chat | of a visit | last visit | first visit | in a visit | when the visit | names the visit | pages were seen | page was seen | pages they saw "},
	{"purpose_source", " from where | led to | brought | which site the visitor came | in which way the visitor | which page the visitor first | first page | landed | ad click | ad clicks | click on | clicked | visitor first came | partner | from which | how the visitor first | by which channel "},
	{"purpose_measure", " counts | count | counted | counting | measure | measures | measured | measuring | measurements | statistics | recording | recordings | recorded | heatmaps | survey | surveys | how often the visitor | times of visits | last came | last seen | last saw | visitor does | visitor looked | shopper looked | looked at | time spent | pages of the site | second page "},
	{"purpose_ads", " ad | ads | advertising | advertisements | interests | by interest | recommendation | recommendations | telephone number | prospect | campaigns "},
	{"purpose_consent", " agreed | agree | opted out | consent | what the visitor refused | refused tracking | visitor refused | privacy choices | choice about cookies | cookie notice | be tracked | tracking was allowed | measuring is allowed | not recorded | not measured | not counted | not to be counted | objected "},
	{"purpose_security", " abuse | fraud | spam | from programs | no program | a program | forged | guards | protects | false clicks | checked for faults | attacks "},
	{"purpose_test", " variant | serves tests | takes part in a test | of a test | in tests | for tests | for a test | which tests | tests of the site | in a test | a test before | version of a page | version of the page "},
	{"purpose_settings", " settings | state of | chat | chats | conversation | stopped | playback | language | currency | closed | not shown again | not offered again | made small | was offered | page shown | put off | form | forms | invited | invitation | traits | visitor's country | rough place | subscribed | signed up | messages | comments "},
	{"purpose_account", " signed in | sign in | signs in | signed out | sign-in | wish list | basket | cart | orders | payments | account "},
	{"purpose_technical", " picks the server | picks the data centre | domains for which | domain for which | cookies are set | cookies can be set | cookies were set | accepts cookies | takes cookies | cookies last | blocks other cookies | data can be kept | keeps data | clock | clocks | number was made | number expires | number is kept | version of the number | version of the identifier | what kind the number | to be sent | until they are sent | for overload | faster | fetched again | slows | requests are sent | lets the tag | keeps its data | works | cookie is valid | copy | network can "},
}

// purpose says in a language what a cookie is for. Of what no text says, the
// catalogue's English is kept.
func (l *language) purpose(english string) (text string, isEnglish bool) {
	if l.key == reference || strings.HasPrefix(l.key, reference+"-") {
		return english, false
	}
	var said []string
	low := " " + strings.ToLower(marks.Replace(english)) + " "
	for _, p := range purposes {
		// Who is recognised on other sites is recognised here too.
		if p.text == "purpose_recognise" && len(said) > 0 {
			continue
		}
		for words := range strings.SplitSeq(p.words, "|") {
			if strings.Contains(low, words) {
				said = append(said, l.texts[p.text])
				break
			}
		}
	}
	if said == nil {
		return english, english != ""
	}
	return strings.Join(said, " "), false
}

// marks are what stands between words beside a space.
var marks = strings.NewReplacer(".", "", ",", "", "(", "", ")", "")
