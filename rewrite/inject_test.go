package rewrite

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestAddedOutsideSVG: what is added to a page that leaves SVG open is read as HTML.
func TestAddedOutsideSVG(t *testing.T) {
	d := hooked(0)
	d.Foot = func(dst, _ []byte) []byte { return append(dst, "<askfirst-foot></askfirst-foot>"...) }
	for _, page := range []string{
		"<body><svg></div><iframe src=https://www.youtube.com/embed/x></iframe></body></html>",
		"<body><svg></p><iframe src=https://www.youtube.com/embed/x></iframe><svg></body></html>\n",
		"<body><svg><g></body></html>",
		"<body><svg></div></body></html>",
		"<body><math><mi><svg><!-- x",
		"<body><svg><desc><p>x",
	} {
		out := rewritten(t, d, []byte(page), 0)
		root, err := html.Parse(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		foots := 0
		for n := range root.Descendants() {
			if n.Type != html.ElementNode || !strings.HasPrefix(n.Data, "askfirst-") {
				continue
			}
			for p := n; p != nil; p = p.Parent {
				if p.Namespace != "" {
					t.Errorf("%s: <%s> is in %s:\n%s", page, n.Data, p.Namespace, out)
					break
				}
			}
			if n.Data == "askfirst-foot" {
				foots++
			}
		}
		if foots != 1 {
			t.Errorf("%s: %d feet:\n%s", page, foots, out)
		}
	}
}

// TestUnfinishedStaysInSVG: what is unfinished at the end of a page comes after the
// foot, and is read as it was.
func TestUnfinishedStaysInSVG(t *testing.T) {
	for _, page := range []string{"<body><svg><![CDATA[ > <b>x", "<body><svg><style>a{}", "<body><svg><script>a"} {
		out := rewritten(t, hooked(0), []byte(page), 0)
		if at := bytes.Index(out, []byte("<!--FOOT")); at < 0 || bytes.Contains(out, []byte("</svg>")) {
			t.Errorf("%s: %s", page, out)
		}
	}
}
