package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules/consent"
)

// evasions is a page whose scripts and style sheets reach third parties by ways
// that neither the rewriter nor the guard sees. Each third party is of its own.
var evasions = map[string]string{
	"/": `<!doctype html><html lang="en"><head><title>Shop</title><link rel="stylesheet" href="/style.css"></head><body><h1>Shop</h1><iframe></iframe>
<script type="module" src="/module.js"></script>
<script>
	window.did = {inline: true};
	did.eval = eval("1 + 1") === 2;
	const img = (name, src) => { const i = new Image(); i.onload = () => did[name] = true; i.src = src; document.body.append(i) };
	const dot = "R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
	img("data", "data:image/gif;base64," + dot);
	img("blob", URL.createObjectURL(new Blob([Uint8Array.from(atob(dot), c => c.charCodeAt(0))], {type: "image/gif"})));
	document.body.style.cssText = "margin: 0";
	const worker = (name, w) => { w.onmessage = e => did[name] = e.data; };
	worker("worker", new Worker("/worker.js"));
	worker("blobWorker", new window[0].Worker(URL.createObjectURL(new Blob(["fetch(location.origin + '/own').then(() => postMessage('own')); fetch('https://blob.unheard.example/').catch(() => 0)"]))));
	const shared = new SharedWorker("/shared.js");
	worker("shared", shared.port);
	shared.port.start();
	import("https://import.unheard.example/x.js").catch(() => did.refused = true);
	window[0].fetch("https://frame.unheard.example/").catch(() => 0);
	document.body.style.backgroundImage = "url(https://style.unheard.example/x.png)";
	const socket = new WebSocket("ws://" + location.host + "/socket");
	socket.onopen = socket.onerror = () => did.socket = true;
</script></body></html>`,
	"/module.js": `import "https://static-import.unheard.example/x.js"`,
	"/style.css": `@import "https://css-import.unheard.example/x.css"; h1 { background: url(https://css.unheard.example/x.png) }`,
	"/worker.js": `fetch("https://worker.unheard.example/").catch(() => 0); try { importScripts("https://scripts.unheard.example/x.js") } catch {} fetch("/own").then(() => postMessage("own"))`,
	"/shared.js": `onconnect = e => { fetch("https://shared.unheard.example/").catch(() => 0); fetch("/own").then(() => e.ports[0].postMessage("own")) }`,
	"/own":       "own",
	"/icon.svg":  "own",
}

