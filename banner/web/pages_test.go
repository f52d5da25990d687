package web

import (
	"slices"
	"testing"
)

// TestBaseLeadsElsewhere: the proxy is asked where the page is from, whatever
// origin the page's <base> names.
func TestBaseLeadsElsewhere(t *testing.T) {
	w := newWorld(t)
	w.set("/based", `<!DOCTYPE html><html lang="en"><head>`+guardElement+`<base href="https://free.example/shop/"><title>Shop</title></head><body>
<script type="text/plain" data-askfirst-src="https://meter.example/based.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`+banner+`</body></html>`)
	ctx := tab(t, browser(t, w), "/based")
	do[bool](t, ctx, `document.cookie = '_meter=1';`+settle)
	got := do[[]string](t, ctx, until+control("accept-all")+`await until(() => self.ran); return [location.pathname, `+state+`, ...self.ran || []]`)
	if want := []string{"/based", "made", "meter.example/based.js"}; !slices.Equal(got, want) {
		t.Errorf("after the choice: %q, want %q", got, want)
	}
	if got := w.third("/_askfirst/"); len(got) > 0 {
		t.Errorf("the base's host was asked for %v", got)
	}
}

// TestFrameOfTheSitesOwn: the page around it asks, and the frame obeys.
func TestFrameOfTheSitesOwn(t *testing.T) {
	w := newWorld(t)
	w.set("/inner", document(`<script type="text/plain" data-askfirst-src="https://meter.example/inner.js" data-askfirst-category="analytics" data-askfirst-vendor="meter"></script>`))
	w.set("/outer", document(`<iframe src="/inner"></iframe>`))
	w.set("/frames", `<!DOCTYPE html><html><head>`+guardElement+`</head><frameset cols="*,*"><frame src="/inner"><frame src="/inner"></frameset></html>`)
	b := browser(t, w)
	ctx := tab(t, b, "/outer")
	got := do[[]string](t, ctx, until+`const inner = () => frames[0].document;
const banners = () => String(inner().querySelectorAll('askfirst-banner').length);
await until(() => inner().readyState === 'complete');
const before = banners();
`+control("accept-all")+`await until(() => frames[0].ran);
return [before, banners(), ...frames[0].ran || []]`)
	if want := []string{"0", "0", "meter.example/inner.js"}; !slices.Equal(got, want) {
		t.Errorf("in the frame: %q, want %q", got, want)
	}
	ctx = tab(t, b, "/frames")
	if got := do[int](t, ctx, until+`await until(() => frames[1].document.readyState === 'complete'); return frames[1].document.querySelectorAll('askfirst-banner').length`); got != 1 {
		t.Errorf("%d banners in a page that nothing but frames is around", got)
	}
}

// TestBannerStandsInNothingHidden: what the page has not closed takes in all that
// follows it.
func TestBannerStandsInNothingHidden(t *testing.T) {
	w := newWorld(t)
	b := browser(t, w)
	for _, open := range []string{`<div hidden>`, `<details><summary>More</summary>`, `<dialog>`, `<div style="transform:scale(.5)">`, `<a href="/">`, `<table><tr><td>`} {
		w.set("/open", document("<p>text</p>"+open+"inside"))
		ctx := tab(t, b, "/open")
		if got := do[string](t, ctx, `const el = document.querySelector('askfirst-banner'); return el.parentNode.localName + ' ' + el.shadowRoot.querySelector('.panel').checkVisibility()`); got != "body true" {
			t.Errorf("after %s the banner is in %s", open, got)
		}
	}
}

// TestPageThatTakesTheBannerAway: what a page will not have is not forced on it
// for ever.
func TestPageThatTakesTheBannerAway(t *testing.T) {
	w := newWorld(t)
	w.set("/away", document(`<script>
self.away = 0;
new MutationObserver(() => { for (const el of document.querySelectorAll('body > askfirst-banner')) if (++away < 100) el.remove() }).observe(document, { childList: true, subtree: true });
</script>`))
	ctx := tab(t, browser(t, w), "/away")
	do[bool](t, ctx, settle)
	if got := do[int](t, ctx, `return away`); got < 2 || got > 20 {
		t.Errorf("taken away %d times", got)
	}
}
