package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// control is the script that presses a control of the banner.
func control(name string) string {
	return `document.querySelector('askfirst-banner').shadowRoot.querySelector('[data-askfirst=` + name + `]').click();`
}

const state = `document.querySelector('askfirst-banner').dataset.askfirstState`

func TestBannerAsksWithoutLeavingThePage(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/held")
	const choice = `
const changes = new Promise(f => askfirst.on(c => setTimeout(() => f(c.categories.join()), 0)));
self.here = 1;`
	if got := do[string](t, ctx, choice+`
const root = document.querySelector('askfirst-banner').shadowRoot;
root.querySelector('details').open = true;
root.querySelector('[value=analytics]').checked = true;
root.querySelector('[data-askfirst=save]').focus();
`+control("save")+`return await changes`); got != "analytics" {
		t.Errorf("agreed to %q", got)
	}
	got := do[string](t, ctx, `return [here, `+state+`, document.querySelector('askfirst-banner').shadowRoot.activeElement.dataset.askfirst].join()`)
	if got != "1,made,reopen" {
		t.Errorf("after the choice: %s", got)
	}
	w.mu.Lock()
	if len(w.choices) != 1 || w.choices[0]["choice"] != "save" || w.choices[0]["language"] != "en" || w.choices[0]["return"] != "/held" {
		t.Errorf("the proxy was told %v", w.choices)
	}
	w.mu.Unlock()

	got = do[string](t, ctx, control("reopen")+`
const host = document.querySelector('askfirst-banner'), root = host.shadowRoot;
const open = [getComputedStyle(root.querySelector('.panel')).display, root.querySelector('details').open, [...root.querySelectorAll('input:checked')].map(i => i.value), root.activeElement.className].join();
root.querySelector('[data-askfirst=save]').focus();
root.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true, composed: true}));
return open + ' ' + getComputedStyle(root.querySelector('.panel')).display + ',' + root.activeElement.dataset.askfirst`)
	if got != "block,true,analytics,panel none,reopen" {
		t.Errorf("reopened: %s", got)
	}
	if len(w.choices) != 1 {
		t.Errorf("closing was taken for a choice: %v", w.choices)
	}
}

// leave runs a script that makes the page load another, or itself again, and
// waits for that.
func leave(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	loaded := func(page.EventLoadEventFired) bool { return true }
	if _, err := chromedp.Run(ctx, chromedp.WaitEvent(page.LoadEventFired, loaded, chromedp.Evaluate[chromedp.Void](script))); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedChoiceGoesByForm(t *testing.T) {
	w := newWorld(t)
	w.refuse = true
	ctx := tab(t, browser(t, w), "/")
	leave(t, ctx, control("accept-all"))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.choices) != 2 || w.choices[1]["form"] != "accept-all" {
		t.Errorf("the proxy was told %v", w.choices)
	}
}

func TestCookiesAndStorageByName(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	const try = `
document.cookie = '_meter=1; path=/';
document.cookie = '_meter_7=1; path=/';
document.cookie = '_adder=1; path=/';
document.cookie = 'basket=1; path=/';
await cookieStore.set('_meter_store', '1');
await cookieStore.set({name: 'own_store', value: '1'});
localStorage.setItem('meter:id', '1');
sessionStorage.setItem('meter:id', '1');
localStorage.setItem('own', '1');
return [document.cookie.split('; ').filter(c => !c.startsWith('askfirst=')).sort().join(' '), localStorage.length, sessionStorage.length].join()`
	if got := do[string](t, ctx, try); got != "basket=1 own_store=1,1,0" {
		t.Errorf("before consent: %s", got)
	}
	do[bool](t, ctx, `await askfirst.set(['analytics']); return true`)
	if got := do[string](t, ctx, try); got != "_meter=1 _meter_7=1 _meter_store=1 basket=1 own_store=1,2,1" {
		t.Errorf("after consent to analytics: %s", got)
	}
}

// TestCookiesCanBeTakenAway by scripts that may set none.
func TestCookiesCanBeTakenAway(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	do[bool](t, ctx, settle)
	for _, away := range []string{"Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"} {
		// The site's server has set it since.
		if _, err := chromedp.Run(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, network.SetCookie, network.SetCookieParams{Name: "_meter", Value: "1", URL: "https://shop.example/"})
			return err
		})); err != nil {
			t.Fatal(err)
		}
		got := do[[]string](t, ctx, `const before = document.cookie; document.cookie = '_meter=2; path=/'; const kept = document.cookie; document.cookie = '_meter=; `+away+`; path=/'; return [before, kept, document.cookie]`)
		if want := []string{"_meter=1", "_meter=1", ""}; !slices.Equal(got, want) {
			t.Errorf("%s: the cookies are %q, want %q", away, got, want)
		}
	}
}

