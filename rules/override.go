package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// Override is an operator's own rule. Exactly one of Vendor, Domain, URL,
// Inline, Cookie and Storage says what it is about.
type Override struct {
	Vendor string   // a vendor's ID
	Domain string   // a domain and its subdomains
	URL    string   // a pattern, see ParsePattern
	Inline []string // tokens that must all occur in an inline script
	Cookie string   // a cookie's name, or a prefix ending in "*"
	// Storage is the name of a key of localStorage or sessionStorage likewise.
	Storage string

	// Category is what the thing becomes. Necessary makes it always pass;
	// Unclassified stands for that of the vendor As, or else Vendor.
	Category consent.Category
	// As names the vendor whose tag this is. Empty for none.
	As string
	// AlwaysHold holds it whatever the visitor agreed to.
	AlwaysHold bool
	// Pages limits the override to pages whose path matches this glob wholly;
	// empty for all. Overrides so limited are looked at before the others,
	// longer globs first. A cookie's cannot be limited.
	Pages string

	// File and Line are where the override was written.
	File string
	Line int
}

// String returns the override as one line.
func (o *Override) String() string {
	var b strings.Builder
	switch {
	case o.Vendor != "":
		b.WriteString("vendor " + o.Vendor)
	case o.Domain != "":
		b.WriteString("domain " + o.Domain)
	case o.URL != "":
		b.WriteString("url " + o.URL)
	case o.Cookie != "":
		b.WriteString("cookie " + o.Cookie)
	case o.Storage != "":
		b.WriteString("storage " + o.Storage)
	default:
		b.WriteString("inline " + strconv.Quote(strings.Join(o.Inline, " … ")))
	}
	if o.Pages != "" {
		b.WriteString(" on " + o.Pages)
	}
	switch {
	case o.AlwaysHold:
		b.WriteString(": always hold")
	case o.As != "":
		b.WriteString(": as " + o.As)
	default:
		b.WriteString(": " + o.Category.String())
	}
	return b.String()
}

// overrideSet are the overrides that hold for the same pages.
type overrideSet struct {
	pages string // glob of paths, empty for all
	layer
	byVendor map[*Vendor][]*verdict
}

// holdsFor reports whether the set is about pages like p, which is nil where no
// page is known.
func (s *overrideSet) holdsFor(p *Page) bool {
	return s.pages == "" || p != nil && p.parsed && globMatch(s.pages, p.page.path())
}

// overrideSet returns the set for the given pages.
func (e *Engine) overrideSet(pages string) *overrideSet {
	i, ok := slices.BinarySearchFunc(e.overrides, pages, func(s *overrideSet, pages string) int {
		return cmp.Or(len(pages)-len(s.pages), strings.Compare(s.pages, pages))
	})
	if !ok {
		e.overrides = slices.Insert(e.overrides, i, &overrideSet{pages: pages, byVendor: map[*Vendor][]*verdict{}})
	}
	return e.overrides[i]
}

// addOverride enters an override, or says what is wrong with it.
func (e *Engine) addOverride(o *Override, order int) error {
	refuse := func(format string, args ...any) error {
		return &Mistake{o.File, o.Line, "override: " + fmt.Sprintf(format, args...)}
	}
	subjects := 0
	for _, said := range []bool{o.Vendor != "", o.Domain != "", o.URL != "", len(o.Inline) > 0, o.Cookie != "", o.Storage != ""} {
		if said {
			subjects++
		}
	}
	if subjects != 1 {
		return refuse("needs exactly one of vendor, domain, url, inline, cookie, storage")
	}
	if o.Category > consent.Unclassified {
		return refuse("no such category")
	}
	v := verdict{category: o.Category, never: o.AlwaysHold, rule: Rule{SourceOverride, o.String(), o.File, o.Line}}
	for _, id := range [...]string{o.Vendor, o.As} {
		if id == "" {
			continue
		}
		if v.vendor = e.byID[id]; v.vendor == nil {
			return refuse("no vendor has the id %q", id)
		}
	}
	if v.category == consent.Unclassified && v.vendor != nil {
		v.category = v.vendor.Category
	}
	if v.never && (v.category == consent.Necessary || v.category == consent.Unclassified) {
		v.category = consent.Marketing
	}
	set := e.overrideSet(o.Pages)
	switch {
	case o.Vendor != "":
		vendor := e.byID[o.Vendor]
		set.byVendor[vendor] = append(set.byVendor[vendor], &v)
	case o.Domain != "":
		domain, err := parseDomain(o.Domain)
		if err != nil {
			return refuse("%v", err)
		}
		set.addDomain(domain, v)
	case o.URL != "":
		p, err := ParsePattern(o.URL)
		if err != nil {
			return refuse("url %q: %v", o.URL, err)
		}
		set.addURL(p, order, v)
	case o.Cookie != "", o.Storage != "":
		if o.Pages != "" {
			return refuse("pages cannot limit a cookie, which is set for the whole site")
		}
		if err := checkName(o.Cookie + o.Storage); err != nil {
			return refuse("%v", err)
		}
		if o.Cookie != "" {
			set.cookies.add(o.Cookie, v)
		} else {
			set.storage.add(o.Storage, v)
		}
	default:
		if err := checkTokens(o.Inline); err != nil {
			return refuse("%v", err)
		}
		set.addInline(o.Inline, true, v)
	}
	return nil
}
