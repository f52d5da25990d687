package banner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// active names the focused element, in the page or in the banner.
const active = `(()=>{let e=document.activeElement;while(e?.shadowRoot?.activeElement)e=e.shadowRoot.activeElement;return e.dataset.askfirst||e.className||e.id||e.localName})()`

// TestKeyboard goes the visitor's whole way by keys: what is focused, where focus
// comes back to, and what Escape does. Settings open and close by Escape; before a
// choice Escape closes nothing else, since closing is no consent.
func TestKeyboard(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{PolicyURL: "/privacy"}))
	ctx := tab(t, browser)
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.Navigate(address+"/guarded"))
	press := func(key, want string) {
		t.Helper()
		do(t, ctx, chromedp.KeyEvent(key))
		if got := get(t, ctx, chromedp.Evaluate[string](active)); got != want {
			t.Errorf("after %q the focus is on %q, want %q", key, got, want)
		}
	}
	const open, panel = shadow + `.querySelector('details').open`, `getComputedStyle(` + shadow + `.querySelector('.panel')).display!='none'`
	until(t, ctx, active+`=='panel'`)
	do(t, ctx, chromedp.KeyEvent("\t"), chromedp.KeyEvent("\t"))
	press("\t", "settings")
	do(t, ctx, chromedp.KeyEvent(" "))
	until(t, ctx, open)
	// Focus is seen: the browser's own ring is replaced by one of ours.
	if ring := get(t, ctx, chromedp.Evaluate[string](`(()=>{const s=getComputedStyle(`+shadow+`.activeElement);return s.outlineStyle+' '+s.outlineWidth})()`)); ring != "solid 3px" {
		t.Errorf("the focused control is outlined %s", ring)
	}
	press("\t", "input")
	press("\x1b", "settings")
	until(t, ctx, `!`+open+`&&`+panel)
	press("\x1b", "settings")
	until(t, ctx, `!`+open+`&&`+panel)
	press("\t", "reject-all")
	do(t, ctx, chromedp.KeyEvent("\r"))
	until(t, ctx, `!(`+panel+`)`)
	if got := get(t, ctx, chromedp.Evaluate[string](active)); got != "reopen" {
		t.Errorf("after the choice the focus is on %q", got)
	}
	do(t, ctx, chromedp.KeyEvent("\r"))
	until(t, ctx, panel)
	if got := get(t, ctx, chromedp.Evaluate[string](active)); got != "panel" {
		t.Errorf("in the reopened settings the focus is on %q", got)
	}
	press("\x1b", "reopen")
	until(t, ctx, `!(`+panel+`)`)
}

// TestModal: in the centre nothing beside the banner can be clicked or focused
// until there is a choice, and refusing is one.
func TestModal(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{Layout: "centre", PolicyURL: "/privacy"}))
	ctx := tab(t, browser)
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.EmulateViewport(1024, 768), chromedp.Navigate(address+"/guarded"))
	const at = `(()=>{const e=document.elementFromPoint(200,40);return e?.localName})()`
	if got := get(t, ctx, chromedp.Evaluate[string](at)); got != "askfirst-banner" {
		t.Errorf("what can be clicked beside the banner is %s", got)
	}
	if got := get(t, ctx, chromedp.Evaluate[string](`(()=>{const p=`+shadow+`.querySelector('.panel');return p.role+p.ariaModal})()`)); got != "dialogtrue" {
		t.Errorf("it is a %s", got)
	}
	for range 12 {
		do(t, ctx, chromedp.KeyEvent("\t"))
		if outside := get(t, ctx, chromedp.Evaluate[bool](`![document.body,document.querySelector('askfirst-banner')].includes(document.activeElement)`)); outside {
			t.Fatalf("the focus left for %s", get(t, ctx, chromedp.Evaluate[string](active)))
		}
	}
	do(t, ctx, script(shadow+`.querySelector('[data-askfirst=reject-all]').click()`))
	until(t, ctx, at+`!='askfirst-banner'`) // else the page cannot be used after refusing
}

