package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// run runs askfirst to its end.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func TestMistakesEndWith2AndALineEach(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yml")
	if err := os.WriteFile(bad, []byte("sites:\n  - name: a\n    hosts: ['*']\n    upstream: ftp://x\n    regime: never\n    policy_url: /p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		lines int
	}{
		{[]string{"conjure"}, 1},
		{[]string{"serve"}, 1},
		{[]string{"serve", "--upstream", "nowhere"}, 1},
		{[]string{"serve", "--upstream", "http://127.0.0.1:1", "--colour", "blue"}, 1},
		{[]string{"serve", "--upstream", "ftp://x", "--listen", "8080", "--admin", "0.0.0.0:9", "--regime", "never", "--unclassified", "maybe"}, 5},
		{[]string{"serve", "--upstream", "http://127.0.0.1:1", "extra"}, 1},
		{[]string{"serve", "--config", bad, "--listen", ":1"}, 1},
		{[]string{"serve", "--config", bad}, 2},
		{[]string{"serve", "--config", bad + ".absent"}, 1},
		{[]string{"check"}, 1},
		{[]string{"check", "--config", bad}, 2},
		{[]string{"audit"}, 1},
		{[]string{"audit", "--fail-on", "tasty", bad}, 1},
		{[]string{"explain"}, 1},
		{[]string{"explain", "www.google-analytics.com/collect"}, 1},
		{[]string{"explain", "absent.html"}, 1},
		{[]string{"explain", "cookie:"}, 1},
		{[]string{"explain", "--kind", "colour", "https://x.example/"}, 1},
		{[]string{"demo", "--listen", "0.0.0.0:0"}, 1},
	} {
		code, stdout, stderr := run(t, c.args...)
		if lines := strings.Count(stderr, "\n"); code != 2 || lines != c.lines || stdout != "" {
			t.Errorf("askfirst %s: exit code %d, want 2; %d lines, want %d:\n%s%s", strings.Join(c.args, " "), code, lines, c.lines, stderr, stdout)
		}
	}
}

func TestCheckTakesTheExample(t *testing.T) {
	code, stdout, stderr := run(t, "check", "--config", "../../configs/askfirst.yml")
	if code != 0 || !strings.Contains(stdout, "sound") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestAuditGates(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(page, []byte(`<!doctype html><script src="https://www.google-analytics.com/analytics.js"></script>`), 0o600); err != nil {
		t.Fatal(err)
	}
	for category, want := range map[string]int{"analytics": 3, "marketing": 0, "unclassified": 0} {
		code, stdout, stderr := run(t, "audit", "--fail-on", category, page)
		if code != want || !strings.Contains(stdout, "Google Analytics") {
			t.Errorf("--fail-on %s: exit code %d, want %d\n%s%s", category, code, want, stdout, stderr)
		}
	}
	if _, stdout, _ := run(t, "audit", "--json", page); !strings.Contains(stdout, `"category": "analytics"`) {
		t.Errorf("--json prints %s", stdout)
	}
	if _, stdout, _ := run(t, "audit", "--csv", page); strings.Count(stdout, "\n") != 2 {
		t.Errorf("--csv prints %s", stdout)
	}
}

func TestExplainNamesTheRule(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program.js")
	if err := os.WriteFile(program, []byte(`$(".menu").click(() => { $(".menu").toggleClass("open"); $(".shop").hide(); ga("send", "pageview") })`), 0o600); err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string][]string{
		"https://www.google-analytics.com/g/collect": {"analytics", "Google Analytics", "catalogue", ".yml:"},
		"cookie:_fbp":                       {"marketing", "Meta"},
		"https://unheard-of.example/app.js": {"unclassified", "no rule knows"},
		program:                             {"passes", "in it", "analytics", "google.yml:"},
	} {
		code, stdout, stderr := run(t, "explain", subject)
		for _, w := range want {
			if code != 0 || !strings.Contains(stdout, w) {
				t.Errorf("explain %s: exit code %d, %q is missing in\n%s%s", subject, code, w, stdout, stderr)
			}
		}
	}
}

func TestUpstreamDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s := &stage{}
	s.proxy, s.admin = launch(t, "serve", "--upstream", "http://"+address, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	resp, body := s.get(t, "/")
	if resp.StatusCode != http.StatusBadGateway || len(body) == 0 {
		t.Errorf("%s with %q", resp.Status, body)
	}
	resp, _ = s.get(t, "/_askfirst/preferences")
	if resp.StatusCode != http.StatusOK {
		t.Errorf("preferences while the site is down: %s", resp.Status)
	}
}

// What cannot be read is sent under a policy that lets no third party in, or
// not at all; what can be read is held.
func TestDamagedPagesLetNothingThrough(t *testing.T) {
	const tracker = `<script src="https://www.google-analytics.com/analytics.js"></script>`
	const page = `<!doctype html><html><head><title>x</title>` + tracker + `</head><body>`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, page+strings.Repeat("text ", 4000))
	z.Close()
	cases := map[string]struct {
		header http.Header
		body   []byte
	}{
		"broken gzip":     {http.Header{"Content-Encoding": {"gzip"}}, packed.Bytes()[:packed.Len()/2]},
		"no gzip at all":  {http.Header{"Content-Encoding": {"gzip"}}, []byte(page)},
		"unknown coding":  {http.Header{"Content-Encoding": {"compress"}}, []byte(page)},
		"wrong charset":   {http.Header{"Content-Type": {"text/html; charset=utf-16"}}, []byte(page)},
		"unknown charset": {http.Header{"Content-Type": {"text/html; charset=klingon"}}, []byte(page)},
		"cut in a tag":    {nil, []byte(page + `<script src="https://www.google-analytics.com/an`)},
		"cut in a script": {nil, []byte(page + `<script>window.fbq('init'`)},
	}
	s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cases[strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "-", " ")]
		w.Header().Set("Content-Type", "text/html")
		for name, values := range c.header {
			w.Header()[name] = values
		}
		w.Write(c.body)
	}))
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodGet, "http://"+s.proxy+"/"+strings.ReplaceAll(name, " ", "-"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "identity")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				return // nothing came through at all
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode >= 500 {
				return
			}
			policy := strings.Join(resp.Header["Content-Security-Policy"], ",")
			if strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "default-src 'none'") {
				return
			}
			if resp.Header.Get("Content-Encoding") != "" {
				t.Fatalf("a coding that we cannot read is sent on without a policy: %v", resp.Header)
			}
			if live := liveScripts(body); len(live) > 0 {
				t.Errorf("live in the page: %q", live)
			}
		})
	}
}

// liveScripts lists the third-party scripts that a page would run, by a reader
// that is not ours.
func liveScripts(page []byte) []string {
	var live []string
	z := html.NewTokenizer(bytes.NewReader(page))
	for z.Next() != html.ErrorToken {
		token := z.Token()
		if token.Data != "script" {
			continue
		}
		for _, a := range token.Attr {
			if a.Key == "src" && strings.Contains(a.Val, "//") {
				live = append(live, a.Val)
			}
		}
	}
	return live
}

func TestMalformedConsentCookieCountsAsNone(t *testing.T) {
	s := raise(t, demoSite())
	for _, cookie := range []string{"askfirst=", "askfirst=yes", "askfirst=1.1.fams.9999999999.AAAAAAAAAAAAAAAAAAAAAA", "askfirst=1.9.fams.1790000000.AAAAAAAAAAAAAAAAAAAAAA", `askfirst="1.1.fams"`} {
		_, body := s.get(t, "/", "Cookie", cookie)
		if live := liveScripts([]byte(body)); len(live) > 0 {
			t.Errorf("%s releases %q", cookie, live)
		}
	}
}
