package banner

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
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
	engine, err := rules.New(rules.Options{Lists: []rules.List{{Name: "own", Format: rules.FormatABP, Category: consent.Marketing, Text: []byte("||seen.example/hello^$image\n@@||youtube.com/embed/free")}}})
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
		"kind=image&page=/&url=https://seen.example/hello?id=1":               `{"category":"marketing","vendor":null,"party":"third","never":false,"ruled":true}`,
		"kind=script&page=/&url=https://seen.example/hello?id=1":              `{"category":"unclassified","vendor":null,"party":"third","never":false,"ruled":false}`,
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
