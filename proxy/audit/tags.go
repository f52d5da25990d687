package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Grouping says what counts are summed by.
type Grouping uint8

// The groupings.
const (
	ByTag Grouping = iota
	ByPageAndTag
	ByVendor
	ByHost
	ByPage
	ByCategory
	BySite
	ByDay
)

// groupings gives the names of the columns that each groups by.
var groupings = [...][]string{
	ByTag:        {"site", "vendor", "category", "kind", "host", "path"},
	ByPageAndTag: {"site", "page", "vendor", "category", "kind", "host", "path"},
	ByVendor:     {"site", "vendor", "category"},
	ByHost:       {"site", "host"},
	ByPage:       {"site", "page"},
	ByCategory:   {"category"},
	BySite:       {"site"},
	ByDay:        {"day"},
}

// Columns lists the columns that a grouping can be sorted by.
func (g Grouping) Columns() []string {
	return slices.Concat(groupings[g], []string{"tags", "first", "last"}, countColumns)
}

var countColumns = []string{"seen", "held", "boxed", "stripped", "passed", "released", "fired", "stopped", "fired_anyway"}

// Counts says how often each event occurred.
type Counts struct {
	Seen        int64 `json:"seen"`
	Held        int64 `json:"held"`
	Boxed       int64 `json:"boxed"`
	Stripped    int64 `json:"stripped"`
	Passed      int64 `json:"passed"`
	Released    int64 `json:"released"`
	Fired       int64 `json:"fired"`
	Stopped     int64 `json:"stopped"`
	FiredAnyway int64 `json:"fired_anyway"`
}

