package rules

import (
	"github.com/askfirst/askfirst/rules/consent"
)

// Kind is the way in which a page uses a URL.
type Kind uint8

// The kinds.
const (
	Other Kind = iota
	Script
	Style
	Image
	Font
	Media
	Frame
	Object
	Connect // fetch, XMLHttpRequest, WebSocket, EventSource
	Ping    // sendBeacon, ping=, attributionsrc
	Hint    // preconnect, dns-prefetch, preload and the like
	Form
	Inline // inline script
	Widget // a mark in HTML
	StoredCookie
	kinds
)

var kindNames = [kinds]string{"other", "script", "style", "image", "font", "media", "frame", "object", "connect", "ping", "hint", "form", "inline", "widget", "cookie"}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Party says whose a URL is.
type Party uint8

// The parties. NoParty is for references that make no request: data:, blob:,
// about:, javascript:, fragments and what cannot be parsed.
const (
	NoParty Party = iota
	FirstParty
	ThirdParty
)

// Decision is what the rules say of one thing. It always carries its reason.
type Decision struct {
	// Vendor is nil where no vendor is known.
	Vendor   *Vendor
	Category consent.Category
	Party    Party
	// Rule is what decided; nil where nothing did: a first-party URL that no
	// rule names, or an unclassified third party.
	Rule *Rule
}

// Allowed reports whether the thing may act under what was granted.
func (d Decision) Allowed(granted consent.Set) bool {
	if d.Vendor != nil && d.Vendor.Container {
		return !granted.Empty()
	}
	return granted.Has(d.Category)
}

// Rule is the reason of a decision.
type Rule struct {
	// Source is what kind of rule it is: override, exception, catalogue,
	// table, list, heuristic.
	Source string
	// Text is the rule as it was written.
	Text string
	// File and Line are where it was written. Line counts from 1.
	File string
	Line int
}

// Engine is a compiled set of rules.
type Engine struct{}

// New compiles the embedded catalogue with the given options. Its error joins
// every mistake found, each with file and line.
func New(o Options) (*Engine, error) { return &Engine{}, nil }

// Revision identifies the rules: two engines with equal revisions decide alike.
func (e *Engine) Revision() [16]byte { return [16]byte{} }

// URL decides about a reference as it stands in the page, character references
// decoded. ref is read as browsers read it (WHATWG URL).
func (e *Engine) URL(p *Page, ref []byte, k Kind) Decision { return Decision{} }

// Inline decides about the code of an inline script, event handler or
// javascript: URL.
func (e *Engine) Inline(p *Page, code []byte) Decision { return Decision{} }

// Cookie decides about a cookie by its name. A cookie that no rule knows is
// Necessary with a nil Rule.
func (e *Engine) Cookie(name []byte) Decision { return Decision{} }

// Storage decides about a localStorage or sessionStorage key likewise.
func (e *Engine) Storage(key []byte) Decision { return Decision{} }

// Class, ID, Element and Attribute decide about marks in HTML. A mark that no
// rule knows is Necessary with a nil Rule.
func (e *Engine) Class(name []byte) Decision     { return Decision{} }
func (e *Engine) ID(name []byte) Decision        { return Decision{} }
func (e *Engine) Element(name []byte) Decision   { return Decision{} }
func (e *Engine) Attribute(name []byte) Decision { return Decision{} }

// Vendor returns the vendor with the given ID, nil for none.
func (e *Engine) Vendor(id string) *Vendor { return nil }

// Vendors returns all vendors in the order of their IDs.
func (e *Engine) Vendors() []*Vendor { return nil }

// AppendTable appends the rules as JSON for the guard, which decides in the
// page as the engine does on the wire.
func (e *Engine) AppendTable(dst []byte) []byte { return dst }
