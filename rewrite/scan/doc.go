// Package scan reads HTML as the tokenizer of the HTML standard does, over a
// stream of bytes and without a tree. It hops from one '<' to the next, tells
// where each tag, comment and raw text begins and ends in the caller's buffer,
// and copies nothing.
//
// Whether an element's text is raw (script, style, title…) or markup depends
// on the namespace, so a Scanner keeps count of the SVG and MathML elements
// that are open, by the rules that the standard gives for foreign content.
// What only the tree knows beyond that (a start tag that "in select" ignores,
// say) it does not follow.
//
//	var s scan.Scanner
//	s.Reset(scan.HTML)
//	for {
//		switch s.Next(page, true) {
//		case scan.StartTag:
//			fmt.Println(s.Element, string(s.Name(page)))
//		case scan.More: // the end
//			return
//		}
//	}
//
// The text that a tokenizer would report between two tags is not reported; it
// is what lies between one token's End and the next one's Start.
package scan
