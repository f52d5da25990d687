package consent

import (
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	for _, c := range []struct{ country, region, want string }{
		{"DE", "", "DE"},
		{"de", "by", "DE-BY"},
		{"US", "CA", "US-CA"},
		{"US", "us-ca", "US-CA"},
		{"us", "US-CA", "US-CA"},
		{"US", "CA-QC", "US"},
		{"CO", "DC", "CO-DC"},
		{"FR", "75", "FR-75"},
		{"FR", "75C", "FR-75C"},
		{"UK", "ENG", "GB-ENG"},
		{"US", "California", "US"},
		{"T1", "", "T1"},
		{"", "CA", ""},
		{"D", "", ""},
		{"DEU", "", ""},
		{"D€", "", ""},
	} {
		if got := PlaceOf([]byte(c.country), []byte(c.region)).String(); got != c.want {
			t.Errorf("PlaceOf(%q, %q) is %q, want %q", c.country, c.region, got, c.want)
		}
	}
	for _, s := range []string{"", "d", "de", "DE-", "-DE", "DE-BY-X", "DE-LONG", "UK", "US_CA", "US-us"} {
		if p, ok := ParsePlace(s); ok {
			t.Errorf("%q is taken as %s", s, p)
		}
	}
	if Place(0) != PlaceOf("", "") || PlaceOf("DE", "").Country() != PlaceOf("DE", "BY").Country() {
		t.Error("places do not compare")
	}
}

func TestRegimesByPlace(t *testing.T) {
	place := func(s string) Place {
		p, ok := ParsePlace(s)
		if !ok && s != "" {
			t.Fatalf("%q is no place", s)
		}
		return p
	}
	r := Regimes{
		Fallback: OptIn, BuiltIn: BuiltInRegimes(),
		Rules: map[Place]Regime{place("DE"): Notice, place("US-NV"): OptOut, place("CA"): Notice},
	}
	for _, c := range []struct {
		at   string
		want Regime
		rule string
	}{
		{"", OptIn, "fallback"},
		{"XX", OptIn, "fallback"},
		{"FR", OptIn, "FR, built in"},
		{"FR-75", OptIn, "FR, built in"},
		{"GB", OptIn, "GB, built in"},
		{"CH", OptIn, "CH, built in"},
		{"BR-SP", OptIn, "BR, built in"},
		{"US-CA", OptOut, "US-CA, built in"},
		{"US", OptOut, "US, built in"},
		{"US-GA", Notice, "US-GA, built in"},
		{"US-NV", OptOut, "US-NV, configured"},
		{"JP", Notice, "JP, built in"},
		{"DE", Notice, "DE, configured"},
		{"DE-BY", Notice, "DE, configured"},
		{"CA-QC", Notice, "CA, configured"},
	} {
		if got, rule := r.Decide(place(c.at)); got != c.want || rule != c.rule {
			t.Errorf("at %q: %s by %q, want %s by %q", c.at, got, rule, c.want, c.rule)
		}
	}
	for _, country := range strings.Fields(EEA) {
		if p := place(country); BuiltInRegimes()[p] != OptIn {
			t.Errorf("%s is not opt-in", p)
		}
	}
	var fixed Regimes
	if got, rule := fixed.Decide(place("US-CA")); got != OptIn || rule != "fallback" || fixed.ByPlace() {
		t.Errorf("without rules: %s by %q", got, rule)
	}
	if n := testing.AllocsPerRun(100, func() { r.Regime(PlaceOf("US", "CA")) }); n != 0 {
		t.Errorf("deciding allocates %v times", n)
	}
}
