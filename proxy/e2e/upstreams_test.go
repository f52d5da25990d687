package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
)

const phpSite = `<?php
$path = parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH);
if ($path == "/upload") { header("Content-Type: text/plain"); echo $_SERVER["REQUEST_METHOD"], " ", hash("sha256", file_get_contents("php://input")); return true; }
if ($path == "/target") { header("Content-Type: text/plain"); echo $_SERVER["REQUEST_URI"]; return true; }
return false;
`

const nodeSite = `
const http = require("http"), fs = require("fs"), crypto = require("crypto");
const [, , dir, port] = process.argv;
let go;
const gone = new Promise(r => go = r);
const server = http.createServer(async (req, res) => {
  const path = req.url.split("?")[0];
  if (path == "/upload") {
    const h = crypto.createHash("sha256");
    for await (const chunk of req) h.update(chunk);
    res.setHeader("Content-Type", "text/plain");
    res.end(req.method + " " + h.digest("hex"));
  } else if (path == "/target") {
    res.setHeader("Content-Type", "text/plain");
    res.end(req.url);
  } else if (path == "/events") {
    res.writeHead(200, {"Content-Type": "text/event-stream"});
    res.write("data: one\n\n");
    await gone;
    res.end("data: two\n\n");
  } else if (path == "/go") {
    go();
    res.end();
  } else if (path == "/hints") {
    res.writeEarlyHints({link: ["</style.css>; rel=preload; as=style", "<https://www.google-analytics.com/a.js>; rel=preload; as=script"]});
    res.writeHead(200, {"Content-Type": "text/plain", Trailer: "X-Sum"});
    res.write("hinted");
    res.addTrailers({"X-Sum": "42"});
    res.end();
  } else if (path == "/page.html") {
    res.setHeader("Content-Type", "text/html");
    fs.createReadStream(dir + path).pipe(res);
  } else {
    res.statusCode = 404;
    res.end();
  }
});
server.listen(+port, "127.0.0.1");
`