func evade(w http.ResponseWriter, r *http.Request) {
	text, ok := evasions[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch {
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	case strings.HasSuffix(r.URL.Path, ".js"):
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Cache-Control", "public, max-age=3600")
	case strings.HasSuffix(r.URL.Path, ".css"):
		w.Header().Set("Content-Type", "text/css")
	}
	io.WriteString(w, text)
}

// unheard are the third parties that the page tries to reach.
var unheard = []string{"blob", "css", "css-import", "frame", "import", "scripts", "shared", "static-import", "style", "worker"}

// reachedUnheard waits until all that the page does of its own has happened, and
// returns which of unheard were reached.
func (v *visitor) reachedUnheard(s *stage) []string {
	v.t.Helper()
	v.until(`window.did && did.inline && did.eval && did.data && did.blob && did.worker === "own" && did.blobWorker === "own" && did.shared === "own" && did.socket`)
	v.settle()
	var names []string
	for _, h := range s.Hits() {
		if name, ok := strings.CutSuffix(h.Host, ".unheard.example"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestSecondLockRefusesWhatWasMissed(t *testing.T) {
	site := http.HandlerFunc(evade)
	t.Run("without", func(t *testing.T) {
		s := raiseWith(t, site, "unclassified: hold", "second_lock: false")
		v := visit(t, s)
		v.open("/")
		if got := v.reachedUnheard(s); !slices.Equal(got, unheard) {
			t.Errorf("without the lock %q are reached; if guard or rewriter hold more now, this list follows: %q", got, unheard)
		}
	})
	t.Run("with", func(t *testing.T) {
		s := raiseWith(t, site, "unclassified: hold") // which has it without a word
		v := visit(t, s)
		v.open("/")
		if got := v.reachedUnheard(s); len(got) > 0 {
			t.Errorf("%q are reached", got)
		}
		if dialed := s.connections(); len(dialed) > 0 {
			t.Errorf("the browser connected to third parties: %q", dialed)
		}
		s.audited(t, func(rows []auditRow) error {
			stopped := map[string]int{}
			for _, r := range rows {
				stopped[r.Host] += r.Stopped
			}
			for _, name := range unheard {
				if stopped[name+".unheard.example"] == 0 {
					return fmt.Errorf("that %s was stopped is not in the audit: %v", name, stopped)
				}
			}
			return nil
		})
	})
}

// Where unclassified third parties pass, the lock refuses nobody and tells who
// fired though nobody had agreed.
func TestSecondLockReportsWhatFiredAnyway(t *testing.T) {
	page := `<!doctype html><html lang="en"><head><title>Shop</title></head><body><script>
		const from = (host) => import("https://" + host).catch(() => 0);
		from("static.hotjar.com/c/hotjar-1.js").then(() => window.did = true);
		from("cdn.unheard.example/x.js");
	</script></body></html>`
	s := raiseWith(t, serve(page), "second_lock: true")
	v := visit(t, s)
	v.open("/")
	v.until(`window.did`)
	v.settle()
	if reached := s.reached(); !slices.Contains(reached, "cdn.unheard.example/x.js") || !slices.Contains(reached, "static.hotjar.com/c/hotjar-1.js") {
		t.Errorf("a lock that only reports let through %q", reached)
	}
	v.open("/")
	s.audited(t, func(rows []auditRow) error {
		for _, r := range rows {
			if r.Host == "cdn.unheard.example" && r.FiredAnyway > 0 {
				t.Errorf("what passes unclassified fired anyway: %+v", r)
			}
		}
		if r := sum(rows, "hotjar"); r.FiredAnyway == 0 || r.Fired > 0 {
			return fmt.Errorf("Hotjar's tags are %+v", r)
		}
		return nil
	})
}

// What was agreed to passes the lock, and what is necessary always does.
func TestSecondLockFollowsTheChoice(t *testing.T) {
	page := `<!doctype html><html lang="en"><head><title>Shop</title></head><body><iframe width=300 height=200 title=map src="https://www.google.com/maps/embed?pb=1"></iframe><script>
		window.did = 0;
		window.violations = [];
		document.addEventListener("securitypolicyviolation", e => violations.push(e.blockedURI));
		try { new WebSocket("wss://ws.hotjar.com/socket") } catch {}
		const call = address => import(address).catch(() => 0).then(() => did++);
		call("https://js.stripe.com/v3/a.js");
		call("https://static.hotjar.com/c/hotjar-1.js");
		call("https://connect.facebook.net/en_US/fbevents.js");
	</script><script async src="https://script.hotjar.com/modules.js"></script></body></html>`
	s := raise(t, serve(page), "--unclassified", "hold")
	v := visit(t, s)
	reached := func() (list []string) {
		v.until(`window.did === 3`)
		v.settle()
		list = s.reached()
		slices.Sort(list)
		list = slices.Compact(list)
		s.Forget()
		return list
	}
	v.open("/")
	if got := reached(); !slices.Equal(got, []string{"js.stripe.com/v3/a.js"}) {
		t.Errorf("before a choice %q are reached", got)
	}
	v.click(settings)
	v.click(box(consent.Analytics))
	v.leads(save)
	if got := reached(); !slices.Equal(got, []string{"js.stripe.com/v3/a.js", "script.hotjar.com/modules.js", "static.hotjar.com/c/hotjar-1.js", "ws.hotjar.com/socket"}) {
		t.Errorf("with analytics %q are reached", got)
	}
	if violations := eval[[]string](v, `violations.filter(address => address.includes("hotjar"))`); len(violations) > 0 {
		t.Errorf("with analytics the lock refused %q", violations)
	}
	v.leads(`[data-askfirst=load]`)
	if got := reached(); !slices.Contains(got, "www.google.com/maps/embed") || slices.Contains(got, "connect.facebook.net/en_US/fbevents.js") {
		t.Errorf("with a map loaded once %q are reached", got)
	}
	v.click(reopen)
	v.leads(withdraw)
	if got := reached(); slices.Contains(got, "static.hotjar.com/c/hotjar-1.js") {
		t.Errorf("after withdrawal %q are reached", got)
	}
	v.click(reopen)
	v.leads(acceptAll)
	if got := reached(); !slices.Contains(got, "connect.facebook.net/en_US/fbevents.js") {
		t.Errorf("with everything agreed to %q are reached", got)
	}
}

// A vendor that was agreed to but that nobody knew the site to use is refused once:
// the refusal is reported, and from then on every visitor's policy names it. What
// was not agreed to stays refused, however often it is reported.
func TestSecondLockLearnsFromWhatItRefused(t *testing.T) {
	page := `<!doctype html><html lang="en"><head><title>Shop</title></head><body><script>
		window.did = askfirst.get().made ? 0 : 2;
		if (!did) for (const address of ["https://cdn.mouseflow.com/projects/1.js", "https://cdn.taboola.com/libtrc/1.js"]) import(address).catch(() => 0).then(() => did++);
	</script></body></html>`
	s := raise(t, serve(page), "--unclassified", "hold")
	reached := func(v *visitor) []string {
		t.Helper()
		v.until(`window.did === 2`)
		v.settle()
		list := s.reached()
		s.Forget()
		return list
	}
	first := visit(t, s)
	first.open("/")
	first.click(settings)
	first.click(box(consent.Analytics))
	first.leads(save)
	if got := reached(first); len(got) > 0 {
		t.Fatalf("reached are %q: this test wants a vendor that the lock does not name by itself", got)
	}
	s.audited(t, func(rows []auditRow) error {
		for _, vendor := range []string{"mouseflow", "taboola"} {
			if sum(rows, vendor).Stopped == 0 {
				return fmt.Errorf("that %s was stopped is not in the audit", vendor)
			}
		}
		return nil
	})
	second := visit(t, s)
	second.open("/")
	second.click(settings)
	second.click(box(consent.Analytics))
	second.leads(save)
	for who, v := range map[string]*visitor{"who was there before": first, "another visitor": second} {
		s.Forget()
		v.open("/")
		if got := reached(v); !slices.Equal(got, []string{"cdn.mouseflow.com/projects/1.js"}) {
			t.Errorf("%s reaches %q", who, got)
		}
	}
}

// leads clicks what leads to another page, or to the same one anew.
func (v *visitor) leads(selector string) {
	v.t.Helper()
	at := v.find(selector)
	v.navigates(chromedp.MouseClickXY(at.X, at.Y))
}

// serve answers with one page at every address.
func serve(page string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})
}
