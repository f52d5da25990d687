package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules/consent"
)

// raiseFrom starts a stage with a whole configuration in which UPSTREAM stands
// for the site's address.
func raiseFrom(t *testing.T, site http.Handler, text string) *stage {
	t.Helper()
	s, upstream := prepare(t, site)
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	text = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: " + t.TempDir() + "\n" + strings.ReplaceAll(text, "UPSTREAM", upstream)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.proxy, s.admin = launch(t, "serve", "--config", file)
	return s
}

// saying makes the browser send header fields with every request.
func (v *visitor) saying(fields map[string]string) {
	v.t.Helper()
	headers := network.Headers{}
	for name, value := range fields {
		headers[name] = value
	}
	call(v, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
}

// reloads presses a control that makes the page load again, and waits until it
// has: frames have lives of their own, which navigates does not tell apart.
func (v *visitor) reloads(selector string) {
	v.t.Helper()
	loaded := func(page.EventLoadEventFired) bool { return true }
	_, err := chromedp.Run(v.ctx, chromedp.WaitEvent(page.LoadEventFired, loaded, v.clicking(selector)))
	v.must(err)
}

// receipt returns the visitor's own record.
func (v *visitor) receipt() map[string]any {
	v.t.Helper()
	return eval[map[string]any](v, `fetch("/_askfirst/receipt.json").then(r => r.json())`)
}

const byPlace = `trusted_proxies: [127.0.0.1]
location: {country_header: X-Country, region_header: X-Region}
sites:
  - name: shop
    hosts: ['*']
    upstream: UPSTREAM
    policy_url: /privacy
    regime: {fallback: opt-in}
    under_age: {cookie: age=child, mark: true, paths: [/kids/*]}
    gpp: {sections: [usnat, usca]}
`

func TestRegimeByPlace(t *testing.T) {
	s := raiseFrom(t, demoSite(), byPlace)
	for _, c := range []struct {
		country, region, regime, rule string
		contacted                     bool
		reject, reopen                string
	}{
		{"DE", "", "opt-in", "DE, built in, by X-Country", false, "Reject all", "Privacy settings"},
		{"US", "CA", "opt-out", "US-CA, built in, by X-Country", true, "Do not sell or share my data", "Do not sell or share my data"},
		{"AU", "", "notice", "AU, built in, by X-Country", true, "Reject all", "Privacy settings"},
		{"XX", "", "opt-in", "fallback, by X-Country", false, "Reject all", "Privacy settings"},
	} {
		t.Run(c.country, func(t *testing.T) {
			s.Forget()
			v := visit(t, s)
			v.saying(map[string]string{"X-Country": c.country, "X-Region": c.region})
			v.open("/")
			v.settle()
			if contacted := len(s.reached()) > 0; contacted != c.contacted {
				t.Errorf("third parties were contacted before a choice: %t", contacted)
			}
			label := func(control string) string {
				return eval[string](v, `document.querySelector("askfirst-banner").shadowRoot.querySelector('`+control+`').textContent`)
			}
			if got := label(rejectAll); got != c.reject {
				t.Errorf("refusing is called %q, want %q", got, c.reject)
			}
			if got := eval[string](v, `askfirst.get().regime`); got != c.regime {
				t.Errorf("the page's regime is %s, want %s", got, c.regime)
			}
			if c.regime == "opt-in" {
				v.click(rejectAll)
				v.chosen()
			} else {
				// What runs already is only ended by loading the page again.
				v.reloads(rejectAll)
			}
			v.settle()
			if got := label(reopen); got != c.reopen {
				t.Errorf("the way back is called %q, want %q", got, c.reopen)
			}
			r := v.receipt()
			if r["regime"] != c.regime || r["regime_rule"] != c.rule {
				t.Errorf("the receipt says %v by %v, want %s by %s", r["regime"], r["regime_rule"], c.regime, c.rule)
			}
			s.Forget()
			v.open("/contact")
			v.settle()
			if hits := s.reached(); len(hits) > 0 {
				t.Errorf("after refusing these were contacted: %q", hits)
			}
		})
	}
}

// TestPrivacyControlIsObeyedAndShown with scripts, which tell of the signal, and
// without: once, what is honoured is put on record too.
func TestPrivacyControlIsObeyedAndShown(t *testing.T) {
	const says = "Your browser sends Global Privacy Control, and we honour it."
	site := pages{"/icon.svg": ""}
	for _, path := range []string{"/", "/next"} {
		site[path] = `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1>` +
			`<img alt="" width="9" height="9" src="https://www.facebook.com/tr?id=1"><img alt="" width="9" height="9" src="https://www.google-analytics.com/collect?v=1"></body></html>`
	}
	s := raiseFrom(t, site, byPlace)
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			s.Forget()
			v := visit(t, s)
			v.saying(map[string]string{"X-Country": "US", "X-Region": "CA", "Sec-GPC": "1"})
			v.gpc()
			if !scripts {
				v.withoutScripts()
			}
			obeyed := func() {
				t.Helper()
				if got := s.reached(); !slices.Equal(got, []string{"www.google-analytics.com/collect"}) {
					t.Errorf("reached are %q: statistics may be, advertising may not", got)
				}
				s.Forget()
			}
			v.open("/")
			if shown := v.sees(`.text b`); shown != 1 {
				t.Errorf("that the signal is honoured is shown %d times", shown)
			}
			if text := eval[string](v, `document.querySelector("askfirst-banner").shadowRoot.querySelector(".text b").textContent`); text != says {
				t.Errorf("the banner says %q", text)
			}
			if got := eval[bool](v, `navigator.globalPrivacyControl`); !got || scripts && !eval[bool](v, `askfirst.get().gpc`) {
				t.Error("scripts are not told")
			}
			v.until(`/askfirst=1/.test(document.cookie)`)
			obeyed()
			v.open("/next")
			obeyed()
			if v.sees(rejectAll) != 0 || v.sees(reopen) != 1 {
				t.Error("who objects by signal is asked all the same")
			}
			first := v.receipt()
			if first["action"] != "gpc" || first["method"] != "gpc" || first["regime"] != "opt-out" {
				t.Errorf("the receipt is %v", first)
			}
			v.open("/")
			if again := v.receipt(); again["id"] != first["id"] {
				t.Errorf("the second page made another receipt: %v after %v", again["id"], first["id"])
			}
			recorded := 0
			for _, address := range v.all() {
				if strings.HasSuffix(address, "again=1") && (strings.Contains(address, "/_askfirst/gpc") || strings.Contains(address, "/_askfirst/consent")) {
					recorded++
				}
			}
			if recorded != 1 {
				t.Errorf("it is put on record %d times", recorded)
			}
			if told := eval[bool](v, `fetch("/.well-known/gpc.json").then(r => r.json()).then(j => j.gpc === true && !!Date.parse(j.lastUpdate))`); !told {
				t.Error("gpc.json does not tell")
			}
		})
	}
}

