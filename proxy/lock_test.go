package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

func locking(c *configs.Config) {
	c.Sites[0].Unclassified, c.Sites[0].SecondLock = configs.HoldUnclassified, true
}

func newTestLock(t testing.TB, overrides []rules.Override, seen ...string) *lock {
	t.Helper()
	site := configs.DefaultSite()
	site.SecondLock, site.Overrides = true, overrides
	e, err := rules.New(site.Rules())
	if err != nil {
		t.Fatal(err)
	}
	return newLock(&site, e, seen)
}

// TestLockLearnsOnce: what a page refers to changes nothing the next time, be it such
// that a policy cannot name it, or too much to be remembered.
func TestLockLearnsOnce(t *testing.T) {
	l := newTestLock(t, nil)
	learn := func(hosts ...string) {
		var tags []Sighting
		for _, host := range hosts {
			tags = append(tags, Sighting{Host: []byte(host), Decision: rules.Decision{Vendor: l.engine.Vendor("hotjar"), Party: rules.ThirdParty}})
		}
		l.learn(tags)
		before := l.met.Load()
		if l.learn(tags); l.met.Load() != before {
			t.Errorf("%q and %d others are learned again", hosts[0], len(hosts)-1)
		}
	}
	learn("stats.example")
	learn("my_stats.example")
	learn("")
	many := make([]string, maxMet+10)
	for i := range many {
		many[i] = fmt.Sprintf("h%d.example", i)
	}
	learn(many...)
	if n := len(l.met.Load().hosts); n != maxMet {
		t.Errorf("%d hosts are remembered, want %d", n, maxMet)
	}
}

func TestLockNamesWhatTheChoiceLetsPass(t *testing.T) {
	l := newTestLock(t, []rules.Override{
		{Domain: "images.partner.example", Category: consent.Necessary},
		{URL: "files.partner.example/a/b*c", Category: consent.Analytics},
		{Domain: "never.example", AlwaysHold: true},
		{Domain: "tags.partner.example", As: "google-tag-manager", Category: consent.Unclassified},
		{Vendor: "youtube", Category: consent.Necessary},
		{Vendor: "matomo", Category: consent.Functional},
		{Vendor: "mixpanel", AlwaysHold: true},
		{Vendor: "google-tag-manager", Category: consent.Marketing},
		{Vendor: "segment", Category: consent.Functional, Pages: "/shop/*"},
	}, "hotjar", "youtube", "intercom", "matomo", "mixpanel", "google-tag-manager", "segment")
	l.learn([]Sighting{
		{Host: []byte("stats.site.example"), Decision: rules.Decision{Category: consent.Analytics, Party: rules.ThirdParty}},
		{Host: []byte("server.tags.example"), Decision: rules.Decision{Vendor: l.engine.Vendor("google-tag-manager"), Category: consent.Functional, Party: rules.ThirdParty}},
		{Host: []byte("held.example"), Decision: rules.Decision{Category: consent.Analytics, Party: rules.ThirdParty, Never: true}},
		{Host: []byte("bad host;"), Decision: rules.Decision{Party: rules.ThirdParty}},
		{Host: []byte("own.example"), Decision: rules.Decision{Party: rules.FirstParty}},
	})
	for _, c := range []struct {
		granted  consent.Set
		has, not string
	}{
		{0, "images.partner.example *.images.partner.example stripe.com *.youtube.com", "tags hotjar files.partner stats.site intercom never own.example bad ;"},
		{consent.SetOf(consent.Analytics), "hotjar.com *.hotjar.com wss://*.hotjar.com files.partner.example/a/ stats.site.example:* *.googletagmanager.com server.tags.example:* *.tags.partner.example *.segment.com", "intercom matomo mixpanel held.example"},
		{consent.SetOf(consent.Functional), "*.intercom.io *.matomo.cloud *.segment.com", "hotjar mixpanel"},
	} {
		got := l.sources(c.granted)
		for _, word := range strings.Fields(c.has) {
			if !strings.Contains(got+" ", " "+word+" ") {
				t.Errorf("%s: %s is not in%s", c.granted, word, got)
			}
		}
		for _, word := range strings.Fields(c.not) {
			if strings.Contains(got, word) {
				t.Errorf("%s: %s is in%s", c.granted, word, got)
			}
		}
	}
}

// However many vendors a site uses and whatever pages name, the header is short
// and what is remembered bounded.
func TestLockIsBounded(t *testing.T) {
	l := newTestLock(t, nil)
	for _, v := range l.engine.Vendors() {
		l.meet("", rules.Decision{Vendor: v}, false)
	}
	for i := range 2 * maxMet {
		l.learn([]Sighting{{Host: fmt.Appendf(nil, "host%d.example", i), Decision: rules.Decision{Party: rules.ThirdParty}}})
	}
	for granted := range consent.All.With(consent.Unclassified) {
		if n := len(l.sources(granted)); n > maxLock {
			t.Errorf("%s: %d bytes", granted, n)
		}
	}
	if n := len(l.met.Load().hosts); n != maxMet {
		t.Errorf("%d hosts are remembered", n)
	}
	for _, id := range slices.Concat(foremost, usual) {
		if l.engine.Vendor(id) == nil {
			t.Errorf("%s is no vendor", id)
		}
	}
}

