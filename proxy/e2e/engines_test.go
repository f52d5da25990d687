package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/askfirst/askfirst/proxy/demo"
)

// engine is a browser of another make than Chromium, driven by WebDriver's commands.
type engine struct {
	t *testing.T
	// do sends a command with parameters, and returns the answer's value.
	do func(command string, params any) (json.RawMessage, error)
}

// open goes to a page of the shop and waits until all is there that the guard needs.
func (e *engine) open(page string) {
	e.t.Helper()
	e.openAt("http://shop.test" + page)
}

func (e *engine) openAt(address string) {
	e.t.Helper()
	if _, err := e.do("Navigate", map[string]any{"url": address}); err != nil {
		e.t.Fatal(address, ": ", err)
	}
	e.until(`document.readyState === "complete" && (askfirst.get().categories.length === 4 ||
		performance.getEntriesByType("resource").some(r => r.name.includes(".names.json") && r.responseEnd))`)
}

// until waits until an expression holds in the page, which may be loaded anew meanwhile.
func (e *engine) until(expression string) {
	e.t.Helper()
	script := `const done = arguments[arguments.length - 1]
const look = () => { let holds; try { holds = ` + expression + ` } catch {} holds ? done(true) : setTimeout(look, 20) }
look()`
	var err error
	for range 3 {
		if _, err = e.do("ExecuteAsyncScript", map[string]any{"script": script, "args": []any{}}); err == nil {
			return
		}
	}
	e.t.Fatal(expression, ": ", err)
}

// control is an expression for a control of the banner, nothing where it cannot be used.
func control(selector string) string {
	return `[document.querySelector("askfirst-banner")].map(b => [b, b.shadowRoot.querySelector('` + selector + `')]).filter(([b, el]) => {
		const r = el.getBoundingClientRect()
		return r.width && document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) === b
	}).map(([, el]) => el)[0]`
}

func (e *engine) sees(selector string) {
	e.t.Helper()
	e.until(control(selector))
}

func (e *engine) press(selector string) {
	e.t.Helper()
	e.until(`(() => { const el = ` + control(selector) + `; el?.click(); return el })()`)
}

// caller is the script of a worker that tells of a call to a tag: the name of its
// error, or that it was answered.
const caller = `fetch('https://static.hotjar.com/c/worker.js', {mode: 'no-cors'}).then(() => 'answered', e => e.name).then(postMessage)`

// works waits for what workers tell: one that the page makes of a text, and, on a page
// that came by https, one whose script is a file of the site's, and one that such a
// worker starts of a text.
func (e *engine) works(outcome string) {
	e.t.Helper()
	e.until(`(self.workers ??= (() => {
		const address = URL.createObjectURL(new Blob(["` + caller + `"], {type: "text/javascript"}))
		const workers = [address, ...(location.protocol === "https:" ? ["/caller.js", "/starts.js"] : [])].map(address => new Worker(address))
		URL.revokeObjectURL(address)
		self.outcomes = []
		workers.forEach((worker, i) => worker.onmessage = e => self.outcomes[i] = e.data)
		return workers
	})()).every((_, i) => self.outcomes[i] === "` + outcome + `")`)
}

// withWorkers is the demo site with two workers.
func withWorkers() http.Handler {
	site := http.NewServeMux()
	site.Handle("/", demoSite())
	for path, text := range map[string]string{
		"/caller.js": caller,
		"/starts.js": `const worker = new Worker(URL.createObjectURL(new Blob(["` + caller + `"], {type: "text/javascript"}))); worker.onmessage = e => postMessage(e.data)`,
	} {
		site.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			io.WriteString(w, text)
		})
	}
	return site
}

// engines are the browsers by their names: the program that must be there, and what
// starts it to reach the web through a proxy.
var engines = map[string]struct {
	program string
	start   func(t *testing.T, proxy string) *engine
}{
	"Firefox": {"firefox-esr", startFirefox},
	"WebKit":  {"WebKitWebDriver", startWebKit},
}

// TestEngines: Firefox and WebKit, which is Safari's, contact nobody before a choice,
// everybody after it, and whom the visitor takes it back from no more.
func TestEngines(t *testing.T) {
	for name, browser := range engines {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(browser.program); err != nil {
				if os.Getenv("ASKFIRST_ENGINES") == "required" {
					t.Fatal("not on this machine, and ASKFIRST_ENGINES=required: ", err)
				}
				t.Skip("this browser is not on this machine: ", err)
			}
			s := raise(t, withWorkers())
			e := browser.start(t, throughProxy(t, s))
			for _, page := range demo.Pages {
				e.open(page)
				for _, control := range []string{acceptAll, rejectAll, settings} {
					e.sees(control)
				}
			}
			e.works("TypeError")
			e.openAt("https://shop.test/")
			e.works("TypeError")
			e.press(settings)
			e.until(`getComputedStyle(document.querySelector("askfirst-banner").shadowRoot.querySelector(".for")).display === "none"`)
			if dialed := s.connections(); len(dialed) > 0 {
				t.Errorf("it connected to third parties: %q", dialed)
			}
			if names := s.cookiesAtSite(); len(names) > 0 {
				t.Errorf("the site was sent the cookies %q", names)
			}

			e.open("/")
			e.press(acceptAll)
			e.until(`askfirst.get().categories.length === 4 && !document.querySelector("[data-askfirst-src]:not(noscript *)")`)
			e.until(`["_ga_DEMO12345", "_fbp", "_hjSessionUser_"].every(name => document.cookie.includes(name))`)
			for _, host := range []string{"www.googletagmanager.com", "connect.facebook.net", "static.hotjar.com"} {
				if !slices.Contains(s.connections(), host) {
					t.Errorf("%s was agreed to and not contacted, but %q", host, s.connections())
				}
			}

			e.open("/")
			e.until(`askfirst.get().made && /\b_ga_DEMO12345=/.test(document.cookie)`)
			e.works("answered")
			e.openAt("https://shop.test/")
			e.works("answered")
			e.open("/")
			e.press(reopen)
			e.press(withdraw)
			e.until(`askfirst.get().made && !askfirst.get().categories.length && /^askfirst=[^;]*$/.test(document.cookie)`)
			before := len(s.connections())
			e.open("/")
			if dialed := s.connections()[before:]; len(dialed) > 0 {
				t.Errorf("after the withdrawal it connected to %q", dialed)
			}
		})
	}
}

