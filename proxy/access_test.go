package proxy

import (
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.text.String()
	l.text.Reset()
	return s
}

// TestAccessLog compares lines of all forms, for answers that are passed on,
// refused and our own.
func TestAccessLog(t *testing.T) {
	request := get("/a?b=\"c\xff", "Referer: http://x/", "User-Agent: y\"\x80z")
	for form, want := range map[string]string{
		"common":   `^127\.0\.0\.0 - - \[[^]]+\] "GET /a\?b=\\"c\\xff HTTP/1\.1" 200 \d+\n$`,
		"combined": `^127\.0\.0\.0 - - \[[^]]+\] "GET /a\?b=\\"c\\xff HTTP/1\.1" 200 \d+ "http://x/" "y\\"\\x80z"\n$`,
		"json":     `"client":"127\.0\.0\.0","host":"shop\.example","method":"GET","target":"/a\?b=\\"c\\u00ff","status":200,"bytes":\d+,"seconds":0\.\d+,"referer":"http://x/","agent":"y\\"\\u0080z","id":"[0-9a-f]{32}"}\n$`,
	} {
		log := new(lines)
		s := newStage(t, always(t, ok), func(c *configs.Config) { c.AccessLog = form })
		s.proxy.o.Access = log
		p := s.dial()
		p.send(request).status()
		p.send(get("/_askfirst/none")).status() // the line before it is written by now
		p.send("GET /x HTTP/1.1\r\n\r\n").status()
		p.rest()
		all := strings.SplitAfter(log.take(), "\n")
		if len(all) != 4 || !regexp.MustCompile(want).MatchString(all[0]) || !strings.Contains(all[1], "404") || !strings.Contains(all[2], "400") {
			t.Errorf("%s: %q", form, all)
		}
		if form == "json" {
			for _, line := range all[:len(all)-1] {
				if !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %q", line)
				}
			}
		}
	}
}

// TestAccessLogOfMalformedRequest: the line of a request that cannot be read
// has its sender's address, not that of a visitor before.
func TestAccessLogOfMalformedRequest(t *testing.T) {
	log := new(lines)
	s := newStage(t, always(t, ok), trusting, func(c *configs.Config) { c.AccessLog, c.WholeAddresses = "common", true })
	s.proxy.o.Access = log
	for range 20 {
		s.dial().send(get("/", "X-Forwarded-For: 192.0.2.7", "Connection: close")).rest()
		s.dial().send("GET / HTTP/1.1\r\nno field\r\n\r\n").rest()
	}
	if err := s.proxy.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := log.take()
	if strings.Count(all, "\n") != 40 || !strings.Contains(all, "192.0.2.7 - -") {
		t.Fatalf("the log is\n%s", all)
	}
	if n := strings.Count(all, "127.0.0.1 - -"); n != 20 {
		t.Errorf("%d malformed requests are logged under another's address:\n%s", 20-n, all)
	}
}

// TestAccessLogOfTunnels finds a WebSocket in the log once it has ended, with
// what went through it.
func TestAccessLogOfTunnels(t *testing.T) {
	log := new(lines)
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + strings.Repeat("x", 5000))
		p.rest()
	}), func(c *configs.Config) { c.AccessLog = "common" })
	s.proxy.o.Access = log
	p := s.dial().send("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	p.head()
	p.bytes(5000)
	p.send(strings.Repeat("y", 7000)).Conn.(*net.TCPConn).CloseWrite()
	p.rest() // ends when the tunnel has
	if err := s.proxy.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`"GET /ws HTTP/1.1" 101 (\d+)\n$`).FindStringSubmatch(log.take())
	if m == nil {
		t.Fatal("the log lacks it")
	}
	if sent, _ := strconv.Atoi(m[1]); sent < 5000 || sent > 5300 {
		t.Errorf("logged as %d bytes", sent)
	}
	if n := s.proxy.metrics.received.Load(); n < 7000 || n > 7200 {
		t.Errorf("%d bytes were received", n)
	}
}
