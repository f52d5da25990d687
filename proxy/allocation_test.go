package proxy

import (
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestAllocations takes a request through all that every request goes through.
func TestAllocations(t *testing.T) {
	s := newStage(t, "http://127.0.0.1:1")
	table := s.proxy.sites.Load()
	text := []byte(get("/a/page?x=y", "User-Agent: Mozilla/5.0", "Accept: text/html,*/*;q=0.8", "Accept-Language: en", "Accept-Encoding: gzip, br;q=0.5",
		"Cookie: session=0123; _ga=GA1.1.1; "+choiceCookie(consent.SetOf(consent.Functional)), "Sec-GPC: 1", "Connection: keep-alive", `If-None-Match: "x"`))
	v := &visitor{proxy: s.proxy, limits: &table.cfg.Limits}
	x := &exchange{proxy: s.proxy, v: v, sites: table, cfg: table.cfg}
	s.proxy.o.Counter = nil
	key := []byte("key")
	s.proxy.memo.put(&finished{key: key})
	var failed error
	take := func() {
		x.request.reset()
		x.host, x.withheld = x.host[:0], x.withheld[:0]
		x.request.text = append(x.request.text, text...)
		if err := x.check(); err != nil {
			failed = err
			return
		}
		x.correlation = correlation{id: x.correlation.id[:0]}
		x.site = table.find(x.host)
		x.choose()
		x.composeRequest(false)
		if negotiate(&x.request) != gzipped || s.proxy.memo.get(key) == nil {
			failed = errHalted
		}
		x.logAccess(200)
	}
	take()
	if n := testing.AllocsPerRun(100, take); n > 1 || failed != nil {
		// The choice that was found is the one.
		t.Errorf("%v allocations, want at most 1; %v", n, failed)
	}
}
