package proxy

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// placesFile is made by the tests of configs.
const placesFile = "../configs/testdata/places.mmdb"

func openPlaces(t testing.TB) *maxminddb.Reader {
	t.Helper()
	r, err := maxminddb.Open(placesFile)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ledger keeps receipts.
type ledger struct {
	mu   sync.Mutex
	last *consent.Receipt
}

func (l *ledger) Record(_ context.Context, r *consent.Receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = r
	return nil
}

// latest returns the receipt that was recorded last.
func (l *ledger) latest() *consent.Receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *ledger) Receipt(context.Context, consent.ID) (*consent.Receipt, error) {
	return nil, fs.ErrNotExist
}
func (l *ledger) Erase(context.Context, consent.ID) error { return fs.ErrNotExist }

const trackedPage = `<!DOCTYPE html><html lang="en"><head><title>x</title></head><body><script src="https://connect.facebook.net/en_US/fbevents.js"></script></body></html>`

func pageServer(t *testing.T, page func(r *http.Request) string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, page(r))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// ask gets a path with the given header fields and returns the answer.
func (s *stage) ask(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

func byPlace(c *configs.Config) {
	c.Location.CountryHeader, c.Location.RegionHeader = "X-Country", "X-Region"
	c.Sites[0].Regimes.BuiltIn = consent.BuiltInRegimes()
}

func TestRegimeByPlace(t *testing.T) {
	upstream := pageServer(t, func(*http.Request) string { return trackedPage })
	database := openPlaces(t)
	for _, c := range []struct {
		name    string
		trusted bool
		header  []string
		regime  string
		rule    string
	}{
		{"country", true, []string{"X-Country", "DE"}, "opt-in", "DE, built in, by X-Country"},
		{"region", true, []string{"X-Country", "US", "X-Region", "CA"}, "opt-out", "US-CA, built in, by X-Country"},
		{"region with its country", true, []string{"x-country", "us", "x-region", "US-GA"}, "notice", "US-GA, built in, by X-Country"},
		{"no rule", true, []string{"X-Country", "XX"}, "opt-in", "fallback, by X-Country"},
		{"said twice", true, []string{"X-Country", "DE", "X-Country", "US"}, "opt-in", "fallback, place unknown"},
		{"a stranger's", false, []string{"X-Country", "AU"}, "opt-in", "fallback, place unknown"},
		{"nothing said", true, nil, "opt-in", "fallback, place unknown"},
		{"by address", true, []string{"X-Forwarded-For", "192.0.2.200"}, "opt-out", "US-CA, built in, by database"},
		{"by the other address", true, []string{"X-Forwarded-For", "192.0.2.7"}, "opt-in", "DE, built in, by database"},
		{"by address and port", true, []string{"X-Forwarded-For", "192.0.2.200:50512"}, "opt-out", "US-CA, built in, by database"},
		{"by IPv6 and port", true, []string{"X-Forwarded-For", "[2001:db8::1]:50512"}, "notice", "AU, built in, by database"},
		{"by IPv6", true, []string{"X-Forwarded-For", "2001:db8::1"}, "notice", "AU, built in, by database"},
		{"a record without a country", true, []string{"X-Forwarded-For", "203.0.113.4"}, "opt-in", "fallback, place unknown"},
		{"header before database", true, []string{"X-Forwarded-For", "192.0.2.200", "X-Country", "DE"}, "opt-in", "DE, built in, by X-Country"},
	} {
		t.Run(c.name, func(t *testing.T) {
			records := &ledger{}
			s := newStage(t, upstream, byPlace, func(cfg *configs.Config) {
				cfg.Location.Database = database
				if c.trusted {
					trusting(cfg)
				}
			})
			s.use(records)
			for range 3 { // made, remembered, and from memory
				resp, body := s.ask("GET", "/", "", c.header...)
				if got := between(body, `data-regime="`, `"`); got != c.regime {
					t.Errorf("the page's regime is %s, want %s", got, c.regime)
				}
				if held := strings.Contains(body, "data-askfirst-src"); held != (c.regime == "opt-in") {
					t.Errorf("under %s the tag is held: %t", c.regime, held)
				}
				if vary := resp.Header.Get("Vary"); !strings.HasSuffix(vary, ", X-Country, X-Region") {
					t.Errorf("Vary is %q", vary)
				}
			}
			resp, _ := s.ask("POST", "/_askfirst/consent", "choice=accept-all&return=/", append(c.header, "Content-Type", "application/x-www-form-urlencoded")...)
			r := records.latest()
			if resp.StatusCode != 303 || r == nil {
				t.Fatalf("the choice was answered with %d", resp.StatusCode)
			}
			if r.RegimeRule != c.rule || r.Regime.String() != c.regime {
				t.Errorf("the receipt says %s by %q, want %s by %q", r.Regime, r.RegimeRule, c.regime, c.rule)
			}
			if want, told := map[string]string{"region": "US", "by IPv6": "AU", "no rule": "XX", "nothing said": ""}[c.name]; told && r.Country != want {
				t.Errorf("the receipt is from %q, want %q", r.Country, want)
			}
		})
	}
}

// use puts other records in the place of the stage's.
func (s *stage) use(records *ledger) {
	s.t.Helper()
	s.proxy.o.Records = records
	if err := s.proxy.Reload(s.proxy.sites.Load().cfg); err != nil {
		s.t.Fatal(err)
	}
}

func TestPageOfOneRegimeIsNotRevalidatedUnderAnother(t *testing.T) {
	s := newStage(t, pageServer(t, func(*http.Request) string { return trackedPage }), trusting, byPlace)
	resp, _ := s.ask("GET", "/", "", "X-Country", "AU")
	tag := resp.Header.Get("ETag")
	if resp, _ = s.ask("GET", "/", "", "X-Country", "AU", "If-None-Match", tag); resp.StatusCode != 304 {
		t.Errorf("the same visitor is answered with %d", resp.StatusCode)
	}
	if resp, _ = s.ask("GET", "/", "", "X-Country", "DE", "If-None-Match", tag); resp.StatusCode != 200 {
		t.Errorf("a visitor under another regime is answered with %d", resp.StatusCode)
	}
}

func TestObjections(t *testing.T) {
	upstream := pageServer(t, func(*http.Request) string { return trackedPage })
	for _, c := range []struct {
		dnt    bool
		header string
		held   bool
		says   string
	}{
		{false, "Sec-GPC", true, "Global Privacy Control"},
		{true, "DNT", true, "Do Not Track"},
		{false, "DNT", false, ""},
	} {
		s := newStage(t, upstream, func(cfg *configs.Config) {
			cfg.Sites[0].Regimes.Fallback, cfg.Sites[0].DoNotTrack = consent.OptOut, c.dnt
		})
		resp, body := s.ask("GET", "/", "", c.header, "1")
		if held := strings.Contains(body, "data-askfirst-src"); held != c.held {
			t.Errorf("%s: held is %t", c.header, held)
		}
		if c.says != "" && !strings.Contains(body, "Your browser sends "+c.says) || c.says == "" && strings.Contains(body, "Your browser sends") {
			t.Errorf("%s: the banner does not say %q", c.header, c.says)
		}
		if varies := strings.Contains(resp.Header.Get("Vary"), "DNT"); varies != c.dnt {
			t.Errorf("Vary is %q", resp.Header.Get("Vary"))
		}
		_, body = s.ask("GET", "/_askfirst/preferences", "", c.header, "1")
		if c.says != "" && !strings.Contains(body, "Your browser sends "+c.says) {
			t.Errorf("%s: the preferences do not say %q", c.header, c.says)
		}
	}
}

func TestChildIsAskedNothing(t *testing.T) {
	const video = `<iframe src="https://www.youtube.com/embed/x" width="560" height="315"></iframe><script src="https://nobody-knows.example/x.js"></script>`
	pages := map[string]string{
		"/kids/game":  trackedPage,
		"/kids":       trackedPage,
		"/attribute":  strings.Replace(trackedPage, "<html", "<HTML data-askfirst-audience='child'", 1),
		"/meta":       strings.Replace(trackedPage, "<title>", `<meta content="child" name="askfirst-audience"><title>`, 1),
		"/comment":    strings.Replace(trackedPage, "<title>", `<!-- <meta content="child" name="askfirst-audience"> --><title>`, 1),
		"/adult":      strings.Replace(trackedPage, "<title>", `<meta content="adult" name="askfirst-audience"><title>`, 1),
		"/late":       strings.Replace(trackedPage, "<title>", "<!--"+strings.Repeat("x", prescan)+`--><meta content="child" name="askfirst-audience"><title>`, 1),
		"/kids/video": strings.Replace(trackedPage, "<body>", "<body>"+video, 1),
		"/":           trackedPage,
	}
	upstream := pageServer(t, func(r *http.Request) string { return pages[r.URL.Path] })
	s := newStage(t, upstream, func(cfg *configs.Config) {
		site := &cfg.Sites[0]
		site.Regimes.Fallback = consent.Notice
		site.UnderAge = configs.UnderAge{Paths: []string{"/kids/*"}, Cookie: "age", CookieValue: "child", Mark: true}
	})
	choice := consent.Choice{Revision: 1, Categories: consent.All, At: time.Now().Add(-time.Hour), ID: consent.NewID()}
	agreed := "askfirst=" + string(choice.AppendCookie(nil))
	for _, c := range []struct {
		path, cookie string
		child        bool
	}{
		{"/kids/game", "", true},
		{"/kids/game", agreed, true},
		{"/kids", "", false},
		{"/attribute", agreed, true},
		{"/meta", "", true},
		{"/comment", "", false},
		{"/adult", "", false},
		{"/late", "", false},
		{"/", "", false},
		{"/", agreed + "; age=child", true},
		{"/", "age=child; " + agreed, true},
		{"/", "age=adult", false},
	} {
		for range 3 {
			_, body := s.ask("GET", c.path, "", "Cookie", c.cookie)
			child := strings.Contains(body, `data-granted="-"`) && strings.Contains(body, `data-audience="child"`)
			held := strings.Contains(body, "data-askfirst-src")
			asked := strings.Contains(body, "<askfirst-banner")
			if child != c.child || held != c.child || asked == c.child {
				t.Errorf("%s with %q: child %t, held %t, asked %t", c.path, c.cookie, child, held, asked)
			}
		}
	}
	_, body := s.ask("GET", "/kids/video", "")
	if !strings.Contains(body, "<askfirst-placeholder") || strings.Contains(body, "data-askfirst=\"load\"") || strings.Contains(body, ` src="https://nobody-knows.example/x.js"`) {
		t.Errorf("a child's video: %s", body)
	}
	resp, _ := s.ask("POST", "/_askfirst/consent", "choice=accept-all", "Cookie", "age=child", "Content-Type", "application/x-www-form-urlencoded")
	if resp.StatusCode != 403 || resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("a child's choice is answered with %d", resp.StatusCode)
	}
}

