package rules

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// Format is how an operator's list is written.
type Format string

// The formats.
const (
	FormatABP          Format = "abp"           // Adblock Plus network rules
	FormatHosts        Format = "hosts"         // a hosts file, or a host a line
	FormatDisconnect   Format = "disconnect"    // Disconnect services.json
	FormatTrackerDB    Format = "trackerdb"     // Ghostery TrackerDB as JSON
	FormatTrackerRadar Format = "tracker-radar" // Tracker Radar: the block list, or one domain's entry
)

// List is a list that the operator brings.
type List struct {
	// Name is how decisions call it: the file's name.
	Name   string
	Format Format
	// Category is what is blocked by it: what the list's own categories do
	// not say otherwise.
	Category consent.Category
	Text     []byte
}

// ListSummary says what was made of a list.
type ListSummary struct {
	Name  string
	Rules int
	// Ignored counts what is not supported, by the reason.
	Ignored map[string]int
}

// String tells how many rules a list has and what of it is not supported, in the
// order of the reasons: "easy.txt: 2 rules; ignored: 1 cosmetic rule".
func (s ListSummary) String() string {
	text := fmt.Sprintf("%s: %d rules", s.Name, s.Rules)
	before := "; ignored: "
	for _, reason := range slices.Sorted(maps.Keys(s.Ignored)) {
		text += fmt.Sprintf("%s%d %s", before, s.Ignored[reason], reason)
		before = ", "
	}
	return text
}

// listTable are the rules of all lists.
type listTable struct {
	rules     []listRule
	hosts     domainTable
	byHost    []uint32 // 1 + the first rule of a host, by the numbers of hosts
	pages     domainTable
	byPage    [][]uint32 // rules that are looked at on a page's domain only
	literals  grams
	byLiteral []literalRule
	unindexed []uint32
	summaries []ListSummary
	regexps   int
	wordless  int // rules, see maxWordless
}

// literalRule is the rule of a literal.
type literalRule struct {
	// word are the literal's first eight bytes, as far as mask goes: most
	// that is found by chance is told by them.
	word, mask uint64
	rule       uint32
	// offset is where in the pattern the literal stands, if that is nothing
	// but bytes and separators, else -1.
	offset int32
}

func newLiteralRule(literal string, rule uint32, offset int) literalRule {
	l := literalRule{rule: rule, offset: int32(offset)}
	for i := range min(len(literal), 8) {
		l.word |= uint64(literal[i]) << (8 * i)
		l.mask |= 0xff << (8 * i)
	}
	return l
}

// listReader adds the rules of one list.
type listReader struct {
	*listTable
	*List
	text    string
	summary *ListSummary
	ends    []int // of lines, worked out when they are asked for
}

// add reads a list.
func (t *listTable) add(l *List) error {
	t.summaries = append(t.summaries, ListSummary{Name: l.Name, Ignored: map[string]int{}})
	if len(l.Text) > MaxListSize {
		return &Mistake{l.Name, 1, fmt.Sprintf("list has %d bytes; at most %d", len(l.Text), MaxListSize)}
	}
	r := listReader{listTable: t, List: l, text: string(l.Text), summary: &t.summaries[len(t.summaries)-1]}
	if l.Category > consent.Unclassified {
		return &Mistake{l.Name, 1, "no such category"}
	}
	switch l.Format {
	case FormatABP:
		return r.readABP()
	case FormatHosts:
		return r.readHosts()
	case FormatDisconnect:
		return r.readDisconnect()
	case FormatTrackerDB:
		return r.readTrackerDB()
	case FormatTrackerRadar:
		return r.readTrackerRadar()
	}
	return &Mistake{l.Name, 1, fmt.Sprintf("no list format is called %q", l.Format)}
}

func (r *listReader) ignore(reason error) { r.summary.Ignored[reason.Error()]++ }

// keep adds a rule, unless there are too many.
func (r *listReader) keep(rule listRule, line int) error {
	if len(r.rules) == MaxListRules {
		return &Mistake{r.Name, line, fmt.Sprintf("lists have more than %d rules together", MaxListRules)}
	}
	rule.rule.File, rule.rule.Line = r.Name, line
	rule.rule.Source = SourceList
	if rule.flags&flagException != 0 {
		rule.rule.Source = SourceException
		rule.category = uint8(consent.Necessary)
	}
	r.rules = append(r.rules, rule)
	r.summary.Rules++
	return nil
}

// lines calls read with each line of the list.
func (r *listReader) lines(read func(n int, line string) error) error {
	n := 0
	for line := range strings.Lines(r.text) {
		n++
		if err := read(n, strings.TrimRight(line, "\r\n")); err != nil {
			return err
		}
	}
	return nil
}

