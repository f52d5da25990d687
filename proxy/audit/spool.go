package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

const (
	// A shared database that is away is tried after retryFirst, and then ever
	// more seldom, every retryLast at last.
	retryFirst = 100 * time.Millisecond
	retryLast  = 2 * time.Second
	// sendWait is how long sending a portion may take.
	sendWait = 10 * time.Second
	// maxPortion is how much of the spool is sent in one transaction.
	maxPortion = 1000
	// maxSpooledBatches is how many batches of counts are put by. What is
	// beyond stays in memory, where it is folded.
	maxSpooledBatches = 50_000
)

// The kinds of what waits in the spool, beside receiptEntry.
const batchEntry = 3

var errClash = errors.New("audit: another receipt has this ID")

// spool is what waits for the shared database, in a file of this proxy.
type spool struct {
	db     *sqlite
	writer string
	left   chan struct{} // has one entry when the database has gone
}

func openSpool(ctx context.Context, dir string, log *slog.Logger) (*spool, error) {
	db, err := openSQLite(ctx, dir, SpoolName, spoolMigrations, log)
	if err != nil {
		return nil, err
	}
	p := &spool{db: db, left: make(chan struct{}, 1)}
	if err := db.view(ctx, func(t tx) error { return readMeta(t, "writer", &p.writer) }); err != nil {
		db.close()
		return nil, fmt.Errorf("audit: %s: %w", SpoolName, err)
	}
	return p, nil
}

// put makes a group durable. What is there already is left alone.
func (p *spool) put(group []*op) error {
	if len(group) == 0 {
		return nil
	}
	return p.db.update(context.Background(), func(t tx) error {
		batches := int64(-1)
		for _, o := range group {
			var kind int
			var id, body []byte
			var err error
			switch {
			case o.receipt != nil:
				r := o.receipt
				r.fresh, r.clash = false, false // it is counted once the database has it
				kind, id, body = receiptEntry, r.id[:], r.body
				if r.text != nil {
					t.queue(insertText, nil, r.shown[:], r.at, r.text)
				}
			case o.batch != nil:
				if batches < 0 {
					if _, err := t.run(`SELECT count(*) FROM spool WHERE kind = ?1`, into(&batches), batchEntry); err != nil {
						return err
					}
				}
				if batches++; batches > maxSpooledBatches {
					return fmt.Errorf("%d batches of counts wait already", maxSpooledBatches)
				}
				kind, id = batchEntry, binary.BigEndian.AppendUint64([]byte(o.batch.Run), uint64(o.batch.N))
				if body, err = json.Marshal(o.batch); err != nil {
					return err
				}
			}
			t.queue(`INSERT INTO spool (kind, id, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING`, nil, kind, id, body)
		}
		return nil
	})
}

// size returns how much waits.
func (p *spool) size(ctx context.Context) (n int64, err error) {
	err = p.db.view(ctx, func(t tx) error {
		_, err := t.run(`SELECT count(*) FROM spool WHERE stuck IS NULL`, into(&n))
		return err
	})
	return n, errorf("reading "+SpoolName, err)
}

// receipt returns a receipt that waits.
func (p *spool) receipt(ctx context.Context, id consent.ID) (r *consent.Receipt, err error) {
	err = p.db.view(ctx, func(t tx) error {
		_, err := t.run(`SELECT body FROM spool WHERE id = ?1 AND kind = 1`, func(row row) (err error) {
			r, err = decodeReceipt(row.ColumnRawBlob(0))
			return err
		}, id[:])
		return err
	})
	if err == nil && r == nil {
		err = absent("receipt " + id.String())
	}
	return r, err
}

// portion is what is sent in one transaction. Entries are known by their IDs: the
// numbers of those that were sent are given out again, and who listens at the same
// socket for a while (reuse_port) shares the file.
type portion struct {
	ids   [][]byte
	group []*op
}

// next reads the oldest that wait, at most n.
func (p *spool) next(ctx context.Context, n int) (*portion, error) {
	list := new(portion)
	err := p.db.view(ctx, func(t tx) error {
		_, err := t.run(`SELECT id, kind, body FROM spool WHERE stuck IS NULL ORDER BY seq LIMIT ?1`, func(row row) error {
			o := &op{}
			switch body := append([]byte(nil), row.ColumnRawBlob(2)...); row.ColumnInt64(1) {
			case receiptEntry:
				r, err := decodeReceipt(body)
				if err != nil {
					return err
				}
				o.receipt = waitingReceipt(r, body)
			case batchEntry:
				o.batch = new(batch)
				if err := json.Unmarshal(body, o.batch); err != nil {
					return err
				}
			}
			list.ids, list.group = append(list.ids, bytes.Clone(row.ColumnRawBlob(0))), append(list.group, o)
			return nil
		}, n)
		if err != nil {
			return err
		}
		// A text goes with the first receipt that names it.
		texts := make(map[[32]byte]*receipt)
		for _, o := range list.group {
			if r := o.receipt; r != nil && texts[r.shown] == nil {
				texts[r.shown] = r
				t.queue(`SELECT text FROM texts WHERE hash = ?1`, func(row row) error {
					r.text = append([]byte{}, row.ColumnRawBlob(0)...)
					return nil
				}, r.shown[:])
			}
		}
		return nil
	})
	return list, errorf("reading "+SpoolName, err)
}

