package rules

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestCatalogueMistakes reads a catalogue with every mistake there is, and
// compares what it is told with testdata/bad/mistakes.txt.
func TestCatalogueMistakes(t *testing.T) {
	const golden = "testdata/bad/mistakes.txt"
	_, err := readCatalogue(os.DirFS("."), "testdata/bad")
	if err == nil {
		t.Fatal("no mistake is found")
	}
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// checkedWanted is how many vendors are described in full and were found in a
// public source, at least.
const checkedWanted = 550

func TestCatalogueChecked(t *testing.T) {
	sources, err := readCatalogue(embedded, "catalogue")
	if err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, s := range sources {
		if s.Company != "" && s.Country != "" && s.Policy != "" && len(s.Domains) > 0 && len(s.checked) > 0 {
			full++
		}
	}
	if full < checkedWanted {
		t.Errorf("%d vendors are described in full and checked, want at least %d", full, checkedWanted)
	}
}

// TestCatalogueNames: who reads a list of vendors tells them by their names.
func TestCatalogueNames(t *testing.T) {
	ids := map[string]string{}
	for _, v := range newEngine(t, Options{}).Vendors() {
		if other, taken := ids[v.Name]; taken {
			t.Errorf("%s and %s are both called %q", other, v.ID, v.Name)
		}
		ids[v.Name] = v.ID
	}
}

// TestCatalogueDomains: a vendor's domain stands for all in it, so that none of
// those is its own entry: each is one more source in the second lock.
func TestCatalogueDomains(t *testing.T) {
	for _, v := range newEngine(t, Options{}).Vendors() {
		for _, d := range v.Domains {
			if slices.ContainsFunc(v.Domains, func(wider string) bool { return strings.HasSuffix(d, "."+wider) }) {
				t.Errorf("%s: %s is within another of its domains", v.ID, d)
			}
		}
	}
}

// TestCatalogueCommon looks for the third parties that most pages load from: the
// catalogue itself, not the breadth table, has one of their domains or a host
// within one.
func TestCatalogueCommon(t *testing.T) {
	const file, wanted = "testdata/common.tsv", 200
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, Options{})
	within := map[string]bool{} // domains of the catalogue's, and all that they are in
	for _, host := range e.catalogue.hosts.names {
		for rest := host; strings.Contains(rest, "."); _, rest, _ = strings.Cut(rest, ".") {
			within[rest] = true
		}
	}
	n := 0
	for i, row := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(row, "#") {
			continue
		}
		n++
		fields := strings.Split(row, "\t")
		if len(fields) != 3 {
			t.Fatalf("%s:%d: %d fields", file, i+1, len(fields))
		}
		if !slices.ContainsFunc(strings.Fields(fields[2]), func(domain string) bool {
			d := e.URL(newPage("https://www.shop.example/"), []byte("https://"+domain+"/"), Script)
			return d.Rule != nil && d.Rule.Source == SourceCatalogue || within[domain]
		}) {
			t.Errorf("%s:%d: the catalogue knows nothing of %s (%s)", file, i+1, fields[1], fields[2])
		}
	}
	if n != wanted {
		t.Errorf("%s has %d third parties, want %d", file, n, wanted)
	}
}

func TestOverrideMistakes(t *testing.T) {
	_, err := New(Options{Overrides: []Override{
		{File: "site.yml", Line: 1},
		{File: "site.yml", Line: 2, Domain: "a.test", URL: "a.test/x"},
		{File: "site.yml", Line: 3, Vendor: "nobody"},
		{File: "site.yml", Line: 4, Domain: "a.test", As: "nobody"},
		{File: "site.yml", Line: 5, URL: "*"},
		{File: "site.yml", Line: 6, Inline: []string{"x"}},
		{File: "site.yml", Line: 7, Cookie: "a", Pages: "/x"},
		{File: "site.yml", Line: 8, Cookie: "*"},
		{File: "site.yml", Line: 9, Domain: "a/b"},
		{File: "site.yml", Line: 10, Domain: "good.test", Category: consent.Social},
	}, HeuristicsOff: []string{"horoscope"}})
	if err == nil {
		t.Fatal("no mistake is found")
	}
	for _, want := range []string{"site.yml:1: ", "site.yml:2: ", "site.yml:3: ", "site.yml:4: ", "site.yml:5: ", "site.yml:6: ", "site.yml:7: ", "site.yml:8: ", "site.yml:9: ", "horoscope"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %s in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "site.yml:10") {
		t.Errorf("a good override is refused: %v", err)
	}
}

