package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// heldPage is what the proxy makes of a page with tags of every sort.
var heldPage = document(`
<script type="text/plain" data-askfirst-src="https://meter.example/1.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">(self.ran=self.ran||[]).push('inline 2')</script>
<script type="text/plain" data-askfirst-src="https://adder.example/3.js" data-askfirst-category="marketing" data-askfirst-vendor="adder"></script>
<img data-askfirst-src="https://meter.example/4.gif" alt="" data-askfirst-category="analytics" data-askfirst-vendor="meter">
<script defer type="text/plain" data-askfirst-src="https://meter.example/9.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script data-askfirst-type="module" type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">(self.ran=self.ran||[]).push('module 10')</script>
<script type="text/plain" data-askfirst-src="https://meter.example/5.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">self.ran.push('inline 6 after '+self.ran.at(-1))</script>
<script type="text/plain" data-category="analytics">self.ran.push('parked 7')</script>
<link data-askfirst-href="https://meter.example/8.css" rel="stylesheet" data-askfirst-category="analytics" data-askfirst-vendor="meter">
<a data-askfirst-ping="https://meter.example/ping" href="/" data-askfirst-category="analytics" data-askfirst-vendor="meter">a</a>
<askfirst-placeholder data-vendor="tube" data-category="marketing"><template shadowrootmode="open"><form method="post" action="/_askfirst/consent"><button data-askfirst="load" name="choice" value="once">Load</button><button data-askfirst="always" name="choice" value="always">Always</button></form></template><iframe id="film" data-askfirst-src="https://tube.example/embed" data-askfirst-category="marketing" data-askfirst-vendor="tube"></iframe></askfirst-placeholder>
<askfirst-placeholder data-vendor="tube" data-category="marketing"><template shadowrootmode="open"><form method="post" action="/_askfirst/consent"><button data-askfirst="load" name="choice" value="once">Load</button></form></template><iframe data-askfirst-src="https://tube.example/other" data-askfirst-category="marketing" data-askfirst-vendor="tube"></iframe></askfirst-placeholder>
<askfirst-placeholder data-vendor="friend" data-category="social"><template shadowrootmode="open"><form method="post" action="/_askfirst/consent"><button data-askfirst="load" name="choice" value="once">Load</button></form></template></askfirst-placeholder><div class="friend-like" data-askfirst-category="social" data-askfirst-vendor="friend"></div>
<script async type="text/plain" data-askfirst-src="https://friend.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="friend"></script>
`)

// ran is in what order scripts ran.
const ran = `return self.ran || []`

// asked is what the page asked third parties for, in the order in which it did,
// once there is as much of it as wanted. What a frame is asked for is told when
// it has come.
func asked(want []string) string {
	return fmt.Sprintf(`const all = () => performance.getEntriesByType('resource').sort((a, b) => a.startTime - b.startTime).map(e => e.name.replace('https://', '')).filter(n => !n.startsWith('shop.'))
		await new Promise(done => { const look = () => all().length >= %d && done(); new PerformanceObserver(look).observe({ type: 'resource' }); look() })
		return all()`, len(want))
}

func TestReleaseInDocumentOrder(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/held")
	do[bool](t, ctx, settle)
	if got := w.third("/"); len(got) > 0 {
		t.Fatalf("before consent: %v", got)
	}
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	wantRan := []string{"meter.example/1.js", "inline 2", "meter.example/5.js", "inline 6 after meter.example/5.js", "parked 7", "meter.example/9.js", "module 10"}
	if got := do[[]string](t, ctx, ran); !slices.Equal(got, wantRan) {
		t.Errorf("ran %q, want %q", got, wantRan)
	}
	want := []string{"meter.example/1.js", "meter.example/4.gif", "meter.example/5.js", "meter.example/8.css", "meter.example/9.js"}
	w.await("/", len(want))
	do[bool](t, ctx, settle)
	if got := do[[]string](t, ctx, asked(want)); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	left := do[string](t, ctx, `return [...document.querySelectorAll('[data-askfirst-category]')].map(e => e.dataset.askfirstCategory).join()`)
	if left != "marketing,marketing,marketing,social,social" {
		t.Errorf("still held: %s", left)
	}
	do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
	want = append(want, "adder.example/3.js", "tube.example/embed", "tube.example/other", "friend.example/sdk.js")
	w.await("/", len(want))
	do[bool](t, ctx, settle)
	if got := do[[]string](t, ctx, asked(want)); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	if got := w.await("/", len(want)); len(got) != len(want) {
		t.Errorf("the network saw %q, want %d requests", got, len(want))
	}
	if got := do[string](t, ctx, `return [...document.querySelectorAll('askfirst-placeholder,[data-askfirst-category],[type="text/plain"],a:not([ping="https://meter.example/ping"])')].map(e => e.outerHTML).join('\n')`); got != "" {
		t.Errorf("not as the site wrote it:\n%s", got)
	}
}