// waitingReceipt makes what is written of a receipt whose body waits.
func waitingReceipt(r *consent.Receipt, body []byte) *receipt {
	return &receipt{id: r.ID, at: r.At.Unix(), choice: choiceOf(r), country: r.Country, body: body, shown: r.Shown}
}

// drop takes out what was sent, and the texts when no receipt waits any more.
func (p *spool) drop(ids [][]byte) error {
	return p.db.update(context.Background(), func(t tx) error {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		queueRows(t, `DELETE FROM spool WHERE stuck IS NULL AND id IN (`, ")", 1, args, nil)
		t.queue(`DELETE FROM texts WHERE NOT EXISTS (SELECT 1 FROM spool WHERE kind = 1)`, nil)
		return nil
	})
}

// hold sets one aside that the database refuses.
func (p *spool) hold(id []byte, why string) error {
	return p.db.update(context.Background(), func(t tx) error {
		t.queue(`UPDATE spool SET stuck = ?2 WHERE id = ?1`, nil, id, why)
		return nil
	})
}

// leave notes that the shared database is away.
func (s *Store) leave(err error) {
	if s.health.away.Swap(true) {
		return
	}
	select {
	case s.spool.left <- struct{}{}:
	default: // forward is at it
	}
	if err != nil {
		s.fail("the shared database is away: receipts and counts wait in "+SpoolName, err)
	}
}

// forward sends what waits when the shared database is back.
func (s *Store) forward() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-s.quit
		cancel()
	}()
	for {
		select {
		case <-s.spool.left:
		case <-s.quit:
			return
		}
		said, pause := "", retryFirst
		for s.health.away.Load() {
			select {
			case <-time.After(pause):
			case <-s.quit:
				return
			}
			pause = min(2*pause, retryLast)
			if err := s.sendAll(ctx); err != nil && err.Error() != said && ctx.Err() == nil {
				said = err.Error()
				s.log.Warn("the shared database is still away", "error", err)
			}
		}
	}
}

// sendAll sends what waits, and has the writer use the database again when all
// is there.
func (s *Store) sendAll(ctx context.Context) error {
	if !s.greeted {
		if err := s.greet(ctx); err != nil {
			return err
		}
		s.greeted = true
	}
	for s.health.away.Load() {
		p, err := s.spool.next(ctx, maxPortion)
		if err != nil {
			return err
		}
		// Not by the writer, for which visitors wait: a database may be away
		// without saying so.
		err = s.send(ctx, p)
		if err == nil && len(p.group) < maxPortion {
			// The writer sends the rest, so that nothing is put by meanwhile.
			err = s.submit(ctx, &op{rejoin: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rejoin sends the rest of what waits, if it is not too much, and has the
// database used again.
func (s *Store) rejoin() error {
	p, err := s.spool.next(context.Background(), maxPortion)
	if err != nil {
		return err
	}
	if err := s.send(context.Background(), p); err != nil || len(p.group) == maxPortion {
		return err
	}
	s.spool.db.forget()
	s.health.away.Store(false)
	s.log.Info("the shared database is back: all that waited is there")
	return nil
}

// send makes a portion durable in the shared database and takes it out of the
// spool. Should it end between the two, the portion is sent again and known by
// its IDs.
func (s *Store) send(ctx context.Context, p *portion) error {
	limited, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	err := s.sender.update(limited, func(t tx) error {
		if len(p.group) == 0 {
			_, err := t.run(`SELECT 1`, nil)
			return err
		}
		return s.apply(t, p.group)
	})
	if refused(err) && len(p.group) > 1 {
		half := len(p.group) / 2
		if err := s.send(ctx, &portion{p.ids[:half], p.group[:half]}); err != nil {
			return err
		}
		return s.send(ctx, &portion{p.ids[half:], p.group[half:]})
	}
	if refused(err) && len(p.group) == 1 {
		return s.hold(p.ids[0], err)
	}
	if err != nil {
		return err
	}
	for i, o := range p.group {
		switch r := o.receipt; {
		case r == nil:
		case r.clash:
			if err := s.hold(p.ids[i], errClash); err != nil {
				return err
			}
		case r.fresh:
			s.health.receipts.Add(1)
		}
	}
	if len(p.ids) == 0 {
		return nil
	}
	return s.spool.drop(p.ids)
}

// hold sets one aside that cannot be sent, and says so.
func (s *Store) hold(id []byte, why error) error {
	s.health.stuck.Add(1)
	s.fail(fmt.Sprintf("entry %x of %s is refused by the shared database and stays there", id, SpoolName), why)
	return s.spool.hold(id, why.Error())
}
