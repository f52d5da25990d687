package rules

import "github.com/askfirst/askfirst/rules/consent"

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
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "invalid"
}

// ParseKind returns the kind named s.
func ParseKind[T string | []byte](s T) (Kind, bool) {
	for k, name := range kindNames {
		if string(s) == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// Party says whose a URL is.
type Party uint8

// The parties. NoParty is for references that make no request: data:, blob:,
// about:, javascript:, fragments and what cannot be parsed.
const (
	NoParty Party = iota
	FirstParty
	ThirdParty
	parties
)

var partyNames = [parties]string{"none", "first", "third"}

// String returns the party's name.
func (p Party) String() string {
	if p < parties {
		return partyNames[p]
	}
	return "invalid"
}

// Decision is what the rules say of one thing. It always carries its reason.
type Decision struct {
	// Vendor is nil where no vendor is known.
	Vendor   *Vendor
	Category consent.Category
	Party    Party
	// Never says that the thing may not act whatever the visitor agreed to:
	// an override always holds it.
	Never bool
	// Imports says of code, whatever was decided, that it may load scripts by their
	// addresses, as a word that ends in import stands in it (ECMAScript, 13.3.10).
	Imports bool
	// Rule is what decided; nil where nothing did: a first-party URL that no
	// rule names, or an unclassified third party.
	Rule *Rule
}

// Allowed reports whether the thing may act under what was granted. A
// container is released with the first category of any kind.
func (d Decision) Allowed(granted consent.Set) bool {
	switch {
	case d.Never:
		return false
	case d.Vendor != nil && d.Vendor.Container && d.Category != consent.Necessary:
		return !granted.Empty()
	}
	return granted.Has(d.Category)
}

// Sources of rules.
const (
	SourceOverride  = "override"
	SourceException = "exception"
	SourceCatalogue = "catalogue"
	SourceTable     = "table"
	SourceList      = "list"
	SourceHeuristic = "heuristic"
)

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
