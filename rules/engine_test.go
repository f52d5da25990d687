package rules

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

func newEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFirstCall(t *testing.T) {
	engine := newEngine(t, Options{})
	var page Page
	page.Reset([]byte("https://shop.example/blog/"))
	d := engine.URL(&page, []byte("//www.google-analytics.com/collect?v=2"), Image)
	if d.Vendor == nil || d.Vendor.ID != "google-analytics" || d.Party != ThirdParty || d.Rule.File == "" || d.Rule.Line == 0 {
		t.Fatalf("%+v", d)
	}
}

// TestRevision demands that equal rules have equal revisions, and others others.
func TestRevision(t *testing.T) {
	list := func(text string) Options {
		return Options{Lists: []List{{Name: "l", Format: FormatHosts, Category: consent.Marketing, Text: []byte(text)}}}
	}
	seen := map[[16]byte]int{}
	for i, o := range []Options{
		{},
		{Overrides: []Override{{Domain: "a.test"}}},
		{Overrides: []Override{{Domain: "a.test", Category: consent.Social}}},
		{HeuristicsOff: []string{"pixel"}},
		list("a.test"),
		list("b.test"),
	} {
		r := newEngine(t, o).Revision()
		if r != newEngine(t, o).Revision() {
			t.Errorf("options %d have two revisions", i)
		}
		if other, ok := seen[r]; ok {
			t.Errorf("options %d and %d have the same revision", i, other)
		}
		seen[r] = i
	}
}

// TestImports reads code as it is met for the first time, and as it is remembered.
func TestImports(t *testing.T) {
	engine, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p Page
	p.Reset([]byte("https://shop.example/"))
	for code, want := range map[string]bool{
		"import('/a.js')":                           true,
		"x=import /* soon */ (y)":                   true,
		"ap=1;import":                               true,
		"import\xa0('/a.js')":                       true,
		"important=1;imported.importance=a.imports": false,
		"p()":                             false,
		"fbq('init','1');import('/a.js')": true,
		"fbq('init','1');fbq('track','PageView')":     false,
		"gtag('config','G-ABC123');important=import1": false,
	} {
		for _, code := range []string{code, code + strings.Repeat("\n", minMemoLength), strings.Repeat(" ", minMemoLength) + code} {
			for range 3 {
				if d := engine.Inline(&p, []byte(code)); d.Imports != want {
					t.Errorf("%q: %v by %v, want %v", code, d.Imports, d.Rule, want)
				}
			}
		}
	}
}
