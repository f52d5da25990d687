package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

// BenchmarkExchange takes requests over loopback, one after another on one
// connection. The upstream writes ready bytes; its cost and the client's are
// in the figure, and direct is that cost without a proxy.
func BenchmarkExchange(b *testing.B) {
	paragraph := `<div class="card"><a href="/p/1?x=y" title="a &amp; b"><img src="/i/1.jpg" alt="one"></a><p>Some words that say something.</p></div>` + "\n"
	markup := page[:len(page)-len("</body></html>")] + strings.Repeat(paragraph, 120<<10/len(paragraph)) + "</body></html>"
	json := strings.Repeat(`{"a":1},`, 128)
	file := strings.Repeat("x", 10<<20)
	for _, c := range []struct {
		name, answer, accept string
		changing, plain      bool
	}{
		{name: "json", answer: answerWith([]byte(json), "Content-Type: application/json")},
		{name: "file", answer: answerWith([]byte(file), "Content-Type: application/octet-stream")},
		{name: "page, plain", answer: answerWith([]byte(markup), isPage), plain: true},
		{name: "page, hit", answer: answerWith([]byte(markup), isPage)},
		{name: "page, hit gzip", answer: answerWith([]byte(markup), isPage), accept: "gzip"},
		{name: "page, hit br", answer: answerWith([]byte(markup), isPage), accept: "br"},
		{name: "page, hit gzip to gzip", answer: answerWith(encode(b, "gzip", []byte(markup)), isPage, "Content-Encoding: gzip"), accept: "gzip"},
		{name: "page, miss", answer: answerWith([]byte(markup+"        "), isPage), changing: true},
		{name: "page, miss gzip", answer: answerWith([]byte(markup+"        "), isPage), changing: true, accept: "gzip"},
		{name: "page, miss br", answer: answerWith([]byte(markup+"        "), isPage), changing: true, accept: "br"},
		{name: "page, miss zstd", answer: answerWith([]byte(markup+"        "), isPage), changing: true, accept: "zstd"},
	} {
		upstream := benchUpstream(b, c.answer, c.changing)
		s := newStage(b, upstream, func(cfg *configs.Config) { cfg.Rewrite = !c.plain })
		b.Run(c.name, func(b *testing.B) { drive(b, s.address, c.accept) })
		if c.name == "json" || c.name == "file" || c.plain {
			b.Run(c.name+", direct", func(b *testing.B) { drive(b, strings.TrimPrefix(upstream, "http://"), c.accept) })
		}
	}
}

func drive(b *testing.B, address, accept string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 256<<10)
	request := []byte(get("/a/page?x=y", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language: en-GB,en;q=0.5", "Accept-Encoding: "+accept, "Cookie: session=0123456789abcdef"))
	ask := func() int64 {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, a.Body)
		if err != nil || a.StatusCode != 200 {
			b.Fatal(a.Status, err)
		}
		return n
	}
	for range 3 {
		ask()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		b.SetBytes(ask())
	}
}

// benchUpstream writes the same answer to every request, its last bytes a
// number where it is to change.
func benchUpstream(b testing.TB, answer string, changing bool) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for n := 0; ; {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				bytes := []byte(answer)
				buf := make([]byte, 64<<10)
				for {
					m, err := c.Read(buf)
					if err != nil {
						return
					}
					if string(buf[m-4:m]) != "\r\n\r\n" {
						continue
					}
					if changing {
						n++
						copy(bytes[len(bytes)-8:], fmt.Sprintf("%08d", n))
					}
					if _, err := c.Write(bytes); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}
