package admin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"github.com/ncruces/go-sqlite3"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
	"golang.org/x/net/html"
)

// attack is a text that must be shown as text wherever it turns up.
const attack = `"'><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}`

func newAdmin(t *testing.T, o Options) (*Admin, *audit.Store) {
	t.Helper()
	store, err := audit.Open(t.Context(), "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	o.Store, o.Log = store, slog.New(slog.DiscardHandler)
	return New(o), store
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost:9090"+target, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func sighting(vendor string, c consent.Category, host, path string, e audit.Event) []audit.Sighting {
	return []audit.Sighting{{
		Vendor: vendor, VendorName: vendor, Category: c, Kind: "script", Host: []byte(host), Path: []byte(path), Event: e, Count: 1,
	}}
}

func receipt(site string) *consent.Receipt {
	return &consent.Receipt{
		Choice: consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Analytics), At: time.Now().Truncate(time.Second), ID: consent.NewID()},
		Site:   site, Regime: consent.OptIn, Country: "AT", Action: "save", Method: consent.ByForm, Language: "en",
		Vendors: []string{"google-analytics"}, Address: "192.0.2.0/24", Browser: "Firefox",
	}
}

var paths = []string{"/", "/tags", "/tags?by=page", "/vendors", "/pages", "/cookies", "/choices", "/choices?by=country", "/unclassified", "/changes", "/receipts", "/log", "/health", "/health?verify=1"}

func TestPagesShowWhatWasCounted(t *testing.T) {
	a, store := newAdmin(t, Options{})
	h := a.Handler()
	for _, path := range paths {
		if w := get(t, h, path); w.Code != 200 {
			t.Errorf("%s when nothing was counted: %d", path, w.Code)
		}
	}
	store.Count("shop", []byte("/pricing"), 0, sighting("hotjar", consent.Analytics, "static.hotjar.com", "/c/hotjar.js", audit.Held))
	store.Count("shop", []byte("/pricing"), 0, sighting("", consent.Unclassified, "cdn.unknown.example", "/a.js", audit.Passed))
	store.CountCookie("shop", []byte("_hjid"), "hotjar", consent.Analytics, "response", true)
	k := receipt("shop")
	if err := store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	for path, wants := range map[string][]string{
		"/":                             {`none" href="/tags?by=page&amp;event=fired-anyway"><b class="huge">0</b>`, "1 third party", "hotjar", "Chose themselves"},
		"/tags":                         {"hotjar", "static.hotjar.com/c/hotjar.js", "analytics"},
		"/tags?by=page":                 {"/pricing", "cdn.unknown.example/a.js"},
		"/vendors":                      {"hotjar"},
		"/pages":                        {"/pricing"},
		"/cookies":                      {"_hjid"},
		"/choices":                      {time.Now().UTC().Format("2006-01-02")},
		"/choices?by=country":           {"(other)"},
		"/unclassified":                 {"cdn.unknown.example", "overrides:\n  - domain: cdn.unknown.example\n    category: marketing\n"},
		"/changes":                      {"hotjar", "cdn.unknown.example", "_hjid", "/pricing"},
		"/receipts":                     {k.ID.String()},
		"/receipts?id=" + k.ID.String(): {"agreed to <b>analytics</b>", "refused <b>functional</b>"},
		"/health?verify=1":              {"1 receipt of 1 site checked", "whole"},
		"/metrics":                      {"askfirst_receipts_total 1\n"},
	} {
		w := get(t, h, path)
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s does not show %q", path, want)
			}
		}
		if strings.Contains(w.Body.String(), `<th scope="col"></th>`) {
			t.Errorf("%s has a column without a name", path)
		}
	}
	if w := get(t, h, "/unclassified"); strings.Contains(w.Body.String(), "hotjar") {
		t.Error("a classified vendor is listed as unclassified")
	}
}

