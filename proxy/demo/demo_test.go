package demo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEveryPageRenders(t *testing.T) {
	site := NewSite(func(host string) string { return "https://" + host })
	for _, page := range append(Pages, "/app/colour", "/style.css", "/stats/matomo.js", "/bicycle.svg") {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequest("GET", page, nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("GET %s: %d with %d bytes", page, w.Code, w.Body.Len())
		}
		if strings.Contains(w.Body.String(), "{{") {
			t.Errorf("GET %s: a template action is left", page)
		}
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest("GET", "/absent", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("GET /absent: %d", w.Code)
	}
}

func TestPartiesCountWhatReachesThem(t *testing.T) {
	parties := NewParties()
	r := httptest.NewRequest("GET", "http://www.googletagmanager.com.localhost:8081/gtm.js?id=GTM-DEMO123", nil)
	w := httptest.NewRecorder()
	parties.ServeHTTP(w, r)
	if got := w.Body.String(); !strings.Contains(got, "http://static.hotjar.com.localhost:8081/c/hotjar-2222222.js") {
		t.Errorf("the tag manager does not load its tags from the stand-ins: %s", got)
	}
	r = httptest.NewRequest("GET", "https://px.ads.linkedin.com/collect", nil)
	r.AddCookie(&http.Cookie{Name: "bcookie", Value: "1"})
	parties.ServeHTTP(httptest.NewRecorder(), r)
	hits := parties.Hits()
	if len(hits) != 2 || hits[0].Host != "www.googletagmanager.com" || hits[1].Host != "px.ads.linkedin.com" || len(hits[1].Cookies) != 1 {
		t.Errorf("hits are %+v", hits)
	}
	contacts := parties.Contacts()
	if len(contacts) != 2 || contacts[1].Cookies != 2 {
		t.Errorf("contacts are %+v", contacts)
	}
	parties.Forget()
	if len(parties.Contacts()) != 0 {
		t.Error("Forget keeps contacts")
	}
}