// TestAsyncScriptsAreNotWaitedFor: what follows one asks for its own while it is
// on its way, as on a normal load.
func TestAsyncScriptsAreNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.set("/async", document(`<script async type="text/plain" data-askfirst-src="https://meter.example/async.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-src="https://meter.example/next.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`))
	ctx := tab(t, browser(t, w), "/async")
	got := do[[]string](t, ctx, `await askfirst.set(['analytics']);
const [first, next] = ['async', 'next'].map(name => performance.getEntriesByName('https://meter.example/' + name + '.js')[0]);
return [...ran].sort().concat(next.startTime < first.responseEnd ? 'together' : 'one after the other')`)
	if want := []string{"meter.example/async.js", "meter.example/next.js", "together"}; !slices.Equal(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
}

// TestNomoduleIsNotWaitedFor: a browser that knows modules never runs it, nor says
// that it has not.
func TestNomoduleIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.set("/nomodule", document(`<script nomodule type="text/plain" data-askfirst-src="https://meter.example/old.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-src="https://meter.example/next.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`))
	ctx := tab(t, browser(t, w), "/nomodule")
	got := do[string](t, ctx, `const began = performance.now(); await askfirst.set(['analytics']); return ran + (performance.now() - began < 8000 ? '' : ', late')`)
	if got != "meter.example/next.js" {
		t.Errorf("ran %s", got)
	}
}

// TestWhatALoaderRunsIsLoadedAgain: it has run what it found when the page was
// loaded, or when the visitor first moved the mouse.
func TestWhatALoaderRunsIsLoadedAgain(t *testing.T) {
	w := newWorld(t)
	b := browser(t, w)
	for path, source := range map[string]string{"/source": `data-askfirst-src="https://meter.example/loader.js"`, "/rocket": `data-askfirst-data-rocket-src="https://meter.example/loader.js"`} {
		w.set(path, document(`<script data-askfirst-type="rocketlazyloadscript" `+source+` type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`))
		ctx := tab(t, b, path)
		leave(t, ctx, `void askfirst.set(['analytics'])`)
	}
}

