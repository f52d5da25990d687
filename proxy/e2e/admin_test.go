package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Beyond loopback the admin pages are there by TLS and for those who sign in;
// what an operator classifies is in force with the next page.
func TestAdminBeyondLoopback(t *testing.T) {
	code, stdout, stderr := run(t, "token")
	made := regexp.MustCompile(`(?s)\n  (\w+)\n.*token: "([^"]+)"`).FindStringSubmatch(stdout)
	if code != 0 || made == nil {
		t.Fatalf("askfirst token: %d\n%s%s", code, stdout, stderr)
	}
	token, hash := made[1], made[2]

	dir := t.TempDir()
	certificate := writePair(t, filepath.Join(dir, "admin.pem"))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>x</title><script src="https://cdn.partner.example/widget.js"></script>`)
	}))
	t.Cleanup(upstream.Close)
	file := filepath.Join(dir, "askfirst.yml")
	text := fmt.Sprintf(`listen: 127.0.0.1:0
data: %s
admin:
  listen: 0.0.0.0:0
  certificate: admin.pem
  key: admin.pem
  people: [{name: anna, role: operator, token: "%s"}]
sites:
  - {name: shop, hosts: ["*"], upstream: "%s", policy_url: /privacy, overrides_file: shop.yml}
`, filepath.Join(dir, "data"), hash, upstream.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "serve", "--config", file)
	shop := func() string {
		answer, err := http.Get("http://" + p.listen + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	if page := shop(); !strings.Contains(page, `<script src="https://cdn.partner.example/widget.js">`) {
		t.Fatalf("an unknown third party does not pass at first: %s", page)
	}

	_, port, _ := strings.Cut(p.admin[strings.LastIndexByte(p.admin, ':'):], ":")
	base := "https://127.0.0.1:" + port
	jar, _ := cookiejar.New(nil)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	read := func(answer *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	ask := func(path string) (int, string) {
		r, _ := http.NewRequest("GET", base+path, nil)
		r.Header.Set("Accept", "text/html")
		return read(browser.Do(r))
	}
	if answer, err := http.Get("http://127.0.0.1:" + port + "/"); err == nil && answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", answer.Status)
	}
	if _, page := ask("/"); !strings.Contains(page, `name="token" type="password"`) {
		t.Errorf("a stranger sees %s", page)
	}
	if code, _ := read(browser.PostForm(base+"/signin", url.Values{"name": {"anna"}, "token": {"wrong"}})); code != http.StatusForbidden {
		t.Errorf("with a wrong token: %d", code)
	}
	if code, page := read(browser.PostForm(base+"/signin", url.Values{"name": {"anna"}, "token": {token}, "next": {"/unclassified"}})); code != http.StatusOK || !strings.Contains(page, "cdn.partner.example") {
		t.Fatalf("after signing in: %d\n%s", code, page)
	}
	_, page := ask("/unclassified")
	form := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("no form in %s", page)
	}
	if code, page := read(browser.PostForm(base+"/unclassified", url.Values{"token": {form[1]}, "host": {"shop|cdn.partner.example"}, "category": {"marketing"}})); code != http.StatusOK {
		t.Fatalf("classifying: %d\n%s", code, page)
	}
	if page := shop(); !strings.Contains(page, `data-askfirst-src="https://cdn.partner.example/widget.js"`) {
		t.Errorf("what was classified is not held: %s", page)
	}
	written, _ := os.ReadFile(filepath.Join(dir, "shop.yml"))
	if !strings.Contains(string(written), "- domain: \"cdn.partner.example\" # by anna") {
		t.Errorf("the file says\n%s", written)
	}
	r, _ := http.NewRequest("GET", base+"/metrics", nil)
	r.SetBasicAuth("anna", token)
	jar, _ = cookiejar.New(nil)
	program := &http.Client{Jar: jar, Transport: browser.Transport}
	if code, _ := read(program.Do(r)); code != http.StatusOK {
		t.Errorf("metrics by name and token: %d", code)
	}
}
