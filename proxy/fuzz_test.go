package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// once gives its bytes and then ends, some at a time.
type once struct {
	data []byte
	step int
}

func (o *once) Read(p []byte) (int, error) {
	if len(o.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), o.step)], o.data)
	o.data = o.data[n:]
	return n, nil
}

// FuzzRequest holds reading of requests against net/http's: what is taken here
// must be taken there, and mean the same; and it must not matter how it came.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		get("/"), get("/a?b=c", "Content-Length: 3") + "abc", get("/", "Transfer-Encoding: chunked") + "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nGET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", "GET /\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"0 * HTTP/1.0\r\nHost:\r\nHost:\r\n\r\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = max(step, 1)
		h, body, err := readRequest(&once{bytes.Clone(data), step})
		h2, body2, err2 := readRequest(&once{bytes.Clone(data), 1 << 20})
		if (err == nil) != (err2 == nil) || !bytes.Equal(h.text, h2.text) || !bytes.Equal(body, body2) {
			t.Fatalf("in steps of %d: %v, %q, %q\nat once: %v, %q, %q", step, err, h.text, body, err2, h2.text, body2)
		}
		if err != nil || h.count(nameHost) > 1 {
			return // checkTarget refuses two hosts, net/http's reader does too
		}
		text := bytes.TrimPrefix(data, []byte("\r\n"))
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			// net/http refuses what is no URL, and hosts that it does not like.
			// Neither changes where the message ends.
			for _, why := range []string{"parse ", "invalid URI", "malformed Host", "invalid Host"} {
				if strings.Contains(err.Error(), why) {
					return
				}
			}
			t.Fatalf("net/http refuses %q: %v", h.text, err)
		}
		if r.Method != string(h.method) || r.RequestURI != string(h.target) || r.ProtoMinor != int(h.minor) {
			t.Fatalf("net/http reads %q as %s %s 1.%d", h.text, r.Method, r.RequestURI, r.ProtoMinor)
		}
		theirs, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(theirs, body) {
			t.Fatalf("net/http reads the body of %q as %q, %v; here %q", data, theirs, err, body)
		}
	})
}

func readRequest(r io.Reader) (h head, data []byte, err error) {
	s := source{conn: r}
	if h.text, err = s.appendHead(nil, 64<<10); err != nil {
		return h, nil, err
	}
	if err = h.parseRequest(); err != nil {
		return h, nil, err
	}
	f, n, err := h.framing()
	if err != nil {
		return h, nil, err
	}
	if f == untilClose {
		f = noBody
	}
	data, err = readBody(&s, f, n)
	return h, data, err
}

func readBody(s *source, f framing, n int64) (data []byte, err error) {
	var b body
	b.start(s, f, n)
	for {
		p, err := b.next()
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
		data = append(data, p...)
	}
}

