package rewrite

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// oracle reads a page with a parser that we did not write and lists what the
// rules would hold in it. It knows nothing of the table of vectors.
type oracle struct {
	page  rules.Page
	based bool
	found []string
}

func newOracle() *oracle {
	var o oracle
	o.page.Reset(document(0).URL)
	return &o
}

func (o *oracle) url(what, ref string) {
	ref = strings.Trim(ref, " \t\n\f\r")
	if o.based && !strings.Contains(ref, "//") {
		// Which base counts is not what this is about.
		return
	}
	if noHost.MatchString(ref) {
		return
	}
	d := engine().URL(&o.page, []byte(ref), rules.Other)
	if d.Party != rules.NoParty && d.Category != consent.Unclassified && !d.Allowed(0) {
		o.found = append(o.found, fmt.Sprintf("%s %s (%s)", what, ref, d.Category))
	}
}

// noHost matches addresses whose host has what a NUL becomes in text: no host can
// (UTS 46), so that browsers ask nobody.
var noHost = regexp.MustCompile(`(?i)^(?:[^/\\]*[/\\]{2}|https?:[/\\]*)[^/\\?#]*\x{fffd}`)

func (o *oracle) code(what, code string) {
	if d := engine().Inline(&o.page, []byte(code)); !d.Allowed(0) {
		o.found = append(o.found, fmt.Sprintf("%s %q (%s)", what, code, d.Category))
	}
}

// live are the attributes by which HTML and SVG elements act at once.
var live = map[string][]string{
	"script": {"src"}, "img": {"src"}, "iframe": {"src"}, "frame": {"src"}, "embed": {"src"}, "object": {"data"},
	"video": {"src", "poster"}, "audio": {"src"}, "source": {"src"}, "track": {"src"}, "image": {"href", "src"}, "use": {"href"},
	"feimage": {"href"}, "body": {"background"}, "table": {"background"}, "td": {"background"},
}

// cssToken matches what makes a request, and before it what may hide one. A
// string that is not closed ends with its line, or with the style sheet (CSS
// Syntax, section 4.3.5). A longer word that ends in url, as the unit of a number
// or one with an escape may, is not that function, and what else stands in one that is no URL is passed
// over up to its end (section 4.3.14).
var cssToken = regexp.MustCompile(`(?is)/\*.*?(?:\*/|$)|(?:[-#@\w[:^ascii:]]|\\(?:[0-9a-f]{1,6}\s?|[^\n\r\f]))+\\?url\(|url\(\s*(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([^"'()\\\s]+))\s*\)|url\(\s*(?:[^"'\s\\)]|\\.)(?:[^\\)]|\\.)*\)?|@import\s*(?:"([^"\\\n]*)"|'([^'\\\n]*)')|"(?:\\.|[^"\\\n\r\f])*"?|'(?:\\.|[^'\\\n\r\f])*'?|\\[^u\n\r\f]`)

func (o *oracle) css(what, css string) {
	for _, m := range cssToken.FindAllStringSubmatch(css, -1) {
		if ref := strings.Join(m[1:], ""); ref != "" {
			o.url(what, ref)
		}
	}
}

