package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// TestTarget sends targets that must reach the upstream byte for byte.
func TestTarget(t *testing.T) {
	got := make(chan string, 1)
	s := newStage(t, each(t, func(p *peer, head string) {
		line, _, _ := strings.Cut(head, "\r\n")
		got <- line
		p.send(ok)
	}))
	p := s.dial()
	for _, target := range []string{
		"/", "/a?", "/a??", "/?", "/a%2Fb", "/a%2fb", "//a//b", "/a/../b", "/./a/.", "/%2e%2e/", "/a;b=c;d", "/\xff\xfe", "/%",
		"/%zz", "/a|b", `/a"b`, "/a<b>", `/a\b`, "/a[0]", "/ü", "/a?b=c&&d", "/a?b?c", "/a?x=http://b/c", "/:80", "/@", "/a?%00",
	} {
		p.send(get(target))
		if line := <-got; line != "GET "+target+" HTTP/1.1" {
			t.Errorf("%q arrived as %q", target, line)
		}
		p.status()
	}
	for absolute, origin := range map[string]string{
		"http://shop.example/a?b": "/a?b", "HTTP://shop.example": "/", "http://shop.example?x": "/?x", "https://shop.example//a": "//a",
	} {
		p.send(get(absolute))
		if line := <-got; line != "GET "+origin+" HTTP/1.1" {
			t.Errorf("%q arrived as %q", absolute, line)
		}
		p.status()
	}
	p.send("OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	if line := <-got; line != "OPTIONS * HTTP/1.1" {
		t.Errorf("* arrived as %q", line)
	}
	p.status()
}

// TestRequestFields compares the fields that arrive at the upstream.
func TestRequestFields(t *testing.T) {
	got := make(chan string, 1)
	upstream := each(t, func(p *peer, head string) {
		_, fields, _ := strings.Cut(head, "\r\n")
		got <- fields
		p.send(ok)
	})
	const forwarding = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop.example\r\n" +
		"Forwarded: for=127.0.0.1;host=\"shop.example\";proto=http\r\nVia: 1.1 askfirst\r\n\r\n"
	for name, c := range map[string]struct {
		in, out string
		trust   bool
	}{
		"order and case":   {in: "x-A: 1\r\nX-b:2\r\nX-A:  3 \t\r\n", out: "x-A: 1\r\nX-b: 2\r\nX-A: 3\r\n" + forwarding},
		"bytes":            {in: "X: \xff\xfe \"x y\";=\r\n", out: "X: \xff\xfe \"x y\";=\r\n" + forwarding},
		"no agent made up": {in: "User-Agent: a/1\r\nAccept: */*\r\n", out: "User-Agent: a/1\r\nAccept: */*\r\n" + forwarding},
		"hop by hop": {
			in:  "Connection: X-Gone, keep-alive, Host, Cookie, Content-Length, X-Forwarded-For\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nCookie: a=b\r\n",
			out: "Cookie: a=b\r\n" + forwarding,
		},
		"trailers wanted": {in: "TE: trailers, gzip\r\nConnection: TE\r\n", out: "TE: trailers\r\nConnection: TE\r\n" + forwarding},
		"cookies": {
			in:  "Cookie: a=\"x y\"; b=; =z; _ga=GA1.1.1; c=1;d=2; askfirst=1.1.-.1.x; e; _fbp=1\r\n",
			out: "Cookie: a=\"x y\"; b=; =z; c=1;d=2; e\r\n" + forwarding,
		},
		"cookies, first cut": {in: "Cookie: _ga=1; a=b\r\n", out: "Cookie: a=b\r\n" + forwarding},
		"cookies, all cut":   {in: "Cookie: _ga=1; askfirst-once=youtube\r\n", out: forwarding},
		"codings":            {in: "Accept-Encoding: gzip, deflate, br;q=0.9, zstd, dcb, *;q=0.1\r\nAvailable-Dictionary: :x:\r\n", out: "Accept-Encoding: gzip, deflate, br;q=0.9, zstd\r\n" + forwarding},
		"unknown codings":    {in: "Accept-Encoding: compress\r\n", out: "Accept-Encoding: identity\r\n" + forwarding},
		"by underscores":     {in: "X_Forwarded_For: 1.2.3.4\r\nx_real-ip: 1.2.3.4\r\nContent_Length: 3\r\nMy_Own: 1\r\n", out: "My_Own: 1\r\n" + forwarding},
		"stranger's word":    {in: "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n", out: forwarding},
		"trusted word": {
			in: "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.shop.example\r\nForwarded: for=1.2.3.4\r\nVia: 1.1 front\r\n", trust: true,
			out: "X-Forwarded-Proto: https\r\nX-Forwarded-Host: www.shop.example\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" +
				"Forwarded: for=1.2.3.4, for=127.0.0.1;host=\"shop.example\";proto=https\r\nVia: 1.1 front, 1.1 askfirst\r\n\r\n",
		},
		"own tag":         {in: `If-Match: W/"v1-as0123456789abcdef", "x"` + "\r\n", out: `If-Match: "v1", "x"` + "\r\n" + forwarding},
		"range":           {in: "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", out: "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n" + forwarding},
		"range of a page": {in: "Range: bytes=0-1\r\nIf-Range: \"x\"\r\nSec-Fetch-Dest: document\r\n", out: "Sec-Fetch-Dest: document\r\n" + forwarding},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, upstream, func(cfg *configs.Config) {
				if c.trust {
					trusting(cfg)
				}
			})
			s.dial().send("GET /x.txt HTTP/1.1\r\nHost: shop.example\r\n" + c.in + "\r\n").status()
			fields, id, ok := strings.Cut(<-got, "X-Request-Id: ")
			if id, rest, _ := strings.Cut(id, "\r\n"); !ok || len(id) != 32 || rest != "\r\n" {
				t.Errorf("request id %q, %q", id, rest)
			}
			if want := "Host: shop.example\r\n" + strings.TrimSuffix(c.out, "\r\n"); fields != want {
				t.Errorf("got  %q\nwant %q", fields, want)
			}
		})
	}
}

