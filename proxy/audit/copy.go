package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// copying is the name, in meta, of the mark of a copy that was not finished.
const copying = "copying"

// copyBatch is how many rows one transaction copies.
const copyBatch = 500

// columns describes a table that is copied: i for integers, t for texts, b for
// blobs, n for those that are never NULL, and a capital for the ID of a row of chains, pages, tags or cookies.
type columns struct {
	table, names, kinds string
	// id is the capital by which other tables refer to this one's rows.
	id    byte
	order string
}

var copied = []columns{
	{"chains", "site, writer, pruned, start, n, link", "ttinin", 'C', "id"},
	{"ledger", "chain, n, kind, id, at, shown, salt, body, digest, link", "Ciibibbbbb", 0, "chain, n"},
	{"texts", "hash, at, text", "bib", 0, "hash"},
	{"choices", "site, day, action, method, regime, language, granted, n", "tittttti", 0, "day"},
	{"countries", "site, day, country, action, granted, n", "tittti", 0, "day"},
	{"pages", "site, path, first, last", "ttii", 'P', "id"},
	{"tags", "site, vendor, name, category, kind, host, path, first, last, served", "tttttttiii", 'T', "id"},
	{"cookies", "site, name, vendor, category, source, first, last", "tttttii", 'K', "id"},
	{"counts", "tag, page, day, granted, " + strings.Join(countColumns, ", "), "TPiiiiiiiiiii", 0, "tag, page, day, granted"},
	{"pairs", "tag, page, first, last, " + strings.Join(countColumns, ", "), "TPiiiiiiiiiii", 0, "tag, page"},
	{"tag_days", "tag, day, " + strings.Join(countColumns, ", "), "Tiiiiiiiiii", 0, "tag, day"},
	{"page_days", "page, day, " + strings.Join(countColumns, ", "), "Piiiiiiiiii", 0, "page, day"},
	{"views", "page, day, views, asked", "Piii", 0, "page, day"},
	{"cookie_days", "cookie, day, held, passed", "Kiii", 0, "cookie, day"},
	{"runs", "run, n, at", "tii", 0, "run"},
	{"operations", "at, who, action, about, detail", "itttt", 0, "id"},
	{"requests", "receipt, kind, received, answered", "btii", 0, "receipt, kind, received"},
}

// Copy copies all records into an empty store, verifies what is there then, and
// says what it found. What is written meanwhile is not copied: stop askfirst
// first. A copy that did not come to its end is begun anew by the next.
func Copy(ctx context.Context, from, to *Store) (*Verification, error) {
	if err := to.makeReady(ctx); err != nil {
		return nil, errorf("copying", err)
	}
	var was *Verification
	err := from.read(ctx, func(t tx) (err error) {
		if was, err = verify(t); err != nil {
			return err
		}
		ids := make(map[byte]map[int64]int64)
		for i := range copied {
			if err := copied[i].copy(ctx, t, to, ids); err != nil {
				return fmt.Errorf("%s: %w", copied[i].table, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, errorf("copying", err)
	}
	is, err := to.Verify(ctx)
	if err != nil {
		return nil, err
	}
	if is.Sites != was.Sites || is.Receipts != was.Receipts || is.Erased != was.Erased || is.Pruned != was.Pruned || len(is.Breaks) != len(was.Breaks) {
		return is, fmt.Errorf("audit: copied %+v and found %+v", was, is)
	}
	return is, errorf("copying", to.submit(ctx, &op{do: func(t tx, _ *chains) error {
		t.queue(`DELETE FROM meta WHERE name = ?1`, nil, copying)
		return nil
	}}))
}

// makeReady makes sure that a store can be copied into: it is empty, or holds
// what an earlier copy left unfinished, which is taken out.
func (s *Store) makeReady(ctx context.Context) error {
	var entries, counts int64
	var mark string
	err := s.read(ctx, func(t tx) error {
		t.queue(`SELECT count(*) FROM chains`, into(&entries))
		t.queue(`SELECT count(*) FROM pages`, into(&counts))
		return readMeta(t, copying, &mark)
	})
	if err != nil {
		return err
	}
	if mark == "" && entries+counts > 0 {
		return errors.New("there are records where they should be copied to: name an empty database")
	}
	return s.submit(ctx, &op{do: func(t tx, _ *chains) error {
		for i := len(copied) - 1; i >= 0; i-- {
			t.queue("DELETE FROM "+copied[i].table, nil)
		}
		t.queue(`INSERT INTO meta (name, value) VALUES (?1, '1') ON CONFLICT (name) DO NOTHING`, nil, copying)
		return nil
	}})
}

// copy copies one table. ids are the new IDs of rows by their old ones.
func (k *columns) copy(ctx context.Context, t tx, to *Store, ids map[byte]map[int64]int64) error {
	width := len(k.kinds)
	var rows []any
	var old []int64
	if k.id != 0 {
		ids[k.id] = make(map[int64]int64)
	}
	head := "INSERT INTO " + k.table + " (" + k.names + ") VALUES "
	write := func() error {
		if len(rows) == 0 {
			return nil
		}
		err := to.submit(ctx, &op{do: func(t tx, _ *chains) error {
			if k.id == 0 {
				queueRows(t, head, "", width, rows, nil)
				return nil
			}
			sql := rowStatement(head, " RETURNING id", width, 1)
			for i, id := range old {
				t.queue(sql, func(r row) error {
					ids[k.id][id] = r.ColumnInt64(0)
					return nil
				}, rows[i*width:(i+1)*width]...)
			}
			return nil
		}})
		rows, old = nil, nil
		return err
	}
	id := "0"
	if k.id != 0 {
		id = "id"
	}
	_, err := t.run("SELECT "+id+", "+k.names+" FROM "+k.table+" ORDER BY "+k.order, func(r row) error {
		if k.id != 0 {
			old = append(old, r.ColumnInt64(0))
		}
		for i := range width {
			switch kind := k.kinds[i]; kind {
			case 'i':
				rows = append(rows, r.ColumnInt64(i+1))
			case 't':
				rows = append(rows, r.ColumnText(i+1))
			case 'b':
				rows = append(rows, bytes.Clone(r.ColumnRawBlob(i+1)))
			case 'n':
				rows = append(rows, append([]byte{}, r.ColumnRawBlob(i+1)...))
			default:
				rows = append(rows, ids[kind][r.ColumnInt64(i+1)])
			}
		}
		if len(rows) < copyBatch*width {
			return nil
		}
		return write()
	})
	if err != nil {
		return err
	}
	return write()
}
