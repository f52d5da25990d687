package banner

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

func TestChoices(t *testing.T) {
	made := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Functional), At: time.Now(), ID: consent.NewID()}
	for _, c := range []struct {
		name   string
		body   string
		before *consent.Choice
		want   string
		action string
	}{
		{"accept", "choice=accept-all", nil, "fams", "accept-all"},
		{"reject", "choice=reject-all", nil, "-", "reject-all"},
		{"reject ignores boxes", "choice=reject-all&categories=analytics", nil, "-", "reject-all"},
		{"save", "choice=save&categories=social&categories=analytics", nil, "as", "save"},
		{"save nothing", "choice=save", nil, "-", "save"},
		{"save replaces", "choice=save&categories=analytics", &made, "a", "save"},
		{"save takes necessary for what it is", "choice=save&categories=necessary", nil, "-", "save"},
		{"always", "choice=always&categories=marketing", nil, "m", "save"},
		{"always adds", "choice=always&categories=marketing", &made, "fm", "save"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, Options{})
			e.visit.Standing = consent.Stand(consent.OptIn, c.before, consent.NoObjection)
			start := time.Now()
			a := e.do("POST", "/_askfirst/consent", c.body+"&return=/a%3Fb&language=de", "Content-Type", formType, "Sec-Fetch-Site", "same-origin",
				"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
			e.status(a, http.StatusSeeOther)
			if got := a.Header.Get("Location"); got != "/a?b" {
				t.Errorf("led to %q", got)
			}
			cookie, choice := e.cookie(a)
			if choice.Categories.String() != c.want {
				t.Errorf("granted %s, want %s", choice.Categories, c.want)
			}
			if cookie.Path != "/" || cookie.MaxAge != 180*24*3600 || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Domain != "" || cookie.HttpOnly {
				t.Errorf("cookie %s", cookie.Raw)
			}
			if got := a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			r := e.records.receipts[choice.ID]
			if r == nil {
				t.Fatal("there is no receipt")
			}
			if r.Categories != choice.Categories || r.Action != c.action || r.Method != consent.ByForm || r.Language != "de" || r.Site != "Shop" ||
				r.RegimeRule != "default" || r.Address != "192.0.2.0" || r.Browser != "Chrome" || r.Shown == [32]byte{} || r.At.Before(start.Add(-2*time.Second)) {
				t.Errorf("receipt %+v", r)
			}
			if c.before != nil && r.Before != c.before.Categories {
				t.Errorf("before: %s", r.Before)
			}
		})
	}
}

func TestChoiceAsJSON(t *testing.T) {
	e := serve(t, Options{CookieDomain: "shop.example", CookieMaxAge: 48 * time.Hour, Revision: 7})
	e.visit.Secure = true
	a := e.json("/_askfirst/consent", `{"choice":"save","categories":["analytics"],"method":"api"}`)
	e.status(a, http.StatusNoContent)
	cookie, choice := e.cookie(a)
	if !cookie.Secure || cookie.Domain != "shop.example" || cookie.MaxAge != 48*3600 || choice.Revision != 7 {
		t.Errorf("cookie %s", cookie.Raw)
	}
	if got := e.records.receipts[choice.ID].Method; got != consent.ByAPI {
		t.Errorf("method %q", got)
	}
	if a.body != "" || a.Header.Get("Location") != "" {
		t.Error("an answer to JSON leads nowhere and says nothing")
	}
}