// TestAnswerFields compares whole heads as they reach the visitor.
func TestAnswerFields(t *testing.T) {
	for name, c := range map[string]struct{ in, out string }{
		"as it came": {
			"HTTP/1.1 200 Fine by me\r\nDate: x\r\nserver: y/1\r\nSet-Cookie: a=\"b c\"; Path=/\r\nX: \xff\r\nSet-Cookie: d=e\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 Fine by me\r\nDate: x\r\nserver: y/1\r\nSet-Cookie: a=\"b c\"; Path=/\r\nX: \xff\r\nSet-Cookie: d=e\r\nContent-Length: 0\r\n\r\n",
		},
		"no reason":       {"HTTP/1.1 200 \r\nDate: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nDate: x\r\nContent-Length: 0\r\n\r\n"},
		"unusual status":  {"HTTP/1.1 999 No\r\nDate: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 999 No\r\nDate: x\r\nContent-Length: 0\r\n\r\n"},
		"hop by hop":      {"HTTP/1.1 200 OK\r\nDate: x\r\nConnection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n"},
		"204":             {"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"},
		"304":             {"HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n"},
		"416":             {"HTTP/1.1 416 Range Not Satisfiable\r\nDate: x\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 416 Range Not Satisfiable\r\nDate: x\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n"},
		"tracking cookie": {"HTTP/1.1 200 OK\r\nDate: x\r\nSet-Cookie: _ga=1; Path=/\r\nSet-Cookie: a=b\r\nSet-Cookie: _fbp=x; HttpOnly\r\nSet-Cookie: _ga=; Max-Age=0\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: x\r\nSet-Cookie: a=b\r\nSet-Cookie: _ga=; Max-Age=0\r\nContent-Length: 0\r\n\r\n"},
		"links": {
			"HTTP/1.1 200 OK\r\nDate: x\r\nLink: </a.css>; rel=preload; as=style,<https://www.google-analytics.com>; rel=preconnect, <https://shop.example/b>; rel=canonical\r\nLink: <//connect.facebook.net>; rel=\"dns-prefetch preconnect\"\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nLink: </a.css>; rel=preload; as=style, <https://shop.example/b>; rel=canonical\r\nContent-Length: 0\r\n\r\n",
		},
		"links that say it otherwise": {
			"HTTP/1.1 200 OK\r\nDate: x\r\nLink: </a.gif>; rel=preload; as=image; imagesrcset=\"/b.gif 2x,https://www.google-analytics.com/a.gif 1x\"\r\nLink: </a.gif>; rel=preload; as=image; imagesrcset=\"/b.gif 2x, /c.gif\"\r\n" +
				"Link: <https://www.google-analytics.com/a>; rel=\"compression-dictionary\", <https://www.google-analytics.com/>; rel=\"pre\\connect\"\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nLink: </a.gif>; rel=preload; as=image; imagesrcset=\"/b.gif 2x, /c.gif\"\r\nContent-Length: 0\r\n\r\n",
		},
		"speculation rules": {
			"HTTP/1.1 200 OK\r\nDate: x\r\nSpeculation-Rules: \"/rules.json\"\r\nSpeculation-Rules: \"/\\\\www.google-analytics.com/rules.json\"\r\nSpeculation-Rules: \"\\\\\\\\www.google-analytics.com/rules.json\"\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nSpeculation-Rules: \"/rules.json\"\r\nContent-Length: 0\r\n\r\n",
		},
		"reports": {
			"HTTP/1.1 200 OK\r\nDate: x\r\nReport-To: {\"group\":\"a\",\"endpoints\":[{\"url\":\"https://www.google-analytics.com/r\"}]}\r\nNEL: {\"report_to\":\"a\"}\r\nReporting-Endpoints: b=\"https://stats.g.doubleclick.net/r\"\r\n" +
				`Reporting-Endpoints: a="\"", b="https://stats.g.doubleclick.net/r"` + "\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
		},
		"reports of a policy": {
			"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Security-Policy: default-src 'none'; Report-URI https://www.google-analytics.com/r; img-src *, img-src 'self'; report-uri /r\r\nContent-Security-Policy-Report-Only: report-uri https://stats.g.doubleclick.net/r\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Security-Policy: default-src 'none'; img-src *; , img-src 'self'; report-uri /r\r\nContent-Security-Policy-Report-Only: \r\nContent-Length: 0\r\n\r\n",
		},
		"own reports": {"HTTP/1.1 200 OK\r\nDate: x\r\nReport-To: {\"endpoints\":[{\"url\":\"https://shop.example/r\"}]}\r\nNEL: {}\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: x\r\nReport-To: {\"endpoints\":[{\"url\":\"https://shop.example/r\"}]}\r\nNEL: {}\r\nContent-Length: 0\r\n\r\n"},
		"refresh":     {"HTTP/1.1 200 OK\r\nDate: x\r\nRefresh: 5; url=https://ad.doubleclick.net/x\r\nRefresh: 0 url=https://ad.doubleclick.net/x\r\nRefresh: 0;url='//ad.doubleclick.net'@shop.example/'\r\nRefresh: 0;url='//shop.example'@ad.doubleclick.net/'\r\nRefresh: 5; url=/next\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: x\r\nRefresh: 5; url=/next\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, always(t, c.in))
			if head := s.dial().send(get("/x.txt")).head(); head != c.out {
				t.Errorf("got  %q\nwant %q", head, c.out)
			}
		})
	}
}