// TestPrivacyControlIsObeyedWhereNoCookieIsKept: the signal is, on every page, but
// there is nothing to put on record for a browser that forgets what it is given.
func TestPrivacyControlIsObeyedWhereNoCookieIsKept(t *testing.T) {
	s := raiseFrom(t, pages{"/icon.svg": "", "/": `<!doctype html><title>Shop</title><h1>Shop</h1>` +
		`<img alt="" width="9" height="9" src="https://www.facebook.com/tr?id=1"><img alt="" width="9" height="9" src="https://www.google-analytics.com/collect?v=1">`}, byPlace)
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			profile := t.TempDir()
			if err := os.Mkdir(filepath.Join(profile, "Default"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(`{"profile":{"default_content_setting_values":{"cookies":2}}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			v := visitAt(t, s, s.proxy, chromedp.UserDataDir(profile))
			v.saying(map[string]string{"X-Country": "US", "X-Region": "CA", "Sec-GPC": "1"})
			v.gpc()
			if !scripts {
				v.withoutScripts()
			}
			for range 2 {
				s.Forget()
				v.open("/")
				if got := s.reached(); !slices.Equal(got, []string{"www.google-analytics.com/collect"}) {
					t.Errorf("reached are %q: statistics may be, advertising may not", got)
				}
				if v.sees(rejectAll) != 1 {
					t.Error("who may choose is not asked")
				}
			}
			asked := 0
			for _, address := range v.all() {
				if strings.HasSuffix(address, "again=1") {
					asked++
				}
			}
			if asked != 2 {
				t.Errorf("the browser was sent to the same address again %d times on two pages", asked)
			}
			if kept := v.cookies(); len(kept) > 0 {
				t.Fatalf("the browser keeps cookies after all: %q", kept)
			}
			metrics, err := http.Get("http://" + s.admin + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			defer metrics.Body.Close()
			if text, err := io.ReadAll(metrics.Body); err != nil || !strings.Contains(string(text), "\naskfirst_receipts_total 0\n") {
				t.Errorf("there are receipts, or it is not told how many: %v", err)
			}
		})
	}
}

func TestChildIsAskedNothing(t *testing.T) {
	s := raiseFrom(t, demoSite(), byPlace)
	v := visit(t, s)
	v.saying(map[string]string{"X-Country": "AU"})
	v.open("/")
	v.settle()
	if len(s.reached()) == 0 {
		t.Fatal("under notice nothing was contacted")
	}
	eval[bool](v, `document.cookie = "age=child; path=/", true`)
	s.Forget()
	for _, page := range []string{"/", "/blog", "/contact", "/product"} {
		v.open(page)
		v.settle()
		if n := eval[int](v, `document.querySelectorAll("askfirst-banner").length`); n != 0 {
			t.Errorf("%s asks a child", page)
		}
		if n := v.sees(`[data-askfirst="load"]`); n != 0 {
			t.Errorf("%s lets a child load %d tags", page, n)
		}
	}
	if hits := s.reached(); len(hits) > 0 {
		t.Errorf("a child's browser contacted %q", hits)
	}
	refused := eval[string](v, `askfirst.set("accept-all").then(() => "taken", e => e.message)`)
	if !strings.Contains(refused, "askfirst: child") {
		t.Errorf("a choice on a child's behalf: %s", refused)
	}
	// An element that a script adds is held too, whatever the regime grants.
	eval[bool](v, `(document.body.appendChild(Object.assign(document.createElement("script"), {src: "https://connect.facebook.net/late.js"})), true)`)
	eval[bool](v, `(document.body.appendChild(Object.assign(document.createElement("script"), {src: "https://nobody-knows.example/late.js"})), true)`)
	v.settle()
	if hits := s.reached(); len(hits) > 0 {
		t.Errorf("scripts added to a child's page contacted %q", hits)
	}
}

const withTCF = `sites:
  - name: shop
    hosts: ['*']
    upstream: UPSTREAM
    policy_url: /privacy
    tcf:
      cmp_id: 31
      cmp_version: 2
      vendor_list: VENDORS
      publisher_country: AT
      cookie: true
`

// inFrame asks one of the IAB's interfaces from a frame within the page, by
// messages.
const inFrame = `new Promise(done => {
	const frame = document.createElement("iframe");
	frame.srcdoc = "<!DOCTYPE html><title>ad</title>";
	frame.onload = () => {
		const win = frame.contentWindow;
		win.addEventListener("message", e => { const data = typeof e.data === "string" ? JSON.parse(e.data) : e.data; done([typeof e.data, Object.keys(data)[0], Object.values(data)[0].callId, Object.values(data)[0].success, JSON.stringify(Object.values(data)[0].returnValue)].join(" ")) });
		let top = win;
		while (top && !(() => { try { return top.frames["NAMELocator"] } catch {} })()) top = top === top.parent ? null : top.parent;
		if (!top) return done("no frame is called NAMELocator");
		win.eval("parent.postMessage(" + JSON.stringify(MESSAGE) + ", '*')");
	};
	document.body.append(frame);
})`

func frameCall(name, message string) string {
	return strings.NewReplacer("NAME", name, "MESSAGE", message).Replace(inFrame)
}

type tcData struct {
	TC        string `json:"tcString"`
	Status    string `json:"eventStatus"`
	Applies   bool   `json:"gdprApplies"`
	Listener  int    `json:"listenerId"`
	CMP       int    `json:"cmpId"`
	Purpose   struct{ Consents, LegitimateInterests map[string]bool }
	Vendor    struct{ Consents, DisclosedVendors map[string]bool }
	PublicCC  string `json:"publisherCC"`
	CmpStatus string `json:"cmpStatus"`
}

func set(m map[string]bool) string {
	var yes []string
	for _, key := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "755", "1301"} {
		if m[key] {
			yes = append(yes, key)
		}
	}
	return strings.Join(yes, " ")
}

func TestTransparencyAndConsentFramework(t *testing.T) {
	vendors, err := filepath.Abs("../../rules/consent/iab/testdata/vendor-list.json")
	if err != nil {
		t.Fatal(err)
	}
	// The site's first script asks before anything else could have answered.
	early := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/icon.svg" {
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><html lang="en"><head><script>
self.heard = [];
self.early = typeof __tcfapi;
__tcfapi("addEventListener", 2, (data, ok) => heard.push([data, ok]));
__tcfapi("ping", 2, data => self.pinged = data);
</script><title>x</title></head><body><p>x</p></body></html>`))
	})
	s := raiseFrom(t, early, strings.Replace(withTCF, "VENDORS", vendors, 1))
	v := visit(t, s)
	v.open("/")
	if got := eval[string](v, `early`); got != "function" {
		t.Fatalf("at the first script __tcfapi is %s", got)
	}
	if got := eval[string](v, `JSON.stringify([pinged.gdprApplies, pinged.cmpLoaded, pinged.cmpStatus, pinged.displayStatus, pinged.apiVersion, pinged.cmpId, pinged.cmpVersion, pinged.gvlVersion, pinged.tcfPolicyVersion])`); got != `[true,true,"loaded","visible","2.3",31,2,311,5]` {
		t.Errorf("ping: %s", got)
	}
	data := func(expression string) tcData { v.t.Helper(); return eval[tcData](v, expression) }
	first := data(`heard[0][0]`)
	if first.Status != "cmpuishown" || !first.Applies || first.CMP != 31 || first.PublicCC != "AT" || set(first.Purpose.Consents) != "" || set(first.Vendor.Consents) != "" || set(first.Vendor.DisclosedVendors) != "2 10 11 755 1301" {
		t.Errorf("before a choice: %+v", first)
	}
	v.click(settings)
	v.click(box(consent.Analytics))
	v.click(save)
	v.chosen()
	v.until(`heard.length > 1`)
	second := data(`heard[1][0]`)
	if second.Status != "useractioncomplete" || set(second.Purpose.Consents) != "1 8 9 10" || set(second.Vendor.Consents) != "2" || second.Listener != first.Listener {
		t.Errorf("after agreeing to analytics: %+v", second)
	}
	r := v.receipt()
	if r["tc_string"] != second.TC || strings.Count(second.TC, ".") != 1 {
		t.Errorf("the receipt has %v, the page %s", r["tc_string"], second.TC)
	}
	if got := eval[string](v, `(/euconsent-v2=([^;]*)/.exec(document.cookie) || [])[1]`); got != second.TC {
		t.Errorf("the cookie has %s, want %s", got, second.TC)
	}
	if got := eval[string](v, frameCall("__tcfapi", `{__tcfapiCall: {command: "getTCData", version: 2, callId: "c1"}}`)); !strings.HasPrefix(got, "object __tcfapiReturn c1 true ") || !strings.Contains(got, second.TC) {
		t.Errorf("a frame's call: %s", got)
	}
	if got := eval[string](v, frameCall("__tcfapi", `JSON.stringify({__tcfapiCall: {command: "ping", version: 2, callId: 7}})`)); !strings.HasPrefix(got, "string __tcfapiReturn 7 true ") {
		t.Errorf("a frame's call in text: %s", got)
	}
	for call, want := range map[string]string{
		`__tcfapi("nothing", 2, done)`:                                                        `[null,false]`,
		`__tcfapi("ping", 3, done)`:                                                           `[null,false]`,
		`__tcfapi("removeEventListener", 2, done, 99)`:                                        `[false,false]`,
		`__tcfapi("removeEventListener", 2, done, heard[0][0].listenerId)`:                    `[true,true]`,
		`__tcfapi("getTCData", 2, (d, ok) => done(d.eventStatus, ok))`:                        `["useractioncomplete",true]`,
		`__tcfapi("ping", 2, d => done(d.displayStatus, frames.__tcfapiLocator===undefined))`: `["hidden",false]`,
	} {
		if got := eval[string](v, `new Promise(f => { const done = (...a) => f(JSON.stringify(a)); `+call+` })`); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	// The next page knows without asking; withdrawing tells whoever listens.
	v.open("/next")
	third := data(`heard[0][0]`)
	if third.Status != "tcloaded" || third.TC != second.TC {
		t.Errorf("on the next page: %+v", third)
	}
	v.click(reopen)
	v.until(`heard.length > 1`)
	if shown := data(`heard[1][0]`); shown.Status != "cmpuishown" || shown.TC != second.TC {
		t.Errorf("reopened: %+v", shown)
	}
	v.reloads(withdraw)
	last := data(`heard[0][0]`)
	if set(last.Purpose.Consents) != "" || last.Status != "tcloaded" || last.TC == second.TC {
		t.Errorf("after withdrawing: %+v", last)
	}
	if r := v.receipt(); r["tc_string"] != last.TC {
		t.Errorf("the receipt of withdrawing has %v, the page %s", r["tc_string"], last.TC)
	}
	v.nothingThrew()
}

