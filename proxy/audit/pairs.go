package audit

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// pairRow is a pair of page and tag, and what its counts add up to.
type pairRow struct {
	tag, page int64
	counts    Counts
}

// pairs calls each for the pairs of page and tag that f lets through, in the
// order of part, and returns how many there are in all.
//
// Of most pairs all days that are kept are within the period, or none is: the
// sums of the table pairs tell. Only where some are the days are read, and of a
// part only for pairs that can be in it: none has more in the period than it has
// in all.
func pairs(t tx, f Filter, part Slice, each func(*Row) error) (total int, err error) {
	n, err := countPairs(t, f)
	switch {
	case err != nil || n.total == 0:
	case part.Limit == 0:
		err = everyPair(t, f, part, n.split > 0, each)
	default:
		err = partOfPairs(t, f, part, n, each)
	}
	return n.total, err
}

// pairsCount is how many pairs have counts in a period, and how many of these
// have others as well.
type pairsCount struct {
	total, split int
	last         int64 // day on which one of these has counts
}

// days returns how many days of the period of f have counts at most.
func (n *pairsCount) days(f Filter) int64 {
	last := n.last
	if !f.To.IsZero() {
		last = min(last, dayOf(f.To))
	}
	return last - dayOf(f.From) + 1
}

// briefly is for how many days it is quicker to add up all counts than to find out
// first which pairs need not be looked at.
const briefly = 2

func countPairs(t tx, f Filter) (n pairsCount, err error) {
	q := pairQuery(f)
	q.text("SELECT count(*), CAST(coalesce(sum(CASE WHEN " + q.within + " THEN 0 ELSE 1 END), 0) AS BIGINT), coalesce(max(c.last), 0) FROM pairs c")
	q.among(f)
	err = q.run(t, func(r row) error {
		n = pairsCount{int(r.ColumnInt64(0)), int(r.ColumnInt64(1)), r.ColumnInt64(2)}
		return nil
	})
	return n, err
}

// everyPair lists all pairs as they come.
func everyPair(t tx, f Filter, part Slice, split bool, each func(*Row) error) error {
	known := newNames()
	t.queue(tagNames, known.addTag)
	if _, err := t.run(pageNames, known.addPage); err != nil {
		return err
	}
	q := pairQuery(f)
	if col := cmp.Or(part.Sort, "seen"); slices.Contains(countColumns, col) {
		q.byCount(f, part, col, countColumns, split, 0)
	} else {
		q.byName(f, part, countColumns, split)
	}
	return q.run(t, func(r row) error {
		return each(known.row(&pairRow{r.ColumnInt64(0), r.ColumnInt64(1), countsOf(r, 3)}))
	})
}

// partOfPairs finds which pairs are in a part before it adds up their counts and
// looks up what they are called.
func partOfPairs(t tx, f Filter, part Slice, n pairsCount, each func(*Row) error) error {
	q := pairQuery(f)
	switch col := cmp.Or(part.Sort, "seen"); {
	case !slices.Contains(countColumns, col):
		q.byName(f, part, nil, false)
	case n.split > 0 && n.days(f) <= briefly:
		q = new(pairsQuery)
		q.brief(f, part, col)
	default:
		var least int64
		if n.split > 0 && !part.Reverse {
			var err error
			if least, err = leastOf(t, f, col, part.Limit+max(part.Offset, 0)); err != nil {
				return err
			}
		}
		q.byCount(f, part, col, []string{col}, n.split > 0, least)
	}
	var shown []*pairRow
	err := q.run(t, func(r row) error {
		shown = append(shown, &pairRow{tag: r.ColumnInt64(0), page: r.ColumnInt64(1)})
		return nil
	})
	if err != nil {
		return err
	}
	known := newNames()
	var sums query
	sums.text("SELECT CAST(sum(c." + strings.Join(countColumns, ") AS BIGINT), CAST(sum(c.") + ") AS BIGINT) FROM counts c WHERE c.tag = ?1 AND c.page = ?2")
	sums.args = []any{nil, nil}
	sums.days(f)
	for _, p := range shown {
		if known.tags[p.tag] == nil {
			known.tags[p.tag] = new(Row)
			t.queue(tagNames+" WHERE id = ?1", known.addTag, p.tag)
		}
		if _, ok := known.pages[p.page]; !ok {
			known.pages[p.page] = ""
			t.queue(pageNames+" WHERE id = ?1", known.addPage, p.page)
		}
		t.queue(sums.sql.String(), func(r row) error { p.counts = countsOf(r, 0); return nil }, slices.Concat([]any{p.tag, p.page}, sums.args[2:])...)
	}
	if _, err := t.run("", nil); err != nil {
		return err
	}
	for _, p := range shown {
		if err := each(known.row(p)); err != nil {
			return err
		}
	}
	return nil
}

