package rules

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestDataIsNotRun decides about scripts that have a tag in them: as what they do,
// or as what they carry.
func TestDataIsNotRun(t *testing.T) {
	const tag = `window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments);}gtag('js',new Date());gtag('config','G-ABC1234567');`
	source := "<p>" + strings.Repeat("A post. ", 40) + `</p><script async src="https://www.googletagmanager.com/gtag/js?id=G-ABC1234567"></script><script>` + tag + `</script>`
	quoted, err := json.Marshal(source)
	if err != nil {
		t.Fatal(err)
	}
	post := string(quoted)
	backquoted := "`" + source + "`"
	quotes := "'" + strings.ReplaceAll(source, "'", `\'`) + "'"
	engine, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p Page
	p.Reset([]byte("https://shop.example/"))
	for _, c := range []struct {
		name, code string
		held       bool
	}{
		{"tag", tag, true},
		{"editor", `wp.apiFetch.use(wp.apiFetch.createPreloadingMiddleware({"/wp/v2/posts/4":{"body":{"content":{"raw":` + post + `,"rendered":` + post + `}}}}));`, false},
		{"flight data", `self.__next_f.push([1,` + post + `])`, false},
		{"single quotes", `var post = ` + quotes + `;`, false},
		{"template", "render(" + backquoted + ")", false},
		{"template in pieces", "render(`<b>${ {a: `x${1}`}.a }" + source + "`)", false},
		{"tag after data", `var post = ` + post + `;` + tag, true},
		{"tag before data", tag + `;var post = ` + post, true},
		{"tag in a template's expression", "var x = `" + strings.Repeat("long ", 60) + "${function(){" + tag + "}()}" + strings.Repeat("long ", 60) + "`", true},
		{"data after an apostrophe in a comment", "// don't\n/* nor won't */ var post = " + post, false},
		{"data after an expression with quotes", `var ok = /["'` + "`" + `]/.test(s), half = n / 2 / 1, post = ` + post, false},
		{"data after a division by a word", `x = a / b; return /"/g.exec(y), ` + post, false},
		{"written", `document.write(` + post + `)`, true},
		{"evaluated", `eval (` + post + `)`, true},
		{"made a function", `new Function(` + post + `)()`, true},
		{"string that does not end", `var post = "it's broken` + "\n" + `"; var other = ` + post, true},
		{"template that does not end", "var s = ` " + "; var other = " + post, true},
		{"comment that does not end", "var other = " + post + "; /* ", true},
		{"too deep", strings.Repeat("`${", 20) + post + strings.Repeat("}`", 20), true},
	} {
		if d := engine.Inline(&p, []byte(c.code)); (d.Rule != nil) != c.held {
			t.Errorf("%s: held is %v, by %v", c.name, d.Rule != nil, d.Rule)
		}
	}
}

// TestDataSpans checks what is taken for data in all beginnings of a script: each
// part is long enough, and none reaches into another.
func TestDataSpans(t *testing.T) {
	long := strings.Repeat("x", minDataLength)
	code := "a('" + long + "');b=/[/'\"]/;c=`" + long + "${d({e:`" + long + "`})}" + long + "`;// '\n/* \" */f=\"" + long + "\\\"\";"
	most := 0
	for n := range len(code) + 1 {
		spans := AppendData(nil, []byte(code[:n]))
		at := 0
		for _, s := range spans {
			if s.Start < at || s.End > n || s.End-s.Start < minDataLength {
				t.Fatalf("%v of %q", spans, code[:n])
			}
			at = s.End
		}
		most = max(most, len(spans))
	}
	if most != 5 {
		t.Errorf("%d parts", most)
	}
}

// TestDataIsGivenUp where a script has so many slashes that each might begin a
// regular expression to its end: to look at all of them takes time by the square.
func TestDataIsGivenUp(t *testing.T) {
	data := `"` + strings.Repeat("a post ", 60) + `"`
	for _, c := range []struct {
		slashes string
		want    int
	}{{"=/[a]/;", 1}, {"=/[", 0}} {
		code := "x=" + data + ";" + strings.Repeat(c.slashes, 2000)
		if got := len(AppendData(nil, []byte(code))); got != c.want {
			t.Errorf("%s: %d parts are data, want %d", c.slashes, got, c.want)
		}
	}
}
