package admin

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"slices"

	"github.com/askfirst/askfirst/rules/consent"
)

// Previewer shows what visitors of a site are asked.
type Previewer interface {
	// Languages are the BCP 47 tags of the languages that the banner speaks.
	Languages() []string
	// AppendPreview appends the banner's markup as a visitor of that language
	// and standing meets it. Its style carries the nonce.
	AppendPreview(dst []byte, language string, s consent.Standing, nonce string) []byte
}

// preview is what the preview page shows.
type preview struct {
	Site, Language, State, Regime, Scheme string
	Languages                             []string
	Frames                                []frame
}

// frame is one picture: the banner at a width.
type frame struct {
	Title, Size, Source string
}

// The sizes at which banners are looked at; the style sheet knows them.
var sizes = []frame{{Title: "Phone, 360 px", Size: "phone"}, {Title: "Tablet, 768 px", Size: "tablet"}, {Title: "Desktop, 1440 px", Size: "desktop"}}

func (a *Admin) previewer(site string) (string, Previewer) {
	if a.o.Previews == nil {
		return "", nil
	}
	all := a.o.Previews()
	if p := all[site]; p != nil {
		return site, p
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "", nil
	}
	name := slices.Min(names)
	return name, all[name]
}

func (a *Admin) preview(r *request) (*view, error) {
	site, previewer := a.previewer(r.filter.Site)
	if previewer == nil {
		return nil, fs.ErrNotExist
	}
	p := &preview{Site: site, Language: r.FormValue("language"), State: r.FormValue("state"), Regime: r.FormValue("regime"), Scheme: r.FormValue("scheme"),
		Languages: previewer.Languages()}
	if p.Scheme != "dark" {
		p.Scheme = "light"
	}
	at := func(language string) string {
		return narrowed(r, "/preview/frame", "site", site, "language", language, "state", p.State, "regime", p.Regime, "days", "")
	}
	if p.Language == "all" {
		for _, language := range p.Languages {
			p.Frames = append(p.Frames, frame{Title: language, Size: "phone", Source: at(language)})
		}
	} else {
		if !slices.Contains(p.Languages, p.Language) {
			p.Language = p.Languages[0]
			if slices.Contains(p.Languages, "en") {
				p.Language = "en"
			}
		}
		for _, f := range sizes {
			f.Source = at(p.Language)
			p.Frames = append(p.Frames, f)
		}
	}
	return &view{Template: "preview", Title: "Preview", Preview: p, Timeless: true,
		Lead: "The banner as visitors meet it, with the texts and colours that are configured. Nothing in it can be pressed."}, nil
}

// previewFrame is the page within a preview: the banner on a page of grey lines,
// in which nothing runs and nothing can be sent.
func (a *Admin) previewFrame(w http.ResponseWriter, r *http.Request) {
	_, previewer := a.previewer(r.FormValue("site"))
	if previewer == nil {
		http.NotFound(w, r)
		return
	}
	language := r.FormValue("language")
	if !slices.Contains(previewer.Languages(), language) {
		http.NotFound(w, r)
		return
	}
	standing := consent.Standing{Made: r.FormValue("state") == "made"}
	if regime, ok := consent.ParseRegime(r.FormValue("regime")); ok {
		standing.Regime = regime
	}
	nonce := rand.Text()
	h := w.Header()
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'self'; style-src 'nonce-"+nonce+"'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	dir := "ltr"
	if slices.Contains([]string{"ar", "he"}, language) {
		dir = "rtl"
	}
	page := fmt.Appendf(nil, previewPage, html.EscapeString(language), dir, nonce)
	page = previewer.AppendPreview(page, language, standing, nonce)
	// Several banners are looked at side by side: none may take the focus.
	page = bytes.Replace(page, []byte(" autofocus"), nil, 1)
	w.Write(append(page, "</body></html>"...))
}

const previewPage = `<!doctype html><html lang="%s" dir="%s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
	`<meta name="color-scheme" content="light dark"><title>Preview</title><style nonce="%s">` +
	`body{margin:0;padding:7vw 8vw;background:light-dark(#fff,#17191b)}` +
	`i{display:block;height:.7rem;margin:0 0 1rem;border-radius:.35rem;background:light-dark(#eceef0,#2a2e31)}` +
	`i:first-of-type{height:2.2rem;width:55%%;margin-bottom:2rem}i:nth-of-type(4n){width:62%%;margin-bottom:2.2rem}</style></head><body>` +
	`<i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i>`
