package audit

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Migrations are applied in the order of their names, each once, and never
// changed after a release.
var (
	//go:embed migrations/sqlite/*.sql
	sqliteMigrations embed.FS
	//go:embed migrations/spool/*.sql
	spoolMigrations embed.FS
	//go:embed migrations/postgres/*.sql
	postgresMigrations embed.FS
)

// steps reads the migrations that follow a version. A database from a newer
// askfirst is refused.
func steps(migrations embed.FS, version int) ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*/*.sql")
	if err != nil {
		return nil, err
	}
	if version > len(names) {
		return nil, fmt.Errorf("the database has version %d and this askfirst knows %d: use the newer askfirst that made it", version, len(names))
	}
	var list []string
	for _, name := range names[version:] {
		sql, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list = append(list, string(sql))
	}
	return list, nil
}

// migrate brings a SQLite database up to date, under the lock that writing
// takes.
func (c *sqliteConn) migrate(migrations embed.FS) (err error) {
	t, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer t.End(&err)
	version := 0
	_, err = c.run(`PRAGMA user_version`, func(r row) error {
		version = int(r.ColumnInt64(0))
		return nil
	})
	if err != nil {
		return err
	}
	list, err := steps(migrations, version)
	if err != nil {
		return err
	}
	for _, sql := range list {
		version++
		if err := c.Exec(sql + fmt.Sprintf("; PRAGMA user_version = %d", version)); err != nil {
			return fmt.Errorf("migration %d: %w", version, err)
		}
	}
	return nil
}

// migrateTries is how often a migration is begun anew that met another one.
const migrateTries = 5

// migratePostgres brings a PostgreSQL database up to date. Of several proxies
// that start at once one does it: it holds the lock of a row, as not all that
// speak the protocol have advisory locks.
func migratePostgres(ctx context.Context, c *pgx.Conn) error {
	var err error
	for range migrateTries {
		if err = migratePostgresOnce(ctx, c); err == nil || !raced(err) {
			return err
		}
		time.Sleep(50 * time.Millisecond) // the other one is at it
	}
	return err
}

// raced reports whether an error comes of another who made the same tables.
func raced(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "23505", "42P06", "42P07", "42710", "40001", "40P01":
		return true
	}
	return false
}

func migratePostgresOnce(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{schemaOf(c)}.Sanitize())
	if err == nil {
		_, err = c.Exec(ctx, `CREATE TABLE IF NOT EXISTS askfirst_version (one BIGINT PRIMARY KEY, version BIGINT NOT NULL)`)
	}
	if err == nil {
		_, err = c.Exec(ctx, `INSERT INTO askfirst_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING`)
	}
	if err != nil {
		return err
	}
	t, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer t.Rollback(ctx)
	var version int
	if err := t.QueryRow(ctx, `SELECT version FROM askfirst_version WHERE one = 1 FOR UPDATE`).Scan(&version); err != nil {
		return err
	}
	list, err := steps(postgresMigrations, version)
	if err != nil {
		return err
	}
	for _, sql := range list {
		version++
		if _, err := t.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("migration %d: %w", version, err)
		}
		if _, err := t.Exec(ctx, `UPDATE askfirst_version SET version = $1 WHERE one = 1`, version); err != nil {
			return err
		}
	}
	return t.Commit(ctx)
}

func schemaOf(c *pgx.Conn) string { return c.Config().RuntimeParams["search_path"] }