// TestFocusIsNotObscured goes through a page by keys while the question stands at
// its foot: no link that has the focus is wholly behind the panel.
func TestFocusIsNotObscured(t *testing.T) {
	browser := startBrowser(t)
	for _, layout := range []string{"bar", "box"} {
		address := serveSite(t, newBanner(t, Options{Layout: layout, PolicyURL: "/privacy"}))
		ctx := tab(t, browser)
		do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.EmulateViewport(800, 600), chromedp.Navigate(address+"/guarded"))
		until(t, ctx, active+`=='panel'`)
		do(t, ctx, script(`for(let n=60;n--;){const p=document.createElement('p');p.innerHTML='<a href="#x">link</a>';document.body.prepend(p)}document.querySelector('a').focus()`))
		const obscured = `(()=>{const e=document.activeElement,r=e.getBoundingClientRect(),p=` + shadow + `.querySelector('.panel').getBoundingClientRect();return e.localName!='a'||r.top>=p.top&&r.bottom<=p.bottom&&r.left>=p.left&&r.right<=p.right})()`
		for n := range 50 {
			do(t, ctx, chromedp.KeyEvent("\t"))
			if get(t, ctx, chromedp.Evaluate[bool](obscured)) {
				t.Errorf("%s: link %d has the focus behind the panel, or has it not", layout, n+2)
			}
		}
	}
}

// TestNames reads what a screen reader would say of the banner.
func TestNames(t *testing.T) {
	browser := startBrowser(t)
	b := newBanner(t, Options{PolicyURL: "/privacy"})
	address := serveSite(t, b)
	ctx := tab(t, browser)
	for _, tag := range []string{"en", "ar", "ja"} {
		do(t, ctx, chromedp.Navigate(address+"/?l="+tag), script(openSettings))
		l := b.languages.list[b.languages.index[tag]].texts
		type named struct{ Lang, Dir, Region, Purposes, Close string }
		got := get(t, ctx, chromedp.Evaluate[named](`(()=>{const p=`+shadow+`.querySelector('.panel');return {Lang:p.lang,Dir:getComputedStyle(p).direction,Region:`+shadow+`.getElementById(p.getAttribute('aria-labelledby')).textContent,Purposes:p.querySelector('.for').ariaLabel,Close:p.querySelector('.close').ariaLabel}})()`))
		if want := (named{tag, l["dir"], l["title"], l["purposes"], l["close"]}); got != want {
			t.Errorf("%s: the banner is %+v, want %+v", tag, got, want)
		}
		boxes := get(t, ctx, chromedp.Evaluate[[]string](`[...`+shadow+`.querySelectorAll('input[type=checkbox]')].map(e=>e.labels[0].textContent.trim()+': '+`+shadow+`.getElementById(e.getAttribute('aria-describedby')).textContent.trim())`))
		want := []string{}
		for _, c := range []string{"functional", "analytics", "marketing", "social"} {
			want = append(want, l[c]+": "+l[c+"_text"])
		}
		if !slices.Equal(boxes, want) {
			t.Errorf("%s: the boxes are named %q", tag, boxes)
		}
		unnamed := get(t, ctx, chromedp.Evaluate[int](`[...`+shadow+`.querySelectorAll('button,summary,a')].filter(e=>!(e.ariaLabel||e.textContent.trim())).length`))
		if unnamed != 0 {
			t.Errorf("%s: %d controls have no name", tag, unnamed)
		}
	}
	do(t, ctx, chromedp.Navigate(address+"/widgets"))
	const boxes = `[...document.querySelectorAll('*')].flatMap(e=>e.shadowRoot?[...e.shadowRoot.querySelectorAll('.card')]:[]).map(c=>c.getAttribute('role')+' '+c.ariaLabel)`
	if got := get(t, ctx, chromedp.Evaluate[[]string](boxes)); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "group ") || len(s) < 10 }) {
		t.Errorf("the boxes are read out as %q", got)
	}
}

// TestPreferencesOfTheBrowser: motion that is not wanted does not happen,
// colours that are forced still leave every edge to be seen, and who wants the
// dark is given no light panel or page.
func TestPreferencesOfTheBrowser(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{}))
	ctx := tab(t, browser)
	const look = `(()=>{const r=` + shadow + `,s=e=>getComputedStyle(r.querySelector(e));return [s('.panel').animationName,s('.panel').borderTopStyle,s('[data-askfirst=accept-all]').borderTopStyle,s('[data-askfirst=reject-all]').backgroundColor==s('[data-askfirst=accept-all]').backgroundColor].join()})()`
	for _, c := range []struct{ feature, value, want string }{
		{"prefers-reduced-motion", "no-preference", "in,none,solid,true"},
		{"prefers-reduced-motion", "reduce", "none,none,solid,true"},
		{"forced-colors", "active", "in,solid,solid,true"},
	} {
		do(t, ctx, media(c.feature, c.value), chromedp.Navigate(address+"/"))
		if got := get(t, ctx, chromedp.Evaluate[string](look)); got != c.want {
			t.Errorf("%s: %s: %s, want %s", c.feature, c.value, got, c.want)
		}
	}
	for scheme, want := range map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(22, 27, 34)"} {
		for path, element := range map[string]string{"/": shadow + ".querySelector('.panel')", "/_askfirst/preferences": "document.querySelector('main')"} {
			do(t, ctx, media("prefers-color-scheme", scheme), chromedp.Navigate(address+path))
			if got := get(t, ctx, chromedp.Evaluate[string]("getComputedStyle("+element+").backgroundColor")); got != want {
				t.Errorf("%s in the %s is on %s, want %s", path, scheme, got, want)
			}
		}
	}
}

