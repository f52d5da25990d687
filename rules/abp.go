package rules

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Limits of lists. What exceeds one is counted as ignored, or refuses the list
// where it is the list itself that is too large.
const (
	// MaxListSize is the size of the largest list, in bytes.
	MaxListSize = 64 << 20
	// MaxListRules is how many rules all lists may have together.
	MaxListRules = 1 << 20
	// maxRuleLength is the longest line that is read as a rule, in bytes.
	maxRuleLength = 8 << 10
	// maxRegexps is how many regular expressions all lists may have together,
	// maxRegexpLength how long one may be.
	maxRegexps      = 1000
	maxRegexpLength = 512
	// maxPatternLength is the longest pattern, in bytes without options:
	// matching takes at most its length times the URL's steps, however many
	// "*" are in it.
	maxPatternLength = 1 << 10
	// maxWordless is how many patterns all lists may have together that have
	// no gramLength bytes in a row and so are held against every URL.
	maxWordless = 1000
)

// Types of requests as list rules name them.
const (
	typeScript = 1 << iota
	typeImage
	typeStyle
	typeObject
	typeXHR
	typeFrame
	typePing
	typeWebSocket
	typeFont
	typeMedia
	typeOther
	allTypes      = 1<<iota - 1
	typeElsewhere = 1 << 15 // what no page refers to: popups and pages themselves
)

var typeNames = map[string]uint16{
	"script": typeScript, "image": typeImage, "stylesheet": typeStyle, "css": typeStyle,
	"object": typeObject, "xmlhttprequest": typeXHR, "xhr": typeXHR, "subdocument": typeFrame, "frame": typeFrame,
	"ping": typePing, "beacon": typePing, "websocket": typeWebSocket, "font": typeFont, "media": typeMedia, "other": typeOther,
	"popup": typeElsewhere, "document": typeElsewhere, "doc": typeElsewhere,
}

// kindTypes are the types that a kind of reference may turn out to be.
var kindTypes = [kinds]uint16{
	Other: typeOther, Script: typeScript, Style: typeStyle, Image: typeImage, Font: typeFont, Media: typeMedia,
	Frame: typeFrame, Object: typeObject, Connect: typeXHR, Ping: typePing, Hint: typeScript | typeStyle | typeImage | typeFont | typeMedia | typeXHR | typeFrame | typeOther, Form: typeOther,
}

// Flags of list rules.
const (
	flagException = 1 << iota
	flagImportant
	flagThirdParty // only third parties' URLs
	flagFirstParty // only the page's own
	flagMatchCase
	flagStart // the pattern begins where the URL does
	flagEnd   // and ends where it does
	flagHost  // the pattern begins where a label of the host does
	flagOwner // the pattern follows a domain, which the host is in
	flagExact // the host is the domain itself
)

// listRule is a rule of an operator's list.
type listRule struct {
	rule     Rule
	pattern  string // what the URL has to have; lower case unless flagMatchCase
	domain   string // of flagOwner and flagExact
	scope    *listScope
	next     uint32 // 1 + the next rule of the same domain, 0 for none
	types    uint16
	flags    uint16
	category uint8
}

// listScope is what only few rules have.
type listScope struct {
	pages, notPages []string // $domain
	denyAllow       []string
	regexp          *regexp.Regexp
}

var (
	errCosmetic = errors.New("cosmetic rule")
	errOption   = errors.New("unsupported option")
	errRegexp   = errors.New("unsupported regular expression")
	errWordless = fmt.Errorf("more than %d patterns without %d bytes in a row", maxWordless, gramLength)
	errRegexps  = fmt.Errorf("more than %d regular expressions", maxRegexps)
	errTooLong  = errors.New("too long")
	errDomain   = errors.New("not a domain")
	errEmpty    = errors.New("matches every URL")
	errPopup    = errors.New("about popups or whole pages")
	errBad      = errors.New("withdrawn by $badfilter")
)

