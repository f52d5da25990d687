package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// Break is a place where the ledger is not what was written.
type Break struct {
	Site, Writer string
	// N is the entry's number in its chain.
	N int64
	// Why says what is wrong with it.
	Why string
}

func (b Break) String() string {
	return fmt.Sprintf("%s entry %d of writer %s: %s", b.Site, b.N, b.Writer, b.Why)
}

// Verification is what Verify found.
type Verification struct {
	Sites, Receipts, Erased int
	// Pruned are the entries that were taken off the starts of the chains.
	Pruned int
	Breaks []Break
}

// maxBreaks is how many breaks Verify lists.
const maxBreaks = 100

// Verify walks every chain from its start to its end and checks each entry
// against its hash, each hash against the one before, and each emptied receipt
// against the erasure that accounts for it. It lists at most 100 breaks. It
// cannot tell of a whole chain that was taken out, or of one whose end was cut
// off and its head put right: compare Receipts with an earlier run.
func (s *Store) Verify(ctx context.Context) (*Verification, error) {
	var v *Verification
	err := s.read(ctx, func(t tx) (err error) {
		v, err = verify(t)
		return err
	})
	return v, errorf("verifying", err)
}

func verify(t tx) (*Verification, error) {
	v := new(Verification)
	broken := func(k *link, n int64, why string) {
		if len(v.Breaks) < maxBreaks {
			v.Breaks = append(v.Breaks, Break{k.site, k.writer, n, why})
		}
	}
	sites := make(map[string]bool)
	chains := make(map[int64]*link)
	_, err := t.run(`SELECT id, site, writer, pruned, start, n, link FROM chains`, func(r row) error {
		k := &link{
			site: r.ColumnText(1), writer: r.ColumnText(2), n: r.ColumnInt64(3), link: bytes.Clone(r.ColumnRawBlob(4)),
			last: r.ColumnInt64(5), end: bytes.Clone(r.ColumnRawBlob(6)),
		}
		chains[r.ColumnInt64(0)] = k
		v.Pruned += int(k.n)
		if k.last > k.n {
			sites[k.site] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = t.run(`SELECT l.chain, l.n, l.kind, l.id, l.at, l.shown, l.salt, l.body, l.digest, l.link, CASE WHEN e.n IS NULL THEN 0 ELSE 1 END
		FROM ledger l LEFT JOIN ledger e ON e.id = l.id AND e.kind = 2 AND l.kind = 1
		ORDER BY l.chain, l.n`, func(r row) error {
		e := entry{
			kind: int(r.ColumnInt64(2)), id: r.ColumnRawBlob(3), at: r.ColumnInt64(4), shown: r.ColumnRawBlob(5),
			salt: r.ColumnRawBlob(6), body: r.ColumnRawBlob(7), digest: r.ColumnRawBlob(8), link: r.ColumnRawBlob(9),
			erased: r.ColumnInt64(10) != 0,
		}
		if e.kind == receiptEntry {
			v.Receipts++
			if e.erased {
				v.Erased++
			}
		}
		n, k := r.ColumnInt64(1), chains[r.ColumnInt64(0)]
		if k == nil {
			k = &link{site: "?", writer: "?"}
			chains[r.ColumnInt64(0)] = k
		}
		e.site = k.site
		if k.n++; n != k.n {
			broken(k, n, fmt.Sprintf("is not number %d, which is missing", k.n))
			k.n = n
		}
		for _, why := range e.faults(k.link) {
			broken(k, n, why)
		}
		k.link = append(k.link[:0], e.link...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var changed [][]byte
	_, err = t.run(`SELECT hash, text FROM texts`, func(r row) error {
		if hash := sha256.Sum256(r.ColumnRawBlob(1)); !bytes.Equal(hash[:], r.ColumnRawBlob(0)) {
			changed = append(changed, bytes.Clone(r.ColumnRawBlob(0)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, hash := range changed {
		_, err = t.run(`SELECT c.site, c.writer, min(l.n) FROM ledger l JOIN chains c ON c.id = l.chain WHERE l.shown = ?1 GROUP BY c.site, c.writer`, func(r row) error {
			broken(&link{site: r.ColumnText(0), writer: r.ColumnText(1)}, r.ColumnInt64(2), "the text that was shown is not the one it names")
			return nil
		}, hash)
		if err != nil {
			return nil, err
		}
	}
	for _, k := range chains {
		if k.n != k.last || !bytes.Equal(k.link, k.end) {
			broken(k, k.n, fmt.Sprintf("is the last, and %d was: the end was cut off or added to", k.last))
		}
	}
	v.Sites = len(sites)
	return v, err
}

// link is how far a chain was walked, and where it must end.
type link struct {
	site, writer string
	n, last      int64
	link, end    []byte
}

// entry is a row of the ledger.
type entry struct {
	site                            string
	kind                            int
	id                              []byte
	at                              int64
	shown, salt, body, digest, link []byte
	erased                          bool
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
		} else if e.shown == nil && r.Shown != ([sha256.Size]byte{}) || e.shown != nil && !bytes.Equal(r.Shown[:], e.shown) {
			why = append(why, "what was shown was changed")
		}
	case erasureEntry:
		var note erasure
		if err := json.Unmarshal(e.body, &note); err != nil {
			why = append(why, "cannot be read: "+err.Error())
		} else if id, ok := consent.ParseID(note.Erases); !ok || !bytes.Equal(id[:], e.id) || note.At != e.at {
			why = append(why, "its ID or time was changed")
		}
	default:
		why = append(why, "is of no known kind")
	}
	return why
}
