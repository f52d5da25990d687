package banner

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// endpointTest is a Banner behind an in-memory listener, and a client of
// net/http in front: an implementation that is not ours.
type endpointTest struct {
	t       *testing.T
	banner  *Banner
	records *memory
	watcher *watcher
	client  *http.Client
	dial    func() (net.Conn, error)
	visit   Visit
}

func serve(t *testing.T, o Options) *endpointTest {
	t.Helper()
	if o.Site == "" {
		o.Site = "Shop"
	}
	e := &endpointTest{t: t, records: &memory{}, watcher: &watcher{}, visit: Visit{Host: "www.shop.example", RegimeRule: "default", Address: "192.0.2.0"}}
	o.Log = slog.New(slog.DiscardHandler)
	var err error
	if e.banner, err = New(o, newEngine(t), e.records, e.watcher); err != nil {
		t.Fatal(err)
	}
	ln := fasthttputil.NewInmemoryListener()
	s := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			if !e.banner.Owns(ctx.Path()) {
				ctx.Error("not ours", fasthttp.StatusTeapot)
				return
			}
			v := e.visit
			e.banner.Serve(ctx, &v)
		},
		StreamRequestBody: true, DisablePreParseMultipartForm: true, Logger: quiet{},
	}
	go s.Serve(ln)
	t.Cleanup(func() { ln.Close() })
	e.dial = ln.Dial
	e.client = &http.Client{
		Transport:     &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.Dial() }, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

// answered is a response with its body read.
type answered struct {
	*http.Response
	body string
}

func (e *endpointTest) do(method, path, body string, fields ...string) answered {
	e.t.Helper()
	r, err := http.NewRequest(method, "http://www.shop.example"+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	resp, err := e.client.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answered{resp, string(data)}
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

func (e *endpointTest) form(path string, values url.Values) answered {
	e.t.Helper()
	return e.do("POST", path, values.Encode(), "Content-Type", formType, "Sec-Fetch-Site", "same-origin")
}

func (e *endpointTest) json(path, body string, fields ...string) answered {
	e.t.Helper()
	return e.do("POST", path, body, append(fields, "Content-Type", jsonType, "Sec-Fetch-Site", "same-origin")...)
}

func (e *endpointTest) status(a answered, want int) {
	e.t.Helper()
	if a.StatusCode != want {
		e.t.Errorf("%s %s: %d %s, want %d", a.Request.Method, a.Request.URL.Path, a.StatusCode, strings.TrimSpace(a.body), want)
	}
}

// cookie returns the consent cookie of an answer, and the choice in it.
func (e *endpointTest) cookie(a answered) (*http.Cookie, consent.Choice) {
	e.t.Helper()
	for _, c := range a.Cookies() {
		if c.Name == consent.CookieName {
			choice, ok := consent.ParseCookie([]byte(c.Value), time.Now(), e.banner.o.Revision, e.banner.o.CookieMaxAge)
			if !ok {
				e.t.Fatalf("the cookie %q counts as no choice", c.Value)
			}
			return c, choice
		}
	}
	e.t.Fatal("no consent cookie was set")
	return nil, consent.Choice{}
}

func TestChoices(t *testing.T) {
	made := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Functional), At: time.Now(), ID: consent.NewID()}
	for _, c := range []struct {
		name   string
		body   string
		before *consent.Choice
		want   string
		action string
	}{
		{"accept", "choice=accept-all", nil, "fams", "accept-all"},
		{"reject", "choice=reject-all", nil, "-", "reject-all"},
		{"reject ignores boxes", "choice=reject-all&categories=analytics", nil, "-", "reject-all"},
		{"save", "choice=save&categories=social&categories=analytics", nil, "as", "save"},
		{"save nothing", "choice=save", nil, "-", "save"},
		{"save replaces", "choice=save&categories=analytics", &made, "a", "save"},
		{"save takes necessary for what it is", "choice=save&categories=necessary", nil, "-", "save"},
		{"always", "choice=always&categories=marketing", nil, "m", "save"},
		{"always adds", "choice=always&categories=marketing", &made, "fm", "save"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, Options{})
			e.visit.Standing = consent.Stand(consent.OptIn, c.before, consent.NoObjection)
			start := time.Now()
			a := e.do("POST", "/_askfirst/consent", c.body+"&return=/a%3Fb&language=de", "Content-Type", formType, "Sec-Fetch-Site", "same-origin",
				"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
			e.status(a, http.StatusSeeOther)
			if got := a.Header.Get("Location"); got != "/a?b" {
				t.Errorf("led to %q", got)
			}
			cookie, choice := e.cookie(a)
			if choice.Categories.String() != c.want {
				t.Errorf("granted %s, want %s", choice.Categories, c.want)
			}
			if cookie.Path != "/" || cookie.MaxAge != 180*24*3600 || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Domain != "" || cookie.HttpOnly {
				t.Errorf("cookie %s", cookie.Raw)
			}
			if got := a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			r := e.records.receipts[choice.ID]
			if r == nil {
				t.Fatal("there is no receipt")
			}
			if r.Categories != choice.Categories || r.Action != c.action || r.Method != consent.ByForm || r.Language != "de" || r.Site != "Shop" ||
				r.RegimeRule != "default" || r.Address != "192.0.2.0" || r.Browser != "Chrome" || r.Shown == [32]byte{} || r.At.Before(start.Add(-2*time.Second)) {
				t.Errorf("receipt %+v", r)
			}
			if c.before != nil && r.Before != c.before.Categories {
				t.Errorf("before: %s", r.Before)
			}
		})
	}
}