// TestCookiesThatOnlySeemToBeTakenAway are set by what the browser makes nothing
// of, or overrules.
func TestCookiesThatOnlySeemToBeTakenAway(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	for _, attributes := range []string{"expires=0", "expires=-1", "expires=Thu, 01 Jan 1970", "max-age=0; max-age=1000"} {
		got := do[string](t, ctx, `document.cookie = 'basket=1; `+attributes+`'; document.cookie = '_meter=1; `+attributes+`'; const kept = document.cookie; document.cookie = 'basket=; max-age=0'; return kept`)
		if got != "basket=1" {
			t.Errorf("%s: the cookies are %q", attributes, got)
		}
	}
}

func TestWithdrawal(t *testing.T) {
	w := newWorld(t)
	w.set("/deep/held/page", heldPage+`<script>self.early = localStorage.getItem('meter:id')</script>`)
	ctx := tab(t, browser(t, w), "/deep/held/page")
	do[bool](t, ctx, `await askfirst.set('accept-all');
document.cookie = '_meter=1; path=/';
document.cookie = '_meter_1=1; path=/deep/held';
document.cookie = '_adder=1; domain=shop.example; path=/deep';
document.cookie = 'basket=1; path=/';
for (const store of [localStorage, sessionStorage]) store.setItem('meter:id', '1');
localStorage.fbq = '';
self.told = [];
self.fbq = (...a) => localStorage.fbq += a.join();
self.before = 1;
return true`)
	leave(t, ctx, control("reopen")+control("withdraw"))
	got := do[string](t, ctx, `return [document.cookie.split('; ').filter(c => !c.startsWith('askfirst=')).join(), self.early, localStorage.getItem('meter:id'), sessionStorage.getItem('meter:id'), localStorage.fbq, askfirst.get().categories.length, askfirst.get().made].join('|')`)
	if got != "basket=1||||consent,revoke|0|true" {
		t.Errorf("left: %s", got)
	}
}

func TestConsentMode(t *testing.T) {
	w := newWorld(t)
	w.set("/mode", document(`<script>self.calls = []; self.clarity = (...a) => calls.push(a[0]); self._paq = []; self.uetq = []; self.gtag = function () { dataLayer.push(arguments) }</script>`))
	ctx := tab(t, browser(t, w), "/mode")
	type entry = map[string]any
	layer := do[[]entry](t, ctx, `await askfirst.set(['analytics']); return dataLayer.map(e => ({...e}))`)
	text, _ := json.Marshal(layer)
	want := `[{"0":"consent","1":"default","2":{"ad_personalization":"denied","ad_storage":"denied","ad_user_data":"denied","analytics_storage":"denied","functionality_storage":"denied","personalization_storage":"denied","security_storage":"granted","wait_for_update":500}},` +
		`{"0":"consent","1":"update","2":{"ad_personalization":"denied","ad_storage":"denied","ad_user_data":"denied","analytics_storage":"granted","functionality_storage":"denied","personalization_storage":"denied","security_storage":"granted"}},` +
		`{"askfirst":{"categories":["analytics"]},"event":"askfirst_consent"}]`
	if string(text) != want {
		t.Errorf("dataLayer is\n%s, want\n%s", text, want)
	}
	if got := do[string](t, ctx, `return JSON.stringify([calls, _paq, uetq])`); got != `[["consentv2","consentv2"],[["setConsentGiven"],["setCookieConsentGiven"]],["consent","default",{"ad_storage":"denied"},"consent","update",{"ad_storage":"denied"}]]` {
		t.Errorf("running tags were told %s", got)
	}
}

