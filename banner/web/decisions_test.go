package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// vector is one decision that the guard must make as the engine does.
type vector struct {
	Page string `json:"page"`
	Site string `json:"site"`
	Base string `json:"base"`
	Kind string `json:"kind"`
	Ref  string `json:"ref"`
	// Unseen is tiny or hidden where the element is.
	Unseen string `json:"unseen"`
	Want   string `json:"want"`
}

type suite struct {
	Name    string                     `json:"name"`
	Base    json.RawMessage            `json:"base"`
	Parts   map[string]json.RawMessage `json:"parts"`
	Vectors []vector                   `json:"vectors"`
}

// overrides are one of each sort, so that each sort's way into the table is
// held against the engine.
var overrides = []rules.Override{
	{Vendor: "google-analytics", Category: consent.Functional},
	{Vendor: "hotjar", Category: consent.Marketing, AlwaysHold: true},
	{Domain: "cdn.example", Category: consent.Marketing},
	{Domain: "shop.example", Category: consent.Analytics, Pages: "/checkout/*"},
	{URL: "*/wp-includes/", As: "matomo", Category: consent.Unclassified},
	{URL: "youtube.com/embed", Category: consent.Social, Pages: "/blog/*"},
	{Inline: []string{"fbq('init'"}, Category: consent.Social},
	{URL: "pieces.example/" + strings.Repeat("*a", 20) + "b", Category: consent.Social},
	{Cookie: "session*", Category: consent.Marketing, AlwaysHold: true},
	{Cookie: "_ga", Category: consent.Necessary},
}

// guessedAt are addresses that nothing but heuristics knows, and such as only
// look like them.
var guessedAt = []string{
	"x.example/", "x.example/a.gif", "x.example/a.GIF?b=1", "x.example/photo.png", "x.example/photo.JPG?site=1", "x.example/media/17",
	"x.example/watch/17?", "x.example/dims/resize/1200x630/7", "x.example/Crop/", "x.example/render?W=300", "x.example/render?w", "media.x.example/17", "a.svg.example/17",
	"x.example/images/ajax-Loader.gif", "x.example/ajax-loader.gif?", "x.example/loader.gif?u=1", "x.example/loading/a.gif", "pub.x.example/a",
	"x.example/1.gif?u=4f3c2a1b9d8e7f60&t=1700000000000&r=https", "x.example/1.gif?width=300&height=200&fit=crop&format=auto",
	"x.example/1.gif?Expires=1700000000&Signature=4f3c2a1b9d8e7f60~a", "x.example/1.gif?signature=4f3c2a1b9d8e7f60&t=1700000000000", "x.example/1.gif?designature=4f3c2a1b9d8e7f60&t=1700000000000",
	"x.example/1.gif?4f3c2a1b9d8e7f60-aaaaaaaaaaaaaaaaaaaaaaaaaa", "x.example/1.gif?aaaaaaaaaaaaaaaa&bbbbbbbbbbbbbbbbbb&1&2&3&4", "x.example/1.gif?u=4f3c2a1b9d8e",
	"ads.x.example/a", "eu.track2.x.example/", "ads.example/a", "loads.x.example/a", "downloads.stats-blog.example/a", "STATS.x.example./a", "ads.example./a",
	"10.0.0.1/a", "x.example/pixel", "x.example/Pixel2?u=1", "x.example/lib/web-analytics.min.js", "x.example/b_728x90.php", "x.example/728x901.php?u=1",
	"x.example/pixelated/tagline.js", "x.example/a?from=/pixel/", "x.example/pixel.png?u=1", "x.example/pixel.gif?u=1", "beacon.example/track", "x.example//tag",
	"x.example/a?zoneid=7", "x.example/a?b=1&GDPR_consent=x", "x.example/a?xzoneid=1&zoneids=1&a=zoneid=1", "x.example/a?zoneid", "x.example/a?&&pid=7&w=3", "x.example/a.jpg?pid=7",
	"x.example/f/DH_MREC_300x250_work.jpg", "x.example/banners/160x600-Marylin.jpg", "x.example/hosted-728x90.png", "x.example/f/ad_300X250.gif", "x.example/Ads/2022/domo.gif", "x.example/beach-300x250.jpg",
	"x.example/beach-1728x90.jpg", "x.example/loads/beach.jpg", "x.example/ads.jpg", "x.example/beach.jpg?crop=728x90", "x.example/_300x600", "x.example/a.970x90?",
	"x.example/login", "x.example/a/SSO/b", "x.example/oauth2?a", "x.example/login.html", "x.example/a?to=/login", "login.example/a", "x.example/a-login",
	"x.example/c/Shop.example.js?v=1", "x.example/shop.example.js", "x.example/shopXexample.js", "x.example/myshop.example.js", "x.example/a?b=/shop.example.js", "x.example/localhost.js",
	"x.example/s/www.shop.example.15.js", "x.example/keys/Shop.example/p.js", "x.example/_shop.example-2.js", "x.example/shop.example/a/b.js", "x.example/shop.example.1/a.js",
	"x.example/my-shop.example.js", "x.example/shop.example", "x.example/.js", "x.example/_a.js", "x.example/a/-.js", "x.example/shop.examples.js", "shop.example.x.example/p.js", "shop.example.x.example/a.js/p",
	"x.example/themes/publisher/js/theme.js", "x.example/themes/shop/tracking.js", "x.example/themes/tracking.js", "x.example/_next/page-beacon.js", "x.example/themes/a/themes/tag/b.js", "x.example/tag/themes/a/b.js",
	"x.example/a?/themes/tag/b", "x.example/themes/tag?/", "stat.x.example/a", "stat5.x.example/a", "x.example/c_fill,w_630/beach",
	"t.x.example/a", "t1.x.example/a", "t.example/a", "tags3.x.example/a", "cdn.webtracker.example/a", "pixanalytics2.example/a", "counter.example:8080/a", "x.example.analytics/a",
	"adzone.example/a", "cdn.ad-feed.example/a", "adobe.example/a", "adns.example/a", "x.adnsx/a", "vidads.example/a", "xads.example/a", "xyads.example/a", "goodleads.example/a", "x.vidads/a",
	"isometric.example/a", "racetrack.example/a", "metrics.example/a", "x.example/hb/site.js", "x.example/a/300x250/2018/cat.jpg", "x.example/a/cats-728x90/cat.jpg", "x.example/728x90/",
	"x.example/70417.js", "x.example/js/70417.js?v=1", "x.example/js/2026112701.js", "x.example/a/70417.js", "x.example/70417.png", "x.example/70417.png?",
	"x.example/57/e4/4f/57e44fa14290cb53f93c96a75d3da08d.js", "x.example/57/e4/4F/57E44fa14290cb53f93c96a75d3da08d.js?a", "x.example/57/e4/4f/57e44ea14290cb53f93c96a75d3da08d.js",
}

