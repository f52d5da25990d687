package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/ncruces/go-sqlite3"
)

// Receipts returns the newest receipts that f lets through, without those
// erased: at most limit. Only Site, From and To of f apply.
func (s *Store) Receipts(ctx context.Context, f Filter, limit int) (receipts []*consent.Receipt, err error) {
	var q query
	q.text("SELECT body FROM ledger WHERE kind = 1 AND body IS NOT NULL")
	q.made(f)
	q.text(" ORDER BY seq DESC LIMIT " + q.bind(limit))
	err = s.read(ctx, func(c *conn) error {
		return q.run(c, func(st *sqlite3.Stmt) error {
			r, err := decodeReceipt(st.ColumnRawBlob(0))
			receipts = append(receipts, r)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading receipts: %w", err)
	}
	return receipts, nil
}

// made narrows to entries of the ledger by site and day.
func (q *query) made(f Filter) {
	q.equal("site", f.Site)
	if !f.From.IsZero() {
		q.text(" AND at >= " + q.bind(dayOf(f.From)*86400))
	}
	if !f.To.IsZero() {
		q.text(" AND at < " + q.bind((dayOf(f.To)+1)*86400))
	}
}

// exported is an entry of the ledger as Export writes it: enough for another
// program to check the chain.
type exported struct {
	Seq     int64           `json:"seq"`
	Site    string          `json:"site"`
	Kind    string          `json:"kind"` // receipt or erasure
	ID      string          `json:"id"`
	At      int64           `json:"at"`
	Salt    []byte          `json:"salt,omitempty"`
	Receipt json.RawMessage `json:"body,omitempty"` // absent from one erased
	Digest  []byte          `json:"digest"`
	Link    []byte          `json:"link"`
}

// Export writes the entries of the ledger that f lets through, oldest first,
// each as JSON on a line of its own. Salt, digest and link are in base64. Only
// Site, From and To of f apply.
func (s *Store) Export(ctx context.Context, w io.Writer, f Filter) error {
	return s.export(ctx, w, func(q *query) { q.made(f) })
}

// ExportOne writes the entries about one receipt, likewise.
func (s *Store) ExportOne(ctx context.Context, w io.Writer, id consent.ID) error {
	return s.export(ctx, w, func(q *query) { q.text(" AND id = " + q.bind(id[:])) })
}

func (s *Store) export(ctx context.Context, w io.Writer, narrow func(*query)) error {
	var q query
	q.text("SELECT seq, site, kind, id, at, salt, body, digest, link FROM ledger WHERE 1")
	narrow(&q)
	q.text(" ORDER BY seq")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	err := s.read(ctx, func(c *conn) error {
		return q.run(c, func(st *sqlite3.Stmt) error {
			e := exported{
				Seq: st.ColumnInt64(0), Site: st.ColumnText(1), Kind: "receipt", At: st.ColumnInt64(4),
				Salt: bytes.Clone(st.ColumnRawBlob(5)), Receipt: bytes.Clone(st.ColumnRawBlob(6)),
				Digest: bytes.Clone(st.ColumnRawBlob(7)), Link: bytes.Clone(st.ColumnRawBlob(8)),
			}
			if st.ColumnInt(2) == erasureEntry {
				e.Kind = "erasure"
			}
			var id consent.ID
			copy(id[:], st.ColumnRawBlob(3))
			e.ID = id.String()
			return out.Encode(e)
		})
	})
	if err != nil {
		return fmt.Errorf("audit: exporting receipts: %w", err)
	}
	return nil
}
