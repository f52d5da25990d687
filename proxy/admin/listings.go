package admin

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
)

// listing is a page that shows one table.
type listing struct {
	path, title, lead string
	table             func(*Admin, *request) (*table, error)
	tabs              func(*request) []link
}

var listings = []*listing{
	{path: "/tags", title: "Tags", table: (*Admin).tagTable, tabs: tagTabs,
		lead: "Every tag that a page carried or a script added, and what became of it."},
	{path: "/vendors", title: "Vendors", table: (*Admin).vendorTable,
		lead: "The companies behind the tags."},
	{path: "/pages", title: "Pages", table: (*Admin).pageTable,
		lead: "Pages by path; numbers, identifiers and addresses in paths are folded."},
	{path: "/cookies", title: "Cookies", table: (*Admin).cookieTable,
		lead: "Cookies and storage keys by name. Values are never looked at."},
	{path: "/choices", title: "Choices", table: (*Admin).choiceTable, tabs: choiceTabs,
		lead: "How visitors chose. A country with less than ten choices is not named."},
}

func (a *Admin) listing(l *listing) func(*request) (*view, error) {
	return func(r *request) (*view, error) {
		t, err := l.table(a, r)
		if err != nil {
			return nil, err
		}
		v := &view{Template: "listing", Title: l.title, Lead: l.lead, Table: t, Searchable: l.path != "/choices", Glossary: l.path != "/cookies" && l.path != "/choices"}
		if l.tabs != nil {
			v.Tabs = l.tabs(r)
		}
		return v, nil
	}
}

// tagTabs switch between tags and tags page by page.
func tagTabs(r *request) []link {
	q := pick(r.URL.Query(), nil)
	q.Del("offset")
	q.Del("by")
	byTag := address("/tags", q)
	q.Set("by", "page")
	byPage := r.FormValue("by") == "page"
	return []link{{Text: "By tag", Href: byTag, Here: !byPage}, {Text: "By page and tag", Href: address("/tags", q), Here: byPage}}
}

// choiceTabs switch between what choices are summed up by.
func choiceTabs(r *request) (tabs []link) {
	q := pick(r.URL.Query(), nil)
	q.Del("offset")
	here := cmp.Or(r.FormValue("by"), "day")
	for _, by := range []string{"day", "language", "country"} {
		q.Set("by", by)
		tabs = append(tabs, link{Text: "By " + by, Href: address("/choices", q), Here: by == here})
	}
	return tabs
}

// choiceTable sums up choices by day, language or country.
func (a *Admin) choiceTable(r *request) (*table, error) {
	by, title := r.FormValue("by"), "Language"
	switch by {
	case "language":
	case "country":
		title = "Country"
	default:
		by, title = "day", "Day"
	}
	f := audit.Filter{Site: r.filter.Site, From: r.filter.From, To: r.filter.To}
	sums := map[string]*[answers]int64{}
	if by == "country" {
		rows, err := a.o.Store.Countries(r.Context(), f)
		if err != nil {
			return nil, err
		}
		sums = byCountry(rows)
	} else {
		rows, err := a.o.Store.Choices(r.Context(), f)
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			key := cmp.Or(c.Language, "unknown")
			if by == "day" {
				key = c.Day.Format(time.DateOnly)
			}
			tally(sums, key, answerOf(c.Action, c.Granted), c.Count)
		}
	}
	t := &table{Name: "choices-by-" + by, Caption: "Choices", Total: len(sums), Empty: "No choice was made in this period.", Columns: []column{
		{Key: by, Title: title}, {Key: "choices", Title: "Choices", Number: true},
		{Key: "accepted_all", Title: "Accepted all", Number: true}, {Key: "chose_some", Title: "Chose some", Number: true},
		{Key: "refused_all", Title: "Refused all", Number: true}, {Key: "by_signal", Title: "Privacy signal", Number: true},
	}}
	list := ratesOf(sums)
	if by == "day" {
		slices.SortFunc(list, func(a, b rates) int { return cmp.Compare(b.Name, a.Name) })
	}
	for _, k := range list {
		n := sums[k.Name]
		answered := func(a answer, percent float64) cell {
			return cell{Value: n[a], Sub: fmt.Sprintf("%.0f%%", percent)}
		}
		t.Rows = append(t.Rows, []cell{{Value: k.Name}, {Value: k.Count},
			answered(acceptedAll, k.Accepted), answered(choseSome, k.Chose), answered(refusedAll, k.Refused),
			answered(bySignal, k.Signal)})
	}
	t.arrange(r.URL, nil, extent{})
	return t, nil
}

