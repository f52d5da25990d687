package rewrite

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestSpeculation holds rules by which a browser may fetch ahead what a link to
// another site leads to, and no others.
func TestSpeculation(t *testing.T) {
	for rule, isHeld := range map[string]bool{
		`{"where":{"selector_matches":"a"}}`:                                true,
		`{"where":{"not":{"href_matches":"/x"}}}`:                           true,
		`{"where":{"href_matches":"https://*/*"}}`:                          true,
		`{"where":{"href_matches":"//*/*"}}`:                                true,
		`{"where":{"href_matches":"https://shop.example*"}}`:                true,
		`{"where":{"href_matches":["/a","https://www.facebook.com/*"]}}`:    true,
		`{"where":{"href_matches":{"pathname":"/*"}}}`:                      true,
		`{"where":{"or":[{"href_matches":"/*"},{"selector_matches":"a"}]}}`: true,
		`{"source":"document"}`:                                             true,
		`{"source":"document","where":{"and":[{"href_matches":"/*"},{"not":{"href_matches":["/wp-*.php","/*?*"]}}]}}`: false,
		`{"where":{"href_matches":"/*"},"eagerness":"moderate"}`:                                                      false,
		`{"where":{"href_matches":"https://shop.example/*"}}`:                                                         false,
		`{"where":{"or":[{"href_matches":"/a"},{"href_matches":["/b","/c"]}]}}`:                                       false,
		`{"urls":["/next"]}`: false,
		`{"where":`:          false,
	} {
		page := `<!DOCTYPE html><script type="speculationrules">{"prefetch":[` + rule + `]}</script>`
		doc := document(0)
		if out := string(rewritten(t, doc, []byte(page), 0)); strings.Contains(out, "text/plain") != isHeld {
			t.Errorf("%s: %s", rule, out)
		}
		if doc.Granted = consent.All; string(rewritten(t, doc, []byte(page), 0)) != page {
			t.Errorf("all granted, %s changes", rule)
		}
	}
}
