package banner

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// Box is what a placeholder stands in for.
type Box struct {
	// Vendor is nil where none is known.
	Vendor *rules.Vendor
	// Category is what the visitor would have to agree to.
	Category consent.Category
	// Element is the held element's name in lower case.
	Element []byte
	// Width, Height, Class and Style are the held element's attributes,
	// decoded. Empty where absent.
	Width, Height, Class, Style []byte
	// Title is the held element's title attribute.
	Title []byte
}

// BoxEnd closes what AppendPlaceholder opens, after the held element.
const BoxEnd = "</askfirst-placeholder>"

// maxTitle is how much of the held element's title is shown, in bytes.
const maxTitle = 160

// boxKey is all that a placeholder's markup depends on beside its slots.
type boxKey struct {
	language int
	vendor   *rules.Vendor
	category consent.Category
	// child says that nothing can be loaded by a press.
	child bool
}

// AppendPlaceholder appends the box that stands in for a held element, up to
// where that element begins.
func (b *Banner) AppendPlaceholder(dst []byte, v *View, lang []byte, box *Box) []byte {
	category := box.Category
	if category == consent.Unclassified {
		category = consent.Marketing
	}
	dst = append(dst, `<askfirst-placeholder data-vendor="`...)
	if box.Vendor != nil {
		dst = append(dst, box.Vendor.ID...)
	}
	dst = append(dst, `" data-category="`...)
	dst = append(dst, category.String()...)
	dst = append(dst, '"')
	dst = appendAttribute(dst, ` width="`, box.Width)
	dst = appendAttribute(dst, ` height="`, box.Height)
	dst = appendAttribute(dst, ` class="`, box.Class)
	if width, ok := bytes.CutSuffix(box.Width, percent); ok && number(width) {
		dst = append(dst, ` style="width:`...)
		dst = append(dst, width...)
		dst = append(dst, '%', ';')
		dst = appendEscaped(dst, box.Style)
		dst = append(dst, '"')
	} else {
		dst = appendAttribute(dst, ` style="`, box.Style)
	}
	dst = append(dst, '>')
	k := boxKey{b.languages.choose(lang, v.AcceptLanguage), box.Vendor, category, v.Standing.Child}
	return b.appendTree(dst, b.boxes.get(k), v, box)
}

func appendAttribute(dst []byte, open string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, open...)
	dst = appendEscaped(dst, value)
	return append(dst, '"')
}

var percent = []byte{'%'}

// number reports whether s is a run of one to five digits.
func number(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 5
}

// appendStrut appends the size that holds the box open: that of the held
// element's attributes, or what browsers give such an element without them
// (HTML §15.4.1). A mark has no size of its own: its box takes what the text
// needs.
func (box *Box) appendStrut(dst []byte) []byte {
	width, height := "300", "150"
	switch string(box.Element) {
	case "audio":
		height = "54"
	case "iframe", "embed", "object", "video", "img":
	default:
		return append(dst, ` class="none"`...)
	}
	w, _ := bytes.CutSuffix(box.Width, pixels)
	h, _ := bytes.CutSuffix(box.Height, pixels)
	dst = append(dst, ` class="strut" width="`...)
	switch p, ok := bytes.CutSuffix(w, percent); {
	case ok && number(p):
		dst = append(dst, "100%"...)
	case number(w):
		dst = append(dst, w...)
	default:
		dst = append(dst, width...)
	}
	dst = append(dst, `" height="`...)
	if number(h) {
		dst = append(dst, h...)
	} else {
		dst = append(dst, height...)
	}
	return append(dst, '"')
}

var pixels = []byte("px")

// placeholder is what its template is given.
type placeholder struct {
	T        texts
	Lang     string
	Prefix   string
	Edition  string
	Label    string
	Text     string
	Always   string // label of agreeing to the category, where the site asks about it
	Category consent.Category
	Vendor   string
	Locked   bool   // only a page loaded anew can let the vendor in
	Icon     string // path of a 24×24 drawing, stroked
	Child    bool
}

