package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/molecule-man/go-brrr"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

const tracker = `<script src="https://connect.facebook.net/en_US/fbevents.js"></script>`

const page = `<!doctype html><html lang="en"><head><title>Shop</title>` + tracker + `</head><body><p>Hello</p></body></html>`

// encode applies a coding as an upstream would, with encoders that the proxy
// does not use where there are such.
func encode(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "", "identity":
		return data
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, _ = flate.NewWriter(&b, 5)
	case "br":
		w, _ = brrr.NewWriter(&b, 5)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		t.Fatalf("no coding %q", coding)
	}
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func decode(t testing.TB, coding string, data []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch coding {
	case "":
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brrr.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	default:
		t.Fatalf("no coding %q", coding)
	}
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, r)
}

func answerWith(body []byte, fields ...string) string {
	s := "HTTP/1.1 200 OK\r\n"
	for _, f := range fields {
		s += f + "\r\n"
	}
	return s + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

const isPage = "Content-Type: text/html; charset=utf-8"

// held fails the test unless body is the page with its tracker held and the
// banner in it.
func held(t testing.TB, body string) {
	t.Helper()
	if strings.Contains(body, tracker) || !strings.Contains(body, `data-askfirst-src="https://connect.facebook.net/en_US/fbevents.js"`) ||
		!strings.Contains(body, "<p>Hello</p>") || !strings.Contains(body, "data-askfirst-guard") || !strings.Contains(body, "<askfirst-banner") {
		t.Fatalf("not held: %.600q", body)
	}
}

// TestCodings takes a page through every pair of codings, twice and more so
// that the memo answers too, whole and streamed.
func TestCodings(t *testing.T) {
	for _, from := range []string{"", "gzip", "x-gzip", "deflate", "bare deflate", "br", "zstd", "gzip, br", "deflate, gzip, zstd"} {
		for _, large := range []bool{false, true} {
			body := []byte(page + strings.Repeat(" ", 2000))
			if large {
				body = append(body, random(300_000)...)
			}
			for _, c := range strings.Split(from, ", ") {
				body = encode(t, c, body)
			}
			s := newStage(t, always(t, answerWith(body, isPage, "Content-Encoding: "+strings.TrimPrefix(from, "bare "))), func(c *configs.Config) {
				if large {
					c.Limits.Document = 100_000
				}
			})
			p := s.dial()
			for _, to := range []string{"", "gzip", "br", "zstd"} {
				t.Run(fmt.Sprintf("%s to %s, large %v", from, to, large), func(t *testing.T) {
					for range 4 {
						r := p.send(get("/", "Accept-Encoding: "+to)).answer("GET")
						data := readAll(t, r.Body)
						if got := r.Header.Get("Content-Encoding"); got != to {
							t.Fatalf("coding %q", got)
						}
						held(t, decode(t, to, []byte(data)))
						if whole := r.ContentLength >= 0; whole == large {
							t.Errorf("length %d", r.ContentLength)
						}
					}
				})
			}
			if hits := s.proxy.metrics.hits.Load(); !large && hits != 8 {
				t.Errorf("%s: %d hits, want 8", from, hits)
			}
		}
	}
}

// TestMoreThanACoding has bytes after the end of a coding, which browsers pass over:
// what a server's script writes after the page was compressed.
func TestMoreThanACoding(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "deflate"} {
		for _, more := range []string{"\r\n", "\x00\x00\x00", "<!-- made in 0.1 seconds, and longer than a header -->"} {
			for _, limit := range []int{1 << 20, 1000} {
				body := append(encode(t, coding, []byte(page+string(random(3000)))), more...)
				s := newStage(t, always(t, answerWith(body, isPage, "Content-Encoding: "+coding)), func(c *configs.Config) { c.Limits.Document = limit })
				p := s.dial()
				for range 2 {
					held(t, readAll(t, p.send(get("/")).answer("GET").Body))
				}
			}
		}
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]coding{
		"": identity, "gzip": gzipped, "GZip": gzipped, "x-gzip": gzipped, "br": brotli, "zstd": zstandard, "deflate": identity,
		"gzip, deflate, br, zstd": brotli, "gzip;q=1, br;q=0.5": gzipped, "gzip;q=0.5,br;q=0.501": brotli, "*": brotli,
		"*;q=0": identity, "br;q=0, *;q=0.1": zstandard, "identity, gzip;q=0.5": identity, "identity;q=0, gzip;q=0.001": gzipped,
		"identity;q=0": identity, "gzip;q=0": identity, "gzip;q=0.000": identity, "gzip;q=x": identity, "gzip;q=2": identity,
		"gzip; q=0.8": gzipped, "gzip;q=": identity, "gzip;level=1": identity, ",,gzip,": gzipped,
	} {
		h := &head{fields: []field{{id: nameAcceptEncoding, value: []byte(accept)}}}
		if got := negotiate(h); got != want {
			t.Errorf("%q: %s, want %s", accept, codingNames[got], codingNames[want])
		}
	}
}

// TestMemoSeesEveryByte changes one byte of the upstream's page: it must show
// at once.
func TestMemoSeesEveryByte(t *testing.T) {
	body := []byte(page + strings.Repeat("<p>more</p>", 10_000))
	var current atomic.Pointer[[]byte]
	current.Store(&body)
	s := newStage(t, each(t, func(p *peer, _ string) { p.send(answerWith(*current.Load(), isPage)) }))
	p := s.dial()
	ask := func() string { return readAll(t, p.send(get("/")).answer("GET").Body) }
	for range 3 {
		ask()
	}
	if s.proxy.metrics.hits.Load() == 0 {
		t.Fatal("nothing was remembered")
	}
	for _, at := range []int{len(page) - 30, len(page) + 4, len(page) + 50_000, len(body) - 5} {
		changed := bytes.Clone(body)
		changed[at] = '~'
		current.Store(&changed)
		if got := ask(); !strings.Contains(got, "~") {
			t.Errorf("byte %d: the change does not show", at)
		}
	}
	shorter := body[:len(body)-11]
	current.Store(&shorter)
	if strings.Count(ask(), "<p>more</p>") != 9_999 {
		t.Error("a shorter page does not show")
	}
	longer := append(bytes.Clone(body), "<p>more</p>"...)
	current.Store(&longer)
	if strings.Count(ask(), "<p>more</p>") != 10_001 {
		t.Error("a longer page does not show")
	}
}

