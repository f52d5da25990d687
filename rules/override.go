package rules

import "github.com/askfirst/askfirst/rules/consent"

// Override is an operator's own rule. Exactly one of Vendor, Domain, URL,
// Inline and Cookie says what it is about.
type Override struct {
	Vendor string   // a vendor's ID
	Domain string   // a domain and its subdomains
	URL    string   // a pattern, see ParsePattern
	Inline []string // tokens that must all occur in an inline script
	Cookie string   // a cookie's name, or a prefix ending in "*"

	// Category is what the thing becomes; Necessary makes it always pass.
	Category consent.Category
	// As names the vendor whose tag this is; Category is then that vendor's
	// unless set. Empty for none.
	As string
	// AlwaysHold holds it whatever the visitor agreed to.
	AlwaysHold bool
	// Pages limits the override to pages whose path matches this glob; empty
	// for all.
	Pages string

	// File and Line are where the override was written.
	File string
	Line int
}

// Options are what an Engine is made from beside the embedded catalogue.
type Options struct {
	Overrides []Override
}
