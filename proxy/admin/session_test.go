package admin

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// people are an operator and a viewer, and what they sign in with.
var people = sync.OnceValues(func() ([]configs.Person, map[string]string) {
	anna, annaHash := configs.NewToken()
	bert, bertHash := configs.NewToken()
	return []configs.Person{
		{Name: "anna", Role: configs.Operator, Token: annaHash},
		{Name: "bert", Role: configs.Viewer, Token: bertHash},
		{Name: "carla", Role: configs.Operator, Certificate: "carla"},
	}, map[string]string{"anna": anna, "bert": bert}
})

// guarded is an Admin beyond loopback, and a browser at it.
type guarded struct {
	*testing.T
	admin   *Admin
	handler http.Handler
	tokens  map[string]string
	clock   time.Time
	from    string
	cookie  *http.Cookie
}

func guard(t *testing.T, access configs.AdminAccess) *guarded {
	staff, tokens := people()
	access.People, access.BehindTLS = staff, true
	access.Hosts = []string{"audit.example"}
	a, _ := newAdmin(t, Options{Access: access, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}})
	g := &guarded{T: t, admin: a, tokens: tokens, clock: time.Now(), from: "198.51.100.7"}
	a.door.now = func() time.Time { return g.clock }
	a.door.tries.now = a.door.now
	g.handler = a.Handler()
	return g
}

func (g *guarded) send(method, target string, form url.Values, set func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, "https://audit.example"+target, strings.NewReader(form.Encode()))
	r.RemoteAddr = "10.0.0.1:4711"
	r.TLS = nil
	r.Header.Set("X-Forwarded-For", "203.0.113.9, "+g.from)
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if g.cookie != nil {
		r.AddCookie(g.cookie)
	}
	if set != nil {
		set(r)
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w.Result()
}

func (g *guarded) signIn(name, token string) *http.Response {
	answer := g.send("POST", "/signin", url.Values{"name": {name}, "token": {token}, "next": {"/tags?by=page"}}, nil)
	for _, c := range answer.Cookies() {
		g.cookie = c
	}
	return answer
}

func (g *guarded) formToken() string {
	body := new(strings.Builder)
	answer := g.send("GET", "/", nil, nil)
	answer.Write(body)
	if m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(body.String()); m != nil {
		return m[1]
	}
	return ""
}

func TestNothingIsShownBeforeSignIn(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	for _, path := range append([]string{"/metrics", "/report?month=2026-10", "/live", "/tags?format=csv", "/receipts/AAAAAAAAAAAAAAAAAAAAAA", "/signout", "/nothing", "//", "/%2e%2e/", "/assets/../"}, paths...) {
		for _, name := range []string{"", "/signin/..", "/assets/x/.."} {
			answer := g.send("GET", name+path, nil, nil)
			if answer.StatusCode == 200 {
				t.Errorf("%s%s is shown to a stranger", name, path)
			}
		}
		answer := g.send("GET", path, nil, func(r *http.Request) { r.Header.Set("Accept", "*/*") })
		if code := answer.StatusCode; code == 200 || code == 303 && answer.Header.Get("Location") != "/signin" {
			t.Errorf("%s without Accept: %d", path, code)
		}
	}
	answer := g.send("GET", "/tags?by=page", nil, nil)
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/signin?next=%2Ftags%3Fby%3Dpage" {
		t.Errorf("a page: %d to %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	for _, path := range []string{"/healthz", "/readyz", "/signin"} {
		if answer := g.send("GET", path, nil, nil); answer.StatusCode != 200 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
}

func TestSignInAndOut(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	answer := g.signIn("anna", g.tokens["anna"])
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/tags?by=page" {
		t.Fatalf("%d to %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	if c := g.cookie; c.Name != "__Host-askfirst-admin" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || len(c.Value) < 22 {
		t.Errorf("the cookie is %v", c)
	}
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode != 200 {
		t.Errorf("a page after signing in: %d", answer.StatusCode)
	}
	signedIn := g.cookie
	token := g.formToken()
	if answer := g.send("POST", "/signout", url.Values{"token": {"x"}}, nil); answer.StatusCode != 403 {
		t.Errorf("signed out by a forged form: %d", answer.StatusCode)
	}
	if answer := g.send("POST", "/signout", url.Values{"token": {token}}, nil); answer.StatusCode != 303 {
		t.Errorf("signing out: %d", answer.StatusCode)
	}
	g.cookie = signedIn
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode != 303 {
		t.Errorf("the cookie still counts after signing out: %d", answer.StatusCode)
	}
}

func TestSessionsEnd(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.signIn("anna", g.tokens["anna"])
	g.clock = g.clock.Add(sessionIdle + time.Second)
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode != 303 {
		t.Errorf("after an hour without a request: %d", answer.StatusCode)
	}
	g.signIn("anna", g.tokens["anna"])
	for range sessionAge / (30 * time.Minute) {
		g.clock = g.clock.Add(30 * time.Minute)
		g.send("GET", "/", nil, nil)
	}
	g.clock = g.clock.Add(time.Second)
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode != 303 {
		t.Errorf("after half a day: %d", answer.StatusCode)
	}
}

func TestNextLeadsToOwnPagesOnly(t *testing.T) {
	for next, want := range map[string]string{
		"/tags?by=page": "/tags?by=page", "": "/", "tags": "/", "//attacker.example/": "/", "https://attacker.example/": "/",
		`/\attacker.example`: "/", "/\t/attacker.example": "/", "javascript:alert(1)": "/",
	} {
		if got := ownPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestViewersChangeNothing(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	k := receipt("shop")
	if err := g.admin.o.Store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	erase := func() int {
		return g.send("POST", "/receipts/"+k.ID.String()+"/erase", url.Values{"token": {g.formToken()}}, nil).StatusCode
	}
	g.signIn("bert", g.tokens["bert"])
	if answer := g.send("GET", "/receipts/"+k.ID.String(), nil, nil); answer.StatusCode != 200 {
		t.Errorf("a viewer looks at a receipt: %d", answer.StatusCode)
	}
	if code := erase(); code != 403 {
		t.Errorf("a viewer erases: %d", code)
	}
	g.signIn("anna", g.tokens["anna"])
	if code := erase(); code != 303 {
		t.Errorf("an operator erases: %d", code)
	}
}

func TestNameAndTokenOnlyRead(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	with := func(name, token string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, token); r.Header.Del("Accept") }
	}
	if answer := g.send("GET", "/metrics", nil, with("bert", g.tokens["bert"])); answer.StatusCode != 200 {
		t.Errorf("metrics: %d", answer.StatusCode)
	}
	if answer := g.send("GET", "/metrics", nil, with("anna", g.tokens["bert"])); answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("metrics with another's token: %d", answer.StatusCode)
	}
	if answer := g.send("POST", "/receipts/x/erase", url.Values{"token": {""}}, with("anna", g.tokens["anna"])); answer.StatusCode != 401 {
		t.Errorf("a change: %d", answer.StatusCode)
	}
}