// TestMemoIsBounded asks for more pages than the memo may hold, and for one
// that changes each time.
func TestMemoIsBounded(t *testing.T) {
	var n atomic.Int32
	s := newStage(t, each(t, func(p *peer, head string) {
		body := strings.Repeat("x", 10_000)
		if strings.Contains(head, "/changing") {
			body += fmt.Sprint(n.Add(1))
		}
		p.send(answerWith([]byte(page+body), isPage))
	}), func(c *configs.Config) { c.Limits.Memo = 2 << 20 })
	p := s.dial()
	ask := func(target string) { readAll(t, p.send(get(target)).answer("GET").Body) }
	for range 20 {
		ask("/changing")
	}
	if pages, _ := s.proxy.memo.size(); pages != 0 {
		t.Errorf("a page that changes each time is remembered")
	}
	for i := range 200 {
		ask(fmt.Sprintf("/%d", i))
		ask(fmt.Sprintf("/%d", i))
		if _, held := s.proxy.memo.size(); held > 2<<20 {
			t.Fatalf("%d bytes held", held)
		}
	}
	pages, held := s.proxy.memo.size()
	sum := 0
	for _, f := range s.proxy.memo.all() {
		sum += f.size()
	}
	if pages < 20 || held != sum {
		t.Errorf("%d pages, %d bytes counted, %d held", pages, held, sum)
	}
}

func choiceCookie(set consent.Set) string {
	c := consent.Choice{Revision: 1, Categories: set, At: time.Now(), ID: consent.NewID()}
	return "askfirst=" + string(c.AppendCookie(nil))
}

// TestChoices asks for one page under different choices, in turn: each gets its
// own.
func TestChoices(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page), isPage)))
	p := s.dial()
	for range 4 {
		for _, c := range []struct {
			field  string
			passes bool
		}{
			{"X: y", false}, {"Cookie: " + choiceCookie(consent.All), true}, {"Cookie: " + choiceCookie(0), false},
			{"Cookie: " + choiceCookie(consent.SetOf(consent.Analytics)), false},
			{"Cookie: a=b; " + choiceCookie(consent.SetOf(consent.Marketing)), true},
			{"Cookie: askfirst=1.1.fams.1.x", false}, {"Cookie: askfirst=nonsense; _fbp=1", false},
		} {
			body := readAll(t, p.send(get("/", c.field)).answer("GET").Body)
			if got := strings.Contains(body, tracker); got != c.passes {
				t.Fatalf("%s: passes %v", c.field, got)
			}
		}
	}
	if s.proxy.metrics.hits.Load() == 0 {
		t.Error("nothing was remembered")
	}
	s.counted.mu.Lock()
	defer s.counted.mu.Unlock()
	if n := len(s.counted.tags); n < 28 {
		t.Errorf("%d sightings; hits must be counted too", n)
	}
	if !slices.Contains(s.counted.cookies, "_fbp request held=true") {
		t.Errorf("%v", s.counted.cookies)
	}
}

// TestCookiesExpire takes away tracking cookies that came in though they are
// not agreed to.
func TestCookiesExpire(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page), isPage)))
	r := s.dial().send("GET / HTTP/1.1\r\nHost: www.shop.example\r\nCookie: a=b; _ga=1; _fbp=2\r\n\r\n").answer("GET")
	want := []string{
		"_ga=; Path=/; Max-Age=0", "_ga=; Path=/; Max-Age=0; Domain=www.shop.example", "_ga=; Path=/; Max-Age=0; Domain=shop.example",
		"_fbp=; Path=/; Max-Age=0", "_fbp=; Path=/; Max-Age=0; Domain=www.shop.example", "_fbp=; Path=/; Max-Age=0; Domain=shop.example",
	}
	if got := r.Header["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestCookiesOfDeepHostsExpire has a host with as many labels as there can be: what
// takes its cookies away is bounded.
func TestCookiesOfDeepHostsExpire(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page), isPage)))
	names := "_ga=1; _gid=2; _fbp=3; _fbc=4; _uetsid=5; _uetvid=6; _clck=7; _clsk=8"
	r := s.dial().send("GET / HTTP/1.1\r\nHost: " + strings.Repeat("a.", 120) + "example\r\nCookie: " + names + "\r\n\r\n").answer("GET")
	if got := len(r.Header["Set-Cookie"]); got < 8 || got > 3*maxExpired {
		t.Errorf("%d cookies are taken away", got)
	}
}

// TestDeletionsPass has the site take cookies away itself, which is no tracking.
func TestDeletionsPass(t *testing.T) {
	for value, passes := range map[string]bool{
		"_ga=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT": true,
		"_ga=; Max-Age=0": true,
		"_ga=; Expires=Fri, 01 Jan 2100 00:00:00 GMT; max-age=-1":        true,
		"_ga=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT":        false,
		"_ga=1; Max-Age=0; Max-Age=9999":                                 false,
		"_ga=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT":                   false,
		"_ga=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=nonsense": false,
	} {
		s := newStage(t, always(t, answerWith([]byte(page), isPage, "Set-Cookie: "+value)))
		r := s.dial().send(get("/")).answer("GET")
		if got := len(r.Header["Set-Cookie"]) == 1; got != passes {
			t.Errorf("%s: passes %v", value, got)
		}
	}
}

