package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

// toldAddresses is an upstream that passes on the address that each request is
// said to come from.
func toldAddresses(t *testing.T) (upstream string, addresses <-chan string) {
	told := make(chan string, 1)
	return each(t, func(p *peer, head string) {
		_, rest, _ := strings.Cut(head, "X-Forwarded-For: ")
		address, _, _ := strings.Cut(rest, "\r\n")
		told <- address
		p.send(ok)
	}), told
}

// TestProxyProtocol takes the visitor's address from what stands in front, and
// only from that.
func TestProxyProtocol(t *testing.T) {
	upstream, got := toldAddresses(t)
	on := func(c *configs.Config) { trusting(c); c.ProxyProtocol = true }
	s := newStage(t, upstream, on)
	v2 := func(command, family byte, data string) string {
		return string(proxySignature) + string([]byte{0x20 | command, family, byte(len(data) >> 8), byte(len(data))}) + data
	}
	six := "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
	for header, want := range map[string]string{
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n":                                                        "1.2.3.4",
		"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n":                                                "2001:db8::1",
		"PROXY UNKNOWN\r\n":                                                                         "127.0.0.1",
		v2(1, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"):                             "1.2.3.4",
		v2(1, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02\x03\x00\x04\x00\x00\x00\x00"): "1.2.3.4",
		v2(1, 0x21, six+six+"\x00\x01\x00\x02"):                                                     "2001:db8::1",
		v2(0, 0, ""):                                                                                "127.0.0.1",
		v2(1, 0x31, strings.Repeat("x", 216)):                                                       "127.0.0.1",
	} {
		p := s.dial()
		for i := range header {
			p.send(header[i : i+1])
		}
		p.send(get("/") + get("/"))
		for range 2 {
			if address := <-got; address != want {
				t.Errorf("%q: %s, want %s", header, address, want)
			}
			p.status()
		}
	}
	for _, header := range []string{
		get("/"), "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
		"PROXY TCP4 x y 1 2\r\n", "PROXY " + strings.Repeat("x", 200), v2(2, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"),
		v2(1, 0x11, "\x01\x02"), strings.Repeat("x", 100),
	} {
		if b, _ := s.dial().send(header + get("/")).rest(); b != "" {
			t.Errorf("%q is answered: %q", header, b)
		}
	}
	stranger := newStage(t, upstream, func(c *configs.Config) { c.ProxyProtocol = true })
	if status := stranger.dial().send("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get("/")).status(); status != 400 {
		t.Errorf("a stranger's header: status %d", status)
	}
}

// TestProxyProtocolBeforeTLS has a proxy say whose a connection is before TLS
// begins, in one write with it and byte by byte.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	upstream, got := toldAddresses(t)
	a := newAuthority(t)
	pair, _ := a.issue(filepath.Join(t.TempDir(), "pair"), "shop.example")
	s := newStage(t, upstream, func(c *configs.Config) {
		trusting(c)
		c.ProxyProtocol = true
		c.TLS.Certificates = []configs.Certificate{pair}
	})
	address := s.secure()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	v2 := string(proxySignature) + "\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"
	for header, want := range map[string]string{
		"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n":         "1.2.3.4",
		"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n": "2001:db8::1",
		"PROXY UNKNOWN\r\n":                          "127.0.0.1",
		v2:                                           "1.2.3.4",
	} {
		for _, inPieces := range []bool{false, true} {
			raw := dial()
			conn := net.Conn(&prefixed{Conn: raw, prefix: []byte(header)})
			if inPieces {
				for i := range header {
					if _, err := raw.Write([]byte{header[i]}); err != nil {
						t.Fatal(err)
					}
				}
				conn = raw
			}
			c := tls.Client(conn, &tls.Config{RootCAs: a.pool, ServerName: "shop.example"})
			for range 2 {
				if _, err := c.Write([]byte(get("/"))); err != nil {
					t.Fatalf("%q: %v", header, err)
				}
				if address := <-got; address != want {
					t.Errorf("%q: %s, want %s", header, address, want)
				}
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || r.StatusCode != 200 {
					t.Fatalf("%q: %v", header, err)
				}
				readAll(t, r.Body)
			}
		}
	}
	for _, header := range []string{"", "PROXY TCP4 x y 1 2\r\n"} {
		c := tls.Client(&prefixed{Conn: dial(), prefix: []byte(header)}, &tls.Config{RootCAs: a.pool, ServerName: "shop.example"})
		if err := c.Handshake(); err == nil {
			t.Errorf("%q is believed", header)
		}
	}
	s.proxy.metrics.mu.Lock()
	defer s.proxy.metrics.mu.Unlock()
	if n := s.proxy.metrics.refusals[refusal{400, "proxy-protocol"}]; n != 2 {
		t.Errorf("%d refused", n)
	}
}

// prefixed is a connection on which something is sent before the first bytes.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	_, err := p.Conn.Write(append(p.prefix, b...))
	p.prefix = nil
	return len(b), err
}

// TestProxyProtocolForOthers reads from a connection as net/http does.
func TestProxyProtocolForOthers(t *testing.T) {
	s := newStage(t, "http://127.0.0.1:1", func(c *configs.Config) { trusting(c); c.ProxyProtocol = true })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })}
	go server.Serve(s.proxy.Announced(ln))
	defer server.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != 200 {
		t.Error(r.Status)
	}
}
