package rules

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"github.com/askfirst/askfirst/rules/consent"
)

func listEngine(t testing.TB, format Format, text string, overrides ...Override) *Engine {
	t.Helper()
	e, err := compile(catalogueOf(nil), nil, "", Options{
		Lists:         []List{{Name: "list.txt", Format: format, Category: consent.Marketing, Text: []byte(text)}},
		HeuristicsOff: Heuristics(), Overrides: overrides,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestABP has one rule set a line, and URLs that it blocks (+) or lets be (-).
func TestABP(t *testing.T) {
	for _, c := range []struct {
		rules string
		kind  Kind
		urls  string
	}{
		{"||ads.test^", Image, "+https://ads.test/a +https://x.ads.test/ +//ads.test:8080/a -https://badads.test/ -https://ads.test.evil.example/ -https://evil.example/ads.test/"},
		{"||ads.test", Image, "+https://ads.test/a +https://ads.test.evil.example/ +https://ads.tests.example/ -https://badads.test/"},
		{"||ads.test/pixel", Image, "+https://ads.test/pixel.gif +https://x.ads.test/PIXEL -https://ads.test/a/pixel"},
		{"||ads.test^*/track^", Image, "+https://ads.test/a/track?x +https://ads.test/a/track -https://ads.test/tracker"},
		{"||ads.*^pixel", Image, "+https://ads.example/pixel +https://x.ads.co.uk/pixel -https://bads.example/pixel"},
		{"|https://ads.test/", Image, "+https://ads.test/x -http://ads.test/x -https://x.ads.test/"},
		{".gif|", Image, "+https://a.example/x.gif -https://a.example/x.gif?y"},
		{"/track^", Image, "+https://a.example/track/x +https://a.example/track?x +https://a.example/track -https://a.example/tracks"},
		{"/collect?*&tid=", Image, "+https://a.example/collect?v=1&tid=2 -https://a.example/collect?tid=2 +/collect?v=1&tid=2"},
		{"/track.js$third-party", Script, "+https://a.example/track.js -/track.js -https://cdn.shop.example/track.js"},
		{"/track.js$~third-party", Script, "-https://a.example/track.js +/track.js"},
		{"/track.js$1p", Script, "-https://a.example/track.js +/track.js"},
		{"||ads.test^$script", Image, "-https://ads.test/a"},
		{"||ads.test^$script", Script, "+https://ads.test/a"},
		{"||ads.test^$script", Hint, "+https://ads.test/a"},
		{"||ads.test^$ping", Hint, "-https://ads.test/a"},
		{"/track/*", Form, "+https://a.example/track/order -/track/order"},
		{`/^https?:\/\/ads\.test\/$/`, Script, "+https://ads.test/ -https://ads.test/a"},
		{"/t.js$domain=~example|shop.example", Script, "+https://a.example/t.js"},
		{"||ads.test^$~script,~image", Image, "-https://ads.test/a"},
		{"||ads.test^$~script", Image, "+https://ads.test/a"},
		{"||ads.test^$websocket", Connect, "+wss://ads.test/a -https://ads.test/a"},
		{"||ads.test^$xmlhttprequest", Connect, "-wss://ads.test/a +https://ads.test/a"},
		{"||ads.test^$ping", Ping, "+https://ads.test/a"},
		{"/t.js$domain=shop.example|other.example", Script, "+https://a.example/t.js"},
		{"/t.js$domain=~shop.example", Script, "-https://a.example/t.js"},
		{"/t.js$domain=example|~shop.example", Script, "-https://a.example/t.js"},
		{"/t.js$domain=other.example", Script, "-https://a.example/t.js"},
		{"|https://$script,domain=shop.example", Script, "+https://a.example/t.js -http://a.example/t.js"},
		{"|https://$script,domain=other.example|~shop.example", Script, "-https://a.example/t.js"},
		{"*$script,third-party,domain=shop.example,denyallow=cdn.example|x.example", Script, "+https://a.example/t.js -https://cdn.example/t.js -https://y.x.example/ -/t.js"},
		{"||ads.test^\n@@||ads.test/ok^", Script, "+https://ads.test/a -https://ads.test/ok/a"},
		{"||ads.test^$important\n@@||ads.test/ok^", Script, "+https://ads.test/ok/a"},
		{"||ads.test^\n||ads.test^$badfilter", Script, "-https://ads.test/a"},
		{"||ads.test^$script,third-party\n||ads.test^$script,third-party,badfilter", Script, "-https://ads.test/a"},
		{"/Track$match-case", Script, "+https://a.example/Track -https://a.example/track"},
		{"/Track", Script, "+https://a.example/TRACK"},
		{`/ads[0-9]{2}\.js/`, Script, "+https://a.example/ads12.js +https://a.example/ADS12.js -https://a.example/ads1.js"},
		{`/^https:\/\/[a-z]{4}\.example\/$/$script,domain=shop.example`, Script, "+https://abcd.example/ -https://abc.example/"},
		{"ads.test##.banner\nads.test#@#.banner\nshop.example#?#div\n! ||ads.test^\n[Adblock Plus 2.0]", Script, "-https://ads.test/a"},
		{"||ads.test^$csp=script-src 'none'\n||ads.test^$redirect=noop.js\n||ads.test^$removeparam=x\n@@||ads.test^$generichide", Script, "-https://ads.test/a"},
		{"||ads.test^$popup", Script, "-https://ads.test/a"},
		{"||ads.test^$popup,script", Script, "+https://ads.test/a"},
		{"||ads.test^$~popup", Script, "+https://ads.test/a"},
		{"||ads.test^\n@@||shop.example^$document", Script, "+https://ads.test/a"},
		{"||shop.example^", Script, "-/a -https://cdn.shop.example/a"},
		{"||b\u00fccher.example^", Script, "-https://other.example/"},
	} {
		e := listEngine(t, FormatABP, c.rules)
		p := newPage("https://www.shop.example/page")
		for u := range strings.FieldsSeq(c.urls) {
			d := e.URL(p, []byte(u[1:]), c.kind)
			if got := d.Rule != nil && d.Rule.Source == SourceList; got != (u[0] == '+') {
				t.Errorf("%q, %v %s: blocked is %v", c.rules, c.kind, u[1:], got)
			}
		}
	}
}

// TestRulesOfPages looks where a rule about all that some pages load is looked up:
// at its pages alone, not at every URL that has its scheme.
func TestRulesOfPages(t *testing.T) {
	l := listEngine(t, FormatABP, "|https://$script,domain=a.test|b.test\n|http://$image,domain=a.test\n|https://a.test/x/$domain=a.test\n|https://\n").lists
	if len(l.byPage) != 2 || len(l.byLiteral) != 2 {
		t.Errorf("%d pages have rules, and %d literals; want 2 and 2", len(l.byPage), len(l.byLiteral))
	}
}

func TestListSummary(t *testing.T) {
	e := listEngine(t, FormatABP, "! a comment\n||a.test^\nb.test##.x\n||c.test^$csp=x\n/(?=x)/\n||a.test^$badfilter\n||d.test^\n*\n"+strings.Repeat("x", 1<<14))
	want := map[string]int{errCosmetic.Error(): 1, errOption.Error(): 1, errRegexp.Error(): 1, errBad.Error(): 1, errEmpty.Error(): 1, errTooLong.Error(): 1}
	got := e.Lists()[0]
	if got.Rules != 1 || !maps.Equal(got.Ignored, want) {
		t.Errorf("%+v, want 1 rule and %v", got, want)
	}
	e = listEngine(t, FormatTrackerDB, `{"patterns": {"a": {"filters": ["||a.test^", "/(?=x)/", "||b.test^$csp=x", "*"]}}}`)
	want = map[string]int{errOption.Error(): 1, errRegexp.Error(): 1, errEmpty.Error(): 1}
	if got := e.Lists()[0]; got.Rules != 1 || !maps.Equal(got.Ignored, want) {
		t.Errorf("%+v, want 1 rule and %v", got, want)
	}
	if text := (ListSummary{"a.txt", 2, map[string]int{"b": 1, "a": 3}}).String(); text != "a.txt: 2 rules; ignored: 3 a, 1 b" {
		t.Errorf("%q", text)
	}
}

func TestListFormats(t *testing.T) {
	for _, c := range []struct {
		format   Format
		text     string
		url      string
		category consent.Category
		line     int
	}{
		{FormatHosts, "# hosts\n127.0.0.1 localhost\n0.0.0.0 ads.test # why\n", "https://ads.test/x", consent.Marketing, 3},
		{FormatHosts, "plain.test\nother.test", "https://other.test/x", consent.Marketing, 2},
		{FormatDisconnect, "{\"license\": \"x\",\n\"categories\": {\"Analytics\": [{\"A Co\": {\"https://a.test/\": [\n\"a.test\", \"a-cdn.test\"],\"dnt\": \"eff\"}}]}}", "https://x.a-cdn.test/", consent.Analytics, 3},
		{FormatTrackerDB, "{\"patterns\": {\"a\": {\"name\": \"A\", \"category\": \"social_media\",\n\"domains\": [\"a.test\"],\n\"filters\": [\"||b.test/pixel^\"]}}}", "https://b.test/pixel/1", consent.Social, 3},
		{FormatTrackerRadar, "{\"trackers\": {\"a.test\": {\"domain\": \"a.test\",\n\"default\": \"block\", \"categories\": [\"Ad Fraud\"], \"rules\": [{\"rule\": \"x\"}]}}}", "https://a.test/", consent.Marketing, 1},
		{FormatTrackerRadar, "{\n\"domain\": \"a.test\", \"categories\": [\"Audience Measurement\"]}", "https://a.test/", consent.Analytics, 2},
	} {
		e := listEngine(t, c.format, c.text)
		d := e.URL(newPage("https://shop.example/"), []byte(c.url), Script)
		if d.Rule == nil || d.Category != c.category || d.Rule.Line != c.line || d.Rule.File != "list.txt" {
			t.Errorf("%s: %s is %v by %+v", c.format, c.url, d.Category, d.Rule)
		}
	}
	e := listEngine(t, FormatHosts, "ads.test")
	if d := e.URL(newPage("https://shop.example/"), []byte("https://x.ads.test/"), Script); d.Rule != nil {
		t.Errorf("a hosts file holds for a subdomain: %+v", d.Rule)
	}
}

func TestListMistakes(t *testing.T) {
	for _, c := range []struct {
		format Format
		text   string
		want   string
	}{
		{FormatDisconnect, "{\n\"categories\": {\n", "list.txt:3: not JSON"},
		{FormatDisconnect, "{}", "list.txt:1: not a Disconnect list"},
		{FormatTrackerDB, "{\"patterns\":\n[]}", "list.txt:2: not a trackerdb list"},
		{FormatTrackerRadar, "{}", "list.txt:1: not a Tracker Radar list"},
		{"easylist", "", `list.txt:1: no list format is called "easylist"`},
	} {
		_, err := compile(catalogueOf(nil), nil, "", Options{Lists: []List{{Name: "list.txt", Format: c.format, Text: []byte(c.text)}}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: got %v, want %s", c.format, c.text, err, c.want)
		}
	}
}

// TestListLimits tells of lists that are too large instead of keeping them.
func TestListLimits(t *testing.T) {
	full := &listTable{rules: make([]listRule, MaxListRules)}
	err := full.add(&List{Name: "list.txt", Format: FormatABP, Text: []byte("! one more\n||a.test^\n")})
	if err == nil || !strings.HasPrefix(err.Error(), "list.txt:2: ") {
		t.Errorf("too many rules: %v", err)
	}
	if err := new(listTable).add(&List{Name: "list.txt", Format: FormatHosts, Text: make([]byte, MaxListSize+1)}); err == nil {
		t.Error("a list is taken that is too large")
	}
	many := &listTable{}
	if err := many.add(&List{Name: "list.txt", Format: FormatABP, Text: []byte(strings.Repeat("/a+b/\n", maxRegexps+5))}); err != nil {
		t.Fatal(err)
	}
	// What is not compiled is told, the second list's too.
	if err := many.add(&List{Name: "more.txt", Format: FormatABP, Text: []byte(strings.Repeat("/a+b/$domain=a.test\n@@/c+d/\n||b.test^\n", 100_000))}); err != nil {
		t.Fatal(err)
	}
	const told = "more than 1000 regular expressions"
	if s := many.summaries[0]; s.Rules != maxRegexps || s.Ignored[told] != 5 {
		t.Errorf("%+v", s)
	}
	if s := many.summaries[1]; s.Rules != 100_000 || s.Ignored[told] != 200_000 {
		t.Errorf("%+v", s)
	}
	compiled := 0
	for i := range many.rules {
		if s := many.rules[i].scope; s != nil && s.regexp != nil {
			compiled++
		}
	}
	if compiled != maxRegexps || many.regexps != maxRegexps {
		t.Errorf("%d of %d expressions are kept, want %d", compiled, many.regexps, maxRegexps)
	}
	wordless := &listTable{}
	text := strings.Repeat("ab*cd^\n|abc\n", maxWordless) + "abcd\nab$domain=a.test\n||a.test^a\n" + strings.Repeat("a", maxPatternLength+1) + "\n"
	if err := wordless.add(&List{Name: "list.txt", Format: FormatABP, Text: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if s := wordless.summaries[0]; s.Rules != maxWordless+3 || s.Ignored["more than 1000 patterns without 4 bytes in a row"] != maxWordless || s.Ignored[errTooLong.Error()] != 1 {
		t.Errorf("%+v", s)
	}
	if wordless.build(); len(wordless.unindexed) != maxWordless {
		t.Errorf("%d rules are held against every URL, want %d", len(wordless.unindexed), maxWordless)
	}
	blank := &listTable{}
	if err := blank.add(&List{Name: "list.txt", Format: FormatABP, Text: []byte(strings.Repeat("\n", 10<<20))}); err != nil || cap(blank.rules) > 1<<20 {
		t.Errorf("room for %d rules, %v", cap(blank.rules), err)
	}
}

// TestHostilePatterns matches patterns that a matcher which tries each "*" at
// each place would not be done with in years.
func TestHostilePatterns(t *testing.T) {
	const pieces = maxPatternLength/2 - 1
	text := bytes.Repeat([]byte("a"), 8<<10)
	for _, pattern := range []string{
		strings.Repeat("a*", pieces) + "b",
		strings.Repeat("*a", pieces) + "^b",
		strings.Repeat("a*a^*", pieces/3) + "b",
		strings.Repeat("a", maxPatternLength-1) + "b",
	} {
		for _, ends := range []bool{false, true} {
			if separatedMatch(pattern, text, ends, !ends) || separatedMatch(pattern, text, ends, ends) {
				t.Errorf("%.20s… matches", pattern)
			}
		}
	}
	for _, glob := range []string{strings.Repeat("*a", pieces) + "b$", strings.Repeat("/*a", pieces/2) + "b*"} {
		if globMatch(glob, text) {
			t.Errorf("%.20s… matches", glob)
		}
	}
	e := listEngine(t, FormatABP, strings.Repeat("a*", pieces-1)+"bbbb\n/(a*a*)*b{3}(a|aa)+$/\n/((a+)+)+bbbb/")
	if n := len(e.lists.rules); n != 3 {
		t.Fatalf("%d rules are kept", n)
	}
	if d := e.URL(newPage("https://shop.test/"), append([]byte("https://x.test/"), text...), Script); d.Rule != nil {
		t.Errorf("%+v", d)
	}
}

// naiveABP decides by every rule in turn, each made into a regular expression.
func naiveABP(rules []string, page, site, ref, host string) bool {
	blocked, excepted, important := false, false, false
	for _, rule := range rules {
		body, exception := strings.CutPrefix(rule, "@@")
		body, options, _ := strings.Cut(body, "$")
		third := !inDomain(host, site)
		if strings.Contains(options, "third-party") && !third {
			continue
		}
		if _, domains, ok := strings.Cut(options, "domain="); ok {
			domains, _, _ = strings.Cut(domains, ",")
			on := false
			for d := range strings.SplitSeq(domains, "|") {
				on = on || inDomain(page, d)
			}
			if !on {
				continue
			}
		}
		x := body
		prefix, suffix := "", ""
		if rest, ok := strings.CutPrefix(x, "||"); ok {
			x, prefix = rest, `^[a-z]+://([^/]*\.)?`
		} else if rest, ok := strings.CutPrefix(x, "|"); ok {
			x, prefix = rest, `^`
		}
		if rest, ok := strings.CutSuffix(x, "|"); ok {
			x, suffix = rest, `$`
		}
		x = regexp.QuoteMeta(x)
		x = strings.ReplaceAll(strings.ReplaceAll(x, `\*`, `.*`), `\^`, `(?:[^a-z0-9_.%-]|$)`)
		if m := regexp.MustCompile(`^\|\|([a-z.]+)\^\*?$`).FindStringSubmatch(body); m != nil && !third && (m[1] == site || host == page) {
			continue // a bare domain is about third parties and hosts below the page's site
		}
		if !regexp.MustCompile(`(?i)` + prefix + x + suffix).MatchString(ref) {
			continue
		}
		switch {
		case exception:
			excepted = true
		case strings.Contains(options, "important"):
			important = true
		default:
			blocked = true
		}
	}
	return important || blocked && !excepted
}

func compareABP(t *testing.T, seed uint64) {
	m := made{rand.New(rand.NewPCG(seed, 2))}
	host := func() string {
		return m.of("", "", "x.", "www.") + m.of("ads.test", "shop.example", "tracker.net", "a.co.uk")
	}
	piece := func() string {
		return m.of("/", "track", "^", "*", "pixel.gif", "?id=1", "&x=", "a", "/ads/", ".js", "ads.test", "^*^", "er", "://")
	}
	var rules []string
	for range 1 + m.IntN(10) {
		rule := m.of("", "", "@@") + m.of("||"+host()+m.of("^", "^", "/", "", "*"), "|https://", "", "")
		for range m.IntN(4) {
			rule += piece()
		}
		rule += m.of("", "", "|", "*")
		if m.IntN(2) == 0 {
			rule += "$" + m.of("third-party", "important", "domain=shop.example|a.co.uk", "third-party,domain=www.shop.example")
		}
		body, _, _ := strings.Cut(strings.TrimPrefix(rule, "@@"), "$")
		if strings.Trim(body, "|*") == "" || strings.HasPrefix(body, "/") && strings.HasSuffix(body, "/") || strings.Contains(body, "|") && strings.Trim(body, "|") == "" {
			continue
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return
	}
	e := listEngine(t, FormatABP, strings.Join(rules, "\n"))
	if len(e.Lists()[0].Ignored) > 0 {
		return
	}
	for range 20 {
		pageHost, refHost := host(), host()
		ref := "https://" + refHost + "/"
		for range m.IntN(5) {
			ref += m.of("track", "TRACK", "/", "pixel.gif", "?id=1", "&x=", "a", "ads/", ".js", "er", "ads.test", "_", "-")
		}
		site, _ := publicsuffix.EffectiveTLDPlusOne(pageHost)
		d := e.URL(newPage("https://"+pageHost+"/p"), []byte(ref), Script)
		got := d.Rule != nil && d.Rule.Source == SourceList
		if want := naiveABP(rules, pageHost, site, ref, refHost); got != want {
			t.Fatalf("seed %d: %s on %s: blocked is %v, by %+v, want %v; rules:\n%s", seed, ref, pageHost, got, d.Rule, want, strings.Join(rules, "\n"))
		}
	}
}

func TestNaiveABP(t *testing.T) {
	for seed := range uint64(1000) {
		compareABP(t, seed)
	}
}

func FuzzNaiveABP(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(compareABP)
}

// FuzzABP reads any rule, and asks with and without the index.
func FuzzABP(f *testing.F) {
	for _, c := range []string{"||a.test^$third-party", "@@/x/$script", "/re[a-z]+x/", "|https://*^y|", "*$domain=shop.example", "a$b", "$", "@@", "||", "/(((a{9}){9}){9})/"} {
		f.Add(c, "https://x.a.test/re/x?y=https://b.test")
	}
	f.Fuzz(func(t *testing.T, rule, ref string) {
		e := listEngine(t, FormatABP, rule)
		p := newPage("https://www.shop.example/page")
		d := e.URL(p, []byte(ref), Script)
		if d.Party == NoParty {
			return
		}
		linear := false
		for i := range e.lists.rules {
			r := &e.lists.rules[i]
			if (r.domain == "" || inDomain(string(p.ref.host()), r.domain)) && r.matches(p, typeScript, d.Party) {
				linear = true
			}
		}
		if linear != (d.Rule != nil) {
			t.Fatalf("%q, %q: index finds %v, each rule in turn %v", rule, ref, d.Rule != nil, linear)
		}
	})
}

func TestPrecedence(t *testing.T) {
	sources := []*source{{Vendor: &Vendor{ID: "v", Name: "V", Category: consent.Analytics, Domains: []string{"a.test"}, URLs: []string{"a.test/x"}}, file: "c.yml", domains: []int{1}, urls: []int{2}}}
	p, _ := ParsePattern("a.test/x")
	sources[0].patterns = []Pattern{p}
	list := List{Name: "l.txt", Format: FormatABP, Category: consent.Marketing, Text: []byte("||a.test^\n||b.test^\n@@||a.test/ok^")}
	overrides := []Override{{URL: "a.test/x/y", Category: consent.Social}, {Domain: "o.a.test", Category: consent.Necessary}, {Vendor: "v", Category: consent.Functional, Pages: "/p*"}}
	e, err := compile(catalogueOf(sources), nil, "", Options{Lists: []List{list}, Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ page, ref, want string }{
		{"/", "https://a.test/x/y", "override/social catalogue/analytics catalogue/analytics list/marketing /unclassified"},
		{"/", "https://o.a.test/x", "override/necessary catalogue/analytics catalogue/analytics list/marketing /unclassified"},
		{"/p1", "https://a.test/x", "override/functional catalogue/analytics catalogue/analytics list/marketing /unclassified"},
		{"/p1", "https://a.test/ok/", "override/functional exception/necessary catalogue/analytics list/marketing /unclassified"},
		{"/", "https://a.test/ok/", "exception/necessary catalogue/analytics list/marketing /unclassified"},
		{"/", "https://b.test/", "list/marketing /unclassified"},
		{"/", "https://c.test/", "/unclassified"},
		{"/", "/x", "/necessary"},
	} {
		x := e.ExplainURL(newPage("https://shop.example"+c.page), []byte(c.ref), Script, 0)
		got := ""
		for i, d := range append([]Decision{x.Decision}, x.Otherwise...) {
			if i > 0 {
				got += " "
			}
			if d.Rule != nil {
				got += d.Rule.Source
			}
			got += "/" + d.Category.String()
		}
		if got != c.want {
			t.Errorf("%s on %s: got %s, want %s", c.ref, c.page, got, c.want)
		}
	}
}