// TestOnce lets one vendor in for one page.
func TestOnce(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page+`<script src="https://snap.licdn.com/li.lms-analytics/insight.min.js"></script>`), isPage)))
	var shop rules.Page
	shop.Reset([]byte("http://shop.example/"))
	id := s.proxy.sites.Load().all[0].engine.URL(&shop, []byte("https://connect.facebook.net/en_US/fbevents.js"), rules.Script).Vendor.ID
	p := s.dial()
	for range 3 {
		r := p.send(get("/", "Cookie: askfirst-once="+id)).answer("GET")
		body := readAll(t, r.Body)
		if !strings.Contains(body, tracker) || strings.Contains(body, ` src="https://snap`) {
			t.Errorf("%.500q", body)
		}
		if got := r.Header["Set-Cookie"]; !slices.Equal(got, []string{"askfirst-once=; Path=/; Max-Age=0"}) {
			t.Errorf("%q", got)
		}
		held(t, readAll(t, p.send(get("/")).answer("GET").Body))
	}
	held(t, readAll(t, p.send(get("/", "Cookie: askfirst-once=nobody")).answer("GET").Body))
}

// TestUnread sends pages that cannot be read: they come as they were, under a
// policy that holds.
func TestUnread(t *testing.T) {
	squeezed := encode(t, "gzip", []byte(page))
	broken := bytes.Clone(squeezed)
	broken[len(broken)/2] ^= 0xff
	for name, c := range map[string]struct {
		body   []byte
		fields []string
		status string
	}{
		"unknown coding":  {[]byte(page), []string{isPage, "Content-Encoding: compress"}, ""},
		"no gzip":         {[]byte(page), []string{isPage, "Content-Encoding: gzip"}, ""},
		"broken gzip":     {broken, []string{isPage, "Content-Encoding: gzip"}, ""},
		"cut gzip":        {squeezed[:len(squeezed)-10], []string{isPage, "Content-Encoding: gzip"}, ""},
		"no zstd":         {[]byte(page), []string{isPage, "Content-Encoding: zstd"}, ""},
		"no br":           {[]byte(page), []string{isPage, "Content-Encoding: br"}, ""},
		"no deflate":      {[]byte(page), []string{isPage, "Content-Encoding: deflate"}, ""},
		"four codings":    {squeezed, []string{isPage, "Content-Encoding: gzip, gzip, gzip, gzip"}, ""},
		"charset":         {[]byte(page), []string{"Content-Type: text/html; charset=ISO-2022-JP"}, ""},
		"charset in page": {[]byte(`<meta charset="iso-2022-jp">` + page), []string{"Content-Type: text/html"}, ""},
		"charset late":    {[]byte("<!doctype html><!--" + random(5000) + `--><meta charset="iso-2022-jp">` + "\x1b$B<<\x1b(B" + page), []string{"Content-Type: text/html"}, ""},
		"charset escaped": {[]byte(`<meta charset="iso&#x2d;2022-jp">` + "\x1b$@<<\x1b(B" + page), []string{"Content-Type: text/html; charset=unheard-of"}, ""},
		"charset guessed": {[]byte(page + "\x1b(I<<\x1b(B"), []string{"Content-Type: text/html"}, ""},
		"part":            {[]byte(page[60:]), []string{isPage, "Content-Range: bytes 60-100/200"}, "206 Partial Content"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := answerWith(c.body, c.fields...)
			if c.status != "" {
				answer = strings.Replace(answer, "200 OK", c.status, 1)
			}
			s := newStage(t, always(t, answer))
			p := s.dial()
			for range 2 {
				r := p.send(get("/", "Accept-Encoding: gzip")).answer("GET")
				if body := readAll(t, r.Body); body != string(c.body) {
					t.Errorf("another body: %.100q", body)
				}
				if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") {
					t.Errorf("policy %q", csp)
				}
			}
			// Who agreed to all gets it without the policy, and nobody else may get that.
			for _, cookie := range []string{choiceCookie(consent.All.With(consent.Unclassified)), "a=b"} {
				r := p.send(get("/", "Cookie: "+cookie)).answer("GET")
				readAll(t, r.Body)
				h := r.Header
				if !strings.Contains(h.Get("Cache-Control"), "private") || !strings.Contains(strings.Join(h["Vary"], ","), "Cookie") {
					t.Errorf("%s: Cache-Control %q, Vary %q", cookie, h["Cache-Control"], h["Vary"])
				}
			}
		})
	}
}

// TestUnreadablePageThatPauses: whether a page can be read does not depend on how fast
// it comes.
func TestUnreadablePageThatPauses(t *testing.T) {
	pages := []struct{ body, field string }{
		{page, "Content-Encoding: gzip"},
		{page, "Content-Encoding: zstd"},
		{page, "Content-Encoding: deflate"},
		{`<meta charset="iso-2022-jp">` + page, "X: y"},
	}
	s := newStage(t, script(t, func(_ int, p *peer) {
		var n, first int
		var framing string
		fmt.Sscanf(p.head(), "GET /%d/%d/%s", &n, &first, &framing)
		body := pages[n].body
		p.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + pages[n].field + "\r\n")
		chunk := func(part string) string { return part }
		switch framing {
		case "sized":
			p.send(fmt.Sprintf("Content-Length: %d\r\n", len(body)))
		case "chunked":
			p.send("Transfer-Encoding: chunked\r\n")
			chunk = func(part string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(part), part) }
		}
		p.send("\r\n")
		if first > 0 {
			p.send(chunk(body[:first]))
		}
		time.Sleep(2 * pagePause)
		p.send(chunk(body[first:]))
		if framing == "chunked" {
			p.send(chunk(""))
		}
	}))
	for n := range pages {
		for _, first := range []int{0, 1, 100} {
			for _, framing := range []string{"sized", "chunked", "closed"} {
				path := fmt.Sprintf("/%d/%d/%s", n, first, framing)
				r := s.dial().send(get(path, "Accept-Encoding: gzip")).answer("GET")
				if body := readAll(t, r.Body); r.StatusCode != 200 || body != pages[n].body {
					t.Errorf("%s: status %d, another body: %.100q", path, r.StatusCode, body)
				}
				if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") {
					t.Errorf("%s: policy %q", path, csp)
				}
			}
		}
	}
}

