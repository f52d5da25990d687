package rules

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// signature knows an inline script by tokens that must all occur in it.
type signature struct {
	tokens     [][]byte
	anchor     int  // which token is looked for first
	inPrograms bool // known in programs of sites, not in snippets alone
	verdict
}

// inlineTable finds the first signature whose tokens all occur in a text, and
// whether a word that ends in import does. The text is read once to find anchors,
// of which few occur by chance.
type inlineTable struct {
	signatures []signature
	anchors    anchors
	// known has what find found, with the number of a signature, or of none, and
	// memoImports.
	known *memo
}

const (
	// memoImports is set for a script that may import.
	memoImports = 1 << 15
	// minMemoLength is how long a script is that is worth to be remembered.
	minMemoLength = 24
)

// maxTokens and the lengths below bound a signature.
const (
	maxTokens          = 8
	minSignatureLength = 6
	minAnchorLength    = shortAnchor // of the longest token
	maxTokenLength     = 200
	// maxSnippet is how long a script is, in bytes, that is a tag and no more.
	maxSnippet = 16 << 10
	// maxTouches is how often a snippet does what touches tell of: a tag may listen
	// for clicks, or show a box of its own.
	maxTouches = 2
)

// touches tell that a script changes what is on the page, or answers to its user.
var touches = [...]string{
	"'click'", `"click"`, ".click(", ".preventDefault(",
	"classList.", ".addClass(", ".removeClass(", ".toggleClass(", ".hasClass(",
	".show(", ".hide(", ".fadeIn(", ".fadeOut(", ".slideDown(", ".slideUp(", ".slideToggle(",
	".css(", ".html(", ".val(",
}

// isProgram reports whether a script is more than a snippet: a program of the
// site's. See Vendor.Inlined.
func isProgram(code []byte) bool {
	if len(code) > maxSnippet {
		return true
	}
	n := 0
	for _, touch := range touches {
		n += bytes.Count(code, []byte(touch))
	}
	return n > maxTouches
}

// programExpression is isProgram as a regular expression (ECMAScript).
func programExpression() string {
	quoted := make([]string, len(touches))
	for i, touch := range touches {
		quoted[i] = regexp.QuoteMeta(touch)
	}
	return fmt.Sprintf("[^]{%d}|(?:(?:%s)[^]*?){%d}", maxSnippet+1, strings.Join(quoted, "|"), maxTouches+1)
}

// checkTokens refuses a signature that is a loose substring.
func checkTokens(tokens []string) error {
	total, longest := 0, 0
	for _, t := range tokens {
		if t == "" {
			return errors.New("inline signature has an empty token")
		}
		total += len(t)
		longest = max(longest, len(t))
	}
	switch {
	case len(tokens) > maxTokens:
		return fmt.Errorf("inline signature has %d tokens; at most %d", len(tokens), maxTokens)
	case longest > maxTokenLength:
		return fmt.Errorf("inline signature has a token of %d bytes; at most %d", longest, maxTokenLength)
	case longest < minAnchorLength || total < minSignatureLength:
		return fmt.Errorf("inline signature %q is too loose: one token needs at least %d bytes, all together %d", tokens, minAnchorLength, minSignatureLength)
	}
	return nil
}

// build orders the signatures, those with the most bytes first, and indexes
// them.
func (t *inlineTable) build() {
	t.signatures = longestFirst(t.signatures)
	literals := make([]string, len(t.signatures), len(t.signatures)+1)
	for i := range t.signatures {
		s := &t.signatures[i]
		s.chooseAnchor()
		literals[i] = string(s.tokens[s.anchor])
	}
	t.anchors = newAnchors(append(literals, importWord))
	if n := len(t.signatures); 0 < n && n < memoImports-1 {
		t.known = new(memo)
	}
}

// longestFirst orders signatures by their bytes, equals as they are written. What
// is sorted are numbers, as signatures are large.
func longestFirst(signatures []signature) []signature {
	keys := make([]uint64, len(signatures))
	for i := range signatures {
		keys[i] = uint64(maxTokens*maxTokenLength-signatureLength(signatures[i].tokens))<<32 | uint64(i)
	}
	slices.Sort(keys)
	ordered := make([]signature, len(signatures))
	for i, key := range keys {
		ordered[i] = signatures[uint32(key)]
	}
	return ordered
}

