package web

import (
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
