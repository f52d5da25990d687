package banner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots writes pictures of all that a visitor sees into the folder
// that ASKFIRST_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("ASKFIRST_SCREENSHOTS")
	if dir == "" {
		t.Skip("ASKFIRST_SCREENSHOTS names no folder to write to")
	}
	browser := startBrowser(t)
	seen := &watcher{seen: []string{"google-analytics", "youtube", "matomo", "facebook-pixel", "meta-pixel", "intercom", "disqus", "google-fonts"}}
	sites := map[string]string{}
	for _, layout := range Layouts {
		b, err := New(Options{Title: "Bags & Co.", Layout: layout, PolicyURL: "/privacy"}, newEngine(t), &memory{}, seen)
		if err != nil {
			t.Fatal(err)
		}
		sites[layout] = serveSite(t, b)
	}
	shots := []struct {
		name, layout, path string
		dark, open, made   bool
	}{
		{"bar", "bar", "/", false, false, false},
		{"bar-dark", "bar", "/", true, false, false},
		{"bar-open", "bar", "/", false, true, false},
		{"bar-ar", "bar", "/?l=ar", false, true, false},
		{"bar-de", "bar", "/?l=de", false, false, false},
		{"bar-ja", "bar", "/?l=ja", false, false, false},
		{"bar-zh", "bar", "/?l=zh-Hans", false, true, false},
		{"bar-forced", "bar", "/", false, true, false},
		{"box", "box", "/", false, false, false},
		{"box-fi", "box", "/?l=fi", false, false, false},
		{"box-open", "box", "/", true, true, false},
		{"centre", "centre", "/", false, false, false},
		{"centre-he", "centre", "/?l=he", true, true, false},
		{"centre-open", "centre", "/", false, true, false},
		{"made", "bar", "/", false, false, true},
		{"reopened", "bar", "/", false, true, true},
		{"widgets", "bar", "/widgets", false, false, true},
		{"widgets-dark", "bar", "/widgets", true, false, true},
		{"widgets-forced", "bar", "/widgets", true, false, true},
		{"preferences-ar", "bar", "/_askfirst/preferences?return=/&language=ar", false, false, true},
		{"receipt-he", "bar", "/_askfirst/receipt?language=he", false, false, true},
		{"cookies-de", "bar", "/_askfirst/cookies?language=de", false, false, true},
		{"preferences", "bar", "/_askfirst/preferences?return=/", false, false, true},
		{"preferences-dark", "bar", "/_askfirst/preferences?return=/", true, false, true},
		{"cookies", "bar", "/_askfirst/cookies", false, false, true},
		{"cookies-dark", "bar", "/_askfirst/cookies", true, false, true},
		{"receipt", "bar", "/_askfirst/receipt", false, false, true},
		{"receipt-dark", "bar", "/_askfirst/receipt", true, false, true},
	}
	only := strings.FieldsFunc(os.Getenv("ASKFIRST_SCREENSHOTS_ONLY"), func(r rune) bool { return r == ',' })
	for _, s := range shots {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		for _, width := range []int64{360, 768, 1440} {
			ctx := tab(t, browser)
			height := map[int64]int64{360: 740, 768: 1024, 1440: 900}[width]
			scheme, forced := "light", "none"
			if s.dark {
				scheme = "dark"
			}
			if strings.HasSuffix(s.name, "-forced") {
				forced = "active"
			}
			do(t, ctx, chromedp.EmulateViewport(width, height), media("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce", "forced-colors", forced), chromedp.Navigate(sites[s.layout]+"/"))
			if s.made {
				do(t, ctx, choosing(`{"choice":"save","categories":["analytics"]}`))
			} else {
				do(t, ctx, script(`document.cookie='askfirst=;max-age=0;path=/'`))
			}
			do(t, ctx, chromedp.Navigate(sites[s.layout]+s.path))
			if s.open {
				do(t, ctx, script(openSettings))
			}
			var picture []byte
			if strings.HasPrefix(s.path, "/w") || strings.HasPrefix(s.path, "/_") {
				picture = get(t, ctx, chromedp.FullScreenshot(100))
			} else {
				picture = get(t, ctx, chromedp.CaptureScreenshot())
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", s.name, width)), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