// TestBodies passes bodies of every framing through, to visitors of both
// versions.
func TestBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 300<<10)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	chunk := func(w io.Writer) {
		rest := data
		for len(rest) > 0 {
			n := min(1+random.IntN(40<<10), len(rest))
			fmt.Fprintf(w, "%X;ext=\"a\"\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		io.WriteString(w, "0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n")
	}
	var chunks bytes.Buffer
	chunk(&chunks)
	for name, c := range map[string]struct {
		answer string
		close  bool
	}{
		"sized":     {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(data), data), false},
		"chunked":   {"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: Chunked\r\n\r\n" + chunks.String(), false},
		"close":     {"HTTP/1.1 200 OK\r\n\r\n" + string(data), true},
		"close 1.0": {"HTTP/1.0 200 OK\r\n\r\n" + string(data), true},
		"sized 1.0": {fmt.Sprintf("HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(data), data), true},
	} {
		s := newStage(t, script(t, func(_ int, p *peer) {
			for {
				if _, err := p.r.Peek(1); err != nil {
					return
				}
				p.head()
				p.send(c.answer)
				if c.close {
					return
				}
			}
		}))
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(name+" to "+version, func(t *testing.T) {
				p := s.dial()
				for range 2 {
					r := p.send(strings.Replace(get("/"), "HTTP/1.1", "HTTP/"+version, 1)).answer("GET")
					body, err := io.ReadAll(r.Body)
					if err != nil || !bytes.Equal(body, data) {
						t.Fatalf("%d of %d bytes, %v", len(body), len(data), err)
					}
					if version == "1.0" {
						if r.TransferEncoding != nil {
							t.Error("chunked to a visitor of HTTP/1.0")
						}
						return
					}
					if name == "chunked" && r.Trailer.Get("X-Sum") != "1" {
						t.Errorf("trailer %v", r.Trailer)
					}
					if r.Trailer.Get("Set-Cookie") != "" {
						t.Error("a cookie in the trailer")
					}
				}
			})
		}
	}
}

// TestKeepAliveOf10 has a visitor of HTTP/1.0 ask for the connection to live.
func TestKeepAliveOf10(t *testing.T) {
	s := newStage(t, always(t, ok))
	p := s.dial()
	for range 2 {
		head := p.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").head()
		if !strings.Contains(head, "Connection: keep-alive\r\n") {
			t.Fatalf("%q", head)
		}
		p.bytes(2)
	}
}

// TestUpload sends bodies of both framings through.
func TestUpload(t *testing.T) {
	type seen struct {
		head string
		sum  [32]byte
	}
	got := make(chan seen, 1)
	s := newStage(t, each(t, func(p *peer, head string) {
		h := sha256.New()
		if strings.Contains(head, "Transfer-Encoding: chunked") {
			for {
				var n int
				fmt.Fscanf(p.r, "%x\r\n", &n)
				io.CopyN(h, p.r, int64(n))
				p.bytes(2)
				if n == 0 {
					break
				}
			}
		} else {
			var n int64
			fmt.Sscanf(head[strings.Index(head, "Content-Length: "):], "Content-Length: %d", &n)
			io.CopyN(h, p.r, n)
		}
		got <- seen{head, [32]byte(h.Sum(nil))}
		p.send(ok)
	}))
	p := s.dial()
	for _, size := range []int{1, 3000, 5000, 100_000, 5_000_000} {
		data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		want := sha256.Sum256(data)
		p.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, data))
		if g := <-got; g.sum != want {
			t.Errorf("sized %d: another body arrived", size)
		}
		if status := p.status(); status != 200 {
			t.Errorf("status %d", status)
		}
		p.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 70_001)
			p.send(fmt.Sprintf("%x;a=b\r\n%s\r\n", n, rest[:n]))
			rest = rest[n:]
		}
		p.send("0\r\n\r\n")
		if g := <-got; g.sum != want {
			t.Errorf("chunked %d: another body arrived", size)
		}
		if status := p.status(); status != 200 {
			t.Errorf("status %d", status)
		}
	}
}

