package rewrite

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// TestVectors keeps VECTORS.md, which shows the table of vectors, true to it.
func TestVectors(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(vectorsHead)
	b.WriteString("| element | attribute | where | read as | kind | fate | held where |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, v := range vectors {
		when, only := "", "not agreed to"
		switch {
		case v.when == "":
		case v.element == "link":
			when = "rel=" + v.when
		case v.element == "meta":
			when = "http-equiv=" + v.when
		case v.element == "param":
			when = "name=" + v.when
		default:
			when = "type=" + v.when
		}
		if v.only {
			only = "a rule names it"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s | %s |\n", v.element, v.attribute, when, readingNames[v.read], v.kind, v.fate, only)
	}
	b.WriteString(vectorsFoot)
	if *update {
		if err := os.WriteFile("VECTORS.md", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("VECTORS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("VECTORS.md is not what the table says; run go test -run Vectors -update ./rewrite")
	}
}

// TestVectorTable checks what the code takes for granted about the table.
func TestVectorTable(t *testing.T) {
	if len(vectors) > 255 || attributeTable.Len() > 200 {
		t.Errorf("%d vectors, %d attributes: numbers are bytes", len(vectors), attributeTable.Len())
	}
	for _, v := range vectors {
		if v.element != "*" && scan.ElementOf(v.element) == scan.Unknown {
			t.Errorf("element %s has no number", v.element)
		}
		if v.attribute != "on*" && attributeOf(v.attribute) == 0 {
			t.Errorf("attribute %s has no number", v.attribute)
		}
	}
	if handlers.attribute != "on*" {
		t.Error("the last vector is not that of event handlers")
	}
	for word, want := range map[string]consent.Category{
		"necessary": consent.Necessary, "C0001": consent.Necessary, "functional": consent.Functional, "c0003": consent.Functional,
		"analytics": consent.Analytics, "C0002": consent.Analytics, "marketing": consent.Marketing, "C0004": consent.Marketing,
		"social": consent.Social, "C0005": consent.Social,
	} {
		if got, ok := otherCategory([]byte(word)); !ok || got != want {
			t.Errorf("%s is %s, want %s", word, got, want)
		}
	}
	if _, ok := otherCategory(nil); ok {
		t.Error("no word is a category")
	}
}

const vectorsHead = `# How a page reaches a third party

The list of all that the rewriter looks at, made from the table in vector.go by
` + "`go test -run Vectors -update ./rewrite`" + `.

A held attribute is renamed in place, ` + "`src` to `data-askfirst-src`" + `, and keeps its value to the byte. *Placeholder* is
*hold* with a click-to-load box around the element, where the vendor's tag is one that visitors see and the element
is not hidden. *Strip* is *hold* for what only serves to connect early or to report.

`

const vectorsFoot = `
## Text of elements

| element | read as | fate |
| --- | --- | --- |
| ` + "`script`" + ` without src: classic, module, or of a type that a loader runs later (Partytown, WP Rocket, LiteSpeed, Cloudflare) | script, matched by signature | hold: ` + "`type=\"text/plain\"`" + ` |
| ` + "`script type=importmap`, `speculationrules`, `webbundle`" + ` | JSON; each string that may be a URL | hold, where a rule names it |
| ` + "`script`" + ` with src=data: | script, decoded, matched by signature | hold |
| ` + "`script type=text/plain`" + ` parked by another consent tool | by its mark, else by rule | waits for the choice here, or goes live when that is made |
| ` + "`style`" + ` (HTML and SVG) | CSS: url(), src(), image-set(), @import; other strings that may be URLs, where a rule names them; escapes and comments as CSS reads them | hold, with a copy before it that lacks the URLs held |
| ` + "`noscript`" + ` | markup, with scripting off | as the elements in it |
| ` + "`template`" + `, declarative shadow roots | markup | as the elements in it |
| SVG ` + "`script`" + ` | text with character references and CDATA | hold |
| comments, conditional ones too | not at all | pass |

Attributes: a URL with the scheme javascript: is read as a script, a data: URL of a frame or object as HTML or XML, one of
a style sheet, linked or imported, as CSS.
A style attribute that is held is replaced by one without the URLs held, a srcdoc by the rewritten document.

## Marks

Elements with a class, id, name or attribute that the catalogue lists as a vendor's mark (` + "`.fb-like`, `#disqus_thread`" + `) get a
box right before them. ` + "`data-category`" + ` on an element is obeyed before all rules. The marks of other tools are
understood on scripts: data-cookieconsent, data-cookiecategory, data-cookieyes, data-cli-category, data-osano,
data-iub-purposes, class optanon-category-*; what they have put aside under data-src, data-cookieblock-src,
data-cmplz-src, data-src-cmplz, data-suppressedsrc, suppressedsrc, data-cli-src, data-uc-src or data-iub-src is put back
when it may act. Where banners of other tools are removed, what Borlabs Cookie keeps in data-borlabs-cookie-content (version
3), or in the script of a hidden element (version 2), takes the place of its box.
`

// TestEveryVector writes an element for each vector and checks that it is held,
// and that it comes out as it was where all is granted.
func TestEveryVector(t *testing.T) {
	const held = "https://www.facebook.com/tr?id=1"
	values := map[reading]string{
		asURL: held, asURLs: "/own " + held, asSrcset: "/own.png 1x, " + held + " 2x", asStyle: "background:url(" + held + ")",
		asCode: "fbq('init','1');fbq('track','PageView')", asDocument: "<img src=" + held + ">", asRefresh: "0;url=" + held, asLink: "javascript:fbq('init','1');fbq('track','PageView')",
		asOrigins: "sec-ch-ua https://www.facebook.com", asSwitch: "on", asAMP: "x", asAnimated: "/own;" + held, asPaint: "url(" + held + ")",
	}
	for _, v := range vectors {
		element, attribute := v.element, v.attribute
		if element == "*" {
			element = "div"
		}
		if attribute == "on*" {
			attribute = "onload"
		}
		before := ""
		if v.when != "" {
			by := map[string]string{"link": "rel", "meta": "http-equiv", "param": "name"}[element]
			if by == "" {
				by = "type"
			}
			before = by + `="` + v.when + `" `
		}
		around := ""
		switch {
		case element == "feimage" || element == "use" || strings.Contains(attribute, "xlink") || element == "script" && attribute == "href":
			around = "<svg>"
		case element == "tr" || element == "td" || element == "th" || strings.HasPrefix(element, "t") && v.attribute == "background":
			around = "<table>"
		}
		page := around + "<" + element + " " + before + attribute + `="` + values[v.read] + `">`
		out := string(rewritten(t, document(0), []byte(page), 0))
		name := strings.ReplaceAll(attribute, ":", "-")
		if !strings.Contains(out, " "+prefix+name+`="`+values[v.read]+`"`) {
			t.Errorf("%s\nbecomes\n%s", page, out)
		}
		if out := string(rewritten(t, document(consent.All), []byte(page), 0)); out != page {
			t.Errorf("all granted, %s becomes %s", page, out)
		}
	}
}

// TestAMPVendors checks that the rules know each address that stands for an AMP
// element, and that none is released with the first category of any kind.
func TestAMPVendors(t *testing.T) {
	var page rules.Page
	page.Reset(document(0).URL)
	for name, url := range ampVendors {
		d := engine().URL(&page, []byte(url), rules.Other)
		if d.Rule == nil || d.Vendor != nil && d.Vendor.Container || d.Allowed(0) {
			t.Errorf("%s: %s is %v, %v", name, url, d.Category, d.Rule)
		}
	}
}
