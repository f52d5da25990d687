package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// visitor is a browser with nothing stored.
type visitor struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	requested []string // addresses of all requests, in order
	errors    []string // uncaught exceptions in pages
	frame     cdp.FrameID
	idle      chan cdp.LoaderID // the frame's pages whose network went idle
}

// visit opens a browser in which shop.test is askfirst and every other host is
// a third party. It skips where there is no browser, unless ASKFIRST_BROWSER
// is "required".
func visit(t *testing.T, s *stage) *visitor { return visitAt(t, s, s.proxy) }

// visitAt is visit with another address for shop.test, and more said to the
// browser as it starts.
func visitAt(t *testing.T, s *stage, address string, more ...chromedp.ExecAllocatorOption) *visitor {
	t.Helper()
	path := browserPath()
	if path == "" {
		if os.Getenv("ASKFIRST_BROWSER") == "required" {
			t.Fatal("no Chromium on this machine, and ASKFIRST_BROWSER=required")
		}
		t.Skip("no Chromium on this machine: browser tests need one")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", resolver(s, address)),
		chromedp.Flag("gaia-url", "https://gaia.invalid/"),
	)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(flags, more...)...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)

	v := &visitor{t: t, ctx: ctx, idle: make(chan cdp.LoaderID, 64)}
	v.must(chromedp.Do(ctx)) // starts the browser
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	v.ctx = ctx
	v.frame = call(v, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.ID
	v.must(chromedp.Listen(ctx, v.listen))
	call(v, network.Enable, network.EnableParams{})
	call(v, runtime.Enable, cdp.Empty{})
	call(v, page.SetLifecycleEventsEnabled, page.SetLifecycleEventsEnabledParams{Enabled: true})
	return v
}

// resolver leads shop.test to askfirst and all else to the third parties, but
// for what the browser asks of its maker on its own account.
func resolver(s *stage, address string) string {
	rules := []string{"MAP shop.test " + address}
	for _, host := range []string{"gaia.invalid", "update.googleapis.com", "content-autofill.googleapis.com", "optimizationguide-pa.googleapis.com", "safebrowsing.googleapis.com", "clients2.google.com"} {
		rules = append(rules, "MAP "+host+" ~NOTFOUND")
	}
	if s.parties != "" {
		rules = append(rules, "MAP * "+s.parties)
	}
	return strings.Join(rules, ", ")
}

func browserPath() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (v *visitor) listen(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		v.requested = append(v.requested, e.Request.URL)
	case *runtime.EventExceptionThrown:
		v.errors = append(v.errors, exceptionText(e.ExceptionDetails))
	case *page.EventLifecycleEvent:
		if e.Name == "networkIdle" && e.FrameID == v.frame {
			select {
			case v.idle <- e.LoaderID:
			default:
			}
		}
	}
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

func (v *visitor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](v *visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	result, err := chromedp.Call(v.ctx, command, params)
	v.must(err)
	return result
}

// open goes to a page of the shop and waits until its network is idle.
func (v *visitor) open(path string) {
	v.t.Helper()
	v.navigates(chromedp.Navigate(shop + path))
}

// navigates does what leads to another page and waits until the network of
// that page is idle.
func (v *visitor) navigates(lead chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	before := v.loader()
	for len(v.idle) > 0 {
		<-v.idle
	}
	v.must(chromedp.Do(v.ctx, lead))
	for loaded := before; loaded == before; {
		select {
		case loaded = <-v.idle:
		case <-v.ctx.Done():
			v.t.Fatal("the page's network did not become idle")
		}
	}
}

