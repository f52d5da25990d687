package audit

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/mvcc"
)

const (
	// busyWait is how long a connection waits for the lock of another process.
	busyWait = 10 * time.Second
	// readers is how many queries can run at once.
	readers = 2
	// maxStatements is how many statements a connection keeps prepared.
	maxStatements = 100
)

// sqlite is a database in one file.
type sqlite struct {
	name   string
	dir    string // that the file is in
	memory bool
	log    *slog.Logger
	mu     sync.Mutex // held by those who write
	writer *sqliteConn
	// unscrubbed says that the log holds what was to be forgotten.
	unscrubbed bool
	readers    chan *sqliteConn // nil entries stand for connections not yet opened
}

// openSQLite opens a file in dir, making both if need be. The directory is made
// readable for its owner only. dir "" keeps all in memory.
func openSQLite(ctx context.Context, dir, file string, migrations embed.FS, log *slog.Logger) (*sqlite, error) {
	d := &sqlite{log: log}
	if dir == "" {
		d.memory = true
		path := "/" + rand.Text()
		mvcc.Create(path[1:], mvcc.Snapshot{})
		d.name = (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "vfs=mvcc"}).String()
	} else {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("audit: making the data directory: %w", err)
		}
		abs, err := filepath.Abs(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		d.dir, d.name = dir, (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs)}).String()
	}
	if err := d.open(ctx, migrations); err != nil {
		return nil, fmt.Errorf("audit: opening %s in %q: %w; is the directory writable and the file askfirst's own?", file, dir, d.because(err))
	}
	return d, nil
}

func (d *sqlite) open(ctx context.Context, migrations embed.FS) error {
	c, err := d.connect(ctx)
	if err != nil {
		return err
	}
	if !d.memory {
		// The checkpoint takes out of the log what a crash may have left in it of
		// receipts that were erased.
		err = c.Exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 16777216; PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	if err == nil {
		// FULL makes a commit wait until the log is on the disk; secure_delete
		// overwrites what a visitor had erased.
		err = c.Exec(`PRAGMA synchronous = FULL; PRAGMA secure_delete = ON`)
	}
	if err == nil {
		err = c.migrate(migrations)
	}
	if err != nil {
		c.Close()
		return err
	}
	d.writer = c
	d.readers = make(chan *sqliteConn, readers)
	for range readers {
		d.readers <- nil
	}
	return nil
}

func (d *sqlite) connect(ctx context.Context) (*sqliteConn, error) {
	c, err := sqlite3.OpenContext(ctx, d.name)
	if err != nil {
		return nil, err
	}
	if err := c.BusyTimeout(busyWait); err != nil {
		c.Close()
		return nil, err
	}
	return &sqliteConn{Conn: c, stmts: make(map[string]*sqlite3.Stmt)}, nil
}

func (d *sqlite) close() error {
	// There is no next write: a query under way in another process is waited for.
	for end := time.Now().Add(busyWait); d.unscrubbed && time.Now().Before(end); {
		d.scrub()
	}
	err := d.writer.Close()
	for range readers {
		if c := <-d.readers; c != nil {
			c.Close()
		}
	}
	if d.memory {
		mvcc.Delete(d.name)
	}
	return err
}

func (d *sqlite) update(_ context.Context, f func(tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.writer
	t, err := c.BeginImmediate()
	if err != nil {
		return fmt.Errorf("audit: beginning to write: %w", d.because(err))
	}
	c.failed = nil
	err = f(c)
	if err == nil {
		err = c.failed
	}
	if err != nil {
		t.Rollback()
		return fmt.Errorf("audit: writing: %w", d.because(err))
	}
	if err := t.Commit(); err != nil {
		t.Rollback()
		return fmt.Errorf("audit: committing: %w", d.because(err))
	}
	if d.unscrubbed {
		d.scrub()
	}
	return nil
}

// because adds to an error of the disk what the system says when a file is written
// there: SQLite has the same words for a disk that is full and one that is broken.
func (d *sqlite) because(err error) error {
	if d.dir == "" || !errors.Is(err, sqlite3.IOERR) && !errors.Is(err, sqlite3.FULL) && !errors.Is(err, sqlite3.CANTOPEN) {
		return err
	}
	file, cause := os.CreateTemp(d.dir, ".try-*")
	if cause == nil {
		_, cause = file.Write(make([]byte, 64<<10))
		cause = errors.Join(cause, file.Sync(), file.Close())
		os.Remove(file.Name())
	}
	var system syscall.Errno
	if !errors.As(cause, &system) || errors.Is(err, system) {
		return err
	}
	// Not wrapped: a folder that is gone is no receipt that there never was.
	return fmt.Errorf("%w (%v)", err, system)
}

// forget asks that no file of the database holds what was deleted.
func (d *sqlite) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unscrubbed = !d.memory
	if d.unscrubbed {
		d.scrub()
	}
}

// scrubWait is how long scrubbing waits for queries under way.
const scrubWait = 100 * time.Millisecond

// scrub moves the log into the database and empties it, so that neither holds
// what was erased. Where a query under way keeps it from that, the next write
// tries again.
func (d *sqlite) scrub() {
	done, err := false, d.writer.BusyTimeout(scrubWait)
	if err == nil {
		_, err = d.writer.run(`PRAGMA wal_checkpoint(TRUNCATE)`, func(r row) error {
			done = r.ColumnInt64(0) == 0
			return nil
		})
		d.writer.BusyTimeout(busyWait)
	}
	if err != nil {
		d.log.Warn("the log still holds what was erased; tried again with the next write", "error", err)
	}
	d.unscrubbed = !done || err != nil
}

func (d *sqlite) view(ctx context.Context, f func(tx) error) (err error) {
	var c *sqliteConn
	select {
	case c = <-d.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.readers <- c }()
	if c == nil {
		if c, err = d.connect(ctx); err != nil {
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
	t := c.Begin()
	defer t.Rollback()
	c.failed = nil
	err = errors.Join(f(c), c.failed)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // which is what interrupted it
	}
	return err
}

// sqliteConn is a connection, and the transaction on it. It prepares each
// statement once.
type sqliteConn struct {
	*sqlite3.Conn
	stmts  map[string]*sqlite3.Stmt
	failed error // of a statement that was queued
}

func (c *sqliteConn) Close() error {
	c.finalize()
	return c.Conn.Close()
}

func (c *sqliteConn) finalize() {
	for _, st := range c.stmts {
		st.Close()
	}
	clear(c.stmts)
}

func (c *sqliteConn) queue(sql string, each func(row) error, args ...any) {
	if c.failed == nil {
		_, c.failed = c.run(sql, each, args...)
	}
}

func (c *sqliteConn) run(sql string, each func(row) error, args ...any) (int64, error) {
	if c.failed != nil || sql == "" {
		return 0, c.failed
	}
	st := c.stmts[sql]
	if st == nil {
		if len(c.stmts) >= maxStatements {
			c.finalize()
		}
		var err error
		if st, _, err = c.Prepare(sql); err != nil {
			return 0, err
		}
		c.stmts[sql] = st
	}
	for i, a := range args {
		if err := bind(st, i+1, a); err != nil {
			return 0, err
		}
	}
	for st.Step() {
		if each == nil {
			continue
		}
		if err := each(st); err != nil {
			st.Reset()
			return 0, err
		}
	}
	return c.Changes(), errors.Join(st.Err(), st.Reset())
}

func bind(st *sqlite3.Stmt, i int, a any) error {
	switch a := a.(type) {
	case string:
		return st.BindText(i, a)
	case []byte:
		if a == nil {
			return st.BindNull(i)
		}
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
