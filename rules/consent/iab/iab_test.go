package iab

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// What is written here is held against the IAB's own decoders in banner/web.

func vendorList(t testing.TB) *VendorList {
	t.Helper()
	text, err := os.ReadFile("testdata/vendor-list.json")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseVendorList(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestVendorList(t *testing.T) {
	l := vendorList(t)
	if l.Version != 311 || l.PolicyVersion != 5 || len(l.Vendors) != 5 || l.Vendors[4].ID != 1301 {
		t.Errorf("read %+v", l)
	}
	if only, err := l.Only([]int{755, 2}); err != nil || len(only.Vendors) != 2 || only.Vendors[0].ID != 2 {
		t.Errorf("Only: %+v, %v", only, err)
	}
	for _, id := range []int{3, 12} {
		if _, err := l.Only([]int{id}); err == nil {
			t.Errorf("vendor %d is taken", id)
		}
	}
	for _, bad := range []string{
		"", "[]", "{}", `{"gvlSpecificationVersion":2,"vendorListVersion":1,"tcfPolicyVersion":2,"vendors":{"1":{"id":1}}}`,
		`{"gvlSpecificationVersion":3,"vendorListVersion":5000,"tcfPolicyVersion":5,"vendors":{"1":{"id":1}}}`,
		`{"gvlSpecificationVersion":3,"vendorListVersion":5,"tcfPolicyVersion":2,"vendors":{"1":{"id":1}}}`,
		`{"gvlSpecificationVersion":3,"vendorListVersion":5,"tcfPolicyVersion":5,"vendors":{}}`,
		`{"gvlSpecificationVersion":3,"vendorListVersion":5,"tcfPolicyVersion":5,"vendors":{"1":{"id":2}}}`,
		`{"gvlSpecificationVersion":3,"vendorListVersion":5,"tcfPolicyVersion":5,"vendors":{"70000":{"id":70000}}}`,
	} {
		if l, err := ParseVendorList([]byte(bad)); err == nil {
			t.Errorf("%s is taken as %+v", bad, l)
		}
	}
}

func TestDatesAreExactToTheDay(t *testing.T) {
	tcf := &TCF{CMP: 31, CMPVersion: 2, Country: "DE", Language: "de", List: vendorList(t)}
	text := func(at time.Time) string {
		return tcf.String(&consent.Choice{Categories: consent.All, At: at})
	}
	morning := time.Date(2026, 11, 25, 0, 0, 1, 0, time.UTC)
	if a, b := text(morning), text(morning.Add(23*time.Hour)); a != b {
		t.Errorf("two strings of one day differ: %s, %s", a, b)
	}
	if a, b := text(morning), text(morning.Add(24*time.Hour)); a == b {
		t.Error("the strings of two days are equal")
	}
}

func TestSectionInForce(t *testing.T) {
	place := func(s string) consent.Place { p, _ := consent.ParsePlace(s); return p }
	both, states := &GPP{Sections: []string{"usnat", "usca", "usva"}}, &GPP{Sections: []string{"usca"}}
	for _, c := range []struct {
		gpp    *GPP
		at     string
		regime consent.Regime
		want   string
	}{
		{both, "US-CA", consent.OptOut, "usca"},
		{both, "US-TX", consent.OptOut, "usnat"},
		{both, "US", consent.OptOut, "usnat"},
		{both, "", consent.OptOut, "usnat"},
		{both, "US-CA", consent.OptIn, ""},
		{both, "US-GA", consent.Notice, ""},
		{both, "CA", consent.OptOut, ""},
		{both, "CA-VA", consent.OptOut, ""},
		{states, "US-CA", consent.OptOut, "usca"},
		{states, "US-TX", consent.OptOut, ""},
		{nil, "US-CA", consent.OptOut, ""},
	} {
		if got := c.gpp.InForce(place(c.at), c.regime); got != c.want {
			t.Errorf("at %q under %s: %q, want %q", c.at, c.regime, got, c.want)
		}
	}
}

// A well-known string: usnat with its header, as the GPP's examples begin.
func TestHeader(t *testing.T) {
	g := &GPP{}
	if s := g.Section("usnat", consent.All, false); !strings.HasPrefix(s.Text, "DBABLA~") || s.ID != 7 {
		t.Errorf("usnat is %+v", s)
	}
	if NoSections != "DBAA" {
		t.Errorf("no sections are %s", NoSections)
	}
}