func TestOverrides(t *testing.T) {
	e := newEngine(t, Options{Overrides: []Override{
		{Domain: "cdn.example", Category: consent.Analytics},
		{Domain: "maps.example", As: "google-maps", Category: consent.Unclassified},
		{Domain: "own.example", As: "matomo"},
		{URL: "*/pixel.gif", Category: consent.Marketing},
		{URL: "widget.example/", AlwaysHold: true, Category: consent.Unclassified},
		{Vendor: "hotjar", Category: consent.Necessary},
		{Vendor: "youtube", Category: consent.Functional, Pages: "/videos/*"},
		{Inline: []string{"shopMetrics(", "'send'"}, Category: consent.Analytics},
		{Cookie: "visitor_*", Category: consent.Analytics},
		{Cookie: "_ga", Category: consent.Necessary},
	}})
	p := newPage("https://shop.example/videos/1")
	for _, c := range []struct {
		ref      string
		category consent.Category
	}{
		{"https://x.cdn.example/a.js", consent.Analytics},
		{"https://maps.example/", e.Vendor("google-maps").Category},
		{"https://own.example/", consent.Necessary},
		{"https://widget.example/x", consent.Marketing},
		{"/images/pixel.gif", consent.Necessary}, // the pattern begins at the root
		{"/pixel.gif", consent.Marketing},
		{"https://static.hotjar.com/x.js", consent.Necessary},
		{"https://www.youtube.com/embed/x", consent.Functional},
	} {
		if d := e.URL(p, []byte(c.ref), Script); d.Category != c.category {
			t.Errorf("%s is %v by %+v, want %v", c.ref, d.Category, d.Rule, c.category)
		}
	}
	if d := e.URL(p, []byte("https://widget.example/x"), Frame); !d.Never || d.Allowed(consent.All) {
		t.Errorf("what is always held may act: %+v", d)
	}
	if d := e.URL(newPage("https://shop.example/"), []byte("https://www.youtube.com/embed/x"), Frame); d.Category != e.Vendor("youtube").Category {
		t.Errorf("an override holds for other pages: %+v", d)
	}
	if d := e.Inline(p, []byte("shopMetrics('send', 1)")); d.Category != consent.Analytics {
		t.Errorf("inline: %+v", d)
	}
	if a, b := e.Cookie([]byte("visitor_1")), e.Cookie([]byte("_ga")); a.Category != consent.Analytics || b.Category != consent.Necessary || b.Rule == nil {
		t.Errorf("cookies: %+v, %+v", a, b)
	}
}