// loader returns what stands for the page among the browser's events.
func (v *visitor) loader() cdp.LoaderID {
	v.t.Helper()
	return call(v, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.LoaderID
}

// beforePages runs a script in every page before its own.
func (v *visitor) beforePages(script string) {
	v.t.Helper()
	call(v, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// withoutScripts turns JavaScript off.
func (v *visitor) withoutScripts() {
	v.t.Helper()
	call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// eval runs an expression in the page, awaits it, and decodes its value.
func eval[T any](v *visitor, expression string) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// deep finds elements in the page and in its open shadow trees.
const deep = `(selector, root = document) => {
	const found = [...root.querySelectorAll(selector)];
	for (const host of root.querySelectorAll("*")) if (host.shadowRoot) found.push(...host.shadowRoot.querySelectorAll(selector));
	return found;
}`

// sees counts the controls that a selector finds and that can be seen.
func (v *visitor) sees(selector string) int {
	v.t.Helper()
	return eval[int](v, fmt.Sprintf(`(%s)(%q).filter(e => e.checkVisibility({visibilityProperty: true})).length`, deep, selector))
}

// click presses the first visible control that a selector finds, as a mouse
// does.
func (v *visitor) click(selector string) {
	v.t.Helper()
	at := v.find(selector)
	v.must(chromedp.Do(v.ctx, chromedp.MouseClickXY(at.X, at.Y)))
}

type point struct{ X, Y float64 }

// find returns the middle of an element that can be seen, where it has come to
// rest: who clicks on what still slides in may miss it.
func (v *visitor) find(selector string) point {
	v.t.Helper()
	return eval[point](v, fmt.Sprintf(`(() => {
		const e = (%s)(%q).find(e => e.checkVisibility({visibilityProperty: true}));
		if (!e) throw new Error("nothing visible is " + %[2]q);
		for (let n = e; n; n = n.parentElement) n.getAnimations().forEach(a => a.finish());
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect();
		return {X: r.x + r.width / 2, Y: r.y + r.height / 2};
	})()`, deep, selector))
}

// until waits for an expression to become true. A document that goes while it
// is asked is not the end: the one that comes is asked anew. chromedp's own Poll
// waits for ever where it has lost the page that the browser put back out of its
// back/forward cache.
func (v *visitor) until(expression string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 20*time.Second)
	defer cancel()
	poll := chromedp.Evaluate[bool](fmt.Sprintf(`new Promise((is, fails) => {
		const look = () => {
			try { (%s) ? is(true) : setTimeout(look, 20) } catch (e) { fails(e) }
		};
		look();
	})`, expression), chromedp.EvalAwaitPromise)
	for {
		_, err := chromedp.Run(ctx, poll)
		if err == nil {
			return
		}
		if gone := (*cdproto.Error)(nil); !errors.As(err, &gone) || ctx.Err() != nil {
			v.t.Fatalf("waiting for %s: %v", expression, err)
		}
	}
}

// settle waits until the page's own timers, fetches and image loads that are
// due have gone out: two frames and a round trip to the site.
func (v *visitor) settle() {
	v.t.Helper()
	eval[bool](v, `(async () => {
		for (let i = 0; i < 3; i++) {
			await new Promise(r => setTimeout(r, 0));
			await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
			await fetch("/icon.svg", {cache: "no-store"});
		}
		return true;
	})()`)
}

// chosen waits until the banner has taken a choice.
func (v *visitor) chosen() {
	v.t.Helper()
	v.until(`document.querySelector("askfirst-banner")?.dataset.askfirstState === "made"`)
}

// cookies lists the names of all cookies that the browser keeps, by domain.
func (v *visitor) cookies() []string {
	v.t.Helper()
	var names []string
	for _, c := range call(v, storage.GetCookies, storage.GetCookiesParams{}).Cookies {
		names = append(names, strings.TrimPrefix(c.Domain, ".")+" "+c.Name)
	}
	slices.Sort(names)
	return names
}

// foreign lists the requests that the browser made to anybody but the shop.
func (v *visitor) foreign() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []string
	for _, address := range v.requested {
		if !strings.HasPrefix(address, shop+"/") && !strings.HasPrefix(address, "data:") && !strings.HasPrefix(address, "blob:") && !strings.HasPrefix(address, "about:") {
			list = append(list, address)
		}
	}
	return list
}

// exceptions lists what scripts threw and nobody caught.
func (v *visitor) exceptions() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.errors)
}

// heldTag is a tag as the page carries it.
type heldTag struct {
	Address string
	Script  bool
	// Late scripts run when the page has been read: deferred ones and modules.
	Late bool
}

// held lists the held tags of the page that have an address to request and
// are not left to wait until they come into view, in document order.
func (v *visitor) held() []heldTag {
	v.t.Helper()
	return eval[[]heldTag](v, `[...document.querySelectorAll("[data-askfirst-src]:not([loading=lazy]),link[rel=stylesheet][data-askfirst-href]")].map(e => ({
		Address: new URL(e.dataset.askfirstSrc || e.dataset.askfirstHref, document.baseURI).href.split("#")[0],
		Script: e.localName === "script",
		Late: e.localName === "script" && (e.defer && !e.async || e.dataset.askfirstType === "module"),
	}))`)
}