func TestChoiceAsJSON(t *testing.T) {
	e := serve(t, Options{CookieDomain: "shop.example", CookieMaxAge: 48 * time.Hour, Revision: 7})
	e.visit.Secure = true
	a := e.json("/_askfirst/consent", `{"choice":"save","categories":["analytics"],"method":"api"}`)
	e.status(a, http.StatusNoContent)
	cookie, choice := e.cookie(a)
	if !cookie.Secure || cookie.Domain != "shop.example" || cookie.MaxAge != 48*3600 || choice.Revision != 7 {
		t.Errorf("cookie %s", cookie.Raw)
	}
	if got := e.records.receipts[choice.ID].Method; got != consent.ByAPI {
		t.Errorf("method %q", got)
	}
	if a.body != "" || a.Header.Get("Location") != "" {
		t.Error("an answer to JSON leads nowhere and says nothing")
	}
}

// TestOnlyWhatIsAskedAbout grants no category that the site does not offer.
func TestOnlyWhatIsAskedAbout(t *testing.T) {
	e := serve(t, Options{Categories: []consent.Category{consent.Analytics}})
	_, choice := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	if choice.Categories.String() != "a" {
		t.Errorf("granted %s", choice.Categories)
	}
	e.status(e.json("/_askfirst/consent", `{"choice":"save","categories":["marketing"]}`), http.StatusBadRequest)
}

func TestIDsAreFresh(t *testing.T) {
	e := serve(t, Options{})
	_, first := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	e.visit.Standing = consent.Stand(consent.OptIn, &first, consent.NoObjection)
	_, second := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	if first.ID == second.ID {
		t.Error("two choices have one ID")
	}
	for _, path := range []string{"/_askfirst/preferences", "/_askfirst/cookies", "/_askfirst/receipt", "/.well-known/gpc.json", e.banner.GuardURL()} {
		e.visit.Standing = consent.Standing{}
		if a := e.do("GET", path, ""); len(a.Cookies()) != 0 {
			t.Errorf("%s sets a cookie without a choice", path)
		}
	}
}

// TestDurableBeforeTheAnswer blocks the records, and looks whether a byte of
// the answer comes meanwhile.
func TestDurableBeforeTheAnswer(t *testing.T) {
	e := serve(t, Options{})
	e.records.called, e.records.durable = make(chan *consent.Receipt), make(chan struct{})
	conn, err := e.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /_askfirst/consent HTTP/1.1\r\nHost: www.shop.example\r\nContent-Type: %s\r\nContent-Length: 17\r\n\r\nchoice=accept-all", formType)
	first := make(chan error, 1)
	reader := bufio.NewReader(conn)
	go func() {
		_, err := reader.Peek(1)
		first <- err
	}()
	<-e.records.called
	select {
	case <-first:
		t.Fatal("the answer came before the receipt was durable")
	default:
	}
	close(e.records.durable)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
}

// TestChoiceWithoutReceipt obeys a visitor whose receipt cannot be kept.
func TestChoiceWithoutReceipt(t *testing.T) {
	e := serve(t, Options{})
	e.records.fail = errors.New("disk full")
	a := e.json("/_askfirst/consent", `{"choice":"reject-all"}`)
	e.status(a, http.StatusNoContent)
	if _, choice := e.cookie(a); !choice.Categories.Empty() {
		t.Error("the refusal was not obeyed")
	}
	for _, c := range e.banner.Counters() {
		if c.Name == "askfirst_choices_unrecorded_total" && c.Value != 1 {
			t.Errorf("%s is %d", c.Name, c.Value)
		}
	}
}

