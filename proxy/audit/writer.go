package audit

import (
	"context"
	"time"
)

const (
	// maxGroup is the most operations that one commit carries.
	maxGroup = 256
	// commitWait is how long a commit to a shared database may take before
	// what it carries is put by in the spool.
	commitWait = 2 * time.Second
)

// op is one change of the database.
type op struct {
	// receipt or batch is what is added; do is any other change. An error from
	// do fails the whole group: what concerns this operation alone, do keeps
	// for its caller. It may be called more than once.
	receipt *receipt
	batch   *batch
	do      func(t tx, c *chains) error
	// scrub asks that no file holds what the change took away.
	scrub bool
	// rejoin asks that a shared database that was away is used again.
	rejoin bool
	done   chan error
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
func (s *Store) write() {
	defer close(s.written)
	group := make([]*op, 0, maxGroup)
	for {
		select {
		case o := <-s.ops:
			group = append(group[:0], o)
		case <-s.stop:
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
		s.commit(group)
	}
}

// commit makes the changes of a group in one transaction, and tells each.
func (s *Store) commit(group []*op) {
	rest := group[:0:0]
	for _, o := range group {
		if o.rejoin {
			o.done <- s.rejoin()
		} else {
			rest = append(rest, o)
		}
	}
	if group = rest; len(group) == 0 {
		return
	}
	err := ErrAway
	if !s.health.away.Load() {
		err = s.store(group)
	}
	if err == nil || s.spool == nil {
		for _, o := range group {
			o.done <- err
		}
		return
	}
	s.leave(err)
	var receipts, batches []*op
	for _, o := range group {
		switch {
		case o.do != nil:
			o.done <- ErrAway
		case o.receipt != nil:
			receipts = append(receipts, o)
		default:
			batches = append(batches, o)
		}
	}
	// Apart, so that no receipt is refused because there are too many counts.
	for _, wait := range [][]*op{receipts, batches} {
		err = s.spool.put(wait)
		for _, o := range wait {
			if err == nil {
				s.health.spooled.Add(1)
			}
			o.done <- err
		}
	}
}

// store makes the changes of a group in the database.
func (s *Store) store(group []*op) error {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if s.spool != nil {
		ctx, cancel = context.WithTimeout(ctx, commitWait)
	}
	defer cancel()
	scrub := false
	err := s.db.update(ctx, func(t tx) error {
		return s.apply(t, group)
	})
	for _, o := range group {
		scrub = scrub || o.scrub
	}
	if d, ok := s.db.(*sqlite); ok && scrub && err == nil {
		d.forget()
	}
	return err
}

// apply makes the changes of a group: the receipts first, all at once.
func (s *Store) apply(t tx, group []*op) error {
	c := &chains{t: t, writer: s.writer}
	var receipts []*receipt
	for _, o := range group {
		if o.receipt != nil {
			receipts = append(receipts, o.receipt)
		}
	}
	if err := c.record(receipts); err != nil {
		return err
	}
	for _, o := range group {
		var err error
		switch {
		case o.do != nil:
			err = o.do(t, c)
		case o.batch != nil:
			err = o.batch.write(t)
		}
		if err != nil {
			return err
		}
	}
	c.save()
	return nil
}