// TestWhatIsHeldBackIsSummedUpAlike: in an overview and a report a box and what is
// taken out are held back like what stays inert; nothing is said to have fired with
// consent that nobody was asked about.
func TestWhatIsHeldBackIsSummedUpAlike(t *testing.T) {
	a, store := newAdmin(t, Options{})
	for _, e := range []audit.Event{audit.Held, audit.Boxed, audit.Stripped, audit.Fired} {
		store.Count("shop", []byte("/"), 0, sighting("", consent.Unclassified, "cdn.unknown.example", "/a.js", e))
	}
	for path, want := range map[string]string{
		"/": `<dt>Held back</dt><dd>3</dd>`,
		"/report?month=" + time.Now().UTC().Format("2006-01"): `cdn.unknown.example</td><td class="n">3</td><td class="n">3</td><td class="n">1</td>`,
	} {
		text := get(t, a.Handler(), path).Body.String()
		if !strings.Contains(text, want) {
			t.Errorf("%s does not show %q:\n%s", path, want, text)
		}
		if strings.Contains(text, "fired with consent") {
			t.Errorf("%s says that what is unclassified fired with consent", path)
		}
	}
}

func TestFiredAnywayIsShownInLarge(t *testing.T) {
	a, store := newAdmin(t, Options{})
	store.Count("shop", []byte("/pricing"), 0, sighting("hotjar", consent.Analytics, "static.hotjar.com", "/c/hotjar.js", audit.FiredAnyway))
	if w := get(t, a.Handler(), "/"); !strings.Contains(w.Body.String(), `<b class="huge">1</b>`) {
		t.Error("the overview does not say so")
	}
	if w := get(t, a.Handler(), "/tags?by=page&event=fired-anyway"); !strings.Contains(w.Body.String(), "/pricing") {
		t.Error("the page is not listed")
	}
}

func TestStoredTextIsOnlyText(t *testing.T) {
	a, store := newAdmin(t, Options{Contacts: func() []Contact { return []Contact{{Host: attack, Vendor: attack}} }})
	h := a.Handler()
	for _, c := range []consent.Category{consent.Analytics, consent.Unclassified} {
		s := sighting(attack, c, attack, "/"+attack, audit.Held)
		if c == consent.Unclassified {
			s[0].Vendor, s[0].VendorName = "", ""
		}
		s[0].Kind = attack
		store.Count(attack, []byte("/"+attack), 0, s)
	}
	store.Count("shop", []byte("/"), 0, sighting("x", consent.Analytics, "javascript:alert(1)", "/", audit.Held))
	store.CountCookie(attack, []byte(attack), attack, consent.Marketing, attack, false)
	k := receipt(attack)
	k.Action, k.Method, k.Language, k.RegimeRule, k.Browser, k.Address, k.Vendors = attack, attack, attack, attack, attack, attack, []string{attack}
	text := []byte(attack)
	k.Shown, k.Text = sha256.Sum256(text), text
	if err := store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	q := url.QueryEscape(attack)
	all := append([]string{
		"/receipts/" + k.ID.String(), "/receipts?id=" + q,
		"/tags?q=" + q + "&site=" + q + "&vendor=" + q + "&page=" + q + "&by=" + q + "&days=" + q + "&sort=" + q,
		"/?site=" + q, "/unclassified?host=" + q,
	}, paths...)
	for _, path := range all {
		w := get(t, h, path)
		if w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
		inspect(t, path, w.Body.Bytes())
	}
}

// inspect parses a page and fails where it runs what it should show.
func inspect(t *testing.T, path string, page []byte) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "img" || n.Data == "style" || n.Data == "iframe" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("%s: there is a <%s>", path, n.Data)
		}
		for _, at := range n.Attr {
			if strings.HasPrefix(at.Key, "on") || at.Key == "style" {
				t.Errorf("%s: <%s> has %s=%q", path, n.Data, at.Key, at.Val)
			}
			if at.Key == "href" || at.Key == "src" || at.Key == "action" {
				if u, err := url.Parse(at.Val); err != nil || u.Scheme != "" || u.Host != "" {
					t.Errorf("%s: <%s> leads to %q", path, n.Data, at.Val)
				}
			}
		}
	}
}