func TestGuessingGrowsSlow(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	for i := range freeTries {
		if code := g.signIn("anna", "wrong").StatusCode; (code == 429) != (i == freeTries-1) {
			t.Errorf("try %d: %d", i+1, code)
		}
	}
	if code := g.signIn("anna", g.tokens["anna"]).StatusCode; code != 429 {
		t.Errorf("the right token while waiting: %d", code)
	}
	elsewhere := *g
	elsewhere.from = "198.51.100.8"
	if code := elsewhere.signIn("anna", g.tokens["anna"]).StatusCode; code != 303 {
		t.Errorf("another client meanwhile: %d", code)
	}
	g.clock = g.clock.Add(firstWait + time.Millisecond)
	if code := g.signIn("anna", "still wrong").StatusCode; code != 429 {
		t.Errorf("wrong again: %d", code)
	}
	g.clock = g.clock.Add(firstWait + time.Millisecond)
	if code := g.signIn("bert", g.tokens["bert"]).StatusCode; code != 429 {
		t.Errorf("the wait did not double: %d", code)
	}
	g.clock = g.clock.Add(firstWait)
	if code := g.signIn("bert", g.tokens["bert"]).StatusCode; code != 303 {
		t.Errorf("after the wait: %d", code)
	}
}

func TestGuessersAreForgottenBeforeTheyFillTheMemory(t *testing.T) {
	now := time.Now()
	tries := tries{now: func() time.Time { return now }}
	for i := range 3 * maxTroubling {
		tries.failed(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}).String(), freeTries, longestWait)
	}
	if len(tries.by) > maxTroubling {
		t.Errorf("%d are remembered", len(tries.by))
	}
	if neighbourhood("2001:db8:0:1::1") != neighbourhood("2001:db8:0:1:ffff::2") || neighbourhood("2001:db8:0:1::1") == neighbourhood("2001:db8:0:2::1") {
		t.Error("IPv6 addresses are not counted by /64")
	}
}