// TestEarlyAnswer has the upstream answer and hang up in the middle of an
// upload.
func TestEarlyAnswer(t *testing.T) {
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.bytes(10)
		p.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
	}))
	p := s.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
	go func() {
		block := make([]byte, 64<<10)
		for {
			if _, err := p.Write(block); err != nil {
				return
			}
		}
	}()
	r := p.answer("POST")
	if body := readAll(t, r.Body); r.StatusCode != 413 || body != "big" || !r.Close {
		t.Errorf("%d %q, close %v", r.StatusCode, body, r.Close)
	}
}

// TestBothWays has the upstream answer while it reads.
func TestBothWays(t *testing.T) {
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 3 {
			p.send("1\r\n" + p.bytes(1) + "\r\n")
		}
		p.send("0\r\n\r\n")
	}))
	p := s.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	p.head()
	for _, c := range []string{"x", "y", "z"} {
		p.send(c)
		if got := p.bytes(len("1\r\nx\r\n")); got != "1\r\n"+c+"\r\n" {
			t.Fatalf("%q came back as %q", c, got)
		}
	}
}

func TestExpect(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	t.Run("agreed", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) {
			if head := p.head(); !strings.Contains(head, "Expect: 100-continue\r\n") {
				t.Errorf("%q", head)
			}
			p.send("HTTP/1.1 100 Continue\r\n\r\n")
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + p.bytes(3))
		}))
		p := s.dial().send(post)
		if head := p.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%q", head)
		}
		if body := readAll(t, p.send("abc").answer("POST").Body); body != "abc" {
			t.Errorf("%q", body)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
		}))
		if status := s.dial().send(post).status(); status != 401 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("ignored", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + p.bytes(3))
		}))
		p := s.dial().send(post)
		if head := p.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%q", head)
		}
		if body := readAll(t, p.send("abc").answer("POST").Body); body != "abc" {
			t.Errorf("%q", body)
		}
	})
}