// Whom a tag manager may bring along is named before the site was seen to use
// them, each only with its category.
func TestLockNamesTheUsual(t *testing.T) {
	l := newTestLock(t, nil)
	for _, id := range usual {
		v := l.engine.Vendor(id)
		for _, granted := range []consent.Set{0, consent.SetOf(v.Category), consent.All.Without(v.Category).Without(consent.Marketing)} {
			var own sourceList
			own.vendor(v)
			first, _, _ := strings.Cut(strings.TrimSpace(own.text.String()), " ")
			if named := strings.Contains(l.sources(granted)+" ", " "+first+" "); named != granted.Has(v.Category) {
				t.Errorf("%s of %s with %s: named %v", id, v.Category, granted, named)
			}
		}
	}
	if all := l.sources(consent.All.Without(consent.Marketing)); len(all) > maxLock {
		t.Errorf("%d bytes", len(all))
	}
}

func TestSourcePath(t *testing.T) {
	for pattern, want := range map[string]string{
		"/*": "", "/maps*": "", "/a/b*": "/a/", "/a/*": "/a/", "/a/b.js$": "/a/b.js", "/a/*/c$": "/a/", "/*x$": "", "/a;b/c*": "",
	} {
		if got := sourcePath(pattern); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

// The lock is added to the site's own policy, on pages and on what revalidates
// them, and on the scripts of workers.
func TestLockOnTheWire(t *testing.T) {
	const own = "Content-Security-Policy: script-src 'nonce-abc'"
	s := newStage(t, each(t, func(p *peer, head string) {
		switch {
		case strings.Contains(head, "If-None-Match"):
			p.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n" + own + "\r\n\r\n")
		case strings.Contains(head, " /worker.js "):
			p.send("HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nok")
		default:
			p.send(answerWith([]byte(page), isPage, own, `ETag: "1"`))
		}
	}), locking)
	r := s.dial().send(get("/")).answer("GET")
	held(t, readAll(t, r.Body))
	policies := r.Header["Content-Security-Policy"]
	if len(policies) != 2 || !strings.Contains(policies[0], "'nonce-abc'") ||
		!strings.HasPrefix(policies[1], "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: http://shop.example:* http://*.shop.example:* ws://shop.example:* ws://*.shop.example:* ") ||
		!strings.HasSuffix(policies[1], "; report-uri /_askfirst/csp") {
		t.Errorf("%q", policies)
	}
	again := s.dial().send(get("/", "If-None-Match: "+r.Header.Get("ETag"))).answer("GET")
	if got := again.Header["Content-Security-Policy"]; again.StatusCode != 304 || len(got) != 2 || got[1] != policies[1] {
		t.Errorf("%s with %q", again.Status, got)
	}
	for dest, locked := range map[string]bool{"worker": true, "sharedworker": true, "": true, "script": false, "serviceworker": false} {
		r := s.dial().send(get("/worker.js", "Sec-Fetch-Dest: "+dest)).answer("GET")
		if got := r.Header.Get("Content-Security-Policy") != ""; got != locked {
			t.Errorf("a script for %q: locked %v", dest, got)
		}
		if private := strings.Contains(r.Header.Get("Cache-Control"), "private") && strings.Contains(r.Header.Get("Vary"), "Cookie"); private != locked {
			t.Errorf("a script for %q: %q, Vary %q", dest, r.Header["Cache-Control"], r.Header["Vary"])
		}
	}
	all := s.dial().send(get("/", "Cookie: "+choiceCookie(consent.All))).answer("GET")
	if got := all.Header["Content-Security-Policy"]; len(got) != 1 {
		t.Errorf("with everything agreed to: %q", got)
	}
}

// TestReportsCrowdNobodyOut has anybody report more vendors than the lock has room
// for: what the site's pages have stands before them.
func TestReportsCrowdNobodyOut(t *testing.T) {
	l := newTestLock(t, nil)
	for _, v := range l.engine.Vendors() {
		l.learnVendor(v)
	}
	own := l.engine.Vendor("plausible")
	l.learn([]Sighting{{Host: []byte("plausible.io"), Decision: rules.Decision{Party: rules.ThirdParty, Vendor: own, Category: own.Category}}})
	if got := l.sources(consent.SetOf(own.Category)); !strings.Contains(got, "plausible.io") || len(got) > maxLock {
		t.Errorf("%d bytes: %.200s", len(got), got)
	}
}

func BenchmarkLock(b *testing.B) {
	l := newTestLock(b, nil, "hotjar")
	x := &exchange{site: &site{lock: l}, cfg: &configs.Config{Rewrite: true}, address: []byte("shop.example"), target: []byte("/")}
	b.ReportAllocs()
	for b.Loop() {
		x.out = x.appendLock(x.out[:0])
	}
}
