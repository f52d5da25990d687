package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// secureShop has the browser take shop.test for a place as safe as one that is
// come by over https, so that it heeds what is for such places alone.
var secureShop = chromedp.Flag("unsafely-treat-insecure-origin-as-secure", shop)

// goesBack presses the browser's back button and waits for the page. It reports
// whether that is the page as it was left, out of the back/forward cache.
func (v *visitor) goesBack() (asItWas bool) {
	v.t.Helper()
	history := call(v, page.GetNavigationHistory, cdp.Empty{})
	before := page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID}
	shown := func(e page.EventFrameNavigated) bool { return e.Frame.ParentID == "" }
	e, err := chromedp.Run(v.ctx, chromedp.WaitEvent(page.FrameNavigated, shown, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.NavigateToHistoryEntry, before)
		return err
	})))
	v.must(err)
	return e.Type == page.NavigationTypeBackForwardCacheRestore
}

// TestBackButtonDoesNotAskAgain goes back to pages that asked, after a choice was
// made on a later one.
func TestBackButtonDoesNotAskAgain(t *testing.T) {
	site := serve(`<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><a href="/b">b</a></body></html>`)
	s := raise(t, site)
	asked := func(v *visitor) {
		t.Helper()
		if v.sees(rejectAll) != 0 || v.sees(reopen) != 1 {
			t.Errorf("at %s the question can be seen %d times, the way back to it %d", v.location(), v.sees(rejectAll), v.sees(reopen))
		}
	}
	t.Run("with scripts", func(t *testing.T) {
		v := visit(t, s)
		v.open("/")
		v.open("/b")
		v.click(rejectAll)
		v.chosen()
		if !v.goesBack() {
			t.Error("the page is made anew: nothing may keep it out of the browser's cache")
		}
		v.chosen()
		asked(v)
	})
	t.Run("without scripts", func(t *testing.T) {
		v := visitAt(t, s, s.proxy, secureShop)
		v.withoutScripts()
		v.open("/a")
		v.open("/b")
		if !v.goesBack() {
			t.Fatal("without a choice the page is not kept as it was")
		}
		v.open("/b")
		v.navigates(v.clicking(rejectAll))
		asked(v)
		for _, at := range []string{"/b", "/a"} {
			v.goesBack()
			if got := v.location(); got != shop+at {
				t.Fatalf("back is at %s, want %s", got, at)
			}
			// A page without scripts has no timers by which until could look again.
			for !eval[bool](v, `document.readyState === "complete"`) {
			}
			asked(v)
		}
	})
}
