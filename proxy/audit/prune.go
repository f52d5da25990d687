package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Retention says how long records are kept; 0 is for ever.
type Retention struct {
	Receipts, Counts time.Duration
}

// DefaultRetention keeps receipts for five years and counts for 13 months.
var DefaultRetention = Retention{Receipts: 5 * 365 * 24 * time.Hour, Counts: 395 * 24 * time.Hour}

// Pruned says how many records were taken out.
type Pruned struct {
	// Receipts are entries of the ledger, erasures among them.
	Receipts int64
	// Texts are what was shown and no receipt names any more.
	Texts int64
	// Counts are rows of counts, by page, tag and day.
	Counts int64
	// Names are pages, tags and cookies that no count is left of.
	Names int64
}

// pruneBatch is how many rows one operation deletes, so that receipts need not
// wait for it.
const pruneBatch = 500

// Prune takes out what is older than it is kept. It works in small batches
// between which receipts are written. A chain then begins after the last entry
// that was taken out; Verify says how many that were.
func (s *Store) Prune(ctx context.Context, keep Retention) (*Pruned, error) {
	p := new(Pruned)
	if keep.Receipts > 0 {
		if err := s.pruneReceipts(ctx, s.now().Add(-keep.Receipts).Unix(), p); err != nil {
			return p, fmt.Errorf("audit: pruning receipts: %w", err)
		}
	}
	if keep.Counts > 0 {
		if err := s.pruneCounts(ctx, s.now().Add(-keep.Counts), p); err != nil {
			return p, fmt.Errorf("audit: pruning counts: %w", err)
		}
	}
	return p, nil
}

// PruneDaily prunes at once and then every day until the store is closed, and
// logs what was taken out.
func (s *Store) PruneDaily(keep Retention) {
	s.flusher.Go(func() {
		daily := time.NewTicker(24 * time.Hour)
		defer daily.Stop()
		for {
			p, err := s.Prune(context.Background(), keep)
			switch {
			case errors.Is(err, ErrClosed):
				return
			case err != nil:
				s.fail("old records not pruned; tried again tomorrow", err)
			case *p != (Pruned{}):
				s.log.Info("old records pruned", "receipts", p.Receipts, "texts", p.Texts, "counts", p.Counts, "names", p.Names)
			}
			select {
			case <-daily.C:
			case <-s.quit:
				return
			}
		}
	})
}

// Prunable says what Prune would take out of ledger, texts and counts, and
// takes out nothing. Names, which depend on what is left, are not told.
func (s *Store) Prunable(ctx context.Context, keep Retention) (*Pruned, error) {
	p := new(Pruned)
	err := s.read(ctx, func(t tx) error {
		if keep.Receipts > 0 {
			before := s.now().Add(-keep.Receipts).Unix()
			t.queue(`SELECT count(*) FROM ledger l WHERE l.n < coalesce(
				(SELECT min(y.n) FROM ledger y WHERE y.chain = l.chain AND y.at >= ?1), 9223372036854775807)`, into(&p.Receipts), before)
			t.queue(`SELECT count(*) FROM texts x WHERE x.at < ?1 AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.shown = x.hash AND l.n >= coalesce(
				(SELECT min(y.n) FROM ledger y WHERE y.chain = l.chain AND y.at >= ?1), 9223372036854775807))`, into(&p.Texts), before)
		}
		if keep.Counts > 0 {
			t.queue(`SELECT count(*) FROM counts WHERE day < ?1`, into(&p.Counts), dayOf(s.now().Add(-keep.Counts)))
		}
		_, err := t.run("", nil)
		return err
	})
	return p, errorf("looking for what can be pruned", err)
}

// into reads the first column of a row.
func into(n *int64) func(row) error {
	return func(r row) error {
		*n = r.ColumnInt64(0)
		return nil
	}
}

