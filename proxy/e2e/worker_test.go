package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// work is what a worker does: it calls two tags and somebody whom no rule knows, and
// tells how that went.
const work = `const calls = [
		how => fetch("https://static.hotjar.com/c/fetch.js", how).then(() => "fetched"),
		() => new Promise((done, fail) => { const x = new XMLHttpRequest; x.onload = () => done("loaded"); x.onerror = () => fail(new Error("XHR " + x.status)); x.open("GET", "https://static.hotjar.com/c/xhr.js"); x.send() }),
		() => new Promise((done, fail) => { const e = new EventSource("https://static.hotjar.com/c/events"); e.onerror = () => fail(new Error("events " + e.readyState)) }),
		() => new Promise((done, fail) => { const s = new WebSocket("wss://ws.hotjar.com/socket"); s.onclose = e => fail(new Error("socket " + e.code)) }),
		() => { importScripts("https://connect.facebook.net/en_US/imported.js"); return "imported" },
		() => fetch("https://api.unheard.example/v1").then(() => "api"),
		() => fetch(self.origin + "/own").then(() => "own"),
	];
	const how = {mode: "no-cors"};
	const work = () => Promise.all(calls.map(async call => { try { return await call(how) } catch (e) { return e.name === "Error" ? e.message : e.name } })).then(told => told.join());
`

// text is a worker's script as a string of a script.
var text = strconv.Quote(work + "work().then(told => postMessage(told))")

// What a worker tells that reaches nobody but whom no rule knows, and its own site.
const (
	refusedClassic = "TypeError,XHR 0,events 2,socket 1006,NetworkError,api,own"
	refusedModule  = "TypeError,XHR 0,events 2,socket 1006,TypeError,api,own"
	unruled        = "api.unheard.example/v1"
)

// workers is a page that makes workers of texts of its own, whose addresses it
// takes back at once.
var workers = `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><script>
	const body = ` + text + `;
	const work = options => new Promise(done => {
		const address = URL.createObjectURL(new Blob([body], {type: "text/javascript"}));
		const worker = new Worker(address, options);
		URL.revokeObjectURL(address);
		worker.onmessage = e => done(e.data);
		worker.onerror = e => done("broken: " + e.message);
	});
	const go = () => { window.told = undefined; Promise.all([work(), work({type: "module"})]).then(all => window.told = all.join(" ")) };
	go();
</script></body></html>`

// TestWorkersAskFirst: a worker that a page makes of its own text calls nobody who
// was not agreed to, and everybody who was.
func TestWorkersAskFirst(t *testing.T) {
	s := raise(t, serve(workers))
	v := visit(t, s)
	const refused = refusedClassic + " " + refusedModule
	works := func(want string) {
		t.Helper()
		v.until(`window.told`)
		if got := eval[string](v, `told`); got != want {
			t.Errorf("the workers tell %q, want %q", got, want)
		}
	}
	reached := func() (list []string) {
		list = s.reached()
		slices.Sort(list)
		s.Forget()
		return slices.Compact(list)
	}
	v.open("/")
	works(refused)
	if got := reached(); !slices.Equal(got, []string{unruled}) {
		t.Errorf("before a choice %q are reached", got)
	}

	v.click(settings)
	v.click(box(consent.Analytics))
	v.click(save)
	v.chosen()
	eval[bool](v, `go(), true`)
	v.until(`window.told`)
	if got, want := reached(), []string{unruled, "static.hotjar.com/c/events", "static.hotjar.com/c/fetch.js", "static.hotjar.com/c/xhr.js", "ws.hotjar.com/socket"}; !slices.Equal(got, want) {
		t.Errorf("with analytics %q are reached, want %q", got, want)
	}
	s.audited(t, func(rows []auditRow) error {
		if r := sum(rows, "hotjar"); r.Held == 0 || r.Fired == 0 || r.FiredAnyway > 0 {
			return fmt.Errorf("Hotjar's calls are %+v", r)
		}
		return nil
	})

	v.click(reopen)
	v.leads(withdraw)
	works(refused)
	if got := reached(); !slices.Equal(got, []string{unruled}) {
		t.Errorf("after the withdrawal %q are reached", got)
	}
}

