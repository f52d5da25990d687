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

// TestPolicyInMeta: a policy of the page's own is asked about, as a browser reads it,
// and only where it becomes another is the tag written anew.
func TestPolicyInMeta(t *testing.T) {
	d := hooked(0)
	d.Policy = func(dst, policy []byte) []byte {
		if bytes.Contains(policy, []byte("'none'")) {
			return append(append(dst, policy...), `; x "1"`...)
		}
		return append(dst, policy...)
	}
	for in, want := range map[string]string{
		`<meta http-equiv=Content-Security-Policy content="default-src &#39;none&#39;">`: `<meta http-equiv=Content-Security-Policy data-askfirst-content="default-src &#39;none&#39;" content="default-src 'none'; x &quot;1&quot;">`,
		`<meta content="default-src 'self'" http-equiv="content-security-policy">`:       "",
		`<meta http-equiv="content-security-policy">`:                                    "",
		`<meta name="content-security-policy" content="'none'">`:                         "",
		`<iframe srcdoc="<meta http-equiv=content-security-policy content='none'>">`:     "",
	} {
		if want == "" {
			want = in
		}
		if out := string(rewritten(t, d, []byte("<!doctype html><head>"+in), 0)); !strings.Contains(out, want) {
			t.Errorf("%s:\n%s", in, out)
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

// TestPageAfterScript: a page before which something was written is one all the same,
// and a part of a page is none.
func TestPageAfterScript(t *testing.T) {
	for in, want := range map[string]string{
		"\n<script>a</script>\n<!DOCTYPE html>\n<html lang=de><head><title>x</title></head><body>y</body></html>": "\n<script>a</script>\n<!DOCTYPE html>\n<html lang=de><head><!--HEAD de--><title>x</title></head><body>y<!--FOOT de--></body></html>",
		"<br><b>Notice</b>: x<html><body>y":                     "<br><b>Notice</b>: x<html><!--HEAD --><body>y<!--FOOT -->",
		"<!--a--><link rel=stylesheet href=a><body>y</body>":    "<!--a--><link rel=stylesheet href=a><!--HEAD --><body>y<!--FOOT --></body>",
		"<script>a</script><title>x</title><div>y</div>":        "",
		"<p>x<header>y</header>":                                "",
		`{"page": "<!doctype html><html><head></head></html>"}`: "",
	} {
		if want == "" {
			want = in
		}
		if out := string(rewritten(t, hooked(0), []byte(in), 0)); out != want {
			t.Errorf("%s:\n%s\nwant\n%s", in, out, want)
		}
	}
}
