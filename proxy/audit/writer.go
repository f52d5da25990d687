package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// maxGroup is the most operations that one commit carries.
const maxGroup = 256

// op is one change of the database.
type op struct {
	// do makes the change. An error from it fails the whole group: what
	// concerns this operation alone, do keeps for its caller.
	do func(*conn) error
	// scrub asks that no file holds what the change took away.
	scrub bool
	done  chan error
}

// submit hands a change to the writer and waits until it is durable. Where ctx
// ends first, the change may still be made.
func (s *Store) submit(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	select {
	case <-s.quit:
		return ErrClosed
	default:
	}
	select {
	case s.ops <- o:
	case <-s.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the only writer of the database. While it waits for the disk,
// callers gather at its channel; all who are there when it comes back go into
// the next commit together, so that the disk sets the number of commits, not
// the number of receipts.
func (s *Store) write(c *conn) {
	defer close(s.written)
	group := make([]*op, 0, maxGroup)
	unscrubbed := false
	for {
		select {
		case o := <-s.ops:
			group = append(group[:0], o)
		case <-s.stop:
			s.closeErr = c.Close()
			return
		}
	gather:
		for len(group) < maxGroup {
			select {
			case o := <-s.ops:
				group = append(group, o)
			default:
				break gather
			}
		}
		err := commit(c, group)
		unscrubbed = unscrubbed || slices.ContainsFunc(group, func(o *op) bool { return o.scrub })
		if err == nil && unscrubbed && !s.memory {
			done, err := scrub(c)
			if err != nil {
				s.log.Warn("the log still holds what was erased; tried again with the next write", "error", err)
			}
			unscrubbed = !done
		}
		for _, o := range group {
			o.done <- err
		}
	}
}

// scrubWait is how long scrubbing waits for queries under way.
const scrubWait = 100 * time.Millisecond

// scrub moves the log into the database and empties it, so that neither holds
// what was erased. It reports false where a query under way kept it from that.
func scrub(c *conn) (done bool, err error) {
	if err := c.BusyTimeout(scrubWait); err != nil {
		return false, err
	}
	defer c.BusyTimeout(busyWait)
	err = c.run(`PRAGMA wal_checkpoint(TRUNCATE)`, func(st *sqlite3.Stmt) error {
		done = st.ColumnInt(0) == 0
		return nil
	})
	return done && err == nil, err
}

// commit makes the changes of a group in one transaction.
func commit(c *conn, group []*op) (err error) {
	tx, err := c.BeginImmediate()
	if err != nil {
		return fmt.Errorf("audit: beginning to write: %w", err)
	}
	for _, o := range group {
		if err := o.do(c); err != nil {
			tx.Rollback()
			return fmt.Errorf("audit: writing: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		tx.Rollback()
		return fmt.Errorf("audit: committing: %w", err)
	}
	return nil
}