// throughProxy returns the address of an HTTP proxy that leads shop.test to askfirst,
// by https too, and all else to the third parties, but for what a browser asks of its maker.
func throughProxy(t *testing.T, s *stage) string {
	site := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.proxy})
	secure := httptest.NewTLSServer(site)
	t.Cleanup(secure.Close)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.URL.Hostname()
		switch {
		case strings.Contains(host, "mozilla") || strings.Contains(host, "firefox") || host == "update.googleapis.com":
			http.Error(w, "no way out", http.StatusBadGateway)
		case r.Method == http.MethodConnect && host == "shop.test":
			tunnel(w, secure.Listener.Addr().String())
		case r.Method == http.MethodConnect:
			tunnel(w, s.parties)
		case host == "shop.test":
			site.ServeHTTP(w, r)
		default:
			s.mu.Lock()
			s.dialed = append(s.dialed, host)
			s.mu.Unlock()
		}
	}))
	t.Cleanup(p.Close)
	return p.Listener.Addr().String()
}

func tunnel(w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var done sync.WaitGroup
	done.Go(func() {
		io.Copy(there, here)
		there.(*net.TCPConn).CloseWrite()
	})
	io.Copy(here, there)
	here.Close()
	done.Wait()
}

// startFirefox talks Marionette, the protocol that Firefox has within: messages of
// JSON with their lengths before them.
func startFirefox(t *testing.T, proxy string) *engine {
	profile := t.TempDir()
	preferences := ""
	for name, value := range map[string]string{
		"marionette.port": "0", "dom.security.https_first": "false", "network.proxy.allow_hijacking_localhost": "true",
		"network.captive-portal-service.enabled": "false", "network.connectivity-service.enabled": "false",
		"datareporting.policy.dataSubmissionEnabled": "false", "app.normandy.enabled": "false", "browser.safebrowsing.update.enabled": "false",
		"extensions.getAddons.cache.enabled": "false", "network.prefetch-next": "false",
	} {
		preferences += fmt.Sprintf("user_pref(%q, %s);\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	spawn(t, exec.Command("firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile))
	var c net.Conn
	await(t, func() (err error) {
		port, err := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if err == nil {
			c, err = net.Dial("tcp", "127.0.0.1:"+string(bytes.TrimSpace(port)))
		}
		return err
	})
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	read := func() json.RawMessage {
		n := 0
		if _, err := fmt.Fscanf(c, "%d:", &n); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(c, text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	read()
	e := &engine{t, func(command string, params any) (json.RawMessage, error) {
		text, err := json.Marshal([]any{0, 1, "WebDriver:" + command, params})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c, "%d:%s", len(text), text)
		var answer []json.RawMessage
		if err := json.Unmarshal(read(), &answer); err != nil || len(answer) != 4 || string(answer[2]) != "null" {
			return nil, fmt.Errorf("%s: %s %w", command, answer, err)
		}
		return answer[3], nil
	}}
	if _, err := e.do("NewSession", map[string]any{
		"acceptInsecureCerts": true,
		"proxy":               map[string]any{"proxyType": "manual", "httpProxy": proxy, "sslProxy": proxy},
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

// startWebKit talks WebDriver over HTTP. The browser needs a display.
func startWebKit(t *testing.T, proxy string) *engine {
	browsers, _ := filepath.Glob("/usr/lib/*/webkit2gtk-4*/MiniBrowser")
	if len(browsers) == 0 {
		t.Fatal("there is a driver and no browser of WebKit's")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	spawn(t, exec.Command("xvfb-run", "-a", "WebKitWebDriver", fmt.Sprintf("--port=%d", address.Port)))
	client := &http.Client{Timeout: time.Minute}
	post := func(path string, params any) (value json.RawMessage, err error) {
		text, err := json.Marshal(params)
		if err != nil {
			return nil, err
		}
		r, err := client.Post("http://"+address.String()+"/session"+path, "application/json", bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		var answer struct{ Value json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || r.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s %s %w", path, r.Status, answer.Value, err)
		}
		return answer.Value, nil
	}
	var session struct{ SessionID string }
	await(t, func() error {
		value, err := post("", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"webkitgtk:browserOptions": map[string]any{
			"binary": browsers[0], "args": []string{"--automation", "--ignore-tls-errors", "--proxy=http://" + proxy},
		}}}})
		if err != nil {
			return err
		}
		return json.Unmarshal(value, &session)
	})
	paths := map[string]string{"Navigate": "/url", "ExecuteAsyncScript": "/execute/async"}
	t.Cleanup(func() {
		end, _ := http.NewRequest(http.MethodDelete, "http://"+address.String()+"/session/"+session.SessionID, nil)
		if r, err := client.Do(end); err == nil {
			r.Body.Close()
		}
	})
	return &engine{t, func(command string, params any) (json.RawMessage, error) {
		return post("/"+session.SessionID+paths[command], params)
	}}
}

// spawn runs a program, and what it starts, until the test ends.
func spawn(t *testing.T, cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	})
}

// await tries until there is no error: a program that starts says nothing.
func await(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
