package web

import (
	"strings"
	"testing"
)

// work is what pages do most with the functions that the guard wraps. It
// returns nanoseconds per step.
var work = []struct{ name, code string }{
	{"appendChild", `const d = document.createElement('div'); const n = 20000, t = performance.now();
for (let i = 0; i < n; i++) d.appendChild(document.createElement('p'));
return (performance.now() - t) / n * 1e6`},
	{"setAttribute", `const d = document.createElement('div'); const n = 20000, t = performance.now();
for (let i = 0; i < n; i++) d.setAttribute('data-n', 'v');
return (performance.now() - t) / n * 1e6`},
	{"textContent", `const d = document.createElement('div'); const n = 20000, t = performance.now();
for (let i = 0; i < n; i++) d.textContent = 'v';
return (performance.now() - t) / n * 1e6`},
	{"data of a text", `const d = document.body.appendChild(document.createElement('p')), c = d.appendChild(document.createTextNode('')); const n = 20000, t = performance.now();
for (let i = 0; i < n; i++) c.data = 'v' + i % 2;
return (performance.now() - t) / n * 1e6`},
	{"setProperty", `const { style } = document.createElement('div'); const n = 20000, t = performance.now();
for (let i = 0; i < n; i++) style.setProperty('width', i % 9 + 'px');
return (performance.now() - t) / n * 1e6`},
	{"innerHTML of 10 KB of text", `const d = document.createElement('div'), s = '<p class="a">text</p>'.repeat(500); const n = 100, t = performance.now();
for (let i = 0; i < n; i++) d.innerHTML = s;
return (performance.now() - t) / n * 1e6`},
	{"innerHTML of 100 images", `const d = document.createElement('div'), s = '<p class="a">text <img src="data:,"></p>'.repeat(100); const n = 100, t = performance.now();
for (let i = 0; i < n; i++) d.innerHTML = s;
return (performance.now() - t) / n * 1e6`},
	{"img src", `const n = 2000, t = performance.now();
for (let i = 0; i < n; i++) document.createElement('img').src = 'data:,' + i;
return (performance.now() - t) / n * 1e6`},
}

// BenchmarkPageWork reports what the guard adds to a page's own work.
func BenchmarkPageWork(b *testing.B) {
	w := newWorld(b)
	w.set("/bare", strings.Replace(document(""), guardElement, "", 1))
	w.set("/guarded", document(""))
	browser := browser(b, w)
	for _, step := range work {
		for _, path := range []string{"/bare", "/guarded"} {
			b.Run(step.name+path, func(b *testing.B) {
				ctx := tab(b, browser, path)
				var total float64
				for b.Loop() {
					total += do[float64](b, ctx, step.code)
				}
				b.ReportMetric(total/float64(b.N), "ns/step")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
