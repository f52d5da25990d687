package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

const (
	isScript  = "Content-Type: text/javascript"
	forWorker = "Sec-Fetch-Dest: worker"
)

// guarded returns a script with the guard of workers where it belongs.
func (s *stage) guarded(before, after, page string, child bool) string {
	return before + ";" + string(s.proxy.sites.Load().all[0].banner.AppendWorker(nil, page, child)) + after
}

// longScript is one that no buffer holds.
func longScript() string {
	b := make([]byte, 300_000)
	random := rand.NewChaCha8([32]byte{})
	for i := range b {
		b[i] = "0123456789abcdef"[random.Uint64()%16]
	}
	return "'use strict'\nvar a = '" + string(b) + "'\n"
}

// TestWorkersAreGuardedOnTheWire: the guard is in what is asked for as a worker's, in
// the coding in which that comes, and nothing else changes.
func TestWorkersAreGuardedOnTheWire(t *testing.T) {
	const start = "'use strict'"
	long := longScript()
	for _, c := range []struct{ name, script, coding, framing string }{
		{"plain", "work()", "", "sized"},
		{"chunked", "work()", "", "chunked"},
		{"until the end", "work()", "", "close"},
		{"long", long, "", "sized"},
		{"long, chunked", long, "", "chunked"},
		{"gzip", long, "gzip", "sized"},
		{"br", long, "br", "chunked"},
		{"zstd", long, "zstd", "sized"},
		{"short zstd", "work()", "zstd", "sized"},
		{"deflate", long, "deflate", "sized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := encode(t, c.coding, []byte(c.script))
			answer := "HTTP/1.1 200 OK\r\n" + isScript + "\r\nX-Own: 1\r\nAccept-Ranges: bytes\r\n"
			if c.coding != "" {
				answer += "Content-Encoding: " + c.coding + "\r\n"
			}
			switch c.framing {
			case "sized":
				answer += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
			case "chunked":
				half := len(body) / 2
				answer += fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
			default:
				answer += "Connection: close\r\n\r\n" + string(body)
			}
			s := newStage(t, script(t, func(_ int, p *peer) {
				for {
					if _, err := p.r.Peek(1); err != nil {
						return
					}
					p.head()
					if p.send(answer); c.framing == "close" {
						return
					}
				}
			}))
			before, after := "", c.script
			if rest, ok := strings.CutPrefix(c.script, start); ok {
				before, after = start, rest
			}
			want := s.guarded(before, after, "/shop", false)
			for _, dest := range []string{"worker", "sharedworker"} {
				r := s.dial().send(get("/w.js", "Sec-Fetch-Dest: "+dest, "Referer: http://shop.example/shop?q=1")).answer("GET")
				coding := c.coding
				if coding == "deflate" {
					coding = ""
				}
				if got := r.Header.Get("Content-Encoding"); got != coding {
					t.Errorf("for a %s the coding is %q", dest, got)
				}
				text := decode(t, coding, []byte(readAll(t, r.Body)))
				if text != want {
					t.Errorf("for a %s: %d bytes, want %d: %.150q", dest, len(text), len(want), text)
				}
				if c.coding == "" && c.framing == "sized" && r.ContentLength != int64(len(want)) {
					t.Errorf("for a %s: Content-Length %d, want %d", dest, r.ContentLength, len(want))
				}
				if r.Header.Get("X-Own") != "1" || r.Header.Get("Accept-Ranges") != "" {
					t.Errorf("for a %s: %v", dest, r.Header)
				}
			}
			old := s.dial().send("GET /w.js HTTP/1.0\r\nHost: shop.example\r\n" + forWorker + "\r\nReferer: http://shop.example/shop\r\n\r\n").answer("GET")
			if text := decode(t, old.Header.Get("Content-Encoding"), []byte(readAll(t, old.Body))); text != want {
				t.Errorf("over HTTP/1.0: %d bytes, want %d", len(text), len(want))
			}
		})
	}
}

