package web

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// testRules are the base of a table as the engine writes it, and testParts the
// parts of it by their names, small enough to read. Each part of hosts has all
// of them here.
const testRules = `{"parts":"0","quiet":["pixel","hidden-frame","noscript-image","beacon","gif-query","tracker-host","tracker-path","tracker-query","banner","account-number","hash-folders","site-named"]}`

var testParts = map[string]string{
	"names": `{
		"said": [[["meter","analytics",0]],[["adder","marketing",0]]],
		"urls": {"*":[["^/meter-proxy/",0,0]]},
		"cookies": {"_meter":0,"_meter_*":0,"_adder":1},
		"storage": {"meter:*":0},
		"guesses": {"unseen": "^\\S* (?:tiny|hidden)image free\\.example/unseen-"},
		"containers": ["crate"],
		"reload": ["splitter"]
	}`,
	"code":  `{"said":[[["meter","analytics",0]]],"inline":[[["meter(","'init'"],0]]}`,
	"marks": `[[".friend-card,#friend-wall","friend","social"],["meter-widget","meter","analytics"]]`,
	"calls": `[["meter","meter","analytics"],["meter.flush","meter","analytics"],["meters.push","meter","analytics"],["crate.push","crate","marketing"],["adder","adder","marketing"],["adders.push","adder","marketing"],["own","adder","marketing"]]`,
	"": `{
		"said": [[["meter","analytics",0]],[["adder","marketing",0]],[["tube","marketing",0]],[["crate","marketing",1]],[["friend","social",0]]],
		"domains": {"meter.example":0,"adder.example":1,"tube.example":2,"crate.example":3,"friend.example":4}
	}`,
}

// world is the whole network of a test: the site and every third party, on one
// listener to which the browser takes every name.
type world struct {
	server *httptest.Server
	guard  []byte
	boxes  []byte

	asked chan struct{} // a request to a third party has arrived

	mu       sync.Mutex
	pages    map[string]string // path on the site to body
	scripts  map[string]string // host and path to code
	seen     []string          // requests to third parties, as host and path
	choices  []map[string]any
	reports  []map[string]any
	refuse   bool          // answer choices with 500
	boxed    []string      // queries of the boxes that were asked for
	learned  []string      // parts of the rules that were asked for
	ignorant bool          // answer those with 503
	chosen   chan struct{} // if set, answer those once this is closed, which a choice does
}

const banner = `<askfirst-banner data-askfirst-state="ask"><template shadowrootmode="open"><style>
:host([data-askfirst-state=made]:not([data-askfirst-open])) .panel,:host([data-askfirst-state=ask]) .reopen,:host([data-askfirst-open]) .reopen{display:none}</style>
<section class="panel" tabindex="-1"><form method="post" action="/_askfirst/consent"><input type="hidden" name="return" value="/"><input type="hidden" name="language" value="en">
<details><summary data-askfirst="settings">Settings</summary>
<input type="checkbox" name="categories" value="functional"><input type="checkbox" name="categories" value="analytics"><input type="checkbox" name="categories" value="marketing"><input type="checkbox" name="categories" value="social">
<button name="choice" value="save" data-askfirst="save">Save</button><button name="choice" value="reject-all" data-askfirst="withdraw">Withdraw</button></details>
<button name="choice" value="reject-all" data-askfirst="reject-all">Reject</button><button name="choice" value="accept-all" data-askfirst="accept-all">Accept</button></form></section>
<aside><a class="reopen" href="/_askfirst/preferences" data-askfirst="reopen">Privacy</a></aside></template></askfirst-banner>`

// document is a page with the guard in its place and the given body.
func document(body string) string {
	return `<!DOCTYPE html><html lang="en"><head>` + guardElement + `<title>Shop</title></head><body>` + body + banner + `</body></html>`
}

const guardElement = `<script src="/_askfirst/guard.0.js" data-askfirst-guard data-granted="-" data-made="0" data-regime="opt-in" data-unclassified="pass" data-revision="1" data-site="shop.example"></script>`

