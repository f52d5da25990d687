package rules

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/net/publicsuffix"

	"github.com/askfirst/askfirst/rules/consent"
)

// Table is the rules as the guard reads them, which decides in the page as the
// engine does on the wire. All of them together are as large as a picture, and
// a page meets few: so the guard has the base from the start and asks for a part
// when it meets what only that part can decide about.
type Table struct {
	// Base is JSON: the operator's overrides, the heuristics that are asked,
	// the vendors that are containers and those whose tags cannot
	// run late, what has to be asked of the engine
	// itself, and the revision of the parts.
	Base []byte
	// Parts are JSON, by name: "names" has what is known of cookies, storage
	// keys and paths on any host, "code" signatures of inline scripts, "0" to
	// "63" the hosts; see partOf. "marks" is a list of its own: a selector of what
	// a vendor's widgets look like, that vendor's ID and the category that it
	// needs. It decides about nothing, as a widget is filled by a script, which is
	// held: it tells where a box may stand. Nor does "calls", the functions of
	// tags that sites call by name, for which others stand in.
	Parts map[string][]byte
	// Revision is that of the parts: equal revisions, equal parts.
	Revision string
}

// hostParts is into how many parts the hosts are cut: each is about a kilobyte
// under Brotli.
const hostParts = 64

// partOf returns the name of the part that a host is in: FNV-1a of its last two
// labels, which it shares with every domain that it is in and that rules name.
func partOf(host string) string {
	at := strings.LastIndexByte(host, '.')
	if at > 0 {
		at = strings.LastIndexByte(host[:at], '.')
	}
	h := uint32(nameSeed)
	for _, c := range []byte(host[at+1:]) {
		h = (h ^ uint32(c)) * namePrime
	}
	return strconv.Itoa(int(h % hostParts))
}

// tablePart is one part, or the overrides of one rank. What a rule says is an
// index of Said.
type tablePart struct {
	// Said are what rules say: a vendor, or null, and where an override says
	// another category than the vendor's, that category's name, or "never" for
	// what is always held.
	Said    []tableVerdict `json:"said,omitempty"`
	Domains map[string]int `json:"domains,omitempty"`
	// URLs are, by host, a regular expression (ECMAScript) of path and query,
	// what it says, and a number: of those that match the one decides whose
	// number less its own length is the least; of equals the one whose host is
	// asked for first, then the one that stands first.
	URLs map[string][][3]any `json:"urls,omitempty"`
	// Inline are the tokens of a signature, the longest first, and what it
	// says, and 1 if programs do not have it. They stand in the order in which
	// they decide.
	Inline [][]any `json:"inline,omitempty"`
	// Programs are what this regular expression (ECMAScript) holds for.
	Programs string         `json:"programs,omitempty"`
	Cookies  map[string]int `json:"cookies,omitempty"`
	Storage  map[string]int `json:"storage,omitempty"`
	// Vendors are the overrides about vendors, by their IDs.
	Vendors map[string]int `json:"vendors,omitempty"`
	// Guesses are the heuristics, see guesses.
	Guesses map[string]string `json:"guesses,omitempty"`
	// Containers are the IDs of vendors that are tag managers.
	Containers []string `json:"containers,omitempty"`
	// Reload are the IDs of vendors whose scripts cannot run late.
	Reload []string `json:"reload,omitempty"`

	index map[tableVerdict]int
}

// tableVerdict is a vendor and a word, see tablePart.
type tableVerdict struct {
	id        string
	named     bool // a vendor is known
	category  consent.Category
	container bool
	word      string
}

// MarshalJSON writes a vendor as id, category and 1 for a container: the guard
// holds, it does not tell visitors whom.
func (v tableVerdict) MarshalJSON() ([]byte, error) {
	row := []any{nil}
	if v.named {
		vendor := []any{v.id, v.category.String(), 0}
		if v.container {
			vendor[2] = 1
		}
		row[0] = vendor
	}
	if v.word != "" {
		row = append(row, v.word)
	}
	return json.Marshal(row)
}

// tableBase is the base. Pages are the overrides that hold for some pages only:
// a regular expression of paths and what holds there. They are looked at before
// the others. Quiet are the heuristics that are not asked.
type tableBase struct {
	Parts     string   `json:"parts"`
	Ask       string   `json:"ask,omitempty"`
	Quiet     []string `json:"quiet,omitempty"`
	Overrides struct {
		tablePart
		Pages [][2]any `json:"pages,omitempty"`
	} `json:"overrides,omitzero"`
}

// Table returns the rules for the guard, which is not to be changed. It is made once:
// hundreds of sites may have the same engine.
func (e *Engine) Table() *Table {
	e.tabled.Do(func() { e.table = e.newTable() })
	return e.table
}

