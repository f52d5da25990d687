package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/evanw/esbuild/pkg/api"
)

// others is the folder of other people's software, which npm ci fills.
const others = "testdata/others"

func needOthers(t *testing.T) {
	t.Helper()
	_, nodeErr := exec.LookPath("node")
	_, modulesErr := os.Stat(others + "/node_modules")
	if nodeErr == nil && modulesErr == nil {
		return
	}
	const reason = "no Node.js, or npm ci was not run in proxy/e2e/testdata/others"
	if os.Getenv("ASKFIRST_NODE") == "required" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// production builds one of the applications in others as it would be deployed.
func production(t *testing.T, entry string, platform api.Platform) []byte {
	t.Helper()
	format := api.FormatIIFE
	if platform == api.PlatformNode {
		format = api.FormatESModule
	}
	dir, err := filepath.Abs(others)
	if err != nil {
		t.Fatal(err)
	}
	built := api.Build(api.BuildOptions{
		AbsWorkingDir: dir, EntryPoints: []string{entry}, Bundle: true, Platform: platform, Format: format, MinifySyntax: true, MinifyWhitespace: true,
		Define: map[string]string{"process.env.NODE_ENV": `"production"`, "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__": "false", "__VUE_OPTIONS_API__": "true", "__VUE_PROD_DEVTOOLS__": "false"},
		Banner: map[string]string{"js": map[bool]string{true: `import { createRequire } from "node:module"; const require = createRequire("/");`}[platform == api.PlatformNode]},
	})
	for _, m := range built.Errors {
		t.Fatalf("%s: %s", entry, m.Text)
	}
	return built.OutputFiles[0].Contents
}

// rendered runs an application's server and returns the markup that it makes.
func rendered(t *testing.T, entry string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.mjs")
	if err := os.WriteFile(file, production(t, entry, api.PlatformNode), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", file).Output()
	if err != nil {
		t.Fatalf("%s: %v", entry, err)
	}
	return string(out)
}

// pages is a site of the given bodies by their addresses.
type pages map[string]string

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, known := p[r.URL.Path]
	switch {
	case !known:
		http.NotFound(w, r)
		return
	case strings.HasSuffix(r.URL.Path, ".js"):
		w.Header().Set("Content-Type", "text/javascript")
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	w.Write([]byte(body))
}

// complaints notes what a page writes to the console as a warning or an error.
const complaints = `self.complaints = [];
for (const name of ['warn', 'error']) { const f = console[name]; console[name] = (...a) => { complaints.push(a.map(String).join(' ')); f.apply(console, a) } }`

func (v *visitor) nothingComplained() {
	v.t.Helper()
	if said := eval[[]string](v, `complaints`); len(said) > 0 {
		v.t.Errorf("the console says %q", said)
	}
}

// boxIn is the button of the box that is shown within a frame.
func boxIn(frame string) string {
	return fmt.Sprintf(`document.querySelector(%q)?.contentDocument?.querySelector("askfirst-placeholder")?.shadowRoot?.querySelector("[data-askfirst=load]")`, frame)
}

// TestHydration has a document that was changed on its way hydrated by what it
// was made by.
func TestHydration(t *testing.T) {
	needOthers(t)
	for name, root := range map[string]string{"react": "root", "vue": "app"} {
		t.Run(name, func(t *testing.T) {
			markup := rendered(t, name+"-server.js")
			s := raise(t, pages{
				"/": `<!DOCTYPE html><html lang="en"><head><title>Shop</title><script>` + complaints + `</script><script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>` +
					`<script defer src="/app.js"></script></head><body><div id="` + root + `">` + markup + `</div><script>self.heading = document.querySelector("h1")</script></body></html>`,
				"/app.js":   string(production(t, name+"-client.js", api.PlatformBrowser)),
				"/icon.svg": "",
			})
			v := visit(t, s)
			v.open("/")
			v.until(`self.hydrated`)
			if !eval[bool](v, `heading === document.querySelector("h1") && heading.isConnected`) {
				t.Error("what the server sent was thrown away")
			}
			v.until(boxIn("#film"))
			if at := eval[string](v, `document.querySelector("#film").parentNode.localName`); at != "p" {
				t.Errorf("the film is in %s", at)
			}
			v.click("#count")
			v.until(`document.querySelector("#count").textContent === "pressed 1"`)
			v.until(boxIn("#late"))
			v.until(`document.querySelector("#tweet").previousElementSibling.matches("askfirst-placeholder[data-vendor=x-timeline]")`)
			v.nobodyWasContacted(s)
			eval[bool](v, boxIn("#film")+`.click() || true`)
			v.until(`performance.getEntriesByType("resource").some(e => e.name.includes("/embed/film"))`)
			if got := s.reached(); !slices.Equal(got, []string{"www.youtube.com/embed/film"}) {
				t.Errorf("after loading one film once: %q", got)
			}
			v.click("#count")
			v.click("#count")
			v.until(`document.querySelector("#count").textContent === "pressed 3" && !document.querySelector("#film")`)
			v.until(`!document.querySelector("#tweet,askfirst-placeholder")`)
			v.click(acceptAll)
			v.chosen()
			v.until(`performance.getEntriesByType("resource").some(e => e.name.includes("/video/1"))`)
			if !slices.Contains(s.reached(), "player.vimeo.com/video/1") {
				t.Errorf("after agreeing: %q", s.reached())
			}
			v.nothingComplained()
			v.nothingThrew()
		})
	}
}

// TestFragments has pages that fetch other pages and parts of them, and put
// these in their own place.
func TestFragments(t *testing.T) {
	needOthers(t)
	library := func(file string) string {
		text, err := os.ReadFile(others + "/node_modules/" + file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const tags = `<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script><script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}gtag('js',new Date());gtag('config','G-1')</script>` +
		`<img src="https://www.facebook.com/tr?id=1&ev=PageView" width="1" height="1" alt=""><iframe id="film" src="https://www.youtube.com/embed/film" width="560" height="315"></iframe>`
	html := func(script, body string) string {
		return `<!DOCTYPE html><html lang="en"><head><title>Shop</title><script>` + complaints + `</script><script defer src="` + script + `"></script></head><body>` + body + `</body></html>`
	}
	site := pages{
		"/turbo":      html("/turbo.js", `<a id="go" href="/turbo/next">next</a>`),
		"/turbo/next": html("/turbo.js", `<h1 id="next">next</h1>`+tags),
		"/htmx":       html("/htmx.js", `<button id="go" hx-get="/htmx/part" hx-target="#here">more</button><div id="here"></div>`),
		"/htmx/part":  `<h2 id="next">part</h2>` + tags,
		"/turbo.js":   library("@hotwired/turbo/dist/turbo.es2017-umd.js"),
		"/htmx.js":    library("htmx.org/dist/htmx.min.js"),
		"/icon.svg":   "",
	}
	for _, name := range []string{"turbo", "htmx"} {
		t.Run(name, func(t *testing.T) {
			s := raise(t, site)
			v := visit(t, s)
			v.open("/" + name)
			eval[bool](v, `self.same = true`)
			v.click("#go")
			v.until(`self.same && document.querySelector("#next")`)
			v.until(`document.querySelector("askfirst-placeholder[data-vendor=youtube]")?.shadowRoot?.querySelector("[data-askfirst=load]") || ` + boxIn("#film"))
			v.settle()
			v.nobodyWasContacted(s)
			if v.sees(rejectAll) != 1 {
				t.Errorf("the question can be seen %d times", v.sees(rejectAll))
			}
			v.click(rejectAll)
			v.chosen()
			v.settle()
			v.nobodyWasContacted(s)
			v.click(reopen)
			v.click(`[data-askfirst="accept-all"]`)
			v.until(`performance.getEntriesByType("resource").filter(e => /gtag|embed\/film/.test(e.name)).length === 2`)
			if name == "turbo" {
				v.must(chromedp.Do(v.ctx, chromedp.Evaluate[chromedp.Void](`history.back()`)))
				v.until(`document.querySelector("#go")`)
				v.until(`document.querySelectorAll("askfirst-banner[data-askfirst-state=made]").length === 1`)
				v.settle()
			}
			if got := s.reached(); !slices.Contains(got, "www.googletagmanager.com/gtag/js") || !slices.Contains(got, "www.youtube.com/embed/film") {
				t.Errorf("after agreeing: %q", got)
			}
			v.nothingComplained()
			v.nothingThrew()
		})
	}
}

// TestWholeDocumentIsHydrated by React, whose root is the document itself: what
// was put into it and around its frames is no fault of it.
func TestWholeDocumentIsHydrated(t *testing.T) {
	needOthers(t)
	s := raise(t, pages{
		"/":         rendered(t, "react-document-server.js"),
		"/app.js":   string(production(t, "react-document-client.js", api.PlatformBrowser)),
		"/icon.svg": "",
	})
	v := visit(t, s)
	v.beforePages(complaints + `new MutationObserver(() => self.heading ??= document.querySelector("h1")).observe(document, {childList: true, subtree: true})`)
	v.open("/")
	v.until(`self.hydrated`)
	if !eval[bool](v, `heading === document.querySelector("h1") && heading.isConnected`) {
		t.Error("what the server sent was thrown away")
	}
	v.until(boxIn("#film"))
	v.until(`document.querySelectorAll("script[data-askfirst-src*=gtag]").length === 1`)
	v.click("#count")
	v.until(`document.querySelector("#count").textContent === "pressed 1"`)
	v.nobodyWasContacted(s)
	if v.sees(rejectAll) != 1 {
		t.Errorf("the question can be seen %d times", v.sees(rejectAll))
	}
	v.click(acceptAll)
	v.chosen()
	v.until(`performance.getEntriesByType("resource").filter(e => /gtag|embed\/film/.test(e.name)).length === 2`)
	v.click("#count")
	v.until(`document.querySelector("#count").textContent === "pressed 2"`)
	v.nothingComplained()
	v.nothingThrew()
}

// TestAutoconsent has DuckDuckGo's autoconsent find, answer and verify the
// banner by the rule that we give it.
func TestAutoconsent(t *testing.T) {
	needOthers(t)
	rule, err := os.ReadFile("../../banner/autoconsent.json")
	if err != nil {
		t.Fatal(err)
	}
	runner, err := os.ReadFile(others + "/node_modules/@duckduckgo/autoconsent/dist/autoconsent.playwright.js")
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]string{"optOut": "", "optIn": "functional,analytics,marketing,social"} {
		t.Run(action, func(t *testing.T) {
			s := raise(t, demoSite())
			v := visit(t, s)
			config, err := json.Marshal(map[string]any{"enabled": true, "autoAction": action, "disabledCmps": []string{}, "enablePrehide": true, "detectRetries": 20})
			if err != nil {
				t.Fatal(err)
			}
			const host = `self.said = [];
self.autoconsentSendMessage = async (message) => {
	said.push(message);
	if (message.type === 'init') setTimeout(() => autoconsentReceiveMessage({ type: 'initResp', config: %s, rules: { autoconsent: [%s] } }));
	if (message.type === 'eval') setTimeout(() => autoconsentReceiveMessage({ id: message.id, type: 'evalResp', result: eval(message.code) }));
};
`
			call(v, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(host, config, rule) + string(runner)})
			v.open("/")
			result := strings.ToLower(action[:1]) + action[1:] + "Result"
			v.until(`said.some(m => m.type === "` + result + `")`)
			if got := eval[string](v, `JSON.stringify(said.filter(m => /Result|popupFound|cmpDetected/.test(m.type)).map(m => [m.type, m.cmp, m.result]))`); got != `[["cmpDetected","askfirst",null],["popupFound","askfirst",null],["`+result+`","askfirst",true]]` {
				t.Errorf("autoconsent says %s", got)
			}
			if got := eval[string](v, `askfirst.get().categories.join()`); got != want || !eval[bool](v, `askfirst.get().made`) {
				t.Errorf("after %s: %q", action, got)
			}
			if action == "optOut" {
				eval[bool](v, `autoconsentReceiveMessage({ type: 'selfTest' }).then(() => true)`)
				v.until(`said.some(m => m.type === "selfTestResult" && m.result)`)
				v.nobodyWasContacted(s)
			}
		})
	}
}

// TestConsentOMatic has the banner answered by the rule that we give to
// Consent-O-Matic, carried out as the documentation of its format says.
func TestConsentOMatic(t *testing.T) {
	text, err := os.ReadFile("../../banner/consent-o-matic.json")
	if err != nil {
		t.Fatal(err)
	}
	runner, err := os.ReadFile("testdata/consent-o-matic.js")
	if err != nil {
		t.Fatal(err)
	}
	for consents, want := range map[string]string{
		`{}`:                             "",
		`{B: true}`:                      "analytics",
		`{A: true, F: true, X: true}`:    "functional,marketing,social",
		`{A: 1, B: 1, D: 1, F: 1, X: 1}`: "functional,analytics,marketing,social",
	} {
		t.Run(consents, func(t *testing.T) {
			s := raise(t, demoSite())
			v := visit(t, s)
			v.open("/contact")
			run := fmt.Sprintf(`(() => { %s; return self.consentOMatic((%s).askfirst, %s) })()`, runner, text, consents)
			if got := eval[string](v, run); got != "handled" {
				t.Fatalf("the banner is %s", got)
			}
			if got := eval[string](v, `askfirst.get().categories.join()`); got != want || !eval[bool](v, `askfirst.get().made`) {
				t.Errorf("agreed to %q, want %q", got, want)
			}
			if got := eval[string](v, run); got != "not showing" {
				t.Errorf("after the choice the banner is %s", got)
			}
			if want == "" {
				v.nobodyWasContacted(s)
			}
			v.nothingThrew()
		})
	}
}

// TestBannerIsPutBack where a page makes its body anew, as frameworks do when what
// the server sent is not what they would have: there is no page without the question.
func TestBannerIsPutBack(t *testing.T) {
	s := raise(t, serve(`<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1></body></html>`))
	v := visit(t, s)
	v.open("/")
	for _, heading := range []string{"Once", "Again"} {
		eval[bool](v, `document.body.replaceWith(Object.assign(document.createElement("body"), {innerHTML: "<h1>`+heading+`</h1>"})) || true`)
		v.until(`document.querySelectorAll("askfirst-banner").length === 1`)
	}
	v.click(acceptAll)
	v.chosen()
	v.nothingThrew()
}
