package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/askfirst/askfirst/rules/consent/iab"
)

// maxWait is the longest that Google's tags may be told to wait for a choice.
const maxWait = 10 * time.Second

func (r *reader) google(n *yaml.Node, at string, g *consent.Google) {
	r.mapping(n, at, fields{
		"mode": func(n *yaml.Node, at string) {
			var mode consent.GoogleMode
			if oneOf(r, n, at, &mode, "basic", consent.GoogleAdvanced, consent.GoogleOff); mode != "basic" {
				g.Mode = mode
			}
		},
		"wait_for_update": func(n *yaml.Node, at string) {
			if r.duration(n, at, &g.Wait); g.Wait > maxWait {
				r.refuse(n, at, "is longer than anybody waits for a page", "use at most 10s; 500ms is what holds without it")
			}
		},
		"url_passthrough":    func(n *yaml.Node, at string) { r.boolean(n, at, &g.URLPassthrough) },
		"ads_data_redaction": func(n *yaml.Node, at string) { r.boolean(n, at, &g.AdsDataRedaction) },
		"regions": func(n *yaml.Node, at string) {
			for _, name := range r.list(n, at) {
				if _, ok := consent.ParsePlace(name); !ok {
					r.refuse(n, at, fmt.Sprintf("%q is no place", name), "write a country (DE) or a region (US-CA), in capitals (ISO 3166)")
				}
				g.Regions = append(g.Regions, name)
			}
		},
	})
}

// tcf reads what is said of the TCF; its vendor list is still to be read.
func (r *reader) tcf(n *yaml.Node, at string, t *TCF) {
	t.CMPVersion, t.line = 1, n.Line
	r.mapping(n, at, fields{
		"cmp_id":      func(n *yaml.Node, at string) { r.number(n, at, &t.CMP, 2, 4095) },
		"cmp_version": func(n *yaml.Node, at string) { r.number(n, at, &t.CMPVersion, 1, 4095) },
		"vendor_list": func(n *yaml.Node, at string) {
			t.line = n.Line
			r.text(n, at, &t.File)
		},
		"vendors": func(n *yaml.Node, at string) {
			for _, text := range r.list(n, at) {
				id, err := strconv.Atoi(text)
				if err != nil || id < 1 || id > 1<<16-1 {
					r.refuse(n, at, fmt.Sprintf("%q is no vendor's ID", text), "write numbers of the vendor list")
				}
				t.Only = append(t.Only, id)
			}
		},
		"publisher_country": func(n *yaml.Node, at string) {
			r.text(n, at, &t.Country)
			if p, ok := consent.ParsePlace(t.Country); !ok || p != p.Country() || !isLetters(t.Country) {
				r.refuse(n, at, fmt.Sprintf("%q is no country", t.Country), "write two capital letters (ISO 3166-1)")
			}
		},
		"cookie": func(n *yaml.Node, at string) { r.boolean(n, at, &t.Cookie) },
	})
	for _, f := range []struct {
		name    string
		missing bool
		hint    string
	}{
		{"cmp_id", t.CMP == 0, "the IAB gives one to each consent management platform that it registers; without one there is no TCF"},
		{"vendor_list", t.File == "", "name a file with the IAB's Global Vendor List, version 3"},
		{"publisher_country", t.Country == "", "write the country whose law holds for the site, such as DE"},
	} {
		if f.missing && !r.refused(at+"."+f.name) {
			r.refuse(n, at+"."+f.name, "is missing", f.hint)
		}
	}
}

func isLetters(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') })
}

// readList reads the vendor list that the configuration at path names. at is
// what the site calls it.
func (t *TCF) readList(path, at string) error {
	if t.CMP == 0 {
		return nil
	}
	text, err := readFile(beside(path, t.File), iab.MaxVendorList)
	if err == nil {
		t.List, err = iab.ParseVendorList(text)
	}
	if err == nil && t.Only != nil {
		t.List, err = t.List.Only(t.Only)
	}
	if err != nil {
		return Mistakes{{File: path, Line: t.line, Field: at + ".vendor_list", Problem: err.Error(),
			Hint: "give the IAB's Global Vendor List, version 3, as it is published"}}
	}
	return nil
}

func (r *reader) gpp(n *yaml.Node, at string, g *iab.GPP) {
	g.MSPA = iab.NoMSPA
	r.mapping(n, at, fields{
		"cmp_id": func(n *yaml.Node, at string) { r.number(n, at, &g.CMP, 0, 4095) },
		"sections": func(n *yaml.Node, at string) {
			g.Sections = r.list(n, at)
			for _, name := range g.Sections {
				if !slices.Contains(iab.Sections(), name) {
					r.refuse(n, at, fmt.Sprintf("%q is no section", name), fmt.Sprintf("what can stand here: %v", iab.Sections()))
				}
			}
		},
		"mspa": func(n *yaml.Node, at string) {
			oneOf(r, n, at, &g.MSPA, iab.NoMSPA, iab.OptOutMode, iab.ServiceProvider)
		},
	})
	if len(g.Sections) == 0 && !r.refused(at+".sections") {
		r.refuse(n, at+".sections", "is missing", "write [usnat], or the states' own beside it")
	}
}
