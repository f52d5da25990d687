package e2e

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestScriptsAskAboutTheOperatorsList: what the operator's lists know is held too
// where a script asks for it. The guard does not have them, and asks the proxy.
func TestScriptsAskAboutTheOperatorsList(t *testing.T) {
	list := filepath.Join(t.TempDir(), "hosts.txt")
	if err := os.WriteFile(list, []byte("0.0.0.0 cdn.listed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := pages{"/icon.svg": "", "/": `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1><script>
	const add = src => document.body.append(Object.assign(document.createElement("script"), {src}));
	add("https://cdn.listed.example/lib.js");
	add("https://cdn.fine.example/lib.js");
	window.calls = Promise.allSettled(["https://cdn.listed.example/call", "https://cdn.fine.example/call"].map(a => fetch(a, {mode: "no-cors"})));
	document.body.insertAdjacentHTML("beforeend", '<img alt="" width=9 height=9 src="https://cdn.listed.example/picture.png">');
</script></body></html>`}
	s := raiseWith(t, site, "lists: [{file: "+list+", format: hosts, category: analytics}]")
	v := visit(t, s)
	reached := func() []string {
		t.Helper()
		eval[bool](v, `calls.then(() => true)`)
		v.settle()
		list := s.reached()
		slices.Sort(list)
		s.Forget()
		return slices.Compact(list)
	}
	v.open("/")
	if got := reached(); !slices.Equal(got, []string{"cdn.fine.example/call", "cdn.fine.example/lib.js"}) {
		t.Errorf("before a choice %q are reached", got)
	}
	eval[bool](v, `askfirst.set(["analytics"]).then(() => true)`)
	v.until(`document.querySelector("img").complete && performance.getEntriesByName("https://cdn.listed.example/lib.js").length`)
	if got := reached(); !slices.Equal(got, []string{"cdn.listed.example/lib.js", "cdn.listed.example/picture.png"}) {
		t.Errorf("with analytics %q are released", got)
	}
	v.open("/")
	if got := reached(); !slices.Contains(got, "cdn.listed.example/call") {
		t.Errorf("on the next page %q are reached", got)
	}
	v.nothingThrew()
}

// TestAliasInDNSIsFollowed has a DNS server tell that a host of the site's own is a
// tracker's: it is held in the page, whoever refers to it, and released with the
// tracker's category and no other. A host of the site's own stays what it is.
func TestAliasInDNSIsFollowed(t *testing.T) {
	names, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: names, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		var m dns.Msg
		m.SetReply(q)
		if name := q.Question[0].Name; name == "metrics.shop.test." {
			m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: "shop.eulerian.net."}}
		}
		w.WriteMsg(&m)
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })

	site := pages{"/icon.svg": "", "/": `<!doctype html><html lang="en"><head><title>Shop</title>
<script async src="https://metrics.shop.test/ea.js"></script><script async src="https://static.shop.test/menu.js"></script></head><body><h1>Shop</h1><script>
	const script = document.createElement("script");
	script.src = "https://metrics.shop.test/late.js";
	document.head.append(script);
	window.called = fetch("https://metrics.shop.test/call", {mode: "no-cors"}).then(() => true, () => false);
</script></body></html>`}
	s := raiseFrom(t, site, "resolver: "+names.LocalAddr().String()+`
sites:
  - name: shop
    hosts: ['*']
    upstream: UPSTREAM
    policy_url: /privacy
`)
	for by, known := time.Now().Add(30*time.Second), false; !known; {
		if time.Now().After(by) {
			t.Fatal("what the DNS server tells is not known")
		}
		// The page is what has it asked about.
		s.get(t, "/", "Accept", "text/html", "Host", "shop.test")
		_, answer := s.get(t, "/_askfirst/rules?kind=script&unseen=&page=/&url=https://metrics.shop.test/ea.js", "Host", "shop.test")
		known = strings.Contains(answer, `"eulerian"`)
	}
	v := visit(t, s)
	reached := func() []string {
		t.Helper()
		v.settle()
		list := s.reached()
		slices.Sort(list)
		s.Forget()
		return list
	}
	v.open("/")
	if eval[bool](v, `called`) {
		t.Error("a call to the tracker is answered")
	}
	if got := reached(); !slices.Equal(got, []string{"static.shop.test/menu.js"}) {
		t.Errorf("before a choice %q are reached", got)
	}
	eval[bool](v, `askfirst.set(["functional", "analytics", "social"]).then(() => true)`)
	if got := reached(); len(got) > 0 {
		t.Errorf("with all but marketing %q are reached", got)
	}
	eval[bool](v, `askfirst.set(["functional", "analytics", "marketing", "social"]).then(() => true)`)
	v.until(`["ea", "late"].every(name => performance.getEntriesByName("https://metrics.shop.test/" + name + ".js").length)`)
	if got := reached(); !slices.Equal(got, []string{"metrics.shop.test/ea.js", "metrics.shop.test/late.js"}) {
		t.Errorf("with marketing %q are released", got)
	}
	v.nothingThrew()
}