// TestCookieOfAHostOutsideTheDomain is for that host alone: browsers refuse it
// otherwise, and the visitor would be asked on every page.
func TestCookieOfAHostOutsideTheDomain(t *testing.T) {
	e := serve(t, Options{CookieDomain: "shop.example"})
	for host, domain := range map[string]string{
		"shop.example": "shop.example", "WWW.Shop.Example:8080": "shop.example",
		"myshop.example": "", "shop.test": "", "192.0.2.7:8080": "", "[2001:db8::7]": "",
	} {
		e.visit.Host = host
		if cookie, _ := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`)); cookie.Domain != domain {
			t.Errorf("%s: the domain is %q, want %q", host, cookie.Domain, domain)
		}
	}
}

// TestOnlyWhatIsAskedAbout grants no category that the site does not offer.
func TestOnlyWhatIsAskedAbout(t *testing.T) {
	e := serve(t, Options{Categories: []consent.Category{consent.Analytics}})
	_, choice := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	if choice.Categories.String() != "a" {
		t.Errorf("granted %s", choice.Categories)
	}
	e.status(e.json("/_askfirst/consent", `{"choice":"save","categories":["marketing"]}`), http.StatusBadRequest)
}

func TestIDsAreFresh(t *testing.T) {
	e := serve(t, Options{})
	_, first := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	e.visit.Standing = consent.Stand(consent.OptIn, &first, consent.NoObjection)
	_, second := e.cookie(e.json("/_askfirst/consent", `{"choice":"accept-all"}`))
	if first.ID == second.ID {
		t.Error("two choices have one ID")
	}
	for _, path := range []string{"/_askfirst/preferences", "/_askfirst/cookies", "/_askfirst/receipt", "/.well-known/gpc.json", e.banner.GuardURL()} {
		e.visit.Standing = consent.Standing{}
		if a := e.do("GET", path, ""); len(a.Cookies()) != 0 {
			t.Errorf("%s sets a cookie without a choice", path)
		}
	}
}

// TestDurableBeforeTheAnswer blocks the records, and looks whether a byte of
// the answer comes meanwhile.
func TestDurableBeforeTheAnswer(t *testing.T) {
	e := serve(t, Options{})
	e.records.called, e.records.durable = make(chan *consent.Receipt), make(chan struct{})
	conn, err := e.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /_askfirst/consent HTTP/1.1\r\nHost: www.shop.example\r\nContent-Type: %s\r\nContent-Length: 17\r\n\r\nchoice=accept-all", formType)
	first := make(chan error, 1)
	reader := bufio.NewReader(conn)
	go func() {
		_, err := reader.Peek(1)
		first <- err
	}()
	<-e.records.called
	select {
	case <-first:
		t.Fatal("the answer came before the receipt was durable")
	default:
	}
	close(e.records.durable)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
}

// TestChoiceWithoutReceipt obeys a visitor whose receipt cannot be kept.
func TestChoiceWithoutReceipt(t *testing.T) {
	e := serve(t, Options{})
	e.records.fail = errors.New("disk full")
	a := e.json("/_askfirst/consent", `{"choice":"reject-all"}`)
	e.status(a, http.StatusNoContent)
	if _, choice := e.cookie(a); !choice.Categories.Empty() {
		t.Error("the refusal was not obeyed")
	}
	for _, c := range e.banner.Counters() {
		if c.Name == "askfirst_choices_unrecorded_total" && c.Value != 1 {
			t.Errorf("%s is %d", c.Name, c.Value)
		}
	}
}

// TestFloodOfChoices: what comes too fast from one network is obeyed and fills no store.
func TestFloodOfChoices(t *testing.T) {
	e := serve(t, Options{})
	later := time.Now().Add(time.Hour)
	for e.banner.choiceLimit.allow(e.visit.Address, later) {
	}
	a := e.json("/_askfirst/consent", `{"choice":"accept-all"}`)
	e.status(a, http.StatusNoContent)
	if _, choice := e.cookie(a); choice.Categories.Empty() {
		t.Error("the choice was not obeyed")
	}
	if n := len(e.records.receipts); n != 0 {
		t.Errorf("%d receipts", n)
	}
	e.visit.Address = "198.51.100.0"
	e.status(e.json("/_askfirst/consent", `{"choice":"accept-all"}`), http.StatusNoContent)
	if n := len(e.records.receipts); n != 1 {
		t.Errorf("%d receipts of another network", n)
	}
}

func TestReturnStaysHere(t *testing.T) {
	e := serve(t, Options{})
	for _, c := range []struct{ back, want string }{
		{"/", "/"},
		{"/a/b?c=d&e=%2F%2F", "/a/b?c=d&e=%2F%2F"},
		{"/a//b", "/a//b"},
		{"", "/"},
		{"a", "/"},
		{"//evil.example", "/"},
		{"///evil.example", "/"},
		{`/\evil.example`, "/"},
		{`\\evil.example`, "/"},
		{`/a\b`, "/"},
		{"https://evil.example/", "/"},
		{"javascript:alert(1)", "/"},
		{"/\t/evil.example", "/"},
		{"/\n/evil.example", "/"},
		{"/\r\nSet-Cookie: a=b", "/"},
		{"/a b", "/"},
		{"/\x00", "/"},
		{"/\x7f", "/"},
		{"/ä", "/"},
		{" /a", "/"},
		{"/" + strings.Repeat("a", maxReturn), "/"},
	} {
		a := e.form("/_askfirst/consent", url.Values{"choice": {"reject-all"}, "return": {c.back}})
		e.status(a, http.StatusSeeOther)
		if got := a.Header.Values("Location"); len(got) != 1 || got[0] != c.want {
			t.Errorf("return %q led to %q, want %q", c.back, got, c.want)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/", "//x", `/\x`, "/a?b#c", "/%2f/x", "/\t/x", "/.//x"} {
		f.Add(seed)
	}
	base, _ := url.Parse("https://shop.example/x/y")
	f.Fuzz(func(t *testing.T, uri string) {
		got, err := base.Parse(local(uri))
		if err == nil && got.Host != "shop.example" {
			t.Errorf("%q leads to %s", uri, got)
		}
	})
}

func TestOnce(t *testing.T) {
	e := serve(t, Options{})
	var vendor *rules.Vendor
	for _, v := range e.banner.engine.Vendors() {
		if v.Category == consent.Marketing {
			vendor = v
		}
	}
	if vendor == nil {
		t.Fatal("the catalogue is empty")
	}
	e.visit.Secure = true
	a := e.form("/_askfirst/consent", url.Values{"choice": {"once"}, "vendor": {vendor.ID}, "categories": {"marketing"}, "return": {"/video"}})
	e.status(a, http.StatusSeeOther)
	if len(a.Cookies()) != 1 {
		t.Fatalf("cookies %v", a.Cookies())
	}
	if got, want := a.Cookies()[0].Raw, "askfirst-once="+vendor.ID+"; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(e.records.receipts) != 0 {
		t.Error("to load once is no choice")
	}
}
