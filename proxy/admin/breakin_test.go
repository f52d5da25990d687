package admin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// everyRoute returns method and address of all that is served.
func everyRoute(t *testing.T, a *Admin) (list [][2]string) {
	t.Helper()
	for pattern := range a.routes() {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			t.Fatalf("%q is served whatever the method", pattern)
		}
		path = strings.NewReplacer("{$}", "", "{id}", consent.NewID().String(), "{name}", "x.css").Replace(path)
		list = append(list, [2]string{method, path})
	}
	if len(list) < 20 {
		t.Fatalf("only %d routes", len(list))
	}
	return list
}

// unguarded are the routes for everybody who gets as far as the listener.
var unguarded = map[string]bool{"/healthz": true, "/readyz": true, "/signin": true, "/assets/x.css": true}

func TestEveryRouteAsksWhoComes(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.admin.o.Profiling = true
	g.handler = g.admin.Handler()
	for _, route := range everyRoute(t, g.admin) {
		answer := g.send(route[0], route[1], nil, func(r *http.Request) { r.Header.Del("Accept") })
		if refused := answer.StatusCode == 401; refused == unguarded[route[1]] {
			t.Errorf("%s %s by a stranger: %d", route[0], route[1], answer.StatusCode)
		}
	}
}

func TestViewersGetNowhereNearAChange(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	changed := false
	g.admin.o.Reload = func(context.Context) error { changed = true; return nil }
	g.admin.o.Classifier = new(notes)
	g.admin.o.Profiling = true
	g.handler = g.admin.Handler()
	g.signIn("bert", g.tokens["bert"])
	token := g.formToken()
	if token == "" {
		t.Fatal("no token of forms")
	}
	for _, route := range everyRoute(t, g.admin) {
		if route[0] == "GET" && !strings.HasPrefix(route[1], "/debug/") || route[1] == "/signin" || route[1] == "/signout" {
			continue
		}
		if answer := g.send(route[0], route[1], url.Values{"token": {token}, "host": {"shop|a.example"}, "category": {"social"}}, nil); answer.StatusCode != 403 {
			t.Errorf("%s %s by a viewer: %d", route[0], route[1], answer.StatusCode)
		}
		// Nor by the same name and token in Authorization, nor by another method's name.
		answer := g.send(route[0], route[1], url.Values{"token": {token}}, func(r *http.Request) {
			r.Header.Del("Cookie")
			r.SetBasicAuth("bert", g.tokens["bert"])
			r.Header.Set("X-HTTP-Method-Override", "GET")
		})
		if answer.StatusCode != 401 && answer.StatusCode != 403 {
			t.Errorf("%s %s by a viewer's token: %d", route[0], route[1], answer.StatusCode)
		}
	}
	if changed {
		t.Error("a viewer had the configuration read")
	}
}

// Every change is refused to pages of other sites, even to those that know the
// token of the form, and to the own pages without it.
func TestEveryChangeIsRefusedFromElsewhere(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.signIn("anna", g.tokens["anna"])
	token := g.formToken()
	for _, route := range everyRoute(t, g.admin) {
		if route[0] == "GET" {
			continue
		}
		for name, header := range map[string][2]string{
			"another site":     {"Sec-Fetch-Site", "cross-site"},
			"a sister site":    {"Sec-Fetch-Site", "same-site"},
			"another origin":   {"Origin", "https://attacker.example"},
			"an opaque origin": {"Origin", "null"},
			"another scheme":   {"Origin", "ftp://attacker.example"},
			"another port":     {"Origin", "https://audit.example:8443"},
		} {
			answer := g.send(route[0], route[1], url.Values{"token": {token}}, func(r *http.Request) { r.Header.Set(header[0], header[1]) })
			if answer.StatusCode != 403 {
				t.Errorf("%s from %s: %d", route[1], name, answer.StatusCode)
			}
		}
		if route[1] == "/signin" || route[1] == "/reload" {
			continue // the first has no session to abuse, the second takes none of the page's
		}
		for _, wrong := range []string{"", "x", token + "x", strings.ToLower(token)} {
			if answer := g.send(route[0], route[1], url.Values{"token": {wrong}}, nil); answer.StatusCode != 403 {
				t.Errorf("%s with the token %q: %d", route[1], wrong, answer.StatusCode)
			}
		}
		// The token in the address is none: addresses end in logs and histories.
		if answer := g.send(route[0], route[1]+"?token="+token, url.Values{}, nil); answer.StatusCode != 403 {
			t.Errorf("%s with the token in the address: %d", route[1], answer.StatusCode)
		}
	}
}

