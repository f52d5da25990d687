// Package rules knows a tracker when it sees one: given a URL, an inline
// script, a cookie name or a mark in a page, it says which vendor is behind
// it, what for, and which rule says so.
//
// An Engine is built once and never changes; a reload builds another. Its
// methods are safe for concurrent use and, but for hosts that are not plain
// ASCII names and for what is called Explain, do not allocate.
//
//	engine, err := rules.New(rules.Options{})
//	var page rules.Page
//	page.Reset([]byte("https://shop.example/blog/"))
//	d := engine.URL(&page, []byte("//www.google-analytics.com/collect?v=2"), rules.Image)
//	fmt.Println(d.Category, d.Vendor.Name, d.Rule)
//
// # What decides
//
// Of all that is known of a thing, the first of these decides: an element's own
// mark in the page (which the package does not see), an override of the site,
// an exception of an operator's list, the catalogue's URL patterns, its
// domains, the breadth table, an operator's list, a heuristic. What nothing
// knows is unclassified if it is a third party's and necessary if it is the
// page's own.
//
// Whose a URL is, its registrable domain says. A URL of the page's own site is
// held only by a rule that names it: an override, a pattern whose host is "*" or
// "self", a list's pattern beyond a bare domain, a rule about a domain below the
// site, if it is about measuring or advertising and the page is not of that host,
// or a domain that its host is an alias of.
//
// # Where rules come from
//
// The catalogue is embedded: catalogue/*.yml, one vendor an entry, of which
// catalogue.bin is the compiled form (go generate makes it). breadth.tsv has
// facts about further domains. Overrides, lists and a DNS server for aliases
// come in by Options. Mistakes are told all at once, each with file and line.
package rules
