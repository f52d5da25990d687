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
		var got, want [][3]int
		for hopping.next() {
			got = append(got, [3]int{hopping.from, hopping.to, int(hopping.kind)})
		}
		for reading.i < len(css) {
			if reading.token() {
				want = append(want, [3]int{reading.from, reading.to, int(reading.kind)})
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
