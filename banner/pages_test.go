package banner

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

func TestPages(t *testing.T) {
	e := serve(t, Options{Title: `Tom & "Co"`, PolicyURL: "/privacy"})
	choice := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Social), At: time.Now(), ID: consent.NewID()}
	e.visit.Standing = consent.Stand(consent.OptIn, &choice, consent.GPC)
	e.records.receipts = map[consent.ID]*consent.Receipt{choice.ID: {Choice: choice, Site: "Shop", Action: "save", Vendors: []string{"x"}}}
	for _, path := range []string{"/_askfirst/preferences", "/_askfirst/cookies", "/_askfirst/receipt"} {
		for _, tag := range embedded() {
			a := e.do("GET", path+"?return=%2Fblog%3Fa%3D%22b", "", "Accept-Language", tag)
			e.status(a, 200)
			if !strings.Contains(a.body, `<html lang="`+tag+`"`) || strings.Contains(a.body, "ZgotmplZ") || strings.Contains(a.body, "⟦") || strings.Contains(a.body, "{site}") {
				t.Errorf("%s in %s is not whole", path, tag)
			}
			policy := a.Header.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", a.Header)
			}
			if strings.Contains(a.body, "<script") || strings.Contains(a.body, " src=") || strings.Contains(a.body, " style=") || strings.Contains(a.body, " on") && strings.Contains(a.body, "onclick") {
				t.Errorf("%s runs or loads something", path)
			}
		}
		if a := e.do("HEAD", path, ""); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD %s: %d", path, a.StatusCode)
		}
	}
	a := e.do("GET", "/_askfirst/preferences?return=//evil.example", "")
	if strings.Contains(a.body, "evil") {
		t.Error("a foreign return address is carried along")
	}
	for _, want := range []string{`data-askfirst="withdraw"`, `value="social" aria-describedby="social" checked`, "Global Privacy Control"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("preferences lack %s", want)
		}
	}
	if strings.Count(a.body, " checked") != 1 {
		t.Error("more is ticked than was agreed to")
	}
}

func TestReceipt(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Country = "NO"
	e.status(e.do("GET", "/_askfirst/receipt", ""), 404)
	e.status(e.do("GET", "/_askfirst/receipt.json", ""), 404)
	a := e.json("/_askfirst/consent", `{"choice":"save","categories":["analytics"]}`)
	_, choice := e.cookie(a)
	e.visit.Standing = consent.Stand(consent.OptIn, &choice, consent.NoObjection)
	a = e.do("GET", "/_askfirst/receipt.json", "")
	e.status(a, 200)
	var got receipt
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.ID != choice.ID.String() || !slices.Equal(got.Categories, []string{"analytics"}) || got.Address != "192.0.2.0" {
		t.Errorf("%v: %s", err, a.body)
	}
	for language, rows := range map[string]string{
		"en": "<dt>Rule</dt><dd>Nothing optional without consent · the site&#39;s setting for everybody</dd></div>\n<div><dt>Country</dt><dd>Norway</dd>",
		"de": "<dt>Regel</dt><dd>Nichts Optionales ohne Einwilligung · die Einstellung der Website für alle</dd></div>\n<div><dt>Land</dt><dd>Norwegen</dd>",
	} {
		page := e.do("GET", "/_askfirst/receipt", "", "Accept-Language", language)
		for _, part := range []string{choice.ID.String(), rows} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page in %s does not show %s", language, part)
			}
		}
	}
	e.records.fail = errors.New("away")
	e.status(e.do("GET", "/_askfirst/receipt.json", ""), 503)
	a = e.form("/_askfirst/receipt/erase", url.Values{})
	e.status(a, 503)
	if len(a.Cookies()) != 0 {
		t.Error("the cookie goes although the record stays")
	}
	e.records.fail = nil
	a = e.form("/_askfirst/receipt/erase", url.Values{})
	e.status(a, http.StatusSeeOther)
	if len(a.Cookies()) != 1 || a.Cookies()[0].MaxAge != -1 || a.Cookies()[0].Name != "askfirst" || a.Header.Get("Location") != "/_askfirst/receipt?erased" {
		t.Errorf("erase: %v", a.Header)
	}
	e.status(e.do("GET", "/_askfirst/receipt", ""), 404)
	e.status(e.json("/_askfirst/receipt/erase", `{}`), 204)
}

// TestReceiptOfAnOlderRevision is there to be seen and erased, though its choice no
// longer stands.
func TestReceiptOfAnOlderRevision(t *testing.T) {
	e := serve(t, Options{})
	cookie, choice := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	field := []string{"Cookie", "a=b; " + cookie.Name + "=" + cookie.Value}
	e.visit.Standing = consent.Stand(consent.OptIn, nil, consent.NoObjection)
	if a := e.do("GET", "/_askfirst/receipt.json", "", field...); !strings.Contains(a.body, choice.ID.String()) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	e.status(e.json("/_askfirst/receipt/erase", `{}`, field...), 204)
	if _, err := e.records.Receipt(t.Context(), choice.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the record is still there: %v", err)
	}
}

