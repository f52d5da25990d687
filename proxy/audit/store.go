package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/mvcc"
)

// FileName is the name of the database within the data directory.
const FileName = "audit.db"

// ErrClosed is returned by a Store that has been closed.
var ErrClosed = errors.New("audit: the store is closed")

// flushEvery is how often counts are written.
const flushEvery = 3 * time.Second

// busyWait is how long a connection waits for the lock of another process.
const busyWait = 10 * time.Second

// readers is how many queries can run at once.
const readers = 2

// Store holds the records. Its methods are safe for concurrent use.
type Store struct {
	name   string // of the database, for SQLite
	memory bool
	log    *slog.Logger
	now    func() time.Time

	ops      chan *op
	quit     chan struct{} // closed by Close: nothing new is taken
	stop     chan struct{} // closed by Close after the last counts are written
	flushNow chan struct{}
	flusher  sync.WaitGroup // what writes of itself: counts, pruning
	flushing sync.Mutex     // one flush at a time
	written  chan struct{}  // closed when the writer has stopped
	closing  sync.Once
	closeErr error

	readers chan *conn // nil entries stand for connections not yet opened

	counters counters
	texts    knownTexts
	health   health
}

// Open opens the store in dir, making both if need be. The directory is made
// readable for its owner only. dir "" keeps all in memory, for tests.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	s := newStore(log)
	if dir == "" {
		s.memory = true
		path := "/" + rand.Text()
		mvcc.Create(path[1:], mvcc.Snapshot{})
		s.name = (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "vfs=mvcc"}).String()
	} else {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("audit: making the data directory: %w", err)
		}
		abs, err := filepath.Abs(filepath.Join(dir, FileName))
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		s.name = (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs)}).String()
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("audit: opening %s in %q: %w; is the directory writable and the file askfirst's own?", FileName, dir, err)
	}
	return s, nil
}

func newStore(log *slog.Logger) *Store {
	return &Store{
		log:      log,
		now:      time.Now,
		ops:      make(chan *op),
		quit:     make(chan struct{}),
		stop:     make(chan struct{}),
		flushNow: make(chan struct{}, 1),
		written:  make(chan struct{}),
		readers:  make(chan *conn, readers),
	}
}

// open connects the writer and starts it.
func (s *Store) open(ctx context.Context) error {
	c, err := openConn(ctx, s.name)
	if err != nil {
		return err
	}
	if !s.memory {
		// The checkpoint takes out of the log what a crash may have left in it of
		// receipts that were erased.
		if err := c.Exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 16777216; PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			c.Close()
			return err
		}
	}
	// FULL makes a commit wait until the log is on the disk; secure_delete
	// overwrites what a visitor had erased.
	if err := c.Exec(`PRAGMA synchronous = FULL; PRAGMA secure_delete = ON`); err != nil {
		c.Close()
		return err
	}
	if err := migrate(c); err != nil {
		c.Close()
		return err
	}
	s.counters.reset()
	if err := s.counters.load(c); err != nil {
		c.Close()
		return err
	}
	for range readers {
		s.readers <- nil
	}
	go s.write(c)
	s.flusher.Go(s.flushLoop)
	return nil
}

// Close writes the counts that are left and closes the store.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		s.flusher.Wait()
		close(s.stop)
		<-s.written
		for range readers {
			if c := <-s.readers; c != nil {
				c.Close()
			}
		}
		if s.memory {
			mvcc.Delete(s.name)
		}
	})
	return s.closeErr
}

// read runs f on a reading connection. What f reads is one snapshot.
func (s *Store) read(ctx context.Context, f func(*conn) error) (err error) {
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- c }()
	if c == nil {
		if c, err = openConn(ctx, s.name); err != nil {
			c = nil
			return fmt.Errorf("audit: opening for reading: %w", err)
		}
		if err = c.Exec(`PRAGMA query_only = ON; PRAGMA cache_size = -8000`); err != nil {
			c.Close()
			c = nil
			return fmt.Errorf("audit: opening for reading: %w", err)
		}
	}
	c.SetInterrupt(ctx)
	defer c.SetInterrupt(context.Background())
	tx := c.Begin()
	defer tx.Rollback()
	return f(c)
}

// conn is a connection that prepares each statement once.
type conn struct {
	*sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

func openConn(ctx context.Context, name string) (*conn, error) {
	c, err := sqlite3.OpenContext(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := c.BusyTimeout(busyWait); err != nil {
		c.Close()
		return nil, err
	}
	return &conn{Conn: c, stmts: make(map[string]*sqlite3.Stmt)}, nil
}

// Close closes the connection and its statements.
func (c *conn) Close() error {
	for _, st := range c.stmts {
		st.Close()
	}
	return c.Conn.Close()
}

// run executes sql with args and calls row, if not nil, for each row of the
// result. sql must be one of a bounded number of texts: each is kept prepared.
func (c *conn) run(sql string, row func(*sqlite3.Stmt) error, args ...any) (err error) {
	st := c.stmts[sql]
	if st == nil {
		if st, _, err = c.Prepare(sql); err != nil {
			return err
		}
		c.stmts[sql] = st
	}
	for i, a := range args {
		if err := bind(st, i+1, a); err != nil {
			return err
		}
	}
	for st.Step() {
		if row == nil {
			continue
		}
		if err := row(st); err != nil {
			st.Reset()
			return err
		}
	}
	err = st.Err()
	return errors.Join(err, st.Reset())
}

func bind(st *sqlite3.Stmt, i int, a any) error {
	switch a := a.(type) {
	case string:
		return st.BindText(i, a)
	case []byte:
		return st.BindBlob(i, a)
	case int64:
		return st.BindInt64(i, a)
	case int:
		return st.BindInt64(i, int64(a))
	case uint32:
		return st.BindInt64(i, int64(a))
	default:
		return fmt.Errorf("audit: cannot bind a %T", a)
	}
}

// health is what the store tells of itself.
type health struct {
	receipts, receiptFailures, countFailures atomic.Uint64
	lastFailure                              atomic.Pointer[Failure]
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
		LastFailure:     s.health.lastFailure.Load(),
	}
	h.Pages, h.Tags, h.Cookies, h.Folded = s.counters.sizes()
	return h
}

// Ping reports whether the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, func(c *conn) error { return c.run(`SELECT 1`, nil) })
}
