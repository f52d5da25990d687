package banner

import (
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules/consent"
)

// preferences is the body of the preferences page.
type preferences struct {
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
	p := b.newPage(ctx, v, "preferences")
	p.Heading, p.Lead = p.T["reopen"], p.T.fill("preferences_text", "{site}", p.Title)
	body := preferences{Objection: objection(p.T, v.Standing.Objection), Made: v.Standing.Made, Saved: ctx.QueryArgs().Has("saved"), Back: p.Return}
	body.Intro, body.Reject = wording(p.T, p.Title, v.Standing.Regime)
	if !ctx.QueryArgs().Has("return") {
		body.Back = b.o.Prefix + "preferences?saved"
	}
	if v.Standing.Made {
		body.At, body.Agreed = moment(v.Standing.Choice.At), agreed(p.T, v.Standing.Choice.Categories)
	}
	view := View{Standing: v.Standing}
	declared := b.declare(p.language, p.Title)
	body.Necessary = declared.of(consent.Necessary)
	for _, o := range b.offers(p.T) {
		body.Offers = append(body.Offers, preference{o, view.ticked(o.Category), declared.of(o.Category)})
	}
	p.Body = &body
	b.servePage(ctx, p)
}