// chooseAnchor takes the rarest token, where it can be a long one: the short ones
// cost a pass of their own.
func (s *signature) chooseAnchor() {
	least := -1
	for j, token := range s.tokens {
		cost := 0
		switch {
		case len(token) >= longAnchor:
			_, cost = rarestRuns(string(token), longRun, commonInCode)
		case len(token) >= shortAnchor:
			cost = 1 << 16
		default:
			continue
		}
		if least < 0 || cost < least {
			s.anchor, least = j, cost
		}
	}
}

func signatureLength(tokens [][]byte) int {
	n := 0
	for _, t := range tokens {
		n += len(t)
	}
	return n
}

// find returns the first signature that code has, passing over the one whose
// rule is in except, and whether code may import.
func (t *inlineTable) find(p *Page, code []byte, except without) (v *verdict, imports bool) {
	n := 0
	if t.known != nil && except == nil && len(code) >= minMemoLength {
		h := memoHash(code)
		value, known := t.known.get(h)
		n, imports = value&^memoImports, value&memoImports != 0
		if !known {
			n, imports = t.search(p, code, nil, false)
			if value = n; imports {
				value |= memoImports
			}
			t.known.put(h, value)
		}
	} else {
		n, imports = t.search(p, code, except, false)
	}
	if n < len(t.signatures) {
		v = &t.signatures[n].verdict
	}
	return v, imports
}

const importWord = "import"

// search returns the number of the first signature that code has, that of all
// for none, and whether code may import. asSnippet says that code is no program.
func (t *inlineTable) search(p *Page, code []byte, except without, asSnippet bool) (n int, imports bool) {
	search := inlineSearch{table: t, page: p, code: code, except: except, asSnippet: asSnippet, best: len(t.signatures)}
	for _, r := range [...]*runs{&t.anchors.long, &t.anchors.short} {
		r.scan(code, search.try)
	}
	return search.best, search.imports
}

// inlineSearch is one call of search.
type inlineSearch struct {
	table     *inlineTable
	page      *Page
	code      []byte
	except    without
	asSnippet bool
	best      int  // the first signature found so far
	imports   bool // a word that ends in import was found
	fresh     bool // page.tried is this search's
	read      bool // page.data is
	judged    bool // snippet is
	snippet   bool
}

// try tries a signature whose anchor may begin at code[start].
func (s *inlineSearch) try(id, start int) {
	if id == len(s.table.signatures) {
		s.imports = s.imports || startsAt(s.code, start, importWord) && endsWord(s.code, start+len(importWord))
		return
	}
	if id >= s.best {
		return
	}
	sig := &s.table.signatures[id]
	if !startsAt(s.code, start, sig.tokens[sig.anchor]) || !sig.inPrograms && !s.isSnippet() {
		return
	}
	if !s.fresh {
		s.page.clearTried(len(s.table.signatures))
		s.fresh = true
	}
	if s.page.tried[id/64]&(1<<(id%64)) != 0 {
		return
	}
	s.page.tried[id/64] |= 1 << (id % 64)
	if !s.except.has(&sig.rule) && sig.complete(s.code) && s.acts(sig) {
		s.best = id
	}
}

// endsWord reports whether no word goes on at code[i].
func endsWord(code []byte, i int) bool {
	return i == len(code) || code[i] >= 0x80 || !isWordByte(code[i])
}

// complete reports whether the tokens other than the anchor occur.
func (s *signature) complete(code []byte) bool {
	for i, token := range s.tokens {
		if i != s.anchor && !bytes.Contains(code, token) {
			return false
		}
	}
	return true
}

// isSnippet reports whether code is no program, or is to be taken for none.
func (s *inlineSearch) isSnippet() bool {
	if !s.judged {
		s.snippet, s.judged = s.asSnippet || !isProgram(s.code), true
	}
	return s.snippet
}

// acts reports whether the tokens occur outside of what is only data to the
// script: who edits a page that bears a tag has its source in a string.
func (s *inlineSearch) acts(sig *signature) bool {
	if !s.read {
		s.page.data = AppendData(s.page.data[:0], s.code)
		s.read = true
	}
	for _, token := range sig.tokens {
		if !s.occurs(token) {
			return false
		}
	}
	return true
}

// occurs reports whether token stands outside of data.
func (s *inlineSearch) occurs(token []byte) bool {
	at := 0
	for _, data := range s.page.data {
		if bytes.Contains(s.code[at:data.Start], token) {
			return true
		}
		at = data.End
	}
	return bytes.Contains(s.code[at:], token)
}

func (p *Page) clearTried(signatures int) {
	n := (signatures + 63) / 64
	if cap(p.tried) < n {
		p.tried = make([]uint64, n)
	}
	p.tried = p.tried[:n]
	clear(p.tried)
}
