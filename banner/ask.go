package banner

import (
	"embed"
	"html/template"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

//go:embed templates/*.html templates/*.css
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"vendor": func(t texts, v declaredVendor) any {
		return struct {
			T      texts
			Vendor declaredVendor
		}{t, v}
	},
	"vendors": func(t texts, list []declaredVendor) any {
		return struct {
			T    texts
			List []declaredVendor
		}{t, list}
	},
	"stores": func(t texts, list []declaredStorage) any {
		return struct {
			T    texts
			List []declaredStorage
		}{t, list}
	},
}).ParseFS(templateFiles, "templates/*.html"))

// styles returns the named style sheets, one after the other.
func styles(names ...string) string {
	var css strings.Builder
	for _, name := range names {
		sheet, err := templateFiles.ReadFile("templates/" + name + ".css")
		if err != nil {
			panic(err) // the names are constants and validated layouts
		}
		css.Write(sheet)
	}
	return css.String()
}

// askKey is all that the banner's markup depends on beside its slots.
type askKey struct {
	language int
	made     bool
	regime   consent.Regime
	signal   consent.Objection
}

// state is how data-askfirst-state spells whether a choice stands.
func (k askKey) state() string {
	if k.made {
		return "made"
	}
	return "ask"
}

// offer is one category as it is asked about.
type offer struct {
	Category   consent.Category
	Name, Text string
	// Tick is the slot of the box's checked attribute.
	Tick template.HTMLAttr
}

// ask is what the banner's template is given.
type ask struct {
	T         texts
	Lang      string
	State     string
	Made      bool
	Modal     bool // nothing beside the banner can be used while it is open
	Prefix    string
	Edition   string
	PolicyURL string
	Logo      string
	Intro     string
	Reject    string
	Reopen    string
	Objection string
	Uniform   bool
	Honours   bool // the signal takes something out, which is to be put on record
	Offers    []offer
}

func (b *Banner) renderAsk(k askKey) *tree {
	l := b.languages.list[k.language]
	a := ask{
		T: l.texts, Lang: l.tag, State: k.state(), Made: k.made, Modal: b.o.Layout == "centre", Prefix: b.o.Prefix, Edition: b.edition,
		PolicyURL: b.o.PolicyURL, Logo: b.o.Logo, Objection: objection(l.texts, k.signal), Uniform: b.o.Uniform,
		Honours: (&consent.Standing{Made: k.made, Regime: k.regime, Objection: k.signal}).Honours(), Offers: b.offers(l.texts),
	}
	title := b.o.Title
	if title == "" {
		title = "⟦host⟧"
	}
	a.Intro, a.Reject = wording(l.texts, title, k.regime)
	// Who may opt out must find how under that name on every page (CCPA
	// regulations, 11 CCR §7013).
	if a.Reopen = l.texts["reopen"]; k.regime == consent.OptOut {
		a.Reopen = a.Reject
	}
	return b.renderTree("ask.html", a, b.askCSS, scrollCSS)
}

// wording returns the introduction and the label of refusing under a regime.
func wording(t texts, title string, r consent.Regime) (intro, reject string) {
	introduction, reject := "intro", t["reject_all"]
	switch r {
	case consent.OptOut:
		introduction, reject = "intro_opt_out", t["opt_out"]
	case consent.Notice:
		introduction = "intro_notice"
	}
	return t.fill(introduction, "{site}", title), reject
}

// objection returns what is said of the browser's signal; empty where it sends
// none. Every language has the name of Global Privacy Control as it is.
func objection(t texts, signal consent.Objection) string {
	switch signal {
	case consent.GPC:
		return t["gpc"]
	case consent.DNT:
		return strings.Replace(t["gpc"], "Global Privacy Control", "Do Not Track", 1)
	}
	return ""
}

func (b *Banner) offers(t texts) []offer {
	var offers []offer
	for _, c := range consent.Optional {
		if b.offered.Has(c) {
			offers = append(offers, offer{c, t[c.String()], t[c.String()+"_text"], template.HTMLAttr("⟦" + c.String() + "⟧")})
		}
	}
	return offers
}

// renderTree executes a template of markup for pages and puts its style sheets
// in.
func (b *Banner) renderTree(name string, data any, sheets ...string) *tree {
	var markup strings.Builder
	if err := templates.ExecuteTemplate(&markup, name, data); err != nil {
		b.log.Error("banner: render", "template", name, "error", err)
		return &tree{}
	}
	text := strings.TrimSpace(markup.String())
	for _, css := range sheets {
		text = strings.Replace(text, "<style></style>", "<style⟦nonce⟧>"+css+"</style>", 1)
	}
	return newTree(text)
}

// scrollCSS is for the page itself: what is gone to by keys comes to stand above
// a panel at its foot, and not behind it (WCAG 2.2, 2.4.11).
const scrollCSS = "html:has(askfirst-banner:not([data-askfirst-modal]):is([data-askfirst-state=ask],[data-askfirst-open])){scroll-padding-bottom:60vh}"
