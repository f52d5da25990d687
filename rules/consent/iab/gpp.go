package iab

import (
	"slices"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// GPP says what GPP strings are made from beside the choice. It never changes.
type GPP struct {
	// CMP is the ID of the operator's consent management platform, 0 for none.
	CMP int
	// Sections are the names of those that may be used; see Sections.
	Sections []string
	// MSPA is how the publisher takes part in the IAB's Multi-State Privacy
	// Agreement.
	MSPA MSPA
}

// MSPA is how a publisher takes part in the Multi-State Privacy Agreement.
type MSPA string

// The ways.
const (
	NoMSPA          MSPA = "none"
	OptOutMode      MSPA = "opt-out"
	ServiceProvider MSPA = "service-provider"
)

// section is one of the GPP's: its fields in their order. A field has two bits,
// and as many of these as its number says.
type section struct {
	id     int
	name   string
	fields string
	// gpc says that a segment about Global Privacy Control follows.
	gpc bool
}

// What many sections have in common.
const (
	mspa   = " MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
	shared = "SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut"
	late   = "ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut"
	newest = "MspaCoveredTransaction MspaMode " + late
)

// sections are those of the United States, as the GPP's Sections/US pages give
// them.
var sections = [...]section{
	{7, "usnat", "SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice " +
		"SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut SensitiveDataProcessing16 KnownChildSensitiveDataConsents3 PersonalDataConsents" + mspa, true},
	{8, "usca", "SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut SensitiveDataProcessing9 KnownChildSensitiveDataConsents2 PersonalDataConsents" + mspa, true},
	{9, "usva", shared + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents" + mspa, false},
	{10, "usco", shared + " SensitiveDataProcessing7 KnownChildSensitiveDataConsents" + mspa, true},
	{11, "usut", "SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice SaleOptOut TargetedAdvertisingOptOut " +
		"SensitiveDataProcessing8 KnownChildSensitiveDataConsents" + mspa, false},
	{12, "usct", shared + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents3" + mspa, true},
	{13, "usfl", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents3 AdditionalDataProcessingConsent" + mspa, false},
	{14, "usmt", shared + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents3 AdditionalDataProcessingConsent" + mspa, true},
	{15, "usor", late + " SensitiveDataProcessing11 KnownChildSensitiveDataConsents3 AdditionalDataProcessingConsent" + mspa, true},
	{16, "ustx", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents AdditionalDataProcessingConsent" + mspa, true},
	{17, "usde", late + " SensitiveDataProcessing9 KnownChildSensitiveDataConsents5 AdditionalDataProcessingConsent" + mspa, true},
	{18, "usia", "ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataOptOutNotice SaleOptOut TargetedAdvertisingOptOut " +
		"SensitiveDataProcessing8 KnownChildSensitiveDataConsents" + mspa, true},
	{19, "usne", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents AdditionalDataProcessingConsent" + mspa, true},
	{20, "usnh", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents3 AdditionalDataProcessingConsent" + mspa, true},
	{21, "usnj", late + " SensitiveDataProcessing10 KnownChildSensitiveDataConsents5 AdditionalDataProcessingConsent" + mspa, true},
	{22, "ustn", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents AdditionalDataProcessingConsent" + mspa, true},
	{23, "usmn", late + " SensitiveDataProcessing8 KnownChildSensitiveDataConsents AdditionalDataProcessingConsent" + mspa, true},
	{24, "usmd", newest + " AdditionalDataProcessingConsent", true},
	{25, "usin", newest + " KnownChildSensitiveDataConsents AdditionalDataProcessingConsent", false},
	{26, "usky", newest + " KnownChildSensitiveDataConsents AdditionalDataProcessingConsent", false},
	{27, "usri", newest + " KnownChildSensitiveDataConsents AdditionalDataProcessingConsent", false},
}

// Sections returns the names of the sections that can be used, in the order of
// their IDs.
func Sections() []string {
	var names []string
	for i := range sections {
		names = append(names, sections[i].name)
	}
	return names
}

func find(name string) *section {
	if i := slices.IndexFunc(sections[:], func(s section) bool { return s.name == name }); i >= 0 {
		return &sections[i]
	}
	return nil
}

// InForce returns the name of the section for a visitor who is at a place under
// a regime: that of their state if it may be used, else the national one if
// that may; empty where none is in force.
func (g *GPP) InForce(at consent.Place, regime consent.Regime) string {
	country, state, _ := strings.Cut(at.String(), "-")
	if g == nil || regime != consent.OptOut || country != "US" && country != "" {
		return ""
	}
	if name := "us" + strings.ToLower(state); state != "" && slices.Contains(g.Sections, name) {
		return name
	}
	if slices.Contains(g.Sections, sections[0].name) {
		return sections[0].name
	}
	return ""
}

// Section is one section of a GPP string.
type Section struct {
	ID int `json:"id"`
	// Text is the GPP string that holds this section alone.
	Text string `json:"text"`
	// Fields are its values by name, as the GPP's getSection gives them.
	Fields map[string]any `json:"fields"`
}

// Section writes the section of the given name, which is one of Sections. What
// was granted without marketing is an opt-out of sale, of sharing and of
// targeted advertising.
func (g *GPP) Section(name string, granted consent.Set, gpc bool) Section {
	s := find(name)
	var b bits
	version, spelled := 1, "Version"
	switch {
	case s.name == "usnat":
		version = 2
	case strings.HasPrefix(s.fields, newest):
		spelled = "MspaVersion"
	}
	fields := map[string]any{spelled: version}
	b.add(uint64(version), 6)
	for field := range strings.FieldsSeq(s.fields) {
		name := strings.TrimRight(field, "0123456789")
		value := g.value(name, granted)
		times := 0
		for _, digit := range field[len(name):] {
			times = times*10 + int(digit-'0')
		}
		if fields[name] = value; times > 0 {
			fields[name] = make([]int, times)
		}
		for range max(times, 1) {
			b.add(uint64(value), 2)
		}
	}
	text := b.String()
	if s.gpc {
		var segment bits
		segment.add(1, 2)
		segment.flag(gpc)
		text += "." + segment.String()
		fields["GpcSegmentType"], fields["Gpc"] = 1, gpc
	}
	return Section{s.id, header(s.id) + "~" + text, fields}
}

// value returns the value of a field: 0 where it does not apply, 1 for yes and 2
// for no.
func (g *GPP) value(field string, granted consent.Set) int {
	yes := func(is bool) int {
		if is {
			return 1
		}
		return 2
	}
	taking := g.MSPA == OptOutMode || g.MSPA == ServiceProvider
	switch field {
	case "SharingNotice", "ProcessingNotice", "SaleOptOutNotice", "SharingOptOutNotice", "TargetedAdvertisingOptOutNotice":
		return 1
	case "SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut":
		return yes(!granted.Has(consent.Marketing))
	case "MspaCoveredTransaction":
		return yes(taking)
	case "MspaOptOutOptionMode":
		if taking {
			return yes(g.MSPA == OptOutMode)
		}
	case "MspaServiceProviderMode":
		if taking {
			return yes(g.MSPA == ServiceProvider)
		}
	case "MspaMode":
		switch g.MSPA {
		case OptOutMode:
			return 1
		case ServiceProvider:
			return 2
		}
	}
	return 0
}

// NoSections is the GPP string without a section.
var NoSections = header(0)

// header writes the header of a string with one section, or none where id is 0.
func header(id int) string {
	var b bits
	b.add(3, 6)
	b.add(1, 6)
	if id == 0 {
		b.add(0, 12)
		return b.String()
	}
	b.add(1, 12)
	b.add(0, 1)
	b.fibonacci(id)
	return b.String()
}

// fibonacci writes a number as a sum of Fibonacci numbers, the smallest first,
// and ends it with a one.
func (b *bits) fibonacci(n int) {
	numbers := []int{1}
	for a, c := 1, 2; c <= n; a, c = c, a+c {
		numbers = append(numbers, c)
	}
	code := make([]bool, len(numbers))
	for i := len(numbers) - 1; i >= 0; i-- {
		if numbers[i] <= n {
			n -= numbers[i]
			code[i] = true
		}
	}
	for _, bit := range code {
		b.flag(bit)
	}
	b.flag(true)
}
