package proxy

import (
	"net/http"
	"strings"
	"testing"
)

// TestShownThoughItRedirectsNowhere has scripts guarded in what browsers show although
// its status is one of redirects.
func TestShownThoughItRedirectsNowhere(t *testing.T) {
	for _, head := range []string{"300 Multiple Choices\r\nLocation: /x", "302 Found", "303 See Other\r\nLocation: ", "305 Use Proxy\r\nLocation: /x", "399 Own"} {
		s := newStage(t, always(t, strings.Replace(answerWith([]byte(page), isPage), "200 OK", head, 1)))
		held(t, readAll(t, s.dial().send(get("/")).answer(http.MethodGet).Body))
	}
}
