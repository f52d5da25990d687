package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter says which counts a query is about. Empty fields do not narrow it.
type Filter struct {
	Site, Page, Vendor, Category, Kind, Host string
	// Text must occur in the vendor, tag or page.
	Text string
	// Event is the name of an Event that must have occurred.
	Event string
	// From and To are the first and the last day, UTC. Zero for no end.
	From, To time.Time
}

// Slice says in which order and which part of a result is wanted.
type Slice struct {
	// Sort is a column's name, as Columns lists them; it ascends for names and
	// descends for numbers and times, unless Reverse.
	Sort    string
	Reverse bool
	// Limit is how many rows at most, from the one numbered Offset; 0 for all.
	Limit, Offset int
}

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
	// Tags is how many different tags the group has; 0 by page.
	Tags int `json:"tags,omitempty"`
	// Pages is on how many different pages the tag was met; ByTag only.
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
		q.tags(g, f, part, "count(*) OVER ()")
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
		q.tags(g, f, part, "0")
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
func (q *query) tags(g Grouping, f Filter, part Slice, total string) {
	aboutTags := f.Vendor+f.Category+f.Kind+f.Host != ""
	columns := map[string]string{
		"site": "t.site", "vendor": "t.vendor", "category": "t.category", "kind": "t.kind", "host": "t.host", "path": "t.path",
		"page": "p.path", "day": "c.day",
	}
	from, pages := "", "0"
	if g == ByTag {
		pages = "(SELECT count(*) FROM pairs d WHERE d.tag = t.id)"
	}
	head := ", max(t.name), count(DISTINCT c.tag) AS tags, min(t.first) AS first, max(t.last) AS last, " + pages
	switch {
	case g != ByPage && f.Page == "":
		from = " FROM tag_days c JOIN tags t ON t.id = c.tag"
	case g == ByPage && !aboutTags:
		from = " FROM page_days c JOIN pages p ON p.id = c.page"
		head = ", '', 0 AS tags, min(p.first) AS first, max(p.last) AS last, 0"
		columns["site"] = "p.site"
	default:
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
	if strings.HasPrefix(from, " FROM counts") {
		q.narrow(f) // or else SQLite goes by the day, through most of the table
		q.happened(f)
	}
	q.equal(columns["site"], f.Site)
	q.equal("p.path", f.Page)
	q.equal("t.vendor", f.Vendor)
	q.equal("t.category", f.Category)
	q.equal("t.kind", f.Kind)
	q.equal("t.host", f.Host)
	q.days(f)
	var searched []string
	if strings.Contains(from, "tags t") {
		searched = append(searched, "t.vendor", "t.name", "t.host", "t.path")
	}
	if strings.Contains(from, "pages p") {
		searched = append(searched, "p.path")
	}
	q.contains(f.Text, searched...)
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

// Total sums all counts that f lets through.
func (s *Store) Total(ctx context.Context, f Filter) (Counts, error) {
	rows, _, err := s.Tags(ctx, ByCategory, f, Slice{})
	var sum Counts
	for _, r := range rows {
		sum.Seen += r.Seen
		sum.Held += r.Held
		sum.Boxed += r.Boxed
		sum.Stripped += r.Stripped
		sum.Passed += r.Passed
		sum.Released += r.Released
		sum.Fired += r.Fired
		sum.Stopped += r.Stopped
		sum.FiredAnyway += r.FiredAnyway
	}
	return sum, err
}

// CookieRow is a cookie of a site and what became of it.
type CookieRow struct {
	Site     string `json:"site"`
	Name     string `json:"name"`
	Vendor   string `json:"vendor,omitempty"`
	Category string `json:"category"`
	Source   string `json:"source"`
	// Declared says that a vendor is known that the cookie belongs to, so that
	// visitors find it in the declaration.
	Declared bool      `json:"declared"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Held     int64     `json:"held"`
	Passed   int64     `json:"passed"`
}

// CookieColumns lists the columns that cookies can be sorted by.
var CookieColumns = []string{"site", "name", "vendor", "category", "source", "first", "last", "held", "passed"}

// Cookies returns the cookies that f lets through, and how many there are in
// all. Page, Kind, Host and Event of f do not apply.
func (s *Store) Cookies(ctx context.Context, f Filter, part Slice) (rows []CookieRow, total int, err error) {
	var q query
	q.text(`SELECT count(*) OVER (), t.site AS site, t.name AS name, t.vendor AS vendor, t.category AS category, t.source AS source,
		t.first AS first, t.last AS last, CAST(sum(c.held) AS BIGINT) AS held, CAST(sum(c.passed) AS BIGINT) AS passed
		FROM cookie_days c JOIN cookies t ON t.id = c.cookie WHERE 1 = 1`)
	q.equal("t.site", f.Site)
	q.equal("t.vendor", f.Vendor)
	q.equal("t.category", f.Category)
	q.days(f)
	q.contains(f.Text, "t.name", "t.vendor")
	q.text(" GROUP BY t.id")
	q.slice(CookieColumns, part, "last", []string{"site", "name"})
	err = s.read(ctx, func(t tx) error {
		return q.run(t, func(st row) error {
			total = int(st.ColumnInt64(0))
			rows = append(rows, CookieRow{
				Site: st.ColumnText(1), Name: st.ColumnText(2), Vendor: st.ColumnText(3), Category: st.ColumnText(4), Source: st.ColumnText(5), Declared: st.ColumnText(3) != "",
				First: time.Unix(st.ColumnInt64(6), 0).UTC(), Last: time.Unix(st.ColumnInt64(7), 0).UTC(),
				Held: st.ColumnInt64(8), Passed: st.ColumnInt64(9),
			})
			return nil
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("audit: reading cookies: %w", err)
	}
	return rows, total, nil
}

// ChoiceRow is how many choices of a kind were made on a day.
type ChoiceRow struct {
	Day      time.Time `json:"day"`
	Site     string    `json:"site"`
	Action   string    `json:"action"`
	Method   string    `json:"method"`
	Regime   string    `json:"regime"`
	Language string    `json:"language"`
	Granted  string    `json:"granted"`
	Count    int64     `json:"count"`
}

// Choices returns the choices that were made, by day. Only Site, From and To
// of f apply.
func (s *Store) Choices(ctx context.Context, f Filter) (rows []ChoiceRow, err error) {
	var q query
	q.text(`SELECT c.day, c.site, c.action, c.method, c.regime, c.language, c.granted, c.n FROM choices c WHERE 1 = 1`)
	q.equal("c.site", f.Site)
	q.days(f)
	q.text(" ORDER BY c.day, c.site, c.action, c.method, c.regime, c.language, c.granted")
	err = s.read(ctx, func(t tx) error {
		return q.run(t, func(st row) error {
			rows = append(rows, ChoiceRow{
				timeOf(st.ColumnInt64(0)), st.ColumnText(1), st.ColumnText(2), st.ColumnText(3),
				st.ColumnText(4), st.ColumnText(5), st.ColumnText(6), st.ColumnInt64(7),
			})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading choices: %w", err)
	}
	return rows, nil
}

// CountryRow is how many choices of a kind came from a country.
type CountryRow struct {
	// Country is ISO 3166-1 alpha-2, or Other.
	Country, Action, Granted string
	Count                    int64
}

// fewChoices is how many choices a country must have to be named: those of one
// visitor, or of a household, tell nothing that a site need know.
const fewChoices = 10

// Countries returns the choices of visitors whose country is known. Countries
// with less than ten of them are summed up under Other, which may have less. Only
// Site, From and To of f apply.
func (s *Store) Countries(ctx context.Context, f Filter) ([]CountryRow, error) {
	var q query
	q.text(`SELECT c.country, c.action, c.granted, CAST(sum(c.n) AS BIGINT) FROM countries c WHERE 1 = 1`)
	q.equal("c.site", f.Site)
	q.days(f)
	q.text(" GROUP BY c.country, c.action, c.granted ORDER BY c.country, c.action, c.granted")
	var rows []CountryRow
	sums := make(map[string]int64)
	err := s.read(ctx, func(t tx) error {
		return q.run(t, func(r row) error {
			k := CountryRow{r.ColumnText(0), r.ColumnText(1), r.ColumnText(2), r.ColumnInt64(3)}
			rows = append(rows, k)
			sums[k.Country] += k.Count
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading choices by country: %w", err)
	}
	for i := range rows {
		if sums[rows[i].Country] < fewChoices {
			rows[i].Country = Other
		}
	}
	return rows, nil
}

// ViewRow is how often pages were viewed on a day, and how often the visitor
// was asked.
type ViewRow struct {
	Day   time.Time `json:"day"`
	Views int64     `json:"views"`
	Asked int64     `json:"asked"`
}

// Views returns page views by day. Only Site, Page, From and To of f apply.
func (s *Store) Views(ctx context.Context, f Filter) (rows []ViewRow, err error) {
	var q query
	q.text(`SELECT c.day, CAST(sum(c.views) AS BIGINT), CAST(sum(c.asked) AS BIGINT) FROM views c JOIN pages p ON p.id = c.page WHERE 1 = 1`)
	q.equal("p.site", f.Site)
	q.equal("p.path", f.Page)
	q.days(f)
	q.text(" GROUP BY c.day ORDER BY c.day")
	err = s.read(ctx, func(t tx) error {
		return q.run(t, func(st row) error {
			rows = append(rows, ViewRow{timeOf(st.ColumnInt64(0)), st.ColumnInt64(1), st.ColumnInt64(2)})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading views: %w", err)
	}
	return rows, nil
}

// Sites returns the sites that there is something of, in order of their names.
func (s *Store) Sites(ctx context.Context) (sites []string, err error) {
	err = s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT site FROM tags UNION SELECT site FROM choices UNION SELECT site FROM pages
			UNION SELECT site FROM cookies ORDER BY 1`,
			func(st row) error {
				sites = append(sites, st.ColumnText(0))
				return nil
			})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading sites: %w", err)
	}
	return sites, nil
}

