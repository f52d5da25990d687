package scan

// Element is the number of an element's name; Unknown for one not listed here.
type Element uint8

// The elements that some part of the HTML standard's tokenizer or tree
// construction singles out, and those that refer to other resources.
const (
	Unknown Element = iota
	A
	Animate
	Annotation // annotation-xml
	Applet
	Area
	Askfirst // askfirst-placeholder
	Audio
	B
	Base
	Bgsound
	Big
	Blockquote
	Body
	Br
	Button
	Caption
	Center
	Code
	Col
	Colgroup
	Command
	Dd
	Desc
	Div
	Dl
	Dt
	Em
	Embed
	FeImage
	Fencedframe
	Font
	ForeignObject
	Form
	Frame
	Frameset
	H1
	H2
	H3
	H4
	H5
	H6
	Head
	Hr
	HTMLElement
	I
	Iframe
	Image
	Img
	Input
	Ins
	Keygen
	Li
	Link
	Listing
	Malignmark
	Math
	Menu
	Meta
	Mglyph
	Mi
	Mn
	Mo
	Ms
	Mtext
	Nobr
	Noembed
	Noframes
	Noscript
	Object
	Ol
	Option
	P
	Param
	Picture
	Plaintext
	Portal
	Pre
	Ruby
	S
	Script
	Select
	Set
	Small
	Source
	Span
	Strike
	Strong
	Style
	Sub
	Sup
	SVG
	Table
	Tbody
	Td
	Template
	Textarea
	Tfoot
	Th
	Thead
	Title
	Tr
	Track
	Tt
	U
	Ul
	Use
	Var
	Video
	Wbr
	Xmp
	AmpAd
	AmpAnalytics
	AmpIframe
	AmpImg
	AmpPixel
	AmpVideo
	AmpAutoAds
	AmpEmbed
	AmpFacebook
	AmpFacebookComments
	AmpFacebookLike
	AmpFacebookPage
	AmpInstagram
	AmpPinterest
	AmpSoundcloud
	AmpTiktok
	AmpTwitter
	AmpVimeo
	AmpYoutube
	elements
)

var elementNames = []string{
	"", "a", "animate", "annotation-xml", "applet", "area", "askfirst-placeholder", "audio", "b", "base", "bgsound", "big",
	"blockquote", "body", "br", "button", "caption", "center", "code", "col", "colgroup", "command", "dd", "desc", "div", "dl", "dt", "em",
	"embed", "feimage", "fencedframe", "font", "foreignobject", "form", "frame", "frameset", "h1", "h2", "h3", "h4", "h5",
	"h6", "head", "hr", "html", "i", "iframe", "image", "img", "input", "ins", "keygen", "li", "link", "listing",
	"malignmark", "math", "menu", "meta", "mglyph", "mi", "mn", "mo", "ms", "mtext", "nobr", "noembed", "noframes",
	"noscript", "object", "ol", "option", "p", "param", "picture", "plaintext", "portal", "pre", "ruby", "s", "script",
	"select", "set", "small", "source", "span", "strike", "strong", "style", "sub", "sup", "svg", "table", "tbody", "td",
	"template", "textarea", "tfoot", "th", "thead", "title", "tr", "track", "tt", "u", "ul", "use", "var", "video",
	"wbr", "xmp", "amp-ad", "amp-analytics", "amp-iframe", "amp-img", "amp-pixel", "amp-video",
	"amp-auto-ads", "amp-embed", "amp-facebook", "amp-facebook-comments", "amp-facebook-like", "amp-facebook-page",
	"amp-instagram", "amp-pinterest", "amp-soundcloud", "amp-tiktok", "amp-twitter", "amp-vimeo", "amp-youtube",
}

var elementTable = NewNames(elementNames)

// String returns the element's name in lower case, "" for Unknown.
func (e Element) String() string { return elementNames[e] }

// ElementOf returns the element of the given name in lower case.
func ElementOf(name string) Element {
	return Element(elementTable.Find([]byte(name), 0, len(name)))
}

// trait is what tokenizer and tree construction do with an element.
type trait uint8

const (
	rawText  trait = 1 << iota // text runs to the matching end tag, nothing in it is markup
	void                       // has no end tag
	breakout                   // as a start tag leaves foreign content
	special                    // changes how what follows is read
	foreign                    // does so in SVG or MathML
)

var traits = func() (t [elements]trait) {
	for _, e := range []Element{Script, Style, Title, Textarea, Xmp, Iframe, Noembed, Noframes, Noscript, Plaintext} {
		t[e] |= rawText | special
	}
	for _, e := range []Element{Area, Base, Br, Col, Embed, Hr, Img, Input, Link, Meta, Param, Source, Track, Wbr,
		Bgsound, Command, Frame, Keygen, Image} {
		t[e] |= void
	}
	for _, e := range []Element{B, Big, Blockquote, Body, Br, Center, Code, Dd, Div, Dl, Dt, Em, Embed, H1, H2, H3, H4,
		H5, H6, Head, Hr, I, Img, Li, Listing, Menu, Meta, Nobr, Ol, P, Pre, Ruby, S, Small, Span, Strong, Strike, Sub,
		Sup, Table, Tt, U, Ul, Var} {
		t[e] |= breakout
	}
	for _, e := range []Element{Script, Style, Title, Textarea, Xmp, Iframe, Noembed, Noframes, Noscript, Plaintext,
		ForeignObject, Desc, Annotation, Mi, Mo, Mn, Ms, Mtext} {
		t[e] |= foreign
	}
	t[SVG] |= special
	t[Math] |= special
	return t
}()

// Void reports whether an HTML element of this name never has an end tag.
func (e Element) Void() bool { return traits[e]&void != 0 }

// Raw reports whether in HTML the text of an element of this name is no markup. That
// of noscript is where scripting is off.
func (e Element) Raw() bool { return traits[e]&rawText != 0 }

// AppendEndTag appends the element's end tag.
func (e Element) AppendEndTag(dst []byte) []byte {
	return append(append(append(dst, "</"...), e.String()...), '>')
}
