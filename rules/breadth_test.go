package rules

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// breadthWanted is how many domains the table knows at least.
const breadthWanted = 3000

func TestBreadth(t *testing.T) {
	e := newEngine(t, Options{})
	if n := len(e.breadth.hosts.names); n < breadthWanted {
		t.Errorf("%d domains, want at least %d", n, breadthWanted)
	}
	for i, row := range strings.Split(strings.TrimSuffix(breadth, "\n"), "\n") {
		if strings.HasPrefix(row, "#") {
			continue
		}
		fields := strings.Split(row, "\t")
		if len(fields) != 4 {
			t.Errorf("%s:%d: %d fields", breadthFile, i+1, len(fields))
			continue
		}
		if domain, err := parseDomain(fields[0]); err != nil || domain != fields[0] {
			t.Errorf("%s:%d: %q is read as %q, %v", breadthFile, i+1, fields[0], domain, err)
		}
		if _, ok := consent.ParseCategory(fields[1]); !ok || fields[2] == "" {
			t.Errorf("%s:%d: category %q, product %q", breadthFile, i+1, fields[1], fields[2])
		}
	}
	p := newPage("https://www.shop.example/")
	d := e.URL(p, []byte("https://x.urchin.com/u.gif"), Image)
	if d.Category != consent.Analytics || d.Vendor == nil || d.Rule.Source != SourceTable && d.Rule.Source != SourceCatalogue {
		t.Errorf("urchin.com: %+v", d)
	}
}
