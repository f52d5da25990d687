package web

import (
	"slices"
	"strings"
	"testing"
)

// TestBannerOutlivesManyPages that a framework swaps in: each body is fetched
// without a banner. A page that takes the banner out again at once is let have it
// so, for a while.
func TestBannerOutlivesManyPages(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	if got := do[int](t, ctx, `for (let page = 0; page < 12; page++) {
	document.body.replaceWith(document.createElement('body'));
	await new Promise(f => setTimeout(f, 150));
}
return document.body.querySelectorAll('askfirst-banner').length`); got != 1 {
		t.Errorf("%d banners on the thirteenth page", got)
	}
	if got := do[int](t, ctx, `let times = 0;
const watch = new MutationObserver(() => document.querySelector('askfirst-banner')?.remove() ?? times++);
watch.observe(document.body, {childList: true});
document.querySelector('askfirst-banner').remove();
await new Promise(f => setTimeout(f, 300));
watch.disconnect();
return times`); got > 20 {
		t.Errorf("the banner was put back %d times in a moment", got)
	}
}

// TestPageFromBeforeTheChoice that is swapped in after it, as a router keeps pages
// that it has fetched, and browsers' histories of htmx do: what is in a box comes
// out of it.
func TestPageFromBeforeTheChoice(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	if got := do[string](t, ctx, `const page = '<main>`+heldFilm+`</main>';
await askfirst.set('accept-all');
document.body.insertAdjacentHTML('beforeend', page);
document.body.append(document.createRange().createContextualFragment(page));
document.body.append(new DOMParser().parseFromString(page, 'text/html').querySelector('main'));
await new Promise(f => setTimeout(f, 60));
return [...document.querySelectorAll('iframe')].map(f => f.parentNode.localName + ' ' + f.clientHeight).join() + ' ' + document.querySelectorAll('askfirst-placeholder').length`); got != "main 200,main 200,main 200 0" {
		t.Errorf("frames in %s boxes", got)
	}
	want := []string{"tube.example/film", "tube.example/film", "tube.example/film"}
	if got := w.await("/film", len(want)); !slices.Equal(got, want) {
		t.Errorf("asked for %q", got)
	}
}

// heldFilm is a film as the proxy holds it, in its box.
const heldFilm = `<askfirst-placeholder data-vendor="tube" data-category="marketing"><template shadowrootmode="open"><button data-askfirst="load">Load</button></template><iframe width="400" height="200" data-askfirst-src="https://tube.example/film" data-askfirst-category="marketing" data-askfirst-vendor="tube"></iframe></askfirst-placeholder>`

// TestWhatIsHydratedHasNoBoxes when the framework's script runs, which sets addresses
// anew as it takes up what is there: each box is shown in its frame, once it is known
// whose it is.
func TestWhatIsHydratedHasNoBoxes(t *testing.T) {
	for name, page := range map[string]string{
		"Angular":      `<app-root ngh="0"><div>` + heldFilm + `</div></app-root>`,
		"Docusaurus":   `<div id="__docusaurus"><div>` + heldFilm + `</div></div>`,
		"Solid":        `<main data-hk="0000"><div>` + heldFilm + `</div></main>`,
		"React Router": `<link rel="modulepreload" href="/assets/entry.client-C0ffee00.js"><div>` + heldFilm + `</div>`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set("/page", document(page+`<script type="module">
const frame = document.querySelector('iframe');
self.came = frame.parentNode.localName;
frame.src = 'https://tube.example/film';
</script>`))
			ctx := tab(t, browser(t, w), "/page")
			if got := do[string](t, ctx, until+`await until(() => document.querySelector('iframe').srcdoc.includes('askfirst-placeholder')); return came`); got != "div" {
				t.Errorf("the frame is in %s", got)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, query := range w.boxed {
				if strings.Contains(query, "unknown") {
					t.Errorf("a box was asked for by %s", query)
				}
			}
		})
	}
}

// TestIslands: what Astro's islands hydrate has no boxes in it, in the page as it
// came and in one that Astro's router swaps in. What is about them keeps its own.
func TestIslands(t *testing.T) {
	w := newWorld(t)
	w.set("/page", document(`<script>
const parents = () => [...document.querySelectorAll('iframe')].map(f => f.parentNode.localName).join();
customElements.define('astro-island', class extends HTMLElement { connectedCallback() { Promise.resolve().then(() => self.swapped = parents()) } })
document.addEventListener('DOMContentLoaded', () => self.came = parents())</script>
<main><astro-island><div>`+heldFilm+`</div></astro-island>`+heldFilm+`</main>`))
	ctx := tab(t, browser(t, w), "/page")
	const want = "div,askfirst-placeholder"
	if got := do[string](t, ctx, `return came`); got != want {
		t.Errorf("as the page came, frames are in %s", got)
	}
	if got := do[string](t, ctx, `const next = await (await fetch('/page')).text();
document.body.replaceWith(new DOMParser().parseFromString(next, 'text/html').body);
await new Promise(f => setTimeout(f, 60));
return swapped + ' ' + parents()`); got != want+" "+want {
		t.Errorf("once swapped in, frames are in %s", got)
	}
	if got := w.third("/"); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
}