// The web servers that sites are served by, behind askfirst on this machine:
// what is no page comes as from the server itself, what is one is held.
func TestForeignUpstreams(t *testing.T) {
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	for name, c := range map[string]struct {
		begin   func(t *testing.T, dir, address string)
		files   bool // it serves files, with ranges where it does that at all
		ranges  bool
		uploads bool
		chunks  bool // it reads uploads in chunks
	}{
		"nginx": {files: true, ranges: true, begin: func(t *testing.T, dir, address string) {
			main := "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {} http { access_log off; " +
				"types { text/html html; text/css css; application/octet-stream bin; } gzip on; gzip_proxied any; gzip_types text/css; gzip_min_length 100; "
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				main += kind + "_temp_path " + dir + "/" + kind + "; "
			}
			main += "server { listen " + address + "; root " + dir + "; location = /target { default_type text/plain; return 200 $request_uri; } } }\n"
			write(t, dir+"/nginx.conf", main)
			foreign(t, address, "nginx", "-p", dir, "-c", dir+"/nginx.conf")
		}},
		"Caddy": {files: true, ranges: true, begin: func(t *testing.T, dir, address string) {
			write(t, dir+"/Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\nhttp://:"+port(address)+" {\n\tbind 127.0.0.1\n\troot * "+dir+
				"\n\tencode zstd gzip\n\thandle /target {\n\t\theader Content-Type text/plain\n\t\trespond {http.request.orig_uri}\n\t}\n\tfile_server\n}\n")
			foreign(t, address, "caddy", "run", "--config", dir+"/Caddyfile", "--adapter", "caddyfile")
		}},
		"PHP": {files: true, uploads: true, begin: func(t *testing.T, dir, address string) {
			write(t, dir+"/site.php", phpSite)
			foreign(t, address, "php", "-S", address, "-t", dir, dir+"/site.php")
		}},
		"Node": {uploads: true, chunks: true, begin: func(t *testing.T, dir, address string) {
			write(t, dir+"/site.js", nodeSite)
			foreign(t, address, "node", dir+"/site.js", dir, port(address))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			page := `<!doctype html><title>x</title><script src="https://www.google-analytics.com/analytics.js"></script><p>` + strings.Repeat("text ", 1000)
			write(t, dir+"/page.html", page)
			write(t, dir+"/style.css", strings.Repeat("p { color: red }\n", 200))
			large := make([]byte, 5<<20)
			for i := range large {
				large[i] = byte(i * i >> 8)
			}
			write(t, dir+"/large.bin", string(large))

			server := freeAddress(t)
			c.begin(t, dir, server)
			proxy, _ := launch(t, "serve", "--upstream", "http://"+server, "--listen", "127.0.0.1:0", "--admin", "off", "--data", t.TempDir())
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			ask := func(address, method, target string, body io.Reader, fields ...string) (*http.Response, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+target, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "shop.example"
				for i := 0; i < len(fields); i += 2 {
					r.Header.Set(fields[i], fields[i+1])
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatalf("%s %s: %v after %d bytes", method, target, err, len(text))
				}
				return resp, string(text)
			}
			// same asks the server itself and askfirst.
			same := func(method, target string, fields ...string) {
				t.Helper()
				want, wanted := ask(server, method, target, nil, fields...)
				got, body := ask(proxy, method, target, nil, fields...)
				if got.StatusCode != want.StatusCode || body != wanted {
					t.Errorf("%s %s %v: %s, %d bytes; from the server %s, %d bytes", method, target, fields, got.Status, len(body), want.Status, len(wanted))
				}
				for _, field := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified"} {
					if got.Header.Get(field) != want.Header.Get(field) {
						t.Errorf("%s %s %v: %s: %q, from the server %q", method, target, fields, field, got.Header.Get(field), want.Header.Get(field))
					}
				}
			}
			if c.files {
				same("GET", "/style.css")
				same("GET", "/style.css", "Accept-Encoding", "gzip")
				same("HEAD", "/large.bin")
				same("GET", "/large.bin")
				resp, _ := ask(server, "GET", "/style.css", nil)
				if tag := resp.Header.Get("ETag"); tag != "" {
					same("GET", "/style.css", "If-None-Match", tag)
					same("GET", "/style.css", "If-Modified-Since", resp.Header.Get("Last-Modified"))
				}
				if resp, _ := ask(proxy, "GET", "/absent.html", nil); resp.StatusCode != 404 {
					t.Errorf("what is not there: %s", resp.Status)
				}
			}
			if c.ranges {
				for _, r := range []string{"bytes=100-199", "bytes=-5", "bytes=5242879-"} {
					same("GET", "/large.bin", "Range", r)
				}
				// Some servers answer with a page, which is made ours.
				resp, _ := ask(proxy, "GET", "/large.bin", nil, "Range", "bytes=9999999-")
				if resp.StatusCode != 416 || resp.Header.Get("Content-Range") != "bytes */5242880" {
					t.Errorf("a range that is not there: %s, %q", resp.Status, resp.Header.Get("Content-Range"))
				}
			}
			same("GET", "/target?a=%2F%zz&&;b=//../c")

			for _, coding := range []string{"identity", "gzip"} {
				for range 3 { // the third is remembered
					resp, body := ask(proxy, "GET", "/page.html", nil, "Accept-Encoding", coding)
					if coding == "gzip" {
						if resp.Header.Get("Content-Encoding") != "gzip" {
							t.Errorf("Content-Encoding is %q", resp.Header.Get("Content-Encoding"))
						}
						z, err := gzip.NewReader(strings.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						plain, err := io.ReadAll(z)
						if err != nil {
							t.Fatal(err)
						}
						body = string(plain)
					}
					if resp.StatusCode != 200 || !strings.Contains(body, `data-askfirst-src="https://www.google-analytics.com`) || !strings.Contains(body, "text text") {
						t.Errorf("%s: %s %.300s", coding, resp.Status, body)
					}
				}
			}

			if c.uploads {
				sum := sha256.Sum256(large)
				for _, method := range []string{"POST", "PUT"} {
					if resp, body := ask(proxy, method, "/upload", bytes.NewReader(large)); body != method+" "+hex.EncodeToString(sum[:]) {
						t.Errorf("upload by %s: %s %s", method, resp.Status, body)
					}
				}
				if resp, body := ask(proxy, "POST", "/upload", io.MultiReader(bytes.NewReader(large))); c.chunks && body != "POST "+hex.EncodeToString(sum[:]) {
					t.Errorf("upload in chunks: %s %s", resp.Status, body)
				}
			}

			// Many at once over kept connections.
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 25 {
						target := fmt.Sprintf("/target?n=%d", i)
						if resp, body := ask(proxy, "GET", target, nil); resp.StatusCode != 200 || body != target {
							t.Errorf("%s: %s %q", target, resp.Status, body)
						}
					}
				})
			}
			wg.Wait()

			if name == "Node" {
				events(t, proxy, ask)
				hints(t, proxy)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// events reads an event that must arrive before the next is asked for.
func events(t *testing.T, proxy string, ask func(address, method, target string, body io.Reader, fields ...string) (*http.Response, string)) {
	resp, err := http.Get("http://" + proxy + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "data: one\n\n" {
		t.Errorf("%q, %v", first, err)
	}
	ask(proxy, "GET", "/go", nil)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: two\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// hints reads early hints, without the one that contacts somebody, and a
// trailer.
func hints(t *testing.T, proxy string) {
	var early []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		early = append(early, fmt.Sprint(code, h.Values("Link")))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+proxy+"/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "hinted" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%q, %v, trailer %v", body, err, resp.Trailer)
	}
	if got := fmt.Sprint(early); got != "[103 [</style.css>; rel=preload; as=style]]" {
		t.Errorf("hints %s", got)
	}
}
