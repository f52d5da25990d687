package proxy

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

// TestRefusedRequests sends what two readers could read differently. None of it
// may reach the upstream, and the connection must end.
func TestRefusedRequests(t *testing.T) {
	var reached atomic.Int32
	s := newStage(t, each(t, func(p *peer, head string) {
		reached.Add(1)
		p.send(ok)
	}))
	const h = "Host: shop.example\r\n"
	post := func(fields string) string { return "POST / HTTP/1.1\r\n" + h + fields + "\r\n" }
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"length and coding":        {post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
		"coding and length":        {post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + "0\r\n\r\n", 400},
		"two lengths":              {post("Content-Length: 3\r\nContent-Length: 4\r\n") + "abcd", 400},
		"two equal lengths":        {post("Content-Length: 3\r\nContent-Length: 3\r\n") + "abc", 400},
		"list of lengths":          {post("Content-Length: 3, 3\r\n") + "abc", 400},
		"signed length":            {post("Content-Length: +3\r\n") + "abc", 400},
		"negative length":          {post("Content-Length: -3\r\n") + "abc", 400},
		"hexadecimal length":       {post("Content-Length: 0x3\r\n") + "abc", 400},
		"empty length":             {post("Content-Length:\r\n") + "abc", 400},
		"length with blank":        {post("Content-Length: 1 2\r\n") + "abc", 400},
		"length beyond int64":      {post("Content-Length: 92233720368547758070\r\n"), 400},
		"unknown coding":           {post("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n", 501},
		"obfuscated coding":        {post("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n", 501},
		"chunked twice":            {post("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n", 501},
		"two codings":              {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
		"coding with vertical tab": {post("Transfer-Encoding: \vchunked\r\n") + "0\r\n\r\n", 400},
		"coding in HTTP/1.0":       {"POST / HTTP/1.0\r\n" + h + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"blank before colon":       {post("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n", 400},
		"tab before colon":         {post("Content-Length\t: 3\r\n") + "abc", 400},
		"blank in name":            {"GET / HTTP/1.1\r\n" + h + "X Y: z\r\n\r\n", 400},
		"empty name":               {"GET / HTTP/1.1\r\n" + h + ": z\r\n\r\n", 400},
		"no colon":                 {"GET / HTTP/1.1\r\n" + h + "nonsense\r\n\r\n", 400},
		"name beyond ASCII":        {"GET / HTTP/1.1\r\n" + h + "X\xe9: z\r\n\r\n", 400},
		"folded line":              {"GET / HTTP/1.1\r\n" + h + "X: y\r\n z\r\n\r\n", 400},
		"folded first line":        {"GET / HTTP/1.1\r\n " + h + "\r\n", 400},
		"bare LF":                  {"GET / HTTP/1.1\n" + h + "\r\n", 400},
		"bare LF in fields":        {"GET / HTTP/1.1\r\n" + h + "X: y\nZ: w\r\n\r\n", 400},
		"bare LF at the end":       {"GET / HTTP/1.1\r\n" + h + "\n", 400},
		"bare CR in value":         {"GET / HTTP/1.1\r\n" + h + "X: y\rZ: w\r\n\r\n", 400},
		"bare CR in target":        {"GET /\r HTTP/1.1\r\n" + h + "\r\n", 400},
		"NUL in value":             {"GET / HTTP/1.1\r\n" + h + "X: y\x00z\r\n\r\n", 400},
		"control in value":         {"GET / HTTP/1.1\r\n" + h + "X: y\x01z\r\n\r\n", 400},
		"DEL in value":             {"GET / HTTP/1.1\r\n" + h + "X: y\x7fz\r\n\r\n", 400},
		"NUL in target":            {"GET /\x00 HTTP/1.1\r\n" + h + "\r\n", 400},
		"fragment in target":       {"GET /a#b HTTP/1.1\r\n" + h + "\r\n", 400},
		"no host":                  {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                {"GET / HTTP/1.1\r\n" + h + h + "\r\n", 400},
		"two hosts, HTTP/1.0":      {"GET / HTTP/1.0\r\nHost:\r\nHost:\r\n\r\n", 400},
		"empty host":               {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		"user in host":             {"GET / HTTP/1.1\r\nHost: a@shop.example\r\n\r\n", 400},
		"path in host":             {"GET / HTTP/1.1\r\nHost: shop.example/x\r\n\r\n", 400},
		"bad port":                 {"GET / HTTP/1.1\r\nHost: shop.example:8x\r\n\r\n", 400},
		"large port":               {"GET / HTTP/1.1\r\nHost: shop.example:65536\r\n\r\n", 400},
		"two colons":               {"GET / HTTP/1.1\r\nHost: shop.example:80:80\r\n\r\n", 400},
		"blank in host":            {"GET / HTTP/1.1\r\nHost: shop example\r\n\r\n", 400},
		"escape in host":           {"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400},
		"other host in target":     {"GET http://other.example/ HTTP/1.1\r\n" + h + "\r\n", 400},
		"user in target":           {"GET http://a@shop.example/ HTTP/1.1\r\n" + h + "\r\n", 400},
		"foreign scheme":           {"GET ftp://shop.example/ HTTP/1.1\r\n" + h + "\r\n", 400},
		"relative target":          {"GET index.html HTTP/1.1\r\n" + h + "\r\n", 400},
		"asterisk":                 {"GET * HTTP/1.1\r\n" + h + "\r\n", 400},
		"CONNECT":                  {"CONNECT shop.example:443 HTTP/1.1\r\n" + h + "\r\n", 405},
		"TRACE":                    {"TRACE / HTTP/1.1\r\n" + h + "\r\n", 405},
		"method no token":          {"G@T / HTTP/1.1\r\n" + h + "\r\n", 400},
		"blanks before target":     {"GET  / HTTP/1.1\r\n" + h + "\r\n", 400},
		"blanks before version":    {"GET /  HTTP/1.1\r\n" + h + "\r\n", 400},
		"tab for blank":            {"GET\t/\tHTTP/1.1\r\n" + h + "\r\n", 400},
		"blank after version":      {"GET / HTTP/1.1 \r\n" + h + "\r\n", 400},
		"HTTP/0.9":                 {"GET /\r\n\r\n", 400},
		"HTTP/0.9, one line":       {"GET /\r\n", 400},
		"HTTP/0.9 by name":         {"GET / HTTP/0.9\r\n" + h + "\r\n", 505},
		"HTTP/1.2":                 {"GET / HTTP/1.2\r\n" + h + "\r\n", 505},
		"HTTP/2.0":                 {"GET / HTTP/2.0\r\n" + h + "\r\n", 505},
		"HTTP/3.1":                 {"GET / HTTP/3.1\r\n" + h + "\r\n", 505},
		"lower-case version":       {"GET / http/1.1\r\n" + h + "\r\n", 400},
		"long version":             {"GET / HTTP/1.10\r\n" + h + "\r\n", 400},
		"two empty lines before":   {"\r\n\r\nGET / HTTP/1.1\r\n" + h + "\r\n", 400},
		"long target":              {"GET /" + strings.Repeat("a", 70<<10) + " HTTP/1.1\r\n" + h + "\r\n", 414},
		"long head":                {"GET / HTTP/1.1\r\n" + h + "X: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", 431},
		"many fields":              {"GET / HTTP/1.1\r\n" + h + strings.Repeat("a:b\r\n", maxFields) + "\r\n", 431},
		"many options":             {"GET / HTTP/1.1\r\n" + h + strings.Repeat("Connection: "+strings.Repeat(",", 50)+"\r\n", 11) + "\r\n", 431},
		"long host":                {"GET / HTTP/1.1\r\nHost: " + strings.Repeat("a.", 128) + "example\r\n\r\n", 400},
		"unknown expectation":      {post("Expect: nonsense\r\nContent-Length: 3\r\n"), 417},
		"HTTP/2 preface":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.dial()
			go io.WriteString(p.Conn, c.request)
			r := p.answer("GET")
			if r.StatusCode != c.status {
				t.Errorf("status %d, want %d", r.StatusCode, c.status)
			}
			readAll(t, r.Body)
			if c.status != 405 {
				if !r.Close {
					t.Error("the connection is said to live on")
				}
				if rest, _ := p.rest(); rest != "" {
					t.Errorf("more follows: %q", rest)
				}
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// TestRefusedBodies sends bodies that turn out malformed when the upstream has
// the head already. It must see that the message is not whole.
func TestRefusedBodies(t *testing.T) {
	for name, chunks := range map[string]string{
		"no size":              "\r\nabc\r\n0\r\n\r\n",
		"signed size":          "+3\r\nabc\r\n0\r\n\r\n",
		"prefixed size":        "0x3\r\nabc\r\n0\r\n\r\n",
		"blank before size":    " 3\r\nabc\r\n0\r\n\r\n",
		"blank after size":     "3 \r\nabc\r\n0\r\n\r\n",
		"large size":           "10000000000000000\r\nabc\r\n0\r\n\r\n",
		"wide size":            strings.Repeat("0", 16) + "3\r\nabc\r\n0\r\n\r\n",
		"long extension":       "3;" + strings.Repeat("a", 1000) + "\r\nabc\r\n0\r\n\r\n",
		"control in extension": "3;a\x00\r\nabc\r\n0\r\n\r\n",
		"bare LF after size":   "3\nabc\r\n0\r\n\r\n",
		"bare CR after size":   "3\rabc\r\n0\r\n\r\n",
		"data too long":        "3\r\nabcd\r\n0\r\n\r\n",
		"bare LF after data":   "3\r\nabc\n0\r\n\r\n",
		"trailer folded":       "0\r\nX: y\r\n z\r\n\r\n",
		"trailer no name":      "0\r\n: y\r\n\r\n",
		"trailer large":        "0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 100) + "\r\n",
		"trailer bare LF":      "0\r\nX: y\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			s := newStage(t, script(t, func(_ int, p *peer) {
				p.head()
				b, _ := p.rest()
				got <- b
			}))
			p := s.dial().send("POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n")
			go io.WriteString(p.Conn, chunks)
			if status := p.status(); status != 400 {
				t.Errorf("status %d, want 400", status)
			}
			if b := <-got; strings.HasSuffix(b, "0\r\n\r\n") {
				t.Errorf("the upstream saw a whole message: %q", b)
			}
		})
	}
}

// TestRefusedAnswers has the upstream answer what two readers could read
// differently: 502, and the connection is not used again.
func TestRefusedAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"length and coding":    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"list of lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
		"negative length":      "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
		"unknown coding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
		"coding in HTTP/1.0":   "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"blank before colon":   "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
		"folded line":          "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
		"bare LF":              "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
		"bare CR":              "HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: z\r\n\r\n",
		"NUL":                  "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
		"status 000":           "HTTP/1.1 000 OK\r\n\r\n",
		"status 20":            "HTTP/1.1 20 OK\r\n\r\n",
		"status 2000":          "HTTP/1.1 2000 OK\r\n\r\n",
		"no status":            "HTTP/1.1 OK\r\n\r\n",
		"HTTP/2.0":             "HTTP/2.0 200 OK\r\n\r\n",
		"no HTTP":              "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"unasked 101":          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw",
		"endless interim":      strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100) + ok,
		"large head":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 70<<10) + "\r\n\r\n",
		"many fields":          "HTTP/1.1 200 OK\r\n" + strings.Repeat("a:b\r\n", maxFields+1) + "\r\n",
		"bad first chunk size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"nothing":              "",
		"half a head":          "HTTP/1.1 200 OK\r\nX: y",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, script(t, func(n int, p *peer) {
				p.head()
				if n > 0 {
					p.send(ok)
					return
				}
				io.WriteString(p.Conn, answer)
				if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\nX: y") {
					// The proxy must hang up; it may not use the connection again.
					if b, _ := p.rest(); b != "" {
						t.Errorf("the connection was used again: %q", b)
					}
				}
			}))
			p := s.dial()
			if status := p.send(get("/")).status(); status != 502 {
				t.Errorf("status %d, want 502", status)
			}
			if status := p.send(get("/")).status(); status != 200 {
				t.Errorf("then status %d, want 200", status)
			}
		})
	}
}

