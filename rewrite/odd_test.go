package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/rules"
)

// oddPages is how many pages TestOddPages loads, each twice.
const oddPages = 120

// oddServer is a server for all hosts: it serves odd pages and notes which
// addresses were asked for that bear a page's mark.
type oddServer struct {
	mu    sync.Mutex
	pages map[string][]byte   // by path
	asked map[string][]string // by mark
}

var oddMark = regexp.MustCompile(`q[ar][0-9]+z`)

func (s *oddServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	page := s.pages[r.URL.Path]
	url := "https://" + r.Host + r.URL.RequestURI()
	if mark := oddMark.FindString(url); mark != "" && !slices.Contains(s.asked[mark], url) {
		s.asked[mark] = append(s.asked[mark], url)
	}
	s.mu.Unlock()
	if page != nil && r.Host == "shop.example" {
		media := "text/html"
		if isXHTML(string(page)) {
			media = "application/xhtml+xml"
		}
		w.Header().Set("Content-Type", media+charsetIn(r.URL.Path))
		w.Write(page)
		return
	}
	serveNothing(w, r)
}

// TestOddPages loads pages made up by a grammar, as they are and as rewritten: of
// what the rules hold nothing is asked for in the second.
func TestOddPages(t *testing.T) {
	chromium := findChromium(t)
	s := &oddServer{pages: map[string][]byte{}, asked: map[string][]string{}}
	ctx := browser(t, chromium, s)
	for from := uint64(0); from < oddPages; from += 40 {
		hub := fmt.Sprintf("/hub-%d", from)
		var frames strings.Builder
		frames.WriteString("<!doctype html>")
		s.mu.Lock()
		for seed := from; seed < min(from+40, oddPages); seed++ {
			mark, rewrittenMark := fmt.Sprintf("qa%dz", seed), fmt.Sprintf("qr%dz", seed)
			page := newOddPage(seed, mark)
			s.pages["/as-is/"+oddName(seed)] = page
			s.pages["/rewritten/"+oddName(seed)] = bytes.ReplaceAll(rewritten(t, document(0), page, 0), []byte(mark), []byte(rewrittenMark))
			fmt.Fprintf(&frames, "<iframe src='/as-is/%[1]s'></iframe><iframe src='/rewritten/%[1]s'></iframe>", oddName(seed))
		}
		s.pages[hub] = []byte(frames.String())
		s.mu.Unlock()
		if _, err := chromedp.Run(ctx, chromedp.Navigate("https://shop.example"+hub)); err != nil {
			t.Fatalf("%s: %v", hub, err)
		}
	}
	// What a page still waits for is asked for before the next page is left.
	chromedp.Run(ctx, chromedp.Navigate("about:blank"))

	s.mu.Lock()
	defer s.mu.Unlock()
	var page rules.Page
	page.Reset([]byte("https://shop.example/"))
	held, all := 0, 0
	for seed := range uint64(oddPages) {
		for _, url := range s.asked[fmt.Sprintf("qr%dz", seed)] {
			if d := engine().URL(&page, []byte(url), rules.Other); d.Rule != nil && !d.Allowed(0) {
				t.Errorf("page %d, %q: asked for %s", seed, newOddPage(seed, fmt.Sprintf("qa%dz", seed)), url)
			}
		}
		for _, url := range s.asked[fmt.Sprintf("qa%dz", seed)] {
			all++
			if d := engine().URL(&page, []byte(url), rules.Other); d.Rule != nil && !d.Allowed(0) {
				held++
			}
		}
	}
	t.Logf("%d of %d requests held", held, all)
	if held < oddPages {
		t.Errorf("as they are the pages reach vendors %d times only", held)
	}
}

// oddPage writes a page as nobody would: any vector of the table, in whatever the
// tokenizer and the tree builder have states for. What it refers to has mark in it,
// by which requests are told apart.
type oddPage struct {
	bytes.Buffer
	*rand.Rand
	mark  string
	refs  int
	depth int
	wide  []string // bytes that are no ASCII
	only  int      // 1 for what is held, 2 for what is not, 0 for both
}

