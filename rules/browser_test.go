package rules

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reading is how a browser, or the package, reads one reference.
type reading struct {
	Valid                      bool
	Protocol, Host, Path, Find string
}

const browserPage = `<!DOCTYPE html><meta charset="utf-8"><pre id="out"></pre><script>
const cases = %s;
document.getElementById("out").textContent = JSON.stringify(cases.map(([base, ref]) => {
	try {
		const u = new URL(ref, base);
		return {Valid: true, Protocol: u.protocol, Host: u.hostname, Path: u.pathname, Find: u.search};
	} catch {
		return {Valid: false};
	}
}));
</script>`

// TestBrowserReading compares the reading of references with Chromium's own.
func TestBrowserReading(t *testing.T) {
	chromium := findBrowser(t)
	cases := browserCases(t)
	text, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "cases.html")
	page := fmt.Sprintf(browserPage, strings.ReplaceAll(string(text), "</", `<\/`))
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file).Output()
	if err != nil {
		t.Fatalf("%s: %v", chromium, err)
	}
	found := regexp.MustCompile(`(?s)<pre id="out">(.*?)</pre>`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no answer in %.300q", out)
	}
	var readings []reading
	if err := json.Unmarshal([]byte(html.UnescapeString(string(found[1]))), &readings); err != nil {
		t.Fatal(err)
	}
	if len(readings) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(readings), len(cases))
	}
	hosts := 0
	for i, want := range readings {
		got, ok := readAs(cases[i][0], cases[i][1])
		// Beyond the standard, Chromium encodes "*" in hosts and "|" in paths.
		want.Host = strings.ReplaceAll(want.Host, "%2A", "*")
		want.Path = strings.ReplaceAll(want.Path, "%7C", "|")
		if want.Valid {
			want.Host = strings.TrimRight(want.Host, ".")
			want.Valid = strings.Contains("http: https: ws: wss: ftp:", want.Protocol)
		}
		if !want.Valid {
			// A host that newer tables refuse is taken for an unknown one.
			if ok && strings.Contains(want.Protocol, ":") {
				t.Errorf("%q on %s: got %+v, the browser reads %q", cases[i][1], cases[i][0], got, want.Protocol)
			}
			continue
		}
		hosts++
		if want.Host == "" {
			continue // nothing but dots: no host at all
		}
		if ok && strings.ContainsAny(cases[i][1], "*[ ") && strings.ContainsFunc(cases[i][1], func(r rune) bool { return r >= 0x80 }) && got.Host != want.Host {
			continue // a host that the standard refuses, and nobody can have
		}
		if !ok || got.Protocol != want.Protocol || got.Host != want.Host || got.Path != want.Path || got.Find != want.Find {
			t.Errorf("%q on %s: got %+v, the browser reads %+v", cases[i][1], cases[i][0], got, want)
		}
	}
	t.Logf("%d references, %d of them valid", len(cases), hosts)
}

// findBrowser returns the path of Chromium. Without one the test is skipped, or
// fails where ASKFIRST_BROWSER is "required".
func findBrowser(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("ASKFIRST_BROWSER") == "required" {
		t.Fatal("no Chromium, and ASKFIRST_BROWSER=required")
	}
	t.Skip("no Chromium in PATH: the reading of URLs is not compared with a browser's")
	return ""
}

// browserCases returns pairs of base and reference: those of the decisions, and
// many that are put together from what makes reading difficult.
func browserCases(t *testing.T) [][2]string {
	file, err := os.Open(decisionsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases [][2]string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 6 {
			continue
		}
		if _, ok := ParseKind(fields[1]); ok && fields[1] != "inline" && fields[1] != "widget" && fields[1] != "cookie" {
			cases = append(cases, [2]string{fields[0], unescape(t, fields[2])})
		}
	}
	bases := []string{"https://www.shop.example/a/b/c.html?x=1#y", "http://shop.example:8080/", "https://127.0.0.1/d/"}
	parts := []string{"/", "//", "\\", "\\/", ":", "https:", "HTTP:", "ws:", "ftp:", "@", "user:pw@", "?", "#", ".", "..", "%2e", "%2E%2e", "./", "../",
		"\t", "\n", " ", "a", "host.example", "HOST.EXAMPLE", "shop.example.", "b\u00fccher.example", "xn--bcher-kva.example", "1.2.3.4", "0x7f.1",
		"[::1]", "[1:2::3]", "[::ffff:1.2.3.4]", ":80", ":443", ":8443", ":0080", ":99999", "%41", "%00", "%", "a_b", "-", "*", "|", "<", "\"", "'", "{", "^", "`", "~",
		"path", "/path/", "q=1&r=2", ";", ",", "\u3002", "\u00ad", "\uff41", "\u200d", "\x7f", "\u00e9", "256", "09", "0x", "+"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 6000 {
		var ref strings.Builder
		if random.IntN(3) > 0 {
			ref.WriteString([]string{"https://", "//", "http://host.example", "https:", "/", "\\\\", "wss://"}[random.IntN(7)])
		}
		for range 1 + random.IntN(6) {
			ref.WriteString(parts[random.IntN(len(parts))])
		}
		cases = append(cases, [2]string{bases[random.IntN(len(bases))], ref.String()})
	}
	return cases
}

// readAs reads ref against base, and encodes it as browsers show it.
func readAs(base, ref string) (reading, bool) {
	var page, a address
	if !page.read([]byte(base), nil) || !a.read([]byte(ref), &page) {
		return reading{}, false
	}
	r := reading{true, schemeNames[a.scheme] + ":", strings.TrimRight(string(a.host()), "."), encode(a.path(), "\"#<>?^`{}"), ""}
	if q := a.query(); len(q) > 0 {
		r.Find = "?" + encode(q, "\"#<>'")
	}
	return r, true
}

func encode(s []byte, also string) string {
	var b strings.Builder
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(also, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