func TestAddressesThatAreNotAllowedAreTurnedAway(t *testing.T) {
	g := guard(t, configs.AdminAccess{Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for from, want := range map[string]int{"198.51.100.99": 200, "198.51.100.99:50512": 200, "203.0.113.1": 403, "198.51.100.99, 203.0.113.1": 403, "nonsense": 403, "": 403} {
		g.from = from
		if answer := g.send("GET", "/signin", nil, nil); answer.StatusCode != want {
			t.Errorf("from %q: %d, want %d", from, answer.StatusCode, want)
		}
	}
	answer := g.send("GET", "/signin", nil, func(r *http.Request) {
		r.RemoteAddr = "203.0.113.5:1"
		r.Header.Set("X-Forwarded-For", "198.51.100.99")
	})
	if answer.StatusCode != 403 {
		t.Errorf("a stranger's word for who they are is taken: %d", answer.StatusCode)
	}
}

func TestClientCertificateSignsIn(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	shown := func(name string) func(*http.Request) {
		return func(r *http.Request) {
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
		}
	}
	if answer := g.send("GET", "/", nil, shown("carla")); answer.StatusCode != 200 {
		t.Errorf("carla: %d", answer.StatusCode)
	}
	for _, name := range []string{"mallory", "anna", ""} {
		if answer := g.send("GET", "/", nil, shown(name)); answer.StatusCode != 303 {
			t.Errorf("%q: %d", name, answer.StatusCode)
		}
	}
	if answer := g.send("POST", "/receipts/x/erase", url.Values{"token": {""}}, shown("carla")); answer.StatusCode != 403 {
		t.Errorf("a change without the form's token: %d", answer.StatusCode)
	}
}

// notes takes what is classified.
type notes []string

func (n *notes) Writable(site string) bool { return site == "shop" }

func (n *notes) Classify(site, host string, c consent.Category, by string) error {
	*n = append(*n, site+" "+host+" "+c.String()+" "+by)
	return nil
}

func TestOperatorsClassify(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	var classified notes
	g.admin.o.Classifier = &classified
	for _, site := range []string{"shop", "blog"} {
		g.admin.o.Store.Count(site, []byte("/"), 0, sighting("", consent.Unclassified, "cdn."+site+".example", "/a.js", audit.Passed))
	}
	page := func() string {
		body := new(strings.Builder)
		g.send("GET", "/unclassified", nil, nil).Write(body)
		return body.String()
	}
	post := func(host, category string) int {
		return g.send("POST", "/unclassified", url.Values{"token": {g.formToken()}, "host": {host}, "category": {category}}, nil).StatusCode
	}
	g.signIn("bert", g.tokens["bert"])
	if strings.Contains(page(), "Write and apply") {
		t.Error("a viewer is offered to classify")
	}
	if code := post("shop|cdn.shop.example", "social"); code != 403 {
		t.Errorf("a viewer classifies: %d", code)
	}
	g.signIn("anna", g.tokens["anna"])
	if p := page(); !strings.Contains(p, `value="shop|cdn.shop.example"`) || strings.Contains(p, `value="blog|cdn.blog.example"`) {
		t.Error("not exactly what can be written is offered")
	}
	for host, want := range map[string]int{"shop|cdn.shop.example": 303, "blog|cdn.blog.example": 400, "cdn.shop.example": 400} {
		if code := post(host, "social"); code != want {
			t.Errorf("%s: %d, want %d", host, code, want)
		}
	}
	if code := post("shop|cdn.shop.example", "nonsense"); code != 400 {
		t.Errorf("as nonsense: %d", code)
	}
	if want := []string{"shop cdn.shop.example social anna"}; !slices.Equal(classified, want) {
		t.Errorf("classified %q, want %q", classified, want)
	}
}

func TestWhatOperatorsDoIsOnRecord(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.admin.o.Classifier = new(notes)
	k := receipt("shop")
	if err := g.admin.o.Store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := g.admin.o.Store.OpenRequest(t.Context(), k.ID, "access", g.clock.Add(-25*24*time.Hour), "anna"); err != nil {
		t.Fatal(err)
	}
	page := func(path string) string {
		body := new(strings.Builder)
		g.send("GET", path, nil, nil).Write(body)
		return body.String()
	}
	g.signIn("anna", g.tokens["anna"])
	if p := page("/receipts"); !strings.Contains(p, "Waiting for an answer") || !strings.Contains(p, `<b class="bad">4 days left</b>`) {
		t.Errorf("the open request is not shown with its time: %s", p)
	}
	g.send("POST", "/unclassified", url.Values{"token": {g.formToken()}, "host": {"shop|cdn.shop.example"}, "category": {"social"}}, nil)
	g.send("POST", "/receipts/"+k.ID.String()+"/erase", url.Values{"token": {g.formToken()}}, nil)
	p := page("/log")
	for _, want := range []string{"sign in", "classify", "cdn.shop.example", "social on shop", "erase", k.ID.String(), "request"} {
		if !strings.Contains(p, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	list, err := g.admin.o.Store.Operations(t.Context(), audit.Filter{}, audit.Slice{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if o.Who != "anna" {
			t.Errorf("%s was done by %q", o.Action, o.Who)
		}
	}
}
