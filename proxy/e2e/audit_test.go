package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules/consent"
)

// auditRow is a row of the admin listener's tags.
type auditRow struct {
	Vendor, Category, Kind, Host, Path string
	Seen, Held, Released, Fired        int
	Stopped                            int
	FiredAnyway                        int `json:"fired_anyway"`
}

// audited asks the admin listener for its tags until they are as wanted: what
// is counted is written every few seconds.
func (s *stage) audited(t *testing.T, wanted func(rows []auditRow) error) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		resp, err := http.Get("http://" + s.admin + "/tags?format=json")
		if err != nil {
			t.Fatal(err)
		}
		var rows []auditRow
		err = json.NewDecoder(resp.Body).Decode(&rows)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if last = wanted(rows); last == nil {
			return
		}
	}
	t.Error(last)
}

func sum(rows []auditRow, vendor string) (total auditRow) {
	for _, r := range rows {
		if r.Vendor == vendor {
			total.Seen += r.Seen
			total.Held += r.Held
			total.Released += r.Released
			total.Fired += r.Fired
			total.Stopped += r.Stopped
		}
		total.FiredAnyway += r.FiredAnyway
	}
	return total
}

func TestAuditShowsWhatWasHeldReleasedAndFired(t *testing.T) {
	s := raise(t, demoSite())
	v := visit(t, s)
	v.open("/")
	v.settle()
	s.audited(t, func(rows []auditRow) error {
		if r := sum(rows, "linkedin-insight"); r.Held == 0 || r.Fired != 0 || r.Released != 0 {
			return fmt.Errorf("before a choice LinkedIn's tags are %+v", r)
		}
		return nil
	})
	v.click(settings)
	v.click(box(consent.Analytics))
	v.click(save)
	v.chosen()
	v.settle()
	v.open("/pricing")
	v.settle()
	s.audited(t, func(rows []auditRow) error {
		hotjar, linkedin := sum(rows, "hotjar"), sum(rows, "linkedin-insight")
		if hotjar.Fired == 0 || hotjar.Released == 0 {
			return fmt.Errorf("with analytics Hotjar's tags are %+v", hotjar)
		}
		if linkedin.Fired != 0 || linkedin.FiredAnyway != 0 {
			return fmt.Errorf("with analytics LinkedIn's tags are %+v, of all tags %d fired anyway", linkedin, linkedin.FiredAnyway)
		}
		return nil
	})
}

func TestUnclassifiedThirdPartiesAreListed(t *testing.T) {
	page := `<!doctype html><html><head><script src="https://cdn.unheard-of.example/app.js"></script></head><body>text</body></html>`
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	for _, c := range []struct {
		flag string
		live int
	}{{"pass", 1}, {"hold", 0}} {
		s := raise(t, site, "--unclassified", c.flag)
		_, body := s.get(t, "/")
		if live := liveScripts([]byte(body)); len(live) != c.live {
			t.Errorf("--unclassified %s leaves live %q", c.flag, live)
		}
		s.audited(t, func(rows []auditRow) error {
			for _, r := range rows {
				if r.Host == "cdn.unheard-of.example" && r.Category == "unclassified" && r.Seen == 1 {
					return nil
				}
			}
			return fmt.Errorf("--unclassified %s: the unknown script is not in the audit: %+v", c.flag, rows)
		})
	}
}

// Without a script, a vendor can be let in for one page, once.
func TestLoadOnceWithoutJavaScript(t *testing.T) {
	s := raise(t, demoSite())
	form := url.Values{"choice": {"once"}, "vendor": {"youtube"}, "return": {"/product"}}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.proxy+"/_askfirst/consent", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "http://"+s.proxy)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/product" || len(resp.Cookies()) != 1 {
		t.Fatalf("%s to %q with cookies %v", resp.Status, resp.Header.Get("Location"), resp.Cookies())
	}
	once := resp.Cookies()[0]
	resp, body := s.get(t, "/product", "Cookie", once.Name+"="+once.Value)
	if !strings.Contains(body, ` src="https://www.youtube.com/embed/`) {
		t.Error("the video is held though it was asked for")
	}
	if strings.Contains(body, ` src="https://player.vimeo.com/`) {
		t.Error("another vendor's video came with it")
	}
	if c := resp.Cookies(); len(c) != 1 || c[0].Name != once.Name || c[0].MaxAge >= 0 {
		t.Errorf("once is not over after one page: %v", c)
	}
	if _, body = s.get(t, "/product"); strings.Contains(body, ` src="https://www.youtube.com/embed/`) {
		t.Error("the video is let in again")
	}
}

// The admin page of the demo shows who has been contacted, as it happens.
func TestDemoShowsContactsLive(t *testing.T) {
	demonstrated := start(t, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	shop := "http://" + strings.Replace(demonstrated.listen, "127.0.0.1", "localhost", 1) + "/pricing"
	v := visit(t, &stage{proxy: demonstrated.listen})
	audit := "http://" + demonstrated.admin + "/"
	const contacted = `Number(document.querySelector("[data-live-count]").textContent)`

	v.must(chromedp.Do(v.ctx, chromedp.Navigate(shop)))
	v.settle()
	v.must(chromedp.Do(v.ctx, chromedp.Navigate(audit)))
	v.until(contacted + ` === 0`)
	v.must(chromedp.Do(v.ctx, chromedp.Navigate(shop)))
	v.click(acceptAll)
	v.chosen()
	v.settle()
	v.must(chromedp.Do(v.ctx, chromedp.Navigate(audit)))
	v.until(contacted + ` > 5`)
}

func TestReloadKeepsWhatIsInForceWhenTheFileIsBad(t *testing.T) {
	first, second := serveText(t, "first"), serveText(t, "second")
	folder := t.TempDir()
	file := filepath.Join(folder, "askfirst.yml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := func(upstream string) string {
		return "listen: 127.0.0.1:0\nadmin: off\ndata: " + folder + "\nsites:\n  - {name: a, hosts: ['*'], upstream: '" + upstream + "', policy_url: /p}\n"
	}
	write(config(first))
	process := start(t, "serve", "--config", file)
	s := &stage{proxy: process.listen}
	if _, body := s.get(t, "/"); body != "first" {
		t.Fatalf("the first upstream answers %q", body)
	}
	write("sites: nonsense\n")
	process.reload(t, "not reloaded")
	if _, body := s.get(t, "/"); body != "first" {
		t.Errorf("after a bad file the answer is %q", body)
	}
	write(config(second))
	process.reload(t, "reloaded")
	if _, body := s.get(t, "/"); body != "second" {
		t.Errorf("after a good file the answer is %q", body)
	}
}
