package web

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestBoxesForWhatScriptsMake: a widget's mark that a script puts into the page has
// a box before it for as long as it is there and may not be filled, a frame has one
// within. Neither loads anything from anybody. A box of the proxy's, which has the
// classes of what it stands for, has none itself.
func TestBoxesForWhatScriptsMake(t *testing.T) {
	w := newWorld(t)
	const policy = "script-src 'nonce-n0' 'unsafe-eval'; style-src 'nonce-n0'"
	w.set("/", `<!DOCTYPE html><html lang="en"><head>`+strings.Replace(guardElement, "<script", `<script nonce="n0"`, 1)+`</head><body>
<script nonce="n0" type="text/plain" data-askfirst-src="https://friend.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="friend"></script>
<main id="app"></main><ul></ul>
<askfirst-placeholder data-vendor="friend" data-category="social" class="friend-card"></askfirst-placeholder><p class="friend-card" id="page" data-askfirst-category="social" data-askfirst-vendor="friend"></p>`+banner+`</body></html>`)
	w.set("csp:/", policy)
	ctx := tab(t, browser(t, w), "/")
	const see = until + `
const boxes = () => [...document.querySelectorAll('askfirst-placeholder')].filter(b => b.nextElementSibling?.id !== 'page').map(b => b.dataset.vendor + ' ' + b.dataset.category + ' before ' + (b.nextElementSibling?.id ?? '') + (b.shadowRoot ? '' : ' without a tree'));
`
	is := func(what, code string, want ...string) {
		t.Helper()
		if got := do[[]string](t, ctx, see+code+`; await until(() => boxes().length === `+string(rune('0'+len(want)))+`); `+settle[:len(settle)-len("return true")]+` return boxes()`); !slices.Equal(got, want) {
			t.Errorf("%s: boxes %q, want %q", what, got, want)
		}
	}
	is("marks", `const main = document.querySelector('main');
main.innerHTML = '<p class="friend-card" id="card">Like</p><meter-widget id="meter"></meter-widget>';
main.append(Object.assign(document.createElement('div'), {id: 'friend-wall'}))
document.querySelector('ul').innerHTML = '<li class="friend-card">in a list</li>'`,
		"friend social before card", "meter analytics before meter", "friend social before friend-wall")
	if got := do[string](t, ctx, `return document.querySelector('askfirst-placeholder').shadowRoot.querySelector('style').nonce`); got != "n0" {
		t.Errorf("the box's style has the nonce %q", got)
	}
	is("one that moves", `document.querySelector('main').prepend(document.querySelector('#friend-wall'))`,
		"friend social before friend-wall", "friend social before card", "meter analytics before meter")
	is("one that goes", `document.querySelector('#card').remove()`,
		"friend social before friend-wall", "meter analytics before meter")
	is("with analytics", `await askfirst.set(['analytics'])`, "friend social before friend-wall")
	is("what may act by now", `document.querySelector('main').append(document.createElement('meter-widget')); document.querySelector('main').append(Object.assign(document.createElement('p'), {className: 'friend-card', id: 'last'}))`,
		"friend social before friend-wall", "friend social before last")
	if got := w.third("/"); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}

	if !do[bool](t, ctx, see+`const f = document.body.appendChild(document.createElement('iframe')); f.src = 'https://tube.example/film'; f.width = 400; f.height = 200;
await until(() => f.srcdoc); return f.srcdoc.includes('<askfirst-placeholder')`) {
		t.Error("the frame shows no box")
	}
	last, _ := url.ParseQuery(w.boxed[len(w.boxed)-1])
	if last.Get("vendor") != "tube" || last.Get("category") != "marketing" || last.Get("height") != "200" || last.Get("language") != "en" || last.Get("return") != "/" {
		t.Errorf("the frame's box was asked for with %v", last)
	}
	is("loaded once", `document.querySelector('askfirst-placeholder').shadowRoot.querySelector('[data-askfirst=load]').click()`, "friend social before last")
	if got := w.await("/", 1); !slices.Equal(got, []string{"friend.example/sdk.js"}) {
		t.Errorf("asked for %q", got)
	}
}