// FuzzModel holds what fasthttp is told of a request against what came: it must
// read every head that is taken, as the same request, and see no body in it.
func FuzzModel(f *testing.F) {
	for _, text := range []string{
		get("/"), get("/a?b=c", "Content-Length: 3", "X: y", "x:  \xff\t"), get("/", "Transfer-Encoding: chunked", "Trailer: Content-Length, Host", "Expect: 100-continue"),
		"GET HTTP://a:1?b HTTP/1.1\r\nhost: A:1\r\nConnection: close, x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		get("//a?b=http://c/", "Cookie: a=\"b c\"; =d", "Cookie: e"), "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /a?x=://y HTTP/1.0\r\n\r\n",
		"BREW /%zz/\xff/../;= HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: \r\nUser-Agent:\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "GET\x00",
	} {
		f.Add([]byte(text))
	}
	s := newStage(f, "http://127.0.0.1:1")
	table := s.proxy.sites.Load()
	f.Fuzz(func(t *testing.T, text []byte) {
		x := &exchange{proxy: s.proxy, v: &visitor{proxy: s.proxy, limits: &table.cfg.Limits}, sites: table, cfg: table.cfg}
		x.request.text = text
		if err := x.check(); err != nil && !errors.As(err, &x.fault) {
			t.Fatal(err)
		}
		model := bytes.Clone(x.model())
		var q fasthttp.RequestHeader
		q.DisableNormalizing()
		if err := q.Read(bufio.NewReaderSize(bytes.NewReader(model), len(model)+1)); err != nil {
			t.Fatalf("fasthttp refuses %q, made of %q: %v", model, text, err)
		}
		if q.ContentLength() > 0 || q.ContentLength() == -1 || len(q.Peek("Expect")) > 0 {
			t.Fatalf("fasthttp sees a body in %q", model)
		}
		if x.fault != nil {
			return
		}
		r := &x.request
		if string(q.Method()) != string(r.method) || q.IsHTTP11() != (r.minor == 1) || q.ConnectionClose() != x.last ||
			x.address != nil && string(q.Host()) != string(x.address) ||
			string(q.RequestURI()) != string(x.target) && !bytes.HasPrefix(x.target, []byte("//")) {
			t.Fatalf("fasthttp reads %q as %q", text, q.Header())
		}
		for i := range r.fields {
			switch fd := &r.fields[i]; fd.id {
			case unnamed, nameCookie, nameAcceptLanguage, nameIfNoneMatch, nameReferer:
				if equalFold(fd.name, "user-agent") || equalFold(fd.name, "content-type") {
					continue // of these it keeps the last
				}
				found := false
				name := bytes.Clone(fd.name)
				canonical(name)
				for _, v := range q.PeekAll(string(name)) {
					found = found || bytes.Equal(v, fd.value)
				}
				if !found {
					t.Fatalf("fasthttp loses %s: %q of %q", fd.name, fd.value, model)
				}
			}
		}
	})
}

// FuzzAnswer holds reading of answers against net/http's.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.0 200\r\n\r\nabc",
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		h, body, err := readAnswer(&once{bytes.Clone(data), max(step, 1)})
		if err != nil {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\r\n")))), nil)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", h.text, err)
		}
		theirs, err := io.ReadAll(r.Body)
		if r.StatusCode != h.status || err != nil || !bytes.Equal(theirs, body) {
			t.Fatalf("net/http reads %q as %d %q, %v; here %d %q", data, r.StatusCode, theirs, err, h.status, body)
		}
	})
}

func readAnswer(r io.Reader) (h head, data []byte, err error) {
	s := source{conn: r}
	if h.text, err = s.appendHead(nil, 64<<10); err != nil {
		return h, nil, err
	}
	if err = h.parseResponse(); err != nil {
		return h, nil, err
	}
	f, n, err := h.framing()
	if err != nil {
		return h, nil, err
	}
	if h.status < 200 || h.status == 204 || h.status == 304 {
		f = noBody
	}
	data, err = readBody(&s, f, n)
	return h, data, err
}

// FuzzCookies cuts cookies out of a Cookie value: those that stay keep their
// bytes and their order.
func FuzzCookies(f *testing.F) {
	f.Add("a=b; _ga=1; c=\"d e\";f")
	f.Add("_ga=1")
	f.Add(";;=;")
	s := newStage(f, "http://127.0.0.1:1")
	site := s.proxy.sites.Load().all[0]
	f.Fuzz(func(t *testing.T, value string) {
		x := &exchange{proxy: s.proxy, site: site, cfg: s.proxy.sites.Load().cfg}
		out := string(x.appendCookies(nil, &field{nameCookie, []byte("Cookie"), []byte(value)}))
		var stay []string
		for _, c := range strings.Split(value, ";") {
			name, _, ok := strings.Cut(c, "=")
			name = strings.Trim(name, " \t")
			if !ok {
				name = ""
			}
			if name == "askfirst" || name == "askfirst-once" || !site.engine.Cookie([]byte(name)).Allowed(0) {
				continue
			}
			stay = append(stay, strings.Trim(c, " \t"))
		}
		kept := strings.Split(strings.TrimSuffix(strings.TrimPrefix(out, "Cookie: "), "\r\n"), ";")
		for i := range kept {
			kept[i] = strings.Trim(kept[i], " \t")
		}
		if want := strings.Join(stay, ";"); strings.Trim(want, "; \t") != strings.Trim(strings.Join(kept, ";"), "; \t") {
			t.Fatalf("%q became %q, want %q", value, out, want)
		}
	})
}