// TestBrokenStream breaks a page off when its head is out: the visitor must not
// take it for whole.
func TestBrokenStream(t *testing.T) {
	squeezed := encode(t, "gzip", []byte(page+random(200_000)))
	broken := bytes.Clone(squeezed)
	broken[len(broken)-20_000] ^= 0xff
	broken[len(broken)-6] ^= 0xff
	s := newStage(t, always(t, answerWith(broken, isPage, "Content-Encoding: gzip")), func(c *configs.Config) { c.Limits.Document = 1000 })
	r := s.dial().send(get("/", "Accept-Encoding: identity")).answer("GET")
	if _, err := io.ReadAll(r.Body); err == nil {
		t.Error("the page looks whole")
	}
}

func random(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return string(b)
}

// TestBombs sends a small body that decodes to gigabytes.
func TestBombs(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		var b bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip":
			w, _ = gzip.NewWriterLevel(&b, 9)
		case "br":
			w, _ = brrr.NewWriter(&b, 5)
		case "zstd":
			w, _ = zstd.NewWriter(&b)
		}
		block := make([]byte, 1<<20)
		for range 256 {
			w.Write(block)
		}
		w.Close()
		s := newStage(t, always(t, answerWith(b.Bytes(), isPage, "Content-Encoding: "+coding)))
		r := s.dial().send(get("/", "Accept-Encoding: identity")).answer("GET")
		n, err := io.Copy(io.Discard, r.Body)
		if n > 64<<20 || err == nil {
			t.Errorf("%s: %d bytes came, %v", coding, n, err)
		}
	}
}

func TestUTF16(t *testing.T) {
	text := strings.Replace(page, "Hello", "Hello\u00e9\u20ac\U0001F600", 1)
	units := utf16.Encode([]rune(text))
	var little, big []byte
	for _, u := range units {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	for name, c := range map[string]struct {
		body        []byte
		contentType string
	}{
		"little by mark":   {append([]byte{0xff, 0xfe}, little...), "text/html"},
		"big by mark":      {append([]byte{0xfe, 0xff}, big...), "text/html; charset=utf-8"},
		"little by field":  {little, "text/html; charset=utf-16"},
		"big by field":     {big, `text/html; charset="UTF-16BE"`},
		"little by label":  {little, "text/html; charset=csUnicode"},
		"big by label":     {big, "text/html; charset=unicodeFFFE"},
		"after quotes":     {little, `text/html; a="; charset=utf-8"; charset=utf-16`},
		"with a backslash": {little, `text/html; charset="utf\-16"`},
		"of the last type": {little, "text/html; charset=utf-8, text/html; charset=utf-16"},
		"little by XML":    {append([]byte("<\x00?\x00x\x00m\x00l\x00?\x00>\x00"), little...), "text/html"},
		"big by XML":       {append([]byte("\x00<\x00?\x00x\x00m\x00l\x00?\x00>"), big...), "text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, always(t, answerWith(c.body, "Content-Type: "+c.contentType)))
			for range 3 {
				r := s.dial().send(get("/")).answer("GET")
				body := readAll(t, r.Body)
				if !strings.Contains(body, "Hello\u00e9\u20ac\U0001F600") || strings.Contains(body, tracker) {
					t.Errorf("%.300q", body)
				}
				if ct := r.Header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
					t.Errorf("Content-Type %q", ct)
				}
			}
		})
	}
}

// TestDeclaredEncoding: the encoding that a page names itself where browsers look for it
// is named by the answer, as what is injected moves that further down.
func TestDeclaredEncoding(t *testing.T) {
	const page = "<!doctype html><html><head>%s<title>x</title></head><body>y</body></html>"
	late := "<script>" + strings.Repeat("/**/", 240) + "</script>"
	for in, want := range map[string]string{
		"<meta charset=UTF-8>": "text/html; charset=utf-8",
		late + `<META HTTP-EQUIV="Content-Type" content="text/html; charset=windows-1251">`: "text/html",
		`<meta http-equiv="content-type" content="text/html; charset=windows-1251">`:        "text/html; charset=windows-1251",
		late[:900] + `*/</script><meta charset=" shift_jis ">`:                              "text/html; charset=shift_jis",
		"<meta charset=utf-16>":                     "text/html; charset=utf-8",
		"<meta charset=unheard-of>":                 "text/html",
		"<script>'<meta charset=utf-8>'</script>":   "text/html",
		"<!-- <meta charset=utf-8> -->":             "text/html",
		"<script charset=utf-8 src=/a.js></script>": "text/html",
	} {
		s := newStage(t, always(t, answerWith(fmt.Appendf(nil, page, in), "Content-Type: text/html")))
		for range 2 {
			r := s.dial().send(get("/")).answer("GET")
			if body := readAll(t, r.Body); !strings.Contains(body, "askfirst-banner") {
				t.Errorf("%s: no banner", in)
			}
			if got := r.Header.Get("Content-Type"); got != want {
				t.Errorf("%s: %q, want %q", in, got, want)
			}
		}
	}
}

// TestXHTML checks that a page of XHTML is still one, with all that is added to it.
func TestXHTML(t *testing.T) {
	const text = `<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>Hello</title></head>` +
		`<body><p title="a &gt; b">a &lt; b</p><iframe src="https://www.youtube.com/embed/x?a=1&amp;b=2" title="a &lt; &quot;b&quot;" width="300"></iframe></body></html>`
	s := newStage(t, always(t, answerWith([]byte(text), "Content-Type: application/xhtml+xml")))
	body := readAll(t, s.dial().send(get("/")).answer("GET").Body)
	within := map[string]int{}
	names := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(body)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\nin %s", err, body)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Space != "http://www.w3.org/1999/xhtml" && e.Name.Space != "http://www.w3.org/2000/svg" {
				t.Errorf("<%s> is of %q", e.Name.Local, e.Name.Space)
			}
			within[e.Name.Local]++
			if e.Name.Local == "iframe" && within["askfirst-placeholder"] != 1 {
				t.Error("the frame stands in no box")
			}
			names[e.Name.Local]++
		case xml.EndElement:
			within[e.Name.Local]--
		}
	}
	if names["script"] == 0 || names["askfirst-placeholder"] != 1 || names["askfirst-banner"] == 0 {
		t.Errorf("%v\nin %s", names, body)
	}
	if strings.Contains(body, ` src="https://www.youtube`) {
		t.Errorf("the frame is live in %s", body)
	}
}