// ownWorkers is a site whose workers are files of its own: classic ones and modules, shared
// ones, those that another starts of a file or a text, and what they import. One of
// them is a script of its page too.
func ownWorkers() http.Handler {
	files := map[string]string{
		"/classic.js":   `"use strict"; importScripts("/imported.js"); const strict = (function () { return !this })() && self.imported;` + work + `work().then(told => postMessage(strict + " " + told))`,
		"/imported.js":  `self.imported = "strict"`,
		"/module.js":    `import { dep } from "./dep.js";` + work + `Promise.all([dep, work()]).then(told => postMessage(told.join(" ")))`,
		"/dep.js":       `export const dep = fetch("https://static.hotjar.com/c/dep.js", {mode: "no-cors"}).then(() => "fetched", e => e.name)`,
		"/shared.js":    work + `onconnect = e => work().then(told => e.ports[0].postMessage(told))`,
		"/sharedmod.js": `import "./dep.js";` + work + `onconnect = e => work().then(told => e.ports[0].postMessage(told))`,
		"/starts.js": `const told = worker => new Promise(done => { worker.onmessage = e => done(e.data); worker.onerror = e => done("broken: " + e.message) });
			const text = ` + text + `;
			const made = () => URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
			Promise.all([told(new Worker("/classic.js")), told(new Worker(made())), told(new Worker(made(), {type: "module"}))]).then(all => postMessage(all.join(" ")))`,
		"/both.js": `self.document ? document.title = "Both" : fetch("https://static.hotjar.com/c/both.js", {mode: "no-cors"}).then(() => "fetched", e => e.name).then(postMessage)`,
	}
	const page = `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><script>
	const tells = (worker, at = worker.port ?? worker) => new Promise(done => { at.onmessage = e => done(e.data); worker.onerror = e => done("broken: " + e.message) });
	const script = () => new Promise((done, fails) => { const s = document.createElement("script"); s.src = "/both.js"; s.onload = done; s.onerror = fails; document.head.append(s) });
	const go = async () => {
		window.told = undefined;
		const module = {type: "module"};
		const all = await Promise.all([new Worker("/classic.js"), new Worker("/module.js", module), new SharedWorker("/shared.js"), new SharedWorker("/sharedmod.js", module), new Worker("/starts.js"), new Worker("/both.js")].map(w => tells(w)));
		await script();
		window.told = [...all, document.title].join("\n");
	};
	go();
</script></body></html>`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		file, ok := files[r.URL.Path]
		if ok {
			w.Header().Set("Content-Type", "text/javascript")
			w.Header().Set("Cache-Control", "public, max-age=3600")
			if r.URL.Path == "/both.js" {
				w.Header().Set("Cache-Control", "no-cache")
			}
		} else {
			file = page
		}
		http.ServeContent(w, r, "", time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), strings.NewReader(file))
	})
}

// TestOwnWorkersAskFirst: neither does a worker whose script is a file of the site's own,
// nor one that it starts; and a page's script is what it was.
func TestOwnWorkersAskFirst(t *testing.T) {
	s := raise(t, ownWorkers())
	v := visitAt(t, s, s.proxy, secureShop)
	refused := strings.Join([]string{
		"strict " + refusedClassic,
		"TypeError " + refusedModule,
		refusedClassic,
		refusedModule,
		"strict " + refusedClassic + " " + refusedClassic + " " + refusedModule,
		"TypeError",
		"Both",
	}, "\n")
	works := func(when string) {
		t.Helper()
		v.until(`window.told`)
		if got := eval[string](v, `told`); got != refused {
			t.Errorf("%s the workers tell\n%s\nwant\n%s", when, got, refused)
		}
		for _, address := range s.reached() {
			if address != unruled {
				t.Errorf("%s %s is reached", when, address)
			}
		}
		s.Forget()
	}
	v.open("/shop")
	works("before a choice")

	v.click(acceptAll)
	v.chosen()
	v.open("/")
	v.until(`window.told`)
	if got := eval[string](v, `told`); !strings.Contains(got, "fetched,loaded,") || strings.Contains(got, "TypeError,XHR") {
		t.Errorf("with all agreed to the workers tell %q", got)
	}
	reached := s.reached()
	for _, address := range []string{"static.hotjar.com/c/fetch.js", "static.hotjar.com/c/dep.js", "static.hotjar.com/c/both.js", "connect.facebook.net/en_US/imported.js"} {
		if !slices.Contains(reached, address) {
			t.Errorf("with all agreed to %s is not reached", address)
		}
	}
	s.audited(t, func(rows []auditRow) error {
		if r := sum(rows, "hotjar"); r.Held == 0 || r.FiredAnyway > 0 {
			return fmt.Errorf("Hotjar's calls are %+v", r)
		}
		return nil
	})

	s.Forget()
	v.click(reopen)
	v.leads(withdraw)
	works("after the withdrawal")
}
