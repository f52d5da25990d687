package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/ncruces/go-sqlite3"
)

// The kinds of entries in the ledger.
const (
	receiptEntry = 1
	erasureEntry = 2
)

// Record appends a receipt to its site's chain. It is on disk once Record
// returns nil. A receipt that is there already is left alone and is no error,
// so that one whose answer got lost can be sent again; another receipt with
// the same ID is refused with an error matching fs.ErrExist.
func (s *Store) Record(ctx context.Context, r *consent.Receipt) error {
	body, err := encodeReceipt(r)
	if err != nil {
		return fmt.Errorf("audit: receipt %s: %w", r.ID, err)
	}
	// The writer may come to it after the caller has gone.
	id, site, at := r.ID, strings.Clone(r.Site), r.At
	choice := []any{
		site, dayOf(at), strings.Clone(r.Action), strings.Clone(string(r.Method)), r.Regime.String(),
		strings.Clone(r.Language), r.Categories.String(),
	}
	var fresh, clash bool
	err = s.submit(ctx, &op{do: func(c *conn) error {
		fresh, clash = false, false
		known, old, err := stored(c, id)
		if err != nil {
			return err
		}
		if known {
			clash = old != nil && !bytes.Equal(old, body)
			return nil
		}
		fresh = true
		if err := appendEntry(c, site, receiptEntry, id, at, body); err != nil {
			return err
		}
		return c.run(`INSERT INTO choices (site, day, action, method, regime, language, granted, n)
			VALUES (?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (site, day, action, method, regime, language, granted) DO UPDATE SET n = n + 1`, nil, choice...)
	}})
	if err == nil && clash {
		err = fmt.Errorf("audit: receipt %s: another one has this ID: %w", r.ID, fs.ErrExist)
	}
	if err != nil {
		s.health.receiptFailures.Add(1)
		s.fail("receipt not written", err)
		return err
	}
	if fresh {
		s.health.receipts.Add(1)
	}
	return nil
}

// fail notes and logs a write that did not succeed.
func (s *Store) fail(what string, err error) {
	s.health.lastFailure.Store(&Failure{s.now(), what + ": " + err.Error()})
	s.log.Error(what, "error", err)
}

// stored returns the body of a receipt, nil for one erased.
func stored(c *conn, id consent.ID) (known bool, body []byte, err error) {
	err = c.run(`SELECT body FROM ledger WHERE id = ? AND kind = 1`, func(st *sqlite3.Stmt) error {
		known, body = true, bytes.Clone(st.ColumnRawBlob(0))
		return nil
	}, id[:])
	return known, body, err
}

