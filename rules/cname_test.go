package rules

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer answers with the aliases that it is given, by UDP and TCP on one
// port.
type dnsServer struct {
	address   string
	aliases   map[string][]string // host → chain
	truncated bool                // by UDP
	asked     atomic.Int32
}

func newDNSServer(t *testing.T, aliases map[string][]string) *dnsServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); conn.Close() })
	s := &dnsServer{address: ln.Addr().String(), aliases: aliases}
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(s.answer(buf[:n], s.truncated), from)
		}
	}()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			io.ReadFull(c, length[:])
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			io.ReadFull(c, query)
			answer := s.answer(query, false)
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			c.Close()
		}
	}()
	return s
}

func (s *dnsServer) answer(query []byte, truncated bool) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil {
		return nil
	}
	s.asked.Add(1)
	host := m.Questions[0].Name.String()
	host = host[:len(host)-1]
	m.Response, m.Truncated = true, truncated
	names := s.aliases[host]
	if !truncated {
		at := m.Questions[0].Name
		for _, name := range names {
			to := dnsmessage.MustNewName(name + ".")
			r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: at, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET, TTL: 60}, Body: &dnsmessage.CNAMEResource{CNAME: to}}
			m.Answers = append([]dnsmessage.Resource{r}, m.Answers...) // in the wrong order
			at = to
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: at, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// settled waits until n aliases have become known.
func settled(t *testing.T, a *Aliases, n uint64) {
	t.Helper()
	for a.changes.Load() < n {
		if t.Context().Err() != nil {
			t.Fatal("no answer")
		}
		runtime.Gosched()
	}
}

func TestAliases(t *testing.T) {
	for _, truncated := range []bool{false, true} {
		s := newDNSServer(t, map[string][]string{
			"metrics.shop.test": {"shop.eulerian.net", "lb.cloud.test"},
			"sc.shop.test":      {"shop.sc.omtrdc.net"},
			"img.shop.test":     {"cdn.shop.test", "shop.akamaized.net"}, // whose it is is known, not what for
		})
		s.truncated = truncated
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		aliases, err := NewAliases(ctx, s.address)
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, Options{Aliases: aliases})
		before := e.Revision()
		p := newPage("https://www.shop.test/")
		hosts := []string{"https://metrics.shop.test/x.js", "https://sc.shop.test/x", "https://img.shop.test/a.png", "https://www.shop.test/a.js", "https://shop.test/a.js"}
		for _, ref := range hosts {
			if d := e.URL(p, []byte(ref), Script); d.Rule != nil {
				t.Errorf("%s is decided by %v before DNS was asked", ref, d.Rule)
			}
		}
		settled(t, aliases, 3)
		if e.Revision() == before {
			t.Error("the revision is as before")
		}
		for i, want := range []string{"eulerian", "adobe-analytics", "", "", ""} {
			d := e.URL(p, []byte(hosts[i]), Script)
			if got := vendorID(d); got != want || d.Party != FirstParty {
				t.Errorf("%s is %q's, %v, want %q", hosts[i], got, d.Party, want)
			}
		}
		want := int32(3)
		if truncated {
			want = 6
		}
		if n := s.asked.Load(); n != want {
			t.Errorf("asked %d times, want %d: answers are not remembered", n, want)
		}
		if n := testing.AllocsPerRun(10, func() { e.URL(p, []byte("https://metrics.shop.test/x.js"), Script) }); n > 1 {
			t.Errorf("%v allocations", n)
		}
		// After its time an answer is asked for again, and stands meanwhile.
		aliases.now = func() time.Time { return time.Now().Add(2 * aliasLifetime) }
		if got := vendorID(e.URL(p, []byte(hosts[0]), Script)); got != "eulerian" {
			t.Errorf("an old answer does not stand: %q", got)
		}
	}
}

func vendorID(d Decision) string {
	if d.Vendor == nil {
		return ""
	}
	return d.Vendor.ID
}

func TestAliasesOfNobody(t *testing.T) {
	// A server that is not there leaves everything as it seems.
	ln, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.LocalAddr().String()
	ln.Close()
	if _, err := lookupAliases(t.Context(), address, "metrics.shop.test"); err == nil {
		t.Error("an answer from nobody")
	}
	if _, err := NewAliases(t.Context(), "127.0.0.1"); err == nil {
		t.Error("an address without a port is taken")
	}
}