// TestRegimeIsSaidInWords: how consent worked, and by what rule.
func TestRegimeIsSaidInWords(t *testing.T) {
	b := newBanner(t, Options{})
	for _, c := range []struct {
		language, rule string
		regime         consent.Regime
		want           string
	}{
		{"en", "DE, built in, by X-Country", consent.OptIn, "Nothing optional without consent · what holds in Germany"},
		{"en", "US-CA, configured, by database", consent.OptOut, "Everything until there is an objection · what holds in United States (CA)"},
		{"en", "fallback, place unknown", consent.Notice, "Everything, with notice and a way to refuse · the site's setting where no country's rule applies"},
		{"de", "AT, built in, by database", consent.OptIn, "Nichts Optionales ohne Einwilligung · was in diesem Land gilt: Österreich"},
		{"ja", "JP, built in, by database", consent.Notice, "通知したうえですべて使い、拒否もできる · この国で適用されるもの: 日本"},
		{"en", "", consent.OptIn, "Nothing optional without consent"},
	} {
		l := b.languages.list[b.languages.index[c.language]]
		if got := l.regime(c.regime, c.rule); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.rule, c.language, got, c.want)
		}
	}
}

func TestDeclaration(t *testing.T) {
	e := serve(t, Options{})
	if e.banner.engine.Vendor("google-analytics") == nil {
		t.Fatal("the catalogue does not know google-analytics")
	}
	e.watcher.seen = []string{"youtube", "google-analytics", "google-analytics", "nobody"}
	a := e.do("GET", "/_askfirst/cookies.json", "")
	e.status(a, 200)
	var d declaration
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || len(d.Vendors) != 2 || d.Vendors[0].ID != "google-analytics" || !d.Vendors[0].OutsideEEA || len(d.Vendors[0].Stores) == 0 || len(d.Own) != 1 {
		t.Errorf("%v: %s", err, a.body)
	}
	a = e.do("GET", "/_askfirst/cookies", "", "Accept-Language", "de")
	for _, want := range []string{"Vereinigte Staaten", "außerhalb des Europäischen Wirtschaftsraums", "<code>_ga</code><p>Erkennt den Browser wieder", `href="https://policies.google.com/privacy`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the declaration lacks %s", want)
		}
	}
	part := e.do("GET", "/_askfirst/cookies.html", "", "Accept-Language", "de")
	e.status(part, 200)
	if !strings.HasPrefix(part.body, `<div class="askfirst-cookies" lang="de" dir="ltr">`) || strings.Contains(part.body, "<style") || strings.Contains(part.body, "<html") ||
		!strings.Contains(part.body, "<code>_ga</code>") {
		t.Errorf("the part for a site's own page is %s", part.body)
	}
	if whole := a.body[strings.Index(a.body, "<section"):]; !strings.Contains(part.body, whole[:strings.LastIndex(whole, "</section>")]) {
		t.Error("the part says something else than the page")
	}
}

// Hosts that nobody knows are listed in page, part and JSON, in the visitor's
// language; those that have become known since, and the site's own, are not.
func TestDeclarationListsUnclassifiedHosts(t *testing.T) {
	e := serve(t, Options{})
	if a := e.do("GET", "/_askfirst/cookies.json", ""); !strings.Contains(a.body, `"unclassified": []`) {
		t.Errorf("JSON where there is none: %s", a.body)
	}
	e.watcher.unknown = []string{"z.nobody.example", `<b>"&.example`, "www.google-analytics.com", "a.nobody.example", "shop.example"}
	var d declaration
	if a := e.do("GET", "/_askfirst/cookies.json", ""); json.Unmarshal([]byte(a.body), &d) != nil || !slices.Equal(d.Unclassified, []string{"a.nobody.example", "z.nobody.example"}) {
		t.Errorf("JSON: %s", a.body)
	}
	for _, path := range []string{"/_askfirst/cookies", "/_askfirst/cookies.html"} {
		a := e.do("GET", path, "", "Accept-Language", "de")
		e.status(a, 200)
		if !strings.Contains(a.body, `<h2>Noch nicht eingeordnet</h2>`) || !strings.Contains(a.body, `<li><code>a.nobody.example</code></li><li><code>z.nobody.example</code></li></ul>`) ||
			strings.Contains(a.body, "<b>") || strings.Contains(a.body, "google-analytics.com") || strings.Contains(a.body, "keine Dienste") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

func TestDeclarationSaysOnWhatDataAreTransferred(t *testing.T) {
	for stated, want := range map[string]string{"": "nicht angegeben", "dpf": "EU-US Data Privacy Framework", "scc": "Standardvertragsklauseln"} {
		e := serve(t, Options{Transfers: map[string]string{"google-analytics": stated}})
		e.watcher.seen = []string{"google-analytics"}
		for _, path := range []string{"/_askfirst/cookies", "/_askfirst/cookies.html"} {
			a := e.do("GET", path, "", "Accept-Language", "de")
			if !strings.Contains(a.body, "<dt>Grundlage der Übermittlung</dt><dd>"+want+"</dd>") {
				t.Errorf("%s, stated %q: it is not said that the basis is %s", path, stated, want)
			}
		}
		if stated == "" {
			stated = "unstated"
		}
		if a := e.do("GET", "/_askfirst/cookies.json", ""); !strings.Contains(a.body, `"transfer": "`+stated+`"`) {
			t.Errorf("JSON, stated %s: %s", stated, a.body)
		}
	}
}