// parseABP reads a line of an Adblock Plus list. It returns nil for a line that
// is no rule, and an error that says why a rule is ignored. bad reports a
// $badfilter rule, whose rule is the line to withdraw.
func parseABP(line string, r *listRule) (ok, bad bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '!' || line[0] == '[' && strings.HasSuffix(line, "]") {
		return false, false, nil
	}
	if len(line) > maxRuleLength {
		return false, false, errTooLong
	}
	if isCosmetic(line) {
		return false, false, errCosmetic
	}
	*r = listRule{types: allTypes}
	body, exception := strings.CutPrefix(line, "@@")
	if exception {
		r.flags |= flagException
	}
	if at := optionsAt(body); at >= 0 {
		options := body[at+1:]
		body = body[:at]
		if bad, err = r.readOptions(options); err != nil {
			return false, false, err
		}
	}
	if isRegexp(body) {
		return true, bad, r.readRegexp(body[1 : len(body)-1])
	}
	return true, bad, r.readPattern(body)
}

// isRegexp reports whether a rule without "@@" and options is a regular
// expression.
func isRegexp(body string) bool {
	return len(body) > 2 && body[0] == '/' && body[len(body)-1] == '/'
}

// parse is parseABP, but compiles no regular expression once maxRegexps have
// been, good ones and bad.
func (t *listTable) parse(line string, r *listRule) (ok, bad bool, err error) {
	if t.regexps >= maxRegexps {
		body := strings.TrimPrefix(strings.TrimSpace(line), "@@")
		if at := optionsAt(body); at >= 0 {
			body = body[:at]
		}
		if isRegexp(body) {
			return false, false, errRegexps
		}
	}
	ok, bad, err = parseABP(line, r)
	if err == errRegexp || err == nil && r.scope != nil && r.scope.regexp != nil {
		t.regexps++
	}
	if ok && !bad && err == nil && r.wordless() {
		if t.wordless >= maxWordless {
			return false, false, errWordless
		}
		t.wordless++
	}
	return ok, bad, err
}

// wordless reports whether nothing about a pattern can be looked up: no domain,
// no page, no run of gramLength bytes.
func (r *listRule) wordless() bool {
	if r.flags&flagOwner != 0 || r.scope != nil && (r.scope.regexp != nil || len(r.scope.pages) > 0) {
		return false
	}
	run := 0
	for i := 0; i < len(r.pattern) && run < gramLength; i++ {
		if run++; r.pattern[i] == '*' || r.pattern[i] == '^' {
			run = 0
		}
	}
	return run < gramLength
}

// isCosmetic reports whether a line hides elements or runs scripts instead of
// blocking requests.
func isCosmetic(line string) bool {
	for at := strings.IndexByte(line, '#'); at >= 0 && at+1 < len(line); {
		for _, mark := range [...]string{"##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#$?#", "#%#", "#@%#"} {
			if strings.HasPrefix(line[at:], mark) {
				return true
			}
		}
		n := strings.IndexByte(line[at+1:], '#')
		if n < 0 {
			break
		}
		at += 1 + n
	}
	return strings.Contains(line, "$$") || strings.Contains(line, "$@$")
}

// optionsAt returns where the "$" stands that options follow, -1 for none.
func optionsAt(body string) int {
	if strings.HasPrefix(body, "/") {
		// A regular expression may have a "$" of its own.
		if end := strings.LastIndex(body, "/$"); end > 0 && end+2 < len(body) && beginsOption(body[end+2]) {
			return end + 1
		}
		if strings.HasSuffix(body, "/") {
			return -1
		}
	}
	at := strings.LastIndexByte(body, '$')
	if at < 0 || at == len(body)-1 {
		return -1
	}
	if beginsOption(body[at+1]) {
		return at
	}
	return -1
}

func beginsOption(c byte) bool {
	return c == '~' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
}

