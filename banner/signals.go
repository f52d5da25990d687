package banner

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/askfirst/askfirst/rules/consent/iab"
)

// Signals are how other software is told of a visitor's choice. The zero Signals
// speak Google Consent Mode in its basic form, and none of the IAB's frameworks.
type Signals struct {
	Google consent.Google
	// TCF writes TC strings; nil for none. TCCookie keeps them in a cookie
	// too, where some software looks for them.
	TCF      *iab.TCF
	TCCookie bool
	// GPP writes GPP strings; nil for none.
	GPP *iab.GPP
}

// tcCookie is the name that the TCF's technical specification recommends.
const tcCookie = "euconsent-v2"

// strings returns the TC and GPP strings of a choice: each only where its law
// holds for the visitor.
func (s *Signals) strings(v *Visit, c *consent.Choice) (tc, gpp string) {
	if s.TCF != nil && v.Standing.Regime == consent.OptIn {
		tc = s.TCF.String(c)
	}
	if s.GPP != nil && v.GPP != "" {
		gpp = s.GPP.Section(v.GPP, c.Categories, v.Standing.Objection == consent.GPC).Text
	}
	return tc, gpp
}

func (b *Banner) setTCCookie(ctx *fasthttp.RequestCtx, v *Visit, c *consent.Choice) {
	tc, _ := b.o.Signals.strings(v, c)
	if !b.o.Signals.TCCookie || tc == "" {
		return
	}
	setCookie(ctx, tcCookie+"="+tc+"; Path=/; Max-Age="+strconv.Itoa(int(b.o.CookieMaxAge/time.Second))+"; SameSite=Lax"+secure(v)+b.domain(v))
}

// settings are what the page must know of signals.
type settings struct {
	Google *googleSettings `json:"google,omitempty"`
	TCF    *tcfSettings    `json:"tcf,omitempty"`
	GPP    *gppSettings    `json:"gpp,omitempty"`
}

type googleSettings struct {
	Mode             consent.GoogleMode `json:"mode,omitempty"`
	Wait             int64              `json:"wait,omitempty"` // milliseconds
	URLPassthrough   bool               `json:"urlPassthrough,omitempty"`
	AdsDataRedaction bool               `json:"adsDataRedaction,omitempty"`
	Regions          []string           `json:"regions,omitempty"`
}

// tcfSettings have the core segment of every choice, without its dates, by the
// letters of what was agreed to.
type tcfSettings struct {
	CMP       int               `json:"cmp"`
	Version   int               `json:"version"`
	Country   string            `json:"country"`
	List      int               `json:"list"`
	Policy    int               `json:"policy"`
	Cores     map[string]string `json:"cores"`
	Disclosed string            `json:"disclosed"`
}

// gppSettings have of each section what it is with nothing objected to, with
// GPC, after an opt-out, and after one with GPC.
type gppSettings struct {
	CMP      int                       `json:"cmp"`
	None     string                    `json:"none"`
	Sections map[string][4]iab.Section `json:"sections"`
}

// appendSettings appends a statement that gives the page its settings; nothing
// where they are what the guard takes for granted.
func (s *Signals) appendSettings(dst []byte) []byte {
	var all settings
	if g := &s.Google; !g.IsZero() {
		all.Google = &googleSettings{Mode: g.Mode, Wait: g.Wait.Milliseconds(), URLPassthrough: g.URLPassthrough, AdsDataRedaction: g.AdsDataRedaction, Regions: g.Regions}
	}
	if t := s.TCF; t != nil {
		all.TCF = &tcfSettings{t.CMP, t.CMPVersion, t.Country, t.List.Version, t.List.PolicyVersion, map[string]string{}, t.Disclosed()}
		for letters := range 16 {
			var set consent.Set
			for i, c := range consent.Optional {
				if letters>>i&1 != 0 {
					set = set.With(c)
				}
			}
			all.TCF.Cores[set.String()] = t.Core(set)
		}
	}
	if g := s.GPP; g != nil {
		all.GPP = &gppSettings{g.CMP, iab.NoSections, map[string][4]iab.Section{}}
		for _, name := range g.Sections {
			var states [4]iab.Section
			for i := range states {
				granted := consent.All
				if i >= 2 {
					granted = granted.Without(consent.Marketing)
				}
				states[i] = g.Section(name, granted, i%2 == 1)
			}
			all.GPP.Sections[name] = states
		}
	}
	if all == (settings{}) {
		return dst
	}
	text, err := json.Marshal(&all)
	if err != nil {
		panic("banner: settings: " + err.Error()) // they are of plain types
	}
	dst = append(dst, "self.__askfirst_site="...)
	dst = append(dst, text...)
	return append(dst, ";\n"...)
}
