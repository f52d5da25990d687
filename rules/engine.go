package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/askfirst/askfirst/rules/consent"
)

// Engine is a compiled set of rules.
//
// What decides about a URL, first to last: an override about a URL pattern, a
// domain, a vendor; an exception of an operator's list; the catalogue's URL
// patterns, then its domains; the breadth table; a rule of an operator's list; a
// heuristic. What nothing names is unclassified if it is a third party's and
// necessary if it is the page's own. The page's own URLs are matched only by
// rules that name them: overrides, and patterns with the host "*" or "self"; by
// domains that its hosts are aliases of, where Options.Aliases is set; and, after
// all others of their rank, by rules about domains below the page's site, and
// by patterns with a host such as "ads.self".
type Engine struct {
	overrides []*overrideSet // in the order in which they are looked at
	catalogue layer
	breadth   layer
	vendors   []*Vendor
	byID      map[string]*Vendor
	lists     listTable
	guesses   [len(heuristics)]verdict
	guessing  [kinds]uint16 // by kind, a bit for each heuristic that is asked
	aliases   *Aliases
	// looksAtHosts says that hosts of the page's own site are looked at too.
	looksAtHosts bool
	// ofPages says that overrides hold for some pages only.
	ofPages  bool
	answers  *answers // nil where nothing is remembered
	revision [16]byte
	tabled   sync.Once
	table    *Table // for the guard, once it was asked for
}

// Options are what an Engine is made from beside the embedded catalogue.
type Options struct {
	Overrides []Override
	// Lists are the operator's own.
	Lists []List
	// Aliases finds trackers behind names of the site's own; nil for not.
	Aliases *Aliases
	// HeuristicsOff names the heuristics that are not asked, see Heuristics.
	HeuristicsOff []string
	// ConsentMode lets tags that heed Google Consent Mode pass whatever was
	// agreed to; what they keep in the browser stays what it is.
	ConsentMode bool
}

// New compiles the embedded catalogue with the given options. Its error joins
// every mistake found, each with file and line.
func New(o Options) (*Engine, error) {
	e, err := compileEmbedded(o)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return e, nil
}

