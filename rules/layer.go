package rules

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/askfirst/askfirst/rules/consent"
)

// verdict is what a rule says of what it matches.
type verdict struct {
	vendor   *Vendor
	category consent.Category
	never    bool // held whatever was agreed to
	rule     Rule
}

func (v *verdict) decision(party Party) Decision {
	return Decision{Vendor: v.vendor, Category: v.category, Party: party, Rule: &v.rule, Never: v.never}
}

func (v *verdict) ofCode(imports bool) Decision {
	d := v.decision(NoParty)
	d.Imports = imports
	return d
}

// name adds to a decision that knows no vendor the one that v, which may be nil,
// knows. A container's name would have it released like one.
func (v *verdict) name(d Decision) Decision {
	if v != nil && !v.vendor.Container {
		d.Vendor = v.vendor
	}
	return d
}

// layer is a set of rules of one rank: the overrides are one, the catalogue is
// another. It is filled by the add methods and then built.
type layer struct {
	hosts  domainTable
	byHost []hostRules // by the numbers of hosts
	// anyHost are the patterns whose host is "*" or "self": those with a literal
	// that is long enough to be looked for, numbered as in anyRuns, and the rest.
	anyHost   []urlRule
	literals  []string // of anyHost
	anyRuns   runs
	unindexed []urlRule
	heads     []head // of unindexed
	pathsOnly int    // how many of unindexed, the first, want no query
	// byLabel are the patterns whose host is a label and "self".
	byLabel   map[string][]urlRule
	ownLabels words

	inline                  inlineTable
	cookies, storage, marks nameTable

	verdicts   chunk[verdict]
	urlRules   chunk[urlRule]
	tokens     chunk[[]byte]
	tokenBytes chunk[byte]
}

// hostRules are the rules about a domain.
type hostRules struct {
	domains []verdict
	urls    []urlRule
}

type urlRule struct {
	Pattern
	order int
	*verdict
}

// head is up to eight bytes that a path begins with if a pattern matches it.
type head struct{ bytes, mask uint64 }

func headOf(prefix string) head {
	n := min(len(prefix), 8)
	return head{runAt([]byte(prefix[:n]), 0), 1<<(8*n) - 1}
}

func (l *layer) addDomain(domain string, v verdict) {
	r := l.host(domain)
	r.domains = appendFirst(r.domains, &l.verdicts, v)
}

// reserve makes room for rules about n hosts.
func (l *layer) reserve(n int) {
	l.hosts.reserve(n)
	l.byHost = slices.Grow(l.byHost, n)
}

// minPatternLiteral is how long the literal of an indexed pattern is at least.
// The few shorter ones are compared one by one, so that the index can look at
// every third byte only.
const minPatternLiteral = longAnchor

func (l *layer) addURL(p Pattern, order int, v verdict) {
	said := l.verdicts.take(1)
	said[0] = v
	u := urlRule{p, order, &said[0]}
	label, ofLabel := p.ownLabel()
	switch {
	case ofLabel:
		if l.byLabel == nil {
			l.byLabel, l.ownLabels = map[string][]urlRule{}, newWords()
		}
		l.byLabel[label] = append(l.byLabel[label], u)
		l.ownLabels.add(label)
	case p.NamesHost():
		r := l.host(p.Host)
		r.urls = appendFirst(r.urls, &l.urlRules, u)
	case len(p.literal()) >= minPatternLiteral:
		l.anyHost = append(l.anyHost, u)
	default:
		l.unindexed = append(l.unindexed, u)
	}
}

func (l *layer) host(domain string) *hostRules {
	n := l.hosts.add(domain)
	if n == len(l.byHost) {
		l.byHost = append(l.byHost, hostRules{})
	}
	return &l.byHost[n]
}

// addInline enters a signature as checkTokens passes it, of scripts of any
// length or of snippets.
func (l *layer) addInline(tokens []string, inPrograms bool, v verdict) {
	s := signature{inPrograms: inPrograms, verdict: v}
	s.tokens = l.tokens.take(len(tokens))
	for i, t := range tokens {
		s.tokens[i] = l.tokenBytes.take(len(t))
		copy(s.tokens[i], t)
	}
	l.inline.signatures = append(l.inline.signatures, s)
}

func (l *layer) build() {
	l.inline.build()
	l.literals = make([]string, len(l.anyHost))
	for i := range l.anyHost {
		l.literals[i] = l.anyHost[i].literal()
	}
	l.anyRuns.enter(l.literals, longRun, longMask, commonness)
	for i := range l.unindexed {
		if !l.unindexed[i].wantsQuery() {
			l.unindexed[i], l.unindexed[l.pathsOnly] = l.unindexed[l.pathsOnly], l.unindexed[i]
			l.pathsOnly++
		}
	}
	for i := range l.unindexed {
		l.heads = append(l.heads, headOf(l.unindexed[i].prefix))
	}
	for i := range l.byHost {
		slices.SortStableFunc(l.byHost[i].urls, bySpecificity)
	}
}

func bySpecificity(a, b urlRule) int { return a.compare(&b) }

// compare orders patterns as they decide: the most specific first, then those
// about the fewest hosts, then those written first.
func (u *urlRule) compare(other *urlRule) int {
	if n := other.specificity - u.specificity; n != 0 {
		return n
	}
	return cmp.Or(u.breadth()-other.breadth(), u.order-other.order)
}

