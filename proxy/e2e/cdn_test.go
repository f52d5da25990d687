package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/askfirst/askfirst/rules/consent"
)

// cdn is nginx as a CDN: what it answers carries X-Cache with what its cache
// had. Below /stubborn it keeps what it is told not to, and heeds Vary alone;
// below /silent it keeps what it is told nothing about; below /knowing it passes by
// visitors with pages of their own.
const cdn = `
pid %[1]s/pid;
error_log stderr error;
daemon off;
%[4]s
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	proxy_cache_path %[1]s/cache keys_zone=pages:1m;
	proxy_cache pages;
	proxy_cache_revalidate on;
	proxy_http_version 1.1;
	proxy_set_header Host $http_host;
	proxy_set_header Connection "";
	map $http_cookie $own { default ""; "~askfirst-(own|once)=" 1; }
	server {
		listen %[2]s;
		add_header X-Cache $upstream_cache_status always;
		location / { proxy_pass http://%[3]s; }
		location /stubborn {
			proxy_ignore_headers Cache-Control Expires Set-Cookie;
			proxy_cache_valid 200 1m;
			proxy_pass http://%[3]s;
		}
		location /silent {
			proxy_cache_valid 200 1m;
			proxy_pass http://%[3]s;
		}
		location /knowing {
			proxy_cache_bypass $own;
			proxy_no_cache $own;
			proxy_pass http://%[3]s;
		}
	}
}
`

// putBehind starts nginx in front of askfirst and returns its address.
func putBehind(t *testing.T, s *stage) string {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("ASKFIRST_NGINX") == "required" {
			t.Fatal("no nginx on this machine, and ASKFIRST_NGINX=required")
		}
		t.Skip("no nginx on this machine: caching is not tested")
	}
	// nginx takes the socket over, so that it can be reached before it is up.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	dir := t.TempDir()
	user := "" // as whom the workers run: they keep the cache in dir
	if os.Getuid() == 0 {
		user = "user root;"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, cdn, dir, ln.Addr(), s.proxy, user), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-e", "stderr", "-c", file)
	cmd.ExtraFiles, cmd.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("nginx said:\n%s", said.String())
		}
	})
	return ln.Addr().String()
}

// shopper is a visitor as a cache sees one.
type shopper struct{ cookie, encoding, language, gpc string }

// shoppers are all choices with one encoding each, and some that differ in all
// else.
func shoppers() []shopper {
	list := []shopper{{}, {encoding: "gzip"}, {encoding: "br"}, {language: "de"}, {gpc: "1"}, {cookie: "cart=1", encoding: "br"}, {cookie: "_ga=GA1.1", encoding: "gzip"}}
	for set := range 1 << (consent.Social + 1) {
		if set&1 == 0 {
			c := consent.Choice{Revision: 1, Categories: consent.Set(set), At: time.Now(), ID: consent.NewID()}
			list = append(list, shopper{cookie: "a=b; askfirst=" + string(c.AppendCookie(nil)), encoding: []string{"", "gzip", "br", "gzip, br"}[set/2%4]})
		}
	}
	return list
}

// answer is what a shopper gets, decoded.
type answer struct {
	*http.Response
	body string
}

func (p shopper) get(t *testing.T, address, path string, fields ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.test"
	req.Header.Set("Accept", "text/html")
	for name, value := range map[string]string{"Cookie": p.cookie, "Accept-Encoding": p.encoding, "Accept-Language": p.language, "Sec-GPC": p.gpc} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := rawTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body io.Reader = resp.Body
	coding := resp.Header.Get("Content-Encoding")
	if coding != "" && !strings.Contains(p.encoding, coding) {
		t.Errorf("%+v is answered in %q", p, coding)
	}
	switch coding {
	case "gzip":
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	case "br":
		body = brotli.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(text)}
}

var rawTransport = &http.Transport{DisableCompression: true}