func newWorld(t testing.TB) *world {
	t.Helper()
	guard, err := os.ReadFile("../dist/guard.js")
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := os.ReadFile("../dist/boxes.js")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{guard: guard, boxes: boxes, pages: map[string]string{"/": document("<h1>Shop</h1>")}, scripts: map[string]string{}, asked: make(chan struct{}, 1)}
	w.server = httptest.NewUnstartedServer(w)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host != "shop.example" {
		w.serveThirdParty(rw, r, host)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/_askfirst/guard."):
		rw.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(rw, "self.__askfirst_rules=%s;", testRules)
		rw.Write(w.guard)
	case r.URL.Path == "/_askfirst/boxes.0.js":
		rw.Header().Set("Content-Type", "text/javascript")
		rw.Write(w.boxes)
	case r.URL.Path == "/_askfirst/box":
		w.boxed = append(w.boxed, r.URL.RawQuery)
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		q := r.URL.Query()
		fmt.Fprintf(rw, `<askfirst-placeholder data-vendor="%s" data-category="%s"><template shadowrootmode="open"><style></style><button data-askfirst="load">Load</button><button data-askfirst="always">Always</button></template></askfirst-placeholder>`, html.EscapeString(q.Get("vendor")), html.EscapeString(q.Get("category")))
	case strings.HasPrefix(r.URL.Path, "/_askfirst/rules."):
		part, ok := testParts[strings.Split(r.URL.Path, ".")[2]]
		if !ok {
			part = testParts[""]
		}
		w.learned = append(w.learned, r.URL.Path)
		if chosen := w.chosen; chosen != nil {
			w.mu.Unlock()
			<-chosen
			w.mu.Lock()
		}
		if w.ignorant {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(rw, part)
	case r.URL.Path == "/_askfirst/consent":
		var choice map[string]any
		if r.Header.Get("Content-Type") == "application/json" {
			json.NewDecoder(r.Body).Decode(&choice)
		} else {
			r.ParseForm()
			choice = map[string]any{"form": r.PostForm.Get("choice")}
		}
		w.choices = append(w.choices, choice)
		if w.chosen != nil {
			close(w.chosen)
			w.chosen = nil
		}
		if w.refuse {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		letters := "-"
		switch choice["choice"] {
		case "accept-all":
			letters = "fams"
		case "save":
			letters = ""
			for _, c := range []string{"functional", "analytics", "marketing", "social"} {
				if slices.Contains(choice["categories"].([]any), any(c)) {
					letters += c[:1]
				}
			}
			if letters == "" {
				letters = "-"
			}
		}
		http.SetCookie(rw, &http.Cookie{Name: "askfirst", Value: fmt.Sprintf("1.1.%s.%d.AAAAAAAAAAAAAAAAAAAAAA", letters, time.Now().Unix()), Path: "/"})
		rw.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/_askfirst/events":
		body, _ := io.ReadAll(r.Body)
		var report map[string]any
		if json.Unmarshal(body, &report) == nil && len(body) <= 2<<10 {
			w.reports = append(w.reports, report)
		}
		rw.WriteHeader(http.StatusNoContent)
	default:
		if strings.HasPrefix(r.URL.Path, "/meter-proxy/") {
			w.see(host + r.URL.Path)
		}
		body, ok := w.pages[r.URL.Path]
		if !ok {
			body = "<!DOCTYPE html><title>none</title>"
		}
		if strings.HasSuffix(r.URL.Path, ".js") {
			rw.Header().Set("Content-Type", "text/javascript")
		} else {
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
		if csp, ok := w.pages["csp:"+r.URL.Path]; ok {
			rw.Header().Set("Content-Security-Policy", csp)
		}
		io.WriteString(rw, body)
	}
}

func (w *world) serveThirdParty(rw http.ResponseWriter, r *http.Request, host string) {
	w.mu.Lock()
	// What the browser asks on its own account does not count.
	if strings.HasSuffix(host, ".example") {
		w.see(host + r.URL.Path)
	}
	code, ok := w.scripts[host+r.URL.Path]
	w.mu.Unlock()
	h := rw.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	switch {
	case ok:
		h.Set("Content-Type", "text/javascript")
		io.WriteString(rw, code)
	case strings.HasSuffix(r.URL.Path, ".js"):
		h.Set("Content-Type", "text/javascript")
		fmt.Fprintf(rw, "(self.ran=self.ran||[]).push(%q)", host+r.URL.Path)
	case strings.HasSuffix(r.URL.Path, ".css"):
		h.Set("Content-Type", "text/css")
	case strings.HasSuffix(r.URL.Path, ".gif"):
		h.Set("Content-Type", "image/gif")
		io.WriteString(rw, "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
	default:
		h.Set("Content-Type", "text/html")
		io.WriteString(rw, "<!DOCTYPE html><title>third</title>")
	}
}

// see notes a request. w.mu is held.
func (w *world) see(address string) {
	w.seen = append(w.seen, address)
	select {
	case w.asked <- struct{}{}:
	default:
	}
}

// await waits until n requests in whose path the given text occurs have arrived
// at third parties, and returns them. It gives up after five seconds.
func (w *world) await(text string, n int) []string {
	limit := time.After(5 * time.Second)
	for {
		found := w.third(text)
		if len(found) >= n {
			return found
		}
		select {
		case <-w.asked:
		case <-limit:
			return found
		}
	}
}

// third returns the requests to third parties so far in whose path the given
// text occurs.
func (w *world) third(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, s := range w.seen {
		if strings.Contains(s[strings.IndexByte(s, '/'):], text) {
			found = append(found, s)
		}
	}
	return found
}

func (w *world) set(path, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = body
}

func (w *world) script(address, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts[address] = code
}

// browser starts Chromium with every name of the network taken to w.
func browser(t testing.TB, w *world) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const reason = "no Chromium on this machine"
		if os.Getenv("ASKFIRST_BROWSER") == "required" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	_, port, _ := net.SplitHostPort(w.server.Listener.Addr().String())
	o := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1:"+port),
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), o...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		chromedp.Cancel(ctx)
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// tab opens a page of the site in a browser profile of its own.
func tab(t testing.TB, browser context.Context, path string) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("https://shop.example"+path)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// do runs the body of an async function in the page and returns what that
// returns.
func do[T any](t testing.TB, ctx context.Context, body string) T {
	t.Helper()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T]("(async()=>{"+body+"\n})()", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%v\nin %s", err, body)
	}
	return result
}

// until is a function of tests in the page, which waits for what comes about there.
const until = `
const until = async f => { for (let n = 0; n < 500 && !f(); n++) await new Promise(f => setTimeout(f, 10)) };
`

// settle lets what the page has begun reach the network: timers, frames and
// then a request of the page's own.
const settle = `
await new Promise(f => setTimeout(f, 60));
await new Promise(f => requestAnimationFrame(() => setTimeout(f, 0)));
await fetch('/barrier');
return true`
