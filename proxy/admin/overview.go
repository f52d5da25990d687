package admin

import (
	"cmp"
	"slices"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// overview is what the first page shows.
type overview struct {
	Days        int
	FiredAnyway int64
	AnywayLink  string
	Total       audit.Counts
	Withheld    int64 // held, boxed and stripped
	Views       int64
	Asked       int64
	choiceSums
	Categories  []categorySum
	Vendors     []vendorSum
	Chart       *chart // of tags
	ChoiceChart *chart
	Unknown     int
	Links       map[string]string
	Contacts    *contacts
}

// share is a part of a whole.
type share struct {
	Key, Name string
	Count     int64
	Percent   float64
}

type categorySum struct {
	Name string
	audit.Counts
	Withheld int64
	Link     string
}

type vendorSum struct {
	audit.Row
	Withheld int64
	Link     string
}

// mostSeen is how many vendors the overview names.
const mostSeen = 8

// contacts is what the demo's third parties saw.
type contacts struct {
	List              []Contact
	Requests, Cookies int
}

func sumContacts(list []Contact) *contacts {
	c := &contacts{List: list}
	for _, k := range list {
		c.Requests += k.Requests
		c.Cookies += k.Cookies
	}
	return c
}

func withheld(c audit.Counts) int64 { return c.Held + c.Boxed + c.Stripped }

var actionNames = map[string]string{
	"accept-all": "Accepted all", "reject-all": "Rejected all", "save": "Chose themselves", "withdraw": "Withdrew", "gpc": "Privacy signal honoured",
}

var methodNames = map[consent.Method]string{
	consent.ByButton: "Button", consent.ByForm: "Form without script", consent.ByGPC: "Global Privacy Control", consent.ByAPI: "Page's own control",
}

func (a *Admin) overview(r *request) (*view, error) {
	o := &overview{Days: daysOf(r.Request), Links: map[string]string{
		"anyway":       narrowed(r, "/tags", "by", "page", "event", "fired-anyway"),
		"unclassified": narrowed(r, "/unclassified"),
		"vendors":      narrowed(r, "/vendors"),
		"receipts":     narrowed(r, "/receipts"),
	}}
	ctx, store := r.Context(), a.o.Store
	f := audit.Filter{Site: r.filter.Site, From: r.filter.From, To: r.filter.To}

	categories, _, err := store.Tags(ctx, audit.ByCategory, f, audit.Slice{})
	if err != nil {
		return nil, err
	}
	for _, c := range categories {
		o.FiredAnyway += c.FiredAnyway
		o.Withheld += withheld(c.Counts)
		o.Total.Seen += c.Seen
		o.Total.Passed += c.Passed
		o.Total.Released += c.Released
		o.Total.Fired += c.Fired
		o.Categories = append(o.Categories, categorySum{
			c.Category, c.Counts, withheld(c.Counts), narrowed(r, "/tags", "category", c.Category),
		})
	}
	vendors, _, err := store.Tags(ctx, audit.ByVendor, f, audit.Slice{Limit: mostSeen + 2})
	if err != nil {
		return nil, err
	}
	for _, v := range vendors {
		if v.Vendor != "" && v.Vendor != audit.Other && len(o.Vendors) < mostSeen {
			o.Vendors = append(o.Vendors, vendorSum{v, withheld(v.Counts), narrowed(r, "/tags", "site", v.Site, "vendor", v.Vendor)})
		}
	}
	days, _, err := store.Tags(ctx, audit.ByDay, f, audit.Slice{})
	if err != nil {
		return nil, err
	}
	tags := make(map[time.Time]pair)
	for _, d := range days {
		tags[d.Day] = pair{withheld(d.Counts), d.Passed}
	}
	o.Chart = newChart("held", "let through", tags, f.From, f.To)
	f.Category = "unclassified"
	if _, o.Unknown, err = store.Tags(ctx, audit.ByHost, f, audit.Slice{Limit: 1}); err != nil {
		return nil, err
	}
	views, err := store.Views(ctx, f)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		o.Views += v.Views
		o.Asked += v.Asked
	}
	choices, err := store.Choices(ctx, f)
	if err != nil {
		return nil, err
	}
	o.choiceSums = sumChoices(choices)
	made := make(map[time.Time]pair)
	for _, c := range choices {
		n := made[c.Day]
		if set, _ := consent.ParseSet(c.Granted); set.Empty() {
			n.upper += c.Count
		} else {
			n.lower += c.Count
		}
		made[c.Day] = n
	}
	o.ChoiceChart = newChart("agreed to something", "to nothing", made, f.From, f.To)
	if a.o.Contacts != nil {
		o.Contacts = sumContacts(a.o.Contacts())
	}
	return &view{Template: "overview", Title: "Overview", Overview: o}, nil
}