// TestMatcherDecidesAsTheEngine runs the shared vectors, and everything else
// that the rules are tested with, through the guard's matcher.
func TestMatcherDecidesAsTheEngine(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		skipNode(t, "no Node.js on this machine: the guard's decisions are not held against the engine's")
	}
	given := readVectors(t)
	plain, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	certain, err := rules.New(rules.Options{HeuristicsOff: rules.Heuristics()})
	if err != nil {
		t.Fatal(err)
	}
	overridden, err := rules.New(rules.Options{Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	derived := derive(t, given)
	suites := []suite{
		newSuite("decisions.txt", certain, given),
		newSuite("catalogue", plain, decided(plain, derived)),
		newSuite("no heuristics", certain, decided(certain, derived)),
		newSuite("overrides", overridden, decided(overridden, derived)),
	}
	dir := t.TempDir()
	script, err := build(workingDir(t), "test/decisions.test.ts", api.PlatformNode)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(suites)
	if err != nil {
		t.Fatal(err)
	}
	entry, vectors := filepath.Join(dir, "decisions.test.mjs"), filepath.Join(dir, "suites.json")
	for file, content := range map[string][]byte{entry: script, vectors: data} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(node, "--test", entry)
	cmd.Env = append(os.Environ(), "ASKFIRST_SUITES="+vectors)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func newSuite(name string, e *rules.Engine, vectors []vector) suite {
	table := e.Table()
	s := suite{Name: name, Base: table.Base, Parts: map[string]json.RawMessage{}}
	for part, text := range table.Parts {
		s.Parts[part] = text
	}
	for _, v := range vectors {
		// Marks are looked at on the wire alone: a widget is filled by a script, which the guard holds.
		if v.Kind != "widget" {
			s.Vectors = append(s.Vectors, v)
		}
	}
	return s
}

func skipNode(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("ASKFIRST_NODE") == "required" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// TestTypes has TypeScript check what the bundler only strips.
func TestTypes(t *testing.T) {
	tsc := filepath.Join(workingDir(t), "node_modules", ".bin", "tsc")
	if _, err := os.Stat(tsc); err != nil {
		skipNode(t, "no TypeScript here: run npm ci in banner/web")
	}
	for _, project := range []string{"guard", "test"} {
		if out, err := exec.Command(tsc, "--noEmit", "-p", project).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", project, err, out)
		}
	}
}

// readVectors reads the decisions that engine and guard share.
func readVectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../../rules/testdata/decisions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		f := strings.Split(lines.Text(), "\t")
		v := vector{Page: f[0], Site: siteOf(f[0]), Kind: f[1], Ref: unescape(t, f[2]), Want: strings.Join(f[3:6], " ")}
		if len(f) > 6 {
			v.Base = unescape(t, f[6])
		}
		vectors = append(vectors, v)
	}
	return vectors
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &text); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return text
}

