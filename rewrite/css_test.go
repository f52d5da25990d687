package rewrite

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCSSHop checks that a style sheet whose dull parts are hopped over has the
// same URLs as one that is read token by token.
func TestCSSHop(t *testing.T) {
	pieces := []string{"url(", "URL (", "u\\72l(", "\\75 rl(", "src(", "image-set(", "-webkit-image-set(", "@import ", "@im\\70ort", "@namespace ", "@font-face{", "@url(",
		"#url(", "3url(", "a#url(", "-url(", "calc(", "rgba(", ")", ")", "\"", "'", "/*", "*/", "/", "{", "}", ";", ",", ":", "a", "b1", "-", "_", "\\", "\\41 ", "\\g", "\n", " ", "\t",
		"é", "\x00", "1", ".", "!", "<!--", "-->", "https://a.example/b", "data:x", "%", "#", "url", "ur", "l("}
	r := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 200_000 {
		var b strings.Builder
		for range 1 + r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		css := []byte(b.String())
		hopping, reading := cssReader{css: css}, cssReader{css: css}
		var got, want [][4]int
		url := func(c *cssReader) [4]int {
			unsure := 0
			if c.unsure {
				unsure = 1
			}
			return [4]int{c.from, c.to, int(c.kind), unsure}
		}
		for hopping.next() {
			got = append(got, url(&hopping))
		}
		for reading.i < len(css) {
			if reading.token() {
				want = append(want, url(&reading))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %v, want %v", css, got, want)
		}
		found += len(want)
	}
	if found < 10_000 {
		t.Errorf("%d URLs only", found)
	}
}

// TestStrings checks which strings of a style sheet are decided about: those that
// stay are what selectors compare with, names, and what no rule knows.
func TestStrings(t *testing.T) {
	const held = "https://www.facebook.com/tr?id=1"
	for css, isHeld := range map[string]bool{
		`:root{--u:"` + held + `"}`:                                   true,
		`a[href="` + held + `"]{color:red}`:                           false,
		`a[href^= '` + held + `' i]{color:red}`:                       false,
		`:root{--u:"https://cdn.harmless.example/a.png"}`:             false,
		`:root{--u:"/tr?id=1"}`:                                       false,
		`a::after{content:"http";content:"// "}`:                      false,
		`@namespace svg url(http://www.w3.org/2000/svg);svg|a{top:0}`: false,
		`@namespace "http://www.w3.org/1999/xhtml";a{top:0}`:          false,
		`a{background:image-set("/a.avif" type("image/avif"))}`:       false,
		`@font-face{src:url("data:font/woff2;base64,AA==")}`:          false,
		`a{background:url(data:image/gif;base64,AA==)}`:               false,
		`@import "data:text/css,a{color:red}";`:                       false,
		`@import url(data:text/css;base64,YXt9);`:                     false,
	} {
		doc := document(0)
		doc.HoldUnclassified = true
		for _, page := range []string{"<style>" + css + "</style>", `<p style="` + strings.ReplaceAll(css, `"`, "&quot;") + `">`} {
			out := string(rewritten(t, doc, []byte(page), 0))
			if got := out != page; got != isHeld {
				t.Errorf("%s\nbecomes\n%s", page, out)
			}
		}
	}
}
