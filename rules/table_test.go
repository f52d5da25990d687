package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestTable reads the table back and finds in it what the engine was given.
func TestTable(t *testing.T) {
	engine := newEngine(t, Options{Overrides: []Override{
		{Domain: "cdn.example", Category: consent.Analytics},
		{Domain: "maps.example", As: "google-maps", Category: consent.Unclassified},
		{URL: "shop.example/pixel", AlwaysHold: true, Pages: "/blog/*"},
		{Vendor: "hotjar", Category: consent.Marketing},
		{Cookie: "visitor_*", As: "hotjar", Category: consent.Functional},
	}})
	type part struct {
		Said                      [][]any
		Domains, Cookies, Vendors map[string]int
		URLs                      map[string][][]any
	}
	read := func(text []byte, into any) {
		t.Helper()
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	table := engine.Table()
	var base struct {
		Parts     string
		Overrides struct {
			part
			Pages []json.RawMessage
		}
	}
	read(table.Base, &base)
	if base.Parts != table.Revision {
		t.Errorf("base is %s", table.Base)
	}
	var names struct{ Containers []string }
	if read(table.Parts["names"], &names); !slices.Contains(names.Containers, "google-tag-manager") {
		t.Errorf("containers are %q", names.Containers)
	}
	vendor := func(p *part, n int) any { return p.Said[n][0].([]any)[0] }
	domains, patterns := 0, 0
	for name, text := range table.Parts {
		if name == "marks" || name == "calls" {
			continue
		}
		var p part
		read(text, &p)
		for domain := range p.Domains {
			if partOf(domain) != name {
				t.Errorf("%s is in part %s, want %s", domain, name, partOf(domain))
			}
		}
		domains += len(p.Domains)
		for host, urls := range p.URLs {
			if !strings.HasSuffix(host, ".") {
				patterns += len(urls)
			}
		}
	}
	if want := len(engine.catalogue.urls()); patterns != want {
		t.Errorf("%d patterns, want %d", patterns, want)
	}
	if domains < 4000 {
		t.Errorf("%d domains", domains)
	}
	var p part
	read(table.Parts[partOf("www.google-analytics.com")], &p)
	if n := p.Domains["google-analytics.com"]; vendor(&p, n) != "google-analytics" {
		t.Errorf("google-analytics.com is %v's", vendor(&p, n))
	}
	o := &base.Overrides
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"cdn.example", o.Domains["cdn.example"], "[<nil> analytics]"},
		{"maps.example", o.Domains["maps.example"], "[[google-maps functional 0]]"},
		{"hotjar", o.Vendors["hotjar"], "[[hotjar analytics 0] marketing]"},
		{"visitor_*", o.Cookies["visitor_*"], "[[hotjar analytics 0] functional]"},
	} {
		if got := fmt.Sprint(o.Said[c.n]); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	const pages = `["^/blog/.*$",{"said":[[null,"never"]],"urls":{"shop.example":[["^/pixel",0,-11]]}}]`
	if len(o.Pages) != 1 || string(o.Pages[0]) != pages {
		t.Errorf("pages are %s, want %s", o.Pages, pages)
	}
}

func TestExpressions(t *testing.T) {
	for pattern, want := range map[string]string{
		"*/a.js":                  `^/a\.js`,
		"*/a.js$":                 `^/a\.js(?:\?|$)`,
		"x.example/*b/*c$":        `^/(?=(?<_0>[^?]*?b/))\k<_0>[^?]*c(?:\?|$)`,
		"*/*gtm.js?id=GTM-*":      `^(?=[^?]*\?(?:.*&)?id=GTM-[^&]*(?:&|$))/[^?]*gtm\.js`,
		"x.example/a*b*c?k=x*y*z": `^(?=[^?]*\?(?:.*&)?k=x(?=(?<_0_0>[^&]*?y))\k<_0_0>[^&]*z(?:&|$))/a(?=(?<_0>[^?]*?b))\k<_0>[^?]*c`,
		"self/*/px.gif?*":         `^(?=[^?]*\?.)[^?]*/px\.gif`,
		"*/c?v=2&tid=*":           `^(?=[^?]*\?(?:.*&)?v=2(?:&|$))(?=[^?]*\?(?:.*&)?tid(?:=[^&]*)?(?:&|$))/c`,
	} {
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.expression(); got != want {
			t.Errorf("%s is %s, want %s", pattern, got, want)
		}
	}
}

// TestTableIsTheSameAgain: proxies that make the same rules send the same bytes.
func TestTableIsTheSameAgain(t *testing.T) {
	a, b := newEngine(t, Options{}).Table(), newEngine(t, Options{}).Table()
	if a.Revision != b.Revision || string(a.Base) != string(b.Base) {
		t.Errorf("revisions %s and %s", a.Revision, b.Revision)
	}
}

// TestSitesOfOneEngineShareItsTable: each would wait for it, at a start and at each reload.
func TestSitesOfOneEngineShareItsTable(t *testing.T) {
	e := newEngine(t, Options{})
	e.Table()
	if n := testing.AllocsPerRun(3, func() { e.Table() }); n != 0 {
		t.Errorf("made anew, with %v allocations", n)
	}
}

// TestTableOfMarks: each mark of a widget that can be seen is listed with its vendor
// and the category that it needs, whatever an override says that is.
func TestTableOfMarks(t *testing.T) {
	engine := newEngine(t, Options{Overrides: []Override{{Vendor: "facebook-like", Category: consent.Functional}, {Vendor: "instagram", AlwaysHold: true}}})
	var list [][3]string
	if err := json.Unmarshal(engine.Table().Parts["marks"], &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range list {
		for _, selector := range strings.Split(m[0], ",") {
			got[selector] = m[1] + " " + m[2]
		}
	}
	for selector, want := range map[string]string{
		".fb-like": "facebook-like functional", ".fb-comments": "facebook-comments social", "[data-pin-do^=embed]": "pinterest-widgets social", ".instagram-media": "",
	} {
		if got[selector] != want {
			t.Errorf("%s is of %q, want %q", selector, got[selector], want)
		}
	}
	marks := 0
	for _, v := range engine.Vendors() {
		if v.Widget != "" && v.ID != "instagram" {
			marks += len(v.Marks)
		}
	}
	if len(got) != marks {
		t.Errorf("%d marks, want %d", len(got), marks)
	}
}

// TestTableOfCalls: each function of a tag that sites call by name is listed with
// what that tag needs here.
func TestTableOfCalls(t *testing.T) {
	engine := newEngine(t, Options{ConsentMode: true, Overrides: []Override{{Vendor: "meta-pixel", Category: consent.Marketing}, {Vendor: "hotjar", AlwaysHold: true}, {Vendor: "matomo", Category: consent.Functional, Pages: "/shop/*"}}})
	var list [][3]string
	if err := json.Unmarshal(engine.Table().Parts["calls"], &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range list {
		got[c[0]] = c[1] + " " + c[2]
	}
	for name, want := range map[string]string{
		"fbq": "meta-pixel marketing", "hj": "hotjar never", "_paq.push": "matomo analytics", "dataLayer.push": "google-tag-manager necessary",
	} {
		if got[name] != want {
			t.Errorf("%s is of %q, want %q", name, got[name], want)
		}
	}
	calls := 0
	for _, v := range engine.Vendors() {
		calls += len(v.Calls)
	}
	if len(list) != calls || len(got) != calls {
		t.Errorf("%d calls of %d names, want %d", len(list), len(got), calls)
	}
}
