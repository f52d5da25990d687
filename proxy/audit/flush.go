package audit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/ncruces/go-sqlite3"
)

// flushChunk is how many counts one operation writes: few enough that a
// receipt that goes into the same commit does not wait long.
const flushChunk = 250

// flushSoon wakes the flusher.
func (s *Store) flushSoon() {
	select {
	case s.flushNow <- struct{}{}:
	default:
	}
}

// flushLoop writes the counts every few seconds, and a last time at the end.
func (s *Store) flushLoop() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.flushNow:
		case <-s.quit:
			s.flush()
			return
		}
		s.flush()
	}
}

// Flush writes the counts so far, so that queries see them.
func (s *Store) Flush(ctx context.Context) error {
	select {
	case <-s.quit:
		return ErrClosed
	default:
	}
	return s.flush()
}

// flush writes the counts so far. Those that cannot be written are added back
// and written next time.
func (s *Store) flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	b := s.counters.take()
	var failed error
	for len(b.tallies) > 0 || len(b.views) > 0 || len(b.kept) > 0 {
		n := min(len(b.tallies), flushChunk)
		part := batch{tallies: b.tallies[:n], views: b.views, kept: b.kept}
		if failed == nil {
			failed = s.writeBatch(&part)
		}
		if failed != nil {
			s.counters.putBack(&part)
		}
		b.tallies, b.views, b.kept = b.tallies[n:], nil, nil
	}
	if failed != nil {
		s.health.countFailures.Add(1)
		s.fail("counts not written; they are kept and tried again", failed)
	}
	return failed
}

// batch is counts on their way to the database.
type batch struct {
	tallies []tally
	views   map[uint32]viewTally
	kept    map[uint32]cookieTally
}

// take takes the counts so far.
func (c *counters) take() batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := batch{append([]tally(nil), c.tallies...), maps.Clone(c.views), maps.Clone(c.kept)}
	c.tallies = c.tallies[:0]
	clear(c.pairs)
	clear(c.views)
	clear(c.kept)
	return b
}

// putBack adds up what could not be written again.
func (c *counters) putBack(b *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range b.tallies {
		sc := c.site(c.tags[t.tag].site)
		for e, n := range t.n {
			if n > 0 {
				c.add(sc, t.pair, Event(e), n)
			}
		}
	}
	for p, n := range b.views {
		v := c.views[p]
		c.views[p] = viewTally{v.views + n.views, v.asked + n.asked}
	}
	for k, n := range b.kept {
		v := c.kept[k]
		c.kept[k] = cookieTally{v.held + n.held, v.passed + n.passed}
	}
}

// names are what a batch refers to by index.
type names struct {
	pages   map[uint32]page
	tags    map[uint32]tag
	cookies map[uint32]cookie
}

