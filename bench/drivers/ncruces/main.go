// Ncruces measures github.com/ncruces/go-sqlite3: SQLite's WebAssembly translated
// to Go.
package main

import (
	"errors"

	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/bench/drivers"
)

type conn struct {
	*sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

func main() {
	drivers.Run("ncruces", func(path string) (drivers.Conn, error) {
		c, err := sqlite3.Open(path)
		return &conn{c, map[string]*sqlite3.Stmt{}}, err
	})
}

func (c *conn) Script(text string) error { return c.Conn.Exec(text) }

func (c *conn) Exec(text string, args ...any) (n int, err error) {
	st := c.stmts[text]
	if st == nil {
		if st, _, err = c.Prepare(text); err != nil {
			return 0, err
		}
		c.stmts[text] = st
	}
	for i, a := range args {
		switch a := a.(type) {
		case int64:
			err = st.BindInt64(i+1, a)
		case string:
			err = st.BindText(i+1, a)
		case []byte:
			err = st.BindBlob(i+1, a)
		}
		if err != nil {
			return 0, err
		}
	}
	for st.Step() {
		n++
	}
	return n, errors.Join(st.Err(), st.Reset())
}
