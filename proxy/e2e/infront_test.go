package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// foreign runs another program until the test ends, once it accepts
// connections at address. A machine without it skips, which CI does not allow.
func foreign(t *testing.T, address string, command ...string) {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("%s is not installed", command[0])
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	said := new(output)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { // t.Context has ended by now
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], said)
		}
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", command[0], said)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// adapted writes a file of ours anew with some texts replaced, each of which
// must stand in it.
func adapted(t *testing.T, from, to string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %q", from, replace[i])
		}
	}
	if err := os.WriteFile(to, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// visitorAddress is where visitors come from: it is trusted by nobody.
const visitorAddress = "127.0.0.7"

// client is a visitor of example.com, which is at address and has the certificate
// in dir.
func client(t *testing.T, dir, address string, h2 bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(dir + "/shop.pem")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(visitorAddress)}}
	protocols := []string{"http/1.1"}
	if h2 {
		protocols = []string{"h2"}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			ForceAttemptHTTP2: h2,
			TLSClientConfig:   &tls.Config{RootCAs: roots, NextProtos: protocols},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			},
		},
	}
}

// The configurations in configs/in-front as they stand there, but for ports,
// name and certificate: each of these programs in front of askfirst, on this
// machine.
func TestInFront(t *testing.T) {
	const folder = "../../configs/in-front/"
	// port returns where an address listens, and the port alone.
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	cases := map[string]func(t *testing.T, dir, plain, secure string, common []string){
		"nginx": func(t *testing.T, dir, plain, secure string, common []string) {
			adapted(t, folder+"nginx.conf", dir+"/site.conf", append(common, "shop.example", "example.com", "listen 80;", "listen "+plain+";", "listen 443 ssl", "listen "+secure+" ssl", "/etc/ssl/shop.key", dir+"/shop.pem")...)
			main := "daemon off; master_process off; pid " + dir + "/nginx.pid; error_log stderr warn; events {} http { access_log off; include site.conf; "
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				main += kind + "_temp_path " + dir + "/" + kind + "; "
			}
			if err := os.WriteFile(dir+"/nginx.conf", []byte(main+"}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			foreign(t, secure, "nginx", "-p", dir, "-c", dir+"/nginx.conf")
		},
		"Caddy": func(t *testing.T, dir, plain, secure string, common []string) {
			adapted(t, folder+"Caddyfile", dir+"/Caddyfile", append(common, "shop.example", "example.com", "http_port 80", "admin off\n\tdefault_bind 127.0.0.1\n\thttp_port "+port(plain), "https_port 443", "https_port "+port(secure), "/etc/ssl/shop.key", dir+"/shop.pem")...)
			foreign(t, secure, "caddy", "run", "--config", dir+"/Caddyfile", "--adapter", "caddyfile")
		},
		"HAProxy": func(t *testing.T, dir, plain, secure string, common []string) {
			adapted(t, folder+"haproxy.cfg", dir+"/haproxy.cfg", append(common, "bind :80", "bind "+plain, "bind :443", "bind "+secure)...)
			foreign(t, secure, "haproxy", "-db", "-f", dir+"/haproxy.cfg")
		},
	}
	// Traefik is no Debian package: it is tried where it is at hand.
	if _, err := exec.LookPath("traefik"); err == nil {
		cases["Traefik"] = func(t *testing.T, dir, plain, secure string, common []string) {
			adapted(t, folder+"traefik.yml", dir+"/traefik.yml", `":80"`, `"`+plain+`"`, `":443"`, `"`+secure+`"`, "/etc/traefik/", dir+"/")
			adapted(t, folder+"traefik-routes.yml", dir+"/traefik-routes.yml", append(common, "shop.example", "example.com", "/etc/ssl/shop.key", dir+"/shop.pem")...)
			foreign(t, secure, "traefik", "--configFile="+dir+"/traefik.yml")
			// It listens before it has read its routes.
			ready := client(t, dir, secure, false)
			for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				resp, err := ready.Get("https://example.com/_askfirst/cookies")
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode == http.StatusOK {
						return
					}
				}
				if time.Since(begun) > 20*time.Second {
					t.Fatal(resp, err)
				}
			}
		}
	}
	for name, begin := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePair(t, dir+"/shop.pem")

			got := make(chan *http.Request, 10)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/socket" {
					serveEcho(t, w, r)
					return
				}
				got <- r.Clone(context.Background())
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, `<!doctype html><title>x</title><script src="https://www.google-analytics.com/analytics.js"></script>`)
			}))
			t.Cleanup(upstream.Close)
			file := filepath.Join(dir, "askfirst.yml")
			configuration(t, file, upstream.URL, "listen: 127.0.0.1:0\nadmin: off\ntrusted_proxies: [127.0.0.1]\naccess_log: json\nwhole_addresses: true\n")
			ours := start(t, "serve", "--config", file)

			plain, secure := freeAddress(t), freeAddress(t)
			begin(t, dir, plain, secure, []string{"/etc/ssl/shop.pem", dir + "/shop.pem", "127.0.0.1:8080", ours.listen})

			site := "https://example.com:" + port(secure)
			ask := func(c *http.Client, r *http.Request) *http.Response {
				t.Helper()
				resp, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				resp.Body = io.NopCloser(strings.NewReader(string(body)))
				return resp
			}
			request := func(method, url string, body io.Reader, fields ...string) *http.Request {
				r, err := http.NewRequestWithContext(t.Context(), method, url, body)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(fields); i += 2 {
					r.Header.Set(fields[i], fields[i+1])
				}
				return r
			}

			h2 := client(t, dir, secure, true)
			resp := ask(h2, request("GET", site+"/a%2Fb//c?d=%7e", nil, "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "http",
				"X-Forwarded-Host", "elsewhere.example", "Forwarded", "for=1.2.3.4;host=elsewhere.example", "X-Request-Id", "mine"))
			body, _ := io.ReadAll(resp.Body)
			if resp.ProtoMajor != 2 || resp.StatusCode != 200 || !strings.Contains(string(body), `data-askfirst-src="https://www.google-analytics.com`) {
				t.Errorf("%s %s: %s", resp.Proto, resp.Status, body)
			}
			r := <-got
			if r.RequestURI != "/a%2Fb//c?d=%7e" || r.Host != "example.com:"+port(secure) {
				t.Errorf("%s at %s", r.RequestURI, r.Host)
			}
			if h := r.Header; h.Get("X-Forwarded-For") != visitorAddress+", 127.0.0.1" || h.Get("X-Forwarded-Proto") != "https" ||
				h.Get("X-Forwarded-Host") != "example.com:"+port(secure) || strings.Contains(h.Get("Forwarded"), "1.2.3.4") ||
				strings.Contains(h.Get("Forwarded"), "elsewhere") || len(h.Get("X-Request-Id")) < 32 {
				t.Errorf("%v", h)
			}

			consent := func(origin string) *http.Response {
				return ask(h2, request("POST", site+"/_askfirst/consent", strings.NewReader("choice=accept-all&return=/thanks"),
					"Origin", origin, "Content-Type", "application/x-www-form-urlencoded"))
			}
			if resp := consent("https://elsewhere.example"); resp.StatusCode != 403 {
				t.Errorf("a choice from another site: %s", resp.Status)
			}
			resp = consent(site)
			cookies := resp.Cookies()
			if resp.StatusCode != 303 || resp.Header.Get("Location") != "/thanks" || len(cookies) != 1 || cookies[0].Name != "askfirst" || !cookies[0].Secure {
				t.Errorf("a choice: %s, %v", resp.Status, resp.Header)
			} else {
				with := request("GET", site+"/", nil)
				with.AddCookie(cookies[0])
				resp := ask(h2, with)
				if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), ` src="https://www.google-analytics.com`) {
					t.Errorf("after the choice: %s", body)
				}
				<-got
			}

			resp = ask(client(t, dir, plain, false), request("GET", "http://example.com:"+port(plain)+"/x?y", nil))
			if to, err := url.Parse(resp.Header.Get("Location")); err != nil || resp.StatusCode/100 != 3 || to.Scheme != "https" || to.Hostname() != "example.com" || to.RequestURI() != "/x?y" {
				t.Errorf("by http: %s to %s", resp.Status, resp.Header.Get("Location"))
			}

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			socket, _, err := websocket.Dial(ctx, "wss://example.com:"+port(secure)+"/socket", &websocket.DialOptions{HTTPClient: client(t, dir, secure, false)})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.CloseNow()
			socket.SetReadLimit(largest)
			for _, text := range []string{"one", strings.Repeat("two", 20000)} {
				if err := socket.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, back, err := socket.Read(ctx); err != nil || string(back) != text {
					t.Errorf("sent %d bytes, got %d: %v", len(text), len(back), err)
				}
			}
			socket.Close(websocket.StatusNormalClosure, "")

			// The access log names the visitor, not what stands in front.
			for line := range strings.SplitSeq(strings.TrimSpace(ours.log()), "\n") {
				var entry struct{ Client string }
				if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Client != visitorAddress {
					t.Errorf("logged %s: %v", line, err)
				}
			}
		})
	}
}

// writePair writes a certificate for example.com and this machine, and its key,
// into one file, and returns the certificate.
func writePair(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.Certificate()
}