func (c *counters) names(b *batch) *names {
	n := &names{make(map[uint32]page), make(map[uint32]tag), make(map[uint32]cookie)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range b.tallies {
		n.pages[t.page] = c.pages[t.page]
		n.tags[t.tag] = c.tags[t.tag]
	}
	for p := range b.views {
		n.pages[p] = c.pages[p]
	}
	for k := range b.kept {
		n.cookies[k] = c.cookies[k]
	}
	return n
}

// writeBatch writes a batch in one operation.
func (s *Store) writeBatch(b *batch) error {
	n := s.counters.names(b)
	o := &op{do: func(c *conn) error { return b.write(c, n, s.now()) }, done: make(chan error, 1)}
	s.ops <- o // the writer outlives the flusher
	return <-o.done
}

// ids are the rows that stand for what a batch refers to.
type ids struct{ pages, tags, cookies map[uint32]int64 }

// write makes sure that the names have rows, and returns their IDs.
func (n *names) write(c *conn, now int64) (*ids, error) {
	rows := &ids{make(map[uint32]int64), make(map[uint32]int64), make(map[uint32]int64)}
	into := func(ids map[uint32]int64, i uint32) func(*sqlite3.Stmt) error {
		return func(st *sqlite3.Stmt) error {
			ids[i] = st.ColumnInt64(0)
			return nil
		}
	}
	for i, p := range n.pages {
		err := c.run(`INSERT INTO pages (site, path, first, last) VALUES (?1, ?2, ?3, ?3)
			ON CONFLICT (site, path) DO UPDATE SET last = excluded.last RETURNING id`, into(rows.pages, i), p.site, p.path, now)
		if err != nil {
			return nil, err
		}
	}
	for i, t := range n.tags {
		err := c.run(`INSERT INTO tags (site, vendor, name, category, kind, host, path, first, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
			ON CONFLICT (site, host, path, kind, vendor, category) DO UPDATE SET name = excluded.name, last = excluded.last RETURNING id`,
			into(rows.tags, i), t.site, t.vendor, t.name, t.category.String(), t.kind, t.host, t.path, now)
		if err != nil {
			return nil, err
		}
	}
	for i, k := range n.cookies {
		err := c.run(`INSERT INTO cookies (site, name, vendor, category, source, first, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
			ON CONFLICT (site, name, vendor, category, source) DO UPDATE SET last = excluded.last RETURNING id`,
			into(rows.cookies, i), k.site, k.name, k.vendor, k.category.String(), k.source, now)
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// write adds a batch to the database.
func (b *batch) write(c *conn, n *names, at time.Time) error {
	day := dayOf(at)
	rows, err := n.write(c, at.Unix())
	if err != nil {
		return err
	}
	byTag, byPage := make(map[uint32]sum), make(map[uint32]sum)
	for _, t := range b.tallies {
		n64 := t.sum()
		err := c.run(insertCounts, nil, n64.args(rows.tags[t.tag], rows.pages[t.page], day, int64(t.granted&consent.All))...)
		if err != nil {
			return err
		}
		byTag[t.tag] = byTag[t.tag].plus(n64)
		byPage[t.page] = byPage[t.page].plus(n64)
	}
	for i, n64 := range byTag {
		if err := c.run(insertTagDays, nil, n64.args(rows.tags[i], day)...); err != nil {
			return err
		}
	}
	for i, n64 := range byPage {
		if err := c.run(insertPageDays, nil, n64.args(rows.pages[i], day)...); err != nil {
			return err
		}
	}
	for p, v := range b.views {
		err := c.run(`INSERT INTO views (page, day, views, asked) VALUES (?, ?, ?, ?)
			ON CONFLICT (page, day) DO UPDATE SET views = views + excluded.views, asked = asked + excluded.asked`, nil,
			rows.pages[p], day, v.views, v.asked)
		if err != nil {
			return err
		}
	}
	for i, k := range b.kept {
		err := c.run(`INSERT INTO cookie_days (cookie, day, held, passed) VALUES (?, ?, ?, ?)
			ON CONFLICT (cookie, day) DO UPDATE SET held = held + excluded.held, passed = passed + excluded.passed`, nil,
			rows.cookies[i], day, k.held, k.passed)
		if err != nil {
			return err
		}
	}
	return nil
}

// sum is a number for each event.
type sum [events]int64

// sum returns what a tally adds up to. Fates imply that the tag was seen.
func (t *tally) sum() (n sum) {
	for e := range t.n {
		n[e] = int64(t.n[e])
	}
	n[Seen] += n[Held] + n[Boxed] + n[Stripped] + n[Passed]
	return n
}

func (n sum) plus(m sum) sum {
	for e := range n {
		n[e] += m[e]
	}
	return n
}

// args returns the arguments of a statement of upsertCounts.
func (n sum) args(key ...int64) []any {
	list := make([]any, 0, len(key)+len(n))
	for _, k := range key {
		list = append(list, k)
	}
	for _, k := range n {
		list = append(list, k)
	}
	return list
}

var (
	insertCounts   = upsertCounts("counts", "tag", "page", "day", "granted")
	insertTagDays  = upsertCounts("tag_days", "tag", "day")
	insertPageDays = upsertCounts("page_days", "page", "day")
)

// upsertCounts returns the statement that adds counts to a table.
func upsertCounts(table string, key ...string) string {
	add := make([]string, len(countColumns))
	for i, col := range countColumns {
		add[i] = col + " = " + col + " + excluded." + col
	}
	columns := slices.Concat(key, countColumns)
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) +
		") ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(add, ", ")
}

// dayOf returns the days since 1970, UTC.
func dayOf(t time.Time) int64 { return t.Unix() / 86400 }