// TestOwnSite: what a site serves itself is known by the names that the trade
// gives to serving ads and to counting; a banner's picture passes.
func TestOwnSite(t *testing.T) {
	e := newEngine(t, Options{})
	p := newPage("https://www.shop.example/blog/")
	for _, c := range []struct {
		ref    string
		vendor string
	}{
		{"/static/4/admanager.js", "own-ads"},
		{"/assets/adManager/css/adManager.css", "own-ads"},
		{"/wp-content/plugins/download-manager/all.css", ""},
		{"/static/mol-adverts/5/mol-adverts.js", "own-ads"},
		{"/publicidad/D1/index.php?s=1", "own-ads"},
		{"/publicidad/", "own-banners"},
		{"/about/advertising.html", ""},
		{"/js/show-ads.js", "own-ads"},
		{"/js/loads.js", ""},
		{"/js/uploadManager.js", ""},
		{"/js/threadmanager.js", ""},
		{"/js/uploadTools.js", ""},
		{"/js/lazyadapter.js", ""},
		{"/anzeigen/wohnungen.js", "own-banners"},
		{"/uploads/ads.txt", ""},
		{"https://ads.shop.example/ad.js", "own-ads"},
		{"https://ads1.shop.example/library/dap", "own-ads"},
		{"https://loads.shop.example/a.js", ""},
		{"https://adserver.shop.example/x", "own-ads"},

		{"/uploads/offer_300x250.jpg", "own-banners"},
		{"/uploads/offer-300x250-1.gif", "own-banners"},
		{"/uploads/offer_160x600.jpg", "own-banners"},
		{"/uploads/offer-728x90.png", "own-banners"},
		{"/banners/summer.jpg", "own-banners"},
		{"/uploads/beach-300x250.jpg", ""}, // so WordPress names photos that it has scaled
		{"/uploads/beach-1160x600.jpg", ""},
		{"/uploads/beach-300x600/1.jpg", ""},
		{"/products/banner-stand.jpg", ""},

		{"/pixel.gif?u=/blog/", "own-analytics"},
		{"/a/pixel.gif?u=/blog/", "own-analytics"},
		{"/a/pixel.gif", ""},
		{"/a/pixel.gif?", ""},
		{"/a/mypixel.gif?u=1", "own-analytics"},
		{"/a/o.gif?~RS~s", "own-analytics"},
		{"/logo.gif?v=3", ""},
		{"/stats/?team=5", ""},
		{"/account.php?tab=1", ""},
		{"/soundtrack.php?id=1", ""},
		{"/app/track.php?id=1", "own-analytics"},
		{"https://tracking.shop.example/parcel.js?id=1", ""},
		{"/stats/", ""},
		{"/stats/2023/table.html?page=2", ""},
		{"/docs/analytics/", ""},
		{"/analytics/index.html", ""},
		{"/services/pixel?id=7", "own-analytics"},
		{"/pixel-art/?page=2", ""},
		{"https://hitcount.shop.example/x", "own-analytics"},
		{"https://counter2.shop.example/x", "own-analytics"},
		{"https://stats.shop.example/o.gif?u=1", "own-analytics"},
		{"https://stats.shop.example/league/table.js", ""},
		{"https://stats.shop.example/chart.png", ""},
		{"https://other.example/banners/summer.jpg", ""},
		{"https://other.example/a/o.gif?u=1", ""},

		{"/js/gtm.min.js?v=2", "google-tag-manager"},
		{"/wp-content/cache/busting/1/gtm-1fbe40.js", "google-tag-manager"},
		{"/js/ga.js", "google-analytics"},
		{"/js/mega.js", ""},
		{"/player/videojs.ads.css", "videojs-ads"},
		{"/player/videojs.css", ""},
	} {
		d := e.URL(p, []byte(c.ref), Script)
		if got := vendorID(d); got != c.vendor {
			t.Errorf("%s is %q's by %v, want %q", c.ref, got, d.Rule, c.vendor)
		}
		if holds := d.Category != consent.Necessary && d.Party == FirstParty; holds != (c.vendor != "" && c.vendor != "own-banners") {
			t.Errorf("%s is %v", c.ref, d.Category)
		}
	}
	for _, c := range []struct {
		ref    string
		kind   Kind
		vendor string
	}{
		{"/publicidad/D1/index.php", Frame, ""},
		{"/order/track.php", Form, ""},
		{"https://ads.shop.example/", Frame, ""},
		{"https://ads.shop.example/order", Form, ""},
		{"/wp-content/tracker.php", Image, "own-analytics"},
	} {
		if d := e.URL(p, []byte(c.ref), c.kind); vendorID(d) != c.vendor {
			t.Errorf("%v %s is %q's by %v, want %q", c.kind, c.ref, vendorID(d), d.Rule, c.vendor)
		}
	}
	// Who reads the pages of such a host came for what it has.
	if d := e.URL(newPage("https://ads.shop.example/"), []byte("/campaigns.js"), Script); d.Rule != nil {
		t.Errorf("a page's own host is decided by %v", d.Rule)
	}
	if d := e.URL(newPage("https://ads.shop.example/"), []byte("https://ads.shop.example./campaigns.js"), Script); d.Rule != nil {
		t.Errorf("a page's own host with a dot is decided by %v", d.Rule)
	}
}

