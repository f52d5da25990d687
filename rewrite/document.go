package rewrite

import (
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// Document says how one page is to be rewritten.
type Document struct {
	Rules *rules.Engine
	// URL is the page's absolute address, as the visitor sees it.
	URL []byte
	// Granted is what may act.
	Granted consent.Set
	// Let is a vendor that may act in this document whatever was granted; nil
	// for none.
	Let *rules.Vendor
	// Fragment says that nothing is injected: the response is a part of a
	// page (an htmx or Turbo answer). Tags are held all the same.
	Fragment bool
	// Page says that it is a page of HTML whatever it begins with. Where neither is said,
	// what begins with a text is a part, and so is what begins with a tag that no whole
	// document begins with, unless a doctype, <html>, <head> or <body> follows.
	Page bool
	// HoldUnclassified says that a third party that no rule knows is held, as
	// for marketing.
	HoldUnclassified bool
	// RemoveBanners makes the scripts of other consent tools inert for good.
	RemoveBanners bool
	// XML says that the document is application/xhtml+xml.
	XML bool

	// Head appends what goes right after <head>, Foot what goes before
	// </body>. lang is the value of <html lang>, empty where there is none.
	// Nil hooks inject nothing.
	Head func(dst, lang []byte) []byte
	Foot func(dst, lang []byte) []byte
	// Elsewhere is told, before the hooks that follow it, that a <base> may lead
	// paths to another origin than the page's.
	Elsewhere func()
	// Policy appends a Content-Security-Policy that stands in a <meta>, so that
	// what is injected may act under it. Nil leaves policies as they are.
	Policy func(dst, policy []byte) []byte
	// Placeholder appends the box that stands in for a held widget, up to
	// where the held element begins; see banner.AppendPlaceholder. The
	// element's end is followed by PlaceholderEnd.
	Placeholder func(dst, lang []byte, b *Box) []byte
	// Seen is told every tag, held or not. Tag and its slices are valid
	// during the call only.
	Seen func(t *Tag)
}

// PlaceholderEnd closes what Document.Placeholder opens.
const PlaceholderEnd = "</askfirst-placeholder>"

// Box is what a placeholder stands in for.
type Box struct {
	Vendor *rules.Vendor
	// Category that the visitor would have to agree to.
	Category consent.Category
	// Element is the held element's name in lower case. For a mark (see
	// rules.Widget) the held element follows the box instead of standing in it.
	Element []byte
	// Width, Height, Class and Style are the held element's own attributes,
	// decoded, so that the box can take its place. Empty where absent.
	Width, Height, Class, Style []byte
	// Title is the held element's title attribute.
	Title []byte
}

// Tag is one thing in a page that contacts somebody or stores something.
type Tag struct {
	Kind rules.Kind
	// Host and Path are of the tag's URL, without query; empty for inline
	// scripts and marks.
	Host, Path []byte
	Decision   rules.Decision
	Fate       consent.Fate
}
