package admin

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/rules"
)

func newBanner(t *testing.T, engine *rules.Engine) *banner.Banner {
	t.Helper()
	b, err := banner.New(banner.Options{Title: "Nordhang", PolicyURL: "/privacy", Theme: map[string]string{"accent": "#7a1f5c"},
		Texts: map[string]map[string]string{"de": {"title": "Erst fragen"}}, Log: slog.New(slog.DiscardHandler)}, engine, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPreviewShowsTheOperatorsTextsAndColours(t *testing.T) {
	engine, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := newBanner(t, engine)
	a, _ := newAdmin(t, Options{Previews: func() map[string]Previewer { return map[string]Previewer{"shop": b} }})
	h := a.Handler()
	w := get(t, h, "/preview/frame?site=shop&language=de")
	if body := w.Body.String(); !strings.Contains(body, "Erst fragen") || !strings.Contains(body, "#7a1f5c") || !strings.Contains(body, "Nordhang") {
		t.Errorf("the frame shows %s", body)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "sandbox; default-src 'none'; frame-ancestors 'self'") || w.Header().Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("the frame's policy is %q", policy)
	}
	for _, language := range []string{"", "xx", attack, "all"} {
		r := httptest.NewRequest("GET", "http://localhost:9090/preview/frame", nil)
		q := r.URL.Query()
		q.Set("language", language)
		r.URL.RawQuery = q.Encode()
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 404 {
			t.Errorf("in %q: %d", language, w.Code)
		}
	}
	if w := get(t, h, "/preview?language=all"); strings.Count(w.Body.String(), "<iframe") != len(b.Languages()) {
		t.Errorf("%d frames, want one for each language", strings.Count(w.Body.String(), "<iframe"))
	}
	none, _ := newAdmin(t, Options{})
	if w := get(t, none.Handler(), "/preview"); w.Code != 404 {
		t.Errorf("without sites: %d", w.Code)
	}

	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o := open(t)
	o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+"/preview/frame?site=shop&language=en")))
	o.until(`document.querySelector("askfirst-banner").shadowRoot.querySelector("[data-askfirst=accept-all]").checkVisibility()`)
	o.quiet(server.URL)
}