// appendEntry appends an entry to a site's chain. The salt keeps the digest
// that outlives an erased body from telling anything about it.
func appendEntry(c *conn, site string, kind int, id consent.ID, at time.Time, body []byte) error {
	before, err := lastLink(c, site)
	if err != nil {
		return err
	}
	var salt [16]byte
	rand.Read(salt[:])
	digest := digestOf(kind, salt[:], body)
	link := linkOf(before, digest[:])
	return c.run(`INSERT INTO ledger (site, kind, id, at, salt, body, digest, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, nil,
		site, kind, id[:], at.Unix(), salt[:], body, digest[:], link[:])
}

// lastLink returns the link that the next entry of a site hangs on: nil for
// the first.
func lastLink(c *conn, site string) (link []byte, err error) {
	err = c.run(`SELECT link FROM ledger WHERE site = ? ORDER BY seq DESC LIMIT 1`, func(st *sqlite3.Stmt) error {
		link = bytes.Clone(st.ColumnRawBlob(0))
		return nil
	}, site)
	if err != nil || link != nil {
		return link, err
	}
	return startLink(c, site)
}

// startLink returns the link of the last entry that was pruned, nil for none.
func startLink(c *conn, site string) (link []byte, err error) {
	err = c.run(`SELECT link FROM starts WHERE site = ?`, func(st *sqlite3.Stmt) error {
		link = bytes.Clone(st.ColumnRawBlob(0))
		return nil
	}, site)
	return link, err
}

func digestOf(kind int, salt, body []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte{byte(kind)})
	h.Write(salt)
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

func linkOf(before, digest []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(before)
	h.Write(digest)
	return [sha256.Size]byte(h.Sum(nil))
}

// Receipt returns the receipt with the given ID. One that was erased has only
// its Site, ID and Erased. Where there is none, the error matches
// fs.ErrNotExist.
func (s *Store) Receipt(ctx context.Context, id consent.ID) (*consent.Receipt, error) {
	var found bool
	var site string
	var body []byte
	var erased time.Time
	err := s.read(ctx, func(c *conn) error {
		return c.run(`SELECT site, kind, at, body FROM ledger WHERE id = ? ORDER BY kind`, func(st *sqlite3.Stmt) error {
			found, site = true, st.ColumnText(0)
			switch st.ColumnInt(1) {
			case receiptEntry:
				body = bytes.Clone(st.ColumnRawBlob(3))
			case erasureEntry:
				erased = time.Unix(st.ColumnInt64(2), 0)
			}
			return nil
		}, id[:])
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("audit: reading receipt %s: %w", id, err)
	case !found:
		return nil, fmt.Errorf("audit: no receipt %s: %w", id, fs.ErrNotExist)
	case body == nil || !erased.IsZero():
		return &consent.Receipt{Site: site, Choice: consent.Choice{ID: id}, Erased: erased}, nil
	}
	r, err := decodeReceipt(body)
	if err != nil {
		return nil, fmt.Errorf("audit: reading receipt %s: %w", id, err)
	}
	return r, nil
}

// Erase empties the receipt with the given ID on behalf of the visitor. What
// is left is a tombstone that keeps the chain whole: the ID, the site, and
// when it was written and erased. Where there is no such receipt, the error
// matches fs.ErrNotExist; erasing again changes nothing.
func (s *Store) Erase(ctx context.Context, id consent.ID) error {
	return s.EraseAs(ctx, id, "visitor")
}

// EraseAs is Erase on behalf of the one named by, who is put on record.
func (s *Store) EraseAs(ctx context.Context, id consent.ID, by string) error {
	var missing bool
	err := s.submit(ctx, &op{scrub: true, do: func(c *conn) error {
		known, body, err := stored(c, id)
		missing = !known
		if err != nil || body == nil {
			return err
		}
		var site string
		err = c.run(`UPDATE ledger SET salt = NULL, body = NULL WHERE id = ? AND kind = 1 RETURNING site`, func(st *sqlite3.Stmt) error {
			site = st.ColumnText(0)
			return nil
		}, id[:])
		if err != nil {
			return err
		}
		now := s.now()
		note, err := json.Marshal(erasure{Erases: id.String(), At: now.Unix(), By: by})
		if err != nil {
			return err
		}
		return appendEntry(c, site, erasureEntry, id, now, note)
	}})
	switch {
	case err != nil:
		return fmt.Errorf("audit: erasing receipt %s: %w", id, err)
	case missing:
		return fmt.Errorf("audit: no receipt %s: %w", id, fs.ErrNotExist)
	}
	return nil
}

// erasure is the body of an entry that says that a receipt was erased.
type erasure struct {
	Erases string `json:"erases"`
	At     int64  `json:"at"`
	By     string `json:"by"`
}

// receiptBody is a receipt as it is stored. Fields are only ever added.
type receiptBody struct {
	ID         string   `json:"id"`
	At         int64    `json:"at"`
	Site       string   `json:"site"`
	Revision   uint32   `json:"revision"`
	Action     string   `json:"action"`
	Method     string   `json:"method"`
	Before     string   `json:"before"`
	After      string   `json:"after"`
	Regime     string   `json:"regime"`
	RegimeRule string   `json:"regime_rule,omitempty"`
	Vendors    []string `json:"vendors,omitempty"`
	Language   string   `json:"language,omitempty"`
	Shown      string   `json:"shown"`
	Address    string   `json:"address,omitempty"`
	Browser    string   `json:"browser,omitempty"`
	TC         string   `json:"tc,omitempty"`
	GPP        string   `json:"gpp,omitempty"`
}

func encodeReceipt(r *consent.Receipt) ([]byte, error) {
	return json.Marshal(receiptBody{
		ID: r.ID.String(), At: r.At.Unix(), Site: r.Site, Revision: r.Revision,
		Action: r.Action, Method: string(r.Method),
		Before: r.Before.String(), After: r.Categories.String(),
		Regime: r.Regime.String(), RegimeRule: r.RegimeRule,
		Vendors: r.Vendors, Language: r.Language, Shown: hex.EncodeToString(r.Shown[:]),
		Address: r.Address, Browser: r.Browser, TC: r.TC, GPP: r.GPP,
	})
}

func decodeReceipt(body []byte) (*consent.Receipt, error) {
	var b receiptBody
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	r := &consent.Receipt{
		Choice: consent.Choice{Revision: b.Revision, At: time.Unix(b.At, 0)},
		Site:   b.Site, RegimeRule: b.RegimeRule, Action: b.Action, Method: consent.Method(b.Method),
		Vendors: b.Vendors, Language: b.Language, Address: b.Address, Browser: b.Browser,
		TC: b.TC, GPP: b.GPP,
	}
	var ok bool
	if r.ID, ok = consent.ParseID(b.ID); !ok {
		return nil, errors.New("malformed id")
	}
	if r.Categories, ok = consent.ParseSet(b.After); !ok {
		return nil, errors.New("malformed categories")
	}
	if r.Before, ok = consent.ParseSet(b.Before); !ok {
		return nil, errors.New("malformed categories before")
	}
	if r.Regime, ok = consent.ParseRegime(b.Regime); !ok {
		return nil, errors.New("malformed regime")
	}
	if n, err := hex.Decode(r.Shown[:], []byte(b.Shown)); err != nil || n != len(r.Shown) {
		return nil, errors.New("malformed hash of what was shown")
	}
	return r, nil
}

// maxKnownTexts bounds how many hashes are remembered as stored.
const maxKnownTexts = 4096

// knownTexts remembers which texts are stored already.
type knownTexts struct {
	mu     sync.Mutex
	hashes map[[sha256.Size]byte]struct{}
}

func (k *knownTexts) has(hash [sha256.Size]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.hashes[hash]
	return ok
}

func (k *knownTexts) add(hash [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hashes == nil || len(k.hashes) >= maxKnownTexts {
		k.hashes = make(map[[sha256.Size]byte]struct{})
	}
	k.hashes[hash] = struct{}{}
}

// Shown keeps the markup and texts that visitors were shown, once, under the
// SHA-256 that receipts name. It is cheap to call again.
func (s *Store) Shown(ctx context.Context, hash [32]byte, text []byte) error {
	if s.texts.has(hash) {
		return nil
	}
	if sha256.Sum256(text) != hash {
		return fmt.Errorf("audit: keeping what was shown: the text does not have the hash %x", hash)
	}
	err := s.submit(ctx, &op{do: func(c *conn) error {
		return c.run(`INSERT INTO texts (hash, at, text) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING`, nil,
			hash[:], s.now().Unix(), text)
	}})
	if err != nil {
		return fmt.Errorf("audit: keeping what was shown: %w", err)
	}
	s.texts.add(hash)
	return nil
}

// Text returns what Shown kept. Where there is none, the error matches
// fs.ErrNotExist.
func (s *Store) Text(ctx context.Context, hash [32]byte) ([]byte, error) {
	var text []byte
	err := s.read(ctx, func(c *conn) error {
		return c.run(`SELECT text FROM texts WHERE hash = ?`, func(st *sqlite3.Stmt) error {
			text = append([]byte{}, st.ColumnRawBlob(0)...)
			return nil
		}, hash[:])
	})
	if err == nil && text == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("audit: text %x: %w", hash, err)
	}
	return text, nil
}