// TestCutAnswers has the upstream end in the middle of an answer. The visitor
// must see that it is not whole.
func TestCutAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"after chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"no CRLF":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
		"last chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
		"chunk size":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
		"page, length": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<html><body>abc",
		"page, chunk":  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<html\r\n",
	} {
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(name+" "+version, func(t *testing.T) {
				s := newStage(t, script(t, func(_ int, p *peer) {
					p.head()
					p.send(answer)
				}))
				p := s.dial().send(strings.Replace(get("/"), "1.1", version, 1))
				r := p.answer("GET")
				_, err := io.ReadAll(r.Body)
				if err == nil && r.StatusCode == 200 {
					t.Errorf("the answer looks whole")
				}
			})
		}
	}
}

// TestPipelined sends requests without waiting for answers: each is answered,
// in order, and a malformed one ends the row.
func TestPipelined(t *testing.T) {
	s := newStage(t, each(t, func(p *peer, head string) {
		target := strings.Fields(head)[1]
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(target), target))
	}))
	p := s.dial().send("\r\n" + get("/1") + get("/2") + "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET" + get("/4") + "GET /5 HTTP/1.1\r\n\r\n" + get("/6"))
	for i := 1; i <= 4; i++ {
		if body := readAll(t, p.answer("GET").Body); body != fmt.Sprintf("/%d", i) {
			t.Fatalf("answer %d is %q", i, body)
		}
	}
	if r := p.answer("GET"); r.StatusCode != 400 {
		t.Errorf("status %d, want 400", r.StatusCode)
	}
}