// eventColumns are the columns of the counts.
var eventColumns = []column{
	{Key: "seen", Title: "Seen", Number: true},
	{Key: "held", Title: "Held", Number: true},
	{Key: "boxed", Title: "Boxed", Number: true, Spare: true},
	{Key: "stripped", Title: "Stripped", Number: true, Spare: true},
	{Key: "passed", Title: "Passed", Number: true, Spare: true},
	{Key: "released", Title: "Released", Number: true},
	{Key: "fired", Title: "Fired", Number: true},
	{Key: "stopped", Title: "Stopped", Number: true, Spare: true},
	{Key: "fired_anyway", Title: "Fired anyway", Number: true},
}

func eventCells(c audit.Counts) []cell {
	cells := make([]cell, 0, len(eventColumns))
	for _, n := range []int64{c.Seen, c.Held, c.Boxed, c.Stripped, c.Passed, c.Released, c.Fired, c.Stopped, c.FiredAnyway} {
		k := cell{Value: n}
		if n == 0 {
			k.Class = "zero"
		}
		cells = append(cells, k)
	}
	if c.FiredAnyway > 0 {
		cells[len(cells)-1].Class = "alarm"
	}
	return cells
}

// manySites reports whether the site of each row needs saying.
func (r *request) manySites() bool {
	return len(r.sites) > 1 && r.filter.Site == "" || r.format != ""
}

var siteColumn = column{Key: "site", Title: "Site", Spare: true}

// tagName writes a tag's address for people.
func tagName(row *audit.Row) string {
	switch {
	case row.Host == "" && row.Path == "":
		return "in the page itself"
	case row.Path == "/" || row.Path == "":
		return row.Host
	default:
		return row.Host + row.Path
	}
}

func vendorCell(row *audit.Row, href string) cell {
	c := cell{Value: row.Vendor, Text: cmp.Or(row.VendorName, row.Vendor), Link: href}
	if c.Text == "" {
		c.Text, c.Class, c.Link = "unknown", "quiet", ""
	}
	return c
}

func categoryCell(name string) cell {
	return cell{Value: name, Class: "category " + name}
}

// fill puts rows of counts into a table: those of the part, or all, one by one,
// into an export.
func (a *Admin) fill(r *request, t *table, by audit.Grouping, part extent, cells func(*audit.Row) []cell) error {
	if rest := cells; r.manySites() {
		t.Columns = slices.Insert(t.Columns, 0, siteColumn)
		cells = func(row *audit.Row) []cell { return append([]cell{{Value: row.Site}}, rest(row)...) }
	}
	if r.format != "" {
		t.each = func(write func([]cell) error) error {
			return a.o.Store.EachTag(r.Context(), by, r.filter, r.slice(part), func(row *audit.Row) error { return write(cells(row)) })
		}
		return nil
	}
	rows, total, err := a.o.Store.Tags(r.Context(), by, r.filter, r.slice(part))
	if err != nil {
		return err
	}
	for i := range rows {
		t.Rows = append(t.Rows, cells(&rows[i]))
	}
	t.Total = total
	t.arrange(r.URL, by.Columns(), part)
	return nil
}

func (a *Admin) tagTable(r *request) (*table, error) {
	by := audit.ByTag
	if r.FormValue("by") == "page" {
		by = audit.ByPageAndTag
	}
	part := r.part("seen")
	t := &table{Name: "tags", Caption: "Tags", Empty: "No tag was met in this period."}
	if by == audit.ByPageAndTag {
		t.Columns = append(t.Columns, column{Key: "page", Title: "Page"})
	}
	t.Columns = append(t.Columns, column{Key: "vendor", Title: "Vendor"}, column{Key: "category", Title: "Category"},
		column{Key: "host", Title: "Tag"})
	if r.format != "" {
		t.Columns = append(t.Columns, column{Key: "path"}, column{Key: "kind"})
	}
	if by == audit.ByTag {
		t.Columns = append(t.Columns, column{Key: "pages", Title: "Pages", Number: true, Spare: true})
	}
	t.Columns = append(t.Columns, eventColumns...)
	err := a.fill(r, t, by, part, func(row *audit.Row) []cell {
		var cells []cell
		if by == audit.ByPageAndTag {
			cells = append(cells, cell{Value: row.Page, Class: "path", Link: narrowed(r, "/tags", "by", "page", "site", row.Site, "page", row.Page)})
		}
		tag := cell{Value: row.Host, Text: tagName(row), Sub: row.Kind, Class: "path", Link: narrowed(r, "/tags", "by", "page", "site", row.Site, "vendor", row.Vendor, "host", row.Host, "kind", row.Kind)}
		if row.Host == "" {
			tag.Class = "quiet"
		}
		cells = append(cells, vendorCell(row, narrowed(r, "/tags", "site", row.Site, "vendor", row.Vendor)),
			categoryCell(row.Category), tag)
		if r.format != "" {
			cells = append(cells, cell{Value: row.Path}, cell{Value: row.Kind})
		}
		if by == audit.ByTag {
			cells = append(cells, cell{Value: int64(row.Pages)})
		}
		return append(cells, eventCells(row.Counts)...)
	})
	return t, err
}