func TestReportStandsAlone(t *testing.T) {
	a, store := newAdmin(t, Options{})
	for _, c := range []consent.Category{consent.Analytics, consent.Unclassified} {
		store.Count(attack, []byte("/"+attack), 0, sighting(attack, c, attack, "/"+attack, audit.FiredAnyway))
	}
	store.CountCookie(attack, []byte(attack), attack, consent.Marketing, attack, false)
	if err := store.Record(t.Context(), receipt(attack)); err != nil {
		t.Fatal(err)
	}
	month := time.Now().UTC().Format("2006-01")
	w := get(t, a.Handler(), "/report?month="+month+"&site="+url.QueryEscape(attack))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "</html>") || !strings.Contains(w.Body.String(), "no break was found") {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	if got, want := w.Header().Get("Content-Disposition"), `attachment; filename="askfirst-`+month+`.html"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	doc, err := html.Parse(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		for _, at := range n.Attr {
			if at.Key == "src" || at.Key == "href" || strings.HasPrefix(at.Key, "on") {
				t.Errorf("<%s %s=%q>", n.Data, at.Key, at.Val)
			}
		}
		if n.Data == "script" || n.Data == "img" || n.Data == "link" {
			t.Errorf("there is a <%s>", n.Data)
		}
	}
	if w := get(t, a.Handler(), "/report?month=x"); w.Code != 400 {
		t.Errorf("of no month: %d", w.Code)
	}
}

// Where a vendor is on several sites, each of its rows says on which.
func TestRowsOfSeveralSitesAreToldApart(t *testing.T) {
	a, store := newAdmin(t, Options{})
	month := time.Now().UTC().Format("2006-01")
	for _, site := range []string{"shop", "club"} {
		for _, c := range []consent.Category{consent.Analytics, consent.Unclassified} {
			vendor := map[consent.Category]string{consent.Analytics: "hotjar"}[c]
			store.Count(site, []byte("/"), 0, sighting(vendor, c, "static.hotjar.com", "/a.js", audit.FiredAnyway))
		}
		store.CountCookie(site, []byte("_hj"), "hotjar", consent.Analytics, "response", true)
	}
	if page := get(t, a.Handler(), "/").Body.String(); !strings.Contains(page, "hotjar</a><small>club</small>") || !strings.Contains(page, "hotjar</a><small>shop</small>") {
		t.Error("the overview lists a vendor twice")
	}
	for _, c := range []struct {
		site  string
		heads int
	}{{"", 5}, {"shop", 0}} {
		file := get(t, a.Handler(), "/report?month="+month+"&site="+c.site).Body.String()
		if n := strings.Count(file, "<th>Site</th>"); n != c.heads || strings.Count(file, "<td>club</td>") < n {
			t.Errorf("report of %q: %d tables say the site, want %d", c.site, n, c.heads)
		}
	}
	if page := get(t, a.Handler(), "/?site=shop").Body.String(); strings.Contains(page, "<small>shop</small>") {
		t.Error("the overview of one site names it in each row")
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	a, _ := newAdmin(t, Options{Access: configs.AdminAccess{Hosts: []string{"audit.example"}}})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9090": 200, "LOCALHOST.:9090": 200, "127.0.0.1:9090": 200, "[::1]:9090": 200, "[::1]": 200,
		"demo.localhost:9090": 200, "10.0.0.7:9090": 200, "audit.example": 200, "audit.example:443": 200,
		"attacker.example": 421, "attacker.example:9090": 421, "localhost.attacker.example": 421, "127.0.0.1.attacker.example": 421,
		"notlocalhost": 421, "": 421, "audit.example.attacker.example": 421, "127.0.0.1@attacker.example": 421,
	} {
		for _, path := range []string{"/", "/tags", "/metrics", "/live", "/receipts/x/erase"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.Path, r.Host = path, host
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, r)
			if refused := w.Code == 421; refused != (want == 421) {
				t.Errorf("%s at %q: %d", path, host, w.Code)
			}
		}
	}
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = "whatever"
	w := httptest.NewRecorder()
	if a.Handler().ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("health check by another name: %d", w.Code)
	}
}

func TestReceiptIsErasedOnlyFromItsPage(t *testing.T) {
	a, store := newAdmin(t, Options{})
	k := receipt("shop")
	if err := store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	page := get(t, a.Handler(), "/receipts/"+k.ID.String()).Body.String()
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatal("no form")
	}
	post := func(token string, header ...string) int {
		r := httptest.NewRequest("POST", "http://localhost:9090/receipts/"+k.ID.String()+"/erase", strings.NewReader(url.Values{"token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		return w.Code
	}
	for name, code := range map[string]int{
		"without token":      post(""),
		"with another token": post("x"),
		"from another site":  post(token[1], "Sec-Fetch-Site", "cross-site"),
		"of another origin":  post(token[1], "Origin", "https://attacker.example"),
		"by GET":             get(t, a.Handler(), "/receipts/"+k.ID.String()+"/erase?token="+token[1]).Code,
	} {
		if code < 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if got, err := store.Receipt(t.Context(), k.ID); err != nil || !got.Erased.IsZero() {
		t.Fatalf("erased by a forged request: %+v, %v", got, err)
	}
	if code := post(token[1], "Sec-Fetch-Site", "same-origin"); code != http.StatusSeeOther {
		t.Fatalf("the form's own request: %d", code)
	}
	if page := get(t, a.Handler(), "/receipts/"+k.ID.String()).Body.String(); !strings.Contains(page, "was erased on") {
		t.Error("the page does not say that it was erased")
	}
}

func TestAnswersCarryTheHeaders(t *testing.T) {
	a, _ := newAdmin(t, Options{})
	for _, path := range append([]string{"/nothing-here", "/metrics", assetURL("admin.css")}, paths...) {
		w := get(t, a.Handler(), path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if got := w.Header().Get("Content-Security-Policy"); strings.Contains(got, "unsafe") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestExports(t *testing.T) {
	a, store := newAdmin(t, Options{})
	store.Count("shop", []byte("/=cmd|calc"), 0, sighting("hotjar", consent.Analytics, "=HYPERLINK(1)", `/a"b,c`, audit.Held))
	store.CountCookie("shop", []byte("+cookie"), "", consent.Necessary, "response", false)
	if err := store.Record(t.Context(), receipt("shop")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/tags", "/tags?by=page", "/vendors", "/pages", "/cookies", "/choices", "/choices?by=language", "/choices?by=country", "/unclassified", "/changes", "/receipts"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		w := get(t, a.Handler(), path+sep+"format=csv")
		records, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(records) == 0 {
			t.Errorf("%s as CSV: %v", path, err)
		}
		for _, r := range records {
			for _, field := range r {
				if field != "" && strings.ContainsAny(field[:1], "=+-@") {
					t.Errorf("%s as CSV has a formula: %q", path, field)
				}
			}
		}
		w = get(t, a.Handler(), path+sep+"format=json")
		var rows []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil {
			t.Errorf("%s as JSON: %v\n%s", path, err, w.Body)
		}
		if len(rows) != len(records)-1 || len(rows) > 0 && len(rows[0]) != len(records[0]) {
			t.Errorf("%s: %d rows of CSV, %d of JSON", path, len(records)-1, len(rows))
		}
	}
	if w := get(t, a.Handler(), "/tags?format=exe"); w.Code != 400 {
		t.Errorf("an unknown format: %d", w.Code)
	}
}

