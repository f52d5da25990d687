package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
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

// Prunable says what Prune would take out of ledger and counts, and takes out
// nothing. Names and Texts, which depend on what is left, are not told.
func (s *Store) Prunable(ctx context.Context, keep Retention) (*Pruned, error) {
	p := new(Pruned)
	err := s.read(ctx, func(c *conn) error {
		if keep.Receipts > 0 {
			before := s.now().Add(-keep.Receipts).Unix()
			sites, err := sitesOfLedger(c)
			if err != nil {
				return err
			}
			for _, site := range sites {
				n, err := number64(c, `SELECT count(*) FROM ledger WHERE site = ?1 AND seq <
					ifnull((SELECT min(seq) FROM ledger WHERE site = ?1 AND at >= ?2), 9223372036854775807)`, site, before)
				if err != nil {
					return err
				}
				p.Receipts += n
			}
		}
		if keep.Counts > 0 {
			n, err := number64(c, `SELECT count(*) FROM counts WHERE day < ?`, dayOf(s.now().Add(-keep.Counts)))
			p.Counts = n
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit: looking for what can be pruned: %w", err)
	}
	return p, nil
}

func number64(c *conn, sql string, args ...any) (n int64, err error) {
	err = c.run(sql, func(st *sqlite3.Stmt) error {
		n = st.ColumnInt64(0)
		return nil
	}, args...)
	return n, err
}

func sitesOfLedger(c *conn) (sites []string, err error) {
	err = c.run(`SELECT DISTINCT site FROM ledger`, func(st *sqlite3.Stmt) error {
		sites = append(sites, st.ColumnText(0))
		return nil
	})
	return sites, err
}

// pruneReceipts shortens each chain from its start, up to the first entry that
// is not older than before.
func (s *Store) pruneReceipts(ctx context.Context, before int64, p *Pruned) error {
	var sites []string
	err := s.read(ctx, func(c *conn) (err error) {
		sites, err = sitesOfLedger(c)
		return err
	})
	if err != nil {
		return err
	}
	for _, site := range sites {
		for {
			var n int64
			err := s.submit(ctx, &op{scrub: true, do: func(c *conn) (err error) {
				n, err = shorten(c, site, before)
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
	if p.Receipts == 0 {
		return nil
	}
	return s.submit(ctx, &op{do: func(c *conn) error {
		err := c.run(`DELETE FROM texts WHERE at < ?1 AND hash NOT IN
			(SELECT unhex(CAST(body AS TEXT) ->> 'shown') FROM ledger WHERE kind = 1 AND body IS NOT NULL)`, nil, before)
		p.Texts = c.Changes()
		return err
	}})
}

// shorten takes the oldest entries off a site's chain, a batch at most.
func shorten(c *conn, site string, before int64) (n int64, err error) {
	var last int64
	var link []byte
	young := false
	err = c.run(`SELECT seq, at, link FROM ledger WHERE site = ? ORDER BY seq LIMIT ?`, func(st *sqlite3.Stmt) error {
		if young = young || st.ColumnInt64(1) >= before; !young {
			n++
			last, link = st.ColumnInt64(0), append(link[:0], st.ColumnRawBlob(2)...)
		}
		return nil
	}, site, pruneBatch)
	if err != nil || n == 0 {
		return 0, err
	}
	err = c.run(`INSERT INTO starts (site, link, pruned) VALUES (?, ?, ?)
		ON CONFLICT (site) DO UPDATE SET link = excluded.link, pruned = pruned + excluded.pruned`, nil, site, link, n)
	if err != nil {
		return 0, err
	}
	return n, c.run(`DELETE FROM ledger WHERE site = ? AND seq <= ?`, nil, site, last)
}

// pruneCounts takes out the counts of days before the given time, then what
// has no counts any more.
func (s *Store) pruneCounts(ctx context.Context, before time.Time, p *Pruned) error {
	day := dayOf(before)
	for _, table := range []string{"counts", "tag_days", "page_days", "views", "cookie_days", "choices"} {
		n, err := s.deleteInBatches(ctx, table, "day < ?1", day)
		if err != nil {
			return err
		}
		if table == "counts" {
			p.Counts = n
		}
	}
	for table, unused := range map[string]string{
		"tags":    "last < ?1 AND id NOT IN (SELECT tag FROM tag_days)",
		"pages":   "last < ?1 AND id NOT IN (SELECT page FROM page_days) AND id NOT IN (SELECT page FROM views)",
		"cookies": "last < ?1 AND id NOT IN (SELECT cookie FROM cookie_days)",
	} {
		n, err := s.deleteInBatches(ctx, table, unused, before.Unix())
		if err != nil {
			return err
		}
		p.Names += n
	}
	return nil
}

// keys are the columns of each table's primary key.
var keys = map[string]string{
	"counts": "tag, page, day, granted", "tag_days": "tag, day", "page_days": "page, day", "views": "page, day",
	"cookie_days": "cookie, day", "choices": "site, day, action, method, regime, language, granted",
	"tags": "id", "pages": "id", "cookies": "id",
}

// deleteInBatches deletes the rows of which where is true.
func (s *Store) deleteInBatches(ctx context.Context, table, where string, arg int64) (total int64, err error) {
	sql := "DELETE FROM " + table + " WHERE (" + keys[table] + ") IN (SELECT " + keys[table] + " FROM " + table + " WHERE " + where + " LIMIT ?2)"
	for {
		var n int64
		err := s.submit(ctx, &op{do: func(c *conn) error {
			err := c.run(sql, nil, arg, pruneBatch)
			n = c.Changes()
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
