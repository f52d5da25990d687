package rules

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"github.com/askfirst/askfirst/rules/consent"
)

// The naive matcher decides as the engine's documentation says, rule by rule,
// with the standard library's URLs and regular expressions.

type naive struct {
	sources   []*source
	overrides []Override
}

func naiveGlob(glob string, prefix bool) *regexp.Regexp {
	end := "$"
	if prefix && strings.HasSuffix(glob, "$") {
		glob = strings.TrimSuffix(glob, "$")
	} else if prefix {
		end = ""
	}
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(glob), `\*`, `.*`) + end)
}

func inDomain(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// naivePattern returns how specific a pattern is that matches, and then about how
// few hosts it is; -1 if it does not.
func naivePattern(pattern string, page, u *url.URL, party Party, kind Kind) int {
	rest, query, hasQuery := strings.Cut(pattern, "?")
	host, path, _ := strings.Cut(rest, "/")
	label, ofLabel := strings.CutSuffix(host, ".self")
	switch {
	case host == "self" || ofLabel:
		first, _, _ := strings.Cut(u.Hostname(), ".")
		if party != FirstParty || kind == Form || kind == Frame || ofLabel && (strings.TrimRight(first, "0123456789") != label || u.Hostname() == page.Hostname()) {
			return -1
		}
	case host != "*" && !inDomain(u.Hostname(), host):
		return -1
	}
	if !naiveGlob("/"+path, true).MatchString(u.EscapedPath()) {
		return -1
	}
	few := 2 + len(host)
	if host == "*" {
		few = 0
	} else if host == "self" {
		few = 1
	}
	n := len(host) + len(strings.TrimRight("/"+path, "*$"))
	if !hasQuery {
		return n<<10 + few
	}
	if query == "*" {
		if u.RawQuery == "" {
			return -1
		}
		return (n+1)<<10 + few
	}
	for part := range strings.SplitSeq(query, "&") {
		key, glob, _ := strings.Cut(part, "=")
		found := false
		for given := range strings.SplitSeq(u.RawQuery, "&") {
			k, value, _ := strings.Cut(given, "=")
			found = found || k == key && naiveGlob(glob, false).MatchString(value)
		}
		if !found {
			return -1
		}
		n += len(part)
	}
	return n<<10 + few
}

// ofLabel reports whether a pattern is about hosts of the page's site by their
// label; those are looked at last.
func ofLabel(pattern string) bool {
	host, _, _ := strings.Cut(pattern, "/")
	return strings.HasSuffix(host, ".self")
}

func (n *naive) decide(page, ref *url.URL, kind Kind) (vendor string, category consent.Category, party Party, rule string) {
	site, err := publicsuffix.EffectiveTLDPlusOne(page.Hostname())
	party = ThirdParty
	if err != nil && ref.Hostname() == page.Hostname() || err == nil && inDomain(ref.Hostname(), site) {
		party = FirstParty
	}
	// Overrides: those for these pages first, by pattern, then by domain.
	var globs []string
	for _, o := range n.overrides {
		globs = append(globs, o.Pages)
	}
	sortGlobs(globs)
	for _, pages := range globs {
		if pages != "" && !naiveGlob(pages, false).MatchString(page.EscapedPath()) {
			continue
		}
		best, length, own, ownLength := -1, -1, -1, -1
		for i, o := range n.overrides {
			if o.Pages == pages && o.URL != "" {
				l := naivePattern(o.URL, page, ref, party, kind)
				if ofLabel(o.URL) {
					if l > ownLength {
						own, ownLength = i, l
					}
				} else if l > length {
					best, length = i, l
				}
			}
		}
		for i, o := range n.overrides {
			if length < 0 && o.Pages == pages && o.Domain != "" && inDomain(ref.Hostname(), o.Domain) &&
				(best < 0 || len(o.Domain) > len(n.overrides[best].Domain)) {
				best = i
			}
		}
		if best < 0 {
			best = own
		}
		if best >= 0 {
			o := n.overrides[best]
			return o.As, o.Category, party, o.String()
		}
	}
	var found, own, below *source
	var ownRule, belowRule string
	length, ownLength, belowLength := -1, -1, -1
	// looksBelow says that the reference is to another host of the page's site.
	looksBelow := err == nil && party == FirstParty && kind != Form && kind != Frame && ref.Hostname() != page.Hostname()
	for _, s := range n.sources {
		tracks := s.Category == consent.Analytics || s.Category == consent.Marketing
		for _, pattern := range s.URLs {
			if host, _, _ := strings.Cut(pattern, "/"); party == FirstParty && !strings.HasPrefix(host, "*") && !strings.HasSuffix(host, "self") {
				if l := naivePattern(pattern, page, ref, party, kind); looksBelow && tracks && host != site && inDomain(host, site) && l > belowLength {
					below, belowLength, belowRule = s, l, pattern
				}
				continue
			}
			l := naivePattern(pattern, page, ref, party, kind)
			if ofLabel(pattern) {
				if l > ownLength {
					own, ownLength, ownRule = s, l, pattern
				}
			} else if l > length {
				found, length, rule = s, l, pattern
			}
		}
	}
	if found == nil && party == ThirdParty {
		for _, s := range n.sources {
			for _, domain := range s.Domains {
				if inDomain(ref.Hostname(), domain) && len(domain) > length {
					found, length, rule = s, len(domain), domain
				}
			}
		}
	}
	if below == nil && looksBelow {
		for _, s := range n.sources {
			for _, domain := range s.Domains {
				if (s.Category == consent.Analytics || s.Category == consent.Marketing) && domain != site && inDomain(domain, site) && inDomain(ref.Hostname(), domain) && len(domain) > belowLength {
					below, belowLength, belowRule = s, len(domain), domain
				}
			}
		}
	}
	if found == nil {
		found, rule = below, belowRule
	}
	if found == nil {
		found, rule = own, ownRule
	}
	if found == nil {
		if party == FirstParty {
			return "", consent.Necessary, party, ""
		}
		return "", consent.Unclassified, party, ""
	}
	for _, pages := range globs {
		if pages != "" && !naiveGlob(pages, false).MatchString(page.EscapedPath()) {
			continue
		}
		for _, o := range n.overrides {
			if o.Pages == pages && o.Vendor == found.ID {
				return o.Vendor, o.Category, party, o.String()
			}
		}
	}
	return found.ID, found.Category, party, rule
}

func sortGlobs(globs []string) {
	for i := range globs {
		for j := range i {
			if len(globs[i]) > len(globs[j]) || len(globs[i]) == len(globs[j]) && globs[i] < globs[j] {
				globs[i], globs[j] = globs[j], globs[i]
			}
		}
	}
}

// made makes rules and URLs of few names, so that they often meet.
type made struct{ *rand.Rand }

func (m made) of(s ...string) string { return s[m.IntN(len(s))] }

func (m made) domain() string {
	d := m.of("a.test", "b.test", "long-label-for-two-words.test", "co.uk", "x.co.uk", "localhost")
	for range m.IntN(3) {
		d = m.of("www", "cdn", "a", "stats-and-more-1") + "." + d
	}
	return d
}

func (m made) path(glob bool) string {
	p := ""
	for range m.IntN(4) {
		p += "/" + m.of("a", "gtm.js", "tag", "collector.js", "x")
		if glob && m.IntN(3) == 0 {
			p += "*"
		}
	}
	if p == "" {
		p = "/"
	}
	if glob && m.IntN(4) == 0 {
		p += "$"
	}
	return p
}

func (m made) query(glob bool) string {
	var parts []string
	for range m.IntN(3) {
		value := m.of("", "1", "G-1", "GTM-22", "long-value-333")
		if glob && m.IntN(2) == 0 {
			value += "*"
		}
		parts = append(parts, m.of("id", "tid", "v")+"="+value)
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

func (m made) pattern() string {
	for {
		p := m.of("*", "self", "stats-and-more-.self", "a.self", "www.self", m.domain(), m.domain(), m.domain()) + m.path(true) + m.of(m.query(true), m.query(true), "?*")
		if _, err := ParsePattern(p); err == nil {
			return p
		}
	}
}

func (m made) rules() ([]*source, []Override) {
	var sources []*source
	seen := map[string]bool{}
	fresh := func(s string) bool { ok := !seen[s]; seen[s] = true; return ok }
	for i := range 1 + m.IntN(8) {
		s := &source{Vendor: &Vendor{ID: fmt.Sprintf("v%d", i), Category: consent.Optional[m.IntN(4)]}, file: "made.yml"}
		for range m.IntN(3) {
			if d := m.domain(); fresh(d) {
				s.Domains, s.domains = append(s.Domains, d), append(s.domains, 1)
			}
		}
		for range m.IntN(4) {
			if text := m.pattern(); fresh(text) {
				p, _ := ParsePattern(text)
				s.URLs, s.urls, s.patterns = append(s.URLs, text), append(s.urls, 1), append(s.patterns, p)
			}
		}
		sources = append(sources, s)
	}
	var overrides []Override
	for range m.IntN(4) {
		o := Override{Category: consent.Optional[m.IntN(4)], Pages: m.of("", "", "/a/*", "/a/b", "*x*")}
		switch m.IntN(3) {
		case 0:
			o.Domain = m.domain()
		case 1:
			o.URL = m.pattern()
		default:
			o.Vendor = sources[m.IntN(len(sources))].ID
		}
		if fresh(o.Pages + " " + o.Domain + o.URL + o.Vendor) {
			overrides = append(overrides, o)
		}
	}
	return sources, overrides
}

// compareWithNaive makes rules and URLs from a seed and compares decisions.
func compareWithNaive(t *testing.T, seed uint64) {
	m := made{rand.New(rand.NewPCG(seed, 0))}
	sources, overrides := m.rules()
	e, err := compile(catalogueOf(sources), nil, "", Options{Overrides: overrides, HeuristicsOff: Heuristics()})
	if err != nil {
		t.Fatal(err)
	}
	n := naive{sources, overrides}
	var page Page
	for range 20 {
		at := "https://" + m.domain() + m.of("/", "/a/b", "/a/x/c")
		ref := "https://" + m.domain() + m.path(false) + m.query(false)
		page.Reset([]byte(at))
		kind := []Kind{Script, Image, Frame, Form}[m.IntN(4)]
		d := e.URL(&page, []byte(ref), kind)
		pageURL, _ := url.Parse(at)
		refURL, _ := url.Parse(ref)
		vendor, category, party, rule := n.decide(pageURL, refURL, kind)
		gotVendor, gotRule := "", ""
		if d.Vendor != nil {
			gotVendor = d.Vendor.ID
		}
		if d.Rule != nil {
			gotRule = d.Rule.Text
		}
		if gotVendor != vendor || d.Category != category || d.Party != party || gotRule != rule {
			t.Fatalf("seed %d: %s on %s: got %q %v %v by %q, want %q %v %v by %q", seed, ref, at,
				gotVendor, d.Category, d.Party, gotRule, vendor, category, party, rule)
		}
	}
}

func TestNaiveMatcher(t *testing.T) {
	for seed := range uint64(1000) {
		compareWithNaive(t, seed)
	}
}

func FuzzNaiveMatcher(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(compareWithNaive)
}

// TestNames compares the table of names with a search of all.
func TestNames(t *testing.T) {
	m := made{rand.New(rand.NewPCG(4, 4))}
	name := func() string {
		s := ""
		for range 1 + m.IntN(5) {
			s += m.of("_", "ga", "a", "_hj", "x.y", "-")
		}
		return s
	}
	for range 300 {
		var table nameTable
		var names []string
		for range 1 + m.IntN(30) {
			n := name() + m.of("", "*")
			if checkName(n) == nil {
				table.add(n, verdict{rule: Rule{Text: n, Line: len(names)}})
				names = append(names, n)
			}
		}
		for range 30 {
			asked := name()
			want := ""
			for _, n := range names {
				prefix, starred := strings.CutSuffix(n, "*")
				switch {
				case n == asked:
					want = n
				case starred && strings.HasPrefix(asked, prefix) && want != asked && len(n) > len(want):
					want = n
				}
			}
			got := ""
			if v := table.find([]byte(asked), nil); v != nil {
				got = v.rule.Text
			}
			if got != want {
				t.Fatalf("%q: got %q, want %q of %q", asked, got, want, names)
			}
		}
	}
}

// TestEightBytesAtATime puts what is looked for in a path at every place of words of
// eight bytes, and across them.
func TestEightBytesAtATime(t *testing.T) {
	for n := range 40 {
		for at := range n + 1 {
			before, after := "/"+strings.Repeat("a", at), strings.Repeat("b", n-at)
			if path := before + after; len(path) >= 8 && !isPlain([]byte(path)) {
				t.Errorf("%q is not plain", path)
			}
			for _, mark := range []string{"/.", "..", "./", "//", `\`, "%"} {
				if path := before + mark + after; isPlain([]byte(path)) {
					t.Errorf("%q is plain", path)
				}
			}
			for folder, want := range map[string]bool{"/ads/": true, "/AdS/": true, "/adz/": false, "/ad/": false} {
				if path := before + folder + after; inAds([]byte(path)) != want {
					t.Errorf("%q: in a folder of ads: %v", path, !want)
				}
			}
		}
	}
}

// FuzzURL reads any reference; what is read is read alike again.
func FuzzURL(f *testing.F) {
	for _, c := range []string{"//a@b:80/../x?y#z", "https:\\\\x", "[::1]", "http://0x7f.1/%2e%2E/", "\t//\nx", "?", "https://b\u00fccher.example.",
		"https://www.shop.example/a/../b", "https://www.shop.example:443/", "https://WWW.shop.example\\", "//www.shop.example/.x", "https://cdn.example/y", "//cdn.example/./y#", "http://cdn.example/"} {
		f.Add(c)
	}
	var base, elsewhere address
	base.read([]byte("https://www.shop.example/a/b?c"), nil)
	elsewhere.read([]byte("https://elsewhere.example/a/b?c"), nil)
	f.Fuzz(func(t *testing.T, ref string) {
		var a, again address
		if !a.read([]byte(ref), &base) {
			return
		}
		text := string(a.text())
		var absolute address
		if absolute.read([]byte(ref), &elsewhere) && string(absolute.host()) != string(elsewhere.host()) && string(absolute.text()) != text {
			t.Fatalf("%q is read as %q, on another page as %q", ref, text, absolute.text())
		}
		for _, before := range []string{ref, "https://cdn.example/x", "http:"} {
			var used address
			used.read([]byte(before), &base)
			if used.read([]byte(ref), &base); string(used.text()) != text || used.queryAt != a.queryAt || used.same != a.same || used.atBase != a.atBase {
				t.Fatalf("%q is read as %q, after %q as %q", ref, text, before, used.text())
			}
		}
		if text[len(text)-1] <= ' ' {
			return // is read without the space when it stands alone
		}
		if strings.Contains(string(a.host()), "%") {
			return // a name beyond the standard, kept as an unknown one
		}
		if !again.read(a.text(), nil) {
			t.Fatalf("%q is read as %q, which is refused", ref, text)
		}
		if string(again.text()) != text {
			t.Fatalf("%q is read as %q, and that as %q", ref, text, again.text())
		}
		if p := a.path(); len(p) == 0 || p[0] != '/' {
			t.Fatalf("%q has the path %q", ref, p)
		}
	})
}

// FuzzInline compares the one pass with a search for every token.
func FuzzInline(f *testing.F) {
	f.Add("gtag('config','G-1')", uint64(1))
	f.Add("x.import('y')", uint64(2))
	f.Add("important import_ import\xe9", uint64(3))
	f.Add("a.show(); a.hide(); gtag('config'); a.css('G-')", uint64(4))
	importing := regexp.MustCompile(`import(?:[^\w$]|$)`)
	signatures := [][]string{{"gtag(", "'config'", "G-"}, {"gtag(", "'config'"}, {"fbq(", "'init'"}, {"_paq", " matomo"}, {"hjid:"}, {"abcde", "bcdabc"}}
	e := &Engine{}
	for i, tokens := range signatures {
		e.catalogue.addInline(tokens, i%2 == 0, verdict{rule: Rule{Line: i}})
	}
	e.catalogue.build()
	f.Fuzz(func(t *testing.T, code string, seed uint64) {
		m := made{rand.New(rand.NewPCG(seed, 1))}
		for range m.IntN(6) {
			at := m.IntN(len(code) + 1)
			tokens := signatures[m.IntN(len(signatures))]
			code = code[:at] + tokens[m.IntN(len(tokens))] + code[at:]
		}
		// What is only data to the script counts for nothing.
		acts, at := []string{}, 0
		for _, data := range AppendData(nil, []byte(code)) {
			acts = append(acts, code[at:data.Start])
			at = data.End
		}
		acts = append(acts, code[at:])
		var want *Rule
	search:
		for i := range e.catalogue.inline.signatures {
			s := &e.catalogue.inline.signatures[i]
			if !s.inPrograms && isProgram([]byte(code)) {
				continue
			}
			for _, token := range s.tokens {
				if !slices.ContainsFunc(acts, func(part string) bool { return strings.Contains(part, string(token)) }) {
					continue search
				}
			}
			want = &s.rule
			break
		}
		var p Page
		got := e.Inline(&p, []byte(code))
		if got.Rule != want {
			t.Fatalf("%q: got %v, want %v", code, got.Rule, want)
		}
		if imports := importing.MatchString(code); got.Imports != imports {
			t.Fatalf("%q: may import: %t, want %t", code, got.Imports, imports)
		}
	})
}
