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
	return s.ChangesBetween(ctx, site, since, time.Unix(1<<40, 0))
}

// ChangesBetween returns what Changes does, without what was met first at to or
// later.
func (s *Store) ChangesBetween(ctx context.Context, site string, since, to time.Time) (changes []Change, err error) {
	err = s.read(ctx, func(t tx) error {
		for _, q := range []string{
			`SELECT min(first) AS at, site, 'vendor', max(name), max(category) FROM tags WHERE vendor NOT IN ('', '(other)') AND (?1 = '' OR site = ?1)
				GROUP BY site, vendor HAVING min(first) >= ?2 AND min(first) < ?4 ORDER BY at DESC LIMIT ?3`,
			`SELECT min(first) AS at, site, 'host', host, max(category) FROM tags WHERE vendor = '' AND host <> '' AND (?1 = '' OR site = ?1)
				GROUP BY site, host HAVING min(first) >= ?2 AND min(first) < ?4 ORDER BY at DESC LIMIT ?3`,
			`SELECT min(first) AS at, site, 'cookie', name, max(category) FROM cookies WHERE (?1 = '' OR site = ?1)
				GROUP BY site, name HAVING min(first) >= ?2 AND min(first) < ?4 ORDER BY at DESC LIMIT ?3`,
			`SELECT first AS at, site, 'page', path, '' FROM pages WHERE (?1 = '' OR site = ?1) AND first >= ?2 AND first < ?4 ORDER BY at DESC LIMIT ?3`,
		} {
			t.queue(q, func(st row) error {
				changes = append(changes, Change{
					time.Unix(st.ColumnInt64(0), 0).UTC(), st.ColumnText(1), st.ColumnText(2), st.ColumnText(3), st.ColumnText(4),
				})
				return nil
			}, site, since.Unix(), maxChanges, to.Unix())
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
	q.cut(part)
}

func (q *query) cut(part Slice) {
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