// compile makes an engine of a catalogue, whose digest is sum, and of a breadth
// table.
func compile(c catalogue, sum []byte, breadth string, o Options) (*Engine, error) {
	products := strings.Count(breadth, "\n")
	e := &Engine{byID: make(map[string]*Vendor, c.vendors+products), aliases: o.Aliases}
	digest := sha256.New()
	digest.Write(sum)
	digest.Write([]byte(breadth))
	encoder := json.NewEncoder(digest)
	order := 0
	e.catalogue.reserve(c.hosts)
	e.catalogue.inline.signatures = make([]signature, 0, c.signatures)
	e.catalogue.cookies.entries = make([]nameEntry, 0, c.cookies)
	e.vendors = make([]*Vendor, 0, c.vendors)
	for s := range c.sources {
		e.vendors = append(e.vendors, s.Vendor)
		e.byID[s.ID] = s.Vendor
		e.addVendor(s, &order)
	}
	e.breadth.reserve(products)
	e.addBreadth(breadth)
	var mistakes []error
	if err := e.setHeuristics(o.HeuristicsOff); err != nil {
		mistakes = append(mistakes, err)
	}
	enter := func(overrides []Override) {
		for i := range overrides {
			if err := e.addOverride(&overrides[i], order); err != nil {
				mistakes = append(mistakes, err)
			}
			order++
		}
	}
	enter(o.Overrides)
	if o.ConsentMode {
		further := slices.DeleteFunc(consentModeOverrides(e.vendors), e.isOverridden)
		enter(further)
		o.Overrides = append(slices.Clip(o.Overrides), further...)
	}
	for i := range o.Lists {
		if err := e.lists.add(&o.Lists[i]); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	for _, s := range e.overrides {
		s.build()
	}
	e.catalogue.build()
	e.breadth.build()
	e.lists.build()
	e.answers = newAnswers()
	e.ofPages = slices.ContainsFunc(e.overrides, func(s *overrideSet) bool { return s.pages != "" })
	e.looksAtHosts = len(e.overrides) > 0 || len(o.Lists) > 0 || o.Aliases != nil
	encoder.Encode(o.Overrides)
	encoder.Encode(o.HeuristicsOff)
	for _, l := range o.Lists {
		encoder.Encode([]any{l.Name, l.Format, l.Category, len(l.Text)})
		digest.Write(l.Text)
	}
	copy(e.revision[:], digest.Sum(nil))
	return e, nil
}

func (e *Engine) addVendor(s *source, order *int) {
	v := s.Vendor
	said := func(text string, line int) verdict {
		return verdict{vendor: v, category: v.Category, rule: Rule{SourceCatalogue, text, s.file, line}}
	}
	known := &e.catalogue
	if v.Category == consent.Unclassified {
		known = &e.breadth
	}
	for i, domain := range v.Domains {
		known.addDomain(domain, said(domain, s.domains[i]))
	}
	for i, text := range v.URLs {
		e.catalogue.addURL(s.patterns[i], *order, said(text, s.urls[i]))
		*order++
	}
	for i, tokens := range v.Inline {
		e.catalogue.addInline(tokens, s.Inlined, said(strings.Join(tokens, " … "), s.inline[i]))
	}
	for i, mark := range v.Marks {
		name := mark
		if strings.Contains(mark, "^=") {
			name = mark[:len(mark)-1] + "*"
		}
		e.catalogue.marks.add(name, said(mark, s.marks[i]))
	}
	// What a vendor keeps under its own domain does not pass through here, and
	// the site may use the same name for something of its own.
	for i, c := range v.Cookies {
		if c.Party != "third" {
			e.catalogue.cookies.add(c.Name, said(c.Name, s.cookieLines[i]))
		}
	}
	for i, c := range v.Storage {
		if c.Party != "third" {
			e.catalogue.storage.add(c.Name, said(c.Name, s.storages[i]))
		}
	}
}

// Revision identifies the rules: two engines with equal revisions decide alike.
// It changes when an alias becomes known (see Aliases).
func (e *Engine) Revision() [16]byte {
	r := e.revision
	if e.aliases != nil {
		binary.LittleEndian.PutUint64(r[:], binary.LittleEndian.Uint64(r[:])^e.aliases.changes.Load())
	}
	return r
}

// URL decides about a reference as it stands in the page, character references
// decoded. ref is read as browsers read it (WHATWG URL).
func (e *Engine) URL(p *Page, ref []byte, k Kind) Decision { return e.URLWith(p, ref, k, 0) }

// URLWith decides about a reference likewise, of an element that shows the
// given signs.
func (e *Engine) URLWith(p *Page, ref []byte, k Kind, s Sign) Decision {
	if e.answers == nil || len(ref) > maxRemembered {
		return e.readURL(p, ref, k, s)
	}
	h := p.hash(ref, e.ofPages) ^ uint64(k)<<56 ^ uint64(s)<<48
	if d, known := e.answers.get(h); known {
		p.unread = append(p.unread[:0], ref...)
		return d
	}
	d := e.readURL(p, ref, k, s)
	// Whose alias a host is may be found out later.
	if d.Party != NoParty && !(e.aliases != nil && d.Party == FirstParty && p.mayBeAlias()) {
		e.answers.put(h, d)
	}
	return d
}

// readURL is URLWith for what is not remembered.
func (e *Engine) readURL(p *Page, ref []byte, k Kind, s Sign) Decision {
	party := p.resolve(ref)
	if party == NoParty {
		return Decision{}
	}
	// A first party's host is looked at by few.
	if party == ThirdParty || e.looksAtHosts {
		p.readLabels()
	}
	return e.decide(p, party, k, s, nil)
}

// decide decides about the reference that p has resolved, as if the rules in
// except were not there.
func (e *Engine) decide(p *Page, party Party, k Kind, s Sign, except without) Decision {
	// What is in a frame of the site's own is a page, whose tags are held, and a form
	// goes where the visitor sends it.
	self := party == FirstParty && k != Frame && k != Form
	for _, set := range e.overrides {
		if !set.holdsFor(p) {
			continue
		}
		v := set.find(p, true, self, except)
		if v == nil && self {
			v = set.findOwn(p, except)
		}
		if v != nil {
			return v.decision(party)
		}
	}
	v := e.catalogue.find(p, party == ThirdParty, self, except)
	if v == nil && party == FirstParty && e.aliases != nil {
		v = e.findAlias(p, except)
	}
	if v == nil && self {
		v = e.catalogue.findOwn(p, except)
	}
	var named *verdict // whose it is, if not what for
	if v == nil && party == ThirdParty {
		if v = e.breadth.findDomain(&p.labels, p.ref.host(), except); v != nil && v.category == consent.Unclassified {
			if named = v; e.overridden(p, v, except) == v {
				v = nil
			}
		}
	}
	// The lists are asked even where the catalogue knows the URL: they may
	// except it, which an override about its vendor overrules.
	l := e.lists.find(p, party, k, except)
	if v != nil {
		if o := e.overridden(p, v, except); o != v || l == nil || l.flags&flagException == 0 {
			return o.decision(party)
		}
	}
	if l != nil {
		return named.name(l.decision(party))
	}
	if party == FirstParty {
		return undecided(party)
	}
	if v := e.guess(p, k, s, except); v != nil {
		return named.name(v.decision(party))
	}
	if named != nil {
		return named.decision(party)
	}
	return undecided(party)
}

// overridden returns the override about the vendor that v names, v itself if
// there is none. p is nil where no page is known.
func (e *Engine) overridden(p *Page, v *verdict, except without) *verdict {
	for _, s := range e.overrides {
		if len(s.byVendor) == 0 || !s.holdsFor(p) {
			continue
		}
		for _, o := range s.byVendor[v.vendor] {
			if !except.has(&o.rule) {
				return o
			}
		}
	}
	return v
}

// Inline decides about the code of an inline script, event handler or
// javascript: URL. Code that no rule knows is Necessary with a nil Rule.
func (e *Engine) Inline(p *Page, code []byte) Decision { return e.decideInline(p, code, nil) }

func (e *Engine) decideInline(p *Page, code []byte, except without) Decision {
	for _, s := range e.overrides {
		if len(s.inline.signatures) > 0 && s.holdsFor(p) {
			if v, imports := s.inline.find(p, code, except); v != nil {
				return v.ofCode(imports)
			}
		}
	}
	v, imports := e.catalogue.inline.find(p, code, except)
	if v == nil {
		return Decision{Imports: imports}
	}
	return e.overridden(p, v, except).ofCode(imports)
}

// Cookie decides about a cookie by its name. A cookie that no rule knows is
// Necessary with a nil Rule.
func (e *Engine) Cookie(name []byte) Decision { return e.decideCookie(name, nil) }

func (e *Engine) decideCookie(name []byte, except without) Decision {
	for _, s := range e.overrides {
		if v := s.cookies.find(name, except); v != nil {
			return v.decision(NoParty)
		}
	}
	return e.decideName(&e.catalogue.cookies, name, except)
}

func (e *Engine) decideStorage(key []byte, except without) Decision {
	for _, s := range e.overrides {
		if v := s.storage.find(key, except); v != nil {
			return v.decision(NoParty)
		}
	}
	return e.decideName(&e.catalogue.storage, key, except)
}

// Storage decides about a localStorage or sessionStorage key likewise.
func (e *Engine) Storage(key []byte) Decision { return e.decideStorage(key, nil) }

func (e *Engine) decideName(t *nameTable, name []byte, except without) Decision {
	if v := t.find(name, except); v != nil {
		return e.overridden(nil, v, except).decision(NoParty)
	}
	return Decision{}
}

// Class decides about a class in HTML. A mark that no rule knows is Necessary
// with a nil Rule.
func (e *Engine) Class(name []byte) Decision { return e.mark(".", name, "", nil) }

// ID decides about an element's id likewise.
func (e *Engine) ID(name []byte) Decision { return e.mark("#", name, "", nil) }

// Element decides about an element by its name in lower case.
func (e *Engine) Element(name []byte) Decision { return e.mark("", name, "", nil) }

// Attribute decides about an attribute by its name in lower case and its value.
func (e *Engine) Attribute(name, value []byte) Decision {
	if d := e.mark("[", name, "]", nil); d.Rule != nil {
		return d
	}
	return e.mark("[", name, "^=", value[:min(len(value), maxPrefixLength)])
}

// maxMarkLength is the longest class, id or name that is looked up.
const maxMarkLength = 128

func (e *Engine) mark(before string, name []byte, after string, value []byte) Decision {
	var buf [maxMarkLength + maxPrefixLength + 3]byte
	if len(name) > maxMarkLength {
		return Decision{}
	}
	text := append(append(append(append(buf[:0], before...), name...), after...), value...)
	return e.decideName(&e.catalogue.marks, text, nil)
}

// Vendor returns the vendor with the given ID, nil for none.
func (e *Engine) Vendor(id string) *Vendor { return e.byID[id] }

// Lists says what was made of each operator's list.
func (e *Engine) Lists() []ListSummary { return e.lists.summaries }

// Vendors returns all vendors in the order of their IDs.
func (e *Engine) Vendors() []*Vendor { return e.vendors }