// TestOnlyWorkersAreGuarded: for all else, and where nothing is held, the file is as it came.
func TestOnlyWorkersAreGuarded(t *testing.T) {
	answer := func(contentType string) string {
		return "HTTP/1.1 200 OK\r\n" + contentType + "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\nETag: \"1\"\r\nCache-Control: public, max-age=60\r\nContent-Length: 6\r\n\r\nwork()"
	}
	for _, c := range []struct {
		name, contentType, method, request string
		change                             func(*configs.Config)
		guarded                            bool
	}{
		{name: "worker", request: forWorker, guarded: true},
		{name: "type of another age", request: forWorker, contentType: "application/x-javascript; charset=utf-8", guarded: true},
		{name: "no type", request: forWorker, contentType: "-", guarded: true},
		{name: "plain text", request: forWorker, contentType: "text/plain", guarded: true},
		{name: "data", request: forWorker, contentType: "application/json"},
		{name: "script", request: "Sec-Fetch-Dest: script"},
		{name: "fetched", request: "Sec-Fetch-Dest: empty"},
		{name: "service worker", request: "Sec-Fetch-Dest: serviceworker"},
		{name: "worklet", request: "Sec-Fetch-Dest: audioworklet"},
		{name: "over plain HTTP", request: "Accept: */*"},
		{name: "posted", method: "POST", request: forWorker},
		{name: "left alone", request: forWorker, change: func(c *configs.Config) { c.Sites[0].Leave = []string{"/w*"} }},
		{name: "not rewriting", request: forWorker, change: func(c *configs.Config) { c.Rewrite = false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			contentType := isScript + "\r\n"
			switch c.contentType {
			case "":
			case "-":
				contentType = ""
			default:
				contentType = "Content-Type: " + c.contentType + "\r\n"
			}
			change := c.change
			if change == nil {
				change = func(*configs.Config) {}
			}
			s := newStage(t, always(t, answer(contentType)), change)
			method := c.method
			if method == "" {
				method = "GET"
			}
			got, err := s.dial().send(method + " /w.js HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n" + c.request + "\r\n\r\n").rest()
			if err != nil {
				t.Fatal(err)
			}
			if c.guarded {
				if !strings.HasSuffix(got, "\r\n\r\n"+s.guarded("", "work()", "/", false)) {
					t.Errorf("it is not guarded: %.300q", got)
				}
				return
			}
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			want, _, _ := strings.Cut(answer(contentType), "\r\n\r\n")
			for _, line := range strings.Split(want, "\r\n") {
				if !strings.Contains(head+"\r\n", line+"\r\n") {
					t.Errorf("%q is not in %q", line, head)
				}
			}
			if body != "work()" || strings.Contains(head, "Vary") || strings.Contains(head, "private") {
				t.Errorf("it is changed: %.300q", got)
			}
		})
	}
}