// Row is what a group of counts adds up to. Fields that it is not grouped by
// are empty.
type Row struct {
	Site       string    `json:"site,omitempty"`
	Day        time.Time `json:"day,omitzero"`
	Page       string    `json:"page,omitempty"`
	Vendor     string    `json:"vendor,omitempty"`
	VendorName string    `json:"vendor_name,omitempty"`
	Category   string    `json:"category,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Host       string    `json:"host,omitempty"`
	Path       string    `json:"path,omitempty"`
	// Tags is how many different tags the group has; 0 by page, unless the
	// filter is about tags.
	Tags int `json:"tags,omitempty"`
	// Pages is on how many different pages the tag was met in the period; ByTag
	// only.
	Pages int `json:"pages,omitempty"`
	// First and Last are when a tag of the group was met first and last, at
	// all, whatever the filter.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	Counts
}

// Tags returns the counts that f lets through, summed by g, and how many rows
// there are in all.
func (s *Store) Tags(ctx context.Context, g Grouping, f Filter, part Slice) (rows []Row, total int, err error) {
	f = s.soFar(f)
	err = s.read(ctx, func(t tx) (err error) {
		if g == ByPageAndTag {
			total, err = pairs(t, f, part, func(r *Row) error { rows = append(rows, *r); return nil })
			return err
		}
		var q query
		if err := q.tags(t, g, f, part, "count(*) OVER ()"); err != nil {
			return err
		}
		return q.run(t, func(st row) error {
			total = int(st.ColumnInt64(0))
			rows = append(rows, rowOf(st, g))
			return nil
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("audit: reading tags: %w", err)
	}
	return rows, total, nil
}

// EachTag calls each for the rows that Tags would return, all of them, as they
// come from the database. An error of each ends it. Other queries wait meanwhile
// where more than one of these is under way.
func (s *Store) EachTag(ctx context.Context, g Grouping, f Filter, part Slice, each func(*Row) error) error {
	f, part.Limit = s.soFar(f), 0
	return errorf("reading tags", s.read(ctx, func(t tx) error {
		if g == ByPageAndTag {
			_, err := pairs(t, f, part, each)
			return err
		}
		var q query
		if err := q.tags(t, g, f, part, "0"); err != nil {
			return err
		}
		return q.run(t, func(st row) error {
			r := rowOf(st, g)
			return each(&r)
		})
	}))
}

// soFar drops the end of a period that is not over: nothing is counted yet of
// days to come.
func (s *Store) soFar(f Filter) Filter {
	if dayOf(f.To) >= dayOf(s.now()) {
		f.To = time.Time{}
	}
	return f
}

// The order of the columns of query.tags.
const (
	nameColumn  = 1
	countColumn = 6
)

// tags asks for counts from the smallest table that can tell. total is the
// expression of the first column.
func (q *query) tags(t tx, g Grouping, f Filter, part Slice, total string) error {
	aboutTags := f.Vendor+f.Category+f.Kind+f.Host != ""
	columns := map[string]string{
		"site": "t.site", "vendor": "t.vendor", "category": "t.category", "kind": "t.kind", "host": "t.host", "path": "t.path",
		"page": "p.path", "day": "c.day",
	}
	from, pages := "", "0"
	if g == ByTag {
		met := pairQuery(f)
		q.args = met.args
		pages = "(SELECT count(*) FROM pairs c WHERE c.tag = t.id AND " + met.met + ")"
	}
	where := func() {
		q.equal(columns["site"], f.Site)
		q.equal("t.vendor", f.Vendor)
		q.equal("t.category", f.Category)
		q.equal("t.kind", f.Kind)
		q.equal("t.host", f.Host)
		q.days(f)
		if g == ByPage {
			q.equal("p.path", f.Page)
			q.contains(f.Text, "p.path")
		} else {
			q.contains(f.Text, "t.vendor", "t.name", "t.host", "t.path")
		}
	}
	head := ", max(t.name), count(DISTINCT c.tag) AS tags, min(t.first) AS first, max(t.last) AS last, " + pages
	switch {
	case g != ByPage && f.Page == "":
		from = " FROM tag_days c JOIN tags t ON t.id = c.tag"
	case g == ByPage && !aboutTags:
		from = " FROM page_days c JOIN pages p ON p.id = c.page"
		head = ", '', 0 AS tags, min(p.first) AS first, max(p.last) AS last, 0"
		columns["site"] = "p.site"
	case g == ByPage && f.Event == "":
		n, err := countPairs(t, f)
		if err != nil {
			return err
		}
		sums := pairQuery(f)
		sums.list(f, countColumns, n.split > 0, "0", "", "")
		q.args = sums.args
		where = func() {} // the list has none but those
		from = " FROM (" + sums.sql.String() + ") c JOIN tags t ON t.id = c.tag JOIN pages p ON p.id = c.page"
	default:
		where = func() {
			q.narrow(f)
			q.happened(f)
			q.days(f)
		}
		from = " FROM counts c JOIN tags t ON t.id = c.tag JOIN pages p ON p.id = c.page"
	}
	q.text("SELECT " + total + head)
	for _, col := range countColumns {
		q.text(", CAST(sum(c." + col + ") AS BIGINT) AS " + col)
	}
	for _, col := range groupings[g] {
		q.text(", " + columns[col] + " AS " + col)
	}
	q.text(from + " WHERE 1 = 1")
	where()
	by := []string{"t.id"}
	if g != ByTag {
		by = nil
		for _, col := range groupings[g] {
			by = append(by, columns[col])
		}
	}
	q.text(" GROUP BY " + strings.Join(by, ", "))
	q.having(f)
	q.slice(g.Columns(), part, "seen", groupings[g])
	return nil
}

// narrow leaves the counts of the tags and pages that f lets through.
func (q *query) narrow(f Filter) {
	if f.Site+f.Vendor+f.Category+f.Kind+f.Host != "" {
		q.text(" AND c.tag IN (SELECT t.id FROM tags t WHERE 1 = 1")
		q.equal("t.site", f.Site)
		q.equal("t.vendor", f.Vendor)
		q.equal("t.category", f.Category)
		q.equal("t.kind", f.Kind)
		q.equal("t.host", f.Host)
		q.text(")")
	}
	if f.Page != "" {
		q.text(" AND c.page IN (SELECT p.id FROM pages p WHERE p.path = " + q.bind(f.Page) + ")")
	}
	if f.Text != "" {
		q.text(" AND (c.tag IN (SELECT t.id FROM tags t WHERE 1 = 1")
		q.contains(f.Text, "t.vendor", "t.name", "t.host", "t.path")
		q.text(") OR c.page IN (SELECT p.id FROM pages p WHERE 1 = 1")
		q.contains(f.Text, "p.path")
		q.text("))")
	}
}

// happened leaves the counts in which the event of f occurred.
func (q *query) happened(f Filter) {
	if col := eventColumn(f); col != "" {
		q.text(" AND c." + col + " > 0 AND c.tag IN (SELECT c.tag FROM tag_days c WHERE c." + col + " > 0")
		q.days(f)
		q.text(")")
	}
}

// having keeps groups in which the event of f occurred.
func (q *query) having(f Filter) {
	if col := eventColumn(f); col != "" {
		q.text(" HAVING sum(c." + col + ") > 0")
	}
}

// eventColumn returns the column of the event of f, empty where it names none.
func eventColumn(f Filter) string {
	if col := strings.ReplaceAll(f.Event, "-", "_"); slices.Contains(countColumns, col) {
		return col
	}
	return ""
}

func rowOf(st row, g Grouping) Row {
	r := Row{
		VendorName: st.ColumnText(nameColumn), Tags: int(st.ColumnInt64(nameColumn + 1)), Pages: int(st.ColumnInt64(nameColumn + 4)),
		First: time.Unix(st.ColumnInt64(nameColumn+2), 0).UTC(), Last: time.Unix(st.ColumnInt64(nameColumn+3), 0).UTC(),
		Counts: countsOf(st, countColumn),
	}
	for i, col := range groupings[g] {
		n := countColumn + len(countColumns) + i
		if col == "day" {
			r.Day = timeOf(st.ColumnInt64(n))
		} else {
			*r.name(col) = st.ColumnText(n)
		}
	}
	if r.Vendor == "" {
		r.VendorName = ""
	}
	return r
}

func (r *Row) name(col string) *string {
	switch col {
	case "site":
		return &r.Site
	case "page":
		return &r.Page
	case "vendor":
		return &r.Vendor
	case "category":
		return &r.Category
	case "kind":
		return &r.Kind
	case "host":
		return &r.Host
	default:
		return &r.Path
	}
}

func countsOf(st row, i int) Counts {
	return Counts{
		Seen: st.ColumnInt64(i), Held: st.ColumnInt64(i + 1), Boxed: st.ColumnInt64(i + 2), Stripped: st.ColumnInt64(i + 3),
		Passed: st.ColumnInt64(i + 4), Released: st.ColumnInt64(i + 5), Fired: st.ColumnInt64(i + 6),
		Stopped: st.ColumnInt64(i + 7), FiredAnyway: st.ColumnInt64(i + 8),
	}
}

func (c *Counts) add(d Counts) {
	c.Seen += d.Seen
	c.Held += d.Held
	c.Boxed += d.Boxed
	c.Stripped += d.Stripped
	c.Passed += d.Passed
	c.Released += d.Released
	c.Fired += d.Fired
	c.Stopped += d.Stopped
	c.FiredAnyway += d.FiredAnyway
}

// Total sums all counts that f lets through.
func (s *Store) Total(ctx context.Context, f Filter) (Counts, error) {
	rows, _, err := s.Tags(ctx, ByCategory, f, Slice{})
	var sum Counts
	for _, r := range rows {
		sum.add(r.Counts)
	}
	return sum, err
}