func (r *listRule) readOptions(options string) (bad bool, err error) {
	var only, not uint16
	for option := range strings.SplitSeq(options, ",") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(option), "=")
		name, negated := strings.CutPrefix(name, "~")
		switch name {
		case "third-party", "3p", "first-party", "1p":
			if (name == "third-party" || name == "3p") != negated {
				r.flags |= flagThirdParty
			} else {
				r.flags |= flagFirstParty
			}
		case "strict3p", "strict-third-party":
			r.flags |= flagThirdParty
		case "important":
			r.flags |= flagImportant
		case "match-case":
			r.flags |= flagMatchCase
		case "badfilter":
			bad = true
		case "domain", "from":
			if !hasValue || value == "" {
				return false, errOption
			}
			s := r.scoped()
			for domain := range strings.SplitSeq(strings.ToLower(value), "|") {
				domain, excluded := strings.CutPrefix(domain, "~")
				if domain == "" || strings.ContainsAny(domain, "*/") {
					return false, errOption
				}
				if excluded {
					s.notPages = append(s.notPages, domain)
				} else {
					s.pages = append(s.pages, domain)
				}
			}
		case "denyallow":
			if !hasValue || value == "" {
				return false, errOption
			}
			s := r.scoped()
			s.denyAllow = strings.Split(strings.ToLower(value), "|")
		case "all":
		default:
			t := typeNames[name]
			if t == 0 || hasValue {
				return false, errOption
			}
			if negated {
				not |= t
			} else {
				only |= t
			}
		}
	}
	if only != 0 {
		r.types = only
	}
	if r.types &^= not | typeElsewhere; r.types == 0 {
		return false, errPopup
	}
	return bad, nil
}

func (r *listRule) scoped() *listScope {
	if r.scope == nil {
		r.scope = new(listScope)
	}
	return r.scope
}

func (r *listRule) readRegexp(expression string) error {
	if len(expression) > maxRegexpLength {
		return errRegexp
	}
	flags := "(?i)"
	if r.flags&flagMatchCase != 0 {
		flags = ""
	}
	compiled, err := regexp.Compile(flags + strings.ReplaceAll(expression, `\/`, `/`))
	if err != nil {
		return errRegexp
	}
	r.pattern = expression
	r.scoped().regexp = compiled
	return nil
}

func (r *listRule) readPattern(p string) error {
	if len(p) > maxPatternLength {
		return errTooLong
	}
	if r.flags&flagMatchCase == 0 {
		p = strings.ToLower(p)
	}
	switch {
	case strings.HasPrefix(p, "||"):
		p = p[2:]
		r.flags |= flagHost
	case strings.HasPrefix(p, "|"):
		p = p[1:]
		r.flags |= flagStart
	}
	if rest, ok := strings.CutSuffix(p, "|"); ok {
		p = rest
		r.flags |= flagEnd
	}
	if r.flags&flagHost != 0 {
		// ||domain^ and ||domain/path are looked up by the domain.
		if n := strings.IndexAny(p, "^/:?*|"); n > 0 && (p[n] == '^' || p[n] == '/') {
			domain := strings.ToLower(p[:n])
			if !strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".") && !strings.Contains(domain, "..") && strings.Count(domain, ".") < maxLabels {
				r.flags = r.flags&^flagHost | flagOwner
				r.domain, p = domain, p[n:]
				if r.flags&flagEnd == 0 && (p == "^" || p == "^*") {
					p = ""
				}
			}
		}
	}
	if r.flags&flagStart == 0 && r.flags&(flagHost|flagOwner) == 0 {
		p = strings.TrimLeft(p, "*")
	}
	if r.flags&flagEnd == 0 {
		p = strings.TrimRight(p, "*")
	}
	r.pattern = p
	if p == "" && r.domain == "" && (r.scope == nil || len(r.scope.pages) == 0) {
		return errEmpty
	}
	return nil
}

// literals returns runs of bytes that every URL has that the rule matches, beyond
// its domain; in lower case.
func (r *listRule) literals() []string {
	if r.scope != nil && r.scope.regexp != nil {
		parsed, err := syntax.Parse(r.pattern, syntax.Perl|syntax.FoldCase)
		if err != nil {
			return nil
		}
		return regexpLiterals(parsed.Simplify(), nil)
	}
	return strings.FieldsFunc(strings.ToLower(r.pattern), func(c rune) bool { return c == '*' || c == '^' })
}

