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
