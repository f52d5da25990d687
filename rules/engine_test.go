package rules

import (
	"testing"
)

func newEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFirstCall(t *testing.T) {
	engine := newEngine(t, Options{})
	var page Page
	page.Reset([]byte("https://shop.example/blog/"))
	d := engine.URL(&page, []byte("//www.google-analytics.com/collect?v=2"), Image)
	if d.Vendor == nil || d.Vendor.ID != "google-analytics" || d.Party != ThirdParty || d.Rule.File == "" || d.Rule.Line == 0 {
		t.Fatalf("%+v", d)
	}
}