// Change is something met for the first time.
type Change struct {
	At   time.Time `json:"at"`
	Site string    `json:"site"`
	// What is vendor, host, cookie or page.
	What     string `json:"what"`
	Name     string `json:"name"`
	Category string `json:"category,omitempty"`
}

// maxChanges is how many changes of each sort are listed.
const maxChanges = 200

// Changes returns what was met for the first time since the given time, the
// newest first: at most 200 each of vendors, third-party hosts, cookies and
// pages. site "" stands for all.
func (s *Store) Changes(ctx context.Context, site string, since time.Time) (changes []Change, err error) {
	err = s.read(ctx, func(t tx) error {
		for _, q := range []string{
			`SELECT min(first) AS at, site, 'vendor', max(name), max(category) FROM tags WHERE vendor NOT IN ('', '(other)') AND (?1 = '' OR site = ?1)
				GROUP BY site, vendor HAVING min(first) >= ?2 ORDER BY at DESC LIMIT ?3`,
			`SELECT min(first) AS at, site, 'host', host, max(category) FROM tags WHERE vendor = '' AND host <> '' AND (?1 = '' OR site = ?1)
				GROUP BY site, host HAVING min(first) >= ?2 ORDER BY at DESC LIMIT ?3`,
			`SELECT min(first) AS at, site, 'cookie', name, max(category) FROM cookies WHERE (?1 = '' OR site = ?1)
				GROUP BY site, name HAVING min(first) >= ?2 ORDER BY at DESC LIMIT ?3`,
			`SELECT first AS at, site, 'page', path, '' FROM pages WHERE (?1 = '' OR site = ?1) AND first >= ?2 ORDER BY at DESC LIMIT ?3`,
		} {
			t.queue(q, func(st row) error {
				changes = append(changes, Change{
					time.Unix(st.ColumnInt64(0), 0).UTC(), st.ColumnText(1), st.ColumnText(2), st.ColumnText(3), st.ColumnText(4),
				})
				return nil
			}, site, since.Unix(), maxChanges)
		}
		_, err := t.run("", nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading changes: %w", err)
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return b.At.Compare(a.At) })
	return changes, nil
}

// query is a statement that is put together from parts. What comes from
// outside is bound, never written into the text.
type query struct {
	sql  strings.Builder
	args []any
}

func (q *query) text(s string) { q.sql.WriteString(s) }

func (q *query) bind(a any) string {
	q.args = append(q.args, a)
	return fmt.Sprintf("?%d", len(q.args))
}

func (q *query) equal(col, value string) {
	if value != "" {
		q.text(" AND " + col + " = " + q.bind(value))
	}
}

func (q *query) contains(text string, cols ...string) {
	if text == "" {
		return
	}
	n := q.bind("%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%")
	for i, col := range cols {
		cols[i] = "lower(" + col + ") LIKE lower(" + n + `) ESCAPE '\'`
	}
	q.text(" AND (" + strings.Join(cols, " OR ") + ")")
}

func (q *query) days(f Filter) {
	if !f.From.IsZero() {
		q.text(" AND c.day >= " + q.bind(dayOf(f.From)))
	}
	if !f.To.IsZero() {
		q.text(" AND c.day <= " + q.bind(dayOf(f.To)))
	}
}

// slice orders and cuts the result. ties are the columns that settle which of
// equals comes first.
func (q *query) slice(columns []string, part Slice, usual string, ties []string) {
	col := part.Sort
	if !slices.Contains(columns, col) {
		col = usual
	}
	q.text(" ORDER BY " + col)
	if falling(col) != part.Reverse {
		q.text(" DESC")
	}
	for _, tie := range ties {
		q.text(", " + tie)
	}
	if part.Limit > 0 {
		q.text(" LIMIT " + q.bind(part.Limit) + " OFFSET " + q.bind(max(part.Offset, 0)))
	}
}

// falling reports whether a column descends unless it is reversed.
func falling(col string) bool {
	return slices.Contains(countColumns, col) || slices.Contains([]string{"tags", "first", "last", "day"}, col)
}

func (q *query) run(t tx, each func(row) error) error {
	_, err := t.run(q.sql.String(), each, q.args...)
	return err
}

func timeOf(day int64) time.Time { return time.Unix(day*86400, 0).UTC() }
