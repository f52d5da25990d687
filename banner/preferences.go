package banner

import (
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// preferences is the body of the preferences page.
type preferences struct {
	Edition       string
	Intro, Reject string
	Objection     string
	Saved         bool
	Made          bool
	At            string
	Agreed        string
	// Necessary are the vendors that need no consent.
	Necessary []declaredVendor
	Offers    []preference
	// Back is where the form leads: to where the visitor was, or here.
	Back string
}

type preference struct {
	offer
	Ticked bool
	// Vendors are those of the category that were seen on the site.
	Vendors []declaredVendor
}

func (b *Banner) servePreferences(ctx *fasthttp.RequestCtx, v *Visit) {
	p, body := b.preferencesPage(v, b.pageLanguage(ctx))
	args := ctx.QueryArgs()
	p.Return = local(string(args.Peek("return")))
	body.Saved, body.Back = args.Has("saved"), p.Return
	if !args.Has("return") {
		body.Back = b.o.Prefix + "preferences?saved"
	}
	if body.Made {
		body.At = moment(v.Standing.Choice.At)
	}
	b.servePage(ctx, p)
}

// preferencesPage is the page as it stands for a visitor, without the moment of
// their choice and the way back.
func (b *Banner) preferencesPage(v *Visit, language int) (*page, *preferences) {
	p := b.pageIn(language, v, "preferences")
	p.Heading, p.Lead = p.T["reopen"], p.T.fill("preferences_text", "{site}", p.Title)
	body := &preferences{Edition: b.edition, Objection: objection(p.T, v.Standing.Objection), Made: v.Standing.Made, Back: p.Return}
	body.Intro, body.Reject = wording(p.T, p.Title, v.Standing.Regime)
	if v.Standing.Made {
		body.Agreed = agreed(p.T, v.Standing.Choice.Categories)
	}
	view := View{Standing: v.Standing}
	declared := b.declare(p.language, p.Title)
	body.Necessary = declared.of(consent.Necessary)
	for _, o := range b.offers(p.T) {
		body.Offers = append(body.Offers, preference{o, view.ticked(o.Category), declared.of(o.Category)})
	}
	p.Body = body
	return p, body
}