func (r *listReader) readABP() error {
	first := len(r.rules)
	var withdrawn map[string]bool
	expected := min(first+strings.Count(r.text, "\n"), first+len(r.text)/16, MaxListRules)
	r.rules = append(make([]listRule, 0, max(first, expected)), r.rules...)
	err := r.lines(func(n int, line string) error {
		var rule listRule
		ok, bad, err := r.parse(line, &rule)
		switch {
		case err != nil:
			r.ignore(err)
		case bad:
			if withdrawn == nil {
				withdrawn = map[string]bool{}
			}
			withdrawn[withoutBadfilter(line)] = true
		case ok:
			rule.rule.Text = strings.TrimSpace(line)
			rule.category = uint8(r.Category)
			return r.keep(rule, n)
		}
		return nil
	})
	if withdrawn != nil {
		kept := r.rules[:first]
		for _, rule := range r.rules[first:] {
			if withdrawn[rule.rule.Text] {
				r.ignore(errBad)
				r.summary.Rules--
				continue
			}
			kept = append(kept, rule)
		}
		r.rules = kept
	}
	return err
}

// withoutBadfilter returns the rule that a $badfilter rule withdraws.
func withoutBadfilter(line string) string {
	body, options, _ := strings.Cut(strings.TrimSpace(line), "$")
	var kept []string
	for option := range strings.SplitSeq(options, ",") {
		if option != "badfilter" {
			kept = append(kept, option)
		}
	}
	if len(kept) == 0 {
		return body
	}
	return body + "$" + strings.Join(kept, ",")
}

