package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/proxy/admin"
)

// adminTLS is how the admin listener speaks TLS; nil where it does not.
func adminTLS(a *configs.AdminAccess) (*tls.Config, error) {
	if a.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(a.Certificate, a.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c := &tls.Config{GetCertificate: renewing(pair, a), MinVersion: tls.VersionTLS12}
	if a.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(a.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client authorities: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client authorities: %s holds no certificate in PEM", a.ClientCA)
	}
	return c, nil
}

// renewing returns the certificate, read again when its files have changed and come
// to rest, as who connects finds out. One that cannot be read leaves what there was.
func renewing(pair tls.Certificate, a *configs.AdminAccess) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	current, watch := &pair, configs.NewWatch([]string{a.Certificate, a.Key})
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if watch.Changed() {
			if next, err := tls.LoadX509KeyPair(a.Certificate, a.Key); err == nil {
				current = &next
			}
		}
		return current, nil
	}
}

// sites returns what the admin pages know of the sites in force.
func sites(p *proxy.Proxy) map[string]admin.Site {
	all, transfers := make(map[string]admin.Site), p.Transfers()
	for name, engine := range p.Engines() {
		all[name] = admin.Site{Engine: engine, Transfers: transfers[name]}
	}
	return all
}

func previews(banners map[string]*banner.Banner) map[string]admin.Previewer {
	all := make(map[string]admin.Previewer, len(banners))
	for site, b := range banners {
		all[site] = b
	}
	return all
}