func TestDocumentWriteOfReleasedScripts(t *testing.T) {
	w := newWorld(t)
	w.set("/write", document(`<p id="top">top</p>
<script type="text/plain" data-askfirst-src="https://meter.example/w.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-src="https://meter.example/next.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script><p id="end">end</p>`))
	w.script("meter.example/next.js", `ran.push('next'); document.write('<b id="b">bold</b>')`)
	w.script("meter.example/w.js", `self.ran=['w'];
document.write('<i id="i">written</i><scr'+'ipt>ran.push("inline in written")</scr'+'ipt>');
document.write('<scr'+'ipt src="https://meter.example/inner.js"></scr'+'ipt><scr'+'ipt>ran.push("after inner")</scr'+'ipt>');
document.write('<scr'+'ipt src="https://adder.example/held.js"></scr'+'ipt>')`)
	ctx := tab(t, browser(t, w), "/write")
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	want := []string{"w", "inline in written", "meter.example/inner.js", "after inner", "next"}
	if got := do[[]string](t, ctx, ran); !slices.Equal(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
	order := do[string](t, ctx, `return [...document.querySelectorAll('#top,#i,#b,#end')].map(e => e.id).join()`)
	if order != "top,i,b,end" {
		t.Errorf("the page reads %s", order)
	}
	if got := w.third("/held"); len(got) > 0 {
		t.Errorf("what was written was not held: %v", got)
	}
	do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
	if got := w.await("/held", 1); len(got) != 1 {
		t.Errorf("asked for %v, want one", got)
	}
}

func TestDocumentWriteWhileParsing(t *testing.T) {
	w := newWorld(t)
	w.set("/parse", document(`<p id="top">top</p><script>
document.write('<div id="d"><scr' + 'ipt src="https://meter.example/a.js">');
document.write('</scr' + 'ipt><img src="https://meter.example/a.gif"><b');
document.write(' id="b">bold</b>a < b</div>');
document.write('<scr' + 'ipt>self.own = 1</scr' + 'ipt>');
</script><p id="end">end</p>`))
	ctx := tab(t, browser(t, w), "/parse")
	do[bool](t, ctx, settle)
	if got := w.third("/"); len(got) > 0 {
		t.Fatalf("before consent: %v", got)
	}
	if got := do[string](t, ctx, `return [...document.querySelectorAll('#top,#d,#d #b,#end')].map(e => e.id).join() + document.querySelector('#d').textContent + self.own`); got != "top,d,b,endbolda < b1" {
		t.Errorf("the page reads %q", got)
	}
	do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
	if got := w.await("/", 2); !slices.Equal(got, []string{"meter.example/a.js", "meter.example/a.gif"}) {
		t.Errorf("asked for %v", got)
	}
}

func TestLifeEventsOfReleasedScripts(t *testing.T) {
	w := newWorld(t)
	w.set("/life", document(`<script>self.ran=[]; addEventListener('load', () => ran.push('own load'))</script>
<script type="text/plain" data-askfirst-src="https://meter.example/life.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>
<script type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">window.onload = () => ran.push('onload')</script>`))
	w.script("meter.example/life.js", `
document.addEventListener('DOMContentLoaded', e => ran.push('content ' + e.type + (e.target === document)));
addEventListener('load', e => ran.push('loaded ' + e.type));
ran.push('run')`)
	ctx := tab(t, browser(t, w), "/life")
	do[bool](t, ctx, settle+`;`)
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	want := []string{"own load", "run", "content DOMContentLoadedtrue", "loaded load", "onload"}
	if got := do[[]string](t, ctx, ran); !slices.Equal(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestLoadOnce(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/held")
	press := func(box int, control string) {
		t.Helper()
		do[bool](t, ctx, `document.querySelectorAll('askfirst-placeholder')[`+string(rune('0'+box))+`].shadowRoot.querySelector('[data-askfirst=`+control+`]').click();`+settle)
	}
	press(2, "load") // the mark: its vendor's scripts come with it
	press(0, "load") // one film of two
	want := []string{"friend.example/sdk.js", "tube.example/embed"}
	if got := w.await("/", len(want)); !slices.Equal(got, want) {
		t.Fatalf("asked for %q, want %q", got, want)
	}
	if len(w.choices) > 0 {
		t.Errorf("a choice was sent: %v", w.choices)
	}
	press(0, "load") // the other film, now the first box left
	if got := w.await("/other", 1); len(got) != 1 {
		t.Errorf("asked for %q, want one", got)
	}
}

// TestLoadOnceLetsInWhatFillsTheMark: the script of a widget goes by another ID of
// the same vendor's.
func TestLoadOnceLetsInWhatFillsTheMark(t *testing.T) {
	w := newWorld(t)
	w.set("/mark", document(`<script type="text/plain" data-askfirst-src="https://friend.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="friend-sdk"></script>
<script type="text/plain" data-askfirst-src="https://other.example/sdk.js" data-askfirst-category="social" data-askfirst-vendor="other-sdk"></script>
<askfirst-placeholder data-vendor="friend-like" data-category="social"><template shadowrootmode="open"><button data-askfirst="load">Load</button></template></askfirst-placeholder><div class="friend-like" data-askfirst-category="social" data-askfirst-vendor="friend-like"></div>`))
	ctx := tab(t, browser(t, w), "/mark")
	do[bool](t, ctx, `document.querySelector('askfirst-placeholder').shadowRoot.querySelector('[data-askfirst=load]').click();`+settle)
	if got := w.await("/", 1); !slices.Equal(got, []string{"friend.example/sdk.js"}) {
		t.Errorf("asked for %q", got)
	}
}

func TestAlways(t *testing.T) {
	w := newWorld(t)
	w.set("/held", heldPage)
	ctx := tab(t, browser(t, w), "/held")
	do[bool](t, ctx, `await askfirst.set(['functional']);
document.querySelector('askfirst-placeholder').shadowRoot.querySelector('[data-askfirst=always]').click();`+settle)
	want := []string{"adder.example/3.js", "tube.example/embed", "tube.example/other"}
	// Two frames may arrive in either order.
	if got := slices.Sorted(slices.Values(w.await("/", len(want)))); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	if got := do[string](t, ctx, `return askfirst.get().categories.join()`); got != "functional,marketing" {
		t.Errorf("agreed to %s", got)
	}
}

func TestContainerAndItsTags(t *testing.T) {
	w := newWorld(t)
	w.set("/crate", document(`<script type="text/plain" data-askfirst-src="https://crate.example/c.js" data-askfirst-category="marketing" data-askfirst-vendor="crate"></script>`))
	w.script("crate.example/c.js", `for (const u of ['https://meter.example/m.js', 'https://adder.example/a.js', 'https://friend.example/f.js']) {
	const s = document.createElement('script'); s.src = u; document.head.appendChild(s) }`)
	ctx := tab(t, browser(t, w), "/crate")
	do[bool](t, ctx, settle)
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	if got := w.await("/", 2); !slices.Equal(got, []string{"crate.example/c.js", "meter.example/m.js"}) {
		t.Errorf("asked for %v", got)
	}
	do[bool](t, ctx, `await askfirst.set(['analytics', 'social']);`+settle)
	if got := strings.Join(w.await("/", 3), " "); got != "crate.example/c.js meter.example/m.js friend.example/f.js" {
		t.Errorf("asked for %v", got)
	}
}

// TestFrameOfSeveralCategories releases of what is held in a frame's document that alone
// which was agreed to.
func TestFrameOfSeveralCategories(t *testing.T) {
	w := newWorld(t)
	w.set("/mixed", document(`<iframe data-askfirst-srcdoc="x" srcdoc="<img data-askfirst-src='https://adder.example/a.gif' data-askfirst-category='marketing' data-askfirst-vendor='adder'><script type='text/plain' data-askfirst-src='https://friend.example/sdk.js' data-askfirst-category='social' data-askfirst-vendor='friend'></script>"></iframe>`))
	ctx := tab(t, browser(t, w), "/mixed")
	do[bool](t, ctx, settle)
	do[bool](t, ctx, `await askfirst.set(['social']);`+settle)
	if got := w.await("/", 1); !slices.Equal(got, []string{"friend.example/sdk.js"}) {
		t.Errorf("asked for %q", got)
	}
	do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
	if got := w.await("/", 2); len(got) != 2 || !slices.Contains(got, "adder.example/a.gif") {
		t.Errorf("asked for %q", got)
	}
}

// TestChoiceReachesFrames has what waits in a page of the site's own, shown in a frame
// with a guard of its own, released with what waits about it.
func TestChoiceReachesFrames(t *testing.T) {
	w := newWorld(t)
	w.pages["/outer"] = document(`<iframe src="/inner"></iframe>`)
	w.pages["/inner"] = document(`<iframe src="/"></iframe>`)
	ctx := tab(t, browser(t, w), "/outer")
	do[bool](t, ctx, `
const inner = frames[0], innermost = inner.frames[0];
for (const [name, win] of Object.entries({inner, innermost})) {
	const i = win.document.createElement('img');
	i.src = 'https://meter.example/' + name + '.gif';
	win.document.body.append(i);
}
`+settle)
	if got := w.third("inner"); len(got) > 0 {
		t.Errorf("before consent: %v", got)
	}
	do[bool](t, ctx, `await askfirst.set('accept-all');`+settle)
	if got := w.await("inner", 2); len(got) != 2 {
		t.Errorf("after consent: %v", got)
	}
}