func (e *Engine) newTable() *Table {
	t := &Table{Parts: map[string][]byte{}}
	parts := map[string]*tablePart{"names": {}, "code": {}}
	for i := range hostParts {
		parts[strconv.Itoa(i)] = &tablePart{}
	}
	c := &e.catalogue
	for _, u := range c.urls() {
		p := parts["names"]
		if u.NamesHost() {
			p = parts[partOf(u.Host)]
		}
		p.addURL(u)
	}
	for n, h := range c.byHost {
		domain := c.hosts.names[n]
		if len(h.domains) > 0 {
			parts[partOf(domain)].addDomain(domain, &h.domains[0])
		}
		if site, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil && site != domain {
			parts[partOf(domain)].addOwn(domain, &h)
		}
	}
	e.addBreadthTo(parts)
	parts["names"].Cookies = c.cookies.table(parts["names"])
	parts["names"].Storage = c.storage.table(parts["names"])
	parts["names"].Guesses = guesses()
	for _, v := range e.vendors {
		if v.Container {
			parts["names"].Containers = append(parts["names"].Containers, v.ID)
		}
		if v.Reload {
			parts["names"].Reload = append(parts["names"].Reload, v.ID)
		}
	}
	parts["code"].addInline(&c.inline)
	parts["code"].Programs = programExpression()
	for name, part := range parts {
		t.Parts[name] = marshalled(part)
	}
	t.Parts["marks"], t.Parts["calls"] = marshalled(e.marks()), marshalled(e.calls())
	digest := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(t.Parts)) {
		digest.Write(t.Parts[name])
	}
	t.Revision = base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:6])
	t.Base = marshalled(e.base(t.Revision))
	return t
}

// marks lists the widgets that can be seen: selector, vendor and category.
func (e *Engine) marks() [][3]string {
	list := [][3]string{}
	for _, v := range e.vendors {
		if len(v.Marks) == 0 || v.Widget == "" {
			continue
		}
		d := e.decideName(&e.catalogue.marks, []byte(v.Marks[0]), nil)
		if d.Never {
			continue
		}
		category := d.Category
		if category == consent.Unclassified {
			category = consent.Marketing
		}
		list = append(list, [3]string{strings.Join(v.Marks, ","), v.ID, category.String()})
	}
	return list
}

// calls lists the functions of tags that sites call by name: that name, the
// vendor and the category that it needs, "never" where the vendor is always held.
func (e *Engine) calls() [][3]string {
	list := [][3]string{}
	for _, v := range e.vendors {
		d := e.overridden(nil, &verdict{vendor: v, category: v.Category}, nil)
		needs := d.category.String()
		if d.never {
			needs = "never"
		}
		for _, name := range v.Calls {
			list = append(list, [3]string{name, v.ID, needs})
		}
	}
	return list
}

func (e *Engine) base(revision string) *tableBase {
	b := &tableBase{Parts: revision}
	switch {
	case len(e.lists.rules) > 0:
		b.Ask = "all"
	case e.aliases != nil:
		b.Ask = "first"
	}
	for i, h := range heuristics {
		if e.guessing[h.kinds[0]]>>i&1 == 0 {
			b.Quiet = append(b.Quiet, h.name)
		}
	}
	for _, s := range e.overrides {
		p := &tablePart{}
		for _, u := range s.layer.urls() {
			p.addURL(u)
		}
		for n, h := range s.layer.byHost {
			if len(h.domains) > 0 {
				p.addDomain(s.layer.hosts.names[n], &h.domains[0])
			}
		}
		p.addInline(&s.layer.inline)
		p.Cookies, p.Storage = s.layer.cookies.table(p), s.layer.storage.table(p)
		for _, v := range slices.SortedFunc(maps.Keys(s.byVendor), func(a, b *Vendor) int { return strings.Compare(a.ID, b.ID) }) {
			if p.Vendors == nil {
				p.Vendors = map[string]int{}
			}
			p.Vendors[v.ID] = p.says(s.byVendor[v][0])
		}
		if s.pages == "" {
			b.Overrides.tablePart = *p
		} else {
			b.Overrides.Pages = append(b.Overrides.Pages, [2]any{"^" + globExpression(s.pages, ".*", "") + "$", p})
		}
	}
	return b
}

func marshalled(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("rules: table: " + err.Error())
	}
	return text
}

// says returns the index of what a rule says in the part, which has it from then
// on.
func (p *tablePart) says(v *verdict) int {
	var said tableVerdict
	switch {
	case v.rule.Source == SourceTable:
		// The guard has to hold what the breadth table names, not to name it.
		said = tableVerdict{named: true, category: v.category}
	case v.vendor != nil:
		said = tableVerdict{id: v.vendor.ID, named: true, category: v.vendor.Category, container: v.vendor.Container}
	}
	switch {
	case v.never:
		said.word = "never"
	case !said.named || v.category != said.category:
		said.word = v.category.String()
	}
	n, known := p.index[said]
	if !known {
		if p.index == nil {
			p.index = map[tableVerdict]int{}
		}
		n = len(p.Said)
		p.index[said] = n
		p.Said = append(p.Said, said)
	}
	return n
}