// regexpLiterals appends the runs of ASCII letters, digits and the like that
// must occur in what the expression matches.
func regexpLiterals(re *syntax.Regexp, runs []string) []string {
	switch re.Op {
	case syntax.OpLiteral:
		run := strings.ToLower(string(re.Rune))
		for i := 0; i < len(run); i++ {
			if run[i] >= 0x80 {
				return runs
			}
		}
		return append(runs, run)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			runs = regexpLiterals(sub, runs)
		}
	case syntax.OpPlus:
		return regexpLiterals(re.Sub[0], runs)
	}
	return runs
}

// matches reports whether the rule is about p's reference: of the given type,
// party and page. Its domain, if it has one, has been looked at already.
func (r *listRule) matches(p *Page, types uint16, party Party) bool {
	if r.types&types == 0 || r.flags&flagThirdParty != 0 && party != ThirdParty || r.flags&flagFirstParty != 0 && party != FirstParty {
		return false
	}
	text := p.lower
	if r.flags&flagMatchCase != 0 {
		text = p.ref.text()
	}
	hostAt, hostEnd := p.ref.hostAt-textPad, p.ref.hostEnd-textPad
	if s := r.scope; s != nil {
		if !s.holdsFor(p) {
			return false
		}
		if s.regexp != nil {
			return s.regexp.Match(p.ref.text())
		}
	}
	switch {
	case r.flags&flagExact != 0:
		return hostEnd-hostAt == len(r.domain)
	case r.pattern == "":
		// Of the page's own site a bare domain names the hosts below it.
		return r.domain == "" || party == ThirdParty || len(r.domain) > len(p.site) && !bytes.Equal(p.ref.host(), p.page.host()) && types != typeFrame
	case r.flags&flagOwner != 0:
		return separatedMatch(r.pattern, text[hostEnd:], true, r.flags&flagEnd != 0)
	case r.flags&flagStart != 0:
		return separatedMatch(r.pattern, text, true, r.flags&flagEnd != 0)
	case r.flags&flagHost != 0:
		for i := hostAt; i < hostEnd; i++ {
			if (i == hostAt || text[i-1] == '.') && separatedMatch(r.pattern, text[i:], true, r.flags&flagEnd != 0) {
				return true
			}
		}
		return false
	}
	return separatedMatch(r.pattern, text, false, r.flags&flagEnd != 0)
}

func (s *listScope) holdsFor(p *Page) bool {
	page := p.page.host()
	if !p.parsed {
		page = nil
	}
	// Of several the longest domain counts.
	in, out := longestOf(page, s.pages), longestOf(page, s.notPages)
	if in == 0 && len(s.pages) > 0 || out > 0 && out >= in {
		return false
	}
	return longestOf(p.ref.host(), s.denyAllow) == 0
}

// longestOf returns the length of the longest domain that a host is in, 0 for none.
func longestOf(host []byte, domains []string) int {
	longest := 0
	for _, d := range domains {
		n := len(host) - len(d)
		if n >= 0 && string(host[n:]) == d && (n == 0 || host[n-1] == '.') {
			longest = max(longest, len(d))
		}
	}
	return longest
}

// wordByte marks what "^" does not stand for.
var wordByte = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c == '%' || c >= 0x80
	}
	return t
}()

// separatedMatch matches a pattern in which "*" stands for any bytes and "^" for
// a separator or the end. The place where a piece between two "*" stands is
// never sought again once it has been found, so that it takes at most as many
// steps as the product of the lengths.
func separatedMatch(pattern string, text []byte, atStart, atEnd bool) bool {
	star, mark := -1, 0
	if !atStart {
		star = 0
	}
	g, i := 0, 0
	next := 0 // where in the pattern to go on after a mismatch
	for {
		if g == len(pattern) {
			if !atEnd || i == len(text) {
				return true
			}
		} else {
			switch c := pattern[g]; {
			case c == '*':
				g++
				star, mark, next = g, i, g
				continue
			case i < len(text) && (c == text[i] || c == '^' && !wordByte[text[i]]):
				g++
				i++
				continue
			case c == '^' && i == len(text):
				g++
				continue
			}
		}
		if star < 0 || mark >= len(text) {
			return false
		}
		mark++
		g, i = next, mark
	}
}