// publicShop is a site whose pages any cache may keep, for a minute or a second.
func publicShop(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	if strings.HasSuffix(r.URL.Path, "/brief") {
		h.Set("Cache-Control", "public, max-age=1")
	}
	if strings.HasPrefix(r.URL.Path, "/silent") {
		h.Del("Cache-Control")
	}
	if strings.HasSuffix(r.URL.Path, "/cart") {
		http.SetCookie(w, &http.Cookie{Name: "cart", Value: "of-" + r.URL.Query().Get("who")})
	}
	h.Add("Set-Cookie", "_ga=GA1.1.7; Path=/") // by its server, for analytics
	h.Set("ETag", `"shop-1"`)
	h.Set("Link", "<https://static.hotjar.com>; rel=preconnect")
	h.Set("Content-Type", "text/html; charset=utf-8")
	if r.Header.Get("If-None-Match") == `"shop-1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, `<!doctype html><html lang="en"><head><title>Shop</title>
<script async src="https://static.hotjar.com/c/hotjar-1.js"></script></head><body><h1>Shop</h1>
<iframe width="300" height="200" src="https://www.youtube.com/embed/x"></iframe>
<script src="https://connect.facebook.net/en_US/fbevents.js"></script></body></html>`)
}

// Every visitor gets by way of a cache what askfirst itself would have given
// them, in whatever order they come; even where the cache heeds nothing but Vary.
func TestCacheGivesNobodyAnothersPage(t *testing.T) {
	s := raiseWith(t, http.HandlerFunc(publicShop))
	cache := putBehind(t, s)
	crowd := shoppers()
	bodies := map[string]bool{}
	for _, path := range []string{"/", "/silent/", "/stubborn/"} {
		hits := 0
		for range 3 {
			for _, i := range rand.Perm(len(crowd)) {
				want, got := crowd[i].get(t, s.proxy, path), crowd[i].get(t, cache, path)
				if got.body != want.body {
					t.Errorf("%s: %+v gets another's page (%s)", path, crowd[i], got.Header.Get("X-Cache"))
				}
				if got.Header.Get("X-Cache") == "HIT" {
					hits++
				}
				if crowd[i].language == "" && path == "/" {
					bodies[want.body] = true
				}
			}
		}
		if private := path != "/stubborn/"; private != (hits == 0) {
			t.Errorf("%s: %d hits", path, hits)
		}
	}
	if len(bodies) < 16 || len(bodies) > 32 {
		t.Errorf("there are %d variants of one page", len(bodies))
	}
	// A tag of a page that was made for another choice does not revalidate.
	tag := crowd[0].get(t, cache, "/stubborn/").Header.Get("ETag")
	for i, want := range map[int]int{0: http.StatusNotModified, len(crowd) - 1: http.StatusOK} {
		for _, address := range []string{cache, s.proxy} {
			if got := crowd[i].get(t, address, "/stubborn/", "If-None-Match", tag); got.StatusCode != want {
				t.Errorf("%+v revalidates with %s", crowd[i], got.Status)
			}
		}
	}
}

// One page for all: the same for everybody, kept as the site allows, with
// nothing of a visitor in it.
func TestUniformPageIsSharedByAll(t *testing.T) {
	s := raiseWith(t, http.HandlerFunc(publicShop), "caching: uniform")
	cache := putBehind(t, s)
	crowd := shoppers()
	for _, path := range []string{"/", "/?who=1"} {
		want := shopper{}.get(t, s.proxy, path)
		if strings.Contains(want.body, ` src="https://`) || !strings.Contains(want.body, `data-askfirst-src="https://static.hotjar.com`) || strings.Contains(want.body, "who=1") {
			t.Errorf("%s: the page for all is\n%s", path, want.body)
		}
		for _, i := range rand.Perm(len(crowd)) {
			p := crowd[i]
			for _, got := range []answer{p.get(t, s.proxy, path), p.get(t, cache, path), p.get(t, cache, path)} {
				if got.body != want.body {
					t.Errorf("%s: %+v gets a page of its own", path, p)
				}
				if got.Header.Get("Link") != "" {
					t.Errorf("%s: %+v is hinted at %s", path, p, got.Header.Get("Link"))
				}
				// The site's server sets a cookie for those who agreed to it.
				wants := [2]string{"public, max-age=60", "Accept-Encoding"}
				if len(got.Cookies()) > 0 {
					wants = [2]string{"max-age=60, private", "Accept-Encoding, Accept-Language, Cookie, Sec-GPC, Sec-Fetch-Dest"}
					if state := got.Header.Get("X-Cache"); state == "HIT" {
						t.Errorf("%s: %+v is given a cookie out of the cache: %q", path, p, got.Cookies())
					}
				}
				if is := [2]string{got.Header.Get("Cache-Control"), got.Header.Get("Vary")}; is != wants {
					t.Errorf("%s: %+v: Cache-Control and Vary are %q, want %q", path, p, is, wants)
				}
			}
		}
		for _, encoding := range []string{"", "gzip", "br"} {
			if state := (shopper{encoding: encoding}).get(t, cache, path).Header.Get("X-Cache"); state != "HIT" {
				t.Errorf("%s in %q is no hit but a %s", path, encoding, state)
			}
		}
	}

	// A page that brings somebody's cookie is theirs.
	a, b := shopper{}.get(t, cache, "/cart?who=a"), shopper{}.get(t, cache, "/cart?who=a")
	if b.Header.Get("X-Cache") == "HIT" || len(b.Cookies()) != 1 || !strings.Contains(a.Header.Get("Cache-Control"), "private") {
		t.Errorf("a page with a cookie: %v and %v", a.Header, b.Header)
	}

	// The cache asks whether its copy is still good, with the tag that the page
	// has for all.
	shopper{}.get(t, cache, "/brief")
	state := ""
	for deadline := time.Now().Add(20 * time.Second); state != "REVALIDATED" && time.Now().Before(deadline); {
		got := shopper{gpc: "1", language: "fr"}.get(t, cache, "/brief")
		if state = got.Header.Get("X-Cache"); strings.Contains(got.body, ` src="https://`) || got.body == "" {
			t.Fatalf("a page that was %s is\n%s", state, got.body)
		}
	}
	if state != "REVALIDATED" {
		t.Errorf("the cache's copy was not revalidated but %s", state)
	}
	tag := shopper{}.get(t, s.proxy, "/").Header.Get("ETag")
	for _, p := range crowd {
		// (Asking for its cache, nginx leaves the visitor's tags out.)
		for _, address := range []string{cache, s.proxy} {
			got := p.get(t, address, "/", "If-None-Match", tag)
			if state := got.Header.Get("X-Cache"); got.StatusCode != http.StatusNotModified && state != "MISS" {
				t.Errorf("%+v revalidates with %s (%s)", p, got.Status, state)
			}
		}
	}
}

