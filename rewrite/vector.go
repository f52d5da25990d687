package rewrite

import (
	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// reading is how the value of an attribute refers to others.
type reading uint8

const (
	noReading  reading = iota
	asURL              // one URL
	asURLs             // URLs, separated by white space
	asSrcset           // image candidates: URLs, each with a descriptor, separated by commas
	asStyle            // CSS declarations
	asCode             // a script
	asDocument         // an HTML document
	asRefresh          // the content of <meta http-equiv=refresh>
	asOrigins          // client hints, each with the origins that are to get them
	asLink             // a URL to navigate to: a javascript: one is a script
	asSwitch           // "on" acts
	asList             // JSON with URLs
	asPaint            // CSS in a presentation attribute of SVG (SVG 2, section 6.6)
	asAnimated         // what an animation goes through: URLs or CSS, separated by semicolons
	asAMP              // a type or reference that AMP's runtime knows its vendor by
)

var readingNames = [...]string{"", "URL", "URLs", "srcset", "CSS", "script", "HTML", "refresh", "origins", "navigation", "switch", "JSON", "CSS value", "values", "AMP"}

// vector is one way by which a page reaches a third party.
type vector struct {
	element   string // "*" for all
	attribute string
	read      reading
	kind      rules.Kind
	fate      consent.Fate // when the visitor has not agreed
	// when limits the vector to a <link> with this relation, a <meta> with this
	// http-equiv, an <input> of this type or a <param> with this name.
	when string
	// only says that the vector is held where a rule names the target, and
	// not because a third party is unclassified.
	only bool
	// next is 1 + the index of the next vector of the element and attribute,
	// 0 for none.
	next uint8
}

// vectors is the list of all that the rewriter looks at, beside the text of
// script, style and noscript elements. Of two entries for one attribute the
// element's own comes before that for all elements.
var vectors = []vector{
	{element: "script", attribute: "src", read: asURL, kind: rules.Script, fate: consent.Hold},
	{element: "script", attribute: "href", read: asURL, kind: rules.Script, fate: consent.Hold},
	{element: "script", attribute: "xlink:href", read: asURL, kind: rules.Script, fate: consent.Hold},
	{element: "script", attribute: "data-rocket-src", read: asURL, kind: rules.Script, fate: consent.Hold, only: true},

	{element: "img", attribute: "src", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "img", attribute: "srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold},
	{element: "img", attribute: "lowsrc", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "img", attribute: "dynsrc", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "image", attribute: "src", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "image", attribute: "srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold},
	{element: "image", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "image", attribute: "xlink:href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "feimage", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "feimage", attribute: "xlink:href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "use", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "use", attribute: "xlink:href", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "set", attribute: "to", read: asAnimated, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "animate", attribute: "from", read: asAnimated, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "animate", attribute: "to", read: asAnimated, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "animate", attribute: "by", read: asAnimated, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "animate", attribute: "values", read: asAnimated, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "input", attribute: "src", read: asURL, kind: rules.Image, fate: consent.Hold, when: "image"},
	{element: "source", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Hold},
	{element: "source", attribute: "srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold},
	{element: "track", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Hold},
	{element: "video", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Placeholder},
	{element: "video", attribute: "poster", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "audio", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Placeholder},
	{element: "bgsound", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Hold},
	{element: "body", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "table", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "tbody", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "thead", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "tfoot", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "tr", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "col", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "colgroup", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "td", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "th", attribute: "background", read: asURL, kind: rules.Image, fate: consent.Hold},

	{element: "iframe", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Placeholder},
	{element: "iframe", attribute: "srcdoc", read: asDocument, kind: rules.Frame, fate: consent.Hold},
	{element: "frame", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Hold},
	{element: "fencedframe", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Hold},
	{element: "portal", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Hold},
	{element: "object", attribute: "data", read: asURL, kind: rules.Object, fate: consent.Placeholder},
	{element: "object", attribute: "codebase", read: asURL, kind: rules.Object, fate: consent.Hold},
	{element: "object", attribute: "classid", read: asURL, kind: rules.Object, fate: consent.Hold},
	{element: "object", attribute: "archive", read: asURLs, kind: rules.Object, fate: consent.Hold},
	{element: "embed", attribute: "src", read: asURL, kind: rules.Object, fate: consent.Placeholder},
	{element: "embed", attribute: "code", read: asURL, kind: rules.Object, fate: consent.Placeholder},
	{element: "applet", attribute: "code", read: asURL, kind: rules.Object, fate: consent.Hold},
	{element: "applet", attribute: "codebase", read: asURL, kind: rules.Object, fate: consent.Hold},
	{element: "applet", attribute: "archive", read: asURLs, kind: rules.Object, fate: consent.Hold},
	{element: "param", attribute: "value", read: asURL, kind: rules.Object, fate: consent.Hold, when: "movie"},
	{element: "param", attribute: "value", read: asURL, kind: rules.Object, fate: consent.Hold, when: "src"},
	{element: "param", attribute: "value", read: asURL, kind: rules.Object, fate: consent.Hold, when: "url"},
	{element: "param", attribute: "value", read: asURL, kind: rules.Object, fate: consent.Hold, when: "data"},

	{element: "link", attribute: "href", read: asURL, kind: rules.Style, fate: consent.Hold, when: "stylesheet"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "preload"},
	{element: "link", attribute: "imagesrcset", read: asSrcset, kind: rules.Hint, fate: consent.Strip, when: "preload"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "modulepreload"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "prefetch"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "prerender"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "preconnect"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "dns-prefetch"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "compression-dictionary"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold, when: "icon"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold, when: "apple-touch-icon"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold, when: "apple-touch-icon-precomposed"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Image, fate: consent.Hold, when: "mask-icon"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Other, fate: consent.Hold, when: "manifest"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Hint, fate: consent.Strip, when: "pingback"},
	{element: "link", attribute: "href", read: asURL, kind: rules.Script, fate: consent.Hold, when: "import"},

	{element: "a", attribute: "ping", read: asURLs, kind: rules.Ping, fate: consent.Strip},
	{element: "area", attribute: "ping", read: asURLs, kind: rules.Ping, fate: consent.Strip},
	{element: "*", attribute: "attributionsrc", read: asURLs, kind: rules.Ping, fate: consent.Strip},
	{element: "a", attribute: "href", read: asLink, kind: rules.Inline, fate: consent.Hold},
	{element: "a", attribute: "xlink:href", read: asLink, kind: rules.Inline, fate: consent.Hold},
	{element: "area", attribute: "href", read: asLink, kind: rules.Inline, fate: consent.Hold},
	{element: "form", attribute: "action", read: asURL, kind: rules.Form, fate: consent.Hold, only: true},
	{element: "button", attribute: "formaction", read: asURL, kind: rules.Form, fate: consent.Hold, only: true},
	{element: "input", attribute: "formaction", read: asURL, kind: rules.Form, fate: consent.Hold, only: true},
	{element: "meta", attribute: "content", read: asRefresh, kind: rules.Other, fate: consent.Hold, when: "refresh", only: true},
	{element: "meta", attribute: "content", read: asOrigins, kind: rules.Hint, fate: consent.Strip, when: "delegate-ch"},
	{element: "meta", attribute: "content", read: asSwitch, kind: rules.Hint, fate: consent.Strip, when: "x-dns-prefetch-control"},
	{element: "html", attribute: "manifest", read: asURL, kind: rules.Other, fate: consent.Hold},

	{element: "*", attribute: "data-src", read: asURL, kind: rules.Other, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-lazy-src", read: asURL, kind: rules.Other, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-lazy-srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-lazyload", read: asURL, kind: rules.Other, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-litespeed-src", read: asURL, kind: rules.Other, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-bg", read: asURL, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-background", read: asURL, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-background-image", read: asURL, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-original", read: asURL, kind: rules.Image, fate: consent.Hold, only: true},
	{element: "*", attribute: "data-poster", read: asURL, kind: rules.Image, fate: consent.Hold, only: true},

	{element: "amp-img", attribute: "src", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "amp-img", attribute: "srcset", read: asSrcset, kind: rules.Image, fate: consent.Hold},
	{element: "amp-video", attribute: "src", read: asURL, kind: rules.Media, fate: consent.Hold},
	{element: "amp-iframe", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Hold},
	{element: "amp-pixel", attribute: "src", read: asURL, kind: rules.Image, fate: consent.Hold},
	{element: "amp-ad", attribute: "src", read: asURL, kind: rules.Frame, fate: consent.Hold},
	{element: "amp-analytics", attribute: "config", read: asURL, kind: rules.Connect, fate: consent.Hold},
	{element: "amp-analytics", attribute: "type", read: asAMP, kind: rules.Connect, fate: consent.Hold},
	{element: "amp-ad", attribute: "type", read: asAMP, kind: rules.Frame, fate: consent.Hold},
	{element: "amp-auto-ads", attribute: "type", read: asAMP, kind: rules.Frame, fate: consent.Hold},
	{element: "amp-embed", attribute: "type", read: asAMP, kind: rules.Frame, fate: consent.Hold},
	{element: "amp-facebook", attribute: "data-href", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-facebook-comments", attribute: "data-href", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-facebook-like", attribute: "data-href", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-facebook-page", attribute: "data-href", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-instagram", attribute: "data-shortcode", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-pinterest", attribute: "data-do", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-soundcloud", attribute: "data-trackid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-soundcloud", attribute: "data-playlistid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-tiktok", attribute: "data-src", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-twitter", attribute: "data-tweetid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-twitter", attribute: "data-timeline-source-type", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-vimeo", attribute: "data-videoid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-youtube", attribute: "data-videoid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},
	{element: "amp-youtube", attribute: "data-live-channelid", read: asAMP, kind: rules.Frame, fate: consent.Placeholder},

	{element: "*", attribute: "clip-path", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "cursor", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "fill", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "filter", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "marker-end", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "marker-mid", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "marker-start", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "mask", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "stroke", read: asPaint, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "style", read: asStyle, kind: rules.Image, fate: consent.Hold},
	{element: "*", attribute: "on*", read: asCode, kind: rules.Inline, fate: consent.Hold},
}

// attribute is the number of an attribute's name; 0 for one that nothing here
// looks at.
type attribute uint8

// others are the attributes that say something about an element without
// referring to anything.
var others = []string{
	"class", "id", "type", "rel", "name", "lang", "width", "height", "title", "http-equiv", "nonce",
	"data-category", "data-cookieconsent", "data-cookiecategory", "data-cookieyes", "data-cli-category", "data-osano",
	"data-iub-purposes", "data-service", "data-name", "data-type", "data-usercentrics", "data-vendor",
	"data-borlabs-cookie-id", "data-borlabs-cookie-script-blocker-id", "data-borlabs-script-blocker-id", "data-borlabs-cookie-content", "data-askfirst-category", "language", "hidden",
}

var (
	attributeTable *scan.Names
	roles          [256]role // by element
)

// role is what attributes do on an element.
type role struct {
	// first has 1 + the index of an attribute's first vector, 0 for none.
	first  [256]uint8
	effect [256]effect
	// by is the attribute on which it depends what others do.
	by attribute
}

// effect is what an attribute on an element calls for, before its value is
// looked at.
type effect uint8

const (
	noEffect effect = iota
	acts            // a closer look
	actsIf          // a closer look, where role.by is there too
	isLink          // one where its value may be a javascript: URL
	isStyle         // one where its value may have a URL
	isClass
	isID
)

func (v *vector) effect() effect {
	switch {
	case v.when != "":
		return actsIf
	case v.read == asLink:
		return isLink
	case v.read == asStyle, v.read == asPaint:
		return isStyle
	}
	return acts
}

func attributeOf(name string) attribute {
	return attribute(attributeTable.Find([]byte(name), 0, len(name)))
}

// The attributes that code asks for by name.
var (
	attrClass, attrID, attrType, attrRel, attrName, attrLang, attrWidth, attrHeight, attrTitle,
	attrHTTPEquiv, attrContent, attrHref, attrSrc, attrCategory, attrHeld, attrLanguage, attrStyle, attrHidden, attrSrcdoc, attrRocketSrc,
	attrDataSrc, attrDataType, attrDataName, attrXlinkHref, attrCookieConsent, attrCookieCategory, attrCookieYes, attrCLICategory,
	attrOsano, attrPurposes, attrService, attrUsercentrics, attrBorlabs, attrBorlabsBlocker, attrBorlabsBlocker2, attrComplianz, attrBorlabsContent attribute
	attrParkedSources []attribute
)

func init() {
	names := []string{""}
	known := map[string]bool{}
	add := func(name string) {
		if !known[name] && name != "on*" {
			known[name] = true
			names = append(names, name)
		}
	}
	for _, v := range vectors {
		add(v.attribute)
	}
	for _, name := range others {
		add(name)
	}
	for _, name := range parkedSources {
		add(name)
	}
	attributeTable = scan.NewNames(names)
	last := map[[2]string]uint8{}
	for i := len(vectors) - 1; i >= 0; i-- {
		v := &vectors[i]
		key := [2]string{v.element, v.attribute}
		v.next, last[key] = last[key], uint8(i+1)
	}
	handlers = vectors[len(vectors)-1]
	for name, a := range map[string]*attribute{
		"class": &attrClass, "id": &attrID, "type": &attrType, "rel": &attrRel, "name": &attrName, "lang": &attrLang,
		"width": &attrWidth, "height": &attrHeight, "title": &attrTitle, "http-equiv": &attrHTTPEquiv, "content": &attrContent, "href": &attrHref,
		"src": &attrSrc, "data-category": &attrCategory, "data-askfirst-category": &attrHeld,
		"language": &attrLanguage, "hidden": &attrHidden, "data-rocket-src": &attrRocketSrc, "srcdoc": &attrSrcdoc, "style": &attrStyle, "data-src": &attrDataSrc,
		"data-type": &attrDataType, "data-name": &attrDataName, "xlink:href": &attrXlinkHref,
		"data-cookieconsent": &attrCookieConsent, "data-cookiecategory": &attrCookieCategory, "data-cookieyes": &attrCookieYes,
		"data-cli-category": &attrCLICategory, "data-osano": &attrOsano, "data-iub-purposes": &attrPurposes,
		"data-service": &attrService, "data-usercentrics": &attrUsercentrics, "data-borlabs-cookie-id": &attrBorlabs,
		"data-borlabs-cookie-script-blocker-id": &attrBorlabsBlocker, "data-borlabs-script-blocker-id": &attrBorlabsBlocker2,
		"data-src-cmplz": &attrComplianz, "data-borlabs-cookie-content": &attrBorlabsContent,
	} {
		*a = attributeOf(name)
	}
	for _, name := range parkedSources {
		attrParkedSources = append(attrParkedSources, attributeOf(name))
	}
	for e := range roles {
		r := &roles[e]
		switch scan.Element(e) {
		case scan.Link:
			r.by = attrRel
		case scan.Meta:
			r.by = attrHTTPEquiv
		case scan.Param:
			r.by = attrName
		default:
			r.by = attrType
		}
	}
	enter := func(r *role, a attribute, i int) {
		r.first[a], r.effect[a] = uint8(i+1), vectors[i].effect()
	}
	for i := len(vectors) - 1; i >= 0; i-- {
		if v := &vectors[i]; v.element == "*" && v.attribute != "on*" {
			for e := range roles {
				enter(&roles[e], attributeOf(v.attribute), i)
			}
		}
	}
	for i := len(vectors) - 1; i >= 0; i-- {
		if v := &vectors[i]; v.element != "*" {
			enter(&roles[scan.ElementOf(v.element)], attributeOf(v.attribute), i)
		}
	}
	for e := range roles {
		r := &roles[e]
		r.effect[attrClass], r.effect[attrID], r.effect[attrCategory] = isClass, isID, acts
		r.effect[attrBorlabsContent], r.effect[attrBorlabs] = acts, acts
		for _, a := range attrParkedSources {
			r.effect[a] = acts
		}
	}
}
