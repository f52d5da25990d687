package scan

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// tokens reads page in chunks of n bytes and shows its tokens, one after the
// other: <name attr="value"> and </name> for tags, {text} for raw text, ! for a
// doctype, # for a comment, [ for a CDATA section.
func tokens(syntax Syntax, page string, n int) string {
	var s Scanner
	s.Reset(syntax)
	var out strings.Builder
	var b []byte
	kept := 0 // bytes of raw text that were shifted away
	for {
		k := min(n, len(page))
		b = append(b, page[:k]...)
		page = page[k:]
	next:
		for {
			switch s.Next(b, page == "") {
			case StartTag:
				fmt.Fprintf(&out, "<%s", strings.ToLower(string(s.Name(b))))
				for _, a := range s.Attrs {
					fmt.Fprintf(&out, " %s=%q", b[s.Start+int(a.Name):s.Start+int(a.NameEnd)],
						AppendValue(nil, b[s.Start+int(a.Value):s.Start+int(a.ValueEnd)]))
				}
				if s.Foreign {
					out.WriteByte('*')
				}
				out.WriteByte('>')
			case EndTag:
				fmt.Fprintf(&out, "</%s>", strings.ToLower(string(s.Name(b))))
			case Raw:
				fmt.Fprintf(&out, "{%d}", kept+s.End-s.Start)
				kept = 0
			case Doctype:
				out.WriteByte('!')
			case Comment:
				out.WriteByte('#')
			case CDATA:
				out.WriteByte('[')
			case More:
				break next
			}
		}
		if page == "" {
			return out.String()
		}
		keep := s.Keep()
		if s.InRaw() {
			kept += keep - max(s.Start, 0)
		}
		b = append(b[:0], b[keep:]...)
		s.Shift(keep)
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{`a <b>c</b>`, `<b></b>`},
		{`<A HREF=x Class='y z' checked>`, `<a HREF="x" Class="y z" checked="">`},
		{`<a/b/c=d/>`, `<a b="" c="d/">`},
		{`<a b="1"c='2'd=3>`, `<a b="1" c="2" d="3">`},
		{`<a =b =c>`, `<a =b="c">`},
		{`<a b = c d=>`, `<a b="c" d="">`},
		{`<a b="&amp;&#x2f;&#47;&colon;&notit;&copy=&copy;&lt">`, `<a b="&//:&notit;&copy=©<">`},
		{`< a><1><>`, ``},
		{`</ a></></1>`, `##`},
		{`<!doctype html ">"><!DOCTYPE>`, `!!`},
		{`<!-->a<!--->b<!-- - -- --!>c<!---->`, `####`},
		{`<!-- <!-- -->x`, `#`},
		{`<![CDATA[a>b]]>`, `#`},
		{`<?php a > b ?>`, `#`},
		{`<script>a</scriptx></script >b`, `<script>{11}</script>`},
		{`<script><!--<script></script>--></script>`, `<script>{24}</script>`},
		{`<script><!--><script></script>`, `<script>{13}</script>`},
		{`<script><!-- <script> --></script>`, `<script>{17}</script>`},
		{`<textarea></TEXTAREA/x>`, `<textarea>{0}</textarea>`},
		{`<title><b></title><xmp><b></xmp>`, `<title>{3}</title><xmp>{3}</xmp>`},
		{`<plaintext><b></plaintext>`, `<plaintext>`},
		{`<svg><style><b></style></svg>`, `<svg*><style*><b></style></svg>`},
		{`<svg><style><g></style></svg>`, `<svg*><style*><g*></style></svg>`},
		{`<svg><![CDATA[<b>]]></svg><![CDATA[<b>]]>`, `<svg*>[</svg>#`},
		{`<svg><foreignObject><style><b></style>`, `<svg*><foreignobject*><style>{3}</style>`},
		{`<svg><title><style><b></style></title><style><g>`, `<svg*><title*><style>{3}</style></title><style*><g*>`},
		{`<svg/><style><b></style>`, `<svg*><style>{3}</style>`},
		{`<svg><p><style><b></style>`, `<svg*><p><style>{3}</style>`},
		{`<svg><font size=1><style><b></style>`, `<svg*><font size="1"><style>{3}</style>`},
		{`<svg><font><style><g></style>`, `<svg*><font*><style*><g*></style>`},
		{`<math><mi><style><b></style>`, `<math*><mi*><style>{3}</style>`},
		{`<math><annotation-xml><svg><style><g></style>`, `<math*><annotation-xml*><svg*><style*><g*></style>`},
		{`<math><annotation-xml encoding=text/HTML><style><b></style>`, `<math*><annotation-xml encoding="text/HTML"*><style>{3}</style>`},
		{`<a`, ``}, {`<a b="`, ``}, {`<!--`, ``}, {`<`, ``}, {`</`, ``}, {`<!`, ``},
	} {
		for n := 1; n <= len(c.page); n++ {
			if got := tokens(HTML, c.page, n); got != c.want {
				t.Errorf("%s in chunks of %d:\ngot  %s\nwant %s", c.page, n, got, c.want)
				break
			}
		}
	}
}