func TestRefusals(t *testing.T) {
	e := serve(t, Options{})
	const path = "/_askfirst/consent"
	own := []string{"Sec-Fetch-Site", "same-origin"}
	cases := []struct {
		name, method, path, body string
		fields                   []string
		want                     int
	}{
		{"cross-site", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Sec-Fetch-Site", "cross-site"}, 403},
		{"same site, other origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Sec-Fetch-Site", "same-site"}, 403},
		{"cross-site with a matching origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Sec-Fetch-Site", "cross-site", "Origin", "http://www.shop.example"}, 403},
		{"unknown fetch site", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Sec-Fetch-Site", "nonsense"}, 403},
		{"other origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "http://evil.example"}, 403},
		{"other port", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "http://www.shop.example:81"}, 403},
		{"origin with our host as a prefix", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "http://www.shop.example.evil.example"}, 403},
		{"origin with our host as user", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "http://www.shop.example@evil.example"}, 403},
		{"opaque origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "null"}, 403},
		{"file origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "file://www.shop.example"}, 403},
		{"own origin", "POST", path, "choice=accept-all", []string{"Content-Type", formType, "Origin", "http://WWW.shop.example"}, 303},
		{"no browser", "POST", path, "choice=accept-all", []string{"Content-Type", formType}, 303},
		{"cross-site erase", "POST", "/_askfirst/receipt/erase", "", []string{"Content-Type", formType, "Sec-Fetch-Site", "cross-site"}, 403},
		{"cross-site events", "POST", "/_askfirst/events", "{}", []string{"Content-Type", jsonType, "Sec-Fetch-Site", "cross-site"}, 403},
		{"no type", "POST", path, "choice=accept-all", own, 415},
		{"multipart", "POST", path, "choice=accept-all", append([]string{"Content-Type", "multipart/form-data; boundary=x"}, own...), 415},
		{"plain text", "POST", path, `{"choice":"accept-all"}`, append([]string{"Content-Type", "text/plain"}, own...), 415},
		{"no choice", "POST", path, "", append([]string{"Content-Type", formType}, own...), 400},
		{"unknown choice", "POST", path, "choice=accept", append([]string{"Content-Type", formType}, own...), 400},
		{"two choices", "POST", path, "choice=reject-all&choice=accept-all", append([]string{"Content-Type", formType}, own...), 400},
		{"unknown category", "POST", path, "choice=save&categories=ads", append([]string{"Content-Type", formType}, own...), 400},
		{"unclassified", "POST", path, "choice=save&categories=unclassified", append([]string{"Content-Type", formType}, own...), 400},
		{"always nothing", "POST", path, "choice=always", append([]string{"Content-Type", formType}, own...), 400},
		{"once an unknown vendor", "POST", path, "choice=once&vendor=nobody", append([]string{"Content-Type", formType}, own...), 400},
		{"once no vendor", "POST", path, "choice=once", append([]string{"Content-Type", formType}, own...), 400},
		{"malformed form", "POST", path, "choice=%zz", append([]string{"Content-Type", formType}, own...), 400},
		{"semicolons", "POST", path, "choice=save;categories=social", append([]string{"Content-Type", formType}, own...), 400},
		{"malformed JSON", "POST", path, `{"choice":`, append([]string{"Content-Type", jsonType}, own...), 400},
		{"JSON of another shape", "POST", path, `["accept-all"]`, append([]string{"Content-Type", jsonType}, own...), 400},
		{"unknown member", "POST", path, `{"choice":"accept-all","id":"x"}`, append([]string{"Content-Type", jsonType}, own...), 400},
		{"two values", "POST", path, `{"choice":"reject-all"}{"choice":"accept-all"}`, append([]string{"Content-Type", jsonType}, own...), 400},
		{"unknown method", "POST", path, `{"choice":"accept-all","method":"magic"}`, append([]string{"Content-Type", jsonType}, own...), 400},
		{"large", "POST", path, "choice=accept-all&return=/" + strings.Repeat("x", maxChoice), append([]string{"Content-Type", formType}, own...), 413},
		{"GET of consent", "GET", path, "", nil, 405},
		{"PUT of consent", "PUT", path, "", nil, 405},
		{"POST of preferences", "POST", "/_askfirst/preferences", "", own, 405},
		{"POST of the guard", "POST", e.banner.GuardURL(), "", own, 405},
		{"DELETE of the receipt", "DELETE", "/_askfirst/receipt", "", nil, 405},
		{"OPTIONS", "OPTIONS", path, "", nil, 405},
		{"unknown", "GET", "/_askfirst/nothing", "", nil, 404},
		{"prefix", "GET", "/_askfirst/", "", nil, 404},
		{"below an endpoint", "GET", "/_askfirst/preferences/x", "", nil, 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e.t = t
			a := e.do(c.method, c.path, c.body, c.fields...)
			e.status(a, c.want)
			if a.StatusCode >= 400 {
				if len(a.Cookies()) != 0 {
					t.Error("a refusal sets cookies")
				}
				if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
					t.Errorf("header %v", a.Header)
				}
			}
			if (a.Header.Get("Allow") != "") != (c.want == 405) {
				t.Errorf("Allow: %q", a.Header.Get("Allow"))
			}
		})
	}
	if got := len(e.records.receipts); got != 2 {
		t.Errorf("%d receipts, of 2 choices that were taken", got)
	}
}

// TestLargeBodyWithoutLength refuses a chunked body that does not end.
func TestLargeBodyWithoutLength(t *testing.T) {
	e := serve(t, Options{})
	r, _ := http.NewRequest("POST", "http://www.shop.example/_askfirst/consent", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20))))
	r.Header.Set("Content-Type", formType)
	resp, err := e.client.Do(r)
	if err != nil {
		return // refused so early that the answer could not be read
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
}

func TestReturnStaysHere(t *testing.T) {
	e := serve(t, Options{})
	for _, c := range []struct{ back, want string }{
		{"/", "/"},
		{"/a/b?c=d&e=%2F%2F", "/a/b?c=d&e=%2F%2F"},
		{"/a//b", "/a//b"},
		{"", "/"},
		{"a", "/"},
		{"//evil.example", "/"},
		{"///evil.example", "/"},
		{`/\evil.example`, "/"},
		{`\\evil.example`, "/"},
		{`/a\b`, "/"},
		{"https://evil.example/", "/"},
		{"javascript:alert(1)", "/"},
		{"/\t/evil.example", "/"},
		{"/\n/evil.example", "/"},
		{"/\r\nSet-Cookie: a=b", "/"},
		{"/a b", "/"},
		{"/\x00", "/"},
		{"/\x7f", "/"},
		{"/ä", "/"},
		{" /a", "/"},
		{"/" + strings.Repeat("a", maxReturn), "/"},
	} {
		a := e.form("/_askfirst/consent", url.Values{"choice": {"reject-all"}, "return": {c.back}})
		e.status(a, http.StatusSeeOther)
		if got := a.Header.Values("Location"); len(got) != 1 || got[0] != c.want {
			t.Errorf("return %q led to %q, want %q", c.back, got, c.want)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/", "//x", `/\x`, "/a?b#c", "/%2f/x", "/\t/x", "/.//x"} {
		f.Add(seed)
	}
	base, _ := url.Parse("https://shop.example/x/y")
	f.Fuzz(func(t *testing.T, uri string) {
		got, err := base.Parse(local(uri))
		if err == nil && got.Host != "shop.example" {
			t.Errorf("%q leads to %s", uri, got)
		}
	})
}

func TestOnce(t *testing.T) {
	e := serve(t, Options{})
	var vendor *rules.Vendor
	for _, v := range e.banner.engine.Vendors() {
		if v.Category == consent.Marketing {
			vendor = v
		}
	}
	if vendor == nil {
		t.Fatal("the catalogue is empty")
	}
	e.visit.Secure = true
	a := e.form("/_askfirst/consent", url.Values{"choice": {"once"}, "vendor": {vendor.ID}, "categories": {"marketing"}, "return": {"/video"}})
	e.status(a, http.StatusSeeOther)
	if len(a.Cookies()) != 1 {
		t.Fatalf("cookies %v", a.Cookies())
	}
	if got, want := a.Cookies()[0].Raw, "askfirst-once="+vendor.ID+"; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(e.records.receipts) != 0 {
		t.Error("to load once is no choice")
	}
}

