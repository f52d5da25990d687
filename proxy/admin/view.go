package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
)

// request is a request for a page.
type request struct {
	*http.Request
	who    *identity
	filter audit.Filter
	format string
	sites  []string // that there is something of
}

// part returns which part of a table is asked for.
func (r *request) part(usual string) extent {
	p := extent{sort: cmp.Or(r.FormValue("sort"), usual), reverse: r.FormValue("reverse") != ""}
	if n, err := strconv.Atoi(r.FormValue("offset")); err == nil && n > 0 {
		p.offset = n
	}
	return p
}

// slice returns the part as the store takes it; an export has all rows.
func (r *request) slice(p extent) audit.Slice {
	s := audit.Slice{Sort: p.sort, Reverse: p.reverse}
	if r.format == "" {
		s.Limit, s.Offset = pageRows, p.offset
	}
	return s
}

// more returns the part of a list whose length is not counted: one row more than
// is shown, which trim takes off again, tells that it goes on.
func (r *request) more(p extent) audit.Slice {
	s := r.slice(p)
	if s.Limit > 0 {
		s.Limit++
	}
	return s
}

func (r *request) trim(t *table, p extent) {
	t.Total = p.offset + len(t.Rows)
	if r.format == "" && len(t.Rows) > pageRows {
		t.Rows, t.More = t.Rows[:pageRows], true
	}
}

// view is what a template shows: the frame, and what the page adds.
type view struct {
	Template, Title string
	Status          int
	Message         string
	// Timeless pages are not about a period.
	Timeless bool

	Path    string
	Nav     []link
	Sites   []link
	Periods []link
	Hidden  []link // fields of the address that the form of the frame keeps
	Chips   []link // filters in force, each leading to the page without it
	Search  string
	Token   string
	Name    string // of who has signed in; empty where nobody needs to
	Change  bool   // they may change things
	SignOut bool
	Live    bool

	Lead        string
	Tabs        []link
	Searchable  bool // for a text
	Glossary    bool // explains the counts
	Table       *table
	Overview    *overview
	Unknown     *unknown
	Changes     []changeGroup
	MonthReport string
	Receipt     *receiptPage
	Lookup      string
	Requests    []openRequest
	Health      *healthPage
	SignIn      *signInPage
	Preview     *preview
}

// link is an entry of a menu.
type link struct {
	Text, Href string
	Here       bool
	Value      string
}

var nav = []link{
	{Text: "Overview", Href: "/"},
	{Text: "Tags", Href: "/tags"},
	{Text: "Vendors", Href: "/vendors"},
	{Text: "Pages", Href: "/pages"},
	{Text: "Cookies", Href: "/cookies"},
	{Text: "Choices", Href: "/choices"},
	{Text: "Unclassified", Href: "/unclassified"},
	{Text: "Changes", Href: "/changes"},
	{Text: "Receipts", Href: "/receipts"},
	{Text: "Log", Href: "/log"},
	{Text: "Preview", Href: "/preview"},
	{Text: "Health", Href: "/health"},
}

var periods = []struct {
	days int
	text string
}{{1, "Today"}, {7, "Last 7 days"}, {30, "Last 30 days"}, {90, "Last 90 days"}, {395, "Last 13 months"}}

// daysOf returns how many days the request is about.
func daysOf(r *http.Request) int {
	n, err := strconv.Atoi(r.FormValue("days"))
	switch {
	case err == nil && n >= 1 && n <= 1000:
		return n
	case r.URL.Path == "/changes":
		return 7
	default:
		return 30
	}
}

// filterOf reads the filter from the address.
func (a *Admin) filterOf(r *http.Request) audit.Filter {
	to := a.now().UTC()
	return audit.Filter{
		Site: r.FormValue("site"), Page: r.FormValue("page"), Vendor: r.FormValue("vendor"), Category: r.FormValue("category"),
		Kind: r.FormValue("kind"), Host: r.FormValue("host"), Event: r.FormValue("event"), Text: r.FormValue("q"),
		From: to.AddDate(0, 0, 1-daysOf(r)), To: to,
	}
}

// kept are the fields of the address that lead from page to page.
var kept = []string{"site", "days"}

// narrowing are the fields that narrow a table.
var narrowing = []string{"page", "vendor", "category", "kind", "host", "event"}

// frame fills in what surrounds each page.
func (a *Admin) frame(r *request, v *view) {
	v.Path, v.Token, v.Search = r.URL.Path, r.who.token, r.filter.Text
	v.Change, v.SignOut = r.who.operator, r.who.signed
	if !a.door.open() {
		v.Name = r.who.name
	}
	v.Live = a.o.Contacts != nil
	q := r.URL.Query()
	for _, l := range nav {
		l.Here = l.Href == v.Path || l.Href == "/receipts" && v.Receipt != nil
		l.Href = address(l.Href, pick(q, kept))
		v.Nav = append(v.Nav, l)
	}
	days := daysOf(r.Request)
	for _, p := range periods {
		v.Periods = append(v.Periods, link{Text: p.text, Value: strconv.Itoa(p.days), Here: p.days == days})
	}
	for _, key := range append([]string{"by"}, narrowing...) {
		value := q.Get(key)
		if value == "" {
			continue
		}
		v.Hidden = append(v.Hidden, link{Text: key, Value: value})
		if key != "by" {
			rest := pick(q, nil)
			rest.Del(key)
			rest.Del("offset")
			v.Chips = append(v.Chips, link{Text: key, Value: value, Href: address(v.Path, rest)})
		}
	}
	sites := r.sites
	if site := r.filter.Site; site != "" && !slices.Contains(sites, site) {
		sites = append(sites, site)
	}
	for _, site := range sites {
		v.Sites = append(v.Sites, link{Text: site, Value: site, Here: site == r.filter.Site})
	}
}

// pick returns the given fields of a query, or all for nil.
func pick(q url.Values, keys []string) url.Values {
	some := url.Values{}
	for key, values := range q {
		if keys == nil || slices.Contains(keys, key) {
			some[key] = values
		}
	}
	return some
}

// address puts a path and a query together.
func address(path string, q url.Values) string {
	if s := q.Encode(); s != "" {
		return path + "?" + s
	}
	return path
}

// narrowed returns the address of a page about what r is about, with further
// fields, given as pairs.
func narrowed(r *request, path string, set ...string) string {
	if r.format != "" {
		return "" // an export of 100,000 rows has no use for as many addresses
	}
	q := pick(r.URL.Query(), kept)
	for i := 0; i < len(set); i += 2 {
		if set[i+1] != "" {
			q.Set(set[i], set[i+1])
		}
	}
	return address(path, q)
}

// site returns what is known of a site. One that is not listed, and all of them
// together, are served by any of them, without the statements of its operator
// where there are others.
func (a *Admin) site(name string) Site {
	if a.o.Sites == nil {
		return Site{}
	}
	sites := a.o.Sites()
	if s, ok := sites[name]; ok {
		return s
	}
	for _, s := range sites {
		if len(sites) > 1 {
			s.Transfers = nil
		}
		return s
	}
	return Site{}
}

// vendor returns what the rules know of a vendor, nil for nothing.
func (a *Admin) vendor(site, id string) *rules.Vendor {
	if e := a.site(site).Engine; e != nil && id != "" {
		return e.Vendor(id)
	}
	return nil
}

// since writes a duration in its two largest units.
func since(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%d s", d/time.Second)
	}
}
