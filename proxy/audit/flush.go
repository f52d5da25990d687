package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// flushChunk is how many counts one operation writes: few enough that a
// receipt that goes into the same commit does not wait long.
const flushChunk = 250

// awayFlush is how many times less often counts are written while they wait in
// the spool.
const awayFlush = 20

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
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			if s.health.away.Load() && n%awayFlush != 0 {
				continue
			}
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

// flush writes the counts so far. Those that cannot be written are kept and
// written next time, under the number that they have: none is counted twice.
func (s *Store) flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.flushPending(); err != nil {
		return err
	}
	s.pending = s.counters.take(s.now())
	for _, b := range s.pending {
		s.batches++
		b.Run, b.N = s.run, s.batches
	}
	return s.flushPending()
}

func (s *Store) flushPending() error {
	for len(s.pending) > 0 {
		o := &op{batch: s.pending[0], done: make(chan error, 1)}
		s.ops <- o // the writer outlives the flusher
		if err := <-o.done; err != nil {
			s.health.countFailures.Add(1)
			s.fail("counts not written; they are kept and tried again", err)
			return err
		}
		s.pending[0], s.pending = nil, s.pending[1:]
	}
	return nil
}

// batch is counts on their way to the database. What they refer to stands in
// the batch itself, by index.
type batch struct {
	Run     string
	N       int64
	At      int64 // Unix seconds
	Pages   []page
	Tags    []tag
	Cookies []cookie
	Tallies []tally
	Views   []viewTally
	Kept    []cookieTally
}

// take takes the counts so far, in batches of at most flushChunk tallies.
func (c *counters) take(now time.Time) []*batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spread()
	var list []*batch
	pages, tags := make(map[uint32]uint32), make(map[uint32]uint32)
	var b *batch
	begin := func() {
		b = &batch{At: now.Unix()}
		list = append(list, b)
		clear(pages)
		clear(tags)
	}
	pageOf := func(i uint32) uint32 {
		n, ok := pages[i]
		if !ok {
			n = uint32(len(b.Pages))
			pages[i], b.Pages = n, append(b.Pages, c.pages[i])
		}
		return n
	}
	for _, t := range c.tallies {
		if b == nil || len(b.Tallies) == flushChunk {
			begin()
		}
		n, ok := tags[t.Tag]
		if !ok {
			n = uint32(len(b.Tags))
			tags[t.Tag], b.Tags = n, append(b.Tags, c.tags[t.Tag])
		}
		t.Page, t.Tag = pageOf(t.Page), n
		b.Tallies = append(b.Tallies, t)
	}
	for p, v := range c.views {
		if b == nil || len(b.Views) == flushChunk {
			begin()
		}
		v.Page = pageOf(p)
		b.Views = append(b.Views, v)
	}
	for k, v := range c.kept {
		if b == nil || len(b.Kept) == flushChunk {
			begin()
		}
		v.Cookie = uint32(len(b.Cookies))
		b.Cookies = append(b.Cookies, c.cookies[k])
		b.Kept = append(b.Kept, v)
	}
	c.tallies = c.tallies[:0]
	clear(c.pairs)
	clear(c.views)
	clear(c.kept)
	return list
}

// write adds a batch to the database, unless it is there.
func (b *batch) write(t tx) error {
	fresh, err := t.run(`INSERT INTO runs (run, n, at) VALUES (?1, ?2, ?3)
		ON CONFLICT (run) DO UPDATE SET n = excluded.n, at = excluded.at WHERE runs.n < excluded.n`, nil, b.Run, b.N, b.At)
	if err != nil || fresh == 0 {
		return err
	}
	pages, tags, cookies := make([]int64, len(b.Pages)), make([]int64, len(b.Tags)), make([]int64, len(b.Cookies))
	into := func(id *int64) func(row) error {
		return func(r row) error {
			*id = r.ColumnInt64(0)
			return nil
		}
	}
	// In the same order everywhere, so that two proxies do not wait for each
	// other.
	for _, i := range order(b.Pages, func(a, b *page) int { return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Path, b.Path)) }) {
		p := &b.Pages[i]
		t.queue(`INSERT INTO pages (site, path, first, last) VALUES (?1, ?2, ?3, ?3)
			ON CONFLICT (site, path) DO UPDATE SET last = excluded.last RETURNING id`, into(&pages[i]), p.Site, p.Path, b.At)
	}
	for _, i := range order(b.Tags, func(a, b *tag) int { return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.key(), b.key())) }) {
		k, served := &b.Tags[i], int64(0)
		if k.Served {
			served = 1
		}
		t.queue(`INSERT INTO tags (site, vendor, name, category, kind, host, path, first, last, served) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)
			ON CONFLICT (site, host, path, kind, vendor, category) DO UPDATE SET name = excluded.name, last = excluded.last,
			served = CASE WHEN excluded.served > tags.served THEN excluded.served ELSE tags.served END RETURNING id`,
			into(&tags[i]), k.Site, k.Vendor, k.Name, k.Category.String(), k.Kind, k.Host, k.Path, b.At, served)
	}
	for _, i := range order(b.Cookies, func(a, b *cookie) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.key(), b.key()))
	}) {
		k := &b.Cookies[i]
		t.queue(`INSERT INTO cookies (site, name, vendor, category, source, first, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
			ON CONFLICT (site, name, vendor, category, source) DO UPDATE SET last = excluded.last RETURNING id`,
			into(&cookies[i]), k.Site, k.Name, k.Vendor, k.Category.String(), k.Source, b.At)
	}
	if _, err := t.run("", nil); err != nil {
		return err
	}
	b.add(t, pages, tags, cookies)
	return nil
}

