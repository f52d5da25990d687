package e2e

import (
	"html"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/proxy/demo"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

const (
	acceptAll = `[data-askfirst="accept-all"]`
	rejectAll = `[data-askfirst="reject-all"]`
	settings  = `[data-askfirst="settings"]`
	save      = `[data-askfirst="save"]`
	reopen    = `[data-askfirst="reopen"]`
	withdraw  = `[data-askfirst="withdraw"]`
)

func box(c consent.Category) string { return `input[name=categories][value=` + c.String() + `]` }

func (v *visitor) nobodyWasContacted(s *stage) {
	v.t.Helper()
	if foreign := v.foreign(); len(foreign) > 0 {
		v.t.Errorf("the browser asked third parties: %q", foreign)
	}
	if dialed := s.connections(); len(dialed) > 0 {
		v.t.Errorf("the browser connected to third parties: %q", dialed)
	}
	if cookies := v.cookies(); slices.ContainsFunc(cookies, func(c string) bool { return c != "shop.test askfirst" }) {
		v.t.Errorf("the browser keeps cookies: %q", cookies)
	}
}

func (v *visitor) nothingThrew() {
	v.t.Helper()
	if e := v.exceptions(); len(e) > 0 {
		v.t.Errorf("scripts threw: %q", e)
	}
}

func TestFirstVisitContactsNobody(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	for _, page := range demo.Pages {
		v.open(page)
		v.settle()
		for _, control := range []string{acceptAll, rejectAll, settings} {
			if v.sees(control) != 1 {
				t.Errorf("%s: %d controls %s can be seen, want 1", page, v.sees(control), control)
			}
		}
		if v.sees(`:is(`+box(consent.Analytics)+`,`+box(consent.Marketing)+`):checked`) != 0 {
			t.Errorf("%s: a box is ticked beforehand", page)
		}
		if names := s.cookiesAtSite(); len(names) > 0 {
			t.Errorf("%s: the site was sent the cookies %q", page, names)
		}
	}
	v.nobodyWasContacted(s)
	v.nothingThrew()
	if cookies := v.cookies(); len(cookies) > 0 {
		t.Errorf("cookies before a choice: %q", cookies)
	}
}

func TestAcceptAllReleasesEachTagOnceInDocumentOrder(t *testing.T) {
	s := raise(t, demoSite())
	for _, page := range demo.Pages {
		t.Run(strings.TrimPrefix(page, "/"), func(t *testing.T) {
			v := visit(t, s)
			v.open(page)
			held := v.held()
			if len(held) < 3 {
				t.Fatalf("%d tags are held: %v", len(held), held)
			}
			v.click(acceptAll)
			v.chosen()
			v.until(`!document.querySelector("[data-askfirst-src]:not(noscript *)") && (document.readyState === "complete")`)
			v.settle()
			requested := v.all()
			// Scripts run in document order, late ones after the others, as on
			// a normal load; images, frames and styles have an order of their own.
			for name, which := range map[string]func(heldTag) bool{
				"scripts":      func(tag heldTag) bool { return tag.Script && !tag.Late },
				"late scripts": func(tag heldTag) bool { return tag.Late },
				"all else":     func(tag heldTag) bool { return !tag.Script },
			} {
				var want, got []string
				for _, tag := range held {
					if which(tag) {
						want = append(want, tag.Address)
					}
				}
				for _, request := range requested {
					if slices.Contains(want, request) {
						got = append(got, request)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s released, in this order:\n%s\nheld:\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
			v.nothingThrew()
		})
	}
}

func TestRejectReleasesNothing(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/")
	v.click(rejectAll)
	v.chosen()
	v.settle()
	for _, page := range demo.Pages {
		v.open(page)
		v.settle()
		if v.sees(acceptAll) != 0 {
			t.Errorf("%s: the visitor is asked again", page)
		}
		if v.sees(reopen) != 1 {
			t.Errorf("%s: the choice cannot be reopened", page)
		}
	}
	v.nobodyWasContacted(s)
	v.nothingThrew()
}

// Each category alone releases its own vendors, the tag manager that carries
// them, and nothing else.
func TestEachCategoryAlone(t *testing.T) {
	engine, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var page rules.Page
	page.Reset([]byte(shop + "/"))
	// A page and a third party that the category must release there.
	for category, released := range map[consent.Category][2]string{
		consent.Functional: {"/product", "https://www.google.com/maps/embed"},
		consent.Analytics:  {"/", "https://static.hotjar.com/c/hotjar-1111111.js"},
		consent.Marketing:  {"/", "https://bat.bing.com/bat.js"},
		consent.Social:     {"/blog", "https://platform.twitter.com/widgets.js"},
	} {
		t.Run(category.String(), func(t *testing.T) {
			s := raise(t, demoSite())
			v := visit(t, s)
			v.open(released[0])
			v.click(settings)
			v.click(box(category))
			v.click(save)
			v.chosen()
			v.settle()
			for _, page := range demo.Pages {
				v.open(page)
				v.settle()
			}
			if !slices.ContainsFunc(v.foreign(), func(a string) bool { return strings.HasPrefix(a, released[1]) }) {
				t.Errorf("%s was not released; the browser asked %q", released[1], v.foreign())
			}
			for _, a := range v.foreign() {
				d := engine.URL(&page, []byte(a), rules.Other)
				if !d.Allowed(consent.SetOf(category)) {
					t.Errorf("%s was asked, which is %s", a, d.Category)
				}
			}
			v.nothingThrew()
		})
	}
}

func TestWhatATagManagerAddsIsHeldByItself(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/contact")
	v.click(settings)
	v.click(box(consent.Analytics))
	v.click(save)
	v.chosen()
	v.until(`(window.demoFired || []).includes("static.hotjar.com/c/hotjar-2222222.js")`)
	v.settle()
	fired := eval[[]string](v, `window.demoFired`)
	for _, name := range fired {
		if strings.HasPrefix(name, "snap.licdn.com") || strings.HasPrefix(name, "widget.intercom.io") {
			t.Errorf("%s fired with analytics alone", name)
		}
	}
	if !slices.Contains(fired, "www.googletagmanager.com/gtm.js") {
		t.Errorf("the tag manager did not fire: %q", fired)
	}
	// What it held is released, in place, by a later choice.
	v.click(reopen)
	v.click(box(consent.Marketing))
	v.click(save)
	v.until(`window.demoFired.includes("snap.licdn.com/li.lms-analytics/insight.min.js")`)
	v.settle()
	fired = eval[[]string](v, `window.demoFired`)
	for _, name := range []string{"www.googletagmanager.com/gtm.js", "static.hotjar.com/c/hotjar-2222222.js", "snap.licdn.com/li.lms-analytics/insight.min.js"} {
		if n := len(slices.DeleteFunc(slices.Clone(fired), func(f string) bool { return f != name })); n != 1 {
			t.Errorf("%s fired %d times, want 1", name, n)
		}
	}
	v.nothingThrew()
}

// TestAProgramThatSetsUpATagRuns: the site's menu works before a choice, where the
// script that opens it sets up a tag too, which is held and released by itself.
func TestAProgramThatSetsUpATagRuns(t *testing.T) {
	s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><html lang="en"><head><title>Shop</title></head><body>
<button id="menu" aria-expanded="false">Menu</button><ul hidden><li>Shoes</li></ul>
<script>
	document.querySelector("#menu").addEventListener("click", event => {
		event.preventDefault();
		event.target.classList.add("open");
		document.querySelector("ul").hidden = false;
		fbq("trackCustom", "Menu");
	});
	document.addEventListener("DOMContentLoaded", () => {
		!function(f,b,e,v,n,t,s){if(f.fbq&&f.fbq.queue)return;n=f.fbq=function(){n.callMethod?n.callMethod.apply(n,arguments):n.queue.push(arguments)};
		n.queue=[];t=b.createElement(e);t.async=!0;t.src=v;s=b.getElementsByTagName(e)[0];s.parentNode.insertBefore(t,s)}
		(window,document,"script","https://connect.facebook.net/en_US/fbevents.js");
		fbq("init", "123456789");
		fbq("track", "PageView");
	});
</script></body></html>`)
	}))
	v := visit(t, s)
	v.open("/")
	v.click("#menu")
	v.until(`!document.querySelector("ul").hidden`)
	v.settle()
	v.nobodyWasContacted(s)
	v.click(acceptAll)
	v.until(`(window.demoFired || []).includes("connect.facebook.net/en_US/fbevents.js")`)
	v.settle()
	if fired := eval[[]string](v, `window.demoFired`); len(fired) != 1 {
		t.Errorf("%q fired, want the tag once", fired)
	}
	v.nothingThrew()
}

func TestWithdrawalIsOneClickAndForgets(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/contact")
	v.click(acceptAll)
	v.chosen()
	v.open("/")
	v.settle()
	cookies := v.cookies()
	for _, want := range []string{"shop.test _ga", "shop.test _fbp", "shop.test _pk_id.1.1fff", "shop.test askfirst"} {
		if !slices.Contains(cookies, want) {
			t.Fatalf("after agreeing the browser keeps %q, and %q is missing", cookies, want)
		}
	}
	v.click(reopen)
	v.navigates(v.clicking(withdraw))
	v.settle()
	for _, c := range v.cookies() {
		if strings.HasPrefix(c, "shop.test ") && c != "shop.test askfirst" {
			t.Errorf("after withdrawing the browser keeps %q", c)
		}
	}
	s.Forget()
	v.open("/")
	v.settle()
	if hits := s.reached(); len(hits) > 0 {
		t.Errorf("after withdrawing these were contacted: %q", hits)
	}
	if names := s.cookiesAtSite(); len(names) > 0 {
		t.Errorf("after withdrawing the site is sent %q", names)
	}
}

func TestWithoutJavaScript(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.withoutScripts()
	v.open("/product")
	v.nobodyWasContacted(s)
	v.navigates(v.clicking(acceptAll))
	if at := v.location(); at != shop+"/product" {
		t.Errorf("after the choice the visitor is at %s", at)
	}
	want := []string{"www.youtube.com/embed/dQw4w9WgXcQ", "player.vimeo.com/video/76979871", "googleads.g.doubleclick.net/pagead/viewthroughconversion/123456789/", "www.facebook.com/tr"}
	for _, tag := range want {
		if !slices.Contains(s.reached(), tag) {
			t.Errorf("%s was not released; reached were %q", tag, s.reached())
		}
	}
	v.navigates(v.clicking(reopen))
	v.navigates(v.clicking(withdraw))
	s.Forget()
	v.open("/product")
	if hits := s.reached(); len(hits) > 0 {
		t.Errorf("after withdrawing these were contacted: %q", hits)
	}
}

func TestPlaceholders(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/product")
	v.click(rejectAll)
	v.chosen()
	for _, vendor := range []string{"youtube", "vimeo", "google-maps"} {
		if v.sees(`askfirst-placeholder[data-vendor="`+vendor+`"]`) == 0 {
			t.Errorf("no placeholder stands in for %s", vendor)
		}
	}
	v.nobodyWasContacted(s)

	// Once: this video, and no other.
	v.clickIn(`askfirst-placeholder[data-vendor="youtube"]`, `[data-askfirst="load"]`)
	v.until(`document.querySelector("iframe[src*='youtube.com/embed/']")`)
	v.settle()
	if got := s.reached(); !slices.Equal(got, []string{"www.youtube.com/embed/dQw4w9WgXcQ"}) {
		t.Errorf("loading one video once reached %q", got)
	}
	v.open("/product")
	v.settle()
	if got := s.reached(); len(got) != 1 {
		t.Errorf("loading once was remembered: %q", got)
	}

	// Always: the category from now on.
	v.clickIn(`askfirst-placeholder[data-vendor="google-maps"]`, `[data-askfirst="always"]`)
	v.until(`document.querySelector("iframe[src*='google.com/maps/embed']")`)
	s.Forget()
	v.open("/product")
	v.settle()
	if !slices.Contains(s.reached(), "www.google.com/maps/embed") {
		t.Errorf("the map does not load though it always should: %q", s.reached())
	}
	if slices.Contains(s.reached(), "www.youtube.com/embed/dQw4w9WgXcQ") {
		t.Error("a video came with the map")
	}
}

func TestSinglePageAppIsHeldAsItMoves(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/app")
	v.click(rejectAll)
	v.chosen()
	for range 3 {
		v.click(".choices button")
		v.settle()
	}
	if at := v.location(); at != shop+"/app/done" {
		t.Errorf("the app is at %s", at)
	}
	v.nobodyWasContacted(s)
	v.click(reopen)
	v.click(box(consent.Analytics))
	v.click(save)
	v.until(`performance.getEntriesByType("resource").some(e => e.name.includes("google-analytics.com"))`)
	if at := v.location(); at != shop+"/app/done" {
		t.Errorf("consenting moved the app to %s", at)
	}
	v.nothingThrew()
}

// TestFrameThatComesLate: a picture that is held in a frame of the site's own comes
// back, though the page around the frame had been read, and was looked through for
// what may act, before the frame's page was there.
func TestFrameThatComesLate(t *testing.T) {
	looked := make(chan struct{})
	pages := map[string]string{
		"/": `<!doctype html><html lang="en"><head><title>Shop</title><script>
	new PerformanceObserver(list => { if (list.getEntries().some(e => e.name.includes(".names."))) setTimeout(() => fetch("/looked"), 0) }).observe({type: "resource"});
</script></head><body><iframe src="/frame"></iframe></body></html>`,
		"/frame": `<!doctype html><html lang="en"><head><title>Frame</title></head><body></body></html>`,
	}
	s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/looked":
			close(looked)
		case "/frame":
			select {
			case <-looked:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, pages[r.URL.Path])
	}))
	v := visit(t, s)
	v.open("/")
	eval[bool](v, `frames[0].document.body.append(Object.assign(frames[0].document.createElement("img"), {src: "https://www.facebook.com/tr?id=1"})) || true`)
	v.settle()
	v.nobodyWasContacted(s)
	v.click(acceptAll)
	v.chosen()
	v.settle()
	if got := s.reached(); !slices.Equal(got, []string{"www.facebook.com/tr"}) {
		t.Errorf("after agreeing %q were reached, want the picture in the frame", got)
	}
	v.nothingThrew()
}

// all lists every request of the browser, without fragments.
func (v *visitor) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []string
	for _, address := range v.requested {
		address, _, _ = strings.Cut(address, "#")
		list = append(list, address)
	}
	return list
}

func (v *visitor) location() string {
	v.t.Helper()
	at, err := chromedp.Run(v.ctx, chromedp.Location())
	v.must(err)
	return at
}

// clicking is the action of clicking what a selector finds.
func (v *visitor) clicking(selector string) chromedp.Action[chromedp.Void] {
	v.t.Helper()
	at := v.find(selector)
	return chromedp.MouseClickXY(at.X, at.Y)
}

// TestWidgetsThatScriptsInsert have boxes, under the site's policy too, that name
// the vendor and where the data goes; agreeing there fills all of that category and
// nothing else.
func TestWidgetsThatScriptsInsert(t *testing.T) {
	for name, policy := range map[string]string{
		"no policy": "",
		"hosts":     "script-src https://connect.facebook.net https://platform.twitter.com; require-trusted-types-for 'script'",
		"nonce":     "script-src 'nonce-abc'; style-src 'nonce-abc'; require-trusted-types-for 'script'",
	} {
		t.Run(name, func(t *testing.T) {
			s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				if r.URL.Path != "/" {
					return
				}
				if policy != "" {
					w.Header().Set("Content-Security-Policy", policy)
				}
				io.WriteString(w, `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><main></main>
<script async nonce="abc" src="https://connect.facebook.net/en_US/sdk.js"></script><script async nonce="abc" src="https://platform.twitter.com/widgets.js"></script></body></html>`)
			}))
			v := visit(t, s)
			v.open("/")
			eval[bool](v, `["fb-like", "twitter-tweet"].forEach(name => document.querySelector("main").append(Object.assign(document.createElement("div"), {className: name}))) || true`)
			text := func(vendor string) string {
				t.Helper()
				box := `document.querySelector("askfirst-placeholder[data-vendor=` + vendor + `]")`
				v.until(box + `?.shadowRoot?.querySelector(".card")`)
				if !eval[bool](v, box+`.clientHeight > 60 && getComputedStyle(`+box+`.shadowRoot.querySelector(".card")).display === "grid"`) {
					t.Errorf("%s's box is not seen as it should be", vendor)
				}
				return eval[string](v, box+`.shadowRoot.querySelector(".card").textContent`)
			}
			for vendor, want := range map[string]string{"facebook-like": "Meta Platforms, Inc., United States", "x-timeline": "X Corp., United States"} {
				if got := text(vendor); !strings.Contains(got, want) {
					t.Errorf("%s's box says %q", vendor, got)
				}
			}
			v.nobodyWasContacted(s)
			v.clickIn(`askfirst-placeholder[data-vendor="x-timeline"]`, `[data-askfirst="load"]`)
			v.until(`performance.getEntriesByName("https://platform.twitter.com/widgets.js").length`)
			if got := s.reached(); !slices.Equal(got, []string{"platform.twitter.com/widgets.js"}) {
				t.Errorf("after loading one once: %q", got)
			}
			v.clickIn(`askfirst-placeholder[data-vendor="facebook-like"]`, `[data-askfirst="always"]`)
			v.until(`performance.getEntriesByName("https://connect.facebook.net/en_US/sdk.js").length && !document.querySelector("askfirst-placeholder")`)
			v.nothingThrew()
		})
	}
}

// clickIn presses a control inside the shadow tree of the first host found.
func (v *visitor) clickIn(host, control string) {
	v.t.Helper()
	eval[bool](v, `(() => {
		const control = document.querySelector('`+host+`').shadowRoot.querySelector('`+control+`');
		control.click();
		return true;
	})()`)
}

// TestPolicyInTheMarkup: a policy that stands in a <meta> of the page's takes neither
// the banner's looks nor the choice away, with scripts or without, and lets nothing
// else act that it did not before.
func TestPolicyInTheMarkup(t *testing.T) {
	for name, policy := range map[string]string{
		"own files": "default-src 'self'",
		"nothing":   "default-src 'none'; connect-src 'none'; form-action 'none'",
		"hash":      "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'strict-dynamic'; style-src 'none'; connect-src https://api.example; form-action https://api.example",
	} {
		t.Run(name, func(t *testing.T) {
			s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				if r.URL.Path != "/" {
					return
				}
				io.WriteString(w, `<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" content="`+html.EscapeString(policy)+`"><title>Shop</title></head>
<body><h1>Shop</h1><p style="color: red">text</p><script>window.ran = true</script></body></html>`)
			}))
			styled := `getComputedStyle(document.querySelector("askfirst-banner").shadowRoot.querySelector(".panel")).position === "fixed"`
			v := visit(t, s)
			v.open("/")
			if !eval[bool](v, styled) {
				t.Error("the banner has no style")
			}
			if eval[bool](v, `!!window.ran || getComputedStyle(document.querySelector("p")).color === "rgb(255, 0, 0)"`) {
				t.Error("what the policy stopped acts")
			}
			v.clickIn("askfirst-banner", `[data-askfirst="accept-all"]`)
			v.chosen()
			v.nothingThrew()

			v = visit(t, s)
			v.withoutScripts()
			v.open("/")
			v.navigates(v.clicking(acceptAll))
			if got := v.cookies(); len(got) != 1 || v.location() != shop+"/" {
				t.Errorf("without scripts: at %s with %q", v.location(), got)
			}
		})
	}
}
