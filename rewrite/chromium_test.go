package rewrite

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// thirdParties is a server for all hosts: it serves the test's pages and notes
// what they ask others for.
type thirdParties struct {
	pages map[string][]byte // by path

	mu    sync.Mutex
	asked map[string]map[string]bool // path of the page → URLs
}

func (s *thirdParties) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if page, ok := s.pages[r.URL.Path]; ok && r.Host == "shop.example" {
		// The whole address of the page comes with whatever it asks for.
		w.Header().Set("Referrer-Policy", "unsafe-url")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
		return
	}
	from, err := url.Parse(r.Referer())
	if err == nil && s.pages[from.Path] != nil && r.URL.Path != "/favicon.ico" {
		s.mu.Lock()
		if s.asked[from.Path] == nil {
			s.asked[from.Path] = map[string]bool{}
		}
		s.asked[from.Path]["https://"+r.Host+r.URL.RequestURI()] = true
		s.mu.Unlock()
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "script":
		w.Header().Set("Content-Type", "text/javascript")
	case "style":
		w.Header().Set("Content-Type", "text/css")
	case "image":
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`)
	default:
		w.Header().Set("Content-Type", "text/html")
	}
}

// TestChromium loads each nasty page as it is and as rewritten. What the
// browser asks for in the first, without what the rules hold, is what it asks
// for in the second.
func TestChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	chromium := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if chromium == "" {
			chromium, _ = exec.LookPath(name)
		}
	}
	if chromium == "" {
		t.Skip("no Chromium")
	}
	s := &thirdParties{pages: map[string][]byte{}, asked: map[string]map[string]bool{}}
	var names []string
	nasty(t, func(name string, page []byte) {
		switch {
		case strings.HasPrefix(name, "meta-refresh"):
			return // leaves the page
		case strings.HasPrefix(name, "hand-mark"):
			return // beats the rules
		case name == "srcset", name == "link-preload":
			return // the whole attribute is held, and so its other images
		case name == "svg-style-entities":
			return // what the preload scanner misreads is held as well
		}
		names = append(names, name)
		s.pages["/as-is/"+name] = page
		s.pages["/rewritten/"+name] = rewritten(t, document(0), page, 0)
	})
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	server.StartTLS()
	defer server.Close()

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("host-resolver-rules", "MAP * "+strings.TrimPrefix(server.URL, "https://")),
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for path := range s.pages {
		if _, err := chromedp.Run(ctx, chromedp.Navigate("https://shop.example"+path)); err != nil && !strings.Contains(err.Error(), "ERR_ABORTED") {
			t.Fatalf("%s: %v", path, err)
		}
	}
	// What a page still waits for is asked for before the next page is left.
	chromedp.Run(ctx, chromedp.Navigate("about:blank"))

	var page rules.Page
	reached := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		page.Reset([]byte("https://shop.example/as-is/" + name))
		var want []string
		for ref := range s.asked["/as-is/"+name] {
			d := engine().URL(&page, []byte(ref), rules.Other)
			if d.Allowed(0) || d.Category == consent.Unclassified {
				want = append(want, strings.ReplaceAll(ref, "/as-is/", "/*/"))
			} else {
				reached++
			}
		}
		var got []string
		for ref := range s.asked["/rewritten/"+name] {
			got = append(got, strings.ReplaceAll(ref, "/rewritten/", "/*/"))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: asked for %q, want %q", name, got, want)
		}
	}
	t.Logf("%d requests held in %d pages", reached, len(names))
	if reached < 90 {
		t.Errorf("as they are the pages reach third parties %d times only", reached)
	}
}