// pruneReceipts shortens each chain from its start, up to the first entry that
// is not older than before, and takes out what only those needed.
func (s *Store) pruneReceipts(ctx context.Context, before int64, p *Pruned) error {
	type chain struct{ site, writer string }
	var list []chain
	err := s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT site, writer FROM chains WHERE n > pruned`, func(r row) error {
			list = append(list, chain{r.ColumnText(0), r.ColumnText(1)})
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range list {
		for {
			var n int64
			err := s.submit(ctx, &op{scrub: true, do: func(t tx, _ *chains) (err error) {
				n, err = shorten(t, k.site, k.writer, before)
				return err
			}})
			if err != nil {
				return err
			}
			p.Receipts += n
			if n < pruneBatch {
				break
			}
		}
	}
	for {
		var n int64
		err := s.submit(ctx, &op{do: func(t tx, _ *chains) (err error) {
			n, err = t.run(`DELETE FROM texts WHERE hash IN (SELECT x.hash FROM texts x WHERE x.at < ?1
				AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.shown = x.hash) LIMIT ?2)`, nil, before, pruneBatch)
			return err
		}})
		if err != nil {
			return err
		}
		if p.Texts += n; n < pruneBatch {
			break
		}
	}
	for _, table := range []struct{ name, where string }{{"operations", "at < ?1"}, {"requests", "received < ?1 AND answered > 0"}} {
		if _, err := s.deleteInBatches(ctx, table.name, table.where, before); err != nil {
			return err
		}
	}
	return nil
}

// shorten takes the oldest entries off a chain, a batch at most.
func shorten(t tx, site, writer string, before int64) (int64, error) {
	var h head
	if _, err := t.run(lockChain, h.read, site, writer, []byte{}); err != nil {
		return 0, err
	}
	last, young := h.pruned, false
	var link []byte
	// An erasure stays as long as the receipt in another chain that it accounts for.
	_, err := t.run(`SELECT l.n, l.at, l.link, CASE WHEN l.kind = 2 AND EXISTS (SELECT 1 FROM ledger k WHERE k.id = l.id AND k.kind = 1 AND k.chain <> l.chain) THEN 1 ELSE 0 END
		FROM ledger l WHERE l.chain = ?1 AND l.n > ?2 ORDER BY l.n LIMIT ?3`, func(r row) error {
		if young = young || r.ColumnInt64(1) >= before || r.ColumnInt64(3) != 0; !young {
			last, link = r.ColumnInt64(0), append(link[:0], r.ColumnRawBlob(2)...)
		}
		return nil
	}, h.id, h.pruned, pruneBatch)
	if err != nil || last == h.pruned {
		return 0, err
	}
	t.queue(`UPDATE chains SET start = ?2, pruned = ?3 WHERE id = ?1`, nil, h.id, link, last)
	_, err = t.run(`DELETE FROM ledger WHERE chain = ?1 AND n <= ?2`, nil, h.id, last)
	return last - h.pruned, err
}

// pruneCounts takes out the counts of days before the given time, then what
// has no counts any more.
func (s *Store) pruneCounts(ctx context.Context, before time.Time, p *Pruned) error {
	day := dayOf(before)
	for n := pruneBatch; n == pruneBatch; p.Counts += int64(n) {
		err := s.submit(ctx, &op{do: func(t tx, _ *chains) (err error) {
			n, err = pruneBatchOfCounts(t, day)
			return err
		}})
		if err != nil {
			return err
		}
	}
	if _, err := s.deleteInBatches(ctx, "pairs", "last < ?1", day); err != nil {
		return err
	}
	for _, table := range []string{"tag_days", "page_days", "views", "cookie_days", "choices", "countries"} {
		if _, err := s.deleteInBatches(ctx, table, "day < ?1", day); err != nil {
			return err
		}
	}
	for table, unused := range map[string]string{
		"tags":    "last < ?1 AND NOT EXISTS (SELECT 1 FROM tag_days d WHERE d.tag = tags.id)",
		"pages":   "last < ?1 AND NOT EXISTS (SELECT 1 FROM page_days d WHERE d.page = pages.id) AND NOT EXISTS (SELECT 1 FROM views v WHERE v.page = pages.id)",
		"cookies": "last < ?1 AND NOT EXISTS (SELECT 1 FROM cookie_days d WHERE d.cookie = cookies.id)",
	} {
		n, err := s.deleteInBatches(ctx, table, unused, before.Unix())
		if err != nil {
			return err
		}
		p.Names += n
	}
	_, err := s.deleteInBatches(ctx, "runs", "at < ?1", before.Unix())
	return err
}

// pruneBatchOfCounts takes out counts of days before the given one, a batch at
// most, and takes them off the sums of their pairs.
func pruneBatchOfCounts(t tx, day int64) (n int, err error) {
	sums := make(map[[2]int64]sum)
	_, err = t.run("DELETE FROM counts WHERE ("+keys["counts"]+") IN (SELECT "+keys["counts"]+" FROM counts WHERE day < ?1 LIMIT ?2) RETURNING tag, page, "+
		strings.Join(countColumns, ", "), func(r row) error {
		k, m := [2]int64{r.ColumnInt64(0), r.ColumnInt64(1)}, sum{}
		for e := range m {
			m[e] = r.ColumnInt64(2 + e)
		}
		sums[k] = sums[k].plus(m)
		n++
		return nil
	}, day, pruneBatch)
	if err != nil {
		return 0, err
	}
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) }) {
		t.queue(takeOff, nil, sums[k].args(k[0], k[1], day)...)
	}
	return n, nil
}

// takeOff takes counts of days before ?3 off the sums of a pair.
var takeOff = func() string {
	s := "UPDATE pairs SET first = CASE WHEN first < ?3 THEN ?3 ELSE first END"
	for i, col := range countColumns {
		s += fmt.Sprintf(", %s = %s - ?%d", col, col, i+4)
	}
	return s + " WHERE tag = ?1 AND page = ?2"
}()

// keys are the columns of each table's primary key.
var keys = map[string]string{
	"counts": "tag, page, day, granted", "pairs": "tag, page", "tag_days": "tag, day", "page_days": "page, day", "views": "page, day",
	"cookie_days": "cookie, day", "choices": "site, day, action, method, regime, language, granted",
	"countries": "site, day, country, action, granted",
	"tags":      "id", "pages": "id", "cookies": "id", "runs": "run", "operations": "id", "requests": "receipt, kind, received",
}

// deleteInBatches deletes the rows of which where is true.
func (s *Store) deleteInBatches(ctx context.Context, table, where string, arg int64) (total int64, err error) {
	sql := "DELETE FROM " + table + " WHERE (" + keys[table] + ") IN (SELECT " + keys[table] + " FROM " + table + " WHERE " + where + " LIMIT ?2)"
	for {
		var n int64
		err := s.submit(ctx, &op{do: func(t tx, _ *chains) (err error) {
			n, err = t.run(sql, nil, arg, pruneBatch)
			return err
		}})
		if err != nil {
			return total, err
		}
		if total += n; n < pruneBatch {
			return total, nil
		}
	}
}