func TestHealthChecks(t *testing.T) {
	ready := false
	a, store := newAdmin(t, Options{Ready: func() bool { return ready }, Metrics: func(w io.Writer) { io.WriteString(w, "askfirst_up 1\n") }})
	if w := get(t, a.Handler(), "/healthz"); w.Code != 200 {
		t.Errorf("healthz: %d", w.Code)
	}
	if w := get(t, a.Handler(), "/readyz"); w.Code != 503 {
		t.Errorf("readyz while not ready: %d", w.Code)
	}
	ready = true
	if w := get(t, a.Handler(), "/readyz"); w.Code != 200 {
		t.Errorf("readyz: %d", w.Code)
	}
	if w := get(t, a.Handler(), "/metrics"); !strings.HasPrefix(w.Body.String(), "askfirst_up 1\n") {
		t.Errorf("metrics: %s", w.Body)
	}
	store.Close()
	if w := get(t, a.Handler(), "/readyz"); w.Code != 503 {
		t.Errorf("readyz without records: %d", w.Code)
	}
	if w := get(t, a.Handler(), "/tags"); w.Code != 500 {
		t.Errorf("a page without records: %d", w.Code)
	}
}

func TestContactsAreToldAsTheyHappen(t *testing.T) {
	list := make(chan []Contact, 1)
	list <- nil
	a, _ := newAdmin(t, Options{Contacts: func() []Contact { l := <-list; list <- l; return l }})
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	if page := get(t, a.Handler(), "/").Body.String(); !strings.Contains(page, `data-live-count aria-live="polite">0<`) {
		t.Error("the overview does not begin with zero")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatal(lines.Err())
		return ""
	}
	if got := next(); got != "[]" {
		t.Errorf("at first: %s", got)
	}
	<-list
	list <- []Contact{{Host: "www.google-analytics.com", Vendor: "Google Analytics", Requests: 2, Cookies: 1}}
	if got, want := next(), `[{"host":"www.google-analytics.com","vendor":"Google Analytics","requests":2,"cookies":1}]`; got != want {
		t.Errorf("got %s", got)
	}
	if w := get(t, func() http.Handler { a, _ := newAdmin(t, Options{}); return a.Handler() }(), "/live"); w.Code != 404 {
		t.Errorf("outside the demo: %d", w.Code)
	}
}