// urls returns every pattern of the layer, in the order in which they are written.
func (l *layer) urls() []urlRule {
	all := append(slices.Clone(l.anyHost), l.unindexed...)
	for _, urls := range l.byLabel {
		all = append(all, urls...)
	}
	for _, h := range l.byHost {
		all = append(all, h.urls...)
	}
	slices.SortFunc(all, func(a, b urlRule) int { return a.order - b.order })
	return all
}

// better returns u if it matches and decides before best, else best.
func (u *urlRule) better(best *urlRule, path, query []byte, except without) *urlRule {
	if len(path) < len(u.prefix) || string(path[:len(u.prefix)]) != u.prefix {
		return best
	}
	if best != nil && u.compare(best) >= 0 || !u.matches(path, query) || except.has(&u.rule) {
		return best
	}
	return u
}

// find returns the most specific pattern that matches p's reference, else the rule
// of the longest domain that its host is in. named and self say whether rules that
// name a host are looked at, and those for the page's own site.
func (l *layer) find(p *Page, named, self bool, except without) *verdict {
	var best *urlRule
	var domain *verdict
	path, query := p.ref.path(), p.ref.query()
	if named && len(l.hosts.slots) > 0 {
		best, domain = l.findNamed(p, 0, false, except)
	}
	if len(l.anyHost) > 0 {
		text := p.ref.buf[p.ref.pathAt:p.ref.end]
		l.anyRuns.scan(text, func(id, start int) {
			if u := &l.anyHost[id]; (self || u.Host == "*") && startsAt(text, start, l.literals[id]) {
				best = u.better(best, path, query, except)
			}
		})
	}
	heads := l.heads
	if len(query) == 0 {
		heads = heads[:l.pathsOnly]
	}
	begin := runAt(path, 0)
	for i, h := range heads {
		if begin&h.mask != h.bytes {
			continue
		}
		if u := &l.unindexed[i]; self || u.Host == "*" {
			best = u.better(best, path, query, except)
		}
	}
	if best != nil {
		return best.verdict
	}
	return domain
}

// findOwn returns what names the host of p's reference, one of the page's site
// other than the page's own, as one that measures or advertises: the most specific
// pattern about it or a domain below the site that it is in, else the rule of the
// longest such domain, else the most specific pattern about hosts that begin as it
// does. Who reads the pages of such a host came for what it has.
func (l *layer) findOwn(p *Page, except without) *verdict {
	host := p.ref.host()
	if p.atHost() || bytes.Equal(host, p.page.host()) {
		return nil
	}
	if v := l.findBelow(p, except); v != nil {
		return v
	}
	if l.byLabel == nil {
		return nil
	}
	label := withoutNumber(host[:max(0, bytes.IndexByte(host, '.'))])
	if !l.ownLabels.has(label) {
		return nil
	}
	var best *urlRule
	urls := l.byLabel[string(label)]
	for i := range urls {
		best = urls[i].better(best, p.ref.path(), p.ref.query(), except)
	}
	if best == nil {
		return nil
	}
	return best.verdict
}

// findBelow is findOwn for rules about domains below the page's site. What else
// than measuring and advertising a site does under such a name is its own.
func (l *layer) findBelow(p *Page, except without) *verdict {
	p.readLabels()
	best, domain := l.findNamed(p, bytes.Count(p.site, []byte{'.'})+1, true, except)
	if best != nil {
		return best.verdict
	}
	return domain
}

// findNamed returns the most specific pattern that names the host of p's reference
// or a domain that it is in, and the rule of the longest such domain, among domains of
// more than the given number of labels. tracking leaves out what is not about
// measuring or advertising.
func (l *layer) findNamed(p *Page, labels int, tracking bool, except without) (best *urlRule, domain *verdict) {
	host, path, query := p.ref.host(), p.ref.path(), p.ref.query()
	for i := max(l.hosts.above, labels); i < p.labels.n; i++ {
		n := l.hosts.find(&p.labels, host, i)
		if n < 0 {
			continue
		}
		h := &l.byHost[n]
		for j := range h.urls {
			if u := &h.urls[j]; !tracking || u.tracks() {
				best = u.better(best, path, query, except)
			}
		}
		if v := h.domain(except); v != nil && (!tracking || v.tracks()) {
			domain = v
		}
	}
	return best, domain
}

// tracks reports whether a rule is about measuring or advertising.
func (v *verdict) tracks() bool {
	return v.category == consent.Analytics || v.category == consent.Marketing
}

// domain returns the first rule about the domain.
func (h *hostRules) domain(except without) *verdict {
	for i := range h.domains {
		if v := &h.domains[i]; !except.has(&v.rule) {
			return v
		}
	}
	return nil
}

// findDomain returns the rule of the longest domain that a host is in.
func (l *layer) findDomain(labels *labels, host []byte, except without) *verdict {
	if len(l.hosts.slots) == 0 {
		return nil
	}
	for i := labels.n - 1; i >= l.hosts.above; i-- {
		if n := l.hosts.find(labels, host, i); n >= 0 {
			if v := l.byHost[n].domain(except); v != nil {
				return v
			}
		}
	}
	return nil
}