// newOddPage makes a page of a seed.
func newOddPage(seed uint64, mark string) []byte {
	p := &oddPage{Rand: rand.New(rand.NewPCG(seed, 4)), mark: mark}
	p.wide = [][]string{{"é", "ア", "\u00a0", "ſ"}, {"\x83\\", "\x95\\", "\x81\x40", "\xb1"}, {"\xe9", "\x85", "\xa0", "\xff"}}[p.charset(seed)]
	p.top()
	return p.Bytes()
}

// charset is that of the page of a seed: 0 for UTF-8, 1 for Shift_JIS, 2 for
// windows-1252.
func (*oddPage) charset(seed uint64) int { return []int{0, 0, 0, 1, 1, 2}[seed%6] }

// oddName is the name of the page of a seed; see charsetIn.
func oddName(seed uint64) string {
	name := []string{"", "", "", "charset-shift_jis_", "charset-_", "charset-windows-1252_"}[seed%6]
	return fmt.Sprintf("%s%d", name, seed)
}

// chance is true once in n times.
func (p *oddPage) chance(n int) bool { return p.IntN(n) == 0 }

// alike has all that make refers to be held, or none of it.
func (p *oddPage) alike(make func() string) string {
	defer func(before int) { p.only = before }(p.only)
	if p.only == 0 {
		p.only = 1 + p.IntN(2)
	}
	return make()
}

// pick chooses one.
func pick[T any](p *oddPage, of ...T) T { return of[p.IntN(len(of))] }

func (p *oddPage) top() {
	if p.wide[0][0] == 0x83 && p.chance(2) {
		p.WriteString("<!--" + strings.Repeat("x", pick(p, 10, 900, 1020, 1100)) + "-->")
	}
	if !p.chance(4) {
		p.WriteString(pick(p, "<!doctype html>", "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 3.2//EN\">", "<!doctype>", "\ufeff<!doctype html>", "<!doctype html SYSTEM 'a>b'>"))
	}
	if p.chance(3) {
		p.WriteString("<html><head>")
	}
	if p.wide[0][0] == 0x83 {
		p.WriteString(pick(p, "<meta charset=shift_jis>", "<meta http-equiv=content-type content='text/html; charset=sjis'>", "<META CHARSET=\"Shift_JIS\">"))
	}
	if p.chance(6) {
		p.WriteString("<base")
		p.attribute("href", pick(p, "https://www.facebook.com/", "https://cdn.harmless.example/", "//www.facebook.com", "/sub/"))
		p.WriteString(">")
	}
	for range 1 + p.IntN(3) {
		p.node()
	}
	switch p.IntN(12) {
	case 0:
		p.WriteString("<frameset cols=*>")
		for range 3 {
			p.vector()
		}
	case 1:
	default:
		p.WriteString(pick(p, "</head><body>", "<body>", "</head>", "<body background=x>"))
	}
	for range 2 + p.IntN(6) {
		p.node()
	}
	if p.chance(8) {
		p.WriteString(pick(p, "<plaintext>", "<!--", "<script>", "<style>", "<textarea>", "<title>", "<img src='", "<svg><![CDATA[", "<xmp>", "</script", "<template>", "<select>"))
		p.node()
	}
}