// TestWorkersWithNothingHeld: the file is as it came, but known to depend on the choice.
func TestWorkersWithNothingHeld(t *testing.T) {
	all := "Cookie: " + choiceCookie(consent.All)
	for name, c := range map[string]struct {
		change  func(*configs.Config)
		dest    string
		fields  []string
		guarded bool
	}{
		"all agreed to":                   {fields: []string{all}},
		"all agreed to but one":           {fields: []string{"Cookie: " + choiceCookie(consent.All.Without(consent.Social))}, guarded: true},
		"shared, and outlives the choice": {dest: "sharedworker", fields: []string{all}, guarded: true},
		"somebody is always held": {fields: []string{all}, guarded: true, change: func(c *configs.Config) {
			c.Sites[0].Overrides = []rules.Override{{Domain: "never.example", AlwaysHold: true}}
		}},
		"a page that is left alone": {fields: []string{"Referer: http://shop.example/wp-admin/post.php"}, change: func(c *configs.Config) {
			c.Sites[0].Leave = []string{"/wp-admin/*"}
		}},
		"another page": {fields: []string{"Referer: http://shop.example/wp-content/"}, guarded: true, change: func(c *configs.Config) {
			c.Sites[0].Leave = []string{"/wp-admin/*"}
		}},
		"a page for children": {fields: []string{all, "Referer: http://shop.example/kids/"}, guarded: true, change: func(c *configs.Config) {
			c.Sites[0].UnderAge.Paths = []string{"/kids/*"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*configs.Config) {}
			}
			if c.dest == "" {
				c.dest = "worker"
			}
			s := newStage(t, always(t, answerWith([]byte("work()"), isScript, "Cache-Control: public, max-age=60", `ETag: "1"`)), c.change)
			r := s.dial().send(get("/w.js", append(c.fields, "Sec-Fetch-Dest: "+c.dest)...)).answer("GET")
			if got := readAll(t, r.Body); (got != "work()") != c.guarded {
				t.Errorf("guarded %v: %.100q", !c.guarded, got)
			}
			if v := strings.Join(r.Header.Values("Vary"), ", "); r.Header.Get("Cache-Control") != "max-age=60, private" || !strings.Contains(v, "Cookie") || !strings.Contains(v, "Sec-Fetch-Dest") || strings.Contains(v, "Referer") != strings.Contains(name, "page") {
				t.Errorf("Cache-Control %q, Vary %q", r.Header.Values("Cache-Control"), v)
			}
		})
	}
}

// TestWorkersAreRevalidated: a browser that has the file from another use gets it anew, be
// it as a worker's or as a page's.
func TestWorkersAreRevalidated(t *testing.T) {
	var asked string
	s := newStage(t, each(t, func(p *peer, head string) {
		asked = head
		if strings.Contains(head, "If-") {
			p.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")
			return
		}
		p.send(answerWith([]byte("work()"), isScript, `ETag: "1"`, "Last-Modified: Sat, 28 Nov 2026 12:00:00 GMT"))
	}))
	tag := func(fields ...string) (string, int) {
		r := s.dial().send(get("/w.js", fields...)).answer("GET")
		io.Copy(io.Discard, r.Body)
		return r.Header.Get("ETag"), r.StatusCode
	}
	guarded, _ := tag(forWorker)
	if again, status := tag(forWorker, "If-None-Match: "+guarded); again != guarded || status != 304 {
		t.Errorf("the same worker: %d with %s, had %s", status, again, guarded)
	}
	if _, status := tag(forWorker, "Referer: http://shop.example/other", "If-None-Match: "+guarded); status != 304 {
		t.Errorf("the same worker on another page: %d", status)
	}
	for _, fields := range [][]string{
		{forWorker, `If-None-Match: "1"`},
		{forWorker, "If-Modified-Since: Sat, 28 Nov 2026 12:00:00 GMT"},
		{forWorker, "Range: bytes=0-1", `If-Range: "1"`},
		{"Sec-Fetch-Dest: script", "If-None-Match: " + guarded},
		{forWorker, "If-None-Match: " + guarded, "Cookie: " + choiceCookie(consent.All)},
	} {
		if _, status := tag(fields...); status != 200 || strings.Contains(asked, "If-") || strings.Contains(asked, "Range") {
			t.Errorf("%q: %d, asked %q", fields, status, asked)
		}
	}
	for _, fields := range [][]string{
		{"Sec-Fetch-Dest: script", `If-None-Match: "1"`},
		{forWorker, `If-None-Match: "1"`, "Cookie: " + choiceCookie(consent.All)},
	} {
		if got, status := tag(fields...); status != 304 || got != `"1"` {
			t.Errorf("%q: %d with %s", fields, status, got)
		}
	}
}