// TestInterim passes 103 on without the hints that the visitor has not agreed
// to.
func TestInterim(t *testing.T) {
	s := newStage(t, each(t, func(p *peer, _ string) {
		p.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: <https://www.google-analytics.com>; rel=preconnect\r\n\r\n")
		p.send(ok)
	}))
	p := s.dial().send(get("/"))
	if head := p.head(); head != "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" {
		t.Errorf("%q", head)
	}
	if status := p.status(); status != 200 {
		t.Errorf("status %d", status)
	}
	if head := s.dial().send(strings.Replace(get("/"), "1.1", "1.0", 1)).head(); !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Errorf("a visitor of HTTP/1.0 gets %q", head)
	}
}

// TestEvents measures how long an event takes from the upstream's write to the
// visitor.
func TestEvents(t *testing.T) {
	events := make(chan struct{})
	var sent atomic.Int64
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range events {
			sent.Store(time.Now().UnixNano())
			p.send("8\r\ndata: x\n\r\n")
		}
		p.send("0\r\n\r\n")
	}))
	p := s.dial().send(get("/"))
	p.head() // before any event
	var worst time.Duration
	for range 50 {
		events <- struct{}{}
		p.bytes(len("8\r\ndata: x\n\r\n"))
		worst = max(worst, time.Since(time.Unix(0, sent.Load())))
	}
	close(events)
	if p.bytes(5) != "0\r\n\r\n" {
		t.Error("no end")
	}
	t.Logf("slowest event: %v", worst)
}

// TestSlowSized delivers a sized body as it comes.
func TestSlowSized(t *testing.T) {
	next := make(chan struct{})
	s := newStage(t, script(t, func(_ int, p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
		for range next {
			p.send("x")
		}
	}))
	p := s.dial().send(get("/"))
	p.head()
	for range 3 {
		next <- struct{}{}
		p.bytes(1)
	}
	close(next)
}

// TestHead answers HEAD without a body, whatever the upstream says of one.
func TestHead(t *testing.T) {
	s := newStage(t, always(t, "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 100\r\n\r\n"))
	p := s.dial()
	for range 2 {
		if head := p.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").head(); head != "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 100\r\n\r\n" {
			t.Errorf("%q", head)
		}
	}
}

// TestStaleConnections kills every kept connection in all the ways in which
// upstreams do. No request may fail, POSTs included, and none may arrive twice.
func TestStaleConnections(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"closed":     func(p *peer) { p.Close() },
		"reset":      func(p *peer) { p.Conn.(*net.TCPConn).SetLinger(0); p.Close() },
		"early byte": func(p *peer) { p.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged") },
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			ended := make(chan struct{})
			s := newStage(t, script(t, func(_ int, p *peer) {
				if strings.Contains(p.head(), "Content-Length: 3") {
					p.bytes(3)
				}
				requests.Add(1)
				p.send(ok)
				<-ended
				end(p)
				ended <- struct{}{}
				p.rest()
			}))
			p := s.dial()
			for i := range 10 {
				p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + [...]string{"0\r\n\r\n", "3\r\n\r\nabc"}[i%2])
				if body := readAll(t, p.answer("POST").Body); body != "ok" {
					t.Fatalf("%q", body)
				}
				ended <- struct{}{}
				<-ended
				if n := requests.Load(); int(n) != i+1 {
					t.Fatalf("%d requests arrived, want %d", n, i+1)
				}
			}
		})
	}
}