func siteOf(page string) string {
	var p rules.Page
	p.Reset([]byte(page))
	return string(p.Site())
}

// derive makes more vectors: every reference of the shared ones and of the
// rules' corpus, seen from pages that overrides single out.
func derive(t *testing.T, given []vector) []vector {
	t.Helper()
	corpus, err := os.ReadFile("../../rules/testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	asked := given
	for ref := range strings.Lines(string(corpus)) {
		asked = append(asked, vector{Kind: "script", Ref: strings.TrimSuffix(ref, "\n")})
	}
	for _, name := range []string{"_ga", "_ga_X", "session", "session_id", "_hjid", "cart"} {
		asked = append(asked, vector{Kind: "cookie", Ref: name})
	}
	for _, address := range guessedAt {
		for _, kind := range []string{"script", "frame", "image", "ping", "connect", "style", "hint"} {
			for _, unseen := range []string{"", "tiny", "hidden"} {
				asked = append(asked, vector{Kind: kind, Ref: "https://" + address, Unseen: unseen})
			}
		}
	}
	for _, code := range []string{"ga('create','UA-1-1')", "NREUM={loader_config:{}}", "fbq('init'", "f()"} {
		for _, size := range []int{16 << 10, 16<<10 + 1} { // of a snippet, and more
			asked = append(asked, vector{Kind: "inline", Ref: code + strings.Repeat("\n", size-len(code))})
		}
		touches := strings.Fields(`'click' "click" .click( .preventDefault( classList. .addClass( .removeClass( .toggleClass(
			.hasClass( .show( .hide( .fadeIn( .fadeOut( .slideDown( .slideUp( .slideToggle( .css( .html( .val( xval( .classlist.`)
		for i, touch := range touches {
			twice := strings.Repeat(touch+")\n", 2)
			asked = append(asked, vector{Kind: "inline", Ref: twice + code}, vector{Kind: "inline", Ref: twice + code + touches[(i+1)%len(touches)]})
		}
	}
	var vectors []vector
	for _, page := range []string{"https://www.shop.example/blog/post.html?x=1", "https://shop.example/checkout/2", "http://localhost:8080/"} {
		for _, v := range asked {
			vectors = append(vectors, vector{Page: page, Site: siteOf(page), Kind: v.Kind, Ref: v.Ref, Unseen: v.Unseen})
		}
	}
	return vectors
}

// decided returns the vectors with what the engine decides.
func decided(e *rules.Engine, asked []vector) []vector {
	vectors := make([]vector, len(asked))
	var page rules.Page
	for i, v := range asked {
		page.Reset([]byte(v.Page))
		d := decide(e, &page, v)
		vendor, category := "-", d.Category.String()
		if d.Vendor != nil && d.Category != consent.Unclassified && d.Rule != nil && (d.Rule.Source == rules.SourceCatalogue || d.Rule.Source == rules.SourceOverride) {
			// The guard is not told the names of the breadth table, nor of what is unclassified.
			vendor = d.Vendor.ID
		}
		if d.Never {
			category = "never"
		}
		v.Want = vendor + " " + category + " " + d.Party.String()
		vectors[i] = v
	}
	return vectors
}

func decide(e *rules.Engine, p *rules.Page, v vector) rules.Decision {
	ref := []byte(v.Ref)
	switch v.Kind {
	case "cookie":
		return e.Cookie(ref)
	case "storage":
		return e.Storage(ref)
	case "inline":
		return e.Inline(p, ref)
	case "widget":
		switch name := bytes.Trim(ref, ".#[]"); {
		case ref[0] == '.':
			return e.Class(name)
		case ref[0] == '#':
			return e.ID(name)
		case ref[0] == '[':
			name, value, _ := bytes.Cut(name, []byte("="))
			return e.Attribute(name, value)
		}
		return e.Element(ref)
	}
	kind, _ := rules.ParseKind(v.Kind)
	var sign rules.Sign
	switch v.Unseen {
	case "tiny":
		sign = rules.Tiny
	case "hidden":
		sign = rules.Hidden
	}
	return e.URLWith(p, ref, kind, sign)
}
