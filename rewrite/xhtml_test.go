package rewrite

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

const xhtml = `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body>`

// wellFormed reports what is wrong with a document of XML.
func wellFormed(page []byte) error {
	d := xml.NewDecoder(bytes.NewReader(page))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestXHTML checks that a page of XHTML stays well-formed, and is what it was but for
// what is held.
func TestXHTML(t *testing.T) {
	const held = "https://www.facebook.com/tr?id=1"
	for page, isHeld := range map[string]bool{
		`<p title="a > b">a &lt; b</p>`:                                         false,
		`<style>a&gt;b{background:url(` + held + `)}</style>`:                   true,
		`<style>a{content:"&lt;&amp;"}b{background:url(` + held + `)}</style>`:  true,
		`<iframe srcdoc="&lt;img src='` + held + `'>&lt;p>a &amp;amp; b"/>`:     true,
		`<iframe srcdoc="&lt;title>&lt;img src='` + held + `'>&lt;/title>"/>`:   false,
		`<p style="background:url(` + held + `);content:'&lt;'">x</p>`:          true,
		`<script src="https://consent.cookiebot.com/uc.js"></script>`:           true,
		`<script><![CDATA[if (a < b && c) d()]]></script>`:                      false,
		`<svg xmlns="http://www.w3.org/2000/svg"><style>a{top:0}</style></svg>`: false,
	} {
		page = xhtml + page + "</body></html>"
		doc := document(0)
		doc.XML, doc.RemoveBanners = true, true
		out := rewritten(t, doc, []byte(page), 0)
		if got := string(out) != page; got != isHeld {
			t.Errorf("%s\nbecomes\n%s", page, out)
		}
		if err := wellFormed(out); err != nil {
			t.Errorf("%v\nin %s", err, out)
		}
		if doc.Granted, doc.RemoveBanners = consent.All, false; string(rewritten(t, doc, []byte(page), 0)) != page {
			t.Errorf("all granted, %s changes", page)
		}
	}
}

// TestProgramsOfXML leaves out what could make another page of one, which nobody would
// have read, and keeps style sheets.
func TestProgramsOfXML(t *testing.T) {
	for said, isHeld := range map[string]bool{
		`type="text/xsl" href="/page.xsl"`:                   true,
		`href='/page.xsl' type='application/xml'`:            true,
		`type="text/x&#115;l" href="/page.xsl"`:              true,
		`type="text/css" href="/page.css"`:                   false,
		`type="text/CSS; charset=utf-8" href="/page.css"`:    false,
		`href="/page.css"`:                                   false,
		`type="text/css" href="https://www.facebook.com/tr"`: true,
	} {
		page := strings.Replace(xhtml, "<html", "<?xml-stylesheet "+said+"?><html", 1) + "</body></html>"
		doc := document(0)
		doc.XML = true
		if out := string(rewritten(t, doc, []byte(page), 0)); strings.Contains(out, "xml-stylesheet") == isHeld {
			t.Errorf("%s: %s", said, out)
		}
		if doc.Granted = consent.All; string(rewritten(t, doc, []byte(page), 0)) != page {
			t.Errorf("all granted, %s changes", page)
		}
	}
}

// TestSubset checks what is left of the declarations in a DOCTYPE.
func TestSubset(t *testing.T) {
	for subset, want := range map[string]string{
		``: ``,
		` <!ENTITY nbsp "&#160;"> <!ENTITY copy '&#xA9;'> `:                         ` <!ENTITY nbsp "&#160;"> <!ENTITY copy '&#xA9;'> `,
		`<!ENTITY shop "it's > a shop">`:                                            "<!ENTITY shop \"&#xFFFD;\">\n",
		`<!ENTITY shop SYSTEM "shop.xml">`:                                          "<!ENTITY shop \"&#xFFFD;\">\n",
		`<!ENTITY nbsp "&#160;"><!-- don't ]> --><!ELEMENT x ANY><!ENTITY % p "x">`: "<!ENTITY nbsp \"&#160;\">\n",
	} {
		begin, end := `<?xml version="1.0"?><!DOCTYPE html PUBLIC "a[b>" "c" [`, `]><html xmlns="http://www.w3.org/1999/xhtml"><head><title>&nbsp;</title></head></html>`
		doc := hooked(0)
		doc.XML = true
		for n := range 9 {
			out := rewritten(t, doc, []byte(begin+subset+end), n)
			bare := string(injectedHook.ReplaceAll(out, nil))
			if bare != begin+want+end {
				t.Fatalf("%s\nbecomes\n%s", subset, bare)
			}
			if n == 0 && !bytes.Contains(out, []byte("<!--HEAD")) {
				t.Errorf("no head in %s", out)
			}
		}
	}
	for _, page := range []string{"<!DOCTYPE html [" + strings.Repeat(" ", Limit) + "]>", "<!-- " + strings.Repeat(" ", Limit) + "-->"} {
		doc := document(0)
		doc.XML = true
		if out := rewritten(t, doc, []byte(page+xhtml[len(`<?xml version="1.0"?>`):]), 4096); !bytes.HasSuffix(out, []byte(xhtml[len(`<?xml version="1.0"?>`):])) {
			t.Errorf("%.20s: ends in %.300s", page, out)
		}
	}
}