// TestEscapes reads what hides markup in ISO-2022-JP, however it comes cut, and
// what does not.
func TestEscapes(t *testing.T) {
	for text, opaque := range map[string]bool{
		"a\x1b$Ba": true, "\x1b$@": true, "a\x1b\x1b(I": true, "\x1b(\x1b$B": true, "\x1b$\x1b$\x1b$B": true,
		"\x1b(B": false, "\x1b(J": false, "\x1b[1m": false, "\x1b$": false, "$B\x1b": false, "": false,
		"\xef\xbb\xbf\x1b$B": false,
	} {
		for _, size := range []int{0, 1, 2, 3} {
			var r io.Reader = strings.NewReader("<p>abcd" + text)
			if strings.HasPrefix(text, "\xef") {
				r = strings.NewReader(text)
			}
			if size > 0 {
				r = &inPieces{r, size}
			}
			c, err := newCharsetReader(r, []byte("text/html"), make([]byte, 100))
			for err == nil {
				_, err = c.next()
			}
			if (err == errOpaqueCharset) != opaque {
				t.Errorf("%q in pieces of %d: %v", text, size, err)
			}
		}
	}
	c, err := newCharsetText([]byte("<p>\x1b$B"), []byte("text/html; charset=utf-8"))
	if err == nil {
		_, err = c.next()
	}
	if err != io.EOF {
		t.Errorf("named UTF-8: %v", err)
	}
}

// inPieces reads few bytes at a time.
type inPieces struct {
	r    io.Reader
	size int
}

func (p *inPieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.size)]) }

// TestSlowPage shows a page as the upstream makes it.
func TestSlowPage(t *testing.T) {
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		next := make(chan string)
		s := newStage(t, script(t, func(_ int, p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
			for part := range next {
				p.send(fmt.Sprintf("%x\r\n%s\r\n", len(part), part))
			}
			p.send("0\r\n\r\n")
		}))
		p := s.dial().send(get("/", "Accept-Encoding: "+coding))
		next <- `<html><head></head><body><p>first</p>`
		r := p.answer("GET")
		var body io.Reader = r.Body
		switch coding {
		case "gzip":
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		case "br":
			body = brrr.NewReader(r.Body)
		case "zstd":
			body, _ = zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1))
		}
		var got strings.Builder
		wait := func(word string) {
			buf := make([]byte, 64<<10)
			for !strings.Contains(got.String(), word) {
				n, err := body.Read(buf)
				got.Write(buf[:n])
				if err != nil && !strings.Contains(got.String(), word) {
					t.Fatalf("%s: %v before %q after %d bytes", coding, err, word, got.Len())
				}
			}
		}
		wait("first")
		next <- `<p>second</p>` + tracker
		wait("second")
		next <- `</body></html>`
		close(next)
		wait("</html>")
		if strings.Contains(got.String(), tracker) {
			t.Errorf("%s: not held", coding)
		}
	}
}

// TestCaching makes the fields of a page true.
func TestCaching(t *testing.T) {
	var tag atomic.Value
	tag.Store(`"v1"`)
	s := newStage(t, each(t, func(p *peer, head string) {
		current := tag.Load().(string)
		if strings.Contains(head, "If-None-Match: "+current) || strings.Contains(head, "If-Modified-Since: ") {
			p.send("HTTP/1.1 304 Not Modified\r\nETag: " + current + "\r\nCache-Control: public\r\n\r\n")
			return
		}
		answer := answerWith([]byte(page), isPage, "ETag: "+current, "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT", "Vary: Accept-Encoding, X",
			"Cache-Control: public, max-age=60, s-maxage=600", "Content-MD5: x", "Digest: y", "Accept-Ranges: bytes", "Surrogate-Control: max-age=9")
		if strings.HasPrefix(head, "HEAD") {
			answer, _, _ = strings.Cut(answer, "\r\n\r\n")
			answer += "\r\n\r\n"
		}
		p.send(answer)
	}))
	p := s.dial()
	ask := func(method string, fields ...string) *http.Response {
		r := p.send(method + strings.TrimPrefix(get("/", append(fields, "Sec-Fetch-Dest: document", "Accept-Encoding: gzip")...), "GET")).answer(method)
		io.Copy(io.Discard, r.Body)
		return r
	}
	for _, weak := range []string{"", "W/"} {
		tag.Store(weak + `"v1"`)
		r := ask("GET")
		h := r.Header
		mine := h.Get("ETag")
		if !strings.HasPrefix(mine, `W/"v1-a`) || h.Get("Cache-Control") != "max-age=60, private" ||
			h.Get("Vary") != "Accept-Encoding, X, Accept-Language, Cookie, Sec-GPC, Sec-Fetch-Dest" ||
			h.Get("Content-MD5")+h.Get("Digest")+h.Get("Accept-Ranges")+h.Get("Surrogate-Control") != "" ||
			h.Get("Last-Modified") != "Mon, 01 Jan 2024 00:00:00 GMT" || h.Get("Content-Encoding") != "gzip" {
			t.Errorf("%v", h)
		}
		hh := ask("HEAD").Header
		for name := range h {
			// Each has the second in which it was made.
			if name != "Content-Length" && name != "Date" && fmt.Sprint(hh[name]) != fmt.Sprint(h[name]) {
				t.Errorf("HEAD: %s %q, GET: %q", name, hh[name], h[name])
			}
		}
		r = ask("GET", "If-None-Match: "+mine)
		if r.StatusCode != 304 || r.Header.Get("ETag") != mine || r.Header.Get("Cache-Control") != "private" {
			t.Errorf("%d %v", r.StatusCode, r.Header)
		}
		for name, fields := range map[string][]string{
			"another choice": {"If-None-Match: " + mine, "Cookie: " + choiceCookie(consent.All)},
			"no mark":        {"If-None-Match: " + weak + `"v1"`},
			"date alone":     {"If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT"},
			"changed page":   {"If-None-Match: " + strings.Replace(mine, "v1", "v0", 1)},
		} {
			if r := ask("GET", fields...); r.StatusCode != 200 {
				t.Errorf("%s: %d", name, r.StatusCode)
			}
		}
	}
	// What is no page is let be.
	if status := p.send(get("/a.css", "Sec-Fetch-Dest: style", `If-None-Match: W/"v1"`)).status(); status != 304 {
		t.Errorf("style sheet: %d", status)
	}
	if status := p.send(get("/a.css", "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT")).status(); status != 304 {
		t.Errorf("style sheet by date: %d", status)
	}
}