// A browser that objects leaves what its user has not agreed to.
func TestPrivacySignalsAreNoConsent(t *testing.T) {
	a, store := newAdmin(t, Options{})
	for i := range 8 {
		store.CountView("shop", []byte("/"), true)
		if i > 3 {
			continue
		}
		r := receipt("shop")
		if r.Country = "US"; i > 0 {
			r.Action, r.Method, r.Categories = "gpc", consent.ByGPC, consent.SetOf(consent.Functional, consent.Analytics)
		}
		if err := store.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	page := get(t, a.Handler(), "/").Body.String()
	for _, want := range []string{
		"<span>A choice was made</span><b>12%</b><i>1</i>", "<span>Agreed to something</span><b>12%</b><i>1</i>",
		"<span>analytics</span><b>25%</b><i>1</i>", "<span>Privacy signal honoured</span><b>75%</b><i>3</i>", "0 accepted all, 1 chose some, 0 refused all, 3 privacy signal",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview does not say %s", want)
		}
	}
	if strings.Contains(page, "<span>functional</span>") {
		t.Error("the overview says that somebody agreed to functional")
	}
	var file strings.Builder
	if err := Report(t.Context(), &file, store, Site{}, "shop", time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	if text := file.String(); strings.Contains(text, "Agreed to functional") || !strings.Contains(text, `Agreed to analytics</td><td class="n">1<`) {
		t.Error("the report says of signals that somebody agreed")
	}
	if csv := get(t, a.Handler(), "/choices?by=language&format=csv").Body.String(); csv != "language,choices,accepted_all,chose_some,refused_all,by_signal\nen,4,0,1,0,3\n" {
		t.Errorf("by language: %q", csv)
	}
}

func TestPaging(t *testing.T) {
	a, store := newAdmin(t, Options{})
	for i := range pageRows + 20 {
		store.Count("shop", []byte("/p"+string(rune('a'+i/26))+string(rune('a'+i%26))), 0, sighting("hotjar", consent.Analytics, "static.hotjar.com", "/", audit.Held))
	}
	first := get(t, a.Handler(), "/pages?sort=page").Body.String()
	if !strings.Contains(first, "1–100 of 120") || !strings.Contains(first, `href="/pages?offset=100&amp;sort=page" rel="next"`) || strings.Contains(first, `rel="prev"`) {
		t.Error("the first part")
	}
	second := get(t, a.Handler(), "/pages?offset=100&sort=page").Body.String()
	if !strings.Contains(second, "101–120 of 120") || strings.Contains(second, `rel="next"`) || !strings.Contains(second, `href="/pages?sort=page" rel="prev"`) {
		t.Error("the second part")
	}
	if w := get(t, a.Handler(), "/pages?format=csv&offset=100"); strings.Count(w.Body.String(), "\n") != pageRows+21 {
		t.Error("an export does not have all rows")
	}
}

// Receipts and the log have as many parts as it takes, and do not say that the
// first is all.
func TestListsThatAreNotCountedGoOn(t *testing.T) {
	a, store := newAdmin(t, Options{})
	for range pageRows + 20 {
		if err := store.Record(t.Context(), receipt("shop")); err != nil {
			t.Fatal(err)
		}
		if err := store.Log(t.Context(), audit.Operation{Who: "anna", Action: "reload"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/receipts", "/log"} {
		first := get(t, a.Handler(), path).Body.String()
		if !strings.Contains(first, "1–100 of more than 100") || !strings.Contains(first, `href="`+path+`?offset=100" rel="next"`) || strings.Count(first, "<tr>") != pageRows+1 {
			t.Errorf("%s: the first part", path)
		}
		second := get(t, a.Handler(), path+"?offset=100").Body.String()
		if !strings.Contains(second, "101–120 of 120") || strings.Contains(second, `rel="next"`) || !strings.Contains(second, `href="`+path+`" rel="prev"`) {
			t.Errorf("%s: the second part", path)
		}
		if n := strings.Count(get(t, a.Handler(), path+"?format=csv&offset=100").Body.String(), "\n"); n != pageRows+21 {
			t.Errorf("%s: an export of %d lines", path, n)
		}
	}
}

func TestYAMLTextCannotBreakOut(t *testing.T) {
	for host, want := range map[string]string{
		"cdn.example.com":          "cdn.example.com",
		"a.example\n  - domain: b": `"a.example\n  - domain: b"`,
		"null":                     `"null"`,
		"1.2":                      `"1.2"`,
		"ex.example # or not":      `"ex.example # or not"`,
		"xn--bcher-kva.example":    "xn--bcher-kva.example",
		`quo"te.example`:           `"quo\"te.example"`,
	} {
		if got := yamlText(host); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
	}
}

// Profiles are there where the operator asks for them, and behind the same
// checks as all else.
func TestProfiling(t *testing.T) {
	off, _ := newAdmin(t, Options{})
	if w := get(t, off.Handler(), "/debug/pprof/"); w.Code != http.StatusNotFound {
		t.Errorf("unasked: %d", w.Code)
	}
	on, _ := newAdmin(t, Options{Profiling: true})
	for _, target := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine"} {
		if w := get(t, on.Handler(), target); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	r := httptest.NewRequest("GET", "http://elsewhere.example/debug/pprof/heap", nil)
	w := httptest.NewRecorder()
	on.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", w.Code)
	}
}

// A receipt of what is not known does not give a hash of it.
func TestReceiptOfNothingShown(t *testing.T) {
	a, store := newAdmin(t, Options{})
	k := receipt("shop")
	if err := store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	page := get(t, a.Handler(), "/receipts/"+k.ID.String()).Body.String()
	if !strings.Contains(page, "<dd>not known, or nothing of askfirst") || strings.Contains(page, strings.Repeat("0", 64)) {
		t.Error("the page of the receipt says what was shown")
	}
}

// TestBrokenChainIsShown, and where it broke.
func TestBrokenChainIsShown(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	store, err := audit.Open(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Record(t.Context(), receipt("shop")); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite3.Open("file:" + filepath.Join(dir, audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Exec(`UPDATE ledger SET at = at + 1`); err != nil {
		t.Fatal(err)
	}
	w := get(t, New(Options{Store: store, Log: log}).Handler(), "/health?verify=1")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "shop, entry 1: ") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestChangesOfToday begin with the day, not with the moment.
func TestChangesOfToday(t *testing.T) {
	a, store := newAdmin(t, Options{})
	store.Count("shop", []byte("/"), 0, sighting("hotjar", consent.Analytics, "static.hotjar.com", "/c.js", audit.Held))
	store.Flush(t.Context())
	met := time.Now()
	a.now = func() time.Time { return met.Add(time.Second) }
	if w := get(t, a.Handler(), "/changes?days=1"); met.UTC().Day() == a.now().UTC().Day() && !strings.Contains(w.Body.String(), "hotjar") {
		t.Error("what was met today is not among today's changes")
	}
}