// TestBigCommerceStarts: a tag of its that is released once the page has loaded waits
// for an event of its consent banner, as what comes before waits for the document.
func TestBigCommerceStarts(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<script type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">
self.started = 0;
function start(event) { started++; removeEventListener(event.type, start) }
addEventListener(document.readyState === 'complete' ? 'consentScriptsLoaded' : 'DOMContentLoaded', start);
</script>`))
	ctx := tab(t, browser(t, w), "/")
	if got := do[int](t, ctx, until+`await until(() => self.adder); await askfirst.set(['analytics']); await askfirst.set('accept-all'); return self.started`); got != 1 {
		t.Errorf("started %d times", got)
	}
}

// TestFrameworksGoOn where they would wait for what is held before they show
// anything, and add nothing anew that is in the page and held.
func TestFrameworksGoOn(t *testing.T) {
	w := newWorld(t)
	w.set("/", `<!DOCTYPE html><html lang="en"><head>`+guardElement+`
<script async type="text/plain" data-askfirst-src="https://meter.example/tag.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script></head><body>`+banner+`</body></html>`)
	ctx := tab(t, browser(t, w), "/")
	if !do[bool](t, ctx, until+`self.__next_s = [['https://meter.example/before.js', {}]];
const started = new Promise(resolve => document.head.append(Object.assign(document.createElement('script'), {src: __next_s[0][0], onload: () => resolve(true)})));
const other = document.head.appendChild(Object.assign(document.createElement('script'), {src: 'https://meter.example/other.js', onload: () => { self.otherLoaded = true }}));
const link = Object.assign(document.createElement('link'), {rel: 'stylesheet', href: 'https://meter.example/sheet.css'});
link.dataset.precedence = 'default';
const styled = new Promise(resolve => link.addEventListener('load', () => resolve(true)));
document.head.append(link);
const again = Object.assign(document.createElement('script'), {__reactMarker$1: true, async: true, src: 'https://meter.example/tag.js'});
document.head.append(again);
await until(() => !again.isConnected);
const sheet = Object.assign(document.createElement('link'), {rel: 'stylesheet', media: 'preload', href: 'https://meter.example/next.css'});
sheet.dataset.originalMedia = 'screen';
const paged = new Promise(resolve => sheet.addEventListener('load', () => resolve(true)));
document.head.append(sheet);
return await paged && sheet.media === 'screen' && await started && await styled && !self.otherLoaded`) {
		t.Error("a script that waits for no framework has loaded")
	}
	if got := w.third("/"); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
}

// TestKeptPagesAreForgotten as they were before the choice: Turbo would put what was
// held in their heads into the page again, where that has run, and Unpoly would run
// twice what was held in their bodies.
func TestKeptPagesAreForgotten(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	if got := do[string](t, ctx, `const told = [];
self.Turbo = {cache: {clear() { told.push('Turbo') }}};
self.up = {cache: {evict() { told.push('Unpoly') }}};
document.body.append(Object.assign(document.createElement('script'), {src: 'https://meter.example/tag.js'}));
await new Promise(f => setTimeout(f, 100));
await askfirst.set(['analytics']);
return told.join()`); got != "Turbo,Unpoly" {
		t.Errorf("told: %q", got)
	}
}

