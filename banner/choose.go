package banner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// OnceCookie is the name of the cookie that lets one vendor pass in the next
// document; its value is the vendor's ID.
const OnceCookie = "askfirst-once"

// OwnCookie is the name of the cookie of a visitor who chose without a script
// where one page is made for all: they get pages of their own.
const OwnCookie = "askfirst-own"

// probeCookie is the name of the cookie that shows whether a browser returns
// cookies; its value is always the same.
const probeCookie = "askfirst-probe"

const (
	maxChoice = 4 << 10 // bytes of a choice's body
	// recordTime is how long a choice waits for its receipt to be durable
	// before it is obeyed without.
	recordTime = 5 * time.Second
)

// answer is what a visitor posted.
type answer struct {
	// Choice is accept-all, reject-all, save, always (the categories beside
	// what stands), once (a vendor, in the next document only) or gpc (what
	// Global Privacy Control leaves).
	Choice     string   `json:"choice"`
	Categories []string `json:"categories"`
	Vendor     string   `json:"vendor"`
	Return     string   `json:"return"`
	Language   string   `json:"language"`
	// Shown is what the visitor chose on: banner, preferences or box, and behind a
	// dot of which edition.
	Shown string `json:"shown"`
	// Method is button, api or gpc. A form that a browser posts by itself
	// says none.
	Method string `json:"method"`
}

// parseAnswer reads a form or JSON; form says which.
func parseAnswer(media string, body []byte) (a answer, form bool, err error) {
	switch media {
	case "application/x-www-form-urlencoded":
		f, err := url.ParseQuery(string(body))
		if err != nil {
			return a, true, err
		}
		for _, key := range []string{"choice", "vendor", "return", "language", "shown"} {
			if len(f[key]) > 1 {
				return a, true, fmt.Errorf("%s is said twice", key)
			}
		}
		return answer{f.Get("choice"), f["categories"], f.Get("vendor"), f.Get("return"), f.Get("language"), f.Get("shown"), string(consent.ByForm)}, true, nil
	case "application/json":
		return a, false, decodeStrict(body, &a)
	}
	return a, false, errMediaType
}

var errMediaType = errors.New("want a form (application/x-www-form-urlencoded) or JSON (application/json)")

// decodeStrict reads one JSON value with no unknown fields and nothing after.
func decodeStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}

