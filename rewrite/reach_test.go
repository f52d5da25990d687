package rewrite

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules/consent"
)

// reaches are pages that each ask for ref, an absolute address, in an odd way.
func reaches(ref string) map[string]string {
	const bases = maxBases + 2
	origin, path := ref[:strings.LastIndexByte(ref, '/')], ref[strings.LastIndexByte(ref, '/')+1:]
	host := strings.TrimPrefix(ref, "https://")
	pages := map[string]string{
		"base after many of templates":          "<template>" + strings.Repeat("<base href=/a>", bases) + "</template><base href=" + origin + "/><img src=" + path + ">",
		"base after many, and one without href": "<base><template>" + strings.Repeat("<base href=/a>", bases) + "</template><base href=" + origin + "/><img src=" + path + ">",

		"import() without slashes":   `<script>import("https:` + host + `")</script>`,
		"import() with backslashes":  `<script>import("https:\\\\` + host + `")</script>`,
		"import without slashes":     `<script type=module>import "https:` + host + `"</script>`,
		"importmap without slashes":  `<script type=importmap>{"imports":{"x":"https:` + host + `"}}</script><script type=module>import "x"</script>`,
		"importmap with backslashes": `<script type=importmap>{"imports":{"x":"https:\\\\` + host + `"}}</script><script type=module>import "x"</script>`,
		"web bundle":                 `<script type=webbundle>{"source":"` + ref + `","resources":["` + origin + `/x.js"]}</script>`,

		"reference without semicolon in SVG":        `<svg><style>@import &quot` + ref + `&quot;;</style></svg>`,
		"reference without semicolon in a document": `<iframe srcdoc="<svg><style>@import &amp;quot` + ref + `&amp;quot;;</style></svg>"></iframe>`,

		"string in a custom property":           `<style>:root{--u:"` + ref + `"}body{background-image:image-set(var(--u) 1x)}</style>`,
		"string in a style attribute":           `<style>body{background-image:image-set(var(--u) 1x)}</style><body style="--u:'` + ref + `'">x`,
		"string with escapes":                   `<style>:root{--u:"\68 ttps\3a ` + ref[len("https:"):] + `"}body{background-image:image-set(var(--u) 1x)}</style>`,
		"string with an escape for a line":      "<style>:root{--u:\"\\\n\\20 \\/\\/" + host + "\"}body{background-image:image-set(var(--u) 1x)}</style>",
		"string of a registered property":       `<style>@property --u{syntax:"<string>";inherits:true;initial-value:"` + ref + `"}body{background-image:image-set(var(--u) 1x)}</style>`,
		"string that a variable falls back to":  `<style>body{background-image:image-set(var(--v,"` + ref + `") 1x)}</style>`,
		"string that a function results in":     `<style>@function --f(){result:"` + ref + `"} body{background:image-set(--f() 1x)}</style>`,
		"string in if()":                        `<style>body{background:image-set(if(else:"` + ref + `") 1x)}</style>`,
		"@namespace that is none":               `<style>:root{--y:red}body{background:var(--y,@namespace) url(` + ref + `)}</style>`,
		"@namespace that is an argument":        `<style>@function --f(--a,--b,--c){result:var(--c)}body{background:--f({x},@namespace,url(` + ref + `))}</style>`,
		"@import in long escapes":               `<style>@\000069\00006d\000070\00006f\000072\000074 "` + ref + `";</style>`,
		"image-set() in long escapes":           `<style>body{background:\000069\00006d\000061\000067\000065\00002d\000073\000065\000074("` + ref + `" 1x)}</style>`,
		"image-set() with an escaped hyphen":    `<style>body{background:image\-set("` + ref + `" 1x)}</style>`,
		"style sheet as data":                   `<link rel=stylesheet href="data:text/css,body{background:url(` + ref + `)}">`,
		"style sheet as data in base64":         `<link rel=stylesheet href="data:text/css;base64,` + base64.StdEncoding.EncodeToString([]byte("body{background:url("+ref+")}")) + `">`,
		"style sheet as data that imports":      `<link rel=stylesheet href="data:text/css,@import '` + ref + `';">`,
		"imported style sheet as data":          `<style>@import "data:text/css,body{background:url(` + ref + `)}";</style>`,
		"imported style sheet in percent signs": `<style>@import url(data:text/css,%62ody%7bbackground:url%28` + ref + `%29%7d);</style>`,
		"style sheets as data in one another":   `<style>@import "data:text/css,@import 'data:text/css,body{background:url(` + ref + `)}';";</style>`,
		"cursor of SVG":                         `<svg><rect width=9 height=9 cursor="url(` + ref + `),auto"/></svg>`,
		"mask of SVG":                           `<svg><rect width=9 height=9 mask="url(` + ref + `)"/></svg>`,
		"mask of the root":                      `<svg mask="url(` + ref + `)"><rect width=9 height=9 /></svg>`,
		"mask in capitals":                      `<svg><rect width=9 height=9 MASK="URL('` + ref + `')"/></svg>`,
		"mask with image-set()":                 `<svg><rect width=9 height=9 mask="image-set('` + ref + `' 1x)"/></svg>`,
		"clip-path of SVG":                      `<svg><rect width=9 height=9 clip-path="url(` + ref + `#a)"/></svg>`,
		"fill of SVG":                           `<svg><rect width=9 height=9 fill="url(` + ref + `#a)"/></svg>`,
		"stroke of SVG":                         `<svg><rect width=9 height=9 stroke="url(` + ref + `#a)"/></svg>`,
		"marker of SVG":                         `<svg><path d="M0 0L9 9" stroke=red marker-end="url(` + ref + `#a)"/></svg>`,
		"set mask":                              `<svg><rect width=9 height=9><set attributeName="mask" to="url(` + ref + `)"/></rect></svg>`,
		"animated cursor":                       `<svg><rect width=9 height=9><animate attributeName="cursor" dur=1s values="url(` + ref + `),auto;auto"/></rect></svg>`,

		"code of embed": `<embed type="text/html" code="` + ref + `">`,

		"prefix of XHTML":    `<?xml version="1.0"?><h:html xmlns:h="http://www.w3.org/1999/xhtml"><h:head><h:title>t</h:title></h:head><h:body><h:img src="` + ref + `"/></h:body></h:html>`,
		"prefix in XHTML":    xhtml + `<h:img xmlns:h="http://www.w3.org/1999/xhtml" src="` + ref + `"/></body></html>`,
		"other xlink prefix": xhtml + `<svg xmlns="http://www.w3.org/2000/svg"><image xmlns:l="http://www.w3.org/1999/xlink" l:href="` + ref + `"/></svg></body></html>`,
		"prefix of style":    xhtml + `<h:style xmlns:h="http://www.w3.org/1999/xhtml">body{background:url(` + ref + `)}</h:style></body></html>`,

		"style sheet of XML":      `<?xml version="1.0"?><?xml-stylesheet type="text/css" href="` + ref + `"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>`,
		"entity of markup":        entity(`<!ENTITY t "<img xmlns='http://www.w3.org/1999/xhtml' src='`+ref+`'/>">`, "&t;"),
		"entity of references":    entity(`<!ENTITY t "&#60;img xmlns='http://www.w3.org/1999/xhtml' src='`+ref+`'/>">`, "&t;"),
		"entity of an address":    entity(`<!ENTITY t "`+ref+`">`, `<img src="&t;"/>`),
		"entity of a word":        entity(`<!ENTITY t "www">`, `<img src="`+strings.Replace(ref, "www", "&t;", 1)+`"/>`),
		"entity of a character":   entity(`<!ENTITY t "&#xFF57;">`, `<img src="`+strings.Replace(ref, "www", "&t;&t;&t;", 1)+`"/>`),
		"entity of a type":        entity(`<!ENTITY t "style">`, `<link rel="&t;sheet" href="`+ref+`"/>`),
		"default of attribute":    entity(`<!ATTLIST img src CDATA "`+ref+`">`, `<img/>`),
		"brackets in a literal":   entity(`<!ENTITY u "]>"><!ENTITY t "`+ref+`">`, `<img src="&t;"/>`),
		"entity hidden by quotes": entity(`<!ENTITY nbsp "&#160;'<img xmlns='http://www.w3.org/1999/xhtml' src='`+ref+`'/>'">`, "&nbsp;"),

		"frame in UTF-16":           `<iframe src="data:text/html;charset=utf-16le;base64,` + utf16LE("<img src='"+ref+"'>") + `"></iframe>`,
		"frame in ISO-2022-JP":      `<iframe src="data:text/html,<meta charset=iso-2022-jp>%1b$B<!--%1b(B<img src='` + ref + `'>"></iframe>`,
		"frame in UTF-16 by mark":   `<iframe src="data:text/html;base64,` + utf16LE("\ufeff<img src='"+ref+"'>") + `"></iframe>`,
		"style sheet in UTF-16":     `<link rel=stylesheet href="data:text/css;charset=utf-16le;base64,` + utf16LE("body{background:url("+ref+")}") + `">`,
		"frame of SVG":              `<iframe src="data:image/svg+xml,<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:image href='` + ref + `'/></s:svg>"></iframe>`,
		"object of SVG":             `<object data="data:image/svg+xml,<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:image href='` + ref + `'/></s:svg>"></object>`,
		"embed of SVG":              `<embed src="data:image/svg+xml,<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:image href='` + ref + `'/></s:svg>">`,
		"frame of XML with a sheet": `<iframe src="data:text/xml,<?xml-stylesheet type='text/css' href='` + ref + `'?><a/>"></iframe>`,
		"frame of XHTML":            `<iframe src="data:application/xhtml+xml,<html xmlns='http://www.w3.org/1999/xhtml'><title><img src='` + ref + `'/></title><xmp><img src='` + ref + `'/></xmp></html>"></iframe>`,

		"@import to the preload scanner":   `<style>@import "\\` + host + `";</style>`,
		"@import to it with one backslash": `<style>@import "\/` + host + `";</style>`,
		"@import to it without quotes":     `<style>@import url(\\` + host + `);</style>`,
	}
	for name, page := range pages {
		if !isXHTML(page) {
			pages[name] = "<!doctype html>" + page
		}
	}
	return pages
}

