// Zombiezen measures zombiezen.com/go/sqlite: another way to call what modernc.org
// translates.
package main

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/askfirst/askfirst/bench/drivers"
)

type conn struct{ *sqlite.Conn }

func main() {
	drivers.Run("zombiezen", func(path string) (drivers.Conn, error) {
		c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
		return &conn{c}, err
	})
}

func (c *conn) Script(text string) error { return sqlitex.ExecuteScript(c.Conn, text, nil) }

func (c *conn) Exec(text string, args ...any) (n int, err error) {
	err = sqlitex.Execute(c.Conn, text, &sqlitex.ExecOptions{Args: args, ResultFunc: func(*sqlite.Stmt) error {
		n++
		return nil
	}})
	return n, err
}
