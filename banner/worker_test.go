package banner

import (
	"net/http"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

func TestWorkersGuardKnowsItsPage(t *testing.T) {
	e := serve(t, Options{})
	for query, want := range map[string]string{
		"false/shop/shoes":                      `{"ask":"/_askfirst/worker","page":"/shop/shoes","child":false}`,
		"true/":                                 `{"ask":"/_askfirst/worker","page":"/","child":true}`,
		"false//evil.example/":                  `{"ask":"/_askfirst/worker","page":"/","child":false}`,
		`false/</script>"`:                      `{"ask":"/_askfirst/worker","page":"/\u003c/script\u003e\"","child":false}`,
		"false/" + strings.Repeat("x", maxPage): `{"ask":"/_askfirst/worker","page":"/","child":false}`,
	} {
		a := e.do("GET", "/_askfirst/worker?"+query, "")
		e.status(a, http.StatusOK)
		if want := "self.__askfirst_page=" + want + ";" + string(workerBundle) + ";\n"; a.body != want {
			t.Errorf("%s: got %.120s, want %.120s", query, a.body, want)
		}
		if got := a.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
			t.Errorf("%s: type %q", query, got)
		}
	}
	e.status(e.do("GET", "/_askfirst/worker", ""), http.StatusBadRequest)
}

// TestWorkersCalls asks as a worker does. What a call is counted as follows.
func TestWorkersCalls(t *testing.T) {
	const (
		meter    = `"page":"/shop","child":false,"kind":"connect","url":"https://static.hotjar.com/c/x?id=1"`
		forChild = `"page":"/shop","child":true,"kind":"connect","url":"https://api.unheard.example/v1?q=2"`
		unheard  = `"page":"/shop","child":false,"kind":"connect","url":"https://api.unheard.example/v1?q=2"`
		stripe   = `"page":"/shop","child":true,"kind":"connect","url":"https://js.stripe.com/v3/"`
		own      = `"page":"/shop","child":false,"kind":"connect","url":"http://www.shop.example/api"`
	)
	nothing := consent.Set(0).With(consent.Unclassified)
	for _, c := range []struct {
		name, unclassified, ask string
		granted                 consent.Set
		want, counted           string
	}{
		{"not agreed to", "pass", meter, nothing, `{"allowed":false}`, "held static.hotjar.com/c/x"},
		{"agreed to", "pass", meter, nothing.With(consent.Analytics), `{"allowed":true}`, "fired static.hotjar.com/c/x"},
		{"unknown, and passes", "pass", unheard, nothing, `{"allowed":true}`, "fired api.unheard.example/v1"},
		{"unknown, and is held", "hold", unheard, 0, `{"allowed":false}`, "held api.unheard.example/v1"},
		{"unknown, and marketing is agreed to", "hold", unheard, nothing.With(consent.Marketing), `{"allowed":true}`, "fired api.unheard.example/v1"},
		{"unknown, on a page for children", "pass", forChild, nothing.With(consent.Marketing), `{"allowed":false}`, "held api.unheard.example/v1"},
		{"necessary, on a page for children", "pass", stripe, nothing, `{"allowed":true}`, "fired js.stripe.com/v3/"},
		{"the site's own", "hold", own, 0, `{"allowed":true}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, Options{Unclassified: c.unclassified})
			e.visit.Standing.Granted = c.granted
			a := e.json("/_askfirst/worker", "{"+c.ask+"}")
			e.status(a, http.StatusOK)
			if a.body != c.want {
				t.Errorf("got %s, want %s", a.body, c.want)
			}
			var counted []string
			for _, r := range e.watcher.reports {
				for _, tag := range r.Tags {
					counted = append(counted, tag.Event+" "+tag.Host+tag.Path)
					if r.Page != "/shop" || tag.Count != 1 || tag.Kind != rules.Connect || r.Granted.Has(consent.Unclassified) {
						t.Errorf("counted as %+v of %+v", tag, r)
					}
				}
			}
			if got := strings.Join(counted, ", "); got != c.counted {
				t.Errorf("counted %q, want %q", got, c.counted)
			}
		})
	}
}

func TestWorkersCallsAreRefused(t *testing.T) {
	e := serve(t, Options{})
	const path = "/_askfirst/worker"
	for body, want := range map[string]int{
		``: http.StatusBadRequest,
		`{"page":"//x","child":false,"kind":"connect","url":"https://x.example/"}`:                                        http.StatusBadRequest,
		`{"page":"/","child":false,"kind":"telepathy","url":"https://x.example/"}`:                                        http.StatusBadRequest,
		`{"page":"/","child":false,"kind":"connect","url":"https://x.example/","more":1}`:                                 http.StatusBadRequest,
		`{"page":"/","child":false,"kind":"connect","url":"https://x.example/` + strings.Repeat("x", maxCall) + `"}`:      http.StatusRequestEntityTooLarge,
		`{"page":"/","child":false,"kind":"connect","url":"https://x.example/` + strings.Repeat("x", maxCall-1000) + `"}`: http.StatusOK,
	} {
		e.status(e.json(path, body), want)
	}
	e.status(e.do("POST", path, `{}`, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
}