// utf16LE is text in UTF-16 and that in base64.
func utf16LE(text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// entity is a page of XHTML with declarations in its DOCTYPE.
func entity(declarations, body string) string {
	return `<?xml version="1.0"?><!DOCTYPE html [` + declarations + `]><html xmlns="http://www.w3.org/1999/xhtml"><body>` + body + "</body></html>"
}

// isXHTML reports whether a page is to be served as XHTML.
func isXHTML(page string) bool { return strings.HasPrefix(page, "<?xml") }

func reachDocument(granted consent.Set, page string) *Document {
	d := document(granted)
	d.XML = isXHTML(page)
	return d
}

// TestReach checks that something is held in each, however it is cut, and nothing
// where all is granted.
func TestReach(t *testing.T) {
	for name, page := range reaches("https://www.facebook.com/tr?id=1") {
		out := rewritten(t, reachDocument(0, page), []byte(page), 0)
		if string(out) == page {
			t.Errorf("%s: nothing is held in %s", name, page)
		}
		for _, n := range []int{1, 7} {
			if got := rewritten(t, reachDocument(0, page), []byte(page), n); !bytes.Equal(got, out) {
				t.Errorf("%s: in chunks of %d\n%s\nwhole\n%s", name, n, got, out)
			}
		}
		if twice := rewritten(t, reachDocument(0, page), out, 0); !bytes.Equal(twice, out) {
			t.Errorf("%s: rewritten twice\n%s\nonce\n%s", name, twice, out)
		}
		if all := rewritten(t, reachDocument(consent.All, page), []byte(page), 0); string(all) != page {
			t.Errorf("%s: all granted\n%s", name, all)
		}
	}
}

// TestReachInChromium loads each page as it is, which asks for the address, and as
// rewritten, which does not.
func TestReachInChromium(t *testing.T) {
	chromium := findChromium(t)
	s := &oddServer{pages: map[string][]byte{}, asked: map[string][]string{}}
	var frames strings.Builder
	frames.WriteString("<!doctype html>")
	names := map[string]string{}
	for name := range reaches("https://www.facebook.com/") {
		asIs, rewrittenMark := fmt.Sprintf("qa%dz", len(names)), fmt.Sprintf("qr%dz", len(names))
		names[name] = asIs
		page := reaches("https://www.facebook.com/tr?id=" + asIs)[name]
		s.pages["/"+asIs] = []byte(page)
		page = reaches("https://www.facebook.com/tr?id=" + rewrittenMark)[name]
		s.pages["/"+rewrittenMark] = rewritten(t, reachDocument(0, page), []byte(page), 0)
		fmt.Fprintf(&frames, "<iframe src='/%s'></iframe><iframe src='/%s'></iframe>", asIs, rewrittenMark)
	}
	s.pages["/hub"] = []byte(frames.String())
	ctx := browser(t, chromium, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // of what a module imports
		s.ServeHTTP(w, r)
	}))
	for _, at := range []string{"https://shop.example/hub", "about:blank"} {
		if _, err := chromedp.Run(ctx, chromedp.Navigate(at)); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	third := func(mark string) (urls []string) {
		for _, url := range s.asked[mark] {
			if !strings.HasPrefix(url, "https://shop.example/") {
				urls = append(urls, url)
			}
		}
		return urls
	}
	for name, asIs := range names {
		if len(third(asIs)) == 0 {
			t.Errorf("%s: asks for nothing as it is", name)
		}
		if urls := third("qr" + asIs[2:]); len(urls) > 0 {
			t.Errorf("%s: asked for %q by %s", name, urls, s.pages["/qr"+asIs[2:]])
		}
	}
}

// TestDataPasses checks that what pages have in data: URLs stays where it reaches
// nobody.
func TestDataPasses(t *testing.T) {
	for _, page := range []string{
		`<iframe src="data:text/html,<p>a"></iframe>`,
		`<iframe src="data:text/html;charset=utf-8,<img src=/own.png>"></iframe>`,
		`<object data="data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>"></object>`,
		`<embed src="data:image/svg+xml;charset=utf-8;base64,` + base64.StdEncoding.EncodeToString([]byte(`<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg xmlns="http://www.w3.org/2000/svg"/>`)) + `">`,
		`<object data="data:application/pdf;base64,JVBERi0="></object>`,
		`<img src="data:image/gif;base64,AA==">`,
		`<link rel=stylesheet href="data:text/css;charset=UTF-8,a{top:0}">`,
		`<link rel=icon href="data:,">`,
		`<svg><path fill="url(#a)" clip-path="url('#b')" mask="none" cursor="pointer" filter="url(#c)"/></svg>`,
	} {
		doc := document(0)
		doc.HoldUnclassified = true
		if out := string(rewritten(t, doc, []byte(page), 0)); out != page {
			t.Errorf("%s\nbecomes\n%s", page, out)
		}
	}
}
