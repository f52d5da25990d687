package admin

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// operator is a browser that looks at the pages.
type operator struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	requested []string // addresses
	errors    []string // what the console and the pages complained of
}

// open starts a browser. It skips where there is none, unless
// ASKFIRST_BROWSER is "required".
func open(t *testing.T) *operator {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("ASKFIRST_BROWSER") == "required" {
			t.Fatal("no Chromium on this machine, and ASKFIRST_BROWSER=required")
		}
		t.Skip("no Chromium on this machine: browser tests need one")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	o := &operator{t: t}
	o.must(chromedp.Do(ctx)) // starts the browser
	o.ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	o.must(chromedp.Listen(o.ctx, o.listen))
	call(o, network.Enable, network.EnableParams{})
	call(o, runtime.Enable, cdp.Empty{})
	call(o, log.Enable, cdp.Empty{})
	call(o, page.Enable, page.EnableParams{})
	return o
}

func (o *operator) listen(ev any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		o.requested = append(o.requested, e.Request.URL)
	case *runtime.EventExceptionThrown:
		o.errors = append(o.errors, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		o.errors = append(o.errors, e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		o.errors = append(o.errors, "a dialog: "+e.Message)
	}
}

func (o *operator) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func call[P, R any](o *operator, c cdp.Command[P, R], p P) {
	o.t.Helper()
	_, err := chromedp.Run(o.ctx, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, c, p) })
	o.must(err)
}

// until waits until an expression is true in the page. A document that goes
// while it is asked is not the end: the one that comes is asked anew.
func (o *operator) until(expression string) {
	o.t.Helper()
	for {
		err := chromedp.Do(o.ctx, chromedp.Poll[chromedp.Void](expression))
		if gone := (*cdproto.Error)(nil); !errors.As(err, &gone) || o.ctx.Err() != nil {
			o.must(err)
			return
		}
	}
}

// quiet fails where a page complained or asked another host for something.
func (o *operator) quiet(base string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.errors {
		o.t.Error(e)
	}
	for _, u := range o.requested {
		if !strings.HasPrefix(u, base) && u != "about:blank" {
			o.t.Errorf("request to %s", u)
		}
	}
}

func TestNothingRunsInABrowser(t *testing.T) {
	a, store := newAdmin(t, Options{Contacts: func() []Contact { return []Contact{{Host: attack, Vendor: attack, Requests: 1}} }})
	store.Count(attack, []byte("/"+attack), 0, sighting(attack, consent.Analytics, attack, "/"+attack, audit.FiredAnyway))
	store.Count("shop", []byte("/"+attack), 0, sighting("", consent.Unclassified, attack, "/"+attack, audit.Passed))
	store.CountCookie(attack, []byte(attack), attack, consent.Marketing, attack, false)
	k := receipt(attack)
	k.Action, k.Language, k.RegimeRule, k.Browser, k.Vendors = attack, attack, attack, attack, []string{attack}
	if err := store.Record(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	o := open(t)
	for _, path := range append([]string{"/receipts/" + k.ID.String()}, paths...) {
		o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL+path)))
		o.until(`document.readyState === "complete"`)
	}
	o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL+"/")))
	o.until(`document.querySelector("[data-live-list] tbody td").textContent.includes("<script>")`)
	o.quiet(server.URL)
}

func TestLiveFiguresInABrowser(t *testing.T) {
	list := make(chan []Contact, 1)
	list <- nil
	a, store := newAdmin(t, Options{Contacts: func() []Contact { l := <-list; list <- l; return l }})
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	o := open(t)
	o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL+"/")))
	o.until(`document.querySelector("[data-live-count]").textContent === "0" && document.querySelector("[data-live-list]").hidden`)
	<-list
	list <- []Contact{{"www.google-analytics.com", "Google Analytics", 2, 1}, {"www.facebook.com", "Meta Pixel", 1, 1}}
	o.until(`document.querySelector("[data-live-count]").textContent === "2"
		&& document.querySelector("[data-live-requests]").textContent === "3"
		&& document.querySelector("[data-live-list]").checkVisibility()
		&& document.querySelectorAll("[data-live-list] tbody tr").length === 2`)
	store.Count("shop", []byte("/"), 0, sighting("hotjar", consent.Analytics, "static.hotjar.com", "/c/hotjar.js", audit.Held))
	o.until(`document.querySelector("[data-refresh]").textContent.includes("hotjar")`)
	o.quiet(server.URL)
}

// TestNarrowTablesShowWhatBecameOfTags: no number but 0 is left out of a row.
func TestNarrowTablesShowWhatBecameOfTags(t *testing.T) {
	a, store := newAdmin(t, Options{})
	store.Count("shop", []byte("/"), 0, sighting("youtube", consent.Marketing, "www.youtube.com", "/embed/x", audit.Boxed))
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	o := open(t)
	o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(390, 844)))
	for _, path := range []string{"/tags", "/vendors", "/pages"} {
		o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL+path)))
		o.until(`document.querySelector("td[data-title=Boxed]").checkVisibility() && !document.querySelector("td[data-title=Stripped]").checkVisibility()
			&& document.documentElement.scrollWidth <= innerWidth`)
	}
	o.quiet(server.URL)
}