// A visitor who chose without a script gets pages of their own, if the cache lets
// them, and never leaves them to others.
func TestUniformPageWithoutScript(t *testing.T) {
	s := raiseWith(t, http.HandlerFunc(publicShop), "caching: uniform")
	cache := putBehind(t, s)
	for _, path := range []string{"/knowing/", "/"} {
		v := visitAt(t, s, cache)
		v.withoutScripts()
		v.open(path + "?page=2")
		if v.sees(rejectAll) != 1 {
			t.Fatal("the banner is not shown")
		}
		v.leads(acceptAll)
		if at := eval[string](v, `location.pathname + location.search`); at != path+"?page=2" {
			t.Errorf("the choice leads to %s", at)
		}
		if names := v.cookies(); !strings.Contains(strings.Join(names, " "), "askfirst-own") {
			t.Errorf("cookies %q", names)
		}
		own := path == "/knowing/"
		if away := v.sees(rejectAll) == 0; away != own {
			t.Errorf("%s: after the choice the banner is away: %v", path, away)
		}
		if video := eval[bool](v, `!!document.querySelector("iframe[src*=youtube]")`); video != own {
			t.Errorf("%s: after the choice the video is there: %v", path, video)
		}
		if got := (shopper{}).get(t, cache, path+"?page=2"); strings.Contains(got.body, ` src="https://`) {
			t.Errorf("%s: the next visitor gets the page of the one before", path)
		}
	}
}

// With a script the page out of the cache becomes what the visitor's cookie says
// it is: the banner is never painted, and what was agreed to is released.
func TestUniformPageIsReleasedFromTheCookie(t *testing.T) {
	// A page at /slow is not all there until it has been painted.
	painted := make(chan struct{}, 1)
	s := raiseWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/painted":
			select {
			case painted <- struct{}{}:
			default:
			}
		case "/slow.js":
			select {
			case <-painted:
			case <-r.Context().Done():
			}
			w.Header().Set("Content-Type", "text/javascript")
		default:
			publicShop(w, r)
			if r.URL.Path == "/slow" {
				io.WriteString(w, `<script defer src="/slow.js"></script>`)
			}
		}
	}), "caching: uniform")
	cache := putBehind(t, s)
	v := visitAt(t, s, cache)
	// The banner is looked at in each frame that is painted.
	v.beforePages(`
		window.painted = [];
		(function look() {
			const panel = document.querySelector("askfirst-banner")?.shadowRoot?.querySelector(".panel");
			if (panel && painted.push(panel.checkVisibility()) === 2) fetch("/painted", {method: "POST"});
			requestAnimationFrame(look);
		})();
	`)
	v.open("/")
	if v.sees(acceptAll) != 1 {
		t.Error("a new visitor is not asked")
	}
	v.nobodyWasContacted(s)
	v.click(settings)
	v.click(box(consent.Analytics))
	v.click(save)
	v.chosen()
	for len(painted) > 0 {
		<-painted
	}
	v.open("/slow")
	v.until(`document.querySelector("script[src*=hotjar]")`)
	v.settle()
	if frames := eval[[]bool](v, `painted`); len(frames) == 0 || strings.Contains(fmt.Sprint(frames), "true") {
		t.Errorf("the banner was painted: %v", frames)
	}
	if v.sees(reopen) != 1 {
		t.Error("the choice cannot be reopened")
	}
	reached := strings.Join(s.reached(), " ")
	if !strings.Contains(reached, "static.hotjar.com") || strings.Contains(reached, "facebook") || strings.Contains(reached, "youtube") {
		t.Errorf("with analytics %s are reached", reached)
	}
	v.click(reopen)
	v.leads(withdraw)
	s.Forget()
	v.open("/")
	v.settle()
	if reached := s.reached(); len(reached) > 0 {
		t.Errorf("after withdrawal %q are reached", reached)
	}
	v.nothingThrew()

	other := visitAt(t, s, cache)
	other.beforePages(`Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`)
	other.open("/")
	if other.sees(acceptAll) != 1 || other.sees(".gpc") != 1 {
		t.Error("the next visitor is not asked, or not told that Global Privacy Control is honoured")
	}
}