// choiceSums are choices summed up in several ways.
type choiceSums struct {
	Choices                              int64
	Actions, Methods, Languages, Granted []share
}

func sumChoices(rows []audit.ChoiceRow) (s choiceSums) {
	actions, methods, languages, granted := map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
	for _, c := range rows {
		s.Choices += c.Count
		actions[c.Action] += c.Count
		methods[c.Method] += c.Count
		languages[cmp.Or(c.Language, "unknown")] += c.Count
		set, _ := consent.ParseSet(c.Granted)
		for _, k := range set.Categories() {
			granted[k.String()] += c.Count
		}
	}
	s.Actions = shares(actions, s.Choices, func(k string) string { return cmp.Or(actionNames[k], k) })
	s.Methods = shares(methods, s.Choices, func(k string) string { return cmp.Or(methodNames[consent.Method(k)], k) })
	s.Languages = shares(languages, s.Choices, func(k string) string { return k })
	s.Granted = shares(granted, s.Choices, func(k string) string { return k })
	return s
}

// shares lists the parts of a whole, the largest first.
func shares(n map[string]int64, whole int64, name func(string) string) []share {
	var list []share
	for key, k := range n {
		list = append(list, share{key, name(key), k, 100 * float64(k) / float64(max(whole, 1))})
	}
	slices.SortFunc(list, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return list
}

// chart draws two counts by day as columns, one on top of the other.
type chart struct {
	// LowerName and UpperName say what is counted.
	LowerName, UpperName string
	Bars                 []bar
	Top                  int64 // the number at the upper edge
	From, To             time.Time
	Width                float64
	Empty                bool
	Lower, Upper         int64 // sums
}

// bar is a day. Heights are in parts of 100 of the drawing's height.
type bar struct {
	Day            time.Time
	X, Width       float64
	Lower, Upper   int64
	LowerY, LowerH float64
	UpperY, UpperH float64
}

// pair is the two counts of a day.
type pair struct{ lower, upper int64 }

// chartWidth is the width of the drawing; its height is 100.
const chartWidth = 720

func newChart(lower, upper string, days map[time.Time]pair, from, to time.Time) *chart {
	day := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	// Days before the first that has something say nothing, but for a few.
	for len(days) > 0 && days[day] == (pair{}) && day.Before(to.AddDate(0, 0, -7)) {
		day = day.AddDate(0, 0, 1)
	}
	c := &chart{LowerName: lower, UpperName: upper, From: day, To: to, Width: chartWidth}
	for ; !day.After(to); day = day.AddDate(0, 0, 1) {
		n := days[day]
		c.Lower += n.lower
		c.Upper += n.upper
		c.Top = max(c.Top, n.lower+n.upper)
		c.Bars = append(c.Bars, bar{Day: day, Lower: n.lower, Upper: n.upper})
	}
	c.Empty = c.Top == 0
	c.Top = roundUp(c.Top)
	step := float64(chartWidth) / float64(len(c.Bars))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Width = min(step*0.76, 56)
		b.X = float64(i)*step + (step-b.Width)/2
		b.LowerH = 100 * float64(b.Lower) / float64(c.Top)
		b.UpperH = 100 * float64(b.Upper) / float64(c.Top)
		b.LowerY = 100 - b.LowerH
		b.UpperY = b.LowerY - b.UpperH
	}
	return c
}

// roundUp returns the next number with one or two leading digits.
func roundUp(n int64) int64 {
	unit := int64(1)
	for n/unit >= 20 {
		unit *= 10
	}
	return max((n+unit-1)/unit*unit, 1)
}