func (r *listReader) readHosts() error {
	return r.lines(func(n int, line string) error {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			return nil
		}
		if len(fields) > 1 {
			fields = fields[1:] // the address
		}
		for _, name := range fields {
			domain, err := parseDomain(name)
			if err != nil {
				r.ignore(errDomain)
				continue
			}
			if domain == "localhost" || strings.HasPrefix(domain, "localhost.") || strings.IndexByte(domain, '.') < 0 {
				continue
			}
			rule := listRule{domain: domain, flags: flagOwner | flagExact | flagThirdParty, types: allTypes, category: uint8(r.Category)}
			rule.rule.Text = domain
			if err := r.keep(rule, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// foreign maps the categories of the JSON lists to ours.
var foreign = map[string]consent.Category{
	"advertising": consent.Marketing, "ad motivated tracking": consent.Marketing, "ad fraud": consent.Marketing,
	"third-party analytics marketing": consent.Marketing, "fingerprintinginvasive": consent.Marketing, "fingerprintinggeneral": consent.Marketing,
	"cryptomining": consent.Marketing, "action pixels": consent.Marketing, "pornvertising": consent.Marketing, "adult_advertising": consent.Marketing,
	"analytics": consent.Analytics, "audience measurement": consent.Analytics, "site_analytics": consent.Analytics, "session replay": consent.Analytics,
	"social": consent.Social, "social network": consent.Social, "social_media": consent.Social, "social - share": consent.Social, "social - comment": consent.Social,
	"customer interaction": consent.Functional, "customer_interaction": consent.Functional, "audio_video_player": consent.Functional,
	"comments": consent.Social, "content": consent.Functional, "embedded content": consent.Functional,
}

// trackingDomain adds a domain of a JSON list.
func (r *listReader) trackingDomain(domain string, categories []string, at int64) error {
	name, err := parseDomain(strings.ToLower(domain))
	if err != nil {
		r.ignore(errDomain)
		return nil
	}
	category := r.Category
	for _, c := range categories {
		if known, ok := foreign[strings.ToLower(c)]; ok {
			category = known
			break
		}
	}
	rule := listRule{domain: name, flags: flagOwner | flagThirdParty, types: allTypes, category: uint8(category)}
	rule.rule.Text = domain
	return r.keep(rule, r.lineAt(at))
}

// lineAt returns the line of a byte of the list, from 1.
func (r *listReader) lineAt(at int64) int {
	if r.ends == nil {
		r.ends = []int{}
		for i := range len(r.text) {
			if r.text[i] == '\n' {
				r.ends = append(r.ends, i)
			}
		}
	}
	line, _ := slices.BinarySearch(r.ends, int(at))
	return 1 + line
}

func (r *listReader) decode(into any) error {
	err := json.Unmarshal(r.Text, into)
	var syntaxError *json.SyntaxError
	var typeError *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntaxError):
		return &Mistake{r.Name, r.lineAt(syntaxError.Offset), "not JSON: " + err.Error()}
	case errors.As(err, &typeError):
		return &Mistake{r.Name, r.lineAt(typeError.Offset), "not a " + string(r.Format) + " list: " + err.Error()}
	case err != nil:
		return &Mistake{r.Name, 1, err.Error()}
	}
	return nil
}

// places finds the lines of strings in a JSON text, asked for in any order.
type places map[string]int64

func (r *listReader) places() places {
	p := places{}
	decoder := json.NewDecoder(bytes.NewReader(r.Text))
	for {
		token, err := decoder.Token()
		if err != nil {
			return p
		}
		if s, ok := token.(string); ok {
			if _, seen := p[s]; !seen {
				p[s] = decoder.InputOffset()
			}
		}
	}
}

func (r *listReader) readDisconnect() error {
	var list struct {
		Categories map[string][]map[string]map[string]json.RawMessage `json:"categories"`
	}
	if err := r.decode(&list); err != nil {
		return err
	}
	if list.Categories == nil {
		return &Mistake{r.Name, 1, `not a Disconnect list: no "categories"`}
	}
	p := r.places()
	for _, category := range slices.Sorted(maps.Keys(list.Categories)) {
		for _, company := range list.Categories[category] {
			for _, name := range slices.Sorted(maps.Keys(company)) {
				for _, site := range slices.Sorted(maps.Keys(company[name])) {
					var domains []string
					if json.Unmarshal(company[name][site], &domains) != nil {
						continue // a property such as "dnt", not a site's domains
					}
					for _, d := range domains {
						if err := r.trackingDomain(d, []string{category}, p[d]); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

func (r *listReader) readTrackerDB() error {
	var list struct {
		Patterns map[string]struct {
			Category string   `json:"category"`
			Domains  []string `json:"domains"`
			Filters  []string `json:"filters"`
		} `json:"patterns"`
	}
	if err := r.decode(&list); err != nil {
		return err
	}
	if list.Patterns == nil {
		return &Mistake{r.Name, 1, `not a TrackerDB list: no "patterns"`}
	}
	p := r.places()
	for _, id := range slices.Sorted(maps.Keys(list.Patterns)) {
		entry := list.Patterns[id]
		for _, d := range entry.Domains {
			if err := r.trackingDomain(d, []string{entry.Category}, p[d]); err != nil {
				return err
			}
		}
		for _, filter := range entry.Filters {
			var rule listRule
			ok, bad, err := r.parse(filter, &rule)
			if err == nil && bad {
				err = errOption
			}
			if err != nil {
				r.ignore(err)
				continue
			}
			if !ok {
				continue
			}
			rule.rule.Text, rule.category = filter, uint8(r.Category)
			if known, ok := foreign[entry.Category]; ok {
				rule.category = uint8(known)
			}
			if err := r.keep(rule, r.lineAt(p[filter])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *listReader) readTrackerRadar() error {
	type entry struct {
		Domain     string            `json:"domain"`
		Categories []string          `json:"categories"`
		Default    string            `json:"default"`
		Rules      []json.RawMessage `json:"rules"`
	}
	var list struct {
		Trackers map[string]entry `json:"trackers"`
		entry
	}
	if err := r.decode(&list); err != nil {
		return err
	}
	if list.Trackers == nil && list.Domain == "" {
		return &Mistake{r.Name, 1, `not a Tracker Radar list: neither "trackers" nor "domain"`}
	}
	p := r.places()
	if list.Domain != "" {
		return r.trackingDomain(list.Domain, list.Categories, p[list.Domain])
	}
	for _, domain := range slices.Sorted(maps.Keys(list.Trackers)) {
		e := list.Trackers[domain]
		r.summary.Ignored[errRegexp.Error()] += len(e.Rules)
		if e.Default == "ignore" {
			continue // blocked by its regular expressions only
		}
		if err := r.trackingDomain(domain, e.Categories, p[domain]); err != nil {
			return err
		}
	}
	return nil
}

// build indexes the rules: by domain, else by the rarest run of a literal, else, or
// where that is the scheme's, by the pages that they are limited to.
func (t *listTable) build() {
	var literals []string
	counts := map[uint32]int32{}
	for i := range t.rules {
		if r := &t.rules[i]; r.flags&flagOwner == 0 {
			for _, run := range r.literals() {
				for o := 0; o+gramLength <= len(run); o++ {
					counts[gramOf(run[o:])]++
				}
			}
		}
	}
	for i := range t.rules {
		r := &t.rules[i]
		if r.flags&flagOwner != 0 {
			n := t.hosts.add(r.domain)
			if n == len(t.byHost) {
				t.byHost = append(t.byHost, 0)
			}
			r.next, t.byHost[n] = t.byHost[n], uint32(i+1)
			continue
		}
		ofPages := r.scope != nil && len(r.scope.pages) > 0
		if run := rarestRun(r.literals(), counts); run != "" && !(ofPages && inEveryURL(run)) {
			literals = append(literals, run)
			offset := -1
			if r.flags&(flagHost|flagStart|flagMatchCase) == 0 && (r.scope == nil || r.scope.regexp == nil) && strings.IndexByte(r.pattern, '*') < 0 {
				offset = strings.Index(r.pattern, run)
			}
			t.byLiteral = append(t.byLiteral, newLiteralRule(run, uint32(i), offset))
			continue
		}
		if ofPages {
			for _, domain := range r.scope.pages {
				if strings.Count(domain, ".") >= maxLabels {
					continue // no host is looked at that far
				}
				n := t.pages.add(domain)
				if n == len(t.byPage) {
					t.byPage = append(t.byPage, nil)
				}
				t.byPage[n] = append(t.byPage[n], uint32(i))
			}
			continue
		}
		t.unindexed = append(t.unindexed, uint32(i))
	}
	t.literals = newGrams(literals)
}

// rarestRun returns the part of a literal that begins with the gramLength bytes
// that the fewest rules have and that are met the least in vain; "" if no
// literal is that long.
func rarestRun(literals []string, counts map[uint32]int32) string {
	best, bestCost := "", 0
	for _, s := range literals {
		for o := 0; o+gramLength <= len(s); o++ {
			run := s[o : o+gramLength]
			cost := 4*commonness(run) + int(counts[gramOf(run)])
			if best == "" || cost < bestCost {
				best, bestCost = s[o:], cost
			}
		}
	}
	return best
}

// inEveryURL reports whether a run begins with bytes that almost all URLs have.
func inEveryURL(run string) bool {
	run = run[:gramLength]
	return strings.Contains("https://", run) || strings.Contains("http://", run)
}

// found are the first rules of each sort that match, by 1 + their number.
type found struct{ block, exception, important uint32 }

func (f *found) note(i uint32, flags uint16) {
	at := &f.block
	switch {
	case flags&flagException != 0:
		at = &f.exception
	case flags&flagImportant != 0:
		at = &f.important
	}
	if *at == 0 || i+1 < *at {
		*at = i + 1
	}
}

// find returns what the lists say of p's reference: a rule that blocks it or one
// that excepts it from being blocked, nil for neither.
func (t *listTable) find(p *Page, party Party, k Kind, except without) *listRule {
	// A form goes where the visitor sends it: lists are about no such page.
	if len(t.rules) == 0 || party == FirstParty && k == Form {
		return nil
	}
	types := kindTypes[k]
	if s := p.ref.scheme; k == Connect && (s == schemeWS || s == schemeWSS) {
		types = typeWebSocket
	}
	p.lower = appendLower(p.lower[:0], p.ref.text())
	padded := binary.LittleEndian.AppendUint64(p.lower, 0)
	p.lower = padded[:len(p.lower)]
	var f found
	consider := func(i uint32) {
		if r := &t.rules[i]; r.matches(p, types, party) && !except.has(&r.rule) {
			f.note(i, r.flags)
		}
	}
	host := p.ref.host()
	if len(t.hosts.slots) > 0 {
		for i := range p.labels.n {
			if n := t.hosts.find(&p.labels, host, i); n >= 0 {
				for at := t.byHost[n]; at != 0; at = t.rules[at-1].next {
					consider(at - 1)
				}
			}
		}
	}
	for i := t.literals.next(p.lower, 0); i >= 0; i = t.literals.next(p.lower, i+1) {
		for _, id := range t.literals.at(p.lower, i) {
			l := &t.byLiteral[id]
			if binary.LittleEndian.Uint64(padded[i:])&l.mask != l.word {
				continue
			}
			if l.offset >= 0 && (i < int(l.offset) || !separatedMatch(t.rules[l.rule].pattern, p.lower[i-int(l.offset):], true, false)) {
				continue
			}
			consider(l.rule)
		}
	}
	if len(t.pages.slots) > 0 && p.parsed {
		page := p.page.host()
		for i := range p.pageLabels.n {
			if n := t.pages.find(&p.pageLabels, page, i); n >= 0 {
				for _, r := range t.byPage[n] {
					consider(r)
				}
			}
		}
	}
	for _, r := range t.unindexed {
		consider(r)
	}
	if n := cmp.Or(f.important, f.exception, f.block); n != 0 {
		return &t.rules[n-1]
	}
	return nil
}

// appendLower appends text with its ASCII letters in lower case.
func appendLower(dst, text []byte) []byte {
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		// Each byte from "A" to "Z" gets its bit 0x20 set.
		heptets := w & 0x7f7f7f7f7f7f7f7f
		upper := (heptets + 0x3f3f3f3f3f3f3f3f) &^ (heptets + 0x2525252525252525) &^ w & 0x8080808080808080
		dst = binary.LittleEndian.AppendUint64(dst, w|upper>>2)
		text = text[8:]
	}
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// decision returns what a rule of a list decides.
func (r *listRule) decision(party Party) Decision {
	return Decision{Category: consent.Category(r.category), Party: party, Rule: &r.rule}
}
