package rewrite

import (
	"bytes"
	"encoding/xml"
	"io"
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
