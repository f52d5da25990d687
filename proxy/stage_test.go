package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// stage is a proxy on loopback in front of an upstream that a test scripts.
type stage struct {
	t       testing.TB
	proxy   *Proxy
	address string
	log     *bytes.Buffer
	counted *tally
}

// tally is a Counter that keeps what it is given.
type tally struct {
	mu      sync.Mutex
	tags    []string
	cookies []string
}

func (c *tally) Count(site string, page []byte, granted consent.Set, tags []Sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tags {
		c.tags = append(c.tags, fmt.Sprintf("%s %s %s%s %s", page, t.Kind, t.Host, t.Path, t.Fate))
	}
}

func (c *tally) Recur(site string, page []byte, granted consent.Set, tags []Sighting) Recurrence {
	page = bytes.Clone(page)
	return again(func() { c.Count(site, page, granted, tags) })
}

type again func()

func (a again) Again(view, asked bool) { a() }

func (c *tally) CountView(string, []byte, bool) {}

func (c *tally) CountCookie(site string, name []byte, d rules.Decision, source string, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cookies = append(c.cookies, fmt.Sprintf("%s %s held=%v", name, source, held))
}

type noRecords struct{}

func (noRecords) Record(context.Context, *consent.Receipt) error { return nil }
func (noRecords) Receipt(context.Context, consent.ID) (*consent.Receipt, error) {
	return nil, fs.ErrNotExist
}
func (noRecords) Erase(context.Context, consent.ID) error { return fs.ErrNotExist }

type noObserver struct{}

func (noObserver) Report(string, *banner.Report)                {}
func (noObserver) Seen(string) (vendors, unclassified []string) { return nil, nil }
func (noObserver) Since(string) (t time.Time)                   { return t }

type safeBuffer struct {
	mu sync.Mutex
	*bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// newStage starts a proxy in front of the given address.
func newStage(t testing.TB, upstream string, change ...func(*configs.Config)) *stage {
	t.Helper()
	s := &stage{t: t, log: new(bytes.Buffer), counted: new(tally)}
	cfg := configs.Default()
	cfg.Limits.Drain = time.Second
	site := configs.DefaultSite()
	site.Name, site.Hosts = "default", []string{"*"}
	var err error
	if site.Upstream, err = url.Parse(upstream); err != nil {
		t.Fatal(err)
	}
	cfg.Sites = []configs.Site{site}
	for _, f := range change {
		f(&cfg)
	}
	s.proxy, err = New(&cfg, Options{
		Records: noRecords{}, Observer: noObserver{}, Counter: s.counted,
		Log: slog.New(slog.NewTextHandler(&safeBuffer{Buffer: s.log}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.proxy.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.proxy.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func trusting(c *configs.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// peer is one end of a connection, with time limits so that no test hangs.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

const testLimit = 10 * time.Second

func newPeer(t testing.TB, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(testLimit))
	return &peer{c, t, bufio.NewReader(c)}
}

func (s *stage) dial() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return newPeer(s.t, c)
}

func (p *peer) send(s string) *peer {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Fatalf("sending %.40q: %v", s, err)
	}
	return p
}

// head reads up to and with the empty line.
func (p *peer) head() string {
	p.t.Helper()
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			p.t.Fatalf("reading a head: %v after %q", err, b.String())
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

func (p *peer) bytes(n int) string {
	p.t.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(p.r, b); err != nil {
		p.t.Fatalf("reading %d bytes: %v after %q", n, err, b[:m])
	}
	return string(b)
}

// rest reads to the end of the connection.
func (p *peer) rest() (string, error) {
	b, err := io.ReadAll(p.r)
	return string(b), err
}

// answer reads a response with net/http's reading.
func (p *peer) answer(method string) *http.Response {
	p.t.Helper()
	r, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading an answer: %v", err)
	}
	return r
}

func (p *peer) status() int {
	p.t.Helper()
	for {
		r := p.answer("GET")
		io.Copy(io.Discard, r.Body)
		if r.StatusCode >= 200 {
			return r.StatusCode
		}
	}
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading a body: %v after %d bytes", err, len(b))
	}
	return string(b)
}

// script starts an upstream that runs play on each connection.
func script(t testing.TB, play func(n int, p *peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				play(n, newPeer(t, c))
			})
		}
	})
	return "http://" + ln.Addr().String()
}

// each answers every request on every connection.
func each(t testing.TB, answer func(p *peer, head string)) string {
	return script(t, func(_ int, p *peer) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			answer(p, p.head())
		}
	})
}

func always(t testing.TB, answer string) string {
	return each(t, func(p *peer, _ string) { p.send(answer) })
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func get(target string, fields ...string) string {
	s := "GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n"
	for _, f := range fields {
		s += f + "\r\n"
	}
	return s + "\r\n"
}
