package proxy

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
)

func parseURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestServers shares requests between servers, and loses none when one of them
// is away.
func TestServers(t *testing.T) {
	var asked [2]atomic.Int32
	server := func(i int) string {
		return each(t, func(p *peer, _ string) {
			asked[i].Add(1)
			p.send(ok)
		})
	}
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away.Close()
	s := newStage(t, server(0), func(c *configs.Config) {
		c.Sites[0].Others = []*url.URL{parseURL(t, "http://"+away.Addr().String()), parseURL(t, server(1))}
		c.Sites[0].Health.Pause = time.Hour
	})
	for range 40 {
		if status := s.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if a, b := asked[0].Load(), asked[1].Load(); a+b != 40 || a < 4 || b < 4 {
		t.Errorf("%d and %d requests", a, b)
	}
	dead := s.proxy.sites.Load().all[0].servers.all[1]
	if n := dead.failures.Load(); n > 3 {
		t.Errorf("a dead server was tried %d times, want at most 3", n)
	}
}

// TestSilentServerIsLeftOut: the log names a server that takes connections and
// answers nothing.
func TestSilentServerIsLeftOut(t *testing.T) {
	silent := script(t, func(_ int, p *peer) { p.head() })
	s := newStage(t, silent, func(c *configs.Config) {
		c.Sites[0].Others = []*url.URL{parseURL(t, always(t, ok))}
		c.Sites[0].Health.Failures, c.Sites[0].Health.Pause = 2, time.Hour
	})
	failed := 0
	for range 60 {
		if s.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status() != 200 {
			failed++
		}
	}
	if err := s.proxy.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := strings.Count(s.log.String(), "a server is left out"); failed != 2 || said != 1 {
		t.Errorf("%d requests failed, and the log says %d times that a server is left out", failed, said)
	}
}

// TestLeastBusy sends a request past a server that is busy.
func TestLeastBusy(t *testing.T) {
	busy := make(chan struct{})
	slow := script(t, func(_ int, p *peer) { p.head(); close(busy); p.rest() })
	s := newStage(t, slow, func(c *configs.Config) { c.Sites[0].Others = []*url.URL{parseURL(t, always(t, ok))} })
	quick := s.proxy.sites.Load().all[0].servers.all[1]
	// A request counts until the proxy has put its connection back, a moment
	// after the visitor has the answer.
	rested := func() {
		for quick.busy.Load() > 0 {
			runtime.Gosched()
		}
	}
	answered := 0
	var first *peer
	for first == nil {
		rested()
		p := s.dial().send(get("/"))
		done := make(chan struct{})
		go func() { p.r.Peek(1); close(done) }()
		select {
		case <-busy:
			first = p
		case <-done:
			answered++
		}
	}
	for range 10 {
		rested()
		if status := s.dial().send(get("/")).status(); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
}

// TestServerThatHangs sends requests past a server whose connections are neither
// taken nor refused.
func TestServerThatHangs(t *testing.T) {
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.Sites[0].Others = []*url.URL{parseURL(t, "http://127.0.0.1:1")} })
	quick, hangs := s.proxy.sites.Load().all[0].servers.all[0], s.proxy.sites.Load().all[0].servers.all[1]
	dialled, end := make(chan struct{}, 100), make(chan struct{})
	hangs.client.Dial = func(string) (net.Conn, error) {
		dialled <- struct{}{}
		<-end
		return nil, os.ErrDeadlineExceeded
	}
	var first *peer
	var answered chan struct{}
	for first == nil {
		p := s.dial().send(get("/"))
		answered = make(chan struct{})
		go func() { defer close(answered); p.r.Peek(1) }()
		select {
		case <-dialled:
			first = p
		case <-answered:
		}
	}
	for range 10 {
		for quick.busy.Load() > 0 {
			runtime.Gosched()
		}
		p := s.dial().send(get("/"))
		p.r.Peek(1)
		if len(dialled) > 0 {
			t.Fatal("a request waits for the server that another waits for already")
		}
	}
	// Once it has failed, one request at a time finds out whether it is back,
	// however busy the others are.
	hangs.failures.Store(1)
	quick.busy.Add(100)
	if up := s.proxy.sites.Load().all[0].servers.pick(nil); up != quick {
		t.Error("more than one request would wait for a server that has failed")
	}
	quick.busy.Add(-100)
	close(end)
	<-answered
	if status := first.status(); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestServerWithTunnelsComesBack: a server that has failed and is well again is
// asked, though tunnels to it are open all the while.
func TestServerWithTunnelsComesBack(t *testing.T) {
	var asked atomic.Int32
	opened := make(chan struct{})
	open := script(t, func(_ int, p *peer) {
		if strings.HasPrefix(p.head(), "GET /ws ") {
			p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			close(opened)
			p.rest()
			return
		}
		asked.Add(1)
		p.send(ok)
	})
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.Sites[0].Others = []*url.URL{parseURL(t, open)} })
	other, holds := s.proxy.sites.Load().all[0].servers.all[0], s.proxy.sites.Load().all[0].servers.all[1]
	other.busy.Add(100)
	s.dial().send(get("/ws", "Upgrade: websocket", "Connection: Upgrade")).head()
	<-opened
	holds.failures.Store(1)
	for range 3 {
		if status := s.dial().send(get("/")).status(); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("%d of 3 requests went to the server that has least to do", n)
	}
}