func TestOtherSitesMayOnlyLeadHere(t *testing.T) {
	a, _ := newAdmin(t, Options{})
	h := a.Handler()
	ask := func(path, site, mode, dest string) int {
		r := httptest.NewRequest("GET", "http://localhost:9090"+path, nil)
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", mode)
		r.Header.Set("Sec-Fetch-Dest", dest)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, path := range []string{"/", "/health?verify=1", "/report?month=2026-10", "/receipts", "/live", "/metrics", "/tags?format=csv"} {
		for _, as := range [][2]string{{"no-cors", "image"}, {"no-cors", "script"}, {"cors", "empty"}, {"navigate", "iframe"}, {"navigate", "object"}, {"websocket", "websocket"}, {"", ""}} {
			for _, site := range []string{"cross-site", "same-site"} {
				if code := ask(path, site, as[0], as[1]); code != 403 {
					t.Errorf("%s as %s of a page %s: %d", path, as[1], site, code)
				}
			}
		}
	}
	if code := ask("/", "cross-site", "navigate", "document"); code != 200 {
		t.Errorf("a link from elsewhere: %d", code)
	}
	if code := ask("/", "none", "navigate", "document"); code != 200 {
		t.Errorf("an address typed: %d", code)
	}
	if code := ask("/preview/frame", "same-origin", "navigate", "iframe"); code == 403 {
		t.Errorf("a frame of our own: %d", code)
	}
}

func TestPathsPlayNoTricks(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	for _, path := range []string{
		"/signin/../tags", "/assets/../tags", "/assets/%2e%2e/tags", "/assets/..%2ftags", "/assets/%2e%2e%2ftags", "/assets//tags", "//tags",
		"/./tags", "/signin;/../tags", "/tags;x=/signin", "/assets/..;/tags", "/healthz/../tags", "/healthz/..%2ftags", "/readyz%2f..%2ftags",
		"/assets/%00", "/assets/..%5ctags", "/ASSETS/../tags", "/signin%2f..%2ftags", "/signin/%2e%2e/receipts", "/assets/%252e%252e/tags",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "CONNECT", "OPTIONS", "TRACE"} {
			r := httptest.NewRequest("GET", "https://audit.example/", nil)
			u, err := url.Parse("https://audit.example" + path)
			if err != nil {
				t.Fatal(err)
			}
			r.Method, r.URL, r.RemoteAddr, r.TLS = method, u, "198.51.100.7:1", nil
			w := httptest.NewRecorder()
			g.handler.ServeHTTP(w, r)
			if w.Code < 300 || w.Code >= 500 {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if to := w.Header().Get("Location"); to != "" && !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
				t.Errorf("%s %s leads to %s", method, path, to)
			}
		}
	}
}

func TestSessionIsNotFixed(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.cookie = &http.Cookie{Name: "__Host-askfirst-admin", Value: "CHOSENBYTHEATTACKER0000000"}
	planted := g.cookie
	g.signIn("anna", g.tokens["anna"])
	if g.cookie.Value == planted.Value {
		t.Fatal("the session is the one that was planted")
	}
	first := g.cookie
	g.cookie = planted
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode == 200 {
		t.Error("the planted cookie is signed in")
	}
	// Who signs in again in the same browser leaves no session behind.
	g.cookie = first
	g.signIn("bert", g.tokens["bert"])
	g.cookie = first
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode == 200 {
		t.Error("the session before still counts")
	}
	// Without https the cookie has another name: one planted by a plain page of
	// the same host is no session of ours.
	g.cookie = &http.Cookie{Name: "askfirst-admin", Value: first.Value}
	if answer := g.send("GET", "/", nil, nil); answer.StatusCode == 200 {
		t.Error("a cookie without __Host- counts")
	}
}

func TestGuessesSpreadOverAddressesWait(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	home := *g
	home.from = "192.0.2.1"
	home.signIn("anna", g.tokens["anna"])
	refused := 0
	for i := range freeTriesByName + 3 {
		g.from = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String()
		if g.signIn("anna", "wrong").StatusCode == 429 {
			refused++
		}
	}
	if refused != 4 {
		t.Errorf("%d of the tries were told to wait, want 4", refused)
	}
	g.from = "203.0.113.200"
	if code := g.signIn("anna", g.tokens["anna"]).StatusCode; code != 429 {
		t.Errorf("the right token from a stranger's address meanwhile: %d", code)
	}
	if code := home.signIn("anna", g.tokens["anna"]).StatusCode; code != 303 {
		t.Errorf("the owner is kept out where they have been before: %d", code)
	}
	if code := g.signIn("bert", g.tokens["bert"]).StatusCode; code != 303 {
		t.Errorf("another's name waits too: %d", code)
	}
	g.clock = g.clock.Add(longestWaitByName)
	if code := g.signIn("anna", g.tokens["anna"]).StatusCode; code != 303 {
		t.Errorf("after the wait: %d", code)
	}
}

