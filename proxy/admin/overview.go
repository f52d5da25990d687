package admin

import (
	"cmp"
	"slices"

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
	Funnel      []step
	Unknown     int
	Links       map[string]string
	Countries   []rates
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
	On       string // the site, where there are several
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
			sum := vendorSum{Row: v, Withheld: withheld(v.Counts), Link: narrowed(r, "/tags", "site", v.Site, "vendor", v.Vendor)}
			if r.manySites() {
				sum.On = v.Site
			}
			o.Vendors = append(o.Vendors, sum)
		}
	}
	days, _, err := store.Tags(ctx, audit.ByDay, f, audit.Slice{})
	if err != nil {
		return nil, err
	}
	tags := newChart(f.From, f.To, part{"held back", "lower"}, part{"fired as allowed", "upper"}, part{"fired anyway", "alarm"})
	for _, d := range days {
		tags.add(d.Day, 0, withheld(d.Counts))
		tags.add(d.Day, 1, d.Fired)
		tags.add(d.Day, 2, d.FiredAnyway)
	}
	o.Chart = tags.draw()
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
	countries, err := store.Countries(ctx, f)
	if err != nil {
		return nil, err
	}
	o.Countries = ratesOf(byCountry(countries))
	made := newChart(f.From, f.To, part{"accepted all", "lower"}, part{"chose some", "middle"}, part{"refused all", "upper"}, part{"privacy signal", "signal"})
	for _, c := range choices {
		made.add(c.Day, int(answerOf(c.Action, c.Granted)), c.Count)
	}
	o.ChoiceChart = made.draw()
	o.Funnel = funnel(o)
	if a.o.Contacts != nil {
		o.Contacts = sumContacts(a.o.Contacts())
	}
	return &view{Template: "overview", Title: "Overview", Overview: o}, nil
}

// choiceSums are choices summed up in several ways.
type choiceSums struct {
	Choices                   int64
	Actions, Methods, Granted []share
	Languages                 []rates
	answers                   [answers]int64
}

// answer is what a choice comes to.
type answer int

const (
	acceptedAll answer = iota
	choseSome
	refusedAll
	bySignal // nobody answered: the browser objected
	answers
)

func answerOf(action, granted string) answer {
	switch set, _ := consent.ParseSet(granted); {
	case action == "gpc":
		return bySignal
	case set.Empty():
		return refusedAll
	case action == "accept-all":
		return acceptedAll
	default:
		return choseSome
	}
}

// rates says how the choices of a group of visitors came out, in percent.
type rates struct {
	Name                             string
	Count                            int64
	Accepted, Chose, Refused, Signal float64
}

// step is a part of the way from a page view to consent.
type step struct {
	Name    string
	Count   int64
	Percent float64 // of the first step
}

// funnel is how many of the page views that asked led to what.
func funnel(o *overview) []step {
	if o.Asked == 0 {
		return nil
	}
	agreed := o.answers[acceptedAll] + o.answers[choseSome]
	made := agreed + o.answers[refusedAll]
	steps := []step{{Name: "Page views that asked", Count: o.Asked}, {Name: "A choice was made", Count: made},
		{Name: "Agreed to something", Count: agreed}, {Name: "Agreed to all", Count: o.answers[acceptedAll]}}
	for i := range steps {
		steps[i].Percent = min(100*float64(steps[i].Count)/float64(max(o.Asked, made)), 100)
	}
	return steps
}

func sumChoices(rows []audit.ChoiceRow) (s choiceSums) {
	actions, methods, granted := map[string]int64{}, map[string]int64{}, map[string]int64{}
	languages := map[string]*[answers]int64{}
	for i := range rows {
		c := &rows[i]
		s.Choices += c.Count
		actions[c.Action] += c.Count
		methods[c.Method] += c.Count
		tally(languages, cmp.Or(c.Language, "unknown"), answerOf(c.Action, c.Granted), c.Count)
		s.answers[answerOf(c.Action, c.Granted)] += c.Count
		if answerOf(c.Action, c.Granted) == bySignal {
			continue // what a signal leaves, nobody has agreed to
		}
		set, _ := consent.ParseSet(c.Granted)
		for _, k := range set.Categories() {
			granted[k.String()] += c.Count
		}
	}
	s.Actions = shares(actions, s.Choices, func(k string) string { return cmp.Or(actionNames[k], k) })
	s.Methods = shares(methods, s.Choices, func(k string) string { return cmp.Or(methodNames[consent.Method(k)], k) })
	s.Languages = ratesOf(languages)
	s.Granted = shares(granted, s.Choices, func(k string) string { return k })
	return s
}

func tally(by map[string]*[answers]int64, key string, a answer, n int64) {
	if by[key] == nil {
		by[key] = new([answers]int64)
	}
	by[key][a] += n
}

func byCountry(rows []audit.CountryRow) map[string]*[answers]int64 {
	by := map[string]*[answers]int64{}
	for _, c := range rows {
		tally(by, c.Country, answerOf(c.Action, c.Granted), c.Count)
	}
	return by
}

// ratesOf lists groups of visitors, the largest first.
func ratesOf(by map[string]*[answers]int64) []rates {
	var list []rates
	for name, n := range by {
		sum := n[acceptedAll] + n[choseSome] + n[refusedAll] + n[bySignal]
		percent := func(a answer) float64 { return 100 * float64(n[a]) / float64(sum) }
		list = append(list, rates{name, sum, percent(acceptedAll), percent(choseSome), percent(refusedAll), percent(bySignal)})
	}
	slices.SortFunc(list, func(a, b rates) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return list
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