// TestCachesOfOneMaker drops from a page that depends on the choice what tells a
// single cache to keep it.
func TestCachesOfOneMaker(t *testing.T) {
	fields := []string{"CDN-Cache-Control", "Surrogate-Control", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control",
		"Netlify-CDN-Cache-Control", "Akamai-Cache-Control", "Edge-Control", "X-Accel-Expires", "X-LiteSpeed-Cache-Control"}
	sent := []string{"Cache-Control: public, max-age=600"}
	for _, name := range fields {
		sent = append(sent, name+": max-age=600")
	}
	for _, caching := range []configs.Caching{configs.PerChoice, configs.Uniform} {
		for _, media := range []string{isPage, "Content-Type: text/html; charset=iso-2022-jp"} {
			s := newStage(t, always(t, answerWith([]byte(page), append(sent, media)...)), func(c *configs.Config) { c.Sites[0].Caching = caching })
			h := s.dial().send(get("/")).answer("GET").Header
			for _, name := range fields {
				if stays := h.Get(name) != ""; stays != (caching == configs.Uniform) {
					t.Errorf("%s, %s: %s stays %v beside %q", caching, media, name, stays, h.Get("Cache-Control"))
				}
			}
		}
	}
}

// TestUpgradeRefused asks for a WebSocket where there is a page, which a cache may
// then give to others: it is read as ever.
func TestUpgradeRefused(t *testing.T) {
	for _, caching := range []configs.Caching{configs.PerChoice, configs.Uniform} {
		s := newStage(t, always(t, answerWith([]byte(page), isPage, "Cache-Control: public, max-age=600")), func(c *configs.Config) { c.Sites[0].Caching = caching })
		p := s.dial()
		for range 3 {
			r := p.send(get("/", "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")).answer("GET")
			held(t, readAll(t, r.Body))
			if private := strings.Contains(r.Header.Get("Cache-Control"), "private"); private != (caching == configs.PerChoice) {
				t.Errorf("%s: Cache-Control %q", caching, r.Header["Cache-Control"])
			}
		}
	}
}

// TestTwoTypes sends a page whose type is named twice: browsers heed the last
// (Fetch, section 2.2.2).
func TestTwoTypes(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page), "Content-Type: text/plain", isPage)))
	r := s.dial().send(get("/")).answer("GET")
	held(t, readAll(t, r.Body))
	if got := r.Header["Content-Type"]; len(got) != 1 || !strings.HasPrefix(got[0], "text/html") {
		t.Errorf("%q", got)
	}
}

// TestTypes sends pages under names by which browsers know them too, as they were
// seen to.
func TestTypes(t *testing.T) {
	for _, name := range []string{
		"TEXT/HTML", "text/html charset=utf-8", "text/html\tcharset=utf-8", "text/html(utf-8)", "text/html;", "text/html, charset=utf-8",
		"text/html, text/html", "text/plain, text/html", "text/html , */*", `text/plain; a=", text/plain", text/html`,
	} {
		s := newStage(t, always(t, answerWith([]byte(page), "Content-Type: "+name)))
		held(t, readAll(t, s.dial().send(get("/")).answer("GET").Body))
	}
	for _, name := range []string{"text/html, text/plain", "text/htm", `text/plain; a=", text/html"`, "text/html/x"} {
		s := newStage(t, always(t, answerWith([]byte(page), "Content-Type: "+name)))
		if body := readAll(t, s.dial().send(get("/")).answer("GET").Body); body != page {
			t.Errorf("%s: %q", name, body)
		}
	}
}

// TestRedirectIsRememberedApart sends the same body with a redirect, into which no
// banner is put, and then as a page.
func TestRedirectIsRememberedApart(t *testing.T) {
	var asked atomic.Int32
	s := newStage(t, each(t, func(p *peer, head string) {
		answer := answerWith([]byte(page), isPage)
		if asked.Add(1) <= 3 {
			answer = strings.Replace(answer, "200 OK", "302 Found\r\nLocation: /x", 1)
		}
		p.send(answer)
	}))
	p := s.dial()
	for range 3 {
		readAll(t, p.send(get("/")).answer("GET").Body)
	}
	held(t, readAll(t, p.send(get("/")).answer("GET").Body))
}

// TestParts holds in parts of pages too, and puts nothing into them.
func TestParts(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte("<div>part</div>"+tracker), isPage)))
	for _, field := range []string{"HX-Request: true", "Turbo-Frame: a", "X-Requested-With: XMLHttpRequest", "Sec-Fetch-Dest: empty"} {
		body := readAll(t, s.dial().send(get("/", field)).answer("GET").Body)
		if strings.Contains(body, tracker) || !strings.HasPrefix(body, "<div>part</div><script") || strings.Contains(body, "guard") || strings.Contains(body, "banner") {
			t.Errorf("%s: %q", field, body)
		}
	}
}

