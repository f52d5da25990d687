package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// FileName is the name of the database within the data directory.
	FileName = "audit.db"
	// SpoolName is that of what waits for a shared database.
	SpoolName = "spool.db"
)

var (
	// ErrClosed is returned by a Store that has been closed.
	ErrClosed = errors.New("audit: the store is closed")
	// ErrAway is returned for what needs the shared database while it cannot be
	// reached.
	ErrAway = errors.New("audit: the shared database cannot be reached")
)

// flushEvery is how often counts are written.
const flushEvery = 3 * time.Second

// Store holds the records. Its methods are safe for concurrent use.
type Store struct {
	db    database
	spool *spool // nil where there is none
	// sender is the shared database on a connection of its own, by which what
	// waits in the spool is sent. greeted says that it was reached once.
	sender  database
	greeted bool
	log     *slog.Logger
	now     func() time.Time

	// writer names the chains that this store appends to, run its batches of
	// counts.
	writer, run string

	ops      chan *op
	quit     chan struct{} // closed by Close: nothing new is taken
	stop     chan struct{} // closed by Close after the last counts are written
	flushNow chan struct{}
	flusher  sync.WaitGroup // what writes of itself: counts, pruning, the spool
	flushing sync.Mutex     // one flush at a time
	pending  []*batch       // batches that could not be written yet
	batches  int64          // made so far
	written  chan struct{}  // closed when the writer has stopped
	closing  sync.Once
	closeErr error

	counters counters
	met      metCache
	texts    knownTexts
	health   health
}

// Open opens the store in dir, making both if need be. The directory is made
// readable for its owner only. dir "" keeps all in memory, for tests.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	db, err := openSQLite(ctx, dir, FileName, sqliteMigrations, log)
	if err != nil {
		return nil, err
	}
	s := newStore(db, log)
	if err := s.start(ctx); err != nil {
		db.close()
		return nil, err
	}
	return s, nil
}

// OpenShared opens the store in the PostgreSQL database that dsn names, which
// several proxies can share. What cannot be sent to it waits in a file in dir,
// which belongs to this proxy. A database that cannot be reached yet is no
// error then; dir "" keeps no such file, and makes it one.
func OpenShared(ctx context.Context, dsn, dir string, log *slog.Logger) (*Store, error) {
	db, err := openPostgres(dsn)
	if err != nil {
		return nil, err
	}
	s := newStore(db, log)
	if dir != "" {
		if s.spool, err = openSpool(ctx, dir, log); err != nil {
			return nil, err
		}
		s.writer = s.spool.writer
		s.sender, _ = openPostgres(dsn) // the DSN was read above
	}
	if err := s.start(ctx); err != nil {
		db.close()
		if s.spool != nil {
			s.spool.db.close()
		}
		return nil, err
	}
	return s, nil
}

func newStore(db database, log *slog.Logger) *Store {
	s := &Store{
		db:       db,
		log:      log,
		now:      time.Now,
		run:      rand.Text(),
		ops:      make(chan *op),
		quit:     make(chan struct{}),
		stop:     make(chan struct{}),
		flushNow: make(chan struct{}, 1),
		written:  make(chan struct{}),
	}
	s.counters.reset()
	return s
}

// start takes up what the database knows and starts the writer.
func (s *Store) start(ctx context.Context) error {
	err := s.greet(ctx)
	if err != nil && (s.spool == nil || answered(err)) {
		return err
	}
	if s.spool != nil {
		s.greeted = err == nil
		waiting, e := s.spool.size(ctx)
		if e != nil {
			return e
		}
		if err != nil || waiting > 0 {
			s.leave(err)
		}
		s.flusher.Go(s.forward)
	}
	go s.write()
	s.flusher.Go(s.flushLoop)
	return nil
}

