package banner

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// receipt is a visitor's own record as JSON.
type receipt struct {
	ID         string    `json:"id"`
	Site       string    `json:"site"`
	At         time.Time `json:"at"`
	Revision   uint32    `json:"revision"`
	Categories []string  `json:"categories"`
	Before     []string  `json:"before"`
	Regime     string    `json:"regime"`
	RegimeRule string    `json:"regime_rule"`
	Country    string    `json:"country,omitempty"`
	Action     string    `json:"action"`
	Method     string    `json:"method"`
	Vendors    []string  `json:"vendors"`
	Language   string    `json:"language"`
	Shown      string    `json:"shown"` // SHA-256, hexadecimal
	Address    string    `json:"address"`
	Browser    string    `json:"browser"`
	TC         string    `json:"tc_string,omitempty"`
	GPP        string    `json:"gpp_string,omitempty"`
}

func newReceipt(r *consent.Receipt) *receipt {
	names := func(s consent.Set) []string {
		list := []string{}
		for _, c := range s.Categories() {
			list = append(list, c.String())
		}
		return list
	}
	vendors := r.Vendors
	if vendors == nil {
		vendors = []string{}
	}
	return &receipt{
		ID: r.ID.String(), Site: r.Site, At: r.At.UTC(), Revision: r.Revision, Categories: names(r.Categories), Before: names(r.Before),
		Regime: r.Regime.String(), RegimeRule: r.RegimeRule, Country: r.Country, Action: r.Action, Method: string(r.Method), Vendors: vendors,
		Language: r.Language, Shown: hex.EncodeToString(r.Shown[:]), Address: r.Address, Browser: r.Browser, TC: r.TC, GPP: r.GPP,
	}
}

// receiptPage is the body of the record's page. Receipt is nil where there is
// none.
type receiptPage struct {
	Receipt *receipt
	Erased  bool
	At      string
	Action  string
	Agreed  string
	Before  string
	Regime  string
	Country string // by which the regime was chosen; empty where it was not by one
}

// actionTexts are the texts of the buttons behind consent.Receipt.Action.
var actionTexts = map[string]string{
	"accept-all": "accept_all", "reject-all": "reject_all", "save": "save", "withdraw": "withdraw", "gpc": "gpc",
}

// regimeTexts say how consent works under a regime.
var regimeTexts = map[consent.Regime]string{
	consent.OptIn: "regime_opt_in", consent.OptOut: "regime_opt_out", consent.Notice: "regime_notice",
}

// regime says in words what consent.Receipt.Regime and RegimeRule are: how
// consent worked for the visitor, and by what rule.
func (l *language) regime(r consent.Regime, rule string) string {
	words := l.texts[regimeTexts[r]]
	switch at, _, _ := strings.Cut(rule, ","); at {
	case "":
	case "default":
		words += " · " + l.texts["rule_default"]
	case "fallback":
		words += " · " + l.texts["rule_fallback"]
	default:
		country, region, _ := strings.Cut(at, "-")
		if country = l.country(country); region != "" {
			country += " (" + region + ")"
		}
		words += " · " + l.texts.fill("rule_place", "{country}", country)
	}
	return words
}

// find returns the record that the visitor has: fs.ErrNotExist where there is none,
// or none any more.
func (b *Banner) find(ctx *fasthttp.RequestCtx, v *Visit) (*consent.Receipt, error) {
	id, ok := recordOf(ctx, v)
	if !ok {
		return nil, fs.ErrNotExist
	}
	limited, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	r, err := b.records.Receipt(limited, id)
	if err == nil && !r.Erased.IsZero() {
		err = fs.ErrNotExist
	}
	return r, err
}

func (b *Banner) serveReceipt(ctx *fasthttp.RequestCtx, v *Visit) {
	r, err := b.find(ctx, v)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		b.log.Error("a record could not be read", "site", b.o.Site, "error", err)
		b.refuse(ctx, fasthttp.StatusServiceUnavailable, "the records cannot be read at the moment")
		return
	}
	if strings.HasSuffix(string(ctx.Path()), ".json") {
		if missing {
			serveJSON(ctx, map[string]string{"error": "there is no record of a choice in this browser"})
			ctx.SetStatusCode(fasthttp.StatusNotFound)
			return
		}
		serveJSON(ctx, newReceipt(r))
		return
	}
	p := b.newPage(ctx, v, "receipt")
	p.Heading, p.Lead = p.T["record"], p.T["record_text"]
	body := receiptPage{Erased: ctx.QueryArgs().Has("erased")}
	if !missing {
		body.Receipt = newReceipt(r)
		body.Action = p.T[actionTexts[r.Action]]
		body.At, body.Agreed, body.Before = moment(r.At), agreed(p.T, r.Categories), agreed(p.T, r.Before)
		body.Regime, body.Country = p.language.regime(r.Regime, r.RegimeRule), p.language.country(r.Country)
	}
	p.Body = &body
	b.servePage(ctx, p)
	if missing {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

// recordOf returns the ID of the record that the visitor's cookie names. The choice
// need not stand: one of an older revision is on record all the same.
func recordOf(ctx *fasthttp.RequestCtx, v *Visit) (consent.ID, bool) {
	if v.Standing.Made {
		return v.Standing.Choice.ID, true
	}
	return consent.ParseCookieID(ctx.Request.Header.Cookie(consent.CookieName))
}

// serveErase erases the record that the visitor has, and the choice with it.
// Should the record not be erased, the choice stays, so that the visitor can try
// again.
func (b *Banner) serveErase(ctx *fasthttp.RequestCtx, v *Visit) {
	data, ok := b.readBody(ctx, maxChoice)
	if !ok {
		return
	}
	a := answer{}
	media, form := mediaType(ctx), false
	if media != "" || len(data) > 0 {
		var err error
		if a, form, err = parseAnswer(media, data); err == errMediaType {
			b.refuse(ctx, fasthttp.StatusUnsupportedMediaType, err.Error())
			return
		} else if err != nil {
			b.refuse(ctx, fasthttp.StatusBadRequest, "erase: "+err.Error())
			return
		}
	}
	if id, ok := recordOf(ctx, v); ok {
		limited, cancel := context.WithTimeout(context.Background(), recordTime)
		defer cancel()
		if err := b.records.Erase(limited, id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.log.Error("a record could not be erased", "site", b.o.Site, "receipt", id.String(), "error", err)
			b.refuse(ctx, fasthttp.StatusServiceUnavailable, "the record cannot be erased at the moment")
			return
		}
	}
	private(ctx)
	setCookie(ctx, consent.CookieName+"=; Path=/; Max-Age=0; SameSite=Lax"+secure(v)+b.domain(v))
	if b.o.Uniform {
		setCookie(ctx, OwnCookie+"=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"+secure(v))
	}
	if b.o.Signals.TCCookie {
		setCookie(ctx, tcCookie+"=; Path=/; Max-Age=0; SameSite=Lax"+secure(v)+b.domain(v))
	}
	left := consent.Stand(v.Standing.Regime, nil, v.Standing.Objection)
	b.expire(ctx, v, left.Granted, local(a.Return))
	if !form {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	back := b.o.Prefix + "receipt?erased"
	if a.Return != "" {
		back = local(a.Return)
	}
	seeOther(ctx, back)
}
