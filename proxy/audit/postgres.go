package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// schema is where the tables are unless the DSN names a search_path.
	schema = "askfirst"
	// connectWait is how long a new connection may take.
	connectWait = 5 * time.Second
	// viewWait is how long a query may take that nobody sets a time for.
	viewWait = 30 * time.Second
	// tries is how often a transaction is made that met another.
	tries = 5
)

// postgres is a PostgreSQL database, or one that speaks its protocol.
// Connections that were lost are made anew by the next who needs one.
type postgres struct {
	config  *pgx.ConnConfig
	writer  *pgx.Conn
	readers chan *pgx.Conn // nil entries stand for connections not yet opened
}

// IsDSN reports whether a place of records is a PostgreSQL database, and not a
// folder.
func IsDSN(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// SafeDSN returns the address of a database without its password.
func SafeDSN(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "postgres://…"
	}
	return u.Redacted()
}

func parseDSN(dsn string) (*pgx.ConnConfig, error) {
	if !IsDSN(dsn) {
		return nil, errors.New("a database is named like postgres://user@host:5432/name")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: not the address of a database", SafeDSN(dsn))
	}
	config.ConnectTimeout = connectWait
	if config.RuntimeParams["search_path"] == "" {
		config.RuntimeParams["search_path"] = schema
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "askfirst"
	}
	return config, nil
}

// openPostgres returns the database at a DSN, not yet connected.
func openPostgres(dsn string) (*postgres, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	d := &postgres{config: config, readers: make(chan *pgx.Conn, readers)}
	for range readers {
		d.readers <- nil
	}
	return d, nil
}

func (d *postgres) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, d.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("audit: connecting to PostgreSQL: %w", err)
	}
	// A server may be set up to acknowledge what is not on its disk.
	var durable, compiles string
	err = c.QueryRow(ctx, `SELECT coalesce(current_setting('synchronous_commit', true), ''), coalesce(current_setting('jit', true), '')`).Scan(&durable, &compiles)
	if err == nil && durable == "off" {
		_, err = c.Exec(ctx, `SET synchronous_commit = on`)
	}
	// To compile a query or to start workers for it costs more than it saves where so
	// few rows are read, and to sort them on disk does too.
	if err == nil && compiles != "" {
		_, err = c.Exec(ctx, `SELECT set_config('jit', 'off', false), set_config('max_parallel_workers_per_gather', '0', false), set_config('work_mem', '64MB', false)`)
	}
	if err == nil {
		err = migratePostgres(ctx, c)
	}
	if err != nil {
		c.Close(ctx)
		return nil, fmt.Errorf("audit: preparing PostgreSQL: %w", err)
	}
	return c, nil
}

func (d *postgres) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectWait)
	defer cancel()
	var err error
	if d.writer != nil {
		err = d.writer.Close(ctx)
	}
	for range readers {
		if c := <-d.readers; c != nil {
			c.Close(ctx)
		}
	}
	return err
}

func (d *postgres) update(ctx context.Context, f func(tx) error) (err error) {
	for range tries {
		if d.writer == nil || d.writer.IsClosed() {
			if d.writer, err = d.connect(ctx); err != nil {
				d.writer = nil
				return err
			}
		}
		if err = d.transact(ctx, d.writer, "begin", f); err == nil || !collided(err) {
			return err
		}
	}
	return err
}

// transact runs f in a transaction on c.
func (d *postgres) transact(ctx context.Context, c *pgx.Conn, begin string, f func(tx) error) error {
	t := &pgTx{ctx: ctx, conn: c}
	t.queue(begin, nil)
	err := f(t)
	if err == nil {
		t.queue("commit", nil)
		_, err = t.run("", nil)
	}
	if err != nil && !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		if _, e := c.Exec(ctx, "rollback"); e != nil {
			c.Close(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("audit: PostgreSQL: %w", err)
	}
	return nil
}

func (d *postgres) view(ctx context.Context, f func(tx) error) (err error) {
	if _, set := ctx.Deadline(); !set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, viewWait)
		defer cancel()
	}
	var c *pgx.Conn
	select {
	case c = <-d.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.readers <- c }()
	fresh := false
	for {
		if c == nil || c.IsClosed() {
			if c, err = d.connect(ctx); err != nil {
				c = nil
				return err
			}
			fresh = true
		}
		began := false
		err = d.transact(ctx, c, "begin isolation level repeatable read read only", func(t tx) error {
			if _, err := t.run("", nil); err != nil {
				return err
			}
			began = true
			return f(t)
		})
		// A connection that lay idle may have been lost meanwhile.
		if began || fresh || !c.IsClosed() {
			return err
		}
	}
}

// collided reports whether a transaction can succeed when it is made again: it
// met another (SQLSTATE class 40), or another wrote the same first.
func collided(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "40") || pg.Code == "23505")
}

// refused reports whether the database understood what it was sent and does
// not take it: data exceptions, violations, and statements that are wrong.
func refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "22", "23", "42":
		return true
	}
	return false
}

// answered reports whether an error was said by a server, which will say it
// again: a wrong password, a missing database or right.
func answered(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "28", "3D", "42":
		return true
	}
	return false
}

// pgTx is a transaction on a connection. Statements that were queued are sent
// together.
type pgTx struct {
	ctx   context.Context
	conn  *pgx.Conn
	batch pgx.Batch
	each  []func(row) error
}

// translated are statements with PostgreSQL's parameters.
var translated sync.Map

func translate(sql string) string {
	if t, ok := translated.Load(sql); ok {
		return t.(string)
	}
	t := strings.ReplaceAll(sql, "?", "$")
	translated.Store(sql, t)
	return t
}

func (t *pgTx) queue(sql string, each func(row) error, args ...any) {
	t.batch.Queue(translate(sql), args...)
	t.each = append(t.each, each)
}

func (t *pgTx) run(sql string, each func(row) error, args ...any) (changed int64, err error) {
	if sql != "" {
		t.queue(sql, each, args...)
	}
	if t.batch.Len() == 0 {
		return 0, nil
	}
	results := t.conn.SendBatch(t.ctx, &t.batch)
	for _, each := range t.each {
		rows, e := results.Query()
		if e != nil {
			err = e
			break
		}
		r := &pgRow{rows: rows}
		for rows.Next() {
			if err == nil && each != nil {
				err = each(r)
			}
		}
		rows.Close()
		if err = errors.Join(err, rows.Err(), r.err); err != nil {
			break
		}
		changed = rows.CommandTag().RowsAffected()
	}
	if e := results.Close(); err == nil {
		err = e
	}
	t.batch, t.each = pgx.Batch{}, t.each[:0]
	return changed, err
}

// pgRow reads the wire form of a row.
type pgRow struct {
	rows pgx.Rows
	err  error
}

func (r *pgRow) ColumnInt64(i int) int64 {
	raw, field := r.rows.RawValues()[i], r.rows.FieldDescriptions()[i]
	if raw == nil {
		return 0
	}
	if field.Format == pgtype.TextFormatCode {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		r.err = errors.Join(r.err, err)
		return n
	}
	switch field.DataTypeOID {
	case pgtype.Int8OID:
		return int64(binary.BigEndian.Uint64(raw))
	case pgtype.Int4OID:
		return int64(int32(binary.BigEndian.Uint32(raw)))
	}
	r.err = fmt.Errorf("column %s is no integer", field.Name)
	return 0
}

func (r *pgRow) ColumnText(i int) string { return string(r.rows.RawValues()[i]) }

func (r *pgRow) ColumnRawBlob(i int) []byte { return r.rows.RawValues()[i] }