// TestBoxesAreDefined: pages hide elements that are not defined until they are, and
// is-land gives those in it other names.
func TestBoxesAreDefined(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<style>:not(:defined) { visibility: hidden }</style>`+heldFilm))
	ctx := tab(t, browser(t, w), "/")
	if !do[bool](t, ctx, until+`const box = document.querySelector('askfirst-placeholder');
await until(() => box.matches(':defined'));
return box.checkVisibility({visibilityProperty: true})`) {
		t.Error("the box is hidden")
	}
}

// TestBoxesMadeAnew by a framework after what it read of them, as WordPress's router
// does: what it makes of a declared tree is an empty template, or none. Such a box has
// its tree all the same, and after the choice shows what is in it.
func TestBoxesMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<script type="text/plain" data-askfirst-src="https://friend.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="friend"></script><main></main>`))
	ctx := tab(t, browser(t, w), "/")
	const make = until + `
const element = (name, attributes, ...within) => {
	const el = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) el.setAttribute(key, value);
	for (const child of within) el.appendChild(child);
	return el;
};
const main = document.querySelector('main');
const box = (vendor, category, size, ...within) => element('askfirst-placeholder', {'data-vendor': vendor, 'data-category': category, ...size}, ...within);
const fill = () => {
	main.textContent = '';
	const film = element('iframe', {width: 400, height: 200, 'data-askfirst-src': 'https://tube.example/film', 'data-askfirst-category': 'marketing', 'data-askfirst-vendor': 'tube'});
	const card = element('p', {class: 'friend-card', 'data-askfirst-category': 'social', 'data-askfirst-vendor': 'friend'});
	main.appendChild(element('div', {}, box('tube', 'marketing', {width: 400, height: 200}, element('template', {shadowrootmode: 'open'}), film), box('friend', 'social', {}), card));
};
const trees = () => [...main.querySelectorAll('askfirst-placeholder')].map(b => b.dataset.vendor + (b.shadowRoot?.querySelector('[data-askfirst=load]') ? ' asks' : ' asks nothing')).join();
`
	if got := do[string](t, ctx, make+`fill(); await until(() => !trees().includes('nothing')); return trees()`); got != "tube asks,friend asks" {
		t.Errorf("boxes: %s", got)
	}
	if got := w.third("/"); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
	if got := do[string](t, ctx, make+`await askfirst.set('accept-all'); fill();
await until(() => main.querySelector('iframe').clientHeight);
return main.querySelector('iframe').clientHeight + ' ' + main.querySelectorAll('askfirst-placeholder').length`); got != "200 1" {
		t.Errorf("after the choice, the frame's height and the boxes: %s", got)
	}
}

// TestBoxesMadeAlike: who makes a page like another node by node, as Alpine's morph
// does for Livewire, puts the declaration of a box's tree into the box that is there.
func TestBoxesMadeAlike(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<script type="text/plain" data-askfirst-src="https://friend.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="friend"></script>`+heldFilm+`
<askfirst-placeholder data-vendor="friend" data-category="social" class="friend-card"><template shadowrootmode="open"><p></p></template></askfirst-placeholder><p class="friend-card" data-askfirst-category="social" data-askfirst-vendor="friend"></p>`))
	ctx := tab(t, browser(t, w), "/")
	if got := do[int](t, ctx, until+`await until(() => self.adder);
for (const box of document.querySelectorAll('askfirst-placeholder')) {
	const tree = document.createElement('template');
	tree.innerHTML = '<button data-askfirst="load">Load</button>';
	box.insertBefore(tree, box.firstChild);
}
await until(() => !document.querySelector('askfirst-placeholder > template'));
document.querySelector('askfirst-placeholder').shadowRoot.querySelector('[data-askfirst=load]').click();
await until(() => document.querySelector('iframe').src);
await askfirst.set('accept-all');
return document.querySelectorAll('askfirst-placeholder').length`); got != 0 {
		t.Errorf("%d boxes after the choice", got)
	}
	if got := w.await("/film", 1); !slices.Equal(got, []string{"tube.example/film"}) {
		t.Errorf("loaded once: asked for %q", got)
	}
	// In a page that was fetched before the choice there is one still.
	if got := do[int](t, ctx, until+`document.body.insertAdjacentHTML('beforeend', '<askfirst-placeholder data-vendor="friend" data-category="social"><template shadowrootmode="open"><p></p></template></askfirst-placeholder><p class="friend-card"></p>');
await until(() => !document.querySelector('askfirst-placeholder'));
return document.querySelectorAll('askfirst-placeholder').length`); got != 0 {
		t.Errorf("%d boxes in a page from before the choice", got)
	}
}

// TestGatsbyScripts that were held as long as their page was there: Gatsby takes them
// out with it, and adds none of them a second time.
func TestGatsbyScripts(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	do[bool](t, ctx, until+`const add = (src, strategy) => {
	const script = document.createElement('script');
	if (strategy) script.dataset.strategy = strategy;
	script.src = src;
	return document.body.appendChild(script);
};
const scripts = [add('https://meter.example/page.js', 'post-hydrate'), add('https://adder.example/page.js', 'idle'), add('https://meter.example/other.js')];
await new Promise(f => new PerformanceObserver(seen => seen.getEntries().some(e => e.name.includes('.marks.')) && f()).observe({type: 'resource', buffered: true}));
await fetch('/barrier');
for (const script of scripts) script.remove();
await askfirst.set(['analytics']);
return true`)
	if got := w.await("/", 1); !slices.Equal(got, []string{"meter.example/page.js"}) {
		t.Errorf("asked for %q", got)
	}
}
