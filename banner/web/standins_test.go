package web

import "testing"

// TestStandIns: what sites call of held tags by name is there, calls back what
// waits for it, and is gone when the tag that it stands for starts; what the site
// has of that name is the site's.
func TestStandIns(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<script type="text/plain" data-askfirst-category="analytics" data-askfirst-vendor="meter">
if (!self.meter) { self.meter = (...words) => meter.heard.push(words); meter.heard = [] }
meters = self.meters || [];
</script>
<script>crate = []; crate.push({event: 'early'}); own = () => 'own'</script>`))
	b := browser(t, w)
	ctx := tab(t, b, "/")
	const see = until + `
await until(() => self.adder);
const back = call => new Promise((resolve, reject) => { call(resolve); setTimeout(reject, 5000, new Error(call)) });
`
	is := func(what, code, want string) {
		t.Helper()
		if got := do[string](t, ctx, see+code); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	is("called", `return [meter('send'), meter.flush(), meters.push(['a']), adder(), adders.push(1), own()].join()`, ",,,,,own")
	is("called back", `
Array.prototype.each = () => {}; // as some libraries have it
await back(f => { const options = {hitCallback: f}; meter('send', options); if (options.hitCallback !== f) throw 'the site loses its options' });
await back(f => adder('track', 'Lead', {}, f));
await back(f => crate.push({event: 'a', eventCallback: f}));
await back(f => (function () { crate.push(arguments) })('event', 'b', {event_callback: f}));
return JSON.stringify(crate)`, `[{"event":"early"},{"event":"a"},{"0":"event","1":"b","2":{}}]`)
	is("what is not the tag's to call", `
let called = '';
meter(() => called += 'first'); adder('a', null, {success: () => called += 'other'}); crate.push(Object.freeze({eventCallback: () => called += 'frozen'}));
await new Promise(f => setTimeout(f, 0));
return called`, "")
	is("agreed to", `await askfirst.set(['analytics']); await until(() => self.meter && meter.heard);
meter('a'); return JSON.stringify([meter.heard, meters, typeof adder, typeof adders.push, typeof meter.flush, Object.hasOwn(crate, 'push')])`, `[[["a"]],[],"function","function","undefined",true]`)

	ctx = tab(t, b, "/")
	is("with all agreed to", `await askfirst.set('accept-all'); await until(() => self.meter && meter.heard);
return [typeof adder, typeof adders, own(), crate.push === [].push].join()`, "undefined,undefined,own,true")
}

// TestNothingStandsInForWhatRuns: a tag that may act, or has started, is left alone.
func TestNothingStandsInForWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.set("/", document(`<script>adder = 'the tag'; self.meters = 0; Object.freeze(self.crate = [])</script>`))
	ctx := tab(t, browser(t, w), "/")
	const see = until + `
await until(() => self.own);
return [adder, meters, typeof meter, typeof own].join()`
	if got := do[string](t, ctx, see); got != "the tag,0,function,function" {
		t.Errorf("there are %s", got)
	}
}
