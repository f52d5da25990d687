package proxy

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/askfirst/askfirst/configs"
)

// authority signs certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	made int64
	left time.Duration // of what it issues; 0 for an hour, which is half
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	return a
}

// issue writes a certificate for names, and its key, to files that begin with
// path, and returns its serial number.
func (a *authority) issue(path string, names ...string) (c configs.Certificate, serial int64) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.made++
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(100 + a.made), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(cmp.Or(a.left, time.Hour)),
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	c = configs.Certificate{Chain: path + ".pem", Key: path + ".key"}
	writePEM(a.t, c.Chain, "CERTIFICATE", der)
	writePEM(a.t, c.Key, "PRIVATE KEY", secret)
	return c, 100 + a.made
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secure adds a listener for https to a stage that is configured for it.
func (s *stage) secure() (address string) {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.proxy.Serve(s.proxy.Secure(ln)) }()
	s.t.Cleanup(func() {
		ln.Close()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			s.t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// TestOverdueCertificateIsTold: once, of that which has little time left.
func TestOverdueCertificateIsTold(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	fresh, _ := a.issue(filepath.Join(dir, "fresh"), "shop.example")
	a.left = 10 * time.Minute
	old, _ := a.issue(filepath.Join(dir, "old"), "blog.example", "www.blog.example")
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.TLS.Certificates = []configs.Certificate{fresh, old} })
	address := s.secure()
	for _, name := range []string{"shop.example", "blog.example", "www.blog.example"} {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if got := s.log.String(); strings.Count(got, "should have been renewed") != 1 || !strings.Contains(got, `hosts="blog.example www.blog.example"`) {
		t.Errorf("logged:\n%s", got)
	}
}

// change reloads a stage with a changed copy of its configuration.
func (s *stage) change(f func(*configs.Config)) error {
	cfg := *s.proxy.sites.Load().cfg
	cfg.Sites = append([]configs.Site(nil), cfg.Sites...)
	f(&cfg)
	return s.proxy.Reload(&cfg)
}

func TestCertificatesByName(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	first, _ := a.issue(filepath.Join(dir, "first"), "shop.example", "www.shop.example")
	wild, _ := a.issue(filepath.Join(dir, "wild"), "*.blog.example", "BLOG.example")
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.TLS.Certificates = []configs.Certificate{first, wild} })
	address := s.secure()
	for asked, want := range map[string]string{
		"shop.example": "shop.example", "WWW.shop.example": "shop.example", "blog.example": "*.blog.example",
		"a.blog.example": "*.blog.example", "a.b.blog.example": "shop.example", "elsewhere.example": "shop.example", "": "shop.example",
	} {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: asked, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("%q: %v", asked, err)
			continue
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q is shown the certificate of %s, want %s", asked, got, want)
		}
		c.Close()
	}
}

func TestTLSDefaults(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue(filepath.Join(t.TempDir(), "a"), "shop.example")
	s := newStage(t, always(t, "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=5; preload\r\nContent-Length: 2\r\n\r\nok"),
		func(c *configs.Config) { c.TLS.Certificates = []configs.Certificate{pair} })
	address := s.secure()
	old := &tls.Config{RootCAs: a.pool, ServerName: "shop.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", address, old); err == nil {
		t.Error("TLS 1.1 is spoken")
		c.Close()
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: a.pool, ServerName: "shop.example", MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		if state := c.ConnectionState(); state.Version != version || state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%x, %q", state.Version, state.NegotiatedProtocol)
		}
		r := newPeer(t, c).send(get("/")).answer("GET")
		if got := r.Header.Get("Strict-Transport-Security"); r.StatusCode != 200 || got != "max-age=5; preload" {
			t.Errorf("%d, HSTS %q", r.StatusCode, got)
		}
		c.Close()
	}
}

// TestCertificateReload changes the certificate while requests run: none of
// them fails, new connections see the new one, and a bad one changes nothing.
func TestCertificateReload(t *testing.T) {
	a, path := newAuthority(t), filepath.Join(t.TempDir(), "a")
	pair, before := a.issue(path, "shop.example")
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.TLS.Certificates = []configs.Certificate{pair} })
	address := s.secure()
	client := func() *http.Client {
		return &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: a.pool, ServerName: "shop.example"},
		}}
	}
	shown := func() int64 {
		r, err := client().Get("https://" + address + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := shown(); got != before {
		t.Fatalf("certificate %d, want %d", got, before)
	}
	var stop atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := client()
			for !stop.Load() {
				if i%2 == 0 { // half of them make a new connection each time
					c.CloseIdleConnections()
				}
				r, err := c.Get("https://" + address + "/")
				if err != nil || r.StatusCode != 200 {
					t.Errorf("a request failed: %v", err)
					return
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
				asked.Add(1)
			}
		})
	}
	same := func(*configs.Config) {}
	for range 5 {
		had := asked.Load()
		_, after := a.issue(path, "shop.example")
		if err := s.change(same); err != nil {
			t.Error(err)
		}
		if got := shown(); got != after {
			t.Errorf("certificate %d, want %d", got, after)
		}
		if err := os.WriteFile(pair.Key, []byte("no key"), 0o600); err != nil {
			t.Error(err)
		}
		if err := s.change(same); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a bad key is taken: %v", err)
		}
		if got := shown(); got != after {
			t.Errorf("certificate %d after a bad one, want %d", got, after)
		}
		for asked.Load() == had && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	stop.Store(true)
	wg.Wait()
}