func TestXML(t *testing.T) {
	const page = `<?xml version="1.0" a=">"?><script><![CDATA[<b>]]></script><é/><textarea><b/></textarea><!-- --!> -->`
	const want = `#<script>[</script><é><textarea><b></textarea>#`
	for n := 1; n <= len(page); n++ {
		if got := tokens(XML, page, n); got != want {
			t.Fatalf("in chunks of %d:\ngot  %s\nwant %s", n, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for e := Unknown + 1; e < elements; e++ {
		if got := ElementOf(e.String()); got != e {
			t.Errorf("%s is %d, not %d", e, got, e)
		}
		upper := strings.ToUpper(e.String())
		if got := Element(elementTable.Find([]byte("<"+upper+">"), 1, 1+len(upper))); got != e {
			t.Errorf("%s is %d, not %d", upper, got, e)
		}
	}
	for _, name := range []string{"", "x", "imgs", "im", "h\x11", "scr\x00pt", strings.Repeat("a", 100)} {
		if e := ElementOf(name); e != Unknown {
			t.Errorf("%q is %s", name, e)
		}
	}
}

// FuzzScan compares the tags with those that the tokenizer of x/net/html finds,
// on pages without SVG and MathML, of which that knows nothing.
func FuzzScan(f *testing.F) {
	files, err := filepath.Glob("../testdata/nasty/*.html")
	if err != nil || len(files) < 100 {
		f.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, name := range files {
		page, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(page, uint8(5))
	}
	f.Fuzz(func(t *testing.T, page []byte, n uint8) {
		whole := tokens(HTML, string(page), len(page)+1)
		if got := tokens(HTML, string(page), int(n)+1); got != whole {
			t.Fatalf("in chunks of %d:\n%s\nwhole\n%s", int(n)+1, got, whole)
		}
		lower := bytes.ToLower(page)
		if bytes.Contains(lower, []byte("<svg")) || bytes.Contains(lower, []byte("<math")) || bytes.ContainsAny(page, "\x00\r") {
			return
		}
		if got, want := ours(page), theirs(page); got != want {
			t.Fatalf("%q:\ngot  %s\nwant %s", page, got, want)
		}
	})
}

func ours(page []byte) string {
	var s Scanner
	s.Reset(HTML)
	var out strings.Builder
	for {
		switch s.Next(page, true) {
		case StartTag:
			fmt.Fprintf(&out, "<%q", lowerASCII(s.Name(page)))
			seen := map[string]bool{}
			for _, a := range s.Attrs {
				name := string(lowerASCII(page[s.Start+int(a.Name) : s.Start+int(a.NameEnd)]))
				if !seen[name] {
					fmt.Fprintf(&out, " %q=%q", name, AppendValue(nil, page[s.Start+int(a.Value):s.Start+int(a.ValueEnd)]))
				}
				seen[name] = true
			}
			out.WriteString(">")
		case EndTag:
			fmt.Fprintf(&out, "</%q>", lowerASCII(s.Name(page)))
		case More:
			return out.String()
		}
	}
}

func theirs(page []byte) string {
	z := html.NewTokenizer(bytes.NewReader(page))
	var out strings.Builder
	for {
		switch z.Next() {
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			fmt.Fprintf(&out, "<%q", name)
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				fmt.Fprintf(&out, " %q=%q", k, v)
			}
			out.WriteString(">")
		case html.EndTagToken:
			name, _ := z.TagName()
			fmt.Fprintf(&out, "</%q>", name)
		case html.ErrorToken:
			return out.String()
		}
	}
}

func lowerASCII(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// TestAround says where it depends on the tree whether SVG is open.
func TestAround(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{`<svg></div><g></g><style></style>`, `</svg><style>`},
		{`<svg><svg></li><title>x</title>`, `</svg></svg><title>`},
		{`<math><mi><svg></h1></svg></mi><mo><style></style>`, ``},
		{`<svg></div></svg><style></style>`, ``},
		{`<svg></div><p><style></style>`, ``},
		{`<svg></div></p><style></style>`, ``},
		{`<svg></div><svg><style></style></svg><![CDATA[x]]>`, `</svg><!`},
		{`<svg><foreignObject></div></foreignObject><style></style>`, ``},
		{`<svg><foreignObject></table><style></style>`, `</svg></table>`},
		{`<div><svg><g></div><div><style></style>`, ``},
		{`<svg></svg></div><style></style>`, ``},
	} {
		var s Scanner
		s.Reset(HTML)
		var got strings.Builder
		for token := s.Next([]byte(c.page), true); token != More; token = s.Next([]byte(c.page), true) {
			if s.Around > 0 {
				for range s.Around {
					got.Write(s.Root.AppendEndTag(nil))
				}
				if token == Comment {
					got.WriteString("<!")
				} else {
					got.WriteString(c.page[s.Start:s.NameEnd] + ">")
				}
				s.Around = 0
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %q, want %q", c.page, got.String(), c.want)
		}
	}
}

// A tag that has too many attributes to be passed on opens nothing but raw text.
func TestOverflowOpensNothing(t *testing.T) {
	var attrs strings.Builder
	for i := range MaxAttrs + 1 {
		fmt.Fprintf(&attrs, " a%d", i)
	}
	for _, c := range []struct {
		page  string
		depth int
		raw   bool
	}{
		{"<svg!>", 0, false}, {"<svg><g!>", 1, false}, {"<svg><div!>", 1, false}, {"<svg><title!>", 1, false},
		{"<style!>", 0, true}, {"<plaintext!>", 0, true}, {"<svg></g!>", 1, false}, {"<svg></svg!>", 0, false},
	} {
		var s Scanner
		s.Reset(HTML)
		page := []byte(strings.Replace(c.page, "!", attrs.String(), 1))
		for s.Next(page, false) != More {
		}
		if !s.Overflow || s.Depth() != c.depth || s.InRaw() != c.raw {
			t.Errorf("%s: overflow %v, depth %d, raw text %v", c.page, s.Overflow, s.Depth(), s.InRaw())
		}
	}
}

func TestAppendText(t *testing.T) {
	for raw, want := range map[string][2]string{ // in an attribute, and in text
		"&quotx":                               {"&quotx", `"x`},
		"&quotx;":                              {"&quotx;", `"x;`},
		"&quot=":                               {"&quot=", `"=`},
		"&quot":                                {`"`, `"`},
		"&notin;":                              {"∉", "∉"},
		"&notin":                               {"&notin", "¬in"},
		"&notit;":                              {"&notit;", "¬it;"},
		"&Aacutes":                             {"&Aacutes", "Ás"},
		"&lt1&gt2":                             {"&lt1&gt2", "<1>2"},
		"&Hat;&Hat":                            {"^&Hat", "^&Hat"},
		"&x;&x&;& &":                           {"&x;&x&;& &", "&x;&x&;& &"},
		"&#60&#x3c;\r\na":                      {"<<\na", "<<\na"},
		"&ltCounterClockwiseContourIntegrals;": {"&ltCounterClockwiseContourIntegrals;", "<CounterClockwiseContourIntegrals;"},
	} {
		if got := string(AppendValue(nil, []byte(raw))); got != want[0] {
			t.Errorf("%q is the value %q, want %q", raw, got, want[0])
		}
		if got := string(AppendText(nil, []byte(raw))); got != want[1] {
			t.Errorf("%q is the text %q, want %q", raw, got, want[1])
		}
	}
}
