package audit

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/askfirst/askfirst/rules/consent"
)

// chains appends to the chains of one writer within a transaction.
type chains struct {
	t      tx
	writer string
	heads  map[string]*head // by site
	// entries are those to be kept, ten columns each.
	entries []any
}

// head is the end of a chain, and its start.
type head struct {
	id, pruned, n int64
	link          []byte
	moved         bool
}

// lockChain takes the row of a chain, making it if need be, so that until the
// transaction ends nobody else appends to it or prunes it.
const lockChain = `INSERT INTO chains (site, writer, pruned, start, n, link) VALUES (?1, ?2, 0, ?3, 0, ?3)
	ON CONFLICT (site, writer) DO UPDATE SET n = chains.n RETURNING id, pruned, n, link`

// take queues for the heads of sites that are not known yet.
func (c *chains) take(sites ...string) {
	slices.Sort(sites) // so that two that take the same do not wait for each other
	for _, site := range sites {
		if c.heads[site] != nil {
			continue
		}
		if c.heads == nil {
			c.heads = make(map[string]*head)
		}
		h := &head{}
		c.heads[site] = h
		c.t.queue(lockChain, h.read, site, c.writer, []byte{})
	}
}

func (h *head) read(r row) error {
	h.id, h.pruned, h.n, h.link = r.ColumnInt64(0), r.ColumnInt64(1), r.ColumnInt64(2), bytes.Clone(r.ColumnRawBlob(3))
	return nil
}

// append adds an entry at the end of a site's chain, whose head was taken. The
// salt keeps the digest that outlives an erased body from telling anything about
// it.
func (c *chains) append(site string, kind int, id consent.ID, at int64, shown, body []byte) {
	h := c.heads[site]
	var salt [16]byte
	rand.Read(salt[:])
	digest := digestOf(kind, salt[:], body)
	link := linkOf(h.link, digest[:])
	h.n, h.link, h.moved = h.n+1, link[:], true
	c.entries = append(c.entries, h.id, h.n, kind, id[:], at, shown, salt[:], body, digest[:], h.link)
}

// save queues for the entries and the heads to be kept.
func (c *chains) save() {
	queueRows(c.t, `INSERT INTO ledger (chain, n, kind, id, at, shown, salt, body, digest, link) VALUES `, "", 10, c.entries, nil)
	for _, h := range c.heads {
		if h.moved {
			c.t.queue(`UPDATE chains SET n = ?2, link = ?3 WHERE id = ?1`, nil, h.id, h.n, h.link)
		}
	}
}

// record appends receipts. One that is there already is left alone; it is told
// whether that is another with the same ID.
func (c *chains) record(list []*receipt) error {
	if len(list) == 0 {
		return nil
	}
	first := make(map[consent.ID]*receipt, len(list))
	var sites []string
	var ids []any
	for _, r := range list {
		r.fresh, r.clash = false, false
		if known := first[r.id]; known != nil {
			r.clash = !bytes.Equal(known.body, r.body)
			continue
		}
		first[r.id], r.fresh = r, true
		ids = append(ids, r.id[:])
		if !slices.Contains(sites, r.choice.site) {
			sites = append(sites, r.choice.site)
		}
	}
	queueRows(c.t, `SELECT id, body FROM ledger WHERE kind = 1 AND id IN (`, ")", 1, ids, func(row row) error {
		r, old := first[consent.ID(row.ColumnRawBlob(0))], row.ColumnRawBlob(1)
		r.fresh, r.clash = false, old != nil && !bytes.Equal(old, r.body)
		return nil
	})
	c.take(sites...)
	if _, err := c.t.run("", nil); err != nil {
		return err
	}
	choices, countries := make(map[choice]int64), make(map[countryKey]int64)
	texts := make(map[[sha256.Size]byte]bool)
	for _, r := range list {
		if !r.fresh {
			continue
		}
		var shown []byte
		if r.shown != ([sha256.Size]byte{}) {
			shown = r.shown[:]
		}
		if r.text != nil && !texts[r.shown] {
			texts[r.shown] = true
			c.t.queue(insertText, nil, r.shown[:], r.at, r.text)
		}
		c.append(r.choice.site, receiptEntry, r.id, r.at, shown, r.body)
		choices[r.choice]++
		if r.country != "" {
			countries[countryKey{r.choice.site, r.choice.day, r.country, r.choice.action, r.choice.granted}]++
		}
	}
	sorted := make([]choice, 0, len(choices))
	for k := range choices {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, func(a, b choice) int { return strings.Compare(a.key(), b.key()) })
	for _, k := range sorted {
		c.t.queue(`INSERT INTO choices (site, day, action, method, regime, language, granted, n) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
			ON CONFLICT (site, day, action, method, regime, language, granted) DO UPDATE SET n = choices.n + excluded.n`, nil,
			k.site, k.day, k.action, k.method, k.regime, k.language, k.granted, choices[k])
	}
	for _, k := range slices.SortedFunc(maps.Keys(countries), countryKey.compare) {
		c.t.queue(`INSERT INTO countries (site, day, country, action, granted, n) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (site, day, country, action, granted) DO UPDATE SET n = countries.n + excluded.n`, nil,
			k.site, k.day, k.country, k.action, k.granted, countries[k])
	}
	return nil
}

// rowSizes are how many rows one statement takes: few sizes, so that few are
// prepared.
var rowSizes = [...]int{64, 8, 1}

// queueRows queues a statement for all rows of args, as many at once as fit.
// Between head and tail stand the parameters, in brackets where a row has more
// than one.
func queueRows(t tx, head, tail string, columns int, args []any, each func(row) error) {
	for _, size := range rowSizes {
		for len(args) >= size*columns {
			t.queue(rowStatement(head, tail, columns, size), each, args[:size*columns]...)
			args = args[size*columns:]
		}
	}
}

type rowKey struct {
	head string
	size int
}

var rowStatements sync.Map // rowKey to string

func rowStatement(head, tail string, columns, size int) string {
	if sql, ok := rowStatements.Load(rowKey{head, size}); ok {
		return sql.(string)
	}
	sql := []byte(head)
	for i := range size * columns {
		if i > 0 {
			sql = append(sql, ", "...)
		}
		if columns > 1 && i%columns == 0 {
			sql = append(sql, '(')
		}
		sql = fmt.Appendf(sql, "?%d", i+1)
		if columns > 1 && i%columns == columns-1 {
			sql = append(sql, ')')
		}
	}
	sql = append(sql, tail...)
	rowStatements.Store(rowKey{head, size}, string(sql))
	return string(sql)
}

const insertText = `INSERT INTO texts (hash, at, text) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING`

// choice is what choices are counted by.
type choice struct {
	site                                      string
	day                                       int64
	action, method, regime, language, granted string
}

func (k *choice) key() string {
	return strings.Join([]string{k.site, k.action, k.method, k.regime, k.language, k.granted}, "\x00")
}

// countryKey is what choices are counted by beside that.
type countryKey struct {
	site                     string
	day                      int64
	country, action, granted string
}

func (k countryKey) compare(l countryKey) int {
	return cmp.Or(strings.Compare(k.site, l.site), cmp.Compare(k.day, l.day), strings.Compare(k.country, l.country),
		strings.Compare(k.action, l.action), strings.Compare(k.granted, l.granted))
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
