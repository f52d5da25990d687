package banner

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// last returns the only receipt there is.
func (e *endpointTest) last(a answered) *consent.Receipt {
	e.t.Helper()
	_, choice := e.cookie(a)
	r := e.records.receipts[choice.ID]
	if r == nil {
		e.t.Fatal("there is no receipt")
	}
	return r
}

// A receipt's hash is that of what went into the page: markup, texts, ticks.
func TestReceiptHoldsWhatWasRendered(t *testing.T) {
	made := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Functional), At: time.Now(), ID: consent.NewID()}
	for _, before := range []*consent.Choice{nil, &made} {
		for _, regime := range []consent.Regime{consent.OptIn, consent.OptOut, consent.Notice} {
			e := serve(t, Options{})
			e.visit.Standing = consent.Stand(regime, before, consent.NoObjection)
			banner := e.banner.AppendFoot(nil, &View{Standing: e.visit.Standing, Host: []byte("www.shop.example"), Return: []byte("/")}, []byte("de"))
			r := e.last(e.json("/_askfirst/consent", `{"choice":"save","language":"de","shown":"banner"}`))
			if !bytes.Equal(r.Text, banner) || r.Shown != sha256.Sum256(banner) {
				t.Errorf("%v: the receipt holds\n%s\nthe page\n%s", regime, r.Text, banner)
			}
			page := e.do("GET", "/_askfirst/preferences?return=/&language=de", "").body
			r = e.last(e.form("/_askfirst/consent", url.Values{"choice": {"save"}, "language": {"de"}, "shown": {"preferences"}}))
			if before != nil {
				page = strings.Replace(page, moment(before.At), "", 1)
			}
			if string(r.Text) != page || r.Shown != sha256.Sum256([]byte(page)) {
				t.Errorf("%v: the receipt holds\n%s\nthe page\n%s", regime, r.Text, page)
			}
			box := e.banner.AppendPlaceholder(nil, &View{Host: []byte("www.shop.example"), Return: []byte("/")}, []byte("de"),
				&Box{Vendor: e.banner.engine.Vendor("youtube"), Category: consent.Marketing})
			r = e.last(e.json("/_askfirst/consent", `{"choice":"always","categories":["marketing"],"vendor":"youtube","language":"de","shown":"box"}`))
			if len(r.Text) == 0 || !bytes.HasSuffix(box, r.Text) {
				t.Errorf("the receipt holds\n%s\nthe page\n%s", r.Text, box)
			}
			r = e.last(e.json("/_askfirst/consent", `{"choice":"save","method":"api"}`))
			if r.Text != nil || r.Shown != [32]byte{} {
				t.Error("the site asked in its own way, and the receipt says that we did")
			}
		}
	}
}

// A page may have been open, or in a cache, while texts or policy were changed: its
// visitor agreed to what it said.
func TestReceiptOfAPageOfBefore(t *testing.T) {
	field := regexp.MustCompile(`name="shown" value="([^"]+)"`)
	old := newBanner(t, Options{})
	view := &View{Host: []byte("www.shop.example"), Return: []byte("/")}
	banner := field.FindSubmatch(old.AppendFoot(nil, view, []byte("en")))
	box := field.FindSubmatch(old.AppendPlaceholder(nil, view, []byte("en"), &Box{Vendor: video, Category: consent.Marketing}))
	preferences := field.FindStringSubmatch(serve(t, Options{}).do("GET", "/_askfirst/preferences", "").body)
	if banner == nil || box == nil || preferences == nil {
		t.Fatal("a form does not say of which edition it is")
	}
	changed := map[string]map[string]string{"en": {"title": "We ask first"}}
	for _, shown := range []string{string(banner[1]), string(box[1]), preferences[1]} {
		body := `{"choice":"always","categories":["marketing"],"language":"en","shown":"` + shown + `"}`
		e := serve(t, Options{})
		if r := e.last(e.json("/_askfirst/consent", body)); r.Text == nil || r.Revision != 1 {
			t.Errorf("%s, nothing changed: revision %d, text %q", shown, r.Revision, r.Text)
		}
		e = serve(t, Options{Texts: changed})
		if r := e.last(e.json("/_askfirst/consent", body)); r.Text != nil || r.Revision != 1 {
			t.Errorf("%s, texts changed: revision %d, text %q", shown, r.Revision, r.Text)
		}
		e = serve(t, Options{Texts: changed, Revision: 2})
		a := e.json("/_askfirst/consent", body)
		e.status(a, 204)
		if value := a.Cookies()[0].Value; !strings.HasPrefix(value, "1.1.m.") {
			t.Errorf("%s: the choice stands for what was not shown: %s", shown, value)
		}
		for _, r := range e.records.receipts {
			if r.Text != nil || r.Revision != 1 {
				t.Errorf("%s, policy changed: revision %d, text %q", shown, r.Revision, r.Text)
			}
		}
	}
}

func TestDeclarationNamesTheCookieOfTheTCF(t *testing.T) {
	e := serve(t, Options{})
	e.banner.o.Signals.TCCookie = true
	if a := e.do("GET", "/_askfirst/cookies.json", ""); !strings.Contains(a.body, `"name": "euconsent-v2"`) {
		t.Error(a.body)
	}
}

func TestHostsInTextsAreBounded(t *testing.T) {
	e := serve(t, Options{})
	texts := map[[32]byte]bool{}
	for i := range 3 * maxHosts {
		e.visit.Host = fmt.Sprintf("host%d.example", i)
		texts[e.last(e.json("/_askfirst/consent", `{"choice":"save"}`)).Shown] = true
	}
	if len(texts) != maxHosts+1 {
		t.Errorf("%d different texts", len(texts))
	}
}

