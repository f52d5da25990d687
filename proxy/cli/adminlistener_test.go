package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/proxy/audit"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	der  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	a.der, a.key = a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, _ = x509.ParseCertificate(a.der)
	return a
}

func (a *authority) issue(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// client returns a certificate of somebody.
func (a *authority) client(name string, until time.Time) *tls.Certificate {
	der, key := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// file writes a block in PEM.
func file(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestClientCertificates signs in to the admin pages by certificates, over TLS.
func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "ours") // the same name, another key
	der, key := ours.issue(&x509.Certificate{DNSNames: []string{"audit.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	access := configs.AdminAccess{
		Certificate: file(t, "CERTIFICATE", der), Key: file(t, "PRIVATE KEY", pkcs8), ClientCA: file(t, "CERTIFICATE", ours.der),
		People: []configs.Person{{Name: "anna", Role: configs.Operator, Certificate: "anna"}, {Name: "ben", Role: configs.Viewer, Certificate: "ben"}},
	}
	config, err := adminTLS(&access)
	if err != nil {
		t.Fatal(err)
	}
	store, err := audit.Open(t.Context(), "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	server := httptest.NewUnstartedServer(admin.New(admin.Options{Store: store, Access: access, Log: slog.New(slog.DiscardHandler)}).Handler())
	server.TLS, server.Config.ErrorLog = config, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)

	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	ask := func(cert *tls.Certificate) (*http.Response, string, error) {
		c := &tls.Config{RootCAs: roots, ServerName: "audit.example"}
		if cert != nil {
			// Whatever authorities the server names.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Get(server.URL + "/tags")
		if err != nil {
			return nil, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, name := range []string{"anna", "ben"} {
		resp, body, err := ask(ours.client(name, tomorrow))
		if err != nil || resp.StatusCode != 200 || !strings.Contains(body, name) {
			t.Errorf("%s is not let in: %v, %v", name, resp, err)
		}
	}
	if resp, _, err := ask(ours.client("mallory", tomorrow)); err != nil || resp.StatusCode == 200 {
		t.Errorf("somebody who is not named is let in: %v, %v", resp, err)
	}
	for name, cert := range map[string]*tls.Certificate{
		"without a certificate": nil, "with another authority's": others.client("anna", tomorrow), "with one that has run out": ours.client("anna", time.Now().Add(-time.Minute)),
	} {
		if resp, _, err := ask(cert); err == nil {
			t.Errorf("%s there is an answer: %s", name, resp.Status)
		}
	}
}

// TestAdminCertificateIsRenewed replaces the files of the admin listener's
// certificate while it is up.
func TestAdminCertificateIsRenewed(t *testing.T) {
	ours := newAuthority(t, "ours")
	issue := func() (cert, key string, der []byte) {
		der, k := ours.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "admin"}})
		pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return file(t, "CERTIFICATE", der), file(t, "PRIVATE KEY", pkcs8), der
	}
	cert, key, first := issue()
	config, err := adminTLS(&configs.AdminAccess{Certificate: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want []byte) {
		t.Helper()
		for range 2 { // at the second look the files are at rest
			config.GetCertificate(nil)
		}
		if shown, err := config.GetCertificate(nil); err != nil || !bytes.Equal(shown.Certificate[0], want) {
			t.Errorf("another certificate is shown, or none: %v", err)
		}
	}
	shows(first)
	newCert, newKey, second := issue()
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	shows(second)
	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows(second)
}