// TestWorkersThatCannotBeRead: they come as they are, and contact nobody else.
func TestWorkersThatCannotBeRead(t *testing.T) {
	for name, answer := range map[string]string{
		"a part":         "HTTP/1.1 206 Partial Content\r\n" + isScript + "\r\nContent-Range: bytes 0-5/9\r\nContent-Length: 6\r\n\r\nwork()",
		"unknown coding": answerWith([]byte("work()"), isScript, "Content-Encoding: pack200"),
	} {
		s := newStage(t, always(t, answer))
		r := s.dial().send(get("/w.js", forWorker)).answer("GET")
		if got := readAll(t, r.Body); got != "work()" || !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %q with %v", name, got, r.Header)
		}
	}
	broken := encode(t, "gzip", []byte(longScript()))
	copy(broken, "no")
	s := newStage(t, always(t, answerWith(broken, isScript, "Content-Encoding: gzip")))
	if got := s.dial().send(get("/w.js", forWorker)).answer("GET"); got.StatusCode != 502 {
		t.Errorf("a broken coding: %s", got.Status)
	}
	for _, answer := range []string{
		"HTTP/1.1 404 Not Found\r\n" + isScript + "\r\nContent-Length: 6\r\n\r\nwork()",
		answerWith(nil, isScript, "Content-Encoding: gzip"),
	} {
		s := newStage(t, always(t, answer))
		r := s.dial().send(get("/w.js", forWorker)).answer("GET")
		_, want, _ := strings.Cut(answer, "\r\n\r\n")
		if got := readAll(t, r.Body); got != want {
			t.Errorf("%s: %q, want %q", r.Status, got, want)
		}
	}
}

func TestWorkersHead(t *testing.T) {
	s := newStage(t, always(t, "HTTP/1.1 200 OK\r\n"+isScript+"\r\nETag: \"1\"\r\nContent-Length: 6\r\nContent-Security-Policy: connect-src https://api.example\r\nSet-Cookie: _ga=1\r\n\r\n"))
	r := s.dial().send("HEAD /w.js HTTP/1.1\r\nHost: shop.example\r\nCookie: _gid=2\r\n" + forWorker + "\r\n\r\n").answer("HEAD")
	if r.StatusCode != 200 || r.ContentLength >= 0 || !strings.HasPrefix(r.Header.Get("ETag"), `W/"1-as`) {
		t.Errorf("%s, %d bytes, %v", r.Status, r.ContentLength, r.Header)
	}
	// It may ask, and it takes no cookie away and sets none.
	if got := r.Header.Get("Content-Security-Policy"); got != "connect-src https://api.example http://shop.example/_askfirst/" {
		t.Errorf("the policy is %q", got)
	}
	if got := r.Header.Values("Set-Cookie"); len(got) > 0 {
		t.Errorf("it sets %q", got)
	}
}

