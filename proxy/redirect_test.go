package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// TestRedirects has what a page loads from the site itself led to a tracker only where
// the visitor agreed, and a visitor led wherever a link goes.
func TestRedirects(t *testing.T) {
	const pixel, picture = "https://www.google-analytics.com/collect?v=1", "https://pictures.example/a.gif"
	agreed := "Cookie: " + choiceCookie(consent.All)
	for name, c := range map[string]struct {
		location string
		fields   []string
		passes   bool
		private  bool
		uniform  bool
		hold     bool
	}{
		"image":                     {location: pixel, fields: []string{"Sec-Fetch-Dest: image"}, private: true},
		"script":                    {location: pixel, fields: []string{"Sec-Fetch-Dest: script"}, private: true},
		"frame":                     {location: pixel, fields: []string{"Sec-Fetch-Dest: iframe"}, private: true},
		"call":                      {location: pixel, fields: []string{"Sec-Fetch-Dest: empty"}, private: true},
		"over plain http":           {location: pixel, fields: []string{"Accept: image/*,*/*;q=0.8"}, private: true},
		"without a scheme":          {location: "//www.google-analytics.com/collect", fields: []string{"Sec-Fetch-Dest: image"}, private: true},
		"image, agreed":             {location: pixel, fields: []string{"Sec-Fetch-Dest: image", agreed}, passes: true, private: true},
		"link":                      {location: pixel, fields: []string{"Sec-Fetch-Dest: document"}, passes: true, private: true},
		"link ahead of a click":     {location: pixel, fields: []string{"Sec-Fetch-Dest: document", "Sec-Purpose: prefetch;prerender"}, private: true},
		"player":                    {location: pixel, fields: []string{"Accept: */*"}, passes: true, private: true},
		"link over plain http":      {location: pixel, fields: []string{"Accept: text/html,*/*;q=0.8"}, passes: true, private: true},
		"for all":                   {location: pixel, fields: []string{"Sec-Fetch-Dest: image"}, private: true, uniform: true},
		"for all, agreed":           {location: pixel, fields: []string{"Sec-Fetch-Dest: image", agreed}, passes: true, private: true, uniform: true},
		"own":                       {location: "/b.gif", fields: []string{"Sec-Fetch-Dest: image"}, passes: true},
		"unclassified":              {location: picture, fields: []string{"Sec-Fetch-Dest: image"}, passes: true},
		"unclassified held":         {location: picture, fields: []string{"Sec-Fetch-Dest: image"}, private: true, hold: true},
		"unclassified held, agreed": {location: picture, fields: []string{"Sec-Fetch-Dest: image", agreed}, passes: true, private: true, hold: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []string{"text/plain", "text/html"} {
				s := newStage(t, always(t, "HTTP/1.1 301 Moved Permanently\r\nContent-Type: "+kind+"\r\nLocation: "+c.location+"\r\nCache-Control: public, max-age=9\r\nContent-Length: 5\r\n\r\nmoved"),
					func(cfg *configs.Config) {
						if c.uniform {
							cfg.Sites[0].Caching = configs.Uniform
						}
						if c.hold {
							cfg.Sites[0].Unclassified = configs.HoldUnclassified
						}
					})
				r := s.dial().send(get("/px", c.fields...)).answer("GET")
				if got := r.Header.Get("Location"); got != c.location && c.passes || got != "" && !c.passes {
					t.Errorf("%s: Location: %q", kind, got)
				}
				varies := strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Cookie")
				control := map[bool]string{true: "max-age=9, private", false: "no-store"}[c.passes]
				if private := r.Header.Get("Cache-Control") == control && varies; private != c.private && (c.private || kind == "text/plain") {
					t.Errorf("%s: %v", kind, r.Header)
				}
			}
		})
	}
}

// TestShownThoughItRedirectsNowhere has scripts guarded in what browsers show although
// its status is one of redirects.
func TestShownThoughItRedirectsNowhere(t *testing.T) {
	for _, head := range []string{"300 Multiple Choices\r\nLocation: /x", "302 Found", "303 See Other\r\nLocation: ", "305 Use Proxy\r\nLocation: /x", "399 Own"} {
		s := newStage(t, always(t, strings.Replace(answerWith([]byte(page), isPage), "200 OK", head, 1)))
		held(t, readAll(t, s.dial().send(get("/")).answer(http.MethodGet).Body))
	}
	s := newStage(t, always(t, strings.Replace(answerWith([]byte(page), isPage), "200 OK", "302 Found\r\nLocation: //www.google-analytics.com/frame", 1)))
	body := readAll(t, s.dial().send(get("/", "Sec-Fetch-Dest: iframe")).answer(http.MethodGet).Body)
	if strings.Contains(body, tracker) || !strings.Contains(body, "data-askfirst-guard") {
		t.Errorf("a frame that is led nowhere: %q", body)
	}
}
