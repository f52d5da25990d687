// Package rewrite holds the tags of an HTML page. It reads the page as a
// stream of bytes, asks the rules about everything by which the page could
// reach a third party or store on the device, makes inert what the visitor has
// not agreed to, and copies all else byte for byte.
//
//	rw := rewrite.Acquire(out, &rewrite.Document{Rules: engine, URL: url, Granted: granted})
//	defer rewrite.Release(rw)
//	io.Copy(rw, page)
//	err := rw.Close()
//
// VECTORS.md lists what it looks at, and what becomes of it. A page may come in
// any ASCII-compatible encoding; UTF-16 has to be transcoded before.
//
// # What a held element looks like
//
// It keeps its place and all its attributes. Those that would act are renamed,
// src to data-askfirst-src, and keep their values to the byte; at the end of
// the start tag come data-askfirst-category and, where the vendor is known,
// data-askfirst-vendor. A script or style element gets type="text/plain", and
// a type that it had becomes data-askfirst-type. So all can be restored by
// dropping what was added and renaming back. Four things stand in meanwhile: a
// style attribute without the URLs that are held, a srcdoc attribute with the
// document in it rewritten, the first of two attributes of a name of which only
// the second is held, and before a held style element a copy of it, marked
// data-askfirst-copy, without those URLs. A policy in a <meta> stands in for itself
// likewise, with what lets act that is injected. Where things of several categories
// are held in a srcdoc the frame has none: they are released within it.
//
// Markup in SVG and MathML that a tree builder and a preload scanner, or two tree
// builders, would read in two ways gets something before it that has them agree: a
// comment that ends an element's text for the scanner, the end and beginning of a CDATA
// section around a "<" in it, or an end tag with the attribute data-askfirst. What the
// page says is the same with all of them.
//
// An element that nothing but an override holds for good has the category
// "never"; a banner of another consent tool, where those are removed, has
// data-askfirst-removed and no category.
//
// # Order and bounds
//
// Each Write passes on all that is decided: everything but an unfinished tag,
// with the text of a script, style or noscript element that is to be looked at
// as a whole. What is kept back is bounded by Limit, and what is larger is held
// or left out, never passed unexamined. The output does not depend on how the
// page is cut into writes.
//
// The files follow a tag on its way: rewriter.go (bytes in and out), element.go
// (a start tag), judge.go, script.go, speculation.go, css.go, srcset.go and data.go (what it
// refers to, with the table in vector.go), xml.go (what XHTML has beside tags),
// own.go and marks.go (what the page says of it), hold.go (what is written),
// flat.go (what is read in two ways), inject.go (what is added to the page).
// revise.go takes over from the last version of a page what has not changed.
package rewrite
