package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestScriptsAskAboutTheOperatorsList: what the operator's lists know is held too
// where a script asks for it. The guard does not have them, and asks the proxy.
func TestScriptsAskAboutTheOperatorsList(t *testing.T) {
	list := filepath.Join(t.TempDir(), "hosts.txt")
	if err := os.WriteFile(list, []byte("0.0.0.0 cdn.listed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := pages{"/icon.svg": "", "/": `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><script>
	const add = src => document.body.append(Object.assign(document.createElement("script"), {src}));
	add("https://cdn.listed.example/tag.js");
	add("https://cdn.fine.example/tag.js");
	window.calls = Promise.allSettled(["https://cdn.listed.example/call", "https://cdn.fine.example/call"].map(a => fetch(a, {mode: "no-cors"})));
	document.body.insertAdjacentHTML("beforeend", '<img alt="" width=9 height=9 src="https://cdn.listed.example/picture.png">');
</script></body></html>`}
	s := raiseWith(t, site, "lists: [{file: "+list+", format: hosts, category: analytics}]")
	v := visit(t, s)
	reached := func() []string {
		t.Helper()
		eval[bool](v, `calls.then(() => true)`)
		v.settle()
		list := s.reached()
		slices.Sort(list)
		s.Forget()
		return slices.Compact(list)
	}
	v.open("/")
	if got := reached(); !slices.Equal(got, []string{"cdn.fine.example/call", "cdn.fine.example/tag.js"}) {
		t.Errorf("before a choice %q are reached", got)
	}
	eval[bool](v, `askfirst.set(["analytics"]).then(() => true)`)
	v.until(`document.querySelector("img").complete && performance.getEntriesByName("https://cdn.listed.example/tag.js").length`)
	if got := reached(); !slices.Equal(got, []string{"cdn.listed.example/picture.png", "cdn.listed.example/tag.js"}) {
		t.Errorf("with analytics %q are released", got)
	}
	v.open("/")
	if got := reached(); !slices.Contains(got, "cdn.listed.example/call") {
		t.Errorf("on the next page %q are reached", got)
	}
	v.nothingThrew()
}
