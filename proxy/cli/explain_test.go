package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestExplainOverrides asks what becomes of things that overrides name, as they
// are written in a configuration.
func TestExplainOverrides(t *testing.T) {
	config := filepath.Join(t.TempDir(), "askfirst.yml")
	if err := os.WriteFile(config, []byte(`sites:
  - name: shop
    hosts: ["*"]
    upstream: http://127.0.0.1:3000
    policy_url: /privacy
    overrides:
      - {url: shop.example/js/stats.js, as: matomo}
      - {url: shop.example/js/own.js, as: matomo, category: necessary}
      - {domain: widget.example, always_hold: true}
      - {vendor: hotjar, always_hold: true}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, category, before string }{
		{"https://shop.example/js/stats.js", "analytics", "held until the visitor agrees to analytics"},
		{"https://shop.example/js/own.js", "necessary", "passes"},
		{"https://widget.example/", "marketing", "held, whatever the visitor agrees to"},
		{"https://static.hotjar.com/c/hotjar-1.js", "analytics", "held, whatever the visitor agrees to"},
	} {
		expect(t, 0, "explain --config "+config+" "+c.url, "  category  "+c.category+"\n", "  before    "+c.before+"\n")
	}
}
