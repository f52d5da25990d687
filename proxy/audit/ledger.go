package audit

import (
	"bytes"
	"context"
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
)

// The kinds of entries in the ledger.
const (
	receiptEntry = 1
	erasureEntry = 2
)

// receipt is a consent.Receipt on its way to the ledger.
type receipt struct {
	id      consent.ID
	at      int64
	choice  choice
	country string
	body    []byte
	shown   [sha256.Size]byte
	text    []byte // what shown is of; nil where it is kept already
	// fresh and clash tell whether it was not there before, and whether another
	// one has its ID.
	fresh, clash bool
}

// Record appends a receipt to its site's chain, and keeps the text that goes
// with it. Both are on disk once Record returns nil. A receipt that is there
// already is left alone and is no error, so that one whose answer got lost can
// be sent again; another receipt with the same ID is refused with an error
// matching fs.ErrExist.
func (s *Store) Record(ctx context.Context, r *consent.Receipt) error {
	k, err := s.receiptOf(r)
	if err != nil {
		return fmt.Errorf("audit: receipt %s: %w", r.ID, err)
	}
	o := &op{receipt: k}
	if err = s.submit(ctx, o); err == nil && k.clash {
		err = fmt.Errorf("audit: receipt %s: another one has this ID: %w", r.ID, fs.ErrExist)
	}
	if err != nil {
		s.health.receiptFailures.Add(1)
		s.fail("receipt not written", err)
		return err
	}
	if k.text != nil {
		s.texts.add(k.shown, dayOf(s.now()))
	}
	if k.fresh {
		s.health.receipts.Add(1)
	}
	return nil
}

// receiptOf makes what is written of a receipt. The writer may come to it after
// the caller has gone, so that it shares nothing with it.
func (s *Store) receiptOf(r *consent.Receipt) (*receipt, error) {
	body, err := encodeReceipt(r)
	if err != nil {
		return nil, err
	}
	k := &receipt{id: r.ID, at: r.At.Unix(), choice: choiceOf(r), country: strings.Clone(r.Country), body: body, shown: r.Shown}
	if r.Text != nil && !s.texts.has(r.Shown, dayOf(s.now())) {
		if sha256.Sum256(r.Text) != r.Shown {
			return nil, fmt.Errorf("the text that was shown does not have the hash %x", r.Shown)
		}
		k.text = bytes.Clone(r.Text)
	}
	return k, nil
}

// Receipt returns the receipt with the given ID. One that was erased has only
// its Site, ID and Erased. Where there is none, the error matches
// fs.ErrNotExist.
func (s *Store) Receipt(ctx context.Context, id consent.ID) (*consent.Receipt, error) {
	r, err := s.stored(ctx, id)
	if s.spool != nil && err != nil {
		// It may be that it waits to be sent.
		if waiting, e := s.spool.receipt(ctx, id); e == nil {
			return waiting, nil
		} else if !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}
	return r, err
}