func TestRedirect(t *testing.T) {
	a := newAuthority(t)
	pair, _ := a.issue(filepath.Join(t.TempDir(), "a"), "shop.example")
	for _, c := range []struct {
		listen, method, target, host string
		status                       int
		location                     string
	}{
		{":443", "GET", "/a%2Fb//c?d=%zz", "shop.example", 301, "https://shop.example/a%2Fb//c?d=%zz"},
		{":8443", "GET", "/", "shop.example:8080", 301, "https://shop.example:8443/"},
		{":8443", "HEAD", "/", "[::1]:80", 301, "https://[::1]:8443/"},
		{":443", "POST", "//elsewhere.example/", "shop.example", 308, "https://shop.example//elsewhere.example/"},
		{":443", "GET", "http://shop.example/x?y", "shop.example", 301, "https://shop.example/x?y"},
		{":443", "GET", "/", "elsewhere.example", 421, ""},
		{":443", "GET", "/.well-known/acme-challenge/x", "shop.example", 301, "https://shop.example/.well-known/acme-challenge/x"},
	} {
		s := newStage(t, always(t, ok), func(cfg *configs.Config) {
			cfg.Listen, cfg.TLS.Certificates = c.listen, []configs.Certificate{pair}
			cfg.Sites[0].Hosts = []string{"shop.example", "[::1]"}
		})
		server := httptest.NewUnstartedServer(nil)
		server.Config = s.proxy.Redirect(s.proxy.sites.Load().cfg)
		server.Start()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn).send(c.method + " " + c.target + " HTTP/1.1\r\nHost: " + c.host + "\r\nContent-Length: 0\r\n\r\n")
		r := p.answer(c.method)
		if r.StatusCode != c.status || r.Header.Get("Location") != c.location {
			t.Errorf("%s %s at %s: %s to %q, want %d to %q", c.method, c.target, c.host, r.Status, r.Header.Get("Location"), c.status, c.location)
		}
		conn.Close()
		server.Close()
	}
}

// TestACME has certificates issued by Pebble, the test server of Let's Encrypt,
// which asks a name server of the test where we are and visits us. It reaches
// us by one type of challenge each time.
func TestACME(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	for _, way := range []string{"tls-alpn-01", "http-01"} {
		t.Run(way, func(t *testing.T) {
			listen := func() net.Listener {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { ln.Close() })
				return ln
			}
			port := func(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }
			visitors, redirect, names := listen(), listen(), listen()
			resolver := &dns.Server{Listener: names, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
				r := new(dns.Msg).SetReply(q)
				if q.Question[0].Qtype == dns.TypeA {
					rr, err := dns.NewRR(q.Question[0].Name + " A 127.0.0.1")
					if err != nil {
						t.Error(err)
					}
					r.Answer = append(r.Answer, rr)
				}
				w.WriteMsg(r)
			})}
			go resolver.ActivateAndServe()

			httpPort, tlsPort := 1, port(visitors)
			if way == "http-01" {
				httpPort, tlsPort = port(redirect), 1
			}
			said := new(lines)
			logger := log.New(said, "", 0)
			store := db.NewMemoryStore()
			pebble := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
			front := wfe.New(logger, store, va.New(logger, httpPort, tlsPort, true, names.Addr().String(), store), pebble,
				[]string{"pebble.example"}, true, false, 1, 1)
			directory := httptest.NewTLSServer(front.Handler())
			t.Cleanup(directory.Close)

			dir, a := t.TempDir(), newAuthority(t)
			own, _ := a.issue(filepath.Join(dir, "own"), "own.example")
			trusted := filepath.Join(dir, "directory.pem")
			writePEM(t, trusted, "CERTIFICATE", directory.Certificate().Raw)
			configure := func(c *configs.Config) {
				c.Data = dir
				c.Sites[0].Hosts = []string{"Shop.example", "own.example", "*"}
				c.TLS.Certificates = []configs.Certificate{own}
				c.TLS.ACME = configs.ACME{Directory: directory.URL + wfe.DirectoryPath, CA: trusted, Email: "hostmaster@shop.example"}
				if way == "http-01" {
					c.TLS.Redirect = redirect.Addr().String()
				}
			}
			s := newStage(t, always(t, ok), configure)
			go s.proxy.Serve(s.proxy.Secure(visitors))
			server := s.proxy.Redirect(s.proxy.sites.Load().cfg)
			go server.Serve(redirect)
			t.Cleanup(func() { server.Close() })
			s.proxy.Certify()

			roots := x509.NewCertPool()
			root, _ := pem.Decode(pebble.GetRootCert(0).PEM())
			cert, err := x509.ParseCertificate(root.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			roots.AddCert(cert)
			dial := func(address, name string) (*tls.Conn, error) {
				return tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
			}
			c, err := dial(visitors.Addr().String(), "shop.example")
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, said.take(), s.log)
			}
			newPeer(t, c).send(get("/")).status()
			c.Close()
			if _, err := dial(visitors.Addr().String(), "own.example"); err == nil {
				t.Error("a name that has a certificate of its own is certified")
			}
			if _, err := dial(visitors.Addr().String(), "elsewhere.example"); err == nil {
				t.Error("a name of no site is certified")
			}

			// A successor takes the certificate from the folder; one that has it
			// keeps it over a reload.
			directory.Close()
			if err := s.change(func(*configs.Config) {}); err != nil {
				t.Error(err)
			}
			second := newStage(t, always(t, ok), configure)
			for _, address := range []string{visitors.Addr().String(), second.secure()} {
				c, err := dial(address, "shop.example")
				if err != nil {
					t.Errorf("after the authority has gone: %v", err)
					continue
				}
				c.Close()
			}
		})
	}
}