func TestHeldCallsAnswerAsABlockedNetwork(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[[]string](t, ctx, `
const U = 'https://meter.example/x', out = [];
await fetch(U).catch(e => out.push('fetch ' + (e instanceof TypeError)));
out.push(await new Promise(f => { const x = new XMLHttpRequest(); x.onerror = () => f('xhr ' + x.readyState + x.status); x.open('POST', U); x.setRequestHeader('X-A', '1'); x.send('y') }));
try { const x = new XMLHttpRequest(); x.open('GET', U, false); x.send() } catch (e) { out.push('sync ' + e.name) }
out.push('beacon ' + navigator.sendBeacon(U));
out.push(await new Promise(f => { const s = new WebSocket('wss://meter.example/'); let n = ''; s.addEventListener('error', () => n += 'error'); s.onclose = e => f('socket ' + n + e.code + s.readyState + (s instanceof WebSocket)) }));
out.push(await new Promise(f => { const s = new EventSource(U); s.onerror = () => f('events ' + s.readyState) }));
out.push(await new Promise(f => { const i = new Image; i.onerror = () => f('image ' + i.src); i.src = U }));
return out`)
	want := []string{"fetch true", "xhr 40", "sync NetworkError", "beacon true", "socket error10063true", "events 2", "image https://meter.example/x"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.third("/"); len(got) > 0 {
		t.Errorf("asked for %v", got)
	}
}

// TestWebTransport counts datagrams: no request is made before consent, and one is
// tried after.
func TestWebTransport(t *testing.T) {
	w := newWorld(t)
	port, err := net.ListenPacket("udp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	came := make(chan bool, 1)
	go func() {
		for buf := make([]byte, 2048); ; {
			if _, _, err := port.ReadFrom(buf); err != nil {
				return
			}
			select {
			case came <- true:
			default:
			}
		}
	}()
	ctx := tab(t, browser(t, w), "/")
	const dial = `const t = new WebTransport('https://meter.example/t'); t.closed.catch(() => {}); `
	if got := do[string](t, ctx, dial+`return await t.ready.then(() => 'ready', e => e.name)`); got != "WebTransportError" {
		t.Errorf("a held connection answers %s", got)
	}
	if len(came) > 0 {
		t.Error("a datagram was sent before consent")
	}
	do[bool](t, ctx, `await askfirst.set(['analytics']); `+dial+`t.ready.catch(() => {}); return true`)
	select {
	case <-came:
	case <-ctx.Done():
		t.Error("no datagram was sent after consent")
	}
}

func TestReports(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/held")
	do[bool](t, ctx, `new Image().src = 'https://meter.example/held.gif?secret=1'; new Image().src = 'https://free.example/free.gif'; document.cookie = '_meter=1';`+settle)
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	w.mu.Lock()
	if len(w.reports) != 0 {
		t.Errorf("a choice alone makes the page send %v", w.reports)
	}
	w.mu.Unlock()
	if err := chromedp.Do(ctx, chromedp.Navigate("https://shop.example/")); err != nil {
		t.Fatal(err)
	}
	do[bool](t, ctx, settle)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reports) != 1 || w.reports[0]["page"] != "/held" {
		t.Fatalf("not one report of the page that was left: %v", w.reports)
	}
	lines := told(w.reports[0])
	for _, want := range []string{
		"https://meter.example/held.gif image held 1 -",
		"https://free.example/free.gif image fired 1", // the browser tells of it before the choice or after
		"https://meter.example/1.js script released 1 a",
		"https://meter.example/1.js script fired 1 a",
		"_meter script -",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("the report does not say %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

// told lists what a report says, an entry a line.
func told(report map[string]any) (lines []string) {
	for _, entry := range slices.Concat(report["tags"].([]any), report["cookies"].([]any)) {
		lines = append(lines, strings.Trim(fmt.Sprint(entry), "[]"))
	}
	return lines
}

// A page that is hidden and comes back tells, when it is left again, of what has
// happened since, and of nothing twice; where nothing has, it sends nothing.
func TestAPageThatComesBackTellsOnlyWhatIsNew(t *testing.T) {
	w := newWorld(t)
	w.set("/back", document(`<p>x</p>`))
	ctx := tab(t, browser(t, w), "/back")
	fire := func(name string) {
		t.Helper()
		do[bool](t, ctx, `await new Promise(f => { const image = new Image(); image.onload = image.onerror = f; image.src = 'https://free.example/back/`+name+`.gif' });`+settle)
	}
	// No tab of a browser without a screen is ever hidden by another.
	show := func(hidden bool) {
		t.Helper()
		do[bool](t, ctx, fmt.Sprintf(`delete document.hidden; if (%t) Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'));`, hidden)+settle)
	}
	reports := func() [][]string {
		w.mu.Lock()
		defer w.mu.Unlock()
		var all [][]string
		for _, r := range w.reports {
			all = append(all, told(r))
		}
		return all
	}
	line := func(name string) string { return "https://free.example/back/" + name + ".gif image fired 1 -" }

	fire("first")
	do[bool](t, ctx, `document.cookie = '_back=1';`+settle)
	show(true)
	want := [][]string{{line("first"), "_back script -"}}
	if got := reports(); !reflect.DeepEqual(got, want) {
		t.Fatalf("hidden once, %q", got)
	}
	show(false)
	show(true)
	if got := reports(); !reflect.DeepEqual(got, want) {
		t.Errorf("nothing is new, %q", got)
	}
	fire("hidden") // while nobody looks
	show(false)
	fire("second")
	fire("first.gif?again=1&of=")
	if got := reports(); !reflect.DeepEqual(got, want) {
		t.Errorf("shown, %q", got)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("https://shop.example/")); err != nil {
		t.Fatal(err)
	}
	do[bool](t, ctx, settle)
	want = append(want, []string{line("first"), line("hidden"), line("second")})
	if got := reports(); !reflect.DeepEqual(got, want) {
		t.Errorf("left, %q", got)
	}
}

func TestReportsAreShort(t *testing.T) {
	w := newWorld(t)
	w.set("/much", document(`<p>x</p>`))
	ctx := tab(t, browser(t, w), "/much")
	do[bool](t, ctx, `
for (let i = 0; i < 30; i++) document.cookie = '_own' + i + '=1';
await Promise.all([...Array(80).keys()].map(i => new Promise(f => { const image = new Image(); image.onload = image.onerror = f; image.src = 'https://free.example/much/' + i + '.gif' })));`+settle)
	if err := chromedp.Do(ctx, chromedp.Navigate("https://shop.example/")); err != nil {
		t.Fatal(err)
	}
	do[bool](t, ctx, settle)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reports) != 1 { // one that is too long is refused, and not here
		t.Fatalf("%d reports", len(w.reports))
	}
	r := w.reports[0]
	tags, cookies, more := len(r["tags"].([]any)), len(r["cookies"].([]any)), int(r["more"].(float64))
	if tags < 20 || cookies < 10 || tags+cookies+more != 110 {
		t.Errorf("%d tags, %d cookies and %d more", tags, cookies, more)
	}
}

// The ways in which pages treat the functions that the guard wraps.
func TestGuardSurvives(t *testing.T) {
	const probe = `
const s = document.createElement('script'); s.src = 'https://meter.example/survive.js'; document.head.appendChild(s);
document.body.insertAdjacentHTML('beforeend', '<img src="https://meter.example/survive.gif">');
await fetch('https://meter.example/survive').catch(() => {});`
	cases := []struct{ name, head, csp string }{
		{"being loaded twice", guardElement, ""},
		{"frozen prototypes", `<script>for (const o of [Node, Element, HTMLScriptElement, Document, Range, XMLHttpRequest, EventTarget, Object, Array, Function]) { Object.freeze(o.prototype); Object.freeze(o) }</script>`, ""},
		{"other patches", `<script>
for (const [o, n] of [[Node.prototype, 'appendChild'], [self, 'fetch'], [Element.prototype, 'insertAdjacentHTML'], [EventTarget.prototype, 'addEventListener']]) {
	const f = o[n]; o[n] = function () { self.patched = (self.patched || 0) + 1; return f.apply(this, arguments) } }</script>`, ""},
		{"trusted types", "", "require-trusted-types-for 'script'; trusted-types askfirst page"},
		{"trusted types without a policy of ours", "", "require-trusted-types-for 'script'; trusted-types page"},
		{"a strict policy", "", "default-src 'self' https://meter.example; script-src 'self' https://meter.example; style-src 'unsafe-inline'"},
	}
	w := newWorld(t)
	b := browser(t, w)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := fmt.Sprintf("/survive%d", i)
			w.set(path, strings.Replace(document(`<p>x</p>`), "<title>", c.head+"<title>", 1))
			code := strings.ReplaceAll(probe, "/survive", path)
			if c.csp != "" {
				w.set("csp:"+path, c.csp)
			}
			if strings.Contains(c.csp, "trusted") {
				code = `const page = trustedTypes.createPolicy('page', {createHTML: s => s, createScriptURL: s => s});` +
					strings.NewReplacer("'https://meter.example"+path+".js'", "page.createScriptURL('https://meter.example"+path+".js')",
						"'<img", "page.createHTML('<img", "gif\">'", "gif\">')").Replace(code)
			}
			ctx := tab(t, b, path)
			do[bool](t, ctx, code+settle)
			if got := w.third(path); len(got) > 0 {
				t.Fatalf("before consent: %v", got)
			}
			do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
			got := w.await(path, 2)
			slices.Sort(got)
			if strings.Join(got, " ") != "meter.example"+path+".gif meter.example"+path+".js" {
				t.Errorf("after consent: %v", got)
			}
		})
	}
}