func TestWithdrawalExpiresCookies(t *testing.T) {
	e := serve(t, Options{})
	if e.banner.engine.Cookie([]byte("_ga")).Rule == nil || e.banner.engine.Cookie([]byte("_fbp")).Rule == nil {
		t.Fatal("the catalogue does not know _ga and _fbp")
	}
	e.visit.Host = "www.shop.co.uk:8443"
	e.visit.Secure = true
	before := consent.Choice{Revision: 1, Categories: consent.All, At: time.Now(), ID: consent.NewID()}
	e.visit.Standing = consent.Stand(consent.OptIn, &before, consent.NoObjection)
	a := e.do("POST", "/_askfirst/consent", "choice=save&categories=analytics&return=/blog/post?x", "Content-Type", formType, "Sec-Fetch-Site", "same-origin",
		"Cookie", `session=1; _ga=GA1.2.3; _fbp=fb.1; askfirst=`+string(before.AppendCookie(nil))+`; askfirst-once=x; bad name=1; =2; _fbp=again`)
	e.status(a, http.StatusSeeOther)
	var got []string
	for _, c := range a.Cookies() {
		if c.Name == consent.CookieName {
			continue
		}
		if c.MaxAge != -1 || !c.Secure || c.Value != "" {
			t.Errorf("%s does not take the cookie back", c.Raw)
		}
		got = append(got, c.Name+" "+c.Domain+" "+c.Path)
	}
	var want []string
	for _, path := range []string{"/", "/blog", "/blog/", "/blog/post"} {
		for _, domain := range []string{"", "shop.co.uk", "www.shop.co.uk"} {
			want = append(want, "_fbp "+domain+" "+path)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("took back\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestChoiceClearsMore: on withdrawal goes what the site wants, and after every
// choice by form what the browser would show again of before.
func TestChoiceClearsMore(t *testing.T) {
	before := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Analytics), At: time.Now(), ID: consent.NewID()}
	for _, c := range []struct {
		clear      []string
		stands     bool
		body       string
		form, json string
	}{
		{[]string{"storage", "cache"}, false, "choice=reject-all", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=accept-all", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=save&categories=analytics&categories=social", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=reject-all", `"storage", "cache"`, `"storage", "cache"`},
		{[]string{"storage"}, true, "choice=save&categories=marketing", `"storage", "cache"`, `"storage"`},
		{nil, true, "choice=reject-all", `"cache"`, ""},
		{nil, true, "choice=once&vendor=youtube", "", ""},
	} {
		e := serve(t, Options{Clear: c.clear})
		if c.stands {
			e.visit.Standing = consent.Stand(consent.OptIn, &before, consent.NoObjection)
		}
		a := e.do("POST", "/_askfirst/consent", c.body, "Content-Type", formType, "Sec-Fetch-Site", "same-origin")
		e.status(a, http.StatusSeeOther)
		if got := a.Header.Get("Clear-Site-Data"); got != c.form {
			t.Errorf("%v, form %s: Clear-Site-Data is %s, want %s", c.clear, c.body, got, c.form)
		}
		form, err := url.ParseQuery(c.body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(map[string]any{"choice": form.Get("choice"), "categories": form["categories"], "vendor": form.Get("vendor")})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.json("/_askfirst/consent", string(text)).Header.Get("Clear-Site-Data"); got != c.json {
			t.Errorf("%v, JSON %s: Clear-Site-Data is %s, want %s", c.clear, c.body, got, c.json)
		}
	}
}

func TestExpiriesAreBounded(t *testing.T) {
	b := newBanner(t, Options{})
	if b.engine.Cookie([]byte("_ga_X")).Rule == nil {
		t.Fatal("the catalogue does not know _ga_*")
	}
	var field []byte
	for i := range 500 {
		field = fmt.Appendf(field, "_ga_%d=x; ", i)
	}
	got := b.Expiries(field, "a.b.c.shop.example", "/"+strings.Repeat("a/", 100), false, 0)
	if len(got) != maxExpiries {
		t.Errorf("%d values", len(got))
	}
	if b.Expiries(field, "shop.example", "/", false, consent.All) != nil {
		t.Error("what was agreed to is taken back")
	}
}

// FuzzExpiries holds every value to one cookie that is taken back: neither the
// visitor's names nor the page's path may add attributes or fields.
func FuzzExpiries(f *testing.F) {
	f.Add("_ga=1; _fbp=2", "/a/b", "www.shop.example")
	f.Add("_ga\r\nX: y=1;_ga_A;=", "/a;Domain=x/\r\n", "a.b")
	f.Add("_ga=1", "/a b/ä/", "[::1]:80")
	b := newBanner(f, Options{})
	f.Fuzz(func(t *testing.T, field, path, host string) {
		for _, value := range b.Expiries([]byte(field), "www.shop.example", path, true, 0) {
			c, err := http.ParseSetCookie(value)
			if err != nil || c.MaxAge != -1 || c.Value != "" || !c.Secure || len(c.Unparsed) != 0 || c.HttpOnly || strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("%q: %v", value, err)
			}
		}
		domainsAbove(host)
	})
}

func TestDomainsAbove(t *testing.T) {
	for host, want := range map[string]string{
		"www.shop.example":   " shop.example www.shop.example",
		"shop.example:80":    " shop.example",
		"a.b.shop.co.uk":     " shop.co.uk a.b.shop.co.uk b.shop.co.uk",
		"localhost:8080":     "",
		"shop.localhost":     " shop.localhost",
		"127.0.0.1":          "",
		"127.0.0.1:8080":     "",
		"[::1]:8080":         "",
		"co.uk":              "",
		"user.github.io":     " user.github.io",
		"www.user.github.io": " user.github.io www.user.github.io",
	} {
		if got := strings.Join(domainsAbove(host), " "); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestGuardAsset(t *testing.T) {
	e := serve(t, Options{})
	path := e.banner.GuardURL()
	plain := e.do("GET", path, "")
	if !strings.HasPrefix(plain.body, "self.__askfirst_rules={") || !strings.HasSuffix(plain.body, string(guardBundle)) {
		t.Errorf("the guard is not rules and bundle: %.60s", plain.body)
	}
	table, _, _ := strings.Cut(strings.TrimPrefix(plain.body, "self.__askfirst_rules="), ";\n")
	if !json.Valid([]byte(table)) {
		t.Error("the rules are not JSON")
	}
	for accept, coding := range map[string]string{"br": "br", "gzip, deflate, br": "br", "gzip": "gzip", "br;q=0, gzip": "gzip", "deflate": "", "identity": "", "BR": "br"} {
		a := e.do("GET", path, "", "Accept-Encoding", accept)
		e.status(a, 200)
		var r io.Reader = strings.NewReader(a.body)
		switch coding {
		case "br":
			r = brotli.NewReader(r)
		case "gzip":
			r, _ = gzip.NewReader(r)
		}
		data, err := io.ReadAll(r)
		if a.Header.Get("Content-Encoding") != coding || err != nil || string(data) != plain.body {
			t.Errorf("%q: %q, %v", accept, a.Header.Get("Content-Encoding"), err)
		}
		if a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || a.Header.Get("Vary") != "Accept-Encoding" || a.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("header %v", a.Header)
		}
	}
	head := e.do("HEAD", path, "")
	if head.StatusCode != 200 || head.body != "" || head.ContentLength != int64(len(plain.body)) {
		t.Errorf("HEAD: %d, %d bytes announced", head.StatusCode, head.ContentLength)
	}
}

// TestAssetsOfAnotherBuild asks for what a page made by another proxy names.
func TestAssetsOfAnotherBuild(t *testing.T) {
	e := serve(t, Options{})
	path := e.banner.GuardURL()
	guard, part := e.do("GET", path, ""), e.do("GET", "/_askfirst/rules."+e.banner.assets.revision+".names.json", "")
	e.status(part, 200)
	if !json.Valid([]byte(part.body)) || part.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || part.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a part of the rules: %v %.60s", part.Header, part.body)
	}
	for other, want := range map[string]string{"/_askfirst/guard.AAAAAAAAAAAAAAAA.js": guard.body, "/_askfirst/rules.AAAAAAAAAAAA.names.json": part.body} {
		a := e.do("GET", other, "")
		if a.StatusCode != 200 || a.body != want || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %q, the same: %v", other, a.StatusCode, a.Header.Get("Cache-Control"), a.body == want)
		}
	}
	for _, none := range []string{"guard.js", "guard.AAAA.css", "rules.AAAA.more.json", "rules.AAAA.names.txt", "other.AAAA.js"} {
		e.status(e.do("GET", "/_askfirst/"+none, ""), 404)
	}
}

// TestDecisions asks about addresses as the guard does where only the engine
// knows.
func TestDecisions(t *testing.T) {
	engine, err := rules.New(rules.Options{Lists: []rules.List{{Name: "own", Format: rules.FormatABP, Category: consent.Marketing, Text: []byte("||tracked.example/hello^$image\n@@||youtube.com/embed/free")}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{}, engine, &memory{}, &watcher{})
	if err != nil {
		t.Fatal(err)
	}
	e := serve(t, Options{})
	e.banner = b
	ask := func(query string) answered { return e.do("GET", "/_askfirst/rules.x?"+query, "") }
	for query, want := range map[string]string{
		"kind=image&page=/&url=https://tracked.example/hello?id=1":            `{"category":"marketing","vendor":null,"party":"third","never":false,"ruled":true}`,
		"kind=script&page=/&url=https://tracked.example/hello?id=1":           `{"category":"unclassified","vendor":null,"party":"third","never":false,"ruled":false}`,
		"kind=frame&page=/&url=https://www.youtube.com/embed/free":            `{"category":"necessary","vendor":null,"party":"third","never":false,"ruled":true}`,
		"kind=frame&page=/&url=https://www.youtube.com/embed/x":               `{"category":"marketing","vendor":["youtube","marketing",0],"party":"third","never":false,"ruled":true}`,
		"kind=script&page=/&url=https://www.googletagmanager.com/gtm.js%3Fid": `{"category":"functional","vendor":["google-tag-manager","functional",1],"party":"third","never":false,"ruled":true}`,
		"kind=image&unseen=tiny&page=/&url=https://nobody.example/x":          `{"category":"marketing","vendor":null,"party":"third","never":false,"ruled":true}`,
		"kind=image&page=/&url=/own.gif":                                      `{"category":"necessary","vendor":null,"party":"first","never":false,"ruled":false}`,
	} {
		if a := ask(query); a.StatusCode != 200 || a.body != want || a.Header.Get("Cache-Control") != "private, max-age=300" {
			t.Errorf("%s: %d %v\n%s, want\n%s", query, a.StatusCode, a.Header, a.body, want)
		}
	}
	for _, bad := range []string{"", "kind=image", "kind=nonsense&page=/&url=/x", "kind=image&page=//elsewhere.example/&url=/x"} {
		e.status(ask(bad), 400)
	}
}

func TestPages(t *testing.T) {
	e := serve(t, Options{Title: `Tom & "Co"`, PolicyURL: "/privacy"})
	choice := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Social), At: time.Now(), ID: consent.NewID()}
	e.visit.Standing = consent.Stand(consent.OptIn, &choice, consent.GPC)
	e.records.receipts = map[consent.ID]*consent.Receipt{choice.ID: {Choice: choice, Site: "Shop", Action: "save", Vendors: []string{"x"}}}
	for _, path := range []string{"/_askfirst/preferences", "/_askfirst/cookies", "/_askfirst/receipt"} {
		for _, tag := range Languages() {
			a := e.do("GET", path+"?return=%2Fblog%3Fa%3D%22b", "", "Accept-Language", tag)
			e.status(a, 200)
			if !strings.Contains(a.body, `<html lang="`+tag+`"`) || strings.Contains(a.body, "ZgotmplZ") || strings.Contains(a.body, "⟦") || strings.Contains(a.body, "{site}") {
				t.Errorf("%s in %s is not whole", path, tag)
			}
			policy := a.Header.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", a.Header)
			}
			if strings.Contains(a.body, "<script") || strings.Contains(a.body, " src=") || strings.Contains(a.body, " style=") || strings.Contains(a.body, " on") && strings.Contains(a.body, "onclick") {
				t.Errorf("%s runs or loads something", path)
			}
		}
		if a := e.do("HEAD", path, ""); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD %s: %d", path, a.StatusCode)
		}
	}
	a := e.do("GET", "/_askfirst/preferences?return=//evil.example", "")
	if strings.Contains(a.body, "evil") {
		t.Error("a foreign return address is carried along")
	}
	for _, want := range []string{`data-askfirst="withdraw"`, `value="social" aria-describedby="social" checked`, "Global Privacy Control"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("preferences lack %s", want)
		}
	}
	if strings.Count(a.body, " checked") != 1 {
		t.Error("more is ticked than was agreed to")
	}
}

