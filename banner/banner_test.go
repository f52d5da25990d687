package banner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// memory is Records in memory. A channel in durable makes Record wait for it.
type memory struct {
	mu       sync.Mutex
	receipts map[consent.ID]*consent.Receipt
	fail     error
	called   chan *consent.Receipt
	durable  chan struct{}
}

func (m *memory) Record(ctx context.Context, r *consent.Receipt) error {
	if m.called != nil {
		m.called <- r
	}
	if m.durable != nil {
		<-m.durable
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.receipts == nil {
		m.receipts = map[consent.ID]*consent.Receipt{}
	}
	m.receipts[r.ID] = r
	return nil
}

func (m *memory) Receipt(_ context.Context, id consent.ID) (*consent.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if r := m.receipts[id]; r != nil {
		return r, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Erase(_ context.Context, id consent.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.receipts[id] == nil {
		return fs.ErrNotExist
	}
	delete(m.receipts, id)
	return nil
}

// watcher is an Observer that keeps what it is told.
type watcher struct {
	mu      sync.Mutex
	seen    []string
	unknown []string
	reports []*Report
}

func (w *watcher) Report(_ string, r *Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, r)
}

func (w *watcher) Since(string) (t time.Time) { return t }

func (w *watcher) Seen(string) (vendors, unclassified []string) {
	return slices.Clone(w.seen), slices.Clone(w.unknown)
}

func newEngine(t testing.TB) *rules.Engine {
	t.Helper()
	e, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newBanner(t testing.TB, o Options) *Banner {
	t.Helper()
	if o.Site == "" {
		o.Site = "Shop"
	}
	b, err := New(o, newEngine(t), &memory{}, &watcher{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHead(t *testing.T) {
	b := newBanner(t, Options{Revision: 3, Unclassified: "hold"})
	v := &View{Host: []byte("www.shop.example:8443"), Nonce: []byte(`a"b`)}
	want := `<script src="` + b.GuardURL() + `" data-askfirst-guard data-granted="-" data-made="0" data-regime="opt-in" data-unclassified="hold" data-revision="3" data-site="shop.example" nonce="a&#34;b"></script>`
	if got := string(b.AppendHead(nil, v, nil)); got != want {
		t.Errorf("head\n got %s\nwant %s", got, want)
	}
	if got := string(newBanner(t, Options{Anew: true}).AppendHead(nil, v, nil)); !strings.Contains(got, " data-anew ") {
		t.Errorf("head\n got %s", got)
	}
}

// update rewrites the golden files: ASKFIRST_UPDATE=1 go test ./banner
var update = os.Getenv("ASKFIRST_UPDATE") != ""

// edition is what a form says behind what is shown: it changes with every text.
var edition = regexp.MustCompile(`(name="shown" value="[a-z]+)\.1\.[0-9a-f]{8}"`)

// golden compares markup with testdata/<name>.html, in which every tag begins a
// line so that a change can be read.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = edition.ReplaceAllString(got, `$1"`)
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	file := filepath.Join("testdata", name+".html")
	if update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range gotLines {
			if i >= len(wantLines) || gotLines[i] != wantLines[i] {
				t.Fatalf("%s:%d:\n got %s\nwant %s", file, i+1, gotLines[i], append(wantLines, make([]string, i+1)...)[i])
			}
		}
		t.Fatalf("%s: shorter than it was", file)
	}
}

var (
	choice = consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Analytics), At: time.Unix(1700000000, 0)}
	made   = consent.Stand(consent.OptIn, &choice, consent.NoObjection)
	video  = &rules.Vendor{ID: "youtube", Name: "YouTube", Company: "Google LLC", Country: "US", Category: consent.Marketing, Widget: "video"}
)

func TestMarkup(t *testing.T) {
	b := newBanner(t, Options{PolicyURL: "/privacy", Theme: map[string]string{"accent": "#053", "--askfirst-radius": "4px"}})
	view := View{Host: []byte("www.shop.example:8080"), Return: []byte(`/a/b?c="d"&e=ä'`), Nonce: []byte("r4nd0m")}
	for _, c := range []struct {
		name, lang string
		standing   consent.Standing
	}{
		{"ask-en", "en", consent.Standing{}},
		{"ask-ar", "ar", consent.Standing{}},
		{"ask-opt-out", "en", consent.Stand(consent.OptOut, nil, consent.GPC)},
		{"ask-notice", "en", consent.Stand(consent.Notice, nil, consent.NoObjection)},
		{"made-de", "de", made},
	} {
		v := view
		v.Standing = c.standing
		golden(t, c.name, string(b.AppendFoot(nil, &v, []byte(c.lang))))
	}
	for _, c := range []struct {
		name string
		box  Box
	}{
		{"box-iframe", Box{Vendor: video, Category: consent.Marketing, Element: []byte("iframe"), Width: []byte("560"), Height: []byte("315px"), Class: []byte(`a "b"`), Style: []byte("border:0"), Title: []byte("<b>Title</b>")}},
		{"box-percent", Box{Vendor: video, Category: consent.Marketing, Element: []byte("iframe"), Width: []byte("50%"), Height: []byte("50%"), Style: []byte("color:red")}},
		{"box-mark", Box{Vendor: video, Category: consent.Social, Element: []byte("div"), Width: []byte("x"), Height: []byte("-1")}},
		{"box-unknown", Box{Category: consent.Unclassified, Element: []byte("audio")}},
	} {
		golden(t, c.name, string(b.AppendPlaceholder(nil, &view, nil, &c.box))+BoxEnd)
	}
}

// TestMarkupIsASCII holds for pages of every encoding that is a superset of
// ASCII: what the banner adds reads the same in all of them.
func TestMarkupIsASCII(t *testing.T) {
	b := newBanner(t, Options{Title: "Ærø"})
	for _, tag := range embedded() {
		out := b.AppendFoot(nil, &View{Return: []byte("/ä")}, []byte(tag))
		out = b.AppendPlaceholder(out, &View{Return: []byte("/ä")}, []byte(tag), &Box{Vendor: video})
		for i, c := range out {
			if c >= 0x80 {
				t.Fatalf("%s: byte %#x after %q", tag, c, out[max(0, i-40):i])
			}
		}
	}
}

// TestMarkupParses reads the markup with a parser that is not ours.
func TestMarkupParses(t *testing.T) {
	b := newBanner(t, Options{PolicyURL: "/privacy"})
	for _, tag := range embedded() {
		for _, hostile := range []string{"/", `/"><script>alert(1)</script>`, "/'&amp;</template></form>", "/⟦nonce⟧"} {
			v := &View{Return: []byte(hostile), Nonce: []byte(hostile), Standing: made}
			out := b.AppendHead(nil, v, nil)
			out = b.AppendPlaceholder(out, v, []byte(tag), &Box{Vendor: video, Element: []byte("iframe"), Width: []byte(hostile), Height: []byte(hostile), Class: []byte(hostile), Style: []byte(hostile), Title: []byte(hostile)})
			out = append(out, BoxEnd...)
			out = b.AppendFoot(out, v, []byte(tag))
			z := html.NewTokenizer(bytes.NewReader(out))
			open := map[string]int{}
			var scripts int
			for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
				token := z.Token()
				switch {
				case kind == html.StartTagToken && token.Data == "script":
					scripts++
				case kind == html.StartTagToken && token.Data != "input":
					open[token.Data]++
				case kind == html.EndTagToken && token.Data != "script":
					open[token.Data]--
				case kind == html.SelfClosingTagToken && token.Data != "path":
					t.Errorf("%s: <%s/>", tag, token.Data)
				}
			}
			for name, n := range open {
				if n != 0 {
					t.Errorf("%s, %s: %d <%s> left open", tag, hostile, n, name)
				}
			}
			if scripts != 1 {
				t.Errorf("%s, %s: %d scripts", tag, hostile, scripts)
			}
		}
	}
}

// FuzzReturn follows a page's address through the form and through a link: both
// bring the visitor back to the same place of the same origin.
func FuzzReturn(f *testing.F) {
	for _, seed := range []string{"/", "/a/b?c=d&e=f", `/a"b'<c>\d`, "/ä?ö", "/%2F%22", "//evil.example", "/a b\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		inForm := html.UnescapeString(string(appendReturn(nil, []byte(uri))))
		inQuery, err := url.QueryUnescape(string(appendQueryValue(nil, []byte(uri))))
		if err != nil || inForm != inQuery {
			t.Errorf("%q: %q in a form, %q in a query: %v", uri, inForm, inQuery, err)
		}
		if strings.HasPrefix(uri, "/") && !strings.HasPrefix(uri, "//") && len(inForm) <= maxReturn && local(inForm) != inForm {
			t.Errorf("%q becomes %q, which is refused", uri, inForm)
		}
	})
}

