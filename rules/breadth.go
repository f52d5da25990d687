package rules

import (
	"bytes"
	_ "embed"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// The breadth table knows domains beyond the catalogue: whose they are, and for
// many of them what for. See rules/breadth, which makes it.
//
//go:embed breadth.tsv
var breadth string

const breadthFile = "breadth.tsv"

// addBreadth enters the breadth table. A product that the catalogue has under
// the same ID is that vendor, and keeps its category unless the table has none.
func (e *Engine) addBreadth(table string) {
	var vendors chunk[Vendor]
	var id []byte
	line := 0
	for row := range strings.Lines(table) {
		line++
		domain, row, _ := strings.Cut(strings.TrimSuffix(row, "\n"), "\t")
		word, row, _ := strings.Cut(row, "\t")
		name, company, whole := strings.Cut(row, "\t")
		category, ok := consent.ParseCategory(word)
		if !ok || !whole || strings.HasPrefix(domain, "#") {
			continue
		}
		id = appendSlug(id[:0], name)
		v := e.byID[string(id)]
		if v == nil {
			v = &vendors.take(1)[0]
			*v = Vendor{ID: string(id), Name: name, Company: company, Category: category}
			e.byID[v.ID] = v
		} else if category != consent.Unclassified {
			category = v.Category
		}
		e.breadth.addDomain(domain, verdict{vendor: v, category: category, rule: Rule{SourceTable, domain, breadthFile, line}})
	}
}

// appendSlug appends the ID that a product's name makes.
func appendSlug(id []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			id = append(id, c)
		case 'A' <= c && c <= 'Z':
			id = append(id, c|0x20)
		case len(id) > 0 && id[len(id)-1] != '-':
			id = append(id, '-')
		}
	}
	return bytes.TrimSuffix(id, []byte("-"))
}
