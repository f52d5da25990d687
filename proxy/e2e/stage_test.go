// Package e2e proves askfirst as its users meet it: the built program in front
// of the demo site, in a real browser, with the real host names of all third
// parties led to a stand-in.
package e2e

import (
	"bufio"
	"crypto/tls"
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

	// The program that is built is made of this: a change of it is a change of
	// these tests, whose results are otherwise remembered.
	_ "github.com/askfirst/askfirst/proxy/cli"
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
	s, upstream := prepare(t, site)
	args := append([]string{"serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir()}, flags...)
	s.proxy, s.admin = launch(t, args...)
	return s
}

// raiseWith starts a stage with settings of the site in YAML, each on a line of
// its own.
func raiseWith(t *testing.T, site http.Handler, settings ...string) *stage {
	t.Helper()
	s, upstream := prepare(t, site)
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	text := "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: " + t.TempDir() + "\ntrusted_proxies: [127.0.0.1]\nsites:\n  - name: shop\n    hosts: ['*']\n    upstream: " + upstream + "\n    policy_url: /privacy\n"
	for _, line := range settings {
		text += "    " + line + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.proxy, s.admin = launch(t, "serve", "--config", file)
	return s
}

// prepare starts the site and the third parties.
func prepare(t *testing.T, site http.Handler) (s *stage, upstream string) {
	t.Helper()
	s = &stage{Parties: demo.NewParties()}

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

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Header.Clone())
		s.mu.Unlock()
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return s, server.URL
}

// demoSite is the demo site as it would be on the web, with real host names.
func demoSite() http.Handler {
	return demo.NewSite(func(host string) string { return "https://" + host })
}

var logField = regexp.MustCompile(`\b(listen|admin)=(\S+)`)

// process is a running askfirst.
type process struct {
	cmd           *exec.Cmd
	listen, admin string

	mu    sync.Mutex
	lines []string
	more  chan struct{} // something was logged

	ended sync.WaitGroup
	out   output // the access log
}

// log returns the access log so far.
func (p *process) log() string { return p.out.String() }

// stop asks askfirst to end and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ended.Wait()
}

// launch runs askfirst until the test ends.
func launch(t *testing.T, args ...string) (listen, admin string) {
	t.Helper()
	p := start(t, args...)
	return p.listen, p.admin
}

// start runs askfirst until the test ends, and demands that it then stops with
// 0.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return begin(t, exec.Command(program, args...))
}

// begin does the same with a command that ends up being askfirst.
func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, more: make(chan struct{}, 1)}
	p.cmd.Stdout = &p.out
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
		close(p.more)
	})
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		p.ended.Wait()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("askfirst after SIGTERM: %v", err)
		}
		if t.Failed() {
			t.Logf("askfirst logged:\n%s", strings.Join(p.lines, "\n"))
		}
	})
	for _, m := range logField.FindAllStringSubmatch(p.logs(t, "listening", 0), -1) {
		if m[1] == "listen" {
			p.listen = m[2]
		} else {
			p.admin = m[2]
		}
	}
	return p
}

// logs waits for a line with the given text among those from the numbered one
// on, and returns all lines so far.
func (p *process) logs(t *testing.T, text string, from int) string {
	t.Helper()
	for open := true; ; _, open = <-p.more {
		p.mu.Lock()
		all, fresh := strings.Join(p.lines, "\n"), strings.Join(p.lines[from:], "\n")
		p.mu.Unlock()
		if strings.Contains(fresh, text) {
			return all
		}
		if !open {
			t.Fatalf("askfirst ended without logging %q:\n%s", text, all)
		}
	}
}

// reload has the configuration read again and waits for what is logged of it.
func (p *process) reload(t *testing.T, text string) {
	t.Helper()
	p.mu.Lock()
	from := len(p.lines)
	p.mu.Unlock()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.logs(t, text, from)
}

// serveText serves one text at every address, and returns its own.
func serveText(t *testing.T, text string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }))
	t.Cleanup(server.Close)
	return server.URL
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
	req.Host = req.Header.Get("Host")
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