// TestWeights shares requests by weight: those that come one after another by
// chance, those that last by how many each server has.
func TestWeights(t *testing.T) {
	cfg := configs.Default()
	site := configs.DefaultSite()
	site.Upstream = parseURL(t, "http://127.0.0.1:1")
	site.Others = []*url.URL{parseURL(t, "http://127.0.0.1:2"), parseURL(t, "http://127.0.0.1:3")}
	site.Weights = []int{1, 3, 6}
	s, err := newServers(&cfg, &site, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	share := func(lasting bool) (n [3]int) {
		for range 10_000 {
			up := s.pick(nil)
			n[slices.Index(s.all, up)]++
			if lasting {
				up.busy.Add(1)
			}
		}
		return n
	}
	// The standard deviation of each is less than 50.
	for i, n := range share(false) {
		if want := 1000 * site.Weights[i]; n < want-500 || n > want+500 {
			t.Errorf("server %d had %d requests of 10,000, want about %d", i, n, want)
		}
	}
	if n := share(true); n != [3]int{1000, 3000, 6000} {
		t.Errorf("%v requests last", n)
	}
	s.all[2].until.Store(time.Now().Add(time.Hour).UnixNano())
	s.all[0].busy.Store(2)
	s.all[1].busy.Store(5)
	if up := s.pick(nil); up != s.all[1] {
		t.Errorf("%s was picked", up.address)
	}
	if up := s.pick(s.all[:2]); up != s.all[2] {
		t.Errorf("of two that were tried and one that is not well, %v was picked", up)
	}
}

// TestHealth leaves a server out that says that it is not well.
func TestHealth(t *testing.T) {
	var ill atomic.Bool
	var served atomic.Int32
	probed := make(chan struct{}, 1000)
	patient := each(t, func(p *peer, head string) {
		if head[:len("GET /health ")] == "GET /health " {
			if ill.Load() {
				p.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			} else {
				p.send(ok)
			}
			probed <- struct{}{}
			return
		}
		served.Add(1)
		p.send(ok)
	})
	other := always(t, ok)
	s := newStage(t, patient, func(c *configs.Config) {
		c.Sites[0].Others = []*url.URL{parseURL(t, other)}
		c.Sites[0].Health = configs.Health{Path: "/health", Every: 20 * time.Millisecond, Failures: 2, Pause: time.Hour}
	})
	await := func(out bool) {
		t.Helper()
		up := s.proxy.sites.Load().all[0].servers.all[0]
		for end := time.After(testLimit); (up.until.Load() > time.Now().UnixNano()) != out; {
			select {
			case <-probed:
			case <-end:
				t.Fatalf("left out: %v", !out)
			}
		}
	}
	await(false)
	ill.Store(true)
	await(true)
	before := served.Load()
	for range 10 {
		s.dial().send(get("/")).status()
	}
	if served.Load() != before {
		t.Error("a server that is not well was asked")
	}
	ill.Store(false)
	await(false)
	for range 10 {
		s.dial().send(get("/")).status()
	}
	if served.Load() == before {
		t.Error("a server that is well again was not asked")
	}
}

// TestUpstreamTLS speaks https to an upstream, and only to one that is who it
// should be.
func TestUpstreamTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tls    configs.UpstreamTLS
		status int
	}{
		"unknown authority": {configs.UpstreamTLS{}, 502},
		"known authority":   {configs.UpstreamTLS{CA: authority}, 200},
		"known by name":     {configs.UpstreamTLS{CA: authority, ServerName: "example.com"}, 200},
		"another name":      {configs.UpstreamTLS{CA: authority, ServerName: "other.test"}, 502},
		"unverified":        {configs.UpstreamTLS{Unverified: true}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, server.URL, func(cfg *configs.Config) { cfg.Sites[0].UpstreamTLS = c.tls })
			p := s.dial()
			for range 3 {
				r := p.send(get("/")).answer("GET")
				if body := readAll(t, r.Body); r.StatusCode != c.status || c.status == 200 && body != "shop.example" {
					t.Errorf("%d %q", r.StatusCode, body)
				}
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	s := newStage(t, "unix://"+path)
	if body := readAll(t, s.dial().send(get("/a")).answer("GET").Body); body != "/a" {
		t.Errorf("%q", body)
	}
}

// TestVisitorTLS serves visitors over TLS.
func TestVisitorTLS(t *testing.T) {
	got := make(chan string, 10)
	s := newStage(t, each(t, func(p *peer, head string) {
		got <- head
		p.send(answerWith([]byte(page), isPage))
	}))
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	t.Cleanup(pair.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.proxy.Serve(tls.NewListener(ln, &tls.Config{Certificates: pair.TLS.Certificates, NextProtos: []string{"http/1.1"}}))
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := newPeer(t, c)
	for range 4 {
		held(t, readAll(t, p.send(get("/")).answer("GET").Body))
		if head := <-got; !containsFold([]byte(head), "x-forwarded-proto: https\r\n") {
			t.Errorf("%q", head)
		}
	}
}
