package web

import (
	"slices"
	"strings"
	"testing"
)

// TestWhatIsNotKnownWaits asks for third parties in the page's first script,
// when nothing has been learned: what may go goes once that is known, in its
// order, and what may not is held.
func TestWhatIsNotKnownWaits(t *testing.T) {
	w := newWorld(t)
	w.set("/early", document(`<p id="p"></p><script>
self.ran = [];
document.getElementById('p').innerHTML = '<img src="https://free.example/3.gif"><img src="https://meter.example/held.gif">';
self.fetched = fetch('https://free.example/4').then(r => r.status);
self.refused = fetch('https://meter.example/held').catch(e => e.name);
self.xhr = url => new Promise(f => { const x = new XMLHttpRequest(); x.onload = () => f(x.status); x.onerror = () => f('error'); x.open('GET', url); x.setRequestHeader('Accept', 'text/html'); x.send() });
self.sent = Promise.all([xhr('https://free.example/5'), xhr('https://meter.example/held-xhr')]);
const gone = new XMLHttpRequest(); gone.open('GET', 'https://free.example/aborted'); gone.send(); gone.abort();
self.beacons = [navigator.sendBeacon('https://free.example/6', ''), navigator.sendBeacon('https://meter.example/held-beacon', '')];
const add = (src, more) => { const s = Object.assign(document.createElement('script'), more); s.src = src; document.head.append(s) };
add('https://free.example/1.js', {async: false});
add('https://meter.example/held.js', {async: false});
add('/own.js', {async: false});
add('https://free.example/2.js', {async: false});
document.cookie = '_meter=1'; document.cookie = 'own=1';
self.jar = document.cookie;
self.frame = document.body.appendChild(document.createElement('iframe')); frame.src = 'https://free.example/7';
</script>`))
	w.set("/own.js", `ran.push('own')`)
	ctx := tab(t, browser(t, w), "/early")
	got := do[string](t, ctx, `
const out = [await fetched, await refused, ...await sent, ...beacons, jar];
while (ran.length < 3) await new Promise(f => setTimeout(f, 10));
return [...out, ...ran].join(' ')`)
	if want := "200 TypeError 200 error true true own=1 free.example/1.js own free.example/2.js"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want := []string{"/1.js", "/2.js", "/3.gif", "/4", "/5", "/6", "/7"}
	for _, path := range want {
		if n := len(w.await(path, 1)); n != 1 {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	do[bool](t, ctx, settle)
	if got := w.third("/"); len(got) != len(want) {
		t.Errorf("third parties were asked for %q", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.ContainsFunc(w.learned, func(path string) bool { return strings.Contains(path, ".code.") }) {
		t.Errorf("asked for parts that nothing needs: %q", w.learned)
	}
}

// TestOtherHostsOfTheSiteWait: the site's own code calls a tracker behind a name of
// the site's, when nothing has been learned.
func TestOtherHostsOfTheSiteWait(t *testing.T) {
	w := newWorld(t)
	w.set("/early", document(`<script>
const count = 'https://count.shop.example/meter-proxy/';
new Image().src = count + '1.gif';
navigator.sendBeacon(count + '2', '');
self.refused = fetch(count + '3').catch(e => e.name);
new Image().src = 'https://static.shop.example/4.gif';
self.fetched = fetch('https://api.shop.example/5').then(r => r.status);
</script>`))
	ctx := tab(t, browser(t, w), "/early")
	if got, want := do[string](t, ctx, `return [await refused, await fetched].join(' ')`), "TypeError 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.await("/4.gif", 1)
	do[bool](t, ctx, settle)
	got := w.third("/")
	slices.Sort(got)
	if want := []string{"api.shop.example/5", "static.shop.example/4.gif"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// TestImagesThatWaitAreLoading: who asks them is told so, and when they are there.
func TestImagesThatWaitAreLoading(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	got := do[string](t, ctx, `const image = src => Object.assign(new Image(), {src}), seen = image('https://free.example/x.gif'), held = image('https://meter.example/x.gif');
const before = [seen.complete, held.complete];
const decoded = await Promise.all([seen, held].map(i => i.decode().then(() => i.naturalWidth, e => e.name)));
return [before, decoded, seen.complete, held.complete].join()`)
	if want := "false,false,1,EncodingError,true,true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPreloadedSheetsApply: links are made style sheets' as they have loaded, when
// nothing has been learned.
func TestPreloadedSheetsApply(t *testing.T) {
	w := newWorld(t)
	w.set("/early", document(`<link rel="preload" as="style" href="https://free.example/swapped.css" onload="this.onload=null;this.rel='stylesheet'">`))
	ctx := tab(t, browser(t, w), "/early")
	got := do[string](t, ctx, `const link = document.querySelector('[as]');
for (let n = 0; n < 50 && !link.sheet; n++) await new Promise(f => setTimeout(f, 20));
return [!!link.sheet, link.rel, link.href, Object.keys(link.dataset)].join(' ')`)
	if want := "true stylesheet https://free.example/swapped.css "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNothingIsLearnedForNothing: a visitor who agreed to all waits for no rule.
func TestNothingIsLearnedForNothing(t *testing.T) {
	w := newWorld(t)
	b := browser(t, w)
	ctx := tab(t, b, "/")
	// The last that the first page asks for, whose visitor has not chosen.
	do[bool](t, ctx, `await new Promise(f => new PerformanceObserver(seen => seen.getEntries().some(e => e.name.includes('.calls.')) && f()).observe({type: 'resource', buffered: true}))
await askfirst.set('accept-all'); return true`)
	w.mu.Lock()
	w.learned = nil
	w.mu.Unlock()
	w.set("/granted", document(`<script>new Image().src = 'https://meter.example/granted.gif'; document.cookie = '_meter=1'</script>`))
	do[bool](t, ctx, `location.href = '/granted'; return true`)
	if got := w.await("/granted", 1); len(got) != 1 {
		t.Errorf("asked for %q", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.learned) > 0 {
		t.Errorf("learned %q", w.learned)
	}
}

// TestWhatCannotBeLearnedIsHeld: the proxy does not answer about rules.
func TestWhatCannotBeLearnedIsHeld(t *testing.T) {
	w := newWorld(t)
	w.ignorant = true
	w.set("/blind", document(`<script>document.cookie = 'own=1'</script>`))
	ctx := tab(t, browser(t, w), "/blind")
	got := do[string](t, ctx, `
document.body.append(Object.assign(document.createElement('img'), {src: 'https://free.example/blind.gif'}));
navigator.sendBeacon('https://free.example/blind', '');
const refused = await fetch('https://free.example/blind').catch(e => e.name);
return [refused, (await fetch('/')).status].join(' ')`)
	do[bool](t, ctx, settle)
	if got != "TypeError 200" || len(w.third("/")) > 0 {
		t.Errorf("%s, asked for %q", got, w.third("/"))
	}
}

// TestPageIsLoadedAnew where the site wants that for every choice, where what was
// agreed to is known to come too late or is seen to write into the page as it is
// read, and where what it wrote could not be made whole.
func TestPageIsLoadedAnew(t *testing.T) {
	held := func(attributes, code string) string {
		return `<script type="text/plain" ` + attributes + ` data-askfirst-category="analytics" data-askfirst-vendor="meter">` + code + `</script><p>end</p>`
	}
	const from = `data-askfirst-src="https://meter.example/`
	w := newWorld(t)
	w.set("/late", document(strings.Replace(held(from+`late.js"`, ""), `"meter"`, `"splitter"`, 1)))
	w.set("/anew", strings.Replace(document(held(from+`anew.js"`, "")), "data-askfirst-guard", "data-askfirst-guard data-anew", 1))
	w.set("/writes", document(held("", `localStorage.own = (localStorage.own || 0) + 1; document.write('<b>b</b>')`)))
	w.set("/open", document(held(from+`open.js"`, "")))
	w.script("meter.example/open.js", `document.write('<div>')`)
	w.set("/comment", document(held(from+`comment.js"`, "")))
	w.script("meter.example/comment.js", `document.write('<i>i</i><!--')`)
	b := browser(t, w)
	for _, path := range []string{"/late", "/anew", "/writes", "/open", "/comment"} {
		ctx := tab(t, b, path)
		do[bool](t, ctx, `self.before = 1;`+settle)
		leave(t, ctx, `void askfirst.set(['analytics'])`)
		if got := do[string](t, ctx, `return [self.before, askfirst.get().categories].join()`); got != ",analytics" {
			t.Errorf("%s: %s", path, got)
		}
		if path == "/writes" {
			do[bool](t, ctx, settle)
			if got := do[string](t, ctx, `return localStorage.own`); got != "1" {
				t.Errorf("what is seen to write ran %s times", got)
			}
		}
	}

	// As Shopify's own script does around what it calls.
	w.set("/keeps", document(held("", `const own = document.write; document.write = () => {}; document.write = own; self.ran = true`)))
	ctx := tab(t, b, "/keeps")
	if !do[bool](t, ctx, `self.before = 1;`+settle[:len(settle)-len("return true")]+`await askfirst.set(['analytics']); return self.before === 1 && self.ran === true`) {
		t.Error("a script that does not write had the page loaded anew")
	}
}
