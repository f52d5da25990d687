// Modernc measures modernc.org/sqlite: SQLite's C translated to Go.
package main

import (
	"context"
	"database/sql"

	_ "modernc.org/sqlite"

	"github.com/askfirst/askfirst/bench/drivers"
)

type conn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt
}

func main() {
	drivers.Run("modernc", func(path string) (drivers.Conn, error) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return nil, err
		}
		c, err := db.Conn(context.Background())
		return &conn{c, map[string]*sql.Stmt{}}, err
	})
}

func (c *conn) Script(text string) error {
	_, err := c.ExecContext(context.Background(), text)
	return err
}

func (c *conn) Exec(text string, args ...any) (n int, err error) {
	st := c.stmts[text]
	if st == nil {
		if st, err = c.PrepareContext(context.Background(), text); err != nil {
			return 0, err
		}
		c.stmts[text] = st
	}
	if text[0] != 'S' { // SELECT; database/sql wants to know
		_, err := st.Exec(args...)
		return 0, err
	}
	rows, err := st.Query(args...)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		n++
	}
	return n, rows.Close()
}
