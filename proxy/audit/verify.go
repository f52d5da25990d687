package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Break is a place where the ledger is not what was written.
type Break struct {
	Site string
	// Seq is the entry's number in the ledger.
	Seq int64
	// Why says what is wrong with it.
	Why string
}

func (b Break) String() string { return fmt.Sprintf("%s entry %d: %s", b.Site, b.Seq, b.Why) }

// Verification is what Verify found.
type Verification struct {
	Sites, Receipts, Erased int
	// Pruned are the entries that were taken off the starts of the chains.
	Pruned int
	Breaks []Break
}

// maxBreaks is how many breaks Verify lists.
const maxBreaks = 100

// Verify walks every chain from its start and checks each entry against its
// hash, each hash against the one before, and each emptied receipt against
// the erasure that accounts for it. It lists at most 100 breaks. Entries cut
// off at the end of a chain cannot show: compare Receipts with an earlier run.
func (s *Store) Verify(ctx context.Context) (*Verification, error) {
	v := new(Verification)
	err := s.read(ctx, func(c *conn) error {
		links := make(map[string][]byte)
		err := c.run(`SELECT site, link, pruned FROM starts`, func(st *sqlite3.Stmt) error {
			v.Pruned += st.ColumnInt(2)
			links[st.ColumnText(0)] = bytes.Clone(st.ColumnRawBlob(1))
			return nil
		})
		if err != nil {
			return err
		}
		started := make(map[string]bool)
		return c.run(`SELECT l.seq, l.site, l.kind, l.id, l.at, l.salt, l.body, l.digest, l.link, e.seq IS NOT NULL
			FROM ledger l LEFT JOIN ledger e ON e.id = l.id AND e.kind = 2 AND l.kind = 1
			ORDER BY l.seq`, func(st *sqlite3.Stmt) error {
			e := entry{
				seq: st.ColumnInt64(0), site: st.ColumnText(1), kind: st.ColumnInt(2), id: st.ColumnRawBlob(3), at: st.ColumnInt64(4),
				salt: st.ColumnRawBlob(5), body: st.ColumnRawBlob(6), digest: st.ColumnRawBlob(7), link: st.ColumnRawBlob(8),
				erased: st.ColumnBool(9),
			}
			if !started[e.site] {
				started[e.site] = true
				v.Sites++
			}
			if e.kind == receiptEntry {
				v.Receipts++
				if e.erased {
					v.Erased++
				}
			}
			for _, why := range e.faults(links[e.site]) {
				if len(v.Breaks) < maxBreaks {
					v.Breaks = append(v.Breaks, Break{e.site, e.seq, why})
				}
			}
			links[e.site] = append(links[e.site][:0], e.link...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	return v, nil
}

// entry is a row of the ledger.
type entry struct {
	seq                      int64
	site                     string
	kind                     int
	id                       []byte
	at                       int64
	salt, body, digest, link []byte
	erased                   bool
}

// faults lists what is wrong with an entry that follows the link before.
func (e *entry) faults(before []byte) []string {
	var why []string
	if link := linkOf(before, e.digest); !bytes.Equal(link[:], e.link) {
		why = append(why, "does not follow from the entry before it: one was changed, added or taken out")
	}
	if e.kind == receiptEntry && e.body == nil {
		if !e.erased {
			why = append(why, "is empty, and no erasure accounts for it")
		}
		return why
	}
	if e.kind == receiptEntry && e.erased {
		why = append(why, "was erased and has a body again")
	}
	if digest := digestOf(e.kind, e.salt, e.body); !bytes.Equal(digest[:], e.digest) {
		return append(why, "its contents were changed")
	}
	switch e.kind {
	case receiptEntry:
		r, err := decodeReceipt(e.body)
		if err != nil {
			why = append(why, "cannot be read: "+err.Error())
		} else if r.Site != e.site || !bytes.Equal(r.ID[:], e.id) || !r.At.Equal(time.Unix(e.at, 0)) {
			why = append(why, "its site, ID or time was changed")
		}
	case erasureEntry:
		var note erasure
		if err := json.Unmarshal(e.body, &note); err != nil {
			why = append(why, "cannot be read: "+err.Error())
		} else if note.At != e.at {
			why = append(why, "its time was changed")
		}
	default:
		why = append(why, "is of no known kind")
	}
	return why
}