// icons are drawn by hand for this package, one for each rules.Vendor.Widget
// that has a shape of its own.
var icons = map[string]string{
	"video":    "M3 5h18v14H3zM10 9l5 3-5 3z",
	"audio":    "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
	"map":      "M12 21s7-6.2 7-11a7 7 0 0 0-14 0c0 4.8 7 11 7 11zM14.5 10a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
	"comments": "M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12h5",
	"chat":     "M4 5h16v11H10l-4 4v-4H4zM8 10.5h.01M12 10.5h.01M16 10.5h.01",
	"social":   "M18 8.5a2.5 2.5 0 1 0-2.5-2.5M8.5 12A2.5 2.5 0 1 0 6 14.5M18 20.5a2.5 2.5 0 1 0-2.5-2.5M8.3 11l7.4-3.8M8.3 13l7.4 3.8",
	"form":     "M5 3h14v18H5zM9 8h6M9 12h6M9 16h3",
	"signin":   "M16 8a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM4 21c.8-4 4-6 8-6s7.2 2 8 6",
	"captcha":  "M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6zM9 12l2 2 4-4",
}

const embedIcon = "M3 5h18v14H3zM10 9l-3 3 3 3M14 9l3 3-3 3"

func (b *Banner) renderBox(k boxKey) *tree {
	l := b.languages.list[k.language]
	p := placeholder{
		T: l.texts, Lang: l.tag, Prefix: b.o.Prefix, Edition: b.edition, Category: k.category,
		Label: l.texts["box_embed"], Text: l.texts["box_unknown"], Icon: embedIcon, Locked: b.o.SecondLock, Child: k.child,
	}
	if b.offered.Has(k.category) {
		p.Always = l.texts.fill("always", "{category}", l.texts[k.category.String()])
	}
	if v := k.vendor; v != nil {
		if label, ok := l.texts["box_"+v.Widget]; ok {
			p.Label = label
		}
		if icon, ok := icons[v.Widget]; ok {
			p.Icon = icon
		}
		p.Vendor = v.ID
		p.Label += " · " + v.Name
		p.Text = l.texts.fill("box_text", "{vendor}", v.Name, "{company}", v.Company, "{country}", l.country(v.Country))
	}
	return b.renderTree("box.html", p, b.boxCSS)
}

// serveBox answers with the box for what a script has put into a page. For a
// frame, which says its height, it is a document of its own: the guard shows it
// in that frame, so that no element comes into the page that its scripts do not
// know. Without a height it is that for a mark. Where there is nothing to be seen
// of the vendor, the answer is 204.
func (b *Banner) serveBox(ctx *fasthttp.RequestCtx, v *Visit) {
	args := ctx.QueryArgs()
	category, ok := consent.ParseCategory(string(args.Peek("category")))
	height := args.Peek("height")
	if !ok || category == consent.Necessary || len(height) > 0 && !number(height) {
		b.refuse(ctx, fasthttp.StatusBadRequest, "want category, and perhaps vendor and height")
		return
	}
	private(ctx)
	ctx.Response.Header.Set("Cache-Control", "private, max-age=300")
	vendor := b.engine.Vendor(string(args.Peek("vendor")))
	if vendor != nil && vendor.Widget == "" {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	box := Box{Vendor: vendor, Category: category}
	var markup []byte
	if len(height) > 0 {
		box.Element, box.Width, box.Height = []byte("iframe"), []byte("100%"), height
		markup = append(markup, `<!DOCTYPE html><meta name="color-scheme" content="light dark"><base target="_top"><body marginwidth="0" marginheight="0">`...)
	}
	view := View{Standing: v.Standing, Host: []byte(v.Host), AcceptLanguage: ctx.Request.Header.Peek("Accept-Language"), Return: args.Peek("return")}
	markup = append(b.AppendPlaceholder(markup, &view, args.Peek("language"), &box), BoxEnd...)
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(markup)
}
