package banner

import (
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules"
)

func TestEvents(t *testing.T) {
	e := serve(t, Options{})
	good := `{"page":"/blog","tags":[["https://www.google-analytics.com/g/collect?id=secret","script","held",2,"-"],["https://www.google-analytics.com/g/collect","script","fired",1,"a"]],"cookies":[["_ga","script","a"]],"more":3}`
	e.status(e.json("/_askfirst/events", good), 204)
	e.status(e.do("POST", "/_askfirst/events", good, "Content-Type", "text/plain;charset=UTF-8"), 204)
	if len(e.watcher.reports) != 4 { // each before the choice and after it
		t.Fatalf("%d reports", len(e.watcher.reports))
	}
	r := e.watcher.reports[0]
	if r.Page != "/blog" || r.Granted.String() != "-" || len(r.Tags) != 1 || r.Tags[0].Host != "www.google-analytics.com" || r.Tags[0].Path != "/g/collect" || r.Tags[0].Kind != rules.Script || r.Tags[0].Count != 2 || len(r.Cookies) != 0 {
		t.Errorf("report before the choice %+v", r)
	}
	r = e.watcher.reports[1]
	if r.Page != "/blog" || r.Granted.String() != "a" || len(r.Tags) != 1 || r.Tags[0].Event != "fired" || r.Tags[0].Count != 1 || len(r.Cookies) != 1 || r.Cookies[0].Name != "_ga" {
		t.Errorf("report after the choice %+v", r)
	}
	for name, body := range map[string]string{
		"not JSON":            `{`,
		"unknown member":      `{"page":"/","visitor":"x"}`,
		"no granted":          `{"page":"/","tags":[["https://x/","script","held",1]]}`,
		"cookie's granted":    `{"page":"/","cookies":[["_ga","script","zz"]]}`,
		"granted malformed":   `{"page":"/","tags":[["https://x/","script","held",1,"zz"]]}`,
		"page elsewhere":      `{"page":"//evil"}`,
		"page with query":     `{"page":"/?id=1"}`,
		"page empty":          `{"page":""}`,
		"kind unknown":        `{"page":"/","tags":[["https://x/","magic","held",1,"-"]]}`,
		"event unknown":       `{"page":"/","tags":[["https://x/","script","seen",1,"-"]]}`,
		"count nought":        `{"page":"/","tags":[["https://x/","script","held",0,"-"]]}`,
		"count negative":      `{"page":"/","tags":[["https://x/","script","held",-1,"-"]]}`,
		"count large":         `{"page":"/","tags":[["https://x/","script","held",99999999,"-"]]}`,
		"count fraction":      `{"page":"/","tags":[["https://x/","script","held",1.5,"-"]]}`,
		"more negative":       `{"page":"/","more":-1}`,
		"more large":          `{"page":"/","more":401}`,
		"tag short":           `{"page":"/","tags":[["https://x/","script"]]}`,
		"tag long":            `{"page":"/","tags":[["https://x/","script","held",1,"-",2]]}`,
		"address relative":    `{"page":"/","tags":[["/x","script","held",1,"-"]]}`,
		"address javascript":  `{"page":"/","tags":[["javascript:1","script","held",1,"-"]]}`,
		"address control":     `{"page":"/","tags":[["https://x/\u0000","script","held",1,"-"]]}`,
		"cookie source":       `{"page":"/","cookies":[["_ga","magic","-"]]}`,
		"cookie name control": `{"page":"/","cookies":[["a\u0001","script","-"]]}`,
		"cookie name long":    `{"page":"/","cookies":[["` + strings.Repeat("a", 101) + `","script","-"]]}`,
	} {
		a := e.json("/_askfirst/events", body)
		if a.StatusCode != 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	e.status(e.json("/_askfirst/events", `{"page":"/`+strings.Repeat("x", maxEvents)+`"}`), 413)
	e.status(e.do("POST", "/_askfirst/events", good, "Content-Type", formType), 415)
	if len(e.watcher.reports) != 4 {
		t.Error("a refused report was passed on")
	}
}

func TestReportsAreLimited(t *testing.T) {
	l := limiter{burst: reportBurst, perSecond: reportsPerSecond}
	now := time.Unix(1000, 0)
	allowed := 0
	for range 1000 {
		if l.allow("192.0.2.0", now) {
			allowed++
		}
	}
	if allowed != reportBurst {
		t.Errorf("%d at once", allowed)
	}
	if !l.allow("192.0.2.0", now.Add(time.Second)) {
		t.Error("nothing a second later")
	}
	for range reportsPerSecond {
		l.allow("192.0.2.0", now.Add(time.Second))
	}
	if l.allow("192.0.2.0", now.Add(-time.Hour)) {
		t.Error("a clock that goes back fills the bucket")
	}
	e := serve(t, Options{})
	limited := 0
	for range 2 * reportBurst {
		if a := e.json("/_askfirst/events", `{"page":"/"}`); a.StatusCode == 429 && a.Header.Get("Retry-After") != "" {
			limited++
		}
	}
	if limited == 0 {
		t.Error("no report was refused")
	}
}

func TestViolations(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Host = "shop.example"
	post := func(media, body string) answered {
		return e.do("POST", "/_askfirst/csp", body, "Content-Type", media, "Sec-Fetch-Site", "same-origin")
	}
	e.status(post("application/csp-report", `{"csp-report":{"document-uri":"https://shop.example/a?b","blocked-uri":"https://t.example/x.js?id=1","effective-directive":"script-src-elem","disposition":"enforce","original-policy":"…"}}`), 204)
	e.status(post("application/reports+json", `[{"type":"csp-violation","age":1,"body":{"documentURL":"https://shop.example/c","blockedURL":"https://t.example/p.gif","effectiveDirective":"img-src","disposition":"report"}},{"type":"deprecation","body":{}},
		{"type":"csp-violation","body":{"documentURL":"https://shop.example/c","blockedURL":"inline","effectiveDirective":"script-src-elem"}},
		{"type":"csp-violation","body":{"documentURL":"https://elsewhere.example/c","blockedURL":"https://t.example/p.gif","effectiveDirective":"img-src"}}]`), 204)
	// Workers and frames without an address of their own are this host's too.
	for _, document := range []string{"blob:https://shop.example/0-1-2", "about", "about:srcdoc"} {
		e.status(post("application/csp-report", `{"csp-report":{"document-uri":"`+document+`","blocked-uri":"https://t.example/x.js","effective-directive":"connect-src"}}`), 204)
	}
	if len(e.watcher.reports) != 5 {
		t.Fatalf("%d reports", len(e.watcher.reports))
	}
	if third := e.watcher.reports[2]; third.Page != "/" || third.Tags[0].Event != "stopped" {
		t.Errorf("%+v", third)
	}
	first, second := e.watcher.reports[0], e.watcher.reports[1]
	if first.Page != "/a" || first.Tags[0].Host != "t.example" || first.Tags[0].Path != "/x.js" || first.Tags[0].Event != "stopped" || first.Tags[0].Kind != rules.Script {
		t.Errorf("%+v", first)
	}
	if second.Tags[0].Event != "fired" || second.Tags[0].Kind != rules.Image {
		t.Errorf("%+v", second)
	}
	e.status(post("application/json", `{}`), 415)
	e.status(post("application/csp-report", `{`), 400)
	e.status(post("application/reports+json", `{}`), 400)
	e.status(post("application/csp-report", strings.Repeat(" ", maxViolations+1)), 413)
}