func TestReceipt(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Country = "NO"
	e.status(e.do("GET", "/_askfirst/receipt", ""), 404)
	e.status(e.do("GET", "/_askfirst/receipt.json", ""), 404)
	a := e.json("/_askfirst/consent", `{"choice":"save","categories":["analytics"]}`)
	_, choice := e.cookie(a)
	e.visit.Standing = consent.Stand(consent.OptIn, &choice, consent.NoObjection)
	a = e.do("GET", "/_askfirst/receipt.json", "")
	e.status(a, 200)
	var got receipt
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.ID != choice.ID.String() || !slices.Equal(got.Categories, []string{"analytics"}) || got.Address != "192.0.2.0" {
		t.Errorf("%v: %s", err, a.body)
	}
	for language, rows := range map[string]string{
		"en": "<dt>Rule</dt><dd>Nothing optional without consent · the site&#39;s setting for everybody</dd></div>\n<div><dt>Country</dt><dd>Norway</dd>",
		"de": "<dt>Regel</dt><dd>Nichts Optionales ohne Einwilligung · die Einstellung der Website für alle</dd></div>\n<div><dt>Land</dt><dd>Norwegen</dd>",
	} {
		page := e.do("GET", "/_askfirst/receipt", "", "Accept-Language", language)
		for _, part := range []string{choice.ID.String(), rows} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page in %s does not show %s", language, part)
			}
		}
	}
	e.records.fail = errors.New("away")
	e.status(e.do("GET", "/_askfirst/receipt.json", ""), 503)
	a = e.form("/_askfirst/receipt/erase", url.Values{})
	e.status(a, 503)
	if len(a.Cookies()) != 0 {
		t.Error("the cookie goes although the record stays")
	}
	e.records.fail = nil
	a = e.form("/_askfirst/receipt/erase", url.Values{})
	e.status(a, http.StatusSeeOther)
	if len(a.Cookies()) != 1 || a.Cookies()[0].MaxAge != -1 || a.Cookies()[0].Name != "askfirst" || a.Header.Get("Location") != "/_askfirst/receipt?erased" {
		t.Errorf("erase: %v", a.Header)
	}
	e.status(e.do("GET", "/_askfirst/receipt", ""), 404)
	e.status(e.json("/_askfirst/receipt/erase", `{}`), 204)
}

