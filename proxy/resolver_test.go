package proxy

import (
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/askfirst/askfirst/configs"
)

// TestResolver has a DNS server tell that a host of the site's own is a
// tracker's: pages hold it from then on, the guard is told so, and a reload does
// not forget it.
func TestResolver(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		<-answer
		var m dns.Msg
		m.SetReply(q)
		if name := q.Question[0].Name; name == "metrics.shop.example." {
			m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: "shop.eulerian.net."}}
		}
		w.WriteMsg(&m)
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })

	const page = `<!doctype html><head><title>t</title></head><body><script src="https://metrics.shop.example/ea.js"></script></body>`
	cfg := new(configs.Config)
	s := newStage(t, always(t, answerWith([]byte(page), "Content-Type: text/html")), func(c *configs.Config) { c.Resolver = conn.LocalAddr().String(); *cfg = *c })
	engine := func() [16]byte { return s.proxy.sites.Load().all[0].engine.Revision() }
	before := engine()
	read := func() string {
		r := s.dial().send(get("/", "Accept: text/html")).answer("GET")
		return readAll(t, r.Body)
	}
	const held = `src="https://metrics.shop.example/ea.js"`
	for range 3 { // so that the page is remembered as it is
		if body := read(); !strings.Contains(body, " "+held) {
			t.Fatalf("held before anybody can know:\n%s", body)
		}
	}
	close(answer)
	for engine() == before {
		if t.Context().Err() != nil {
			t.Fatal("the answer did not arrive")
		}
		runtime.Gosched()
	}
	if body := read(); strings.Contains(body, " "+held) {
		t.Errorf("not held once the answer is known:\n%s", body)
	}
	question := get("/.askfirst/rules?kind=script&unseen=&page=/&url=https://metrics.shop.example/ea.js")
	if body := readAll(t, s.dial().send(question).answer("GET").Body); !strings.Contains(body, `"eulerian"`) {
		t.Errorf("the guard is told %s", body)
	}
	again := *cfg
	if err := s.proxy.Reload(&again); err != nil {
		t.Fatal(err)
	}
	if body := read(); strings.Contains(body, " "+held) {
		t.Error("a reload has forgotten what was known")
	}
}
