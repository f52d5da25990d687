package rules

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// table is the rules as the guard reads them.
type table struct {
	// Vendors are id, category and 1 for a container: the guard holds, it does
	// not tell visitors whom.
	Vendors [][3]any `json:"vendors"`
	tableRules
	Overrides tableOverrides `json:"overrides"`
	// Heuristics are the names of those that are asked.
	Heuristics []string `json:"heuristics"`
}

// tableRules are the rules of one rank. Where a vendor's index stands, an
// override may have a category's name instead, or "never" for what is always
// held, or both: [index, "name"].
type tableRules struct {
	Domains map[string]any `json:"domains"`
	URLs    [][4]any       `json:"urls"`
	Inline  [][2]any       `json:"inline"`
	Marks   [][2]any       `json:"marks"`
	Cookies [][2]any       `json:"cookies"`
	Storage [][2]any       `json:"storage"`
}

// tableSet adds the overrides about vendors, by their IDs.
type tableSet struct {
	tableRules
	ByVendor map[string]any `json:"byVendor"`
}

// tableOverrides adds the overrides that hold for some pages only: a glob of
// paths and what holds there. They are looked at before the others, in order.
type tableOverrides struct {
	tableSet
	Pages [][2]any `json:"pages"`
}

// AppendTable appends the rules as JSON for the guard, which decides in the
// page as the engine does on the wire. The patterns and the signatures stand in
// the order in which they decide: the first that matches wins.
func (e *Engine) AppendTable(dst []byte) []byte {
	index := make(map[*Vendor]int, len(e.vendors))
	t := table{Vendors: [][3]any{}}
	for i, v := range e.vendors {
		container := 0
		if v.Container {
			container = 1
		}
		index[v] = i
		t.Vendors = append(t.Vendors, [3]any{v.ID, v.Category.String(), container})
	}
	said := func(v *verdict) any {
		if v.rule.Source != SourceOverride {
			return index[v.vendor]
		}
		name := v.category.String()
		if v.never {
			name = "never"
		}
		switch {
		case v.vendor == nil:
			return name
		case name == v.vendor.Category.String():
			return index[v.vendor]
		}
		return []any{index[v.vendor], name}
	}
	t.tableRules = e.catalogue.table(said)
	e.breadthTable(&t)
	t.Overrides.tableRules, t.Overrides.ByVendor = (&layer{}).table(said), map[string]any{}
	t.Overrides.Pages = [][2]any{}
	for _, s := range e.overrides {
		set := tableSet{s.layer.table(said), map[string]any{}}
		for vendor, overrides := range s.byVendor {
			set.ByVendor[vendor.ID] = said(overrides[0])
		}
		if s.pages == "" {
			t.Overrides.tableSet = set
		} else {
			t.Overrides.Pages = append(t.Overrides.Pages, [2]any{s.pages, set})
		}
	}
	t.Heuristics = []string{}
	for i, h := range heuristics {
		if e.guessing[i] {
			t.Heuristics = append(t.Heuristics, h.name)
		}
	}
	text, err := json.Marshal(&t)
	if err != nil {
		panic("rules: table: " + err.Error())
	}
	return append(dst, text...)
}

// breadthTable adds the domains of the breadth table that have a category, under
// vendors without a name, one a category: the guard has to hold them, not to
// name them.
func (e *Engine) breadthTable(t *table) {
	byCategory := map[consent.Category]int{}
	for n, h := range e.breadth.byHost {
		domain, v := e.breadth.hosts.names[n], h.domains[0]
		if _, known := t.Domains[domain]; known || v.category == consent.Unclassified {
			continue
		}
		if _, ok := byCategory[v.category]; !ok {
			byCategory[v.category] = len(t.Vendors)
			t.Vendors = append(t.Vendors, [3]any{"", v.category.String(), 0})
		}
		t.Domains[domain] = byCategory[v.category]
	}
}

func (l *layer) table(said func(*verdict) any) tableRules {
	t := tableRules{
		Domains: map[string]any{},
		URLs:    [][4]any{},
		Inline:  [][2]any{},
		Marks:   l.marks.table(said),
		Cookies: l.cookies.table(said),
		Storage: l.storage.table(said),
	}
	for n, h := range l.byHost {
		if len(h.domains) > 0 {
			t.Domains[l.hosts.names[n]] = said(h.domains[0])
		}
	}
	for _, u := range l.urls() {
		query := u.Query
		if query == nil {
			query = [][2]string{}
		}
		t.URLs = append(t.URLs, [4]any{u.Host, u.Path, query, said(u.verdict)})
	}
	for i := range l.inline.signatures {
		s := &l.inline.signatures[i]
		var tokens []string
		for _, token := range s.tokens {
			tokens = append(tokens, string(token))
		}
		t.Inline = append(t.Inline, [2]any{tokens, said(&s.verdict)})
	}
	return t
}

// table returns the names, each once, in the order of their bytes.
func (t *nameTable) table(said func(*verdict) any) [][2]any {
	rows := [][2]any{}
	for _, s := range t.slots {
		if s.entry == 0 {
			continue
		}
		e := &t.entries[s.entry-1]
		name := e.name
		if e.prefix {
			name += "*"
		}
		rows = append(rows, [2]any{name, said(&e.verdict)})
	}
	slices.SortFunc(rows, func(a, b [2]any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return rows
}