func TestGlobalPrivacyPlatform(t *testing.T) {
	early := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/icon.svg" {
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><html lang="en"><head><script>
self.heard = [];
__gpp("addEventListener", (event, ok) => heard.push(event));
__gpp("ping", data => self.pinged = data);
</script><title>x</title></head><body><p>x</p></body></html>`))
	})
	s := raiseFrom(t, early, byPlace)
	ask := func(v *visitor, command, parameter string) string {
		return eval[string](v, `new Promise(f => __gpp("`+command+`", (d, ok) => f(JSON.stringify([d, ok])), "`+parameter+`"))`)
	}
	t.Run("California", func(t *testing.T) {
		v := visit(t, s)
		v.saying(map[string]string{"X-Country": "US", "X-Region": "CA"})
		v.open("/")
		if got := eval[string](v, `JSON.stringify([pinged.gppVersion, pinged.cmpStatus, pinged.cmpDisplayStatus, pinged.signalStatus, pinged.supportedAPIs, pinged.sectionList, pinged.applicableSections, Object.keys(pinged.parsedSections), heard[0].eventName, heard[0].data])`); got != `["1.1","loaded","visible","ready",["8:usca","7:usnat"],[8],[8],["usca"],"listenerRegistered",true]` {
			t.Errorf("ping: %s", got)
		}
		for call, want := range map[[2]string]string{
			{"hasSection", "usca"}:          `[true,true]`,
			{"hasSection", "usnat"}:         `[false,true]`,
			{"getField", "usca.SaleOptOut"}: `[2,true]`,
			{"getField", "usca.Gpc"}:        `[false,true]`,
			{"getField", "usca.Nothing"}:    `[null,false]`,
			{"getSection", "usnat"}:         `[null,false]`,
			{"nothing", ""}:                 `[null,false]`,
		} {
			if got := ask(v, call[0], call[1]); got != want {
				t.Errorf("%s %s: %s, want %s", call[0], call[1], got, want)
			}
		}
		v.reloads(rejectAll)
		if got := ask(v, "getField", "usca.SharingOptOut"); got != `[1,true]` {
			t.Errorf("after the opt-out: %s", got)
		}
		r := v.receipt()
		if text := eval[string](v, `new Promise(f => __gpp("ping", d => f(d.gppString)))`); r["gpp_string"] != text || !strings.HasPrefix(text, "DBAB") {
			t.Errorf("the receipt has %v, the page %s", r["gpp_string"], text)
		}
		if got := eval[string](v, frameCall("__gpp", `{__gppCall: {command: "hasSection", parameter: "usca", callId: 3}}`)); got != "object __gppReturn 3 true true" {
			t.Errorf("a frame's call: %s", got)
		}
		// Agreeing again is told to whoever listens.
		eval[bool](v, `askfirst.set("accept-all").then(() => true)`)
		if got := eval[string](v, `heard.slice(1).map(e => e.eventName + "=" + e.data).join()`); got != "cmpDisplayStatus=hidden,sectionChange=usca,signalStatus=ready" {
			t.Errorf("heard %s", got)
		}
	})
	t.Run("Texas with GPC", func(t *testing.T) {
		v := visit(t, s)
		v.saying(map[string]string{"X-Country": "US", "X-Region": "TX", "Sec-GPC": "1"})
		v.gpc()
		v.open("/")
		if got := ask(v, "getField", "usnat.SaleOptOut") + ask(v, "getField", "usnat.TargetedAdvertisingOptOut") + ask(v, "getField", "usnat.Gpc"); got != `[1,true][1,true][true,true]` {
			t.Errorf("with GPC: %s", got)
		}
	})
	t.Run("Germany", func(t *testing.T) {
		v := visit(t, s)
		v.saying(map[string]string{"X-Country": "DE"})
		v.open("/")
		if got := eval[string](v, `JSON.stringify([pinged.sectionList, pinged.applicableSections, pinged.gppString])`); got != `[[],[-1],"DBAA"]` {
			t.Errorf("ping: %s", got)
		}
	})
	t.Run("off", func(t *testing.T) {
		v := visit(t, raise(t, demoSite()))
		v.open("/")
		if got := eval[string](v, `typeof __gpp + typeof __tcfapi`); got != "undefinedundefined" {
			t.Errorf("where they are off there are %s", got)
		}
	})
}

// gpc makes the browser tell scripts of Global Privacy Control, as those do that
// send it.
func (v *visitor) gpc() {
	v.t.Helper()
	call(v, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {get: () => true})`,
	})
}

