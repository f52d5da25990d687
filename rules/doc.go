// Package rules knows a tracker when it sees one: given a URL, an inline
// script, a cookie name or a mark in a page, it says which vendor is behind
// it, what for, and which rule says so.
//
// An Engine is built once and never changes; a reload builds another. Its
// methods are safe for concurrent use and do not allocate.
//
//	engine, err := rules.New(rules.Options{})
//	var page rules.Page
//	page.Reset([]byte("https://shop.example/blog/"))
//	d := engine.URL(&page, []byte("//www.google-analytics.com/collect?v=2"), rules.Image)
//	fmt.Println(d.Category, d.Vendor.Name, d.Rule)
package rules