// element looks at one element, with its text.
func (o *oracle) element(name string, foreign bool, attrs []html.Attribute, text string) {
	attr := map[string]string{}
	for _, a := range attrs {
		key := a.Key
		if _, twice := attr[key]; !twice {
			attr[key] = a.Val
		}
	}
	if _, own := attr["data-category"]; own {
		return
	}
	if name == "base" {
		if _, ok := attr["href"]; ok {
			o.based = true
		}
	}
	runs := true
	if name == "script" {
		kind, typed := attr["type"]
		kind = strings.ToLower(strings.Trim(kind, " \t\n\f\r"))
		runs = !typed || attr["type"] == "" || kind == "module" || kind == "text/javascript" || kind == "application/javascript"
		if _, languaged := attr["language"]; !typed && languaged {
			runs = attr["language"] == "" || strings.EqualFold(attr["language"], "javascript")
		}
		for _, mark := range []string{"data-cookieconsent", "data-cookiecategory", "data-cookieyes", "data-cli-category", "data-osano", "data-iub-purposes", "class"} {
			if _, ok := attr[mark]; ok {
				return
			}
		}
		source, external := attr["src"]
		if foreign {
			source, external = attr["href"]
		}
		if runs && external {
			o.url(name, source)
		}
		if runs && !external {
			o.code(name, text)
		}
		return
	}
	for _, key := range live[name] {
		if v, ok := attr[key]; ok {
			o.url(name+" "+key, v)
		}
	}
	if name == "link" {
		for _, rel := range strings.FieldsFunc(strings.ToLower(attr["rel"]), func(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }) {
			switch rel {
			case "stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "icon", "modulepreload":
				o.url("link "+rel, attr["href"])
			}
		}
	}
	if name == "input" && strings.EqualFold(attr["type"], "image") {
		o.url("input", attr["src"])
	}
	if name == "style" && (attr["type"] == "" || attr["type"] == "text/css") {
		o.css(name, text)
	}
	o.css(name+" style", attr["style"])
	for key, v := range attr {
		if strings.HasPrefix(key, "on") && len(key) > 2 {
			o.code(name+" "+key, v)
		}
	}
	if doc, ok := attr["srcdoc"]; ok && name == "iframe" {
		o.parse([]byte(doc), true)
	}
}

// parse looks at the tree of a page.
func (o *oracle) parse(page []byte, scripting bool) {
	root, err := html.ParseWithOptions(bytes.NewReader(page), html.ParseOptionEnableScripting(scripting))
	if err != nil {
		return
	}
	o.walk(root)
}

func (o *oracle) walk(n *html.Node) {
	for ; n != nil; n = n.NextSibling {
		if n.Type == html.ElementNode {
			var text strings.Builder
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				if c.Type == html.TextNode {
					text.WriteString(c.Data)
				}
			}
			o.element(strings.ToLower(n.Data), n.Namespace != "", n.Attr, text.String())
		}
		o.walk(n.FirstChild)
	}
}

// tokenize looks at the tokens of a page without a tree, in which there is no
// SVG.
func (o *oracle) tokenize(page []byte) {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if t.Data == "style" || t.Data == "script" {
				continue // their text follows: the tree has it
			}
			o.element(t.Data, false, t.Attr, "")
		}
	}
}

// FuzzAgainstOracle checks that a parser that we did not write sees nothing
// live in our output that the rules would hold.
func FuzzAgainstOracle(f *testing.F) {
	nasty(f, func(_ string, page []byte) { f.Add(page) })
	f.Fuzz(checkOracle)
}

func TestNastyAgainstOracle(t *testing.T) {
	live := 0
	nasty(t, func(name string, page []byte) {
		t.Run(name, func(t *testing.T) { checkOracle(t, page) })
		o := newOracle()
		o.parse(page, true)
		if len(o.found) > 0 {
			live++
		}
	})
	// The oracle itself must see what is live before.
	if live < 90 {
		t.Errorf("the oracle finds something live in %d pages only", live)
	}
}

func checkOracle(t *testing.T, page []byte) {
	// A script that is cut off does not run, which a tree does not show; nor does
	// one of SVG in which a CDATA section is.
	page = append(bytes.Clone(page), "]]></script></script>"...)
	out := rewritten(t, document(0), page, 0)
	for _, scripting := range []bool{true, false} {
		o := newOracle()
		o.parse(out, scripting)
		if len(o.found) > 0 {
			t.Fatalf("scripting %v: %q\nin %q\nof %q", scripting, o.found, out, page)
		}
	}
	o := newOracle()
	o.tokenize(out)
	if len(o.found) > 0 {
		t.Fatalf("tokens: %q\nin %q\nof %q", o.found, out, page)
	}
}