// TestWhole has scripts guarded in what the browser shows as a document, whatever that
// begins with, and asks in what is in no frame.
func TestWhole(t *testing.T) {
	for _, text := range []string{page, "Hello " + page, "<br />\n<b>Warning</b>: " + page, "<div>part</div>" + tracker} {
		s := newStage(t, always(t, answerWith([]byte(text), isPage)))
		for dest, asks := range map[string]bool{"document": true, "iframe": false, "object": false} {
			for range 3 {
				body := readAll(t, s.dial().send(get("/", "Sec-Fetch-Dest: "+dest)).answer("GET").Body)
				guard := strings.Index(body, "data-askfirst-guard")
				if guard < 0 || guard > strings.Index(body, "data-askfirst-src") || strings.Contains(body, tracker) || strings.Contains(body, "<askfirst-banner") != asks {
					t.Errorf("%s: %.20q became %q", dest, text, body)
				}
			}
		}
	}
}

// TestWholeXHTML puts nothing before what XHTML begins with.
func TestWholeXHTML(t *testing.T) {
	const text = `<h:html xmlns:h="http://www.w3.org/1999/xhtml"><h:body/></h:html>`
	s := newStage(t, always(t, answerWith([]byte(text), "Content-Type: application/xhtml+xml")))
	if body := readAll(t, s.dial().send(get("/", "Sec-Fetch-Dest: document")).answer("GET").Body); body != text {
		t.Errorf("became %s", body)
	}
}

// TestNoPages passes what looks like a page and is none, byte for byte.
func TestNoPages(t *testing.T) {
	for name, answer := range map[string]string{
		"text":       answerWith([]byte(page), "Content-Type: text/plain"),
		"script":     answerWith([]byte(page), "Content-Type: text/javascript"),
		"json":       answerWith([]byte(page), "Content-Type: application/json"),
		"attachment": answerWith([]byte(page), isPage, "Content-Disposition: Attachment ; filename=a.html"),
		"no type":    answerWith([]byte(page)),
	} {
		s := newStage(t, always(t, answer))
		if body := readAll(t, s.dial().send(get("/")).answer("GET").Body); body != page {
			t.Errorf("%s: %q", name, body)
		}
	}
	s := newStage(t, always(t, answerWith([]byte(page), isPage, "Set-Cookie: _ga=1")), func(c *configs.Config) { c.Rewrite = false })
	r := s.dial().send(get("/")).answer("GET")
	if body := readAll(t, r.Body); body != page || r.Header.Get("Set-Cookie") == "" {
		t.Errorf("rewriting is off: %q", body)
	}
}

// TestShownThoughCalledAttachment holds in what Chromium was seen to show although its
// Content-Disposition begins with that word.
func TestShownThoughCalledAttachment(t *testing.T) {
	for _, disposition := range []string{"attachment filename=a.html", "attachment=1", "attachment/x; filename=a", `attachment"`, "attachment@", "inline"} {
		s := newStage(t, always(t, answerWith([]byte(page), isPage, "Content-Disposition: "+disposition)))
		held(t, readAll(t, s.dial().send(get("/")).answer("GET").Body))
	}
}

// TestLeave passes pages of the paths that are to be left byte for byte, and no
// others. Their cookies are held all the same.
func TestLeave(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(page), isPage, `ETag: "a"`, "Set-Cookie: _ga=1; Path=/")), func(c *configs.Config) { c.Sites[0].Leave = []string{"/wp-admin/*", "/login.php"} })
	for path, left := range map[string]bool{
		"/wp-admin/": true, "/wp-admin/post.php?post=4": true, "/login.php": true, "/login.php?to=/": true,
		"/": false, "/wp-admin": false, "/login.php/": false, "/?/wp-admin/": false,
		"/wp-admin/../": false, "/wp-admin/%2e%2e/": false, "/wp-admin/..%2F": false, "/wp-admin/..;/": false, "/wp-admin//": false,
	} {
		r := s.dial().send(get(path, "Sec-Fetch-Dest: document")).answer("GET")
		body := readAll(t, r.Body)
		if whole := body == page && r.Header.Get("ETag") == `"a"` && r.Header.Get("Vary") == ""; whole != left || !left && strings.Contains(body, tracker) {
			t.Errorf("%s: %v %q", path, r.Header, body)
		}
		if r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", path)
		}
	}
}

// TestMayBeRead holds by policy what a browser may take for a page though it is
// not called one.
func TestMayBeRead(t *testing.T) {
	for _, c := range []struct {
		fields []string
		dest   string
		page   bool // a browser may take it for one, which a cache may give to who asks for one
		held   bool
	}{
		{nil, "document", true, true}, {nil, "script", true, false}, {[]string{"X-Content-Type-Options: nosniff"}, "document", false, false},
		{[]string{"Content-Type: application/xml"}, "iframe", true, true}, {[]string{"Content-Type: image/svg+xml; charset=utf-8"}, "document", true, true},
		{[]string{"Content-Type: html"}, "document", true, true}, {[]string{"Content-Type: charset=utf-8"}, "document", true, true}, {[]string{"Content-Type: text / html"}, "document", true, true},
		{[]string{"Content-Type: html", "X-Content-Type-Options: nosniff"}, "document", false, false}, {[]string{"Content-Type: text/xsl"}, "document", true, true},
		{[]string{"Content-Type: image/svg+xml"}, "image", true, false}, {[]string{"Content-Type: application/json"}, "document", false, false},
	} {
		for _, caching := range []configs.Caching{configs.PerChoice, configs.Uniform} {
			s := newStage(t, always(t, answerWith([]byte(page), c.fields...)), func(c *configs.Config) { c.Sites[0].Caching = caching })
			r := s.dial().send(get("/", "Sec-Fetch-Dest: "+c.dest)).answer("GET")
			if body := readAll(t, r.Body); body != page {
				t.Errorf("%v: another body", c)
			}
			if held := r.Header.Get("Content-Security-Policy") != ""; held != (c.held || caching == configs.Uniform && c.page) {
				t.Errorf("%s, %v: held %v", caching, c, held)
			}
		}
	}
}