// TestWorkersPage: the guard is told of the page that Referer names, and takes what may be
// for children to be.
func TestWorkersPage(t *testing.T) {
	paths := func(c *configs.Config) { c.Sites[0].UnderAge.Paths = []string{"/kids/*"} }
	marks := func(c *configs.Config) { c.Sites[0].UnderAge.Mark = true }
	cookie := func(c *configs.Config) { c.Sites[0].UnderAge.Cookie = "age" }
	by := func(c *configs.Config) {
		c.Sites[0].Overrides = []rules.Override{{Domain: "partner.example", Category: consent.Necessary, Pages: "/checkout*"}}
	}
	plain := func(*configs.Config) {}
	for _, c := range []struct {
		name    string
		change  func(*configs.Config)
		fields  []string
		page    string
		child   bool
		referer bool // the answer depends on it
	}{
		{name: "page", change: plain, fields: []string{"Referer: http://shop.example/a/b?c=/d"}, page: "/a/b"},
		{name: "page by https", change: plain, fields: []string{"Referer: https://shop.example/a.html"}, page: "/a.html"},
		{name: "front page", change: plain, fields: []string{"Referer: http://shop.example/"}, page: "/"},
		{name: "none", change: plain, page: "/"},
		{name: "another host", change: plain, fields: []string{"Referer: http://shop.example.evil.example/a"}, page: "/"},
		{name: "another port", change: plain, fields: []string{"Referer: http://shop.example:81/a"}, page: "/"},
		{name: "worker", change: plain, fields: []string{"Referer: http://shop.example/w.js"}, page: "/"},
		{name: "broken", change: plain, fields: []string{"Referer: http://shop.example/a\\\"b"}, page: "/"},
		{name: "by page", change: by, fields: []string{"Referer: http://shop.example/checkout"}, page: "/checkout", referer: true},
		{name: "for children", change: paths, fields: []string{"Referer: http://shop.example/kids/x"}, page: "/kids/x", child: true, referer: true},
		{name: "not for children", change: paths, fields: []string{"Referer: http://shop.example/x"}, page: "/x", referer: true},
		{name: "perhaps for children", change: paths, fields: []string{"Referer: http://shop.example/w.js"}, page: "/", child: true, referer: true},
		{name: "marked, perhaps", change: marks, fields: []string{"Referer: http://shop.example/x"}, page: "/x", child: true},
		{name: "a child", change: cookie, fields: []string{"Cookie: age=7"}, page: "/", child: true},
		{name: "no child", change: cookie, page: "/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, always(t, answerWith([]byte("work()"), isScript)), c.change)
			r := s.dial().send(get("/w.js", append(c.fields, forWorker)...)).answer("GET")
			if got, want := readAll(t, r.Body), s.guarded("", "work()", c.page, c.child); got != want {
				t.Errorf("got %.150q, want %.150q", got, want)
			}
			if got := strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Referer"); got != c.referer {
				t.Errorf("Vary %q", r.Header.Values("Vary"))
			}
		})
	}
}

// TestWorkersAreStreamed: what has come of a script is sent before the rest has.
func TestWorkersAreStreamed(t *testing.T) {
	goOn := make(chan struct{})
	part := bytes.Repeat([]byte("work();"), 20_000)
	s := newStage(t, each(t, func(p *peer, _ string) {
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s", isScript, 2*len(part), part))
		<-goOn
		p.send(string(part))
	}))
	want := s.guarded("", string(part)+string(part), "/", false)
	r := s.dial().send(get("/w.js", forWorker)).answer("GET")
	first := make([]byte, len(want)-len(part)-1)
	if _, err := io.ReadFull(r.Body, first); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if got := string(first) + readAll(t, r.Body); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// TestPrologue names after | where the guard goes.
func TestPrologue(t *testing.T) {
	for _, want := range []string{
		"|work()",
		"|",
		"|\n",
		"\xef\xbb\xbf|work()",
		"#!/usr/bin/env node\n|work()",
		"\xef\xbb\xbf#!x\n'use strict'|;work()",
		"#!x|",
		`"use strict"|;var a`,
		`'use strict'|` + "\nvar a",
		`"use strict"|` + "\r\nvar a",
		`"use strict"|  /* and */ ;var a`,
		`"use strict"| // so` + "\nvar a",
		`"use strict"|/*` + "\n" + `*/var a`,
		"// © a long\n/*! licence; \"use strict\" */\n\t'use strict'|;work()",
		`"use client";"use strict"|;work()`,
		`'it\'s so'` + "\n" + `"a \" b";"use strict"|` + "\nwork()",
		`|"use strict".length`,
		`|"a" + b`,
		`|"a"` + "\n.trim()",
		`|"a", b()`,
		`|"use strict" /* unfinished`,
		`|'unfinished`,
		"|'unfinished\nwork()",
		"|/* unfinished",
		"|<!-- old\n'use strict'",
		"|import 'https://other.example/x.js'",
		`"use strict"|;`,
	} {
		at := strings.IndexByte(want, '|')
		text := want[:at] + want[at+1:]
		if got, _ := prologue([]byte(text)); got != at {
			t.Errorf("%q: %d, want %d", text, got, at)
		}
		for n := range len(text) {
			if got, known := prologue([]byte(text[:n])); known && got != at {
				t.Errorf("%q is known to be %d after %d bytes", text, got, n)
			}
		}
	}
}