// TestRegimeIsSaidInWords: how consent worked, and by what rule.
func TestRegimeIsSaidInWords(t *testing.T) {
	b := newBanner(t, Options{})
	for _, c := range []struct {
		language, rule string
		regime         consent.Regime
		want           string
	}{
		{"en", "DE, built in, by X-Country", consent.OptIn, "Nothing optional without consent · what holds in Germany"},
		{"en", "US-CA, configured, by database", consent.OptOut, "Everything until there is an objection · what holds in United States (CA)"},
		{"en", "fallback, place unknown", consent.Notice, "Everything, with notice and a way to refuse · the site's setting where no country's rule applies"},
		{"de", "AT, built in, by database", consent.OptIn, "Nichts Optionales ohne Einwilligung · was in diesem Land gilt: Österreich"},
		{"ja", "JP, built in, by database", consent.Notice, "通知したうえですべて使い、拒否もできる · この国で適用されるもの: 日本"},
		{"en", "", consent.OptIn, "Nothing optional without consent"},
	} {
		l := b.languages.list[b.languages.index[c.language]]
		if got := l.regime(c.regime, c.rule); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.rule, c.language, got, c.want)
		}
	}
}

func TestDeclaration(t *testing.T) {
	e := serve(t, Options{})
	if e.banner.engine.Vendor("google-analytics") == nil {
		t.Fatal("the catalogue does not know google-analytics")
	}
	e.watcher.seen = []string{"youtube", "google-analytics", "google-analytics", "nobody"}
	a := e.do("GET", "/_askfirst/cookies.json", "")
	e.status(a, 200)
	var d declaration
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || len(d.Vendors) != 2 || d.Vendors[0].ID != "google-analytics" || !d.Vendors[0].OutsideEEA || len(d.Vendors[0].Stores) == 0 || len(d.Own) != 1 {
		t.Errorf("%v: %s", err, a.body)
	}
	a = e.do("GET", "/_askfirst/cookies", "", "Accept-Language", "de")
	for _, want := range []string{"Vereinigte Staaten", "außerhalb des Europäischen Wirtschaftsraums", "<code>_ga</code><p>Erkennt den Browser wieder", `href="https://policies.google.com/privacy`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the declaration lacks %s", want)
		}
	}
	part := e.do("GET", "/_askfirst/cookies.html", "", "Accept-Language", "de")
	e.status(part, 200)
	if !strings.HasPrefix(part.body, `<div class="askfirst-cookies" lang="de" dir="ltr">`) || strings.Contains(part.body, "<style") || strings.Contains(part.body, "<html") ||
		!strings.Contains(part.body, "<code>_ga</code>") {
		t.Errorf("the part for a site's own page is %s", part.body)
	}
	if whole := a.body[strings.Index(a.body, "<section"):]; !strings.Contains(part.body, whole[:strings.LastIndex(whole, "</section>")]) {
		t.Error("the part says something else than the page")
	}
}

