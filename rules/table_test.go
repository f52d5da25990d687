package rules

import (
	"encoding/json"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestTable reads the table back and finds in it what the engine was given.
func TestTable(t *testing.T) {
	engine := newEngine(t, Options{Overrides: []Override{
		{Domain: "cdn.example", Category: consent.Analytics},
		{Domain: "maps.example", As: "google-maps"},
		{URL: "shop.example/pixel", AlwaysHold: true, Pages: "/blog/*"},
		{Vendor: "hotjar", Category: consent.Marketing},
		{Cookie: "visitor_*", As: "hotjar", Category: consent.Functional},
	}})
	var table struct {
		Vendors   [][]any
		Domains   map[string]int
		URLs      [][]any
		Inline    [][]any
		Marks     [][]any
		Cookies   [][]any
		Overrides struct {
			Domains  map[string]any
			URLs     [][]any
			Cookies  [][]any
			ByVendor map[string]any
			Pages    []json.RawMessage
		}
	}
	if err := json.Unmarshal(engine.AppendTable(nil), &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Vendors) < len(engine.Vendors()) {
		t.Errorf("%d vendors of %d", len(table.Vendors), len(engine.Vendors()))
	}
	if n := table.Domains["google-analytics.com"]; table.Vendors[n][0] != "google-analytics" {
		t.Errorf("google-analytics.com is %v's", table.Vendors[n])
	}
	o := table.Overrides
	if got := o.Domains["cdn.example"]; got != "analytics" {
		t.Errorf("cdn.example is %v", got)
	}
	if got := o.Domains["maps.example"].(float64); table.Vendors[int(got)][0] != "google-maps" {
		t.Errorf("maps.example is %v", got)
	}
	if got := o.ByVendor["hotjar"].([]any); table.Vendors[int(got[0].(float64))][0] != "hotjar" || got[1] != "marketing" {
		t.Errorf("hotjar is %v", got)
	}
	if got := o.Cookies[0]; got[0] != "visitor_*" || got[1].([]any)[1] != "functional" {
		t.Errorf("cookie is %v", got)
	}
	const pages = `["/blog/*",{"domains":{},"urls":[["shop.example","/pixel*",[],"never"]],"inline":[],"marks":[],"cookies":[],"storage":[],"byVendor":{}}]`
	if len(o.Pages) != 1 || string(o.Pages[0]) != pages {
		t.Errorf("pages are %s, want %s", o.Pages, pages)
	}
}
