package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// workers is a page that makes workers of texts of its own, whose addresses it
// takes back at once. Each calls two tags and somebody whom no rule knows, and
// tells how that went.
const workers = `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><script>
	const calls = [
		how => fetch("https://static.hotjar.com/c/fetch.js", how).then(() => "fetched"),
		() => new Promise((done, fail) => { const x = new XMLHttpRequest; x.onload = () => done("loaded"); x.onerror = () => fail(new Error("XHR " + x.status)); x.open("GET", "https://static.hotjar.com/c/xhr.js"); x.send() }),
		() => new Promise((done, fail) => { const e = new EventSource("https://static.hotjar.com/c/events"); e.onerror = () => fail(new Error("events " + e.readyState)) }),
		() => new Promise((done, fail) => { const s = new WebSocket("wss://ws.hotjar.com/socket"); s.onclose = e => fail(new Error("socket " + e.code)) }),
		() => { importScripts("https://connect.facebook.net/en_US/imported.js"); return "imported" },
		() => fetch("https://api.unheard.example/v1").then(() => "api"),
		() => fetch(self.origin + "/own").then(() => "own"),
	];
	const body = "const how = {mode: 'no-cors'}, all = [" + calls + "]; Promise.all(all.map(async call => { try { return await call(how) } catch (e) { return e.name === 'Error' ? e.message : e.name } })).then(told => postMessage(told.join()))";
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
	const (
		refused = "TypeError,XHR 0,events 2,socket 1006,NetworkError,api,own TypeError,XHR 0,events 2,socket 1006,TypeError,api,own"
		unruled = "api.unheard.example/v1"
	)
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
