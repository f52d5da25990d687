package proxy

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

// TestProxyProtocol takes the visitor's address from what stands in front, and
// only from that.
func TestProxyProtocol(t *testing.T) {
	got := make(chan string, 1)
	upstream := each(t, func(p *peer, head string) {
		_, rest, _ := strings.Cut(head, "X-Forwarded-For: ")
		address, _, _ := strings.Cut(rest, "\r\n")
		got <- address
		p.send(ok)
	})
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
