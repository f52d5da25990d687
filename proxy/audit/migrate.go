package audit

import (
	"embed"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// migrations are applied in the order of their names, each once, and never
// changed after a release.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database up to date, under the lock that writing takes.
// A database from a newer askfirst is refused.
func migrate(c *conn) (err error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	var version int
	err = c.run(`PRAGMA user_version`, func(st *sqlite3.Stmt) error {
		version = st.ColumnInt(0)
		return nil
	})
	if err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("the database has version %d and this askfirst knows %d: use the newer askfirst that made it", version, len(files))
	}
	for i, f := range files[version:] {
		sql, err := migrations.ReadFile("migrations/" + f.Name())
		if err != nil {
			return err
		}
		if err := c.Exec(string(sql)); err != nil {
			return fmt.Errorf("migration %s: %w", f.Name(), err)
		}
		if err := c.Exec(fmt.Sprintf("PRAGMA user_version = %d", version+i+1)); err != nil {
			return err
		}
	}
	return nil
}