// The head of a page whose own mark says that it is for children lets as few in as
// its body, on the first load and out of the memo.
func TestMarkTightensTheHead(t *testing.T) {
	marked := strings.Replace(trackedPage, "<title>", `<meta name="askfirst-audience" content="child"><title>`, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Link", `<https://static.hotjar.com>; rel=preconnect`)
		if r.URL.Path == "/child" {
			io.WriteString(w, marked)
		} else {
			io.WriteString(w, trackedPage)
		}
	}))
	t.Cleanup(upstream.Close)
	s := newStage(t, upstream.URL, locking, func(cfg *configs.Config) { cfg.Sites[0].UnderAge.Mark = true })
	for range 4 {
		for path, child := range map[string]bool{"/child": true, "/": false} {
			resp, _ := s.ask("GET", path, "", "Cookie", choiceCookie(consent.All))
			locked, hints := resp.Header.Get("Content-Security-Policy") != "", resp.Header.Get("Link") != ""
			if locked != child || hints == child {
				t.Errorf("%s: locked %t, hints %t", path, locked, hints)
			}
		}
	}
}

// A page's word about its audience is found however the page arrives.
func TestMarkIsFoundHoweverThePageIsCut(t *testing.T) {
	page := strings.Replace(trackedPage, "<title>", `<meta name="askfirst-audience" content="child"><title>`, 1)
	for at := 1; at < 100; at += 7 {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page[:at])
			w.(http.Flusher).Flush()
			io.WriteString(w, page[at:])
		}))
		s := newStage(t, server.URL, func(cfg *configs.Config) { cfg.Sites[0].UnderAge.Mark = true })
		if _, body := s.ask("GET", "/", ""); !strings.Contains(body, `data-audience="child"`) || !strings.HasSuffix(body, page[strings.Index(page, "</body>"):]) {
			t.Errorf("cut at %d: %s", at, body)
		}
		server.Close()
	}
}

func TestPlacesDoNotAllocate(t *testing.T) {
	p := newPlaces(&configs.Location{Database: openPlaces(t)})
	address := netip.MustParseAddr("192.0.2.200")
	if got := p.find(address).String(); got != "US-CA" {
		t.Errorf("%s is in %q", address, got)
	}
	if n := testing.AllocsPerRun(100, func() { p.find(address) }); n != 0 {
		t.Errorf("a place costs %v allocations", n)
	}
}

func BenchmarkPlace(b *testing.B) {
	p := newPlaces(&configs.Location{Database: openPlaces(b)})
	address := netip.MustParseAddr("192.0.2.200")
	b.ReportAllocs()
	for b.Loop() {
		p.find(address)
	}
}