// In advanced mode Google's tags run before a choice, told to keep nothing; all
// others stay held, and what Google's tags could keep is refused.
func TestAdvancedConsentMode(t *testing.T) {
	s := raiseWith(t, demoSite(), "google_consent_mode: {mode: advanced}")
	v := visit(t, s)
	v.open("/")
	v.settle()
	if len(s.reached()) == 0 {
		t.Error("no tag of Google's has run")
	}
	for _, hit := range s.reached() {
		if !strings.Contains(hit, "google") && !strings.Contains(hit, "doubleclick.net") {
			t.Errorf("%s was contacted before a choice", hit)
		}
	}
	if got := eval[string](v, `dataLayer[0][0] + dataLayer[0][1] + Object.values(dataLayer[0][2]).filter(x => x === "denied").length`); got != "consentdefault6" {
		t.Errorf("Google's tags were first told %s", got)
	}
	if cookies := v.cookies(); slices.ContainsFunc(cookies, func(c string) bool { return strings.HasPrefix(c, "shop.test ") }) {
		t.Errorf("before a choice the browser keeps %q", cookies)
	}
	v.click(acceptAll)
	v.chosen()
	v.until(`(window.demoFired || []).some(x => x.startsWith("static.hotjar.com"))`)
	if got := eval[string](v, `[...dataLayer].filter(e => e[1] === "update").map(e => e[2].ad_storage).join()`); got != "granted" {
		t.Errorf("after the choice Google's tags were told %q", got)
	}
	// A storage key is the tag's own as its cookies are: it goes on withdrawal,
	// and the tags that run are told before the page is left.
	eval[bool](v, `localStorage.setItem("_gcl_ls", "click"), localStorage.setItem("basket", "1"), localStorage.getItem("_gcl_ls") === "click"`)
	eval[bool](v, `dataLayer.push = e => { if (e[1] === "update") sessionStorage.told = e[2].ad_storage + e[2].analytics_storage }, true`)
	v.click(reopen)
	v.reloads(withdraw)
	if got := eval[string](v, `[localStorage.getItem("_gcl_ls"), localStorage.getItem("basket"), sessionStorage.told].join()`); got != ",1,denieddenied" {
		t.Errorf("withdrawing leaves %q", got)
	}
	eval[bool](v, `localStorage.setItem("_gcl_ls", "click"), true`)
	if got := eval[bool](v, `localStorage.getItem("_gcl_ls") === null`); !got {
		t.Error("after withdrawing Google's tags keep a storage key")
	}
	v.nothingThrew()
}

// TestConsentModeIsSwitchedOff has Google's tags told by a tool of the site's own.
func TestConsentModeIsSwitchedOff(t *testing.T) {
	for mode, told := range map[string]bool{"off": false, "basic": true} {
		s := raiseWith(t, serve(`<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1></body></html>`), "google_consent_mode: {mode: "+mode+"}")
		v := visit(t, s)
		v.open("/")
		v.click(acceptAll)
		v.chosen()
		v.open("/")
		if got := eval[bool](v, `[...(window.dataLayer ?? [])].some(e => e[0] === "consent")`); got != told {
			t.Errorf("%s: Google's tags are told %v", mode, got)
		}
	}
}
