package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// peak watches the bytes held while f runs and returns the most of them.
// It collects before it looks: what is no longer reachable is not held, and
// how much of that lies about is the collector's and the pools' affair (under
// the race detector a sync.Pool drops some of what it is given).
func peak(f func()) uint64 {
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := held()
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- most - before
				return
			case <-tick.C:
				most = max(most, held())
			}
		}
	}()
	f()
	close(stop)
	return <-done
}

// TestLargeBodies takes 500 MB down and up.
func TestLargeBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("500 MB")
	}
	const size = 500 << 20
	block := make([]byte, 1<<20)
	s := newStage(t, each(t, func(p *peer, head string) {
		p.SetDeadline(time.Now().Add(time.Minute))
		if strings.HasPrefix(head, "POST") {
			n, err := io.CopyN(io.Discard, p.r, size)
			if err != nil {
				t.Errorf("%d bytes arrived: %v", n, err)
			}
			p.send(ok)
			return
		}
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
		for range size / len(block) {
			if _, err := p.Write(block); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	p := s.dial()
	p.SetDeadline(time.Now().Add(time.Minute))
	begun := time.Now()
	down := peak(func() {
		if n, err := io.Copy(io.Discard, p.send(get("/")).answer("GET").Body); n != size || err != nil {
			t.Errorf("%d bytes came: %v", n, err)
		}
	})
	t.Logf("download: %v, %d KB", time.Since(begun), down>>10)
	begun = time.Now()
	up := peak(func() {
		p.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
		for range size / len(block) {
			if _, err := p.Write(block); err != nil {
				t.Fatal(err)
			}
		}
		if status := p.status(); status != 200 {
			t.Errorf("status %d", status)
		}
	})
	t.Logf("upload: %v, %d KB", time.Since(begun), up>>10)
	if down > 16<<20 || up > 16<<20 {
		t.Errorf("%d KB down, %d KB up", down>>10, up>>10)
	}
}

// TestSlowReaders has visitors ask for a lot and read nothing: others are
// served, and little is held for each.
func TestSlowReaders(t *testing.T) {
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		block := make([]byte, 64<<10)
		for {
			if _, err := p.Write(block); err != nil {
				return
			}
		}
	}))
	used := peak(func() {
		for range 50 {
			s.dial().send(get("/")).head()
		}
		p := s.dial().send(get("/"))
		p.head()
		if _, err := io.CopyN(io.Discard, p.r, 10<<20); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d KB held", used>>10)
	if used > 50*(256<<10) {
		t.Errorf("%d KB held", used>>10)
	}
}

// TestIdleVisitors holds many connections between requests.
func TestIdleVisitors(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 connections")
	}
	const visitors = 2000
	s := newStage(t, always(t, ok))
	var conns []net.Conn
	used := peak(func() {
		for range visitors {
			c, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			fmt.Fprint(c, get("/"))
			buf := make([]byte, 256)
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	// Their buffers are given back when they have waited for a while.
	for deadline := time.Now().Add(testLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		s.proxy.mu.Lock()
		fat := 0
		for v := range s.proxy.visitors {
			if !v.slim.Load() {
				fat++
			}
		}
		s.proxy.mu.Unlock()
		if fat == 0 {
			break
		}
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("peak %d KB; %d bytes of heap and stack for each, the test's own included", used>>10, (m.HeapInuse+m.StackInuse)/visitors)
	for _, c := range conns {
		fmt.Fprint(c, get("/"))
		if _, err := c.Read(make([]byte, 256)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// TestRestingTunnels holds many WebSockets on which much has come and nothing comes.
func TestRestingTunnels(t *testing.T) {
	const tunnels, much = 200, 60_000
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(p.Conn, p.r)
	}))
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before, message := heap(), strings.Repeat("x", much)
	for range tunnels {
		p := s.dial().send(get("/", "Upgrade: websocket", "Connection: Upgrade"))
		p.head()
		p.send(message)
		if _, err := io.CopyN(io.Discard, p.r, much); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
	}
	// The last reads may still be going on.
	for end := time.Now().Add(testLimit); heap() > before+tunnels*largeBuffer; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes of heap for each, the test's own included", (heap()-before)/tunnels)
		}
	}
	t.Logf("%d bytes of heap for each, the test's own included", (heap()-before)/tunnels)
}

// TestShutdown lets what is under way finish, refuses what is new and sends
// those home who wait.
func TestShutdown(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	s := newStage(t, each(t, func(p *peer, head string) {
		if strings.HasPrefix(head, "GET /slow ") {
			close(arrived)
			<-proceed
		}
		p.send(ok)
	}))
	idle := s.dial().send(get("/"))
	idle.status()
	slow := s.dial().send(get("/slow"))
	<-arrived
	done := make(chan error, 1)
	go func() { done <- s.proxy.Shutdown(context.Background()) }()
	if b, err := idle.rest(); b != "" || err != nil {
		t.Errorf("an idle visitor gets %q, %v", b, err)
	}
	if s.proxy.Ready() {
		t.Error("ready while draining")
	}
	if _, err := net.Dial("tcp", s.address); err == nil {
		t.Error("a new visitor is let in")
	}
	close(proceed)
	if status := slow.status(); status != 200 {
		t.Errorf("status %d", status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestShutdownLimit cuts off what does not end.
func TestShutdownLimit(t *testing.T) {
	arrived := make(chan struct{})
	s := newStage(t, script(t, func(_ int, p *peer) { p.head(); close(arrived); p.rest() }))
	p := s.dial().send(get("/"))
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.proxy.Shutdown(ctx); err == nil {
		t.Error("no error though a request was cut off")
	}
	if _, err := p.rest(); os.IsTimeout(err) {
		t.Error("the visitor still waits")
	}
}

// TestConcurrent sends requests of all kinds at once.
func TestConcurrent(t *testing.T) {
	s := newStage(t, each(t, func(p *peer, head string) {
		if strings.Contains(head, "/page") {
			p.send(answerWith([]byte(page), isPage))
			return
		}
		p.send(ok)
	}))
	var wg sync.WaitGroup
	for range 16 {
		p := s.dial()
		wg.Go(func() {
			for i := range 50 {
				target := "/"
				if i%2 == 0 {
					target = fmt.Sprintf("/page%d", i%10)
				}
				r := p.send(get(target, "Accept-Encoding: gzip", "Connection: keep-alive")).answer("GET")
				if body := readAll(t, r.Body); r.StatusCode != 200 || len(body) == 0 {
					t.Errorf("%d %q", r.StatusCode, body)
				}
			}
		})
	}
	wg.Wait()
}

// badCounter is a part that fails.
type badCounter struct{ tally }

func (*badCounter) Count(string, []byte, consent.Set, []Sighting) { panic("on purpose") }

// TestFault ends one connection by a fault of our own; others are served, and
// the upstream's connection is not lost to them.
func TestFault(t *testing.T) {
	s := newStage(t, each(t, func(p *peer, head string) {
		if strings.Contains(head, "/page") {
			p.send(answerWith([]byte(page), isPage))
			return
		}
		p.send(ok)
	}), func(c *configs.Config) { c.Limits.UpstreamConns = 2 })
	s.proxy.o.Counter = new(badCounter)
	for range 5 {
		if _, err := s.dial().send(get("/page")).rest(); err == nil {
			t.Error("the connection ends as if all were well")
		}
	}
	if status := s.dial().send(get("/")).status(); status != 200 {
		t.Errorf("status %d", status)
	}
	if n := s.proxy.metrics.faults.Load(); n != 5 {
		t.Errorf("%d faults counted", n)
	}
}

// TestReload changes site and upstream while requests are under way: none is
// lost, and each is answered under one configuration.
func TestReload(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	first := each(t, func(p *peer, head string) {
		if strings.HasPrefix(head, "GET /slow ") {
			close(arrived)
			<-proceed
		}
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
	})
	second := always(t, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
	s := newStage(t, first)
	slow, p := s.dial(), s.dial()
	slow.send(get("/slow"))
	<-arrived
	ask := func(p *peer) string { return readAll(t, p.answer("GET").Body) }
	if got := ask(p.send(get("/"))); got != "first" {
		t.Errorf("%q", got)
	}
	bad := *s.proxy.sites.Load().cfg
	bad.Sites = append([]configs.Site(nil), bad.Sites...)
	bad.Sites[0].Overrides = []rules.Override{{Vendor: "nobody"}}
	if err := s.proxy.Reload(&bad); err == nil {
		t.Error("a bad configuration is taken")
	}
	if got := ask(p.send(get("/"))); got != "first" {
		t.Errorf("%q", got)
	}
	good := *s.proxy.sites.Load().cfg
	good.Sites = append([]configs.Site(nil), good.Sites...)
	good.Sites[0].Upstream, _ = url.Parse(second)
	if err := s.proxy.Reload(&good); err != nil {
		t.Fatal(err)
	}
	if got := ask(p.send(get("/"))); got != "second" {
		t.Errorf("%q", got)
	}
	close(proceed)
	if got := ask(slow); got != "first" {
		t.Errorf("%q", got)
	}
	if got := ask(slow.send(get("/"))); got != "second" {
		t.Errorf("%q", got)
	}
}

// TestHosts finds sites by exact name, by wildcard and by default.
func TestHosts(t *testing.T) {
	names := map[string][]string{"exact": {"shop.example"}, "wild": {"*.shop.example"}, "deep": {"*.a.shop.example"}, "port": {"[::1]"}}
	s := newStage(t, "http://127.0.0.1:1", func(c *configs.Config) {
		base := c.Sites[0]
		c.Sites = nil
		for name, hosts := range names {
			site := base
			site.Name, site.Hosts = name, hosts
			site.Upstream, _ = url.Parse(always(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name)))
			c.Sites = append(c.Sites, site)
		}
	})
	for host, want := range map[string]string{
		"shop.example": "exact", "SHOP.example:8080": "exact", "shop.example.": "exact", "www.shop.example": "wild", "x.y.shop.example": "wild",
		"b.a.shop.example": "deep", "a.shop.example": "wild", "[::1]:80": "port",
	} {
		if got := readAll(t, s.dial().send("GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n").answer("GET").Body); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	for _, host := range []string{"other.example", "evilshop.example", "example"} {
		if status := s.dial().send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status(); status != 421 {
			t.Errorf("%s: status %d, want 421", host, status)
		}
	}
}