func TestContainer(t *testing.T) {
	e := newEngine(t, Options{})
	d := e.URL(newPage("https://shop.example/"), []byte("https://www.googletagmanager.com/gtm.js?id=GTM-X"), Script)
	if d.Vendor == nil || !d.Vendor.Container {
		t.Fatalf("%+v", d)
	}
	if d.Allowed(0) || !d.Allowed(consent.SetOf(consent.Social)) {
		t.Error("a container is released with the first category, whichever")
	}
}

func TestHeuristics(t *testing.T) {
	e := newEngine(t, Options{})
	without := map[string]*Engine{} // each of the heuristics
	for _, name := range Heuristics() {
		without["heuristic:"+name] = newEngine(t, Options{HeuristicsOff: []string{name}})
	}
	p := newPage("https://shop.example/")
	for _, c := range []struct {
		ref  string
		kind Kind
		sign Sign
		rule string
	}{
		{"https://x.example/a.png", Image, Tiny, "heuristic:pixel"},
		{"https://x.example/a.gif", Image, Hidden, "heuristic:pixel"},
		{"https://x.example/images/ajax-Loader.gif", Image, Hidden, ""},
		{"https://x.example/ajax-loader.gif?", Image, Hidden, ""},
		{"https://x.example/ajax-loader.gif", Image, Tiny, "heuristic:pixel"},
		{"https://x.example/ajax-loader.gif?u=1", Image, Hidden, "heuristic:pixel"},
		{"https://x.example/loading/a.gif", Image, Hidden, "heuristic:pixel"},
		{"https://x.example/a?site=1", Image, Hidden, "heuristic:pixel"},
		{"https://x.example/photo.png", Image, Hidden, ""},
		{"https://x.example/a.png", Image, 0, ""},
		{"/a.png", Image, Tiny | Noscript, ""},
		{"https://x.example/f", Frame, Hidden, "heuristic:hidden-frame"},
		{"https://x.example/login.html", Frame, Tiny, "heuristic:hidden-frame"},
		{"https://x.example/login", Frame, Hidden, ""},
		{"https://x.example/common/OAuth2/authorize?prompt=none", Frame, Tiny, ""},
		{"https://x.example/f?to=/login", Frame, Hidden, "heuristic:hidden-frame"},
		{"https://x.example/f", Frame, 0, ""},
		{"https://x.example/p?id=1", Image, Noscript, "heuristic:noscript-image"},
		{"https://x.example/photo.JPG", Image, Noscript, ""},
		{"https://x.example/photo.JPG?site=1", Image, Noscript, ""},
		{"https://x.example/render?w=300&image=7", Image, Noscript, ""},
		{"https://x.example/Media/17", Image, Noscript, ""},
		{"https://x.example/thumbnail/400x250/?url=https%3A%2F%2Fx.example%2F7", Image, Noscript, ""},
		{"https://x.example/dims/resize/1200x630/7", Image, Noscript, ""},
		{"https://x.example/c_fill,f_auto,w_630/beach", Image, Noscript, ""},
		{"https://x.example/watch/17", Image, Noscript, "heuristic:noscript-image"},
		{"https://x.example/watch/17", Image, Hidden, "heuristic:pixel"},
		{"https://x.example/clear.gif", Image, Noscript, "heuristic:noscript-image"},
		{"https://x.example/b", Ping, 0, "heuristic:beacon"},
		{"/b", Ping, 0, ""},
		{"https://x.example/b", Connect, 0, ""},
		{"https://x.example/1.gif?u=4f3c2a1b9d8e7f60&t=1700000000000&r=https", Image, 0, "heuristic:gif-query"},
		{"https://x.example/1.gif?width=300&height=200&fit=crop&format=auto", Image, 0, ""},
		{"https://x.example/1.gif?Expires=1700000000&Signature=4f3c2a1b9d8e7f60~a&Key-Pair-Id=APKAIE5G5CRDK6RD3PGA", Image, 0, ""},
		{"https://x.example/cat.gif", Image, 0, ""},
		{"https://ads.x.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://eu.track2.x.example/", Frame, 0, "heuristic:tracker-host"},
		{"//tracker.x.example", Hint, 0, "heuristic:tracker-host"},
		{"//cdn.x.example", Hint, 0, ""},
		{"https://stats.x.example/a.png", Image, 0, ""},
		{"https://Stats.x.example/hit?u=/", Image, 0, "heuristic:tracker-host"},
		{"https://matomo.x.example/js/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://obseu.x.example/i/0f1e2d3c.js", Script, 0, "heuristic:tracker-host"},
		{"https://10.0.0.1/a.js", Script, 0, ""},
		{"https://t.x.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://tags3.x.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://t1.x.example/a.js", Script, 0, ""},
		{"https://t.example/a.js", Script, 0, ""},
		{"https://stat.x.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://stat5.x.example/a.js", Script, 0, ""},
		{"https://cdn.webtracker.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://pixanalytics2.example/", Frame, 0, "heuristic:tracker-host"},
		{"https://x.example.analytics/a.js", Script, 0, ""},
		{"https://counter.example/7.jpg", Image, 0, ""},
		{"https://isometric.example/a.js", Script, 0, ""},
		{"https://racetrack.example/a.js", Script, 0, ""},
		{"https://counter.example/7", Image, 0, "heuristic:tracker-host"},
		{"https://cdn.adzone.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://ad-feed.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://adobe.example/a.js", Script, 0, ""},
		{"https://adns.example/a.js", Script, 0, ""},
		{"https://vidads.example/a.js", Script, 0, "heuristic:tracker-host"},
		{"https://goodleads.example/a.js", Script, 0, ""},
		{"https://x.example/hb/site.js", Script, 0, "heuristic:tracker-path"},
		{"https://x.example/cache/300x250/2018/cat.jpg", Image, 0, ""},
		{"https://x.example/cache/cats-728x90/cat.jpg", Image, 0, ""},
		{"https://pub.x.example/assets/jquery.js", Script, 0, ""}, // publications as often as publishers
		{"https://x.example/lib/pixel.js", Script, 0, "heuristic:tracker-path"},
		{"https://x.example/web-analytics2.min.js", Script, 0, "heuristic:tracker-path"},
		{"https://x.example/Tag/9", Frame, 0, "heuristic:tracker-path"},
		{"https://x.example/b_728x90.php", Frame, 0, "heuristic:tracker-path"},
		{"https://x.example/728x901.php", Frame, 0, ""},
		{"https://x.example/pixel?u=1", Image, 0, "heuristic:tracker-path"},
		{"https://x.example/themes/publisher/js/theme.js", Script, 0, ""}, // the name of a theme
		{"https://x.example/themes/shop/js/tracking.js", Script, 0, "heuristic:tracker-path"},
		{"https://x.example/themes/tracking.js", Script, 0, "heuristic:tracker-path"},
		{"https://x.example/_next/static/chunks/page-view-beacon-2b9add17.js", Script, 0, ""}, // what the program is cut into
		{"https://x.example/pixel.gif", Image, 0, ""},
		{"https://x.example/pixel.gif?", Image, 0, ""},
		{"https://x.example/pixel.png?u=1", Image, 0, ""},
		{"https://x.example/a.js?from=/pixel/", Script, 0, ""},
		{"https://x.example/pixelated/tagline.js", Script, 0, ""},
		{"https://x.example/pixel.css", Style, 0, ""},
		{"https://x.example/player/pixel", Connect, 0, ""},
		{"/lib/analytics2.js", Script, 0, ""},
		{"https://x.example/s?a=1&GDPR_consent=x", Frame, 0, "heuristic:tracker-query"},
		{"https://x.example/a.js?zoneid=7", Script, 0, "heuristic:tracker-query"},
		{"https://x.example/view.php?pid=7", Image, 0, "heuristic:tracker-query"},
		{"https://x.example/view.jpg?pid=7", Image, 0, ""},
		{"https://x.example/view.php?pid=7&W=300", Image, 0, ""},
		{"https://x.example/a.js?zoneid", Script, 0, ""},
		{"https://x.example/a.js?xzoneid=1&zoneids=1&a=zoneid=1", Script, 0, ""},
		{"https://x.example/a.css?zoneid=7", Style, 0, ""},
		{"/a.js?zoneid=7", Script, 0, ""},
		{"https://x.example/files/DH_MREC_300x250_work.jpg", Image, 0, "heuristic:banner"},
		{"https://x.example/files/ad_300X250.gif", Image, 0, "heuristic:banner"},
		{"https://x.example/banners/160x600-Marylin.jpg", Image, 0, "heuristic:banner"},
		{"https://x.example/hosted-728x90.png", Image, 0, "heuristic:banner"},
		{"https://x.example/Ads/2022/domo.gif", Image, 0, "heuristic:banner"},
		{"https://x.example/2023/06/beach-300x250.jpg", Image, 0, ""},
		{"https://x.example/2023/06/beach-1728x90.jpg", Image, 0, ""},
		{"https://x.example/loads/beach.jpg", Image, 0, ""},
		{"https://x.example/ads.jpg", Image, 0, ""},
		{"https://x.example/beach.jpg?crop=728x90", Image, 0, ""},
		{"https://x.example/js/70417.js?v=1", Script, 0, "heuristic:account-number"},
		{"https://x.example/20008780.js", Script, 0, "heuristic:account-number"},
		{"https://x.example/c/Shop.example.js?v=1", Script, 0, "heuristic:site-named"},
		{"https://x.example/shop.example.js", Script, 0, "heuristic:site-named"},
		{"https://x.example/myshop.example.js", Script, 0, ""},
		{"https://x.example/s/h/www.shop.example.1523706.js", Script, 0, "heuristic:site-named"},
		{"https://x.example/keys/Shop.example/p.js", Script, 0, "heuristic:site-named"},
		{"https://x.example/shop.example/a.js", Script, 0, "heuristic:site-named"},
		{"https://x.example/shop.example/static/a.js", Script, 0, ""},
		{"https://x.example/shop.example.1/a.js", Script, 0, ""},
		{"https://x.example/my-shop.example.js", Script, 0, ""},
		{"https://x.example/shop.example", Script, 0, ""},
		{"https://x.example/.js", Script, 0, ""},
		{"https://x.example/?a=/shop.example.js", Script, 0, ""},
		{"https://x.example/other.example.js", Script, 0, ""},
		{"https://x.example/a/20008780.js", Script, 0, ""},
		{"https://x.example/57/e4/4f/57e44fa14290cb53f93c96a75d3da08d.js?a", Script, 0, "heuristic:hash-folders"},
		{"https://x.example/57/e4/4f/57e44ea14290cb53f93c96a75d3da08d.js", Script, 0, ""},
		{"https://x.example/57/e4/4f/57e44fa14290cb53f93c96a75d3da08g.js", Script, 0, ""},
		{"https://x.example/57/e4/4f/57e44fa14290cb53f93c96a75d3da08d.css", Style, 0, ""},
		{"https://x.example/70417.png", Image, Hidden, "heuristic:account-number"},
		{"https://x.example/70417.png", Image, Noscript, "heuristic:account-number"},
		{"https://x.example/70417.png", Image, 0, ""},
		{"https://x.example/a/70417.png", Image, Hidden, ""},
		{"https://x.example/js/704.js", Script, 0, ""},
		{"https://x.example/js/70417-2.js", Script, 0, ""},
		{"https://x.example/js/2026112701.js", Script, 0, ""},
		{"/js/70417.js", Script, 0, ""},
		{"https://delivery.x.example/js/jquery.js", Script, 0, ""}, // files' as often as ads'
		{"https://ads.x.example/a.css", Style, 0, ""},
		{"https://ads.x.example/api", Connect, 0, ""},
		{"https://ads.example/a.js", Script, 0, ""},
		{"https://loads.x.example/a.js", Script, 0, ""},
		{"https://downloads.stats-blog.example/a.js", Script, 0, ""},
	} {
		d := e.URLWith(p, []byte(c.ref), c.kind, c.sign)
		got := ""
		if d.Rule != nil {
			got = d.Rule.Text
		}
		if got != c.rule || (got != "") != (d.Category == consent.Marketing) {
			t.Errorf("%v %s: %v by %q, want %q", c.kind, c.ref, d.Category, got, c.rule)
		}
		if c.rule == "" {
			continue
		}
		if d := without[c.rule].URLWith(p, []byte(c.ref), c.kind, c.sign); d.Rule != nil && d.Rule.Text == c.rule {
			t.Errorf("%v %s: %s decides though it is off", c.kind, c.ref, c.rule)
		}
	}
	off := newEngine(t, Options{HeuristicsOff: Heuristics()})
	if d := off.URLWith(p, []byte("https://x.example/1.gif?u=4f3c2a1b9d8e7f60&t=1700000000000&r=https"), Image, Tiny|Hidden|Noscript); d.Rule != nil {
		t.Errorf("a heuristic is asked that is off: %+v", d.Rule)
	}
}

