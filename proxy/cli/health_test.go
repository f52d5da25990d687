package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestHealth(t *testing.T) {
	var status atomic.Int32
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(int(status.Load()))
	})
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	away := httptest.NewServer(answer)
	away.Close()
	for _, c := range []struct {
		admin  string
		status int32
		code   int
	}{
		{plain.Listener.Addr().String(), 200, exitOK},
		{plain.Listener.Addr().String(), 503, exitFailed},
		{secure.URL, 200, exitOK},
		{secure.URL, 503, exitFailed},
		{plain.URL + "/", 200, exitOK},
		{away.Listener.Addr().String(), 200, exitFailed},
	} {
		status.Store(c.status)
		var out bytes.Buffer
		if code := Run([]string{"health", "--admin", c.admin}, &out, &out); code != c.code {
			t.Errorf("%s answering %d: exit %d: %s", c.admin, c.status, code, out.String())
		}
	}
}
