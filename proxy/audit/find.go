package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/askfirst/askfirst/rules/consent"
)

// Receipts returns a part of the receipts that f lets through, the newest first,
// without those erased. Only Site, From and To of f, Limit and Offset of the part
// apply.
func (s *Store) Receipts(ctx context.Context, f Filter, part Slice) (receipts []*consent.Receipt, err error) {
	err = s.eachReceipt(ctx, f, part, func(k *consent.Receipt) error { receipts = append(receipts, k); return nil })
	return receipts, err
}

// EachReceipt calls each for the receipts that Receipts would return, all of
// them, as they come from the database. An error of each ends it.
func (s *Store) EachReceipt(ctx context.Context, f Filter, each func(*consent.Receipt) error) error {
	return s.eachReceipt(ctx, f, Slice{}, each)
}

func (s *Store) eachReceipt(ctx context.Context, f Filter, part Slice, each func(*consent.Receipt) error) error {
	var q query
	q.text("SELECT l.body FROM ledger l JOIN chains c ON c.id = l.chain WHERE l.kind = 1 AND l.body IS NOT NULL")
	q.made(f)
	q.text(" ORDER BY l.at DESC, l.n DESC, l.chain")
	q.cut(part)
	return errorf("reading receipts", s.read(ctx, func(t tx) error {
		return q.run(t, func(r row) error {
			k, err := decodeReceipt(r.ColumnRawBlob(0))
			if err != nil {
				return err
			}
			return each(k)
		})
	}))
}

// made narrows to entries of the ledger by site and day.
func (q *query) made(f Filter) {
	q.equal("c.site", f.Site)
	if !f.From.IsZero() {
		q.text(" AND l.at >= " + q.bind(dayOf(f.From)*86400))
	}
	if !f.To.IsZero() {
		q.text(" AND l.at < " + q.bind((dayOf(f.To)+1)*86400))
	}
}

// exported is an entry of the ledger as Export writes it: enough for another
// program to check the chain.
type exported struct {
	Site    string          `json:"site"`
	Writer  string          `json:"writer"`
	N       int64           `json:"n"`
	Kind    string          `json:"kind"` // receipt or erasure
	ID      string          `json:"id"`
	At      int64           `json:"at"`
	Salt    []byte          `json:"salt,omitempty"`
	Receipt json.RawMessage `json:"body,omitempty"` // absent from one erased
	Digest  []byte          `json:"digest"`
	Link    []byte          `json:"link"`
}

// Export writes the entries of the ledger that f lets through, chain by chain
// in their order, each as JSON on a line of its own. Salt, digest and link are in base64. Only
// Site, From and To of f apply.
func (s *Store) Export(ctx context.Context, w io.Writer, f Filter) error {
	return s.export(ctx, w, func(q *query) { q.made(f) })
}

// ExportOne writes the entries about one receipt, likewise.
func (s *Store) ExportOne(ctx context.Context, w io.Writer, id consent.ID) error {
	return s.export(ctx, w, func(q *query) { q.text(" AND l.id = " + q.bind(id[:])) })
}

func (s *Store) export(ctx context.Context, w io.Writer, narrow func(*query)) error {
	var q query
	q.text("SELECT c.site, c.writer, l.n, l.kind, l.id, l.at, l.salt, l.body, l.digest, l.link FROM ledger l JOIN chains c ON c.id = l.chain WHERE 1 = 1")
	narrow(&q)
	q.text(" ORDER BY l.chain, l.n")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	err := s.read(ctx, func(t tx) error {
		return q.run(t, func(r row) error {
			e := exported{
				Site: r.ColumnText(0), Writer: r.ColumnText(1), N: r.ColumnInt64(2), Kind: "receipt", At: r.ColumnInt64(5),
				Salt: bytes.Clone(r.ColumnRawBlob(6)), Receipt: bytes.Clone(r.ColumnRawBlob(7)),
				Digest: bytes.Clone(r.ColumnRawBlob(8)), Link: bytes.Clone(r.ColumnRawBlob(9)),
			}
			if r.ColumnInt64(3) == erasureEntry {
				e.Kind = "erasure"
			}
			var id consent.ID
			copy(id[:], r.ColumnRawBlob(4))
			e.ID = id.String()
			return out.Encode(e)
		})
	})
	return errorf("exporting receipts", err)
}
