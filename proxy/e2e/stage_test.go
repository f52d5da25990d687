// Package e2e proves askfirst as its users meet it: the built program in front
// of the demo site, in a real browser, with the real host names of all third
// parties led to a stand-in.
package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/askfirst/askfirst/proxy/demo"
)

// shop is the host name that the demo site is visited by.
const shop = "http://shop.test"

// program is the path of the built askfirst.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "askfirst-e2e")
	if err != nil {
		log.Fatal(err)
	}
	program = filepath.Join(dir, "askfirst")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		log.Fatalf("go build: %v\n%s", err, out)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// stage is a site, askfirst in front of it and the third parties.
type stage struct {
	*demo.Parties
	proxy, admin string // host:port
	parties      string // host:port, TLS

	mu     sync.Mutex
	dialed []string      // server names of the connections to third parties
	asked  []http.Header // heads of the requests that reached the site
}

// raise starts a stage. site is what askfirst fronts, flags are its own.
func raise(t *testing.T, site http.Handler, flags ...string) *stage {
	t.Helper()
	s := &stage{Parties: demo.NewParties()}

	parties := httptest.NewUnstartedServer(s.Parties)
	parties.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dialed = append(s.dialed, hello.ServerName)
		return nil, nil
	}}
	parties.Config.ErrorLog = log.New(io.Discard, "", 0)
	parties.StartTLS()
	t.Cleanup(parties.Close)
	s.parties = parties.Listener.Addr().String()

	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Header.Clone())
		s.mu.Unlock()
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)

	args := append([]string{"serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir()}, flags...)
	s.proxy, s.admin = launch(t, args...)
	return s
}

// demoSite is the demo site as it would be on the web, with real host names.
func demoSite() http.Handler {
	return demo.NewSite(func(host string) string { return "https://" + host })
}

var logField = regexp.MustCompile(`\b(listen|admin)=(\S+)`)

// launch runs askfirst until the test ends, and demands that it then stops
// with 0.
func launch(t *testing.T, args ...string) (listen, admin string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addresses := map[string]string{}
	lines := bufio.NewScanner(stderr)
	for addresses["listen"] == "" && lines.Scan() {
		for _, m := range logField.FindAllStringSubmatch(lines.Text(), -1) {
			addresses[m[1]] = m[2]
		}
	}
	var logged sync.WaitGroup
	logged.Go(func() {
		for lines.Scan() {
			fmt.Fprintln(t.Output(), lines.Text())
		}
	})
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		logged.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("askfirst after SIGTERM: %v", err)
		}
	})
	if addresses["listen"] == "" {
		t.Fatalf("askfirst %s did not come to listen", strings.Join(args, " "))
	}
	return addresses["listen"], addresses["admin"]
}

// reached lists host and path of each request that reached a third party.
func (s *stage) reached() []string {
	var list []string
	for _, h := range s.Hits() {
		list = append(list, h.Host+h.Path)
	}
	return list
}

// connections lists the server names of the connections to third parties.
func (s *stage) connections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dialed)
}

// cookiesAtSite lists the names of the cookies that reached the site with the
// last request.
func (s *stage) cookiesAtSite() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := http.Request{Header: s.asked[len(s.asked)-1]}
	var names []string
	for _, c := range r.Cookies() {
		names = append(names, c.Name)
	}
	return names
}

// get asks askfirst for a path, as a program would, without following.
func (s *stage) get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.proxy+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