// TestLongScripts tells the programs of sites, which mention tags, from snippets
// and from the programs of vendors that are written into pages.
// TestPrograms: a tag in a program of the site's does not hold the program, unless
// the vendor's own is written into pages or an override says so.
func TestPrograms(t *testing.T) {
	operators, err := New(Options{Overrides: []Override{{Inline: []string{"siteState", "trackers"}, Category: consent.Marketing}}})
	if err != nil {
		t.Fatal(err)
	}
	var p Page
	p.Reset([]byte("https://shop.example/"))
	for _, c := range []struct {
		code   string
		vendor string
		held   bool // also in a program
	}{
		{`ga('create','UA-1-1');ga('send','pageview');`, "google-analytics", false},
		{`window.NREUM={loader_config:{}};NREUM.info={beacon:"bam.nr-data.net"};`, "new-relic", true},
		{`window.siteState={trackers:[]};`, "", true},
	} {
		for _, around := range []struct {
			code    string
			program bool
		}{
			{strings.Repeat("f();", (maxSnippet-len(c.code))/4), false},
			{strings.Repeat("f();", maxSnippet/4), true},
			{`$(".buy").on('click', e => { e.preventDefault(); f() });`, false},
			{`$(".menu").on('click', e => { e.preventDefault(); $(".menu").toggleClass("open") });`, true},
			{`buy.addEventListener("click", f); one.classList.add("a"); other.classList.add("b");`, true},
		} {
			for _, code := range []string{c.code + around.code, around.code + c.code} {
				d := operators.Inline(&p, []byte(code))
				if want := !around.program || c.held; want != (d.Rule != nil) {
					t.Errorf("%.100q, %d bytes: %+v, want a rule: %t", code, len(code), d, want)
				}
				if x := operators.ExplainInline(&p, []byte(code)); (x.Aside.Rule == nil) != (d.Rule != nil) || x.Rule != d.Rule {
					t.Errorf("%.100q, %d bytes: explained as %+v", code, len(code), x)
				}
				if d.Vendor != operators.Vendor(c.vendor) && d.Rule != nil {
					t.Errorf("%.100q, %d bytes, is %v's, want %q's", code, len(code), d.Vendor, c.vendor)
				}
			}
		}
	}
}

// TestWhoseFilesAreIsKnown: of what anybody may keep on a vendor's host the vendor is
// told, and a list and the heuristics say what it is.
func TestWhoseFilesAreIsKnown(t *testing.T) {
	e := newEngine(t, Options{Lists: []List{{Name: "list.txt", Format: FormatABP, Category: consent.Analytics, Text: []byte("||counted.b-cdn.net^\n")}}})
	page := newPage("https://shop.example/")
	for url, want := range map[string]consent.Category{
		"https://shop.b-cdn.net/a.js":                 consent.Unclassified,
		"https://counted.b-cdn.net/a.js":              consent.Analytics,
		"https://shop.b-cdn.net/lib/web-analytics.js": consent.Marketing,
	} {
		if d := e.URL(page, []byte(url), Script); d.Category != want || d.Vendor == nil || d.Vendor.ID != "bunny-cdn" {
			t.Errorf("%s is %v of %v by %v", url, d.Category, d.Vendor, d.Rule)
		}
	}
}