// TestEqualViewsGiveEqualBytes is what lets pages be memoised.
func TestEqualViewsGiveEqualBytes(t *testing.T) {
	first, second := newBanner(t, Options{}), newBanner(t, Options{})
	for _, tag := range embedded() {
		v := &View{Return: []byte("/x")}
		if !bytes.Equal(first.AppendFoot(nil, v, []byte(tag)), second.AppendFoot(nil, v, []byte(tag))) {
			t.Errorf("%s: two banners of the same options differ", tag)
		}
	}
	if first.GuardURL() != second.GuardURL() || first.GuardHash() != second.GuardHash() {
		t.Error("the guard's address differs")
	}
}

func TestStyleHashes(t *testing.T) {
	b := newBanner(t, Options{Theme: map[string]string{"font": "Georgia, serif"}})
	out := b.AppendPlaceholder(b.AppendFoot(nil, &View{}, nil), &View{}, nil, &Box{})
	var got []string
	for rest := string(out); ; {
		_, after, found := strings.Cut(rest, "<style>")
		if !found {
			break
		}
		css, after, _ := strings.Cut(after, "</style>")
		sum := sha256.Sum256([]byte(css))
		got = append(got, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		rest = after
	}
	if !slices.Equal(got, b.StyleHashes()) || len(got) != 3 {
		t.Errorf("hashes of the styles in pages: %v, said to be %v", got, b.StyleHashes())
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{
		{Prefix: "/"}, {Prefix: "/x"}, {Prefix: "x/"}, {Prefix: "//x/"}, {Prefix: "/x y/"}, {Prefix: `/x"/`},
		{PolicyURL: "javascript:alert(1)"}, {Layout: "wall"}, {Categories: []consent.Category{consent.Necessary}},
		{CookieMaxAge: 396 * 24 * time.Hour}, {CookieMaxAge: time.Millisecond}, {CookieMaxAge: -time.Hour}, {CookieDomain: "a;b"}, {Unclassified: "maybe"},
		{Theme: map[string]string{"acent": "red"}}, {Theme: map[string]string{"accent": "red;}"}}, {Theme: map[string]string{"accent": "URL(x)"}}, {Theme: map[string]string{"accent": ""}},
		{Theme: map[string]string{"accent": "#8af"}}, {Theme: map[string]string{"paper": "#777"}}, {Theme: map[string]string{"ink-dark": "#555555"}},
	} {
		if _, err := New(o, newEngine(t), &memory{}, &watcher{}); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	_, err := New(Options{Layout: "wall", Prefix: "x", Language: "tlh"}, newEngine(t), &memory{}, &watcher{})
	for _, want := range []string{"layout", "prefix", "language"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of the %s", err, want)
		}
	}
}

func TestSite(t *testing.T) {
	b := newBanner(t, Options{})
	for host, want := range map[string]string{
		"www.shop.example": "shop.example", "shop.example:80": "shop.example", "a.b.co.uk": "b.co.uk", "co.uk": "co.uk",
		"localhost:8080": "localhost", "shop.localhost": "shop.localhost", "192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:443": "[2001:db8::1]", "": "", ":": "",
	} {
		if got := b.site([]byte(host)); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}

// appends are the three functions that run for every page.
func appends(b *Banner) map[string]func(dst []byte) []byte {
	v := &View{Host: []byte("www.shop.example"), Return: []byte("/blog/post?page=2"), AcceptLanguage: []byte("fr-CH, fr;q=0.9, en;q=0.8"), Nonce: []byte("bm9uY2U"), Standing: made}
	box := &Box{Vendor: video, Category: consent.Marketing, Element: []byte("iframe"), Width: []byte("560"), Height: []byte("315"), Class: []byte("embed"), Title: []byte("Video")}
	return map[string]func(dst []byte) []byte{
		"Head":        func(dst []byte) []byte { return b.AppendHead(dst, v, nil) },
		"Foot":        func(dst []byte) []byte { return b.AppendFoot(dst, v, nil) },
		"Placeholder": func(dst []byte) []byte { return b.AppendPlaceholder(dst, v, nil, box) },
	}
}

func TestAppendsDoNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 64<<10)
	for name, appendTo := range appends(newBanner(t, Options{})) {
		if n := testing.AllocsPerRun(100, func() { appendTo(buf) }); n != 0 {
			t.Errorf("Append%s allocates %v times", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 64<<10)
	for name, appendTo := range appends(newBanner(b, Options{})) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(appendTo(buf))))
			for b.Loop() {
				appendTo(buf)
			}
		})
	}
}

// TestContrast compares with pairs that WCAG's own understanding documents and
// others have worked out.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{{"#000", "#fff", 21}, {"#777777", "#ffffff", 4.48}, {"#767676", "#fff", 4.54}, {"#fff", "#fff", 1}, {"#00f", "#fff", 8.59}} {
		a, _ := parseColour(c.a)
		b, _ := parseColour(c.b)
		if got := contrast(a, b); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s on %s: %.3f, want %v", c.a, c.b, got, c.want)
		}
	}
	for name, value := range themeDefaults {
		if !strings.Contains(styles("tokens"), "var(--askfirst-"+name+","+value+")") {
			t.Errorf("the style sheet's %s is not %s", name, value)
		}
	}
	if err := errors.Join(contrasts(nil, ""), contrasts(nil, "-dark")); err != nil {
		t.Error(err)
	}
}