// ref makes an address that is of nobody else's.
func (p *oddPage) ref() string {
	p.refs++
	tail := fmt.Sprintf("%sn%d", p.mark, p.refs)
	host, path := "www.facebook.com", "/tr?id="+tail
	which := p.IntN(8)
	switch p.only {
	case 1:
		which = 7
	case 2:
		which %= 3
	}
	switch which {
	case 0, 1:
		host, path = "cdn.harmless.example", "/"+tail
	case 2:
		return pick(p, "/own/", "own/", "./own/") + tail
	case 3:
		host = "www.google-analytics.com"
	}
	switch p.IntN(14) {
	case 0:
		host = strings.ToUpper(host)
	case 1:
		host = strings.Replace(host, "c", "%63", 1)
	case 2:
		host += pick(p, ".", ":443", ":0443")
	case 3:
		host = "u:p@" + host
	case 4:
		if p.wide[0] == "é" {
			host = strings.Replace(host, ".", pick(p, "。", "．"), 1)
		}
	case 5:
		host = strings.Replace(host, "a", pick(p, "a\t", "\na", "a\r\n"), 1)
	}
	scheme := pick(p, "https:", "https:", "https:", "", "HTTPS:", "httpS:")
	slashes := "//"
	switch p.IntN(12) {
	case 0:
		slashes = pick(p, `\\`, `/\`, `\/`)
	case 1:
		slashes = pick(p, "/\t/", "/\n/", "///", "////")
	case 2:
		scheme = strings.Replace(scheme, "t", "t\t", 1)
	}
	ref := scheme + slashes + host + path
	switch p.IntN(12) {
	case 0:
		ref = pick(p, " ", "\n", "\t ", "\x0b", "\x01", "\f") + ref
	case 1:
		ref += pick(p, " ", "\n", "#x", pick(p, p.wide...))
	}
	return ref
}

// escaped returns a value as it may stand in a quoted attribute.
func (p *oddPage) escaped(value, quote string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if strings.HasPrefix(value[i:], p.mark) {
			b.WriteString(p.mark)
			i += len(p.mark) - 1
			continue
		}
		c := value[i]
		switch {
		case c == '&':
			b.WriteString(pick(p, "&amp;", "&#38;"))
		case strings.IndexByte(quote, c) >= 0:
			fmt.Fprintf(&b, "&#%d;", c)
		case c < 0x80 && p.chance(40):
			b.WriteString(pick(p, fmt.Sprintf("&#%d;", c), fmt.Sprintf("&#x%x;", c), fmt.Sprintf("&#X%X;", c), fmt.Sprintf("&#%04d", c), fmt.Sprintf("&#x00%x", c)))
		case c == ':' && p.chance(8):
			b.WriteString("&colon;")
		case c == '/' && p.chance(10):
			b.WriteString("&sol;")
		case c == '.' && p.chance(10):
			b.WriteString("&period;")
		case c == '\t' && p.chance(3):
			b.WriteString(pick(p, "&Tab;", "&#9", "&#x9;"))
		case c == '\n' && p.chance(3):
			b.WriteString(pick(p, "&NewLine;", "&#10;"))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// name writes a name in some letters.
func (p *oddPage) name(name string) string {
	switch p.IntN(10) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToUpper(name[:1]) + name[1:]
	case 2:
		return strings.NewReplacer("k", "K", "s", "S", "r", "R").Replace(name)
	}
	return name
}

// attribute writes an attribute, with what parts it from what comes before.
func (p *oddPage) attribute(name, value string) {
	p.WriteString(pick(p, " ", " ", " ", " ", "\n", "\t", "/", " / ", "\f", "\r\n", " \" ", " ' ", " <", " x=y/ ", " =z "))
	if p.chance(25) {
		p.WriteString(p.name(name) + pick(p, "=''", "", "=\"\"", "=/own/first", "=https://cdn.harmless.example/first", "=https://www.facebook.com/first"+p.mark) + " ")
	}
	if p.chance(60) {
		name = name[:1] + "\x00" + name[1:]
	}
	p.WriteString(p.name(name))
	p.WriteString(pick(p, "=", "=", "=", "=", " =", "= ", "\n=\n", "=\f"))
	switch p.IntN(5) {
	case 0, 1:
		p.WriteString(`"` + p.escaped(value, `"`) + `"`)
	case 2:
		p.WriteString(`'` + p.escaped(value, `'`) + `'`)
	case 3:
		if v := p.escaped(value, "\t\n\f\r >\"'"); value != "" && !strings.ContainsAny(value[:1], "\"'") {
			p.WriteString(v)
			return
		}
		fallthrough
	default:
		p.WriteString(`"` + p.escaped(value, `"`) + pick(p, `"`, `"`, `"/`))
	}
	if p.chance(30) {
		p.WriteString(" " + p.name(strings.ReplaceAll(name, "\x00", "")) + pick(p, "=", "='", "=\"") + "https://www.facebook.com/later" + p.mark)
		p.WriteString(pick(p, " ", "' ", "\" "))
	}
}

// oneLine takes out what ends a string.
var oneLine = strings.NewReplacer("\n", "", "\r", "", "\f", "")

// css makes style rules or declarations.
func (p *oddPage) css(sheet bool) string {
	url := func() string {
		ref := oneLine.Replace(p.ref())
		switch p.IntN(6) {
		case 0:
			ref = strings.Replace(ref, "w", `\77 `, 1)
		case 1:
			ref = strings.Replace(ref, "c", `\c`, 1)
			ref = strings.Replace(ref, `\c`, `\000063`, 1)
		case 2:
			ref = strings.Replace(ref, ":", `\:`, 1)
		}
		name := pick(p, "url", "url", "URL", `u\72l`, `\75 rl`, "url")
		switch p.IntN(3) {
		case 0:
			return name + `("` + strings.ReplaceAll(ref, "\\\\", "//") + `")`
		case 1:
			return name + `( '` + ref + `' )`
		}
		return name + "(" + strings.NewReplacer(" ", "", "'", "", "(", "", "\t", "", "\x0b", "", "\x01", "").Replace(ref) + pick(p, ")", " )", "\n)")
	}
	image := func() string {
		return pick(p, url, url, func() string { return "image-set(" + url() + " 1x)" },
			func() string {
				return "-webkit-image-set('" + oneLine.Replace(p.ref()) + "' 1x)"
			},
			func() string { return "linear-gradient(red,blue)," + url() },
			func() string { return "/* ' */" + url() },
			func() string { return "cross-fade(" + url() + "," + url() + ",50%)" })()
	}
	declaration := func() string {
		return pick(p, "background:", "background-image:", "BACKGROUND :", "list-style-image:", "border-image:", "--x:0;background:", "background:/**/", pick(p, p.wide...)+":x;background:", "content:'\\';}';background:", "border-image-source:", "cursor:", "mask-image:", "-webkit-mask-image:", "x:y(;) ;background:") + image() + pick(p, ";", "", " !important", ";;")
	}
	if !sheet {
		return declaration() + pick(p, "", ";"+declaration())
	}
	var b strings.Builder
	b.WriteString(pick(p, "", "", "", "<!--", "/*x*/", "@charset 'x';", "@namespace x '/own/ns';", "@layer a;", pick(p, p.wide...), "\x00", "}"))
	if p.chance(3) {
		at := pick(p, "@import ", "@IMPORT ", `@\69mport `, "@import/**/", "@import")
		ref := oneLine.Replace(p.ref())
		b.WriteString(at + pick(p, `"`+ref+`"`, `'`+ref+`'`, url(), `"`+ref+`"`+pick(p, " screen", " layer(x)", " supports(display:block)")) + pick(p, ";", ";", "\n;", "/**/;", "}"))
	}
	for range 1 + p.IntN(2) {
		b.WriteString(pick(p, "body", "*", "html", "body,x", ":root", "@media all{*", "@supports (a:b) or (display:block){body", "body::before", "*{*", "@layer z{*") + "{" + declaration() + pick(p, "}", "}}", "}}"))
	}
	return b.String()
}

// code makes a script that is known by what it says or imports.
func (p *oddPage) code() string {
	ref := "https://www.facebook.com/tr?id=" + p.mark + "c"
	return pick(p,
		"function fbq(){}fbq('init','1234567890123');fbq('track','PageView');new Image().src='"+ref+"'",
		"import('"+ref+"')", "void import(`"+ref+"${''}`)", "import( /* x */ \""+ref+"\" )", "import\n('"+ref+"').catch(e=>0)",
		`import('https:\/\/www.facebook.com\/tr?id=`+p.mark+`d')`, `import('\x68ttps://www.facebook.com/tr?id=`+p.mark+`e')`, `import("https\u003a//www.facebook.com/tr?id=`+p.mark+`f")`,
		`import("\u{68}ttps://www.face\
book.com/tr?id=`+p.mark+`g")`,
		"new Image().src='https://cdn.harmless.example/"+p.mark+"h'", "import('https://cdn.harmless.example/"+p.mark+"i')",
		"var s=\""+pick(p, p.wide...)+"\";import('"+ref+"')",
		"/* ' */import('"+ref+"')", "//import('\n;import('"+ref+"')")
}

// module makes a script that imports.
func (p *oddPage) module() string {
	ref := pick(p, "https://www.facebook.com/m", "https://cdn.harmless.example/m", "//www.facebook.com/m", "/own/m") + p.mark
	return pick(p, "import '"+ref+"'", "import \""+ref+"\";", "import*as a from'"+ref+"'", "export * from \n '"+ref+"'", "import/**/'"+ref+"'",
		"import x from // y\n'"+ref+"'", "export {} from '"+ref+"'", `import '`+strings.Replace(ref, "o", `\x6f`, 1)+`'`, `import '`+strings.Replace(ref, "o", `\u006f`, 1)+`'`,
		"import {a as 'b'} from '"+ref+"'", "import x from '"+ref+"' with {type:'json'}")
}

// vector writes an element that acts by an attribute of the table.
func (p *oddPage) vector() {
	v := &vectors[p.IntN(len(vectors))]
	if v.kind == rules.Hint || v.kind == rules.Ping || v.kind == rules.Form || strings.HasPrefix(v.element, "amp-") || v.read == asRefresh || v.read == asLink {
		v = &vectors[p.IntN(8)]
	}
	p.element(v)
}

// element writes an element that acts by v.
func (p *oddPage) element(v *vector) {
	name := v.element
	if name == "*" {
		name = pick(p, "div", "p", "b", "svg", "g", "math", "mi", "td", "x-y", "body", "html", "h1", "img", "option")
	}
	if p.chance(12) {
		p.WriteString(pick(p, "<>", "< ", "</>", "<!>", "<?", "<!x>", "</ x>"))
	}
	p.WriteString("<" + p.name(name))
	if p.chance(5) {
		p.attribute(pick(p, "id", "class", "title", "data-x", "alt", "x:y"), pick(p, "a", "a>b", "<img src=x>", "-->", "]]>", pick(p, p.wide...), "</script>"))
	}
	attribute := v.attribute
	if attribute == "xlink:href" || attribute == "href" {
		defer p.WriteString(pick(p, "", "</svg>"))
	}
	by := ""
	if v.when != "" {
		by = map[string]string{"link": "rel", "meta": "http-equiv", "param": "name", "input": "type"}[v.element]
	}
	first := p.chance(2)
	if by != "" && first {
		p.attribute(by, p.name(v.when)+pick(p, "", "", " x"))
	}
	switch v.read {
	case asSrcset:
		ref := strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "", "\f", "").Replace(p.ref())
		p.attribute(attribute, pick(p, ref, ref+" 1x", " ,"+ref+" 100w", ref+",", "\n"+ref+"\t2x", ref+" 1x , "+ref+"y 3x"))
	case asURLs:
		p.attribute(attribute, p.ref())
	case asStyle:
		p.attribute(attribute, p.css(false))
	case asCode:
		p.attribute(pick(p, "onload", "onerror", "onLoad", "onclick", "onbegin"), p.code())
	case asDocument:
		if p.depth < 2 {
			inner := &oddPage{Rand: p.Rand, mark: p.mark, depth: p.depth + 2, wide: p.wide}
			for range 1 + p.IntN(3) {
				inner.node()
			}
			p.attribute(attribute, inner.String())
		}
	case asPaint:
		p.attribute(attribute, "url('"+oneLine.Replace(p.ref())+"')")
	case asAnimated:
		p.WriteString(" attributeName=" + pick(p, "href", "xlink:href") + " dur=1s fill=freeze begin=0s")
		if attribute == "values" {
			p.attribute(attribute, p.alike(func() string { return p.ref() + ";" + p.ref() }))
		} else {
			p.attribute(attribute, p.ref())
		}
	default:
		if (v.element == "iframe" || v.element == "object" || v.element == "embed" || v.element == "frame") && p.chance(4) {
			inner := &oddPage{Rand: p.Rand, mark: p.mark, depth: 2, wide: p.wide}
			inner.node()
			p.attribute(attribute, pick(p, "data:text/html,", "data:text/html;charset=utf-8,", "DATA:text/html,")+strings.NewReplacer("%", "%25", "#", "%23", "\n", "%0a", "\t", "%09", "\r", "%0d", " ", pick(p, " ", "%20")).Replace(inner.String()))
			break
		}
		if v.element == "script" && p.chance(5) {
			code := pick(p, p.code(), p.module())
			p.attribute(attribute, pick(p, "data:text/javascript,", "data:,", "data:application/javascript;charset=utf-8,")+strings.NewReplacer("%", "%25", "#", "%23", "\n", "%0a", " ", pick(p, " ", "%20")).Replace(code))
			if p.chance(2) {
				p.attribute("type", "module")
			}
			break
		}
		p.attribute(attribute, p.ref())
		if p.chance(6) {
			p.attribute(attribute, p.ref())
		}
	}
	if by != "" && !first {
		p.attribute(by, p.name(v.when))
	}
	if v.element == "script" && p.chance(3) {
		p.attribute(pick(p, "type", "type", "language"), pick(p, "text/javascript", "module", "", "text/plain", "application/json", "TEXT/JAVASCRIPT", " module ", "javascript"))
	}
	if v.element == "link" {
		p.attribute(pick(p, "as", "media", "crossorigin", "type"), pick(p, "script", "style", "image", "all", "print", ""))
	}
	p.WriteString(pick(p, ">", ">", ">", ">", "/>", " >", " />", "\n>"))
	switch v.element {
	case "script":
		p.WriteString(pick(p, "</script>", "</script>", "</SCRIPT\n>", "</script/>", "<!--<script></script>--></script>", ""))
	case "iframe", "video", "audio", "object":
		if p.chance(2) {
			p.WriteString("</" + v.element + ">")
		} else {
			p.node()
			p.WriteString("</" + v.element + ">")
		}
	}
}

