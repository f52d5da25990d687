package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/askfirst/askfirst/configs"
)

// certificates are what visitors are shown, by the names that they ask for. A
// reload makes another.
type certificates struct {
	own    map[string][]*tls.Certificate // by names and *.wildcards, in lower case
	first  *tls.Certificate              // for names that none has; nil without own ones
	issued map[string]bool               // exact names that are certified by the issuer
	issuer *issuer                       // nil without ACME
}

// issuer has certificates made by an ACME authority (RFC 8555) and renewed in
// time. It outlives reloads that do not change where it asks.
type issuer struct {
	settings configs.ACME
	autocert.Manager
}

// loadCertificates reads the certificates of cfg; before is the issuer of the
// configuration before it, if any.
func loadCertificates(cfg *configs.Config, before *issuer) (*certificates, error) {
	c := &certificates{own: make(map[string][]*tls.Certificate), issued: make(map[string]bool)}
	for i := range cfg.TLS.Certificates {
		pair, err := cfg.TLS.Certificates[i].Load()
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		if c.first == nil {
			c.first = &pair
		}
		for _, name := range pair.Leaf.DNSNames {
			name = strings.ToLower(name)
			c.own[name] = append(c.own[name], &pair)
		}
	}
	if cfg.TLS.ACME.Directory == "" {
		return c, nil
	}
	for i := range cfg.Sites {
		for _, host := range cfg.Sites[i].Hosts {
			if host = strings.ToLower(host); host[0] != '*' && len(c.named(host)) == 0 {
				c.issued[host] = true
			}
		}
	}
	if c.issuer = before; before == nil || before.settings != cfg.TLS.ACME {
		client, err := acmeClient(&cfg.TLS.ACME)
		if err != nil {
			return nil, err
		}
		c.issuer = &issuer{settings: cfg.TLS.ACME}
		c.issuer.Manager = autocert.Manager{
			Prompt: autocert.AcceptTOS,
			Cache:  autocert.DirCache(filepath.Join(cfg.Data, "acme")),
			Email:  cfg.TLS.ACME.Email,
			Client: client,
			// Names are checked before the manager is asked.
			HostPolicy: func(context.Context, string) error { return nil },
		}
	}
	if cfg.TLS.Redirect != "" {
		c.issuer.HTTPHandler(nil) // lets it offer http-01
	}
	return c, nil
}

func acmeClient(a *configs.ACME) (*acme.Client, error) {
	client := &acme.Client{DirectoryURL: a.Directory, UserAgent: "askfirst"}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, fmt.Errorf("authorities of the ACME directory: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("authorities of the ACME directory: %s holds no certificate in PEM", a.CA)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		client.HTTPClient = &http.Client{Transport: transport}
	}
	return client, nil
}

// named returns the operator's certificates for name: those that name it, else
// those of its wildcard, which stands for one label (RFC 6125, section 6.4.3).
func (c *certificates) named(name string) []*tls.Certificate {
	if own := c.own[name]; own != nil {
		return own
	}
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		return c.own["*"+name[dot:]]
	}
	return nil
}

var errNoCertificate = errors.New("no certificate is there for the name that was asked for")

// choose returns what a visitor is shown.
func (c *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if c.issued[name] {
		return c.issuer.GetCertificate(hello)
	}
	own := c.named(name)
	for _, pair := range own {
		if hello.SupportsCertificate(pair) == nil {
			return pair, nil
		}
	}
	switch {
	case len(own) > 0:
		return own[0], nil
	case c.first != nil:
		return c.first, nil
	}
	return nil, errNoCertificate
}

// Certify has the certificates issued that are not there yet, so that no
// visitor waits for them. It returns at once; call it when visitors, and the
// authority, can be served.
func (p *Proxy) Certify() { p.issue(p.sites.Load().certificates) }

func (p *Proxy) issue(c *certificates) {
	for name := range c.issued {
		go func() {
			hello := &tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
			if _, err := c.issuer.GetCertificate(hello); err != nil {
				p.log.Error("no certificate was issued; visitors who come will have it tried again",
					"host", name, "directory", c.issuer.settings.Directory, "error", err)
			}
		}()
	}
}

// visitorTLS is how visitors are served by https, or nil where they are not.
// Certificates are those of the configuration in force at each handshake. Only
// HTTP/1.1 is offered: whoever wants HTTP/2 has it from what stands in front.
func (p *Proxy) visitorTLS() *tls.Config {
	cfg := p.sites.Load().cfg
	if !cfg.TLS.On() {
		return nil
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := p.sites.Load().certificates.choose(hello)
			if err == nil && pair.Leaf != nil {
				p.tellOverdue(pair.Leaf)
			}
			return pair, err
		},
	}
	if cfg.TLS.ACME.Directory != "" {
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	}
	return c
}

// tellOverdue tells the operator, once a day for each, of a certificate that has
// less than a quarter of its time left: whatever renews it should have by then.
func (p *Proxy) tellOverdue(shown *x509.Certificate) {
	now := time.Now()
	if shown.NotAfter.Sub(now) >= shown.NotAfter.Sub(shown.NotBefore)/4 {
		return
	}
	names := strings.Join(shown.DNSNames, " ")
	if last, told := p.overdue.Load(names); told && now.Sub(last.(time.Time)) < 24*time.Hour {
		return
	}
	p.overdue.Store(names, now)
	p.log.Warn("a certificate should have been renewed", "hosts", names, "ends", shown.NotAfter)
}

// Redirect returns a server that sends visitors who came by http on to https,
// to the same address at the port of cfg.Listen. It answers the authority's
// challenges too (RFC 8555, section 8.3).
func (p *Proxy) Redirect(cfg *configs.Config) *http.Server {
	_, port, _ := net.SplitHostPort(cfg.Listen)
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, valid := hostOf([]byte(r.Host))
		host := strings.ToLower(strings.TrimSuffix(string(name), "."))
		if !valid || p.sites.Load().find([]byte(host)) == nil {
			http.Error(w, explanation(http.StatusMisdirectedRequest), http.StatusMisdirectedRequest)
			return
		}
		if port != "443" && port != "https" {
			host += ":" + port
		}
		target := r.RequestURI
		if !strings.HasPrefix(target, "/") {
			target = r.URL.RequestURI()
		}
		w.Header().Set("Location", "https://"+host+target)
		w.Header().Set("Content-Length", "0")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMovedPermanently)
		} else {
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if issuer := p.sites.Load().certificates.issuer; issuer != nil {
				issuer.HTTPHandler(redirect).ServeHTTP(w, r)
				return
			}
			redirect(w, r)
		}),
		ReadTimeout:    cfg.Limits.ReadHead,
		WriteTimeout:   cfg.Limits.Write,
		IdleTimeout:    5 * time.Second,
		MaxHeaderBytes: cfg.Limits.RequestHead,
	}
}
