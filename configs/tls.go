package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

// TLS is how visitors are served by https. Its zero value serves them by http.
type TLS struct {
	// Certificates are the operator's own. The one that names the host that a
	// visitor asks for (SNI, RFC 6066, section 3) is shown, the first where
	// none does.
	Certificates []Certificate
	// ACME has certificates issued for exact host names of sites that none of
	// Certificates names.
	ACME ACME
	// Redirect is the address, host:port, at which http is sent on to https;
	// empty for none.
	Redirect string
}

// On reports whether visitors are served by https.
func (t *TLS) On() bool { return len(t.Certificates) > 0 || t.ACME.Directory != "" }

// Certificate names a chain and its key, files in PEM.
type Certificate struct {
	Chain, Key string

	line, column int
}

// ACME is where certificates are issued (RFC 8555). Asking there accepts the
// authority's terms of service.
type ACME struct {
	// Directory is the URL of the authority's directory; empty for no ACME.
	Directory string
	// Email is where the authority writes to when something is wrong; may be
	// empty.
	Email string
	// CA is a file of authorities in PEM that stand for the directory instead
	// of the system's; empty for those.
	CA string
}

// letsEncrypt is the directory that is asked where none is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

func (r *reader) tls(n *yaml.Node, at string, t *TLS) {
	r.mapping(n, at, fields{
		"certificates": func(n *yaml.Node, at string) {
			r.sequence(n, at, func(n *yaml.Node, at string) {
				c := Certificate{line: n.Line, column: n.Column}
				r.mapping(n, at, fields{
					"chain": func(n *yaml.Node, at string) { r.text(n, at, &c.Chain) },
					"key":   func(n *yaml.Node, at string) { r.text(n, at, &c.Key) },
				})
				if c.Chain == "" || c.Key == "" {
					r.refuse(n, at, "chain and key belong together", "name both files; one file that holds both may be named twice")
				}
				t.Certificates = append(t.Certificates, c)
			})
		},
		"acme": func(n *yaml.Node, at string) {
			t.ACME.Directory = letsEncrypt
			r.mapping(n, at, fields{
				"directory": func(n *yaml.Node, at string) {
					r.text(n, at, &t.ACME.Directory)
					if u, err := url.Parse(t.ACME.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
						r.refuse(n, at, fmt.Sprintf("%q is not an https URL", t.ACME.Directory), "write the address of the authority's directory")
					}
				},
				"email": func(n *yaml.Node, at string) { r.text(n, at, &t.ACME.Email) },
				"ca":    func(n *yaml.Node, at string) { r.text(n, at, &t.ACME.CA) },
			})
		},
		"redirect": func(n *yaml.Node, at string) { r.address(n, at, &t.Redirect) },
	})
	if !t.On() && !r.refusedUnder(at) {
		r.refuse(n, at, "there is nothing to serve https with", "add certificates: or acme:")
	}
}

// checkTLS tells what is wrong with tls: in the light of the rest of the file.
func (r *reader) checkTLS(n *yaml.Node, cfg *Config) {
	if cfg.TLS.ACME.Directory == "" || len(r.mistakes) > 0 {
		return
	}
	for _, s := range cfg.Sites {
		for _, host := range s.Hosts {
			if host[0] != '*' {
				return
			}
		}
	}
	r.refuse(n, "tls.acme", "no site has an exact host name to be certified", "write names such as shop.example in hosts; wildcards need a certificate of your own")
}

// Load reads the pair. Its error says what is wrong with either file.
func (c *Certificate) Load() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(c.Chain, c.Key)
}

// load takes the files to be beside the configuration at path, and checks
// that they can be used.
func (t *TLS) load(path string) error {
	var mistakes Mistakes
	for i := range t.Certificates {
		c := &t.Certificates[i]
		c.Chain, c.Key = beside(path, c.Chain), beside(path, c.Key)
		if _, err := c.Load(); err != nil {
			mistakes = append(mistakes, Mistake{path, c.line, c.column, fmt.Sprintf("tls.certificates[%d]", i), err.Error(), ""})
		}
	}
	if t.ACME.CA != "" {
		t.ACME.CA = beside(path, t.ACME.CA)
	}
	if mistakes != nil {
		return mistakes
	}
	return nil
}

// useFiles takes a pair of certificate and key and a file of authorities, each
// may be empty, to be beside the configuration at path, and checks that they can
// be used.
func useFiles(path string, certificate, key, ca *string) (err error) {
	for _, name := range []*string{certificate, key, ca} {
		if *name != "" {
			*name = beside(path, *name)
		}
	}
	if *certificate != "" {
		_, err = tls.LoadX509KeyPair(*certificate, *key)
	}
	if *ca == "" {
		return err
	}
	pem, e := os.ReadFile(*ca)
	if e == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		e = fmt.Errorf("%s holds no certificate in PEM", *ca)
	}
	return errors.Join(err, e)
}

// beside returns name as seen from the folder of the configuration at path.
func beside(path, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}