func TestDeclarationSaysOnWhatDataAreTransferred(t *testing.T) {
	for stated, want := range map[string]string{"": "nicht angegeben", "dpf": "EU-US Data Privacy Framework", "scc": "Standardvertragsklauseln"} {
		e := serve(t, Options{Transfers: map[string]string{"google-analytics": stated}})
		e.watcher.seen = []string{"google-analytics"}
		for _, path := range []string{"/_askfirst/cookies", "/_askfirst/cookies.html"} {
			a := e.do("GET", path, "", "Accept-Language", "de")
			if !strings.Contains(a.body, "<dt>Grundlage der Übermittlung</dt><dd>"+want+"</dd>") {
				t.Errorf("%s, stated %q: it is not said that the basis is %s", path, stated, want)
			}
		}
		if stated == "" {
			stated = "unstated"
		}
		if a := e.do("GET", "/_askfirst/cookies.json", ""); !strings.Contains(a.body, `"transfer": "`+stated+`"`) {
			t.Errorf("JSON, stated %s: %s", stated, a.body)
		}
	}
}

func TestEvents(t *testing.T) {
	e := serve(t, Options{})
	good := `{"page":"/blog","tags":[["https://www.google-analytics.com/g/collect?id=secret","script","held",2,"-"],["https://www.google-analytics.com/g/collect","script","fired",1,"a"]],"cookies":[["_ga","script","a"]],"more":3}`
	e.status(e.json("/_askfirst/events", good), 204)
	e.status(e.do("POST", "/_askfirst/events", good, "Content-Type", "text/plain;charset=UTF-8"), 204)
	if len(e.watcher.reports) != 4 { // each before the choice and after it
		t.Fatalf("%d reports", len(e.watcher.reports))
	}
	r := e.watcher.reports[0]
	if r.Page != "/blog" || r.Granted.String() != "-" || len(r.Tags) != 1 || r.Tags[0].Host != "www.google-analytics.com" || r.Tags[0].Path != "/g/collect" || r.Tags[0].Kind != rules.Script || r.Tags[0].Count != 2 || len(r.Cookies) != 0 {
		t.Errorf("report before the choice %+v", r)
	}
	r = e.watcher.reports[1]
	if r.Page != "/blog" || r.Granted.String() != "a" || len(r.Tags) != 1 || r.Tags[0].Event != "fired" || r.Tags[0].Count != 1 || len(r.Cookies) != 1 || r.Cookies[0].Name != "_ga" {
		t.Errorf("report after the choice %+v", r)
	}
	for name, body := range map[string]string{
		"not JSON":            `{`,
		"unknown member":      `{"page":"/","visitor":"x"}`,
		"no granted":          `{"page":"/","tags":[["https://x/","script","held",1]]}`,
		"cookie's granted":    `{"page":"/","cookies":[["_ga","script","zz"]]}`,
		"granted malformed":   `{"page":"/","tags":[["https://x/","script","held",1,"zz"]]}`,
		"page elsewhere":      `{"page":"//evil"}`,
		"page with query":     `{"page":"/?id=1"}`,
		"page empty":          `{"page":""}`,
		"kind unknown":        `{"page":"/","tags":[["https://x/","magic","held",1,"-"]]}`,
		"event unknown":       `{"page":"/","tags":[["https://x/","script","seen",1,"-"]]}`,
		"count nought":        `{"page":"/","tags":[["https://x/","script","held",0,"-"]]}`,
		"count negative":      `{"page":"/","tags":[["https://x/","script","held",-1,"-"]]}`,
		"count large":         `{"page":"/","tags":[["https://x/","script","held",99999999,"-"]]}`,
		"count fraction":      `{"page":"/","tags":[["https://x/","script","held",1.5,"-"]]}`,
		"more negative":       `{"page":"/","more":-1}`,
		"more large":          `{"page":"/","more":401}`,
		"tag short":           `{"page":"/","tags":[["https://x/","script"]]}`,
		"tag long":            `{"page":"/","tags":[["https://x/","script","held",1,"-",2]]}`,
		"address relative":    `{"page":"/","tags":[["/x","script","held",1,"-"]]}`,
		"address javascript":  `{"page":"/","tags":[["javascript:1","script","held",1,"-"]]}`,
		"address control":     `{"page":"/","tags":[["https://x/\u0000","script","held",1,"-"]]}`,
		"cookie source":       `{"page":"/","cookies":[["_ga","magic","-"]]}`,
		"cookie name control": `{"page":"/","cookies":[["a\u0001","script","-"]]}`,
		"cookie name long":    `{"page":"/","cookies":[["` + strings.Repeat("a", 101) + `","script","-"]]}`,
	} {
		a := e.json("/_askfirst/events", body)
		if a.StatusCode != 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	e.status(e.json("/_askfirst/events", `{"page":"/`+strings.Repeat("x", maxEvents)+`"}`), 413)
	e.status(e.do("POST", "/_askfirst/events", good, "Content-Type", formType), 415)
	if len(e.watcher.reports) != 4 {
		t.Error("a refused report was passed on")
	}
}

func TestReportsAreLimited(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	allowed := 0
	for range 1000 {
		if l.allow("192.0.2.0", now) {
			allowed++
		}
	}
	if allowed != reportBurst {
		t.Errorf("%d at once", allowed)
	}
	if !l.allow("192.0.2.0", now.Add(time.Second)) {
		t.Error("nothing a second later")
	}
	for range reportPerSecond {
		l.allow("192.0.2.0", now.Add(time.Second))
	}
	if l.allow("192.0.2.0", now.Add(-time.Hour)) {
		t.Error("a clock that goes back fills the bucket")
	}
	e := serve(t, Options{})
	limited := 0
	for range 2 * reportBurst {
		if a := e.json("/_askfirst/events", `{"page":"/"}`); a.StatusCode == 429 && a.Header.Get("Retry-After") != "" {
			limited++
		}
	}
	if limited == 0 {
		t.Error("no report was refused")
	}
}

func TestViolations(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Host = "shop.example"
	post := func(media, body string) answered {
		return e.do("POST", "/_askfirst/csp", body, "Content-Type", media, "Sec-Fetch-Site", "same-origin")
	}
	e.status(post("application/csp-report", `{"csp-report":{"document-uri":"https://shop.example/a?b","blocked-uri":"https://t.example/x.js?id=1","effective-directive":"script-src-elem","disposition":"enforce","original-policy":"…"}}`), 204)
	e.status(post("application/reports+json", `[{"type":"csp-violation","age":1,"body":{"documentURL":"https://shop.example/c","blockedURL":"https://t.example/p.gif","effectiveDirective":"img-src","disposition":"report"}},{"type":"deprecation","body":{}},
		{"type":"csp-violation","body":{"documentURL":"https://shop.example/c","blockedURL":"inline","effectiveDirective":"script-src-elem"}},
		{"type":"csp-violation","body":{"documentURL":"https://elsewhere.example/c","blockedURL":"https://t.example/p.gif","effectiveDirective":"img-src"}}]`), 204)
	// Workers and frames without an address of their own are this host's too.
	for _, document := range []string{"blob:https://shop.example/0-1-2", "about", "about:srcdoc"} {
		e.status(post("application/csp-report", `{"csp-report":{"document-uri":"`+document+`","blocked-uri":"https://t.example/x.js","effective-directive":"connect-src"}}`), 204)
	}
	if len(e.watcher.reports) != 5 {
		t.Fatalf("%d reports", len(e.watcher.reports))
	}
	if third := e.watcher.reports[2]; third.Page != "/" || third.Tags[0].Event != "stopped" {
		t.Errorf("%+v", third)
	}
	first, second := e.watcher.reports[0], e.watcher.reports[1]
	if first.Page != "/a" || first.Tags[0].Host != "t.example" || first.Tags[0].Path != "/x.js" || first.Tags[0].Event != "stopped" || first.Tags[0].Kind != rules.Script {
		t.Errorf("%+v", first)
	}
	if second.Tags[0].Event != "fired" || second.Tags[0].Kind != rules.Image {
		t.Errorf("%+v", second)
	}
	e.status(post("application/json", `{}`), 415)
	e.status(post("application/csp-report", `{`), 400)
	e.status(post("application/reports+json", `{}`), 400)
	e.status(post("application/csp-report", strings.Repeat(" ", maxViolations+1)), 413)
}

func TestGPC(t *testing.T) {
	e := serve(t, Options{})
	a := e.do("GET", "/.well-known/gpc.json", "")
	e.status(a, 200)
	var got struct {
		GPC        bool   `json:"gpc"`
		LastUpdate string `json:"lastUpdate"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || !got.GPC || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v: %s", err, a.body)
	}
	if _, err := time.Parse("2006-01-02", got.LastUpdate); err != nil {
		t.Error(err)
	}
}

func TestOwns(t *testing.T) {
	b := newBanner(t, Options{Prefix: "/.consent/"})
	for path, want := range map[string]bool{"/.consent/": true, "/.consent/x": true, "/.consent": false, "/_askfirst/x": false, "/.well-known/gpc.json": true, "/.well-known/gpc.json2": false, "/": false, "": false} {
		if b.Owns([]byte(path)) != want {
			t.Errorf("%q: %v", path, !want)
		}
	}
	if !bytes.Contains(b.AppendFoot(nil, &View{}, nil), []byte(`action="/.consent/consent"`)) || !strings.HasPrefix(b.GuardURL(), "/.consent/guard.") {
		t.Error("the prefix is not used")
	}
}
