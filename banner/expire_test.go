package banner

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

func TestWithdrawalExpiresCookies(t *testing.T) {
	e := serve(t, Options{})
	if e.banner.engine.Cookie([]byte("_ga")).Rule == nil || e.banner.engine.Cookie([]byte("_fbp")).Rule == nil {
		t.Fatal("the catalogue does not know _ga and _fbp")
	}
	e.visit.Host = "www.shop.co.uk:8443"
	e.visit.Secure = true
	before := consent.Choice{Revision: 1, Categories: consent.All, At: time.Now(), ID: consent.NewID()}
	e.visit.Standing = consent.Stand(consent.OptIn, &before, consent.NoObjection)
	a := e.do("POST", "/_askfirst/consent", "choice=save&categories=analytics&return=/blog/post?x", "Content-Type", formType, "Sec-Fetch-Site", "same-origin",
		"Cookie", `session=1; _ga=GA1.2.3; _fbp=fb.1; askfirst=`+string(before.AppendCookie(nil))+`; askfirst-once=x; bad name=1; =2; _fbp=again`)
	e.status(a, http.StatusSeeOther)
	var got []string
	for _, c := range a.Cookies() {
		if c.Name == consent.CookieName {
			continue
		}
		if c.MaxAge != -1 || !c.Secure || c.Value != "" {
			t.Errorf("%s does not take the cookie back", c.Raw)
		}
		got = append(got, c.Name+" "+c.Domain+" "+c.Path)
	}
	var want []string
	for _, path := range []string{"/", "/blog", "/blog/", "/blog/post"} {
		for _, domain := range []string{"", "shop.co.uk", "www.shop.co.uk"} {
			want = append(want, "_fbp "+domain+" "+path)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("took back\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestChoiceClearsMore: on withdrawal goes what the site wants, and after every
// choice by form what the browser would show again of before.
func TestChoiceClearsMore(t *testing.T) {
	before := consent.Choice{Revision: 1, Categories: consent.SetOf(consent.Analytics), At: time.Now(), ID: consent.NewID()}
	for _, c := range []struct {
		clear      []string
		stands     bool
		body       string
		form, json string
	}{
		{[]string{"storage", "cache"}, false, "choice=reject-all", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=accept-all", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=save&categories=analytics&categories=social", `"cache"`, ""},
		{[]string{"storage", "cache"}, true, "choice=reject-all", `"storage", "cache"`, `"storage", "cache"`},
		{[]string{"storage"}, true, "choice=save&categories=marketing", `"storage", "cache"`, `"storage"`},
		{nil, true, "choice=reject-all", `"cache"`, ""},
		{nil, true, "choice=once&vendor=youtube", "", ""},
	} {
		e := serve(t, Options{Clear: c.clear})
		if c.stands {
			e.visit.Standing = consent.Stand(consent.OptIn, &before, consent.NoObjection)
		}
		a := e.do("POST", "/_askfirst/consent", c.body, "Content-Type", formType, "Sec-Fetch-Site", "same-origin")
		e.status(a, http.StatusSeeOther)
		if got := a.Header.Get("Clear-Site-Data"); got != c.form {
			t.Errorf("%v, form %s: Clear-Site-Data is %s, want %s", c.clear, c.body, got, c.form)
		}
		form, err := url.ParseQuery(c.body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(map[string]any{"choice": form.Get("choice"), "categories": form["categories"], "vendor": form.Get("vendor")})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.json("/_askfirst/consent", string(text)).Header.Get("Clear-Site-Data"); got != c.json {
			t.Errorf("%v, JSON %s: Clear-Site-Data is %s, want %s", c.clear, c.body, got, c.json)
		}
	}
}

func TestExpiriesAreBounded(t *testing.T) {
	b := newBanner(t, Options{})
	if b.engine.Cookie([]byte("_ga_X")).Rule == nil {
		t.Fatal("the catalogue does not know _ga_*")
	}
	var field []byte
	for i := range 500 {
		field = fmt.Appendf(field, "_ga_%d=x; ", i)
	}
	got := b.Expiries(field, "a.b.c.shop.example", "/"+strings.Repeat("a/", 100), false, 0)
	if len(got) != maxExpiries {
		t.Errorf("%d values", len(got))
	}
	if b.Expiries(field, "shop.example", "/", false, consent.All) != nil {
		t.Error("what was agreed to is taken back")
	}
}

// FuzzExpiries holds every value to one cookie that is taken back: neither the
// visitor's names nor the page's path may add attributes or fields.
func FuzzExpiries(f *testing.F) {
	f.Add("_ga=1; _fbp=2", "/a/b", "www.shop.example")
	f.Add("_ga\r\nX: y=1;_ga_A;=", "/a;Domain=x/\r\n", "a.b")
	f.Add("_ga=1", "/a b/ä/", "[::1]:80")
	b := newBanner(f, Options{})
	f.Fuzz(func(t *testing.T, field, path, host string) {
		for _, value := range b.Expiries([]byte(field), "www.shop.example", path, true, 0) {
			c, err := http.ParseSetCookie(value)
			if err != nil || c.MaxAge != -1 || c.Value != "" || !c.Secure || len(c.Unparsed) != 0 || c.HttpOnly || strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("%q: %v", value, err)
			}
		}
		domainsAbove(host)
	})
}

func TestDomainsAbove(t *testing.T) {
	for host, want := range map[string]string{
		"www.shop.example":   " shop.example www.shop.example",
		"shop.example:80":    " shop.example",
		"a.b.shop.co.uk":     " shop.co.uk a.b.shop.co.uk b.shop.co.uk",
		"localhost:8080":     "",
		"shop.localhost":     " shop.localhost",
		"127.0.0.1":          "",
		"127.0.0.1:8080":     "",
		"[::1]:8080":         "",
		"co.uk":              "",
		"user.github.io":     " user.github.io",
		"www.user.github.io": " user.github.io www.user.github.io",
	} {
		if got := strings.Join(domainsAbove(host), " "); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}