// leastOf returns what the last of the n largest pairs has at least: what that
// of those n has which are the largest over all days.
func leastOf(t tx, f Filter, col string, n int) (least int64, err error) {
	q := pairQuery(f)
	q.text("SELECT coalesce(min(n), 0) FROM (SELECT CAST(coalesce(sum(k." + col + "), 0) AS BIGINT) AS n FROM (SELECT c.tag AS tag, c.page AS page FROM pairs c")
	q.among(f)
	q.text(" ORDER BY c." + col + " DESC LIMIT " + q.bind(n) + ") c CROSS JOIN counts k WHERE " + q.counted + " GROUP BY c.tag, c.page) sums")
	return least, q.run(t, into(&least))
}

// pairQuery begins a query about pairs c in the period of f.
func pairQuery(f Filter) *pairsQuery {
	q := new(pairsQuery)
	from := int64(math.MinInt32)
	if !f.From.IsZero() {
		from = dayOf(f.From)
	}
	first := q.bind(from)
	q.met, q.within, q.counted = "c.last >= "+first, "c.first >= "+first, "k.tag = c.tag AND k.page = c.page AND k.day >= "+first
	if !f.To.IsZero() {
		last := q.bind(dayOf(f.To))
		q.within += " AND c.last <= " + last
		q.counted += " AND k.day <= " + last
		q.met += " AND c.first <= " + last + " AND (c.last <= " + last + " OR EXISTS (SELECT 1 FROM counts k WHERE " + q.counted + "))"
	}
	return q
}

// pairsQuery is a query about pairs c, and counts k of theirs. Of conditions, met
// says that a pair has counts in the period, within that it has no others, and
// counted that a count is one of them.
type pairsQuery struct {
	query
	met, within, counted string
}

// among leaves the pairs that f lets through.
func (q *pairsQuery) among(f Filter) {
	q.text(" WHERE " + q.met)
	q.narrow(f)
	if col := eventColumn(f); col != "" {
		q.text(" AND c." + col + " > 0 AND (" + q.within + " OR EXISTS (SELECT 1 FROM counts k WHERE " + q.counted + " AND k." + col + " > 0))")
	}
}

// list selects pairs, an order and what the given columns of their counts add up
// to; split says that there are some that have counts outside the period. from
// and further are added to the tables and conditions.
func (q *pairsQuery) list(f Filter, columns []string, split bool, rank, from, further string) {
	q.text("SELECT c.tag AS tag, c.page AS page, " + rank + " AS rank")
	for _, col := range columns {
		q.text(", c." + col + " AS " + col)
	}
	q.text(" FROM " + from + "pairs c")
	q.among(f)
	q.text(further)
	if !split {
		return
	}
	q.text(" AND " + q.within + " UNION ALL SELECT c.tag, c.page, " + rank)
	for _, col := range columns {
		q.text(", CAST(sum(k." + col + ") AS BIGINT)")
	}
	q.text(" FROM " + from + "pairs c CROSS JOIN counts k")
	q.among(f)
	q.text(further + " AND NOT (" + q.within + ") AND " + q.counted + " GROUP BY c.tag, c.page")
	if from != "" {
		q.text(", " + rank)
	}
}

// byCount asks for pairs in the order of a count; those that have less than
// least in all are left out.
func (q *pairsQuery) byCount(f Filter, part Slice, col string, columns []string, split bool, least int64) {
	further := ""
	if least > 0 {
		further = " AND c." + col + " >= " + q.bind(least)
	}
	q.text("SELECT * FROM (")
	q.list(f, columns, split, "0", "", further)
	q.text(") every")
	q.slice([]string{col}, part, col, []string{"tag", "page"})
}

