// Package drivers puts drivers of SQLite without cgo side by side: they commit
// the same receipts to the tables of askfirst's records, durably, in groups. It
// is a module of its own: two of the three are not in askfirst.
//
//	cd bench/drivers
//	for i in 1 2 3; do for d in modernc ncruces zombiezen; do go run ./$d; done; done
//
// What a driver adds to the first build, from an empty cache:
//
//	for d in modernc ncruces zombiezen; do GOCACHE=$(mktemp -d) bash -c "time go build -o /dev/null ./$d"; done
//
// proxy/audit says which one askfirst uses, and why.
package drivers

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Conn is a connection by one of the drivers. What it executes more than once
// it prepares once. A value is an int64, a string or a []byte.
type Conn interface {
	Script(sql string) error
	// Exec executes a statement and returns how many rows its result has.
	Exec(sql string, args ...any) (rows int, err error)
}

const (
	migrations = "../../proxy/audit/migrations/sqlite/*.sql"
	columns    = 10
	perGroup   = 2 * time.Second
)

// settings are those that proxy/audit opens its file with.
var settings = []string{"journal_mode = WAL", "journal_size_limit = 16777216", "synchronous = FULL", "secure_delete = ON"}

// Run measures a driver and prints a line for each size of group.
func Run(name string, open func(path string) (Conn, error)) {
	log.SetFlags(0)
	for _, group := range []int{1, 64, 256} {
		if err := measure(name, group, open); err != nil {
			log.Fatal(name, ": ", err)
		}
	}
}

func measure(name string, group int, open func(path string) (Conn, error)) error {
	dir, err := os.MkdirTemp(".", "drivers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := open(filepath.Join(dir, "audit.db"))
	if err != nil {
		return err
	}
	for _, setting := range settings {
		if _, err := c.Exec("PRAGMA " + setting); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(migrations)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no migrations at %s: run this in bench/drivers", migrations)
	}
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := c.Script(string(sql)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if _, err := c.Exec(`INSERT INTO chains (site, writer, pruned, start, n, link) VALUES ('shop', 'me', 0, x'', 0, x'')`); err != nil {
		return err
	}

	insert, find := statements(group)
	var waited []time.Duration
	var n int64
	cpu, begun := processorTime(), time.Now()
	for time.Since(begun) < perGroup {
		at := time.Now()
		if n, err = commit(c, insert, find, group, n); err != nil {
			return err
		}
		waited = append(waited, time.Since(at))
	}
	took := time.Since(begun)
	slices.Sort(waited)
	fmt.Printf("%-10s group %4d  %7.0f receipts/s  %5.1f us of CPU each  p99 of a commit %6.2f ms\n", name, group,
		float64(n)/took.Seconds(), float64((processorTime()-cpu).Microseconds())/float64(n),
		float64(waited[len(waited)*99/100].Microseconds())/1000)
	return nil
}

// body is as long as a receipt's.
var body = []byte(strings.Repeat(`{"id":"AAAAAAAAAAAAAAAAAAAAAA","at":1}`, 11))

// commit appends a group of receipts to a chain of n.
func commit(c Conn, insert, find string, group int, n int64) (int64, error) {
	ids, rows := make([]any, 0, group), make([]any, 0, group*columns)
	hash := make([]byte, 32)
	for range group {
		id := make([]byte, 16)
		rand.Read(id)
		n++
		binary.BigEndian.PutUint64(hash, uint64(n))
		ids = append(ids, id)
		rows = append(rows, int64(1), n, int64(1), id, int64(1_700_000_000), hash, id, body, hash, hash)
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{"BEGIN IMMEDIATE", nil},
		{find, ids},
		{insert, rows},
		{`UPDATE chains SET n = ?2, link = ?3 WHERE id = ?1`, []any{int64(1), n, hash}},
		{`INSERT INTO choices (site, day, action, method, regime, language, granted, n) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
			ON CONFLICT (site, day, action, method, regime, language, granted) DO UPDATE SET n = choices.n + excluded.n`,
			[]any{"shop", int64(20_000), "accept-all", "button", "opt-in", "en", "fams", int64(group)}},
		{"COMMIT", nil},
	} {
		if _, err := c.Exec(step.sql, step.args...); err != nil {
			return n, fmt.Errorf("%.40s: %w", step.sql, err)
		}
	}
	return n, nil
}

// statements returns those that append a group and look for its IDs.
func statements(group int) (insert, find string) {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	insert = `INSERT INTO ledger (chain, n, kind, id, at, shown, salt, body, digest, link) VALUES ` + row + strings.Repeat(", "+row, group-1)
	find = `SELECT id, body FROM ledger WHERE kind = 1 AND id IN (?` + strings.Repeat(", ?", group-1) + `)`
	return insert, find
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
