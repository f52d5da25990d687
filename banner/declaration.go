package banner

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// declaration says which companies' services a site may use and what each keeps
// in the browser.
type declaration struct {
	Site    string            `json:"site"`
	Vendors []declaredVendor  `json:"vendors"`
	Own     []declaredStorage `json:"own"`
	// Unclassified are third-party hosts in pages of the site that no rule knows.
	Unclassified []string `json:"unclassified"`
}

type declaredVendor struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Company     string `json:"company"`
	Country     string `json:"country"`
	CountryName string `json:"-"`
	OutsideEEA  bool   `json:"outside_eea"`
	// Transfer is on what data go there; empty where they stay in the EEA or the
	// country is not known.
	Transfer     consent.Transfer  `json:"transfer,omitempty"`
	TransferName string            `json:"-"`
	Policy       string            `json:"policy"`
	Category     string            `json:"category"`
	Stores       []declaredStorage `json:"stores"`
}

type declaredStorage struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"` // cookie or storage
	Party     string `json:"party"`
	Purpose   string `json:"purpose"`
	Retention string `json:"retention"`
	// Said and Kept are purpose and retention in the page's language. English
	// marks a purpose that is the catalogue's own (WCAG 2.2, 3.1.2).
	Said    string `json:"-"`
	Kept    string `json:"-"`
	English bool   `json:"-"`
}

// declaredCategory is one section of the page.
type declaredCategory struct {
	Category   consent.Category
	Name, Text string
	Vendors    []declaredVendor
}

// of returns the vendors of one category.
func (d *declaration) of(c consent.Category) (vendors []declaredVendor) {
	for _, v := range d.Vendors {
		if v.Category == c.String() {
			vendors = append(vendors, v)
		}
	}
	return vendors
}

type declarationPage struct {
	Own          []declaredStorage
	Categories   []declaredCategory
	Unclassified []string
}

func (b *Banner) serveDeclaration(ctx *fasthttp.RequestCtx, v *Visit) {
	p := b.newPage(ctx, v, "cookies")
	d := b.declare(p.language, p.Title)
	d.Unclassified = b.unclassified(v)
	if strings.HasSuffix(string(ctx.Path()), ".json") {
		serveJSON(ctx, d)
		return
	}
	p.Heading, p.Lead = p.T["cookies"], p.T.fill("declaration_text", "{site}", p.Title)
	body := declarationPage{Own: d.Own, Unclassified: d.Unclassified}
	for _, c := range append([]consent.Category{consent.Necessary}, consent.Optional[:]...) {
		section := declaredCategory{Category: c, Name: p.T[c.String()], Text: p.T[c.String()+"_text"], Vendors: d.of(c)}
		if section.Vendors != nil {
			body.Categories = append(body.Categories, section)
		}
	}
	p.Body = &body
	if strings.HasSuffix(string(ctx.Path()), ".html") {
		b.serveDeclared(ctx, p)
		return
	}
	b.servePage(ctx, p)
}

// serveDeclared answers with the part of the page that a site can put into its
// own privacy policy: without head, style and the way back.
func (b *Banner) serveDeclared(ctx *fasthttp.RequestCtx, p *page) {
	private(ctx)
	h := &ctx.Response.Header
	h.Set("Vary", "Accept-Language")
	h.Set("X-Robots-Tag", "noindex")
	h.SetContentType("text/html; charset=utf-8")
	if err := templates.ExecuteTemplate(ctx, "declared", p); err != nil {
		b.log.Error("banner: render", "template", "declared", "error", err)
		b.refuse(ctx, fasthttp.StatusInternalServerError, "this part could not be made")
	}
}

// declare lists the vendors that were seen on the site, by name.
func (b *Banner) declare(l *language, title string) *declaration {
	days, purpose := strconv.Itoa(int(b.o.CookieMaxAge.Hours()/24))+"d", l.texts["consent_cookie"]
	own := declaredStorage{Name: consent.CookieName, Kind: "cookie", Party: "first", Purpose: purpose, Retention: days, Said: purpose, Kept: retention(l, days)}
	d := &declaration{Site: title, Vendors: []declaredVendor{}, Own: []declaredStorage{own}}
	if b.o.Uniform {
		own.Name = OwnCookie
		d.Own = append(d.Own, own)
	}
	if b.o.Signals.TCCookie {
		own.Name = tcCookie
		d.Own = append(d.Own, own)
	}
	seen, _ := b.observer.Seen(b.o.Site)
	slices.Sort(seen)
	for _, id := range slices.Compact(seen) {
		v := b.engine.Vendor(id)
		if v == nil {
			continue
		}
		declared := declaredVendor{
			ID: v.ID, Name: v.Name, Company: v.Company, Country: v.Country, CountryName: l.country(v.Country), OutsideEEA: v.Country != "" && !consent.InEEA(v.Country),
			Transfer: consent.TransferTo(v.Country, b.o.Transfers[v.ID]),
			Policy:   v.Policy, Category: v.Category.String(), Stores: []declaredStorage{},
		}
		declared.TransferName = l.texts[bases[declared.Transfer]]
		declared.add(l, "cookie", v.Cookies)
		declared.add(l, "storage", v.Storage)
		d.Vendors = append(d.Vendors, declared)
	}
	slices.SortStableFunc(d.Vendors, func(a, b declaredVendor) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return d
}

// unclassified lists third-party hosts in pages of the site that no rule knows,
// by name. Some may have become known since they were seen.
func (b *Banner) unclassified(v *Visit) []string {
	_, hosts := b.observer.Seen(b.o.Site)
	var page rules.Page
	page.Reset([]byte(origin(v) + "/"))
	unknown := []string{}
	for _, host := range hosts {
		if d := b.engine.URL(&page, []byte("https://"+host+"/"), rules.Script); d.Party == rules.ThirdParty && d.Category == consent.Unclassified {
			unknown = append(unknown, host)
		}
	}
	slices.Sort(unknown)
	return unknown
}

func (v *declaredVendor) add(l *language, kind string, cookies []rules.Cookie) {
	for _, c := range cookies {
		said, english := l.purpose(c.Purpose)
		v.Stores = append(v.Stores, declaredStorage{c.Name, kind, c.Party, c.Purpose, c.Retention, said, retention(l, c.Retention), english})
	}
}

// bases are the texts for the values of declaredVendor.Transfer.
var bases = map[consent.Transfer]string{
	consent.Adequacy: "transfer_adequacy", consent.Framework: "transfer_dpf", consent.Clauses: "transfer_scc", consent.Unstated: "transfer_unstated",
}

// units are the texts for the units of rules.Cookie.Retention.
var units = map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day", "mo": "month", "y": "year"}

// retention writes how long something is kept: "2y" as "2 years" in English.
func retention(l *language, r string) string {
	switch r {
	case "session", "persistent":
		return l.texts[r]
	}
	digits := strings.IndexFunc(r, func(c rune) bool { return c < '0' || c > '9' })
	if digits <= 0 || units[r[digits:]] == "" {
		return r
	}
	return l.count(units[r[digits:]], r[:digits])
}

// serveJSON answers with data.
func serveJSON(ctx *fasthttp.RequestCtx, v any) {
	private(ctx)
	ctx.SetContentType("application/json")
	e := json.NewEncoder(ctx)
	e.SetIndent("", "  ")
	e.Encode(v) // the values are this package's own, and the body takes any length
}