// brief asks for pairs in the order of a count, where the period is brief. Counts
// over 2^31 are taken for that, as PostgreSQL adds up 32 bits in two thirds of the
// time.
func (q *query) brief(f Filter, part Slice, col string) {
	q.text("SELECT c.tag AS tag, c.page AS page, sum(CAST(CASE WHEN c." + col + " < 2147483647 THEN c." + col + " ELSE 2147483647 END AS INTEGER)) AS " + col + " FROM counts c WHERE 1 = 1")
	q.days(f)
	q.narrow(f)
	q.text(" GROUP BY c.tag, c.page")
	q.having(f)
	q.slice([]string{col}, part, col, []string{"tag", "page"})
}

// byName asks for pairs in the order of what the page, or else the tag, is
// called. Names are fewer than pairs: these are put in order, and counted how
// many pairs go before each.
func (q *pairsQuery) byName(f Filter, part Slice, columns []string, split bool) {
	key, table, order := "tag", "tags", []string{"host", "path", "site", "vendor", "id"}
	switch part.Sort {
	case "page":
		key, table, order = "page", "pages", []string{"path", "site", "id"}
	case "site", "vendor", "category", "kind", "host", "path", "first", "last":
		order = slices.Insert(order, 0, part.Sort)
	}
	q.text("WITH k AS (SELECT c." + key + " AS id, count(*) AS n FROM pairs c")
	q.among(f)
	q.text(" GROUP BY c." + key + "), g AS (SELECT k.id AS id, k.n AS n, CAST(sum(k.n) OVER (ORDER BY ")
	for i, col := range order {
		if i > 0 {
			q.text(", ")
		}
		q.text("x." + col)
		if i == 0 && falling(col) != part.Reverse {
			q.text(" DESC")
		}
	}
	q.text(") AS BIGINT) AS upto FROM k JOIN " + table + " x ON x.id = k.id) SELECT * FROM (")
	further, cut := " AND c."+key+" = g.id", ""
	if part.Limit > 0 {
		offset := q.bind(max(part.Offset, 0))
		further += " AND g.upto > " + offset + " AND g.upto - g.n < " + q.bind(max(part.Offset, 0)+part.Limit)
		cut = " LIMIT " + q.bind(part.Limit) + " OFFSET " + offset + " - (SELECT coalesce(min(g.upto - g.n), 0) FROM g WHERE g.upto > " + offset + ")"
	}
	q.list(f, columns, split, "g.upto", "g CROSS JOIN ", further)
	q.text(") every ORDER BY rank, tag, page" + cut)
}

// names are what tags and pages are called, by their rows.
type names struct {
	tags  map[int64]*Row
	pages map[int64]string
}

const (
	tagNames  = `SELECT id, site, vendor, name, category, kind, host, path, first, last FROM tags`
	pageNames = `SELECT id, path FROM pages`
)

func newNames() names { return names{make(map[int64]*Row), make(map[int64]string)} }

func (n names) addTag(r row) error {
	k := &Row{
		Site: r.ColumnText(1), Vendor: r.ColumnText(2), VendorName: r.ColumnText(3), Category: r.ColumnText(4), Kind: r.ColumnText(5), Host: r.ColumnText(6), Path: r.ColumnText(7),
		Tags: 1, First: time.Unix(r.ColumnInt64(8), 0).UTC(), Last: time.Unix(r.ColumnInt64(9), 0).UTC(),
	}
	if k.Vendor == "" {
		k.VendorName = ""
	}
	n.tags[r.ColumnInt64(0)] = k
	return nil
}

func (n names) addPage(r row) error {
	n.pages[r.ColumnInt64(0)] = r.ColumnText(1)
	return nil
}

func (n names) row(p *pairRow) *Row {
	var k Row
	if tag := n.tags[p.tag]; tag != nil {
		k = *tag
	}
	k.Page, k.Counts = n.pages[p.page], p.counts
	return &k
}