// TestOwnPagesReflow looks at the own pages at 400% zoom (WCAG 2.2, 1.4.10) with
// all details open, in long words and from right to left.
func TestOwnPagesReflow(t *testing.T) {
	browser := startBrowser(t)
	seen := &watcher{seen: []string{"google-analytics", "youtube", "matomo", "disqus", "intercom", "stripe"}}
	b, err := New(Options{Title: "Donaudampfschifffahrtsgesellschaftskapitänsmützen", PolicyURL: "/privacy"}, newEngine(t), &memory{}, seen)
	if err != nil {
		t.Fatal(err)
	}
	address := serveSite(t, b)
	ctx := tab(t, browser)
	do(t, ctx, chromedp.EmulateViewport(320, 256), chromedp.Navigate(address+"/"), choose("analytics"))
	for _, path := range []string{"preferences", "cookies", "receipt"} {
		for _, tag := range []string{"de", "fi", "ar", "ja"} {
			do(t, ctx, chromedp.Navigate(fmt.Sprint(address, "/_askfirst/", path, "?language=", tag)), script(`document.querySelectorAll('details').forEach(d=>d.open=true)`))
			if wide := get(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 320 {
				t.Errorf("%s in %s is %d px wide in a window of 320", path, tag, wide)
			}
			if dir := get(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.documentElement).direction`)); (dir == "rtl") != (tag == "ar") {
				t.Errorf("%s in %s runs %s", path, tag, dir)
			}
		}
	}
}

// TestPreferencesTellWhoIsAskedFor: the second layer lists each category's
// vendors, their countries and what they keep for how long.
func TestPreferencesTellWhoIsAskedFor(t *testing.T) {
	browser := startBrowser(t)
	seen := &watcher{seen: []string{"google-analytics", "matomo", "stripe"}}
	b, err := New(Options{Title: "Bags", PolicyURL: "/privacy"}, newEngine(t), &memory{}, seen)
	if err != nil {
		t.Fatal(err)
	}
	ctx := tab(t, browser)
	address := serveSite(t, b)
	do(t, ctx, chromedp.Navigate(address+"/_askfirst/preferences"))
	got := get(t, ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('.offers>li')].map(li=>[...li.querySelectorAll('article')].map(a=>a.querySelector('h3').textContent+(a.querySelector('.flag')?' outside':'')+(a.querySelector('.stores .meta')?' keeps':'')).join('; '))`))
	if want := []string{"Stripe outside keeps", "", "Google Analytics outside keeps; Matomo outside keeps", "", ""}; !slices.Equal(got, want) {
		t.Errorf("the categories' vendors are %q, want %q", got, want)
	}
	const first = `(()=>{const a=[...document.querySelectorAll('article')].find(a=>a.querySelector('h3').textContent=='Google Analytics');
		return [a.querySelector('dl').innerText,a.querySelector('li').innerText,a.querySelector('li p').lang].join('\n')})()`
	for language, words := range map[string][]string{
		"en": {"Google", "United States", "outside the European Economic Area", "https://policies.google.com", "_ga\n", "Tells one visitor from another", "Cookie · first party", "Kept for: 2 years"},
		"de": {"Google", "Vereinigte Staaten", "außerhalb des Europäischen", "https://policies.google.com", "_ga\n", "Erkennt den Browser wieder", "Cookie", "2 Jahre"},
	} {
		do(t, ctx, chromedp.Navigate(address+"/_askfirst/preferences?language="+language), script(`document.querySelectorAll('details').forEach(d=>d.open=true)`))
		text := get(t, ctx, chromedp.Evaluate[string](first))
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("in %s of Google Analytics %q is missing in %q", language, word, text)
			}
		}
	}
	// What is said in English alone is marked so, for who has pages read out.
	do(t, ctx, chromedp.Navigate(address+"/_askfirst/cookies?language=ar"))
	marked := get(t, ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('.stores p:not(.meta)')].filter(p=>/[a-z]{4}/i.test(p.textContent)!=(p.lang=='en')).map(p=>p.outerHTML)`))
	if len(marked) > 0 {
		t.Errorf("English is not marked, or what is marked is not: %q", marked)
	}
}
