package admin

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// month fills a store with four weeks of a shop, the same each time. Days gone
// by are made by moving what was counted back a day.
func month(t *testing.T) (*audit.Store, *rules.Engine) {
	t.Helper()
	dir := t.TempDir()
	store, err := audit.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	engine, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite3.Open(filepath.Join(dir, audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dice := rand.New(rand.NewPCG(1, 2))
	tags := []struct{ vendor, host, path string }{
		{"google-analytics", "www.googletagmanager.com", "/gtag/js"}, {"meta-pixel", "connect.facebook.net", "/en_US/fbevents.js"},
		{"hotjar", "static.hotjar.com", "/c/hotjar.js"}, {"youtube", "www.youtube.com", "/embed/:id"}, {"intercom", "widget.intercom.io", "/widget/:id"},
		{"google-fonts", "fonts.googleapis.com", "/css2"}, {"disqus", "nordhang.disqus.com", "/embed.js"}, {"", "cdn.partner.example", "/widget.js"},
	}
	pages := []string{"/", "/products/:id", "/blog/first-post", "/pricing", "/contact"}
	languages := []string{"en", "en", "en", "de", "de", "fr", "pl"}
	for day := range 28 {
		if day > 0 {
			if err := db.Exec(`UPDATE counts SET day = day - 1; UPDATE pairs SET first = first - 1, last = last - 1; UPDATE tag_days SET day = day - 1; UPDATE page_days SET day = day - 1; UPDATE views SET day = day - 1; UPDATE cookie_days SET day = day - 1; UPDATE choices SET day = day - 1`); err != nil {
				t.Fatal(err)
			}
		}
		visitors := 120 + dice.IntN(90) + 3*day
		for range visitors {
			page := []byte(pages[dice.IntN(len(pages))])
			store.CountView("shop", page, dice.IntN(3) > 0)
			granted := consent.Set(0)
			if dice.IntN(2) == 0 {
				granted = consent.SetOf(consent.Analytics, consent.Functional, consent.Marketing, consent.Social)
			}
			for _, tag := range tags[dice.IntN(3) : 3+dice.IntN(6)] {
				category := consent.Unclassified
				name := ""
				if v := engine.Vendor(tag.vendor); v != nil {
					category, name = v.Category, v.Name
				}
				s := audit.Sighting{Vendor: tag.vendor, VendorName: name, Category: category, Kind: "script", Host: []byte(tag.host), Path: []byte(tag.path), Event: audit.Held, Count: 1}
				if granted.Has(category) || category == consent.Unclassified {
					s.Event = audit.Passed
				}
				store.Count("shop", page, granted, []audit.Sighting{s})
				if s.Event == audit.Passed && category != consent.Unclassified {
					s.Event = audit.Fired
					store.CountReported("shop", page, granted, []audit.Sighting{s})
				}
			}
		}
		for range visitors / 4 {
			k := receipt("shop")
			k.Language = languages[dice.IntN(len(languages))]
			switch dice.IntN(5) {
			case 0, 1:
				k.Action, k.Categories = "accept-all", consent.SetOf(consent.Analytics, consent.Functional, consent.Marketing, consent.Social)
			case 2, 3:
				k.Action, k.Categories, k.Vendors = "reject-all", 0, nil
			}
			if err := store.Record(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"_ga", "_fbp", "_hjSessionUser_1", "session"} {
			d := engine.Cookie([]byte(name))
			id := ""
			if d.Vendor != nil {
				id = d.Vendor.ID
			}
			store.CountCookie("shop", []byte(name), id, d.Category, "response", d.Category != consent.Necessary && day%2 == 0)
		}
		if err := store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store, engine
}

// TestNoPageIsWiderThanTheScreen looks at every page at three widths. Where
// ASKFIRST_SCREENSHOTS names a folder, pictures go there, in light and dark.
func TestNoPageIsWiderThanTheScreen(t *testing.T) {
	o := open(t)
	store, engine := month(t)
	asks := newBanner(t, engine)
	a := New(Options{Store: store, Previews: func() map[string]Previewer { return map[string]Previewer{"shop": asks} }, Log: slog.New(slog.DiscardHandler), Sites: func() map[string]Site { return map[string]Site{"shop": {Engine: engine}} }})
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	dir := os.Getenv("ASKFIRST_SCREENSHOTS")
	schemes := []string{"light"}
	if dir != "" {
		schemes = append(schemes, "dark")
	}
	list, err := store.Receipts(t.Context(), audit.Filter{}, audit.Slice{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"/": "overview", "/tags": "tags", "/vendors": "vendors", "/pages": "pages", "/cookies": "cookies", "/choices": "choices", "/unclassified": "unclassified",
		"/changes": "changes", "/log": "log", "/receipts": "receipts", "/receipts/" + list[0].ID.String(): "receipt", "/health?verify=1": "health",
		"/preview": "preview", "/preview?language=ar&scheme=dark&state=made": "preview-ar", "/preview?language=all": "preview-all"}
	for path, name := range names {
		for _, width := range []int64{360, 768, 1440} {
			for _, scheme := range schemes {
				o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(width, 900)))
				call(o, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL+path)))
				o.until(`document.readyState === "complete" && !document.querySelector(".chart:not(.drawn)")`)
				wide, err := chromedp.Run(o.ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
				o.must(err)
				if wide > width {
					t.Errorf("%s is %d pixels wide on a screen of %d", path, wide, width)
				}
				if dir == "" {
					continue
				}
				picture, err := chromedp.Run(o.ctx, chromedp.FullScreenshot(100))
				o.must(err)
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("admin-%s-%d-%s.png", name, width, scheme)), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	o.quiet(server.URL)
}