// TestErrorPages holds on pages of every status.
func TestErrorPages(t *testing.T) {
	for _, status := range []string{"404 Not Found", "500 Internal Server Error", "403 Forbidden"} {
		s := newStage(t, always(t, strings.Replace(answerWith([]byte(page), isPage), "200 OK", status, 1)))
		r := s.dial().send(get("/")).answer("GET")
		if r.Status != status {
			t.Errorf("%s", r.Status)
		}
		held(t, readAll(t, r.Body))
	}
}

// TestNothingPutIn lets be what no visitor looks at.
func TestNothingPutIn(t *testing.T) {
	redirect := strings.Replace(answerWith([]byte(page), isPage, "Location: /b"), "200 OK", "302 Found", 1)
	if body := readAll(t, newStage(t, always(t, redirect)).dial().send(get("/")).answer("GET").Body); strings.Contains(body, "banner") || strings.Contains(body, tracker) {
		t.Errorf("redirect: %q", body)
	}
	for _, data := range []string{"", `{"a":"<b>"}`, " \n[1]", "[ ]", "{}", `[{"a":1}]`} {
		s := newStage(t, always(t, answerWith([]byte(data), isPage)))
		for range 3 {
			r := s.dial().send(get("/")).answer("GET")
			if body := readAll(t, r.Body); body != data || r.ContentLength != int64(len(data)) {
				t.Errorf("%q became %q", data, body)
			}
		}
	}
	for _, left := range []string{"{{ header }}", "{% block %}", "[Notice] "} {
		held(t, readAll(t, newStage(t, always(t, answerWith([]byte(left+page), isPage))).dial().send(get("/", "Sec-Fetch-Dest: document")).answer("GET").Body))
	}
}

// TestPausingPage remembers a page that comes with pauses, and waits for a body
// that is like a remembered one.
func TestPausingPage(t *testing.T) {
	var s *stage
	s = newStage(t, each(t, func(p *peer, _ string) {
		m := &s.proxy.metrics
		noticed := func() int64 { return m.streamed.Load() + m.waits.Load() }
		body, before := page+strings.Repeat("<p>more</p>", 100), noticed()
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s", isPage, len(body), body[:300]))
		for noticed() == before {
			runtime.Gosched()
		}
		p.send(body[300:])
	}))
	p := s.dial()
	var first string
	for i := range 4 {
		r := p.send(get("/", "Accept-Encoding: gzip")).answer("GET")
		body := decode(t, "gzip", []byte(readAll(t, r.Body)))
		held(t, body)
		if i == 0 {
			first = body
		} else if body != first {
			t.Errorf("answer %d differs", i)
		}
		if whole := r.ContentLength > 0; whole != (i > 1) {
			t.Errorf("answer %d: whole %v", i, whole)
		}
	}
}

// TestOwnEndpoints asks the banner over the wire.
func TestOwnEndpoints(t *testing.T) {
	s := newStage(t, always(t, ok))
	p := s.dial()
	guard := s.proxy.sites.Load().all[0].banner.GuardURL()
	for _, method := range []string{"GET", "HEAD"} {
		r := p.send(method + " " + guard + " HTTP/1.1\r\nHost: shop.example\r\n\r\n").answer(method)
		if body := readAll(t, r.Body); r.StatusCode != 200 || method == "GET" && len(body) < 1000 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %v", method, r.StatusCode, len(body), r.Header)
		}
	}
	form := "choice=accept-all&return=%2Fa"
	r := p.send(fmt.Sprintf("POST /_askfirst/consent HTTP/1.1\r\nHost: shop.example\r\nOrigin: http://shop.example\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(form)))
	if head := r.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q", head)
	}
	a := p.send(form).answer("POST")
	io.Copy(io.Discard, a.Body)
	cookie := a.Header.Get("Set-Cookie")
	if a.StatusCode != 303 || a.Header.Get("Location") != "/a" || !strings.HasPrefix(cookie, "askfirst=1.1.fams.") {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	// Terminators pass the names of HTTP/2's fields on in lower case.
	for _, stranger := range []string{"Origin: http://evil.example", "origin: http://evil.example", "ORIGIN: null", "sec-fetch-site: cross-site", "Sec-Fetch-Site: same-site"} {
		if status := s.dial().send("POST /_askfirst/consent HTTP/1.1\r\nHost: shop.example\r\n" + stranger + "\r\nContent-Length: 0\r\n\r\n").status(); status != 403 {
			t.Errorf("a stranger's page, %s: %d", stranger, status)
		}
	}
	if status := p.send("POST /_askfirst/events HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)).status(); status != 413 {
		t.Errorf("too much: %d", status)
	}
}

// TestBaseLeadsElsewhere: forms and links of ours lead to the page's origin,
// whatever origin its <base> names.
func TestBaseLeadsElsewhere(t *testing.T) {
	for base, origin := range map[string]string{"": "", "/sub/": "", "http://shop.example/": "", "https://shop.example/": "http://shop.example", "//cdn.example/": "http://shop.example"} {
		body := `<!doctype html><html><head><base href="` + base + `"></head><body><iframe src="https://www.youtube.com/embed/1"></iframe></body></html>`
		p := newStage(t, always(t, answerWith([]byte(body), isPage))).dial()
		for range 3 {
			got := readAll(t, p.send(get("/bags?size=2")).answer("GET").Body)
			for _, want := range []string{`action="` + origin + `/_askfirst/consent"`, `href="` + origin + `/_askfirst/preferences?`} {
				if n := strings.Count(got, want); n != 1+strings.Count(want, "action") {
					t.Errorf("base %q: %s occurs %d times", base, want, n)
				}
			}
		}
	}
}