// TestRetry has a kept connection die when the next request has been sent: a
// GET is sent once more, a POST is not, and nothing is after a byte of an
// answer.
func TestRetry(t *testing.T) {
	for _, c := range []struct {
		method, partial string
		status          int
		requests        int32
	}{
		{"GET", "", 200, 3}, {"DELETE", "", 200, 3}, {"POST", "", 502, 2}, {"GET", "HTTP/1.1 2", 502, 2},
		{"GET", "HTTP/1.1 103 Early Hints\r\n\r\n", 502, 2},
	} {
		t.Run(c.method+c.partial, func(t *testing.T) {
			var requests atomic.Int32
			s := newStage(t, script(t, func(n int, p *peer) {
				p.head()
				requests.Add(1)
				p.send(ok)
				if n == 0 {
					p.head()
					requests.Add(1)
					p.send(c.partial)
				}
			}))
			p := s.dial()
			p.send(get("/")).status()
			if status := p.send(c.method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if n := requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

// TestVisitorLeaves has visitors hang up while the upstream thinks, also over a
// connection that was kept, while it streams and in the middle of an upload: the
// upstream must see it.
func TestVisitorLeaves(t *testing.T) {
	for name, c := range map[string]struct{ request, answer string }{
		"thinking":  {get("/"), ""},
		"kept":      {get("/"), ""},
		"streaming": {get("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"},
		"page":      {get("/"), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n"},
		"uploading": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, left := make(chan struct{}), make(chan error)
			s := newStage(t, script(t, func(_ int, p *peer) {
				if name == "kept" {
					p.head()
					p.send(ok)
				}
				p.head()
				p.send(c.answer)
				close(arrived)
				_, err := p.rest()
				left <- err
			}))
			p := s.dial()
			if name == "kept" {
				p.send(get("/")).status()
			}
			p.send(c.request)
			<-arrived
			p.Close()
			if err := <-left; err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("the upstream was not told")
			}
			if err := s.proxy.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := s.proxy.metrics.left.Load(); n != 1 {
				t.Errorf("%d visitors have left, want 1", n)
			}
			if log := s.log.String(); log != "" {
				t.Errorf("who leaves is a failure: %s", log)
			}
		})
	}
}

// dripping is a visitor who sends one line of a head after another until the time
// for all of it is over. No line may give more time for the next.
type dripping struct {
	net.Conn
	t     *testing.T
	lines int
	by    time.Time
}

func (d *dripping) Read(p []byte) (int, error) {
	switch d.lines++; {
	case d.lines == 1:
		return copy(p, "GET / HTTP/1.1\r\n"), nil
	case d.lines < 100:
		return copy(p, "X: y\r\n"), nil
	}
	return 0, os.ErrDeadlineExceeded
}

func (d *dripping) SetReadDeadline(by time.Time) error {
	if d.lines > 1 && !by.Equal(d.by) {
		d.t.Errorf("line %d moves the limit by %v", d.lines, by.Sub(d.by))
	}
	d.by = by
	return nil
}

// single is a listener to which one visitor comes.
type single struct {
	conn  net.Conn
	ended chan struct{}
}

func (l *single) Accept() (conn net.Conn, err error) {
	if conn, l.conn = l.conn, nil; conn == nil {
		<-l.ended
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *single) Close() error {
	close(l.ended)
	return nil
}

func (l *single) Addr() net.Addr { return new(net.TCPAddr) }

func TestTimeouts(t *testing.T) {
	quick := func(c *configs.Config) {
		c.Limits.ReadHead, c.Limits.Idle, c.Limits.Write = 400*time.Millisecond, 400*time.Millisecond, 600*time.Millisecond
		c.Limits.Response, c.Limits.QueueWait = 600*time.Millisecond, 200*time.Millisecond
		c.Limits.UpstreamConns = 1
	}
	t.Run("dripping head", func(t *testing.T) {
		s := newStage(t, always(t, ok), quick)
		ours, theirs := net.Pipe()
		d := &dripping{Conn: theirs, t: t}
		go s.proxy.Serve(&single{conn: d, ended: make(chan struct{})})
		if status := newPeer(t, ours).status(); status != 408 {
			t.Errorf("status %d, want 408", status)
		}
		if d.lines < 100 {
			t.Errorf("%d lines were read", d.lines)
		}
	})
	t.Run("nothing sent", func(t *testing.T) {
		s := newStage(t, always(t, ok), quick)
		if b, err := s.dial().rest(); b != "" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("stalled body", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) { p.head(); p.rest() }), quick)
		if status := s.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").status(); status != 408 {
			t.Errorf("status %d, want 408", status)
		}
	})
	t.Run("silent upstream", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) { p.head(); p.rest() }), quick)
		if status := s.dial().send(get("/")).status(); status != 504 {
			t.Errorf("status %d, want 504", status)
		}
	})
	t.Run("silent once it was kept", func(t *testing.T) {
		s := newStage(t, script(t, func(_ int, p *peer) { p.head(); p.send(ok); p.head(); p.rest() }), quick)
		p := s.dial()
		p.send(get("/")).status()
		if status := p.send(get("/")).status(); status != 504 {
			t.Errorf("status %d, want 504", status)
		}
	})
	t.Run("queue", func(t *testing.T) {
		arrived := make(chan struct{})
		s := newStage(t, script(t, func(_ int, p *peer) { p.head(); close(arrived); p.rest() }), func(c *configs.Config) {
			c.Limits.QueueWait, c.Limits.UpstreamConns = 100*time.Millisecond, 1
		})
		s.dial().send(get("/"))
		<-arrived
		r := s.dial().send(get("/")).answer("GET")
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("status %d, Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
		}
	})
	t.Run("upstream away", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		s := newStage(t, "http://"+ln.Addr().String())
		p := s.dial()
		for range 2 {
			r := p.send(get("/")).answer("GET")
			if body := readAll(t, r.Body); r.StatusCode != 502 || !strings.Contains(body, "cannot be reached") {
				t.Errorf("%d %q", r.StatusCode, body)
			}
		}
	})
	t.Run("visitor does not read", func(t *testing.T) {
		gone := make(chan error, 1)
		s := newStage(t, script(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\n\r\n")
			block := make([]byte, 1<<20)
			for {
				if _, err := p.Write(block); err != nil {
					gone <- err
					return
				}
			}
		}), quick)
		s.dial().send(get("/"))
		if err := <-gone; errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

// TestTunnel carries a WebSocket both ways, what came early included, and
// passes on when one side ends.
func TestTunnel(t *testing.T) {
	const upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"
	s := newStage(t, script(t, func(_ int, p *peer) {
		head := p.head()
		if !strings.Contains(head, "Upgrade: websocket\r\nConnection: Upgrade\r\n") || !strings.Contains(head, "Sec-WebSocket-Key: x\r\n") {
			t.Errorf("%q", head)
		}
		p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\nhello")
		b, err := p.rest()
		if err != nil {
			t.Error(err)
		}
		p.send(strings.ToUpper(b))
	}))
	p := s.dial().send(upgrade + "early,")
	if head := p.head(); head != "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" {
		t.Errorf("%q", head)
	}
	if p.bytes(5) != "hello" {
		t.Error("the upstream's first bytes are lost")
	}
	p.send("later").Conn.(*net.TCPConn).CloseWrite()
	if b, err := p.rest(); b != "EARLY,LATER" || err != nil {
		t.Errorf("%q, %v", b, err)
	}

	s = newStage(t, always(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
	p = s.dial()
	for range 2 {
		if status := p.send(upgrade).status(); status != 403 {
			t.Errorf("status %d, want 403", status)
		}
	}
}

// stuck is a connection whose peer takes half of what is written to it, and no more.
type stuck struct {
	net.Conn
	closed bool
}

func (s *stuck) Write(b []byte) (int, error)      { return len(b) / 2, os.ErrDeadlineExceeded }
func (s *stuck) SetWriteDeadline(time.Time) error { return nil }
func (s *stuck) Close() error                     { s.closed = true; return nil }

// TestTunnelIsCutWhereBytesAreLost has a peer that takes no more while the other
// side is alive: what comes later must not follow what was never sent.
func TestTunnelIsCutWhereBytesAreLost(t *testing.T) {
	near, far := net.Pipe()
	go far.Write([]byte("0123456789"))
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	dst := &stuck{}
	if n := pour(dst, near, time.Hour, &last); n != 5 || !dst.closed {
		t.Errorf("%d bytes were carried, closed %v", n, dst.closed)
	}
	if _, err := near.Read(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the other side is still open: %v", err)
	}
}