// Addresses made up in X-Forwarded-For are no new clients.
func TestForgedAddressesDoNotResetTheWait(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	for i := range freeTries {
		forged := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()
		answer := g.send("POST", "/signin", url.Values{"name": {"anna"}, "token": {"wrong"}}, func(r *http.Request) {
			r.RemoteAddr = "198.51.100.66:1"
			r.Header.Set("X-Forwarded-For", forged)
		})
		if wait := i == freeTries-1; (answer.StatusCode == 429) != wait {
			t.Errorf("try %d: %d", i+1, answer.StatusCode)
		}
	}
}

// All guesses sent at once are no more than those sent one by one.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	var hashed sync.Map
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			_, wait := g.admin.door.prove(t.Context(), "198.51.100.7", "anna", strings.Repeat("x", i))
			hashed.Store(i, wait)
		})
	}
	all.Wait()
	g.admin.door.tries.mu.Lock()
	defer g.admin.door.tries.mu.Unlock()
	if n := g.admin.door.tries.by["198.51.100.7"].count; n > freeTries+maxHashing-1 {
		t.Errorf("%d guesses were looked at", n)
	}
}

// A right token is no quicker way to guess: while a client waits, nothing that
// it sends is looked at.
func TestNothingIsProvenWhileWaiting(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	read := func() int {
		return g.send("GET", "/metrics", nil, func(r *http.Request) { r.SetBasicAuth("bert", g.tokens["bert"]); r.Header.Del("Accept") }).StatusCode
	}
	if code := read(); code != 200 {
		t.Fatal(code)
	}
	for range freeTries {
		g.signIn("bert", "wrong")
	}
	if code := read(); code != 401 {
		t.Errorf("the right token is told from others while its client waits: %d", code)
	}
}

func TestTokensStayOutOfTheLog(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	var log bytes.Buffer
	g.admin.o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	secret := g.tokens["anna"]
	g.signIn(secret, "anna") // the fields mixed up
	g.signIn("anna", secret+"x")
	g.signIn("anna\nlevel=ERROR msg=forged", "x")
	g.send("GET", "/tags?token="+secret, nil, nil)
	g.send("POST", "/receipts/x/erase?token="+secret, nil, nil)
	if log.Len() == 0 || strings.Contains(log.String(), secret) || strings.Contains(log.String(), "forged") {
		t.Errorf("the log says %s", log.String())
	}
	list, err := g.admin.o.Store.Operations(t.Context(), audit.Filter{}, audit.Slice{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if strings.Contains(o.Who+o.Action+fmt.Sprint(o), secret) {
			t.Errorf("the operators' log says %+v", o)
		}
	}
}

func TestAnswersCannotBeSplit(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	const split = "%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<script>"
	g.signIn("anna", g.tokens["anna"])
	for _, path := range []string{"/tags?by=" + split, "/report?month=2026-10&site=" + split, "/receipts/" + split, "/tags?format=" + split, "/assets/" + split} {
		for name, values := range g.send("GET", path, nil, nil).Header {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n") || name == "Set-Cookie" {
				t.Errorf("%s: %s: %q", path, name, values)
			}
		}
	}
	g.cookie = nil
	for _, path := range []string{"/" + split, "/tags?" + split, "/signin?next=/" + split} {
		answer := g.send("GET", path, nil, nil)
		if strings.ContainsAny(answer.Header.Get("Location"), "\r\n") || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", path, answer.Header)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	huge := strings.Repeat("x", 1<<20)
	if answer := g.send("POST", "/signin", url.Values{"name": {huge}, "token": {g.tokens["anna"]}}, nil); answer.StatusCode == 303 {
		t.Errorf("a body of a megabyte: %d", answer.StatusCode)
	}
	if _, wait := g.admin.door.prove(t.Context(), "192.0.2.7", huge, huge); wait > time.Second {
		t.Errorf("waits %s", wait)
	}
}

// What is shown to those who have signed in is kept by nothing on the way.
func TestNothingIsKeptByCaches(t *testing.T) {
	g := guard(t, configs.AdminAccess{})
	g.signIn("anna", g.tokens["anna"])
	for _, route := range everyRoute(t, g.admin) {
		if route[0] != "GET" || route[1] == "/live" {
			continue
		}
		h := g.send("GET", route[1], nil, nil).Header
		if got := h.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: %q", route[1], got)
		}
		if got := h.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors ") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: %q", route[1], got)
		}
		if got := h.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s may be read from %s", route[1], got)
		}
	}
}

func TestSpreadsheetsComputeNothing(t *testing.T) {
	for _, formula := range []string{"=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A"} {
		if got := Inert(formula); got != "'"+formula {
			t.Errorf("%q is written %q", formula, got)
		}
	}
	for _, text := range []string{"", "a=1", "/=x", "é"} {
		if got := Inert(text); got != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
}