// order returns the indexes of a list in the order of its items.
func order[T any](list []T, compare func(a, b *T) int) []int {
	indexes := make([]int, len(list))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortFunc(indexes, func(i, j int) int { return compare(&list[i], &list[j]) })
	return indexes
}

// add queues the counts of a batch, given the rows of what they refer to.
func (b *batch) add(t tx, pages, tags, cookies []int64) {
	day := b.At / 86400
	byCount, byPair := make(map[[3]int64]sum), make(map[[2]int64]sum)
	byTag, byPage := make(map[[1]int64]sum), make(map[[1]int64]sum)
	for i := range b.Tallies {
		n := &b.Tallies[i]
		tag, page, m := tags[n.Tag], pages[n.Page], n.sum()
		byCount[[3]int64{tag, page, int64(n.Granted & consent.All)}] = byCount[[3]int64{tag, page, int64(n.Granted & consent.All)}].plus(m)
		byPair[[2]int64{tag, page}] = byPair[[2]int64{tag, page}].plus(m)
		byTag[[1]int64{tag}] = byTag[[1]int64{tag}].plus(m)
		byPage[[1]int64{page}] = byPage[[1]int64{page}].plus(m)
	}
	for _, k := range slices.SortedFunc(maps.Keys(byCount), func(a, b [3]int64) int { return slices.Compare(a[:], b[:]) }) {
		t.queue(insertCounts, nil, byCount[k].args(k[0], k[1], day, k[2])...)
	}
	for _, k := range slices.SortedFunc(maps.Keys(byPair), func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) }) {
		t.queue(insertPairs, nil, byPair[k].args(k[0], k[1], day, day)...)
	}
	ascending := func(a, b [1]int64) int { return cmp.Compare(a[0], b[0]) }
	for _, k := range slices.SortedFunc(maps.Keys(byTag), ascending) {
		t.queue(insertTagDays, nil, byTag[k].args(k[0], day)...)
	}
	for _, k := range slices.SortedFunc(maps.Keys(byPage), ascending) {
		t.queue(insertPageDays, nil, byPage[k].args(k[0], day)...)
	}
	slices.SortFunc(b.Views, func(v, w viewTally) int { return cmp.Compare(pages[v.Page], pages[w.Page]) })
	for _, v := range b.Views {
		t.queue(`INSERT INTO views (page, day, views, asked) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (page, day) DO UPDATE SET views = views.views + excluded.views, asked = views.asked + excluded.asked`, nil,
			pages[v.Page], day, v.Views, v.Asked)
	}
	slices.SortFunc(b.Kept, func(v, w cookieTally) int { return cmp.Compare(cookies[v.Cookie], cookies[w.Cookie]) })
	for _, k := range b.Kept {
		t.queue(`INSERT INTO cookie_days (cookie, day, held, passed) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (cookie, day) DO UPDATE SET held = cookie_days.held + excluded.held, passed = cookie_days.passed + excluded.passed`, nil,
			cookies[k.Cookie], day, k.Held, k.Passed)
	}
}

// sum is a number for each event.
type sum [events]int64

// sum returns what a tally adds up to. Fates imply that the tag was seen.
func (t *tally) sum() (n sum) {
	for e := range t.N {
		n[e] = int64(t.N[e])
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
	insertPairs    = strings.Replace(upsertCounts("pairs", "tag", "page", "first", "last"), "(tag, page, first, last) DO UPDATE SET ",
		`(tag, page) DO UPDATE SET first = CASE WHEN excluded.first < pairs.first THEN excluded.first ELSE pairs.first END,
		last = CASE WHEN excluded.last > pairs.last THEN excluded.last ELSE pairs.last END, `, 1)
)

// upsertCounts returns the statement that adds counts to a table.
func upsertCounts(table string, key ...string) string {
	add := make([]string, len(countColumns))
	for i, col := range countColumns {
		add[i] = col + " = " + table + "." + col + " + excluded." + col
	}
	columns := slices.Concat(key, countColumns)
	values := make([]string, len(columns))
	for i := range columns {
		values[i] = fmt.Sprintf("?%d", i+1)
	}
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") +
		") ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(add, ", ")
}

// dayOf returns the days since 1970, UTC.
func dayOf(t time.Time) int64 { return t.Unix() / 86400 }
