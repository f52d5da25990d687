package rules

import (
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
	e.breadth.reserve(strings.Count(table, "\n"))
	line := 0
	for row := range strings.Lines(table) {
		line++
		fields := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if strings.HasPrefix(row, "#") || len(fields) != 4 {
			continue
		}
		domain, name := fields[0], fields[2]
		category, ok := consent.ParseCategory(fields[1])
		if !ok {
			continue
		}
		id := slug(name)
		v := e.byID[id]
		if v == nil {
			v = &Vendor{ID: id, Name: name, Company: fields[3], Category: category}
			e.byID[id] = v
		} else if category != consent.Unclassified {
			category = v.Category
		}
		e.breadth.addDomain(domain, verdict{vendor: v, category: category, rule: Rule{SourceTable, domain, breadthFile, line}})
	}
}

// slug makes an ID of a product's name.
func slug(name string) string {
	id := make([]byte, 0, len(name))
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
	return strings.TrimSuffix(string(id), "-")
}