// node writes anything.
func (p *oddPage) node() {
	if p.depth > 5 || p.Len() > 6000 {
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	inside := func(open, shut string) {
		p.WriteString(open)
		for range 1 + p.IntN(2) {
			p.node()
		}
		if !p.chance(5) {
			p.WriteString(shut)
		}
	}
	around := func(name string) { inside("<"+p.name(name)+">", "</"+p.name(name)+">") }
	switch p.IntN(30) {
	case 0:
		inside(pick(p, "<svg>", "<SVG>", "<svg >", "<svg/>", "<svg xmlns=x>"), "</svg>")
	case 1:
		inside("<svg>"+pick(p, "<g>", "<foreignObject>", "<desc>", "<title>", "<title/>", "<style>", "<style/>", "<script type=a>", "<script/>", "<xmp>", "<textarea>", "<noscript>", "</div>", "</select>", "</td>", "<p>", "<font color=x>", "<font>", "</p>", "</br>", "<mi>", "<a>", "<table>", "<![CDATA["), pick(p, "</svg>", "</foreignObject></svg>", "]]></svg>", "</desc>"))
	case 2:
		inside("<math>"+pick(p, "<mi>", "<annotation-xml encoding=text/html>", "<annotation-xml>", "<mtext>", "<ms><mglyph>", "<svg>", "<mo><malignmark>", "<annotation-xml encoding=APPLICATION/XHTML+XML>", "<mi><svg><mi>"), pick(p, "</math>", "</mi></math>"))
	case 3:
		inside(pick(p, "<template>", "<template shadowrootmode=open>", "<div><template shadowrootmode=closed>", "<div><template shadowrootmode=OPEN shadowrootserializable>", "<table><template>"), "</template>")
	case 4:
		around(pick(p, "select", "table", "tr", "td", "tbody", "caption", "colgroup", "option", "optgroup", "button", "form", "a", "p", "li", "picture", "video", "object", "marquee", "applet", "dialog", "details", "center", "nobr", "ruby", "frameset", "head", "html", "body", "fieldset"))
	case 5:
		around(pick(p, "textarea", "title", "xmp", "noembed", "noframes", "iframe", "noscript", "listing", "pre", "style", "script", "plaintextx"))
	case 6:
		inside(pick(p, "<!--", "<!-->", "<!--->", "<!-- -- ", "<!--[if IE]>", "<!--<!--", "<!doctype ", "<?xml ", "<!", "</", "<![CDATA[", "<!--\x00"), pick(p, "-->", "--!>", "-->", ">", "->", "--->", "<!-->", "]]>", "-- >-->"))
	case 7:
		p.WriteString(pick(p, "</p>", "</br>", "</table>", "</svg>", "</div>", "</select>", "</template>", "</body>", "</html>", "</head>", "</form>", "</a>", "</math>", "</noscript>", "</title>", "</xy a='>'>", "\x00", pick(p, p.wide...), "&amp", "<", "text <b", "</script >", "<input type=hidden>", "<hr>", "<keygen>", "<isindex>", "<image>", "<b><i></b>"))
	case 8, 9:
		p.WriteString("<" + p.name("style") + pick(p, ">", ">", " media=all>", " type=text/css>", " type=''>", " type=text/plain>", " type=TEXT/CSS>", "/>") + p.alike(func() string { return p.css(true) }) + pick(p, "</style>", "</style>", "</STYLE >", "</style/>", "</styl></style>"))
	case 10:
		css := p.alike(func() string { return p.css(true) })
		p.WriteString("<svg><style>" + pick(p, css, "<![CDATA["+css+"]]>", strings.ReplaceAll(css, "r", "&#114;"), "<!--x-->"+css) + pick(p, "</style></svg>", "</svg>", "<p>"))
	case 11, 12:
		p.WriteString("<" + p.name("script") + pick(p, ">", " async>", " type=text/javascript>", " language=javascript>", " type=>", " type=module>") + pick(p, "", "<!--\n", "'<!--<script>';", "\x00;", "") + p.code() + pick(p, "", "\n-->", "//<script></script>") + pick(p, "</script>", "</script>", "</SCRIPT >", "</script/x>"))
	case 13:
		p.WriteString("<script type=" + pick(p, "module", "'module'", "MODULE", "\"module \"") + ">" + p.module() + "</script>")
	case 14:
		p.WriteString("<svg><script>" + pick(p, p.code(), "<![CDATA["+p.code()+"]]>", strings.ReplaceAll(p.code(), "i", "&#105;"), "<!--"+"-->"+p.code()) + "</script></svg>")
	case 15:
		inside("<svg>"+pick(p, "<image id=q>", "<use id=q>", "<feImage id=q>", "<filter><feImage>"), "</svg>")
	case 16:
		p.WriteString("<script type=importmap>{\"imports\":{\"a\":\"" + pick(p, `https:\/\/www.facebook.com\/im`, `\u0068ttps://www.faceb\took.com/im`, `https://cdn.harmless.example/im`, `/own/im`) + p.mark + "\"}}</script><script type=module>import 'a'</script>")
	case 17:
		p.WriteString("<picture>")
		p.element(&vectors[pick(p, vectorAt("source", "srcset"), vectorAt("img", "srcset"), vectorAt("img", "src"))])
		p.element(&vectors[pick(p, vectorAt("img", "srcset"), vectorAt("img", "src"))])
	case 18:
		p.WriteString("<svg>")
		p.element(&vectors[pick(p, vectorAt("image", "href"), vectorAt("image", "xlink:href"), vectorAt("script", "href"), vectorAt("script", "xlink:href"), vectorAt("use", "href"), vectorAt("feimage", "href"), vectorAt("set", "to"), vectorAt("animate", "values"))])
		p.WriteString(pick(p, "</svg>", "", "<g/></svg>"))
	case 19:
		p.WriteString(pick(p, "<svg><image>", "<svg><image href=/own/z>", "<svg width=9 height=9><use>"))
		p.element(&vectors[pick(p, vectorAt("set", "to"), vectorAt("animate", "values"), vectorAt("animate", "to"), vectorAt("animate", "from"))])
		p.WriteString(pick(p, "</image></svg>", "</svg>"))
	default:
		p.vector()
	}
}

// vectorAt is the place in the table of an element's attribute.
func vectorAt(element, attribute string) int {
	for i := range vectors {
		if vectors[i].element == element && vectors[i].attribute == attribute {
			return i
		}
	}
	panic(element + " has no " + attribute)
}