func (s *Store) stored(ctx context.Context, id consent.ID) (*consent.Receipt, error) {
	var found bool
	var site string
	var body []byte
	var erased time.Time
	err := s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT c.site, l.kind, l.at, l.body FROM ledger l JOIN chains c ON c.id = l.chain WHERE l.id = ?1 ORDER BY l.kind`, func(r row) error {
			found, site = true, r.ColumnText(0)
			switch r.ColumnInt64(1) {
			case receiptEntry:
				body = bytes.Clone(r.ColumnRawBlob(3))
			case erasureEntry:
				erased = time.Unix(r.ColumnInt64(2), 0)
			}
			return nil
		}, id[:])
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("audit: reading receipt %s: %w", id, err)
	case !found:
		return nil, absent("receipt " + id.String())
	case body == nil || !erased.IsZero():
		return &consent.Receipt{Site: site, Choice: consent.Choice{ID: id}, Erased: erased}, nil
	}
	r, err := decodeReceipt(body)
	if err != nil {
		return nil, fmt.Errorf("audit: reading receipt %s: %w", id, err)
	}
	return r, nil
}

// visitor is who erases their own receipt.
const visitor = "visitor"

// Erase empties the receipt with the given ID on behalf of the visitor. What
// is left is a tombstone that keeps the chain whole: the ID, the site, and
// when it was written and erased. Where there is no such receipt, the error
// matches fs.ErrNotExist; erasing again changes nothing.
func (s *Store) Erase(ctx context.Context, id consent.ID) error {
	return s.EraseAs(ctx, id, visitor)
}

// EraseAs is Erase on behalf of the one named by, who is put on record.
func (s *Store) EraseAs(ctx context.Context, id consent.ID, by string) error {
	var missing bool
	err := s.submit(ctx, &op{scrub: true, do: func(t tx, c *chains) error {
		var site string
		var full bool
		missing = true
		_, err := t.run(`SELECT c.site, l.body FROM ledger l JOIN chains c ON c.id = l.chain WHERE l.id = ?1 AND l.kind = 1`, func(r row) error {
			missing, site, full = false, r.ColumnText(0), r.ColumnRawBlob(1) != nil
			return nil
		}, id[:])
		if err != nil || !full {
			return err
		}
		t.queue(`UPDATE ledger SET salt = NULL, body = NULL, shown = NULL WHERE id = ?1 AND kind = 1`, nil, id[:])
		c.take(site)
		if _, err := t.run("", nil); err != nil {
			return err
		}
		now := s.now().Unix()
		note, err := json.Marshal(erasure{Erases: id.String(), At: now, By: by})
		if err != nil {
			return err
		}
		c.append(site, erasureEntry, id, now, nil, note)
		t.queue(answerRequest, nil, id[:], "erasure", now)
		if by != visitor {
			queueOperation(t, s.now(), &Operation{Who: by, Action: "erase", About: id.String()})
		}
		return nil
	}})
	switch {
	case err != nil:
		return fmt.Errorf("audit: erasing receipt %s: %w", id, err)
	case missing:
		return absent("receipt " + id.String())
	}
	return nil
}

func choiceOf(r *consent.Receipt) choice {
	return choice{
		strings.Clone(r.Site), dayOf(r.At), strings.Clone(r.Action), strings.Clone(string(r.Method)), r.Regime.String(),
		strings.Clone(r.Language), r.Categories.String(),
	}
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
	Country    string   `json:"country,omitempty"`
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
		Regime: r.Regime.String(), RegimeRule: r.RegimeRule, Country: r.Country,
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
		Site:   b.Site, RegimeRule: b.RegimeRule, Country: b.Country, Action: b.Action, Method: consent.Method(b.Method),
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

// knownTexts remembers which texts were stored today, so that not every receipt
// carries its own.
type knownTexts struct {
	mu     sync.Mutex
	hashes map[[sha256.Size]byte]int64
}

func (k *knownTexts) has(hash [sha256.Size]byte, day int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	stored, ok := k.hashes[hash]
	return ok && stored == day
}

func (k *knownTexts) add(hash [sha256.Size]byte, day int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hashes == nil || len(k.hashes) >= maxKnownTexts {
		k.hashes = make(map[[sha256.Size]byte]int64)
	}
	k.hashes[hash] = day
}

// absent is the error that says of what there is none. It matches fs.ErrNotExist.
type absent string

func (a absent) Error() string { return "audit: there is no " + string(a) }

func (absent) Is(target error) bool { return target == fs.ErrNotExist }

// Text returns the text that came with receipts under a hash. Where there is
// none, the error matches fs.ErrNotExist.
func (s *Store) Text(ctx context.Context, hash [32]byte) ([]byte, error) {
	var text []byte
	err := s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT text FROM texts WHERE hash = ?1`, func(r row) error {
			text = append([]byte{}, r.ColumnRawBlob(0)...)
			return nil
		}, hash[:])
		return err
	})
	if err == nil && text == nil {
		return nil, absent(fmt.Sprintf("text %x", hash))
	}
	if err != nil {
		return nil, fmt.Errorf("audit: text %x: %w", hash, err)
	}
	return text, nil
}