func (p *tablePart) addDomain(domain string, v *verdict) {
	if p.Domains == nil {
		p.Domains = map[string]int{}
	}
	p.Domains[domain] = p.says(v)
}

func (p *tablePart) addURL(u urlRule) {
	if p.URLs == nil {
		p.URLs = map[string][][3]any{}
	}
	e := u.expression()
	p.URLs[u.Host] = append(p.URLs[u.Host], [3]any{e, p.says(u.verdict), len(utf16.Encode([]rune(e))) - u.specificity})
}

// addOwn adds what findBelow looks at, about a domain below a site's: patterns
// whose host is the domain and a dot, and one for the domain itself. They decide
// before those about labels, the domain after the rest.
func (p *tablePart) addOwn(domain string, h *hostRules) {
	const beforeLabels = 1 << 16
	add := func(u urlRule) {
		u.Host = domain + "."
		u.specificity += beforeLabels
		p.addURL(u)
	}
	for _, u := range h.urls {
		if u.tracks() {
			u.specificity += beforeLabels
			add(u)
		}
	}
	if len(h.domains) > 0 && h.domains[0].tracks() {
		add(urlRule{Pattern: Pattern{Path: "*", specificity: len(domain)}, verdict: &h.domains[0]})
	}
}

// expression writes the pattern as a regular expression of ECMAScript that is
// held against path and query together.
func (p *Pattern) expression() string {
	var e strings.Builder
	e.WriteByte('^')
	if p.AnyQuery {
		e.WriteString(`(?=[^?]*\?.)`)
	}
	for i, pair := range p.Query {
		value := "=" + globExpression(pair[1], "[^&]*", strconv.Itoa(i)+"_")
		if strings.Trim(strings.TrimSuffix(pair[1], "$"), "*") == "" {
			value = "(?:" + value + ")?"
		}
		e.WriteString(`(?=[^?]*\?(?:.*&)?` + regexp.QuoteMeta(pair[0]) + value + "(?:&|$))")
	}
	e.WriteString(globExpression(strings.TrimSuffix(p.Path, "*"), "[^?]*", ""))
	if !strings.HasSuffix(p.Path, "*") {
		e.WriteString(`(?:\?|$)`)
	}
	return e.String()
}

// globExpression writes a glob, with what its asterisks stand for. Where there
// are several, what has matched up to one is not looked at again: a glob that
// matches at all does so with each piece in its first place, so that the
// expression takes time in proportion to the text, not to a power of it. No two globs
// of an expression have the same name.
func globExpression(glob, any, name string) string {
	pieces := strings.Split(strings.TrimSuffix(glob, "$"), "*")
	e := regexp.QuoteMeta(pieces[0])
	for i, piece := range pieces[1:] {
		switch piece = regexp.QuoteMeta(piece); {
		case i == len(pieces)-2:
			e += any + piece
		case piece != "":
			group := "<_" + name + strconv.Itoa(i) + ">"
			e += "(?=(?" + group + any + "?" + piece + "))\\k" + group
		}
	}
	return e
}

func (p *tablePart) addInline(t *inlineTable) {
	for i := range t.signatures {
		s := &t.signatures[i]
		var tokens []string
		for _, token := range s.tokens {
			tokens = append(tokens, string(token))
		}
		slices.SortStableFunc(tokens, func(a, b string) int { return len(b) - len(a) })
		signature := []any{tokens, p.says(&s.verdict)}
		if !s.inPrograms {
			signature = append(signature, 1)
		}
		p.Inline = append(p.Inline, signature)
	}
}

// addBreadthTo adds the domains of the breadth table that have a category.
func (e *Engine) addBreadthTo(parts map[string]*tablePart) {
	for n, h := range e.breadth.byHost {
		domain, v := e.breadth.hosts.names[n], &h.domains[0]
		p := parts[partOf(domain)]
		if _, known := p.Domains[domain]; !known && v.category != consent.Unclassified {
			p.addDomain(domain, v)
		}
	}
}

// table returns what names say: a prefix ends in an asterisk.
func (t *nameTable) table(p *tablePart) map[string]int {
	rows := map[string]int{}
	for _, s := range t.slots {
		if s.entry == 0 {
			continue
		}
		e := &t.entries[s.entry-1]
		name := e.name
		if e.prefix {
			name += "*"
		}
		rows[name] = p.says(&e.verdict)
	}
	return rows
}