func (a *Admin) vendorTable(r *request) (*table, error) {
	part := r.part("seen")
	t := &table{Name: "vendors", Caption: "Vendors", Empty: "No vendor was met in this period."}
	t.Columns = append(t.Columns, column{Key: "vendor", Title: "Vendor"}, column{Key: "country", Title: "Country", Spare: true},
		column{Key: "category", Title: "Category"}, column{Key: "tags", Title: "Tags", Number: true, Spare: true})
	t.Columns = append(t.Columns, eventColumns...)
	t.Columns = append(t.Columns, column{Key: "first", Title: "First seen", Spare: true})
	err := a.fill(r, t, audit.ByVendor, part, func(row *audit.Row) []cell {
		name := vendorCell(row, narrowed(r, "/tags", "site", row.Site, "vendor", row.Vendor))
		country := cell{Value: "", Class: "quiet"}
		if v := a.vendor(row.Site, row.Vendor); v != nil {
			name.Sub, country.Value = v.Company, v.Country
		}
		cells := []cell{name, country, categoryCell(row.Category), {Value: int64(row.Tags)}}
		cells = append(cells, eventCells(row.Counts)...)
		return append(cells, cell{Value: row.First, Class: "quiet"})
	})
	return t, err
}

func (a *Admin) pageTable(r *request) (*table, error) {
	part := r.part("seen")
	t := &table{Name: "pages", Caption: "Pages", Empty: "No page with a tag was seen in this period."}
	t.Columns = append(t.Columns, column{Key: "page", Title: "Page"})
	t.Columns = append(t.Columns, eventColumns...)
	t.Columns = append(t.Columns, column{Key: "first", Title: "First seen", Spare: true})
	err := a.fill(r, t, audit.ByPage, part, func(row *audit.Row) []cell {
		cells := []cell{{Value: row.Page, Class: "path", Link: narrowed(r, "/tags", "by", "page", "site", row.Site, "page", row.Page)}}
		cells = append(cells, eventCells(row.Counts)...)
		return append(cells, cell{Value: row.First, Class: "quiet"})
	})
	return t, err
}

func (a *Admin) cookieTable(r *request) (*table, error) {
	part := r.part("last")
	rows, total, err := a.o.Store.Cookies(r.Context(), r.filter, r.slice(part))
	if err != nil {
		return nil, err
	}
	t := &table{Name: "cookies", Caption: "Cookies", Total: total, Empty: "No cookie was met in this period."}
	sites := r.manySites()
	if sites {
		t.Columns = append(t.Columns, siteColumn)
	}
	t.Columns = append(t.Columns, column{Key: "name", Title: "Cookie"}, column{Key: "vendor", Title: "Vendor"},
		column{Key: "category", Title: "Category"}, column{Key: "source", Title: "Set by", Spare: true},
		column{Key: "held", Title: "Held", Number: true}, column{Key: "passed", Title: "Passed", Number: true},
		column{Key: "first", Title: "First seen", Spare: true}, column{Key: "last", Title: "Last seen", Spare: true})
	for i := range rows {
		row := &rows[i]
		var cells []cell
		if sites {
			cells = append(cells, cell{Value: row.Site})
		}
		vendor := cell{Value: row.Vendor, Link: narrowed(r, "/tags", "site", row.Site, "vendor", row.Vendor)}
		if v := a.vendor(row.Site, row.Vendor); v != nil {
			vendor.Text = v.Name
		}
		if row.Vendor == "" {
			vendor.Text, vendor.Class, vendor.Link = "not declared", "quiet", ""
		}
		held, passed := cell{Value: row.Held}, cell{Value: row.Passed}
		if row.Held == 0 {
			held.Class = "zero"
		}
		if row.Passed == 0 {
			passed.Class = "zero"
		}
		t.Rows = append(t.Rows, append(cells, cell{Value: row.Name, Class: "path"}, vendor, categoryCell(row.Category),
			cell{Value: row.Source, Class: "quiet"}, held, passed,
			cell{Value: row.First, Class: "quiet"}, cell{Value: row.Last, Class: "quiet"}))
	}
	t.arrange(r.URL, audit.CookieColumns, part)
	return t, nil
}