// greet learns what the database knows: the first time that it is reached.
func (s *Store) greet(ctx context.Context) error {
	return s.db.view(ctx, func(t tx) error {
		if s.writer == "" {
			s.writer = "operator" // of a shared database, without a spool
			if err := readMeta(t, "writer", &s.writer); err != nil {
				return err
			}
		}
		return s.counters.load(t)
	})
}

// readMeta reads what a database says of itself.
func readMeta(t tx, name string, value *string) error {
	_, err := t.run(`SELECT value FROM meta WHERE name = ?1`, func(r row) error {
		*value = r.ColumnText(0)
		return nil
	}, name)
	return err
}

// Close writes the counts that are left and closes the store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		s.flusher.Wait()
		close(s.stop)
		<-s.written
		s.closeErr = s.db.close()
		if s.spool != nil {
			s.closeErr = errors.Join(s.closeErr, s.sender.close(), s.spool.db.close())
		}
	})
	return s.closeErr
}

// read runs f on what is one snapshot.
func (s *Store) read(ctx context.Context, f func(tx) error) error {
	select {
	case <-s.quit:
		return ErrClosed
	default:
	}
	if s.health.away.Load() {
		return ErrAway
	}
	return s.db.view(ctx, f)
}

// health is what the store tells of itself.
type health struct {
	receipts, receiptFailures, countFailures, spooled, stuck atomic.Uint64
	away                                                     atomic.Bool
	lastFailure                                              atomic.Pointer[Failure]
}

// Failure is a write that did not succeed.
type Failure struct {
	At  time.Time
	Err string
}

// Health tells how the store has fared since it was opened.
type Health struct {
	// Receipts were written; ReceiptFailures were not, and the caller was told.
	Receipts, ReceiptFailures uint64
	// CountFailures are batches of counts that had to be tried again.
	CountFailures uint64
	// Away says that the shared database is not reached. Spooled are receipts
	// and batches of counts that were put by for that; Stuck are those that it
	// refused when it was back, and which stay in the spool.
	Away           bool
	Spooled, Stuck uint64
	// Folded are sightings counted under Other because there were too many
	// different ones.
	Folded uint64
	// Pages, Tags and Cookies are how many different ones are known.
	Pages, Tags, Cookies int
	// LastFailure is nil where there was none.
	LastFailure *Failure
}

// Health returns the store's state. It does not touch the database.
func (s *Store) Health() Health {
	h := Health{
		Receipts:        s.health.receipts.Load(),
		ReceiptFailures: s.health.receiptFailures.Load(),
		CountFailures:   s.health.countFailures.Load(),
		Away:            s.health.away.Load(),
		Spooled:         s.health.spooled.Load(),
		Stuck:           s.health.stuck.Load(),
		LastFailure:     s.health.lastFailure.Load(),
	}
	h.Pages, h.Tags, h.Cookies, h.Folded = s.counters.sizes()
	return h
}

// fail notes and logs a write that did not succeed.
func (s *Store) fail(what string, err error) {
	s.health.lastFailure.Store(&Failure{s.now(), what + ": " + err.Error()})
	s.log.Error(what, "error", err)
}

// Ping reports whether the database can be read.
func (s *Store) Ping(ctx context.Context) error { return s.read(ctx, ping) }

// Ready reports whether records can be kept: where the database is shared, in the
// spool if need be, so that it does not matter whether that is away.
func (s *Store) Ready(ctx context.Context) error {
	if s.spool == nil {
		return s.Ping(ctx)
	}
	select {
	case <-s.quit:
		return ErrClosed
	default:
	}
	return s.spool.db.view(ctx, ping)
}

func ping(t tx) error {
	_, err := t.run(`SELECT 1`, nil)
	return err
}

// Waiting returns how many receipts and batches of counts wait for the shared
// database.
func (s *Store) Waiting(ctx context.Context) (int64, error) {
	if s.spool == nil {
		return 0, nil
	}
	return s.spool.size(ctx)
}

func errorf(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("audit: %s: %w", what, err)
}