func TestGlobalPrivacyControlIsPutOnRecord(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Standing = consent.Stand(consent.OptOut, nil, consent.GPC)
	a := e.json("/_askfirst/consent", `{"choice":"gpc"}`, "Cookie", "askfirst-probe=1")
	e.status(a, http.StatusNoContent)
	r := e.last(a)
	if r.Action != "gpc" || r.Method != consent.ByGPC || r.Categories.String() != "fa" || r.Before != consent.All || r.Text != nil {
		t.Errorf("receipt %+v", r)
	}
	made := r.Choice
	for name, standing := range map[string]consent.Standing{
		"no signal":               consent.Stand(consent.OptOut, nil, consent.NoObjection),
		"a choice stands":         consent.Stand(consent.OptOut, &made, consent.GPC),
		"nothing is granted yet":  consent.Stand(consent.OptIn, nil, consent.GPC),
		"no signal, under notice": consent.Stand(consent.Notice, nil, consent.NoObjection),
	} {
		e.visit.Standing = standing
		if a := e.json("/_askfirst/consent", `{"choice":"gpc"}`); a.StatusCode != http.StatusNoContent || len(a.Cookies()) > 0 || len(e.records.receipts) != 1 {
			t.Errorf("%s: %d, cookies %v, %d receipts", name, a.StatusCode, a.Cookies(), len(e.records.receipts))
		}
		if a := e.do("GET", "/_askfirst/gpc", ""); a.StatusCode != http.StatusNoContent || len(a.Cookies()) > 0 || len(e.records.receipts) != 1 {
			t.Errorf("%s, without a script: %d, cookies %v, %d receipts", name, a.StatusCode, a.Cookies(), len(e.records.receipts))
		}
	}
	// A page without scripts asks for it as for a picture; no other site's may.
	e.visit.Standing = consent.Stand(consent.OptOut, nil, consent.GPC)
	if a := e.do("GET", "/_askfirst/gpc", "", "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden || len(e.records.receipts) != 1 {
		t.Errorf("for another site: %d, %d receipts", a.StatusCode, len(e.records.receipts))
	}
	if a := e.do("HEAD", "/_askfirst/gpc", ""); len(a.Cookies()) > 0 || len(e.records.receipts) != 1 {
		t.Errorf("for its head: cookies %v, %d receipts", a.Cookies(), len(e.records.receipts))
	}
	r = e.last(e.do("GET", "/_askfirst/gpc?return=/page", "", "Sec-Fetch-Site", "same-origin", "Cookie", "askfirst-probe=1"))
	if r.Action != "gpc" || r.Method != consent.ByGPC || r.Categories.String() != "fa" || len(e.records.receipts) != 2 {
		t.Errorf("without a script: receipt %+v of %d", r, len(e.records.receipts))
	}
}

// TestNoSignalIsPutOnRecordForWhoKeepsNoCookie: a browser that refuses cookies
// would get another receipt with every page.
func TestNoSignalIsPutOnRecordForWhoKeepsNoCookie(t *testing.T) {
	e := serve(t, Options{})
	e.visit.Standing = consent.Stand(consent.OptOut, nil, consent.GPC)
	for _, ask := range []func(string, ...string) answered{
		func(path string, fields ...string) answered {
			return e.json(strings.Replace(path, "gpc", "consent", 1), `{"choice":"gpc"}`, fields...)
		},
		func(path string, fields ...string) answered {
			return e.do("GET", path, "", append(fields, "Sec-Fetch-Site", "same-origin")...)
		},
	} {
		before := len(e.records.receipts)
		first := ask("/_askfirst/gpc?return=%2Fpage%3Fa%26b")
		e.status(first, http.StatusTemporaryRedirect)
		cookies := first.Cookies()
		if len(cookies) != 1 || cookies[0].Value != "1" || cookies[0].Path != "/_askfirst/" || !cookies[0].HttpOnly || cookies[0].MaxAge != 60 {
			t.Fatalf("cookies %v", cookies)
		}
		again := strings.Replace(first.Header.Get("Location"), "consent", "gpc", 1)
		if again != "/_askfirst/gpc?return=%2Fpage%3Fa%26b&again=1" {
			t.Errorf("sent to %q", again)
		}
		for range 3 {
			refused := ask(again)
			if e.status(refused, http.StatusNoContent); len(refused.Cookies()) > 0 {
				t.Errorf("who returns no cookie is given %v", refused.Cookies())
			}
		}
		if n := len(e.records.receipts); n != before {
			t.Errorf("%d receipts without a cookie to keep their IDs", n-before)
		}
		kept := ask(again, "Cookie", cookies[0].Name+"="+cookies[0].Value)
		e.cookie(kept)
		if len(e.records.receipts) != before+1 || kept.Cookies()[0].MaxAge >= 0 || kept.Cookies()[0].Path != cookies[0].Path {
			t.Errorf("%d receipts, cookies %v", len(e.records.receipts)-before, kept.Cookies())
		}
	}
}

func TestWithdrawalIsCalledSo(t *testing.T) {
	e := serve(t, Options{})
	some := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Marketing), At: time.Now(), ID: consent.NewID()}
	e.visit.Standing = consent.Stand(consent.OptIn, &some, consent.NoObjection)
	if r := e.last(e.form("/_askfirst/consent", url.Values{"choice": {"reject-all"}})); r.Action != "withdraw" || r.Before != some.Categories {
		t.Errorf("receipt %+v", r)
	}
	none := some
	none.Categories = 0
	e.visit.Standing = consent.Stand(consent.OptIn, &none, consent.NoObjection)
	if r := e.last(e.form("/_askfirst/consent", url.Values{"choice": {"reject-all"}})); r.Action != "reject-all" {
		t.Errorf("receipt %+v", r)
	}
}