// serveConsent takes a choice.
func (b *Banner) serveConsent(ctx *fasthttp.RequestCtx, v *Visit) {
	data, ok := b.readBody(ctx, maxChoice)
	if !ok {
		return
	}
	a, form, err := parseAnswer(mediaType(ctx), data)
	if err == errMediaType {
		b.refuse(ctx, fasthttp.StatusUnsupportedMediaType, err.Error())
		return
	}
	var granted consent.Set
	if err == nil {
		granted, err = b.grant(&a, v.Standing)
	}
	if err == errNothingHonoured {
		private(ctx)
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	if err != nil {
		b.refuse(ctx, fasthttp.StatusBadRequest, "choice: "+err.Error())
		return
	}
	if v.Standing.Child {
		b.refuse(ctx, fasthttp.StatusForbidden, "a child is not asked")
		return
	}
	private(ctx)
	if a.Choice == "gpc" && !b.keeps(ctx, v) {
		return
	}
	if a.Choice == "once" {
		setCookie(ctx, OnceCookie+"="+a.Vendor+"; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"+secure(v))
	} else {
		b.choose(ctx, v, &a, granted)
		b.clear(ctx, v, granted, form)
	}
	if form {
		if b.o.Uniform {
			setCookie(ctx, OwnCookie+"=1; Path=/; Max-Age="+strconv.Itoa(int(b.o.CookieMaxAge/time.Second))+"; HttpOnly; SameSite=Lax"+secure(v))
			a.Return = whence(ctx, v, a.Return)
		}
		seeOther(ctx, local(a.Return))
	} else {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	}
}

// serveHonoured puts on record that Global Privacy Control is honoured, for a page
// without scripts, which asks for it as for a picture.
func (b *Banner) serveHonoured(ctx *fasthttp.RequestCtx, v *Visit) {
	if !sameOrigin(ctx, v.Host) {
		b.refuse(ctx, fasthttp.StatusForbidden, "this address answers pages of its own site only")
		return
	}
	private(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	a := answer{Choice: "gpc", Return: string(ctx.QueryArgs().Peek("return"))}
	if granted, err := b.grant(&a, v.Standing); err == nil && ctx.IsGet() && b.keeps(ctx, v) && b.reportLimit.allow(v.Address, time.Now()) {
		b.choose(ctx, v, &a, granted)
	}
}

// keeps reports whether the browser returns the cookies that we set. It is found
// out before the receipt of a signal is written, which no press of the visitor
// bounds: a browser that refuses cookies would say the same on every page, and be
// given a receipt each time whose ID nobody keeps. Where that is not known yet, the
// browser is sent to the same address again. The signal is obeyed in any case.
func (b *Banner) keeps(ctx *fasthttp.RequestCtx, v *Visit) bool {
	probe := "; Path=" + b.o.Prefix + "; HttpOnly; SameSite=Lax" + secure(v)
	if len(ctx.Request.Header.Cookie(probeCookie)) > 0 {
		setCookie(ctx, probeCookie+"=; Max-Age=0"+probe)
		return true
	}
	if ctx.QueryArgs().Has("again") {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return false
	}
	setCookie(ctx, probeCookie+"=1; Max-Age=60"+probe)
	ctx.QueryArgs().Add("again", "1")
	ctx.Response.Header.Set("Location", string(ctx.Path())+"?"+ctx.QueryArgs().String())
	// A POST is sent again as it was (RFC 9110, section 15.4.8).
	ctx.SetStatusCode(fasthttp.StatusTemporaryRedirect)
	return false
}

// whence returns the path and query of the page that a form stood on, where the
// page itself could not tell its query; else the way back that it told.
func whence(ctx *fasthttp.RequestCtx, v *Visit, told string) string {
	u, err := url.Parse(string(ctx.Request.Header.Referer()))
	if err != nil || !strings.EqualFold(u.Host, v.Host) || u.EscapedPath() != told {
		return told
	}
	return u.RequestURI()
}

// grant works out what an answer agrees to.
func (b *Banner) grant(a *answer, standing consent.Standing) (consent.Set, error) {
	var named consent.Set
	for _, name := range a.Categories {
		c, ok := consent.ParseCategory(name)
		if !ok || c != consent.Necessary && !b.offered.Has(c) {
			return 0, fmt.Errorf("category %q is not one that was asked about", clipString(name))
		}
		named = named.With(c)
	}
	switch m := consent.Method(a.Method); m {
	case "":
		a.Method = string(consent.ByButton)
	case consent.ByButton, consent.ByForm, consent.ByAPI, consent.ByGPC:
	default:
		return 0, fmt.Errorf("method %q: want button, form, api or gpc", clipString(a.Method))
	}
	switch a.Choice {
	case "accept-all":
		return b.offered, nil
	case "reject-all":
		return 0, nil
	case "save":
		return named, nil
	case "always":
		if named.Empty() {
			return 0, errors.New("always needs a category")
		}
		return standing.Granted&consent.All | named, nil
	case "gpc":
		if !standing.Honours() {
			return 0, errNothingHonoured
		}
		a.Method = string(consent.ByGPC)
		return standing.Granted & consent.All & b.offered, nil
	case "once":
		if vendor := b.engine.Vendor(a.Vendor); vendor == nil {
			return 0, fmt.Errorf("vendor %q is not known", clipString(a.Vendor))
		}
		return 0, nil
	}
	return 0, fmt.Errorf("%q: want accept-all, reject-all, save, always, once or gpc", clipString(a.Choice))
}

// errNothingHonoured says that the signal changes nothing for this visitor: none
// was sent, a choice stands, or nothing is granted before one is made.
var errNothingHonoured = errors.New("there is no signal to honour")

// clipString shortens what a stranger wrote for an error.
func clipString(s string) string { return string(clip([]byte(s), 40)) }

// choose makes a choice stand: the receipt first, then the cookies.
func (b *Banner) choose(ctx *fasthttp.RequestCtx, v *Visit, a *answer, granted consent.Set) {
	choice := consent.Choice{Revision: b.revisionOf(a), Categories: granted, At: time.Unix(time.Now().Unix(), 0), ID: consent.NewID()}
	b.record(ctx, v, a, &choice)
	value := string(choice.AppendCookie(nil))
	setCookie(ctx, consent.CookieName+"="+value+"; Path=/; Max-Age="+strconv.Itoa(int(b.o.CookieMaxAge/time.Second))+"; SameSite=Lax"+secure(v)+b.domain(v))
	b.setTCCookie(ctx, v, &choice)
	b.expire(ctx, v, granted, local(a.Return))
}

// record makes the receipt durable. A store that fails or does not answer costs
// the receipt, not the choice: that is what the visitor is owed first. So does a
// flood of choices, which would fill the store.
func (b *Banner) record(ctx *fasthttp.RequestCtx, v *Visit, a *answer, c *consent.Choice) {
	if now := time.Now(); !b.choiceLimit.allow(v.Address, now) {
		b.counters.unrecorded.Add(1)
		if minute := now.Unix() / 60; b.flooded.Swap(minute) != minute {
			b.log.Error("choices come too fast from one network and stand without receipts", "site", b.o.Site, "network", v.Address, "most a second", choicesPerSecond)
		}
		return
	}
	i, ok := b.languages.match([]byte(a.Language))
	if !ok {
		i = b.languages.choose(nil, ctx.Request.Header.Peek("Accept-Language"))
	}
	r := &consent.Receipt{
		Choice: *c, Site: b.o.Site, Regime: v.Standing.Regime, RegimeRule: v.RegimeRule, Country: v.Country,
		Action: a.Choice, Method: consent.Method(a.Method), Vendors: b.listed(), Language: b.languages.list[i].tag,
		Address: v.Address, Browser: browser(string(ctx.UserAgent())),
	}
	r.TC, r.GPP = b.o.Signals.strings(v, c)
	if v.Standing.Made {
		r.Before = v.Standing.Choice.Categories
	} else if v.Standing.Regime != consent.OptIn {
		r.Before = consent.Stand(v.Standing.Regime, nil, consent.NoObjection).Granted & b.offered
	}
	switch {
	case r.Action == "always":
		r.Action = "save"
	case r.Action == "reject-all" && v.Standing.Made && !r.Before.Empty():
		r.Action = "withdraw"
	}
	if r.Text = b.shown(v, a, i); r.Text != nil {
		r.Shown = sha256.Sum256(r.Text)
	}
	limited, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := b.records.Record(limited, r); err != nil {
		b.counters.unrecorded.Add(1)
		b.log.Error("a choice stands without a receipt", "site", b.o.Site, "receipt", c.ID.String(), "error", err)
		return
	}
	b.counters.recorded.Add(1)
}

// listed returns the IDs of the vendors that the declaration lists.
func (b *Banner) listed() []string {
	var ids []string
	seen, _ := b.observer.Seen(b.o.Site)
	for _, id := range seen {
		if v := b.engine.Vendor(id); v != nil && v.Category != consent.Necessary {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func secure(v *Visit) string {
	if v.Secure {
		return "; Secure"
	}
	return ""
}

// domain shares a cookie with the hosts of the site that are in its domain.
// Elsewhere browsers would refuse it.
func (b *Banner) domain(v *Visit) string {
	host := v.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if b.o.CookieDomain == "" || !strings.HasSuffix("."+strings.ToLower(host), "."+b.o.CookieDomain) {
		return ""
	}
	return "; Domain=" + b.o.CookieDomain
}

func setCookie(ctx *fasthttp.RequestCtx, cookie string) {
	ctx.Response.Header.Add("Set-Cookie", cookie)
}

// browsers are the families that receipts tell apart, with the token that gives
// each away. Earlier ones carry the tokens of later ones too.
var browsers = []struct{ token, family string }{
	{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS", "Firefox"},
	{"Chrome/", "Chrome"}, {"CriOS", "Chrome"}, {"Safari/", "Safari"},
}

// browser returns the family of a browser, without its version.
func browser(userAgent string) string {
	for _, b := range browsers {
		if strings.Contains(userAgent, b.token) {
			return b.family
		}
	}
	return "other"
}