func TestWhatCannotBeReleasedIsLoadedAgain(t *testing.T) {
	w := newWorld(t)
	w.set("/trusted", document(`<script type="text/plain" data-askfirst-src="https://meter.example/t.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`))
	w.set("csp:/trusted", "require-trusted-types-for 'script'; trusted-types page")
	b := browser(t, w)
	for _, early := range []bool{false, true} {
		// The choice comes before the release of what the parsed page holds has run.
		if early {
			w.mu.Lock()
			w.chosen = make(chan struct{})
			w.mu.Unlock()
		}
		ctx := tab(t, b, "/trusted")
		leave(t, ctx, `void askfirst.set(['analytics'])`)
		if got := do[string](t, ctx, `return askfirst.get().categories.join()`); got != "analytics" {
			t.Errorf("agreed to %q, early: %v", got, early)
		}
	}
}

// TestWhatIsWrittenOpenIsLoadedAgain: an element that a released script leaves
// open would have taken in what follows.
func TestWhatIsWrittenOpenIsLoadedAgain(t *testing.T) {
	w := newWorld(t)
	w.set("/open", document(`<script type="text/plain" data-askfirst-src="https://meter.example/open.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script><p>in it</p>`))
	w.script("meter.example/open.js", `document.write('<div class="open">')`)
	ctx := tab(t, browser(t, w), "/open")
	leave(t, ctx, `void askfirst.set(['analytics'])`)
	if got := do[string](t, ctx, `return askfirst.get().categories.join()`); got != "analytics" {
		t.Errorf("agreed to %q", got)
	}
}

func TestPressedTwice(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	do[bool](t, ctx, control("accept-all")+control("accept-all")+settle)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.choices) != 1 {
		t.Errorf("the proxy was told %v", w.choices)
	}
}

func TestWrappedFunctionsLookNative(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[string](t, ctx, `
const odd = [];
for (const f of [fetch, XMLHttpRequest.prototype.open, Node.prototype.appendChild, WebSocket, Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, 'src').set]) {
	if (!/native code/.test(Function.prototype.toString.call(f)) || !f.name) odd.push(f.name) }
// What error reporters ask for before they take a function for the browser's.
for (const f of [fetch, XMLHttpRequest.prototype.open, WebSocket]) if (!/^function\s+\w+\(\)\s+\{\s+\[native code\]\s+\}$/.test(f.toString())) odd.push(f.toString())
if (!(new (class extends Audio {})('/own.mp3') instanceof Audio)) odd.push('Audio')
if (fetch.name !== 'fetch' || WebSocket.OPEN !== 1 || !(new (class extends WebSocket {})('wss://free.example/') instanceof WebSocket)) odd.push('shape');
try { document.body.appendChild(1) } catch (e) { if (!(e instanceof TypeError)) odd.push('error') }
try { fetch.call({}, '/') ; } catch { odd.push('throw') }
return odd.join()`)
	if got != "" {
		t.Errorf("not as native functions are: %s", got)
	}
}

func TestSharedCacheAndBackButton(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/")
	do[bool](t, ctx, `await askfirst.set(['analytics']); return true`)
	// The page is that of a visitor who has not chosen; the cookie says more.
	if err := chromedp.Do(ctx, chromedp.Navigate("https://shop.example/held")); err != nil {
		t.Fatal(err)
	}
	do[bool](t, ctx, settle)
	if got := w.await("/", 5); len(got) != 5 {
		t.Errorf("asked for %v, want the five of analytics", got)
	}
	if got := do[string](t, ctx, `return `+state); got != "made" {
		t.Errorf("the banner's state is %s", got)
	}
}
