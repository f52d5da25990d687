package admin

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// unknown is what the page of unclassified third parties shows beside them.
type unknown struct {
	// YAML is an override for each that is listed, to put into a site's
	// configuration.
	YAML  string
	Hosts int
	// Writable are those that can be classified here.
	Writable   []unknownHost
	Categories []consent.Category
}

// categories are what a third party can be made.
var categories = append([]consent.Category{consent.Necessary}, consent.Optional[:]...)

// unknownHost is a third party of a site.
type unknownHost struct{ Site, Host string }

// Classifier puts overrides into force.
type Classifier interface {
	// Writable reports whether a site's overrides can be added to.
	Writable(site string) bool
	// Classify makes host a third party of category c on a site, now and from
	// then on. by is who says so.
	Classify(site, host string, c consent.Category, by string) error
}

// unclassified lists third parties that no rule knows.
func (a *Admin) unclassified(r *request) (*view, error) {
	part := r.part("seen")
	r.filter.Category = "unclassified"
	t := &table{Name: "unclassified", Caption: "Unclassified third parties",
		Empty: "Every third party met in this period is known to a rule."}
	t.Columns = append(t.Columns, column{Key: "host", Title: "Host"}, column{Key: "tags", Title: "Tags", Number: true, Spare: true})
	t.Columns = append(t.Columns, eventColumns[:len(eventColumns)-1]...)
	t.Columns = append(t.Columns, column{Key: "first", Title: "First seen", Spare: true}, column{Key: "last", Title: "Last seen", Spare: true})
	var yaml strings.Builder
	hosts := 0
	var writable []unknownHost
	err := a.fill(r, t, audit.ByHost, part, func(row *audit.Row) []cell {
		cells := []cell{
			{Value: row.Host, Class: "path", Link: narrowed(r, "/tags", "by", "page", "site", row.Site, "host", row.Host, "category", "unclassified")},
			{Value: int64(row.Tags)},
		}
		cells = append(cells, eventCells(row.Counts)[:len(eventColumns)-1]...)
		if r.format == "" && row.Host != "" && row.Host != audit.Other {
			fmt.Fprintf(&yaml, "  - domain: %s\n    category: marketing\n", yamlText(row.Host))
			hosts++
			if c := a.o.Classifier; c != nil && r.who.operator && c.Writable(row.Site) {
				writable = append(writable, unknownHost{row.Site, row.Host})
			}
		}
		return append(cells, cell{Value: row.First, Class: "quiet"}, cell{Value: row.Last, Class: "quiet"})
	})
	if err != nil {
		return nil, err
	}
	v := &view{Template: "unclassified", Title: "Unclassified", Table: t, Searchable: true,
		Lead: "Third parties that no rule knows. Say what each is for, and it is treated so from then on."}
	if hosts > 0 {
		v.Unknown = &unknown{YAML: "overrides:\n" + yaml.String(), Hosts: hosts, Writable: writable, Categories: categories}
	}
	return v, nil
}

// classify puts an override into force.
func (a *Admin) classify(w http.ResponseWriter, r *http.Request) {
	site, host := r.PostFormValue("site"), r.PostFormValue("host")
	if at := strings.LastIndexByte(host, '|'); at >= 0 {
		site, host = host[:at], host[at+1:]
	}
	category, ok := consent.ParseCategory(r.PostFormValue("category"))
	if c := a.o.Classifier; c == nil || !ok || !c.Writable(site) {
		http.Error(w, "This cannot be classified here.", http.StatusBadRequest)
		return
	}
	who := identityOf(r).name
	if err := a.o.Classifier.Classify(site, host, category, who); err != nil {
		a.o.Log.Error("not classified", "site", site, "host", host, "category", category.String(), "by", who, "error", err)
		http.Error(w, "It could not be classified: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	a.note(r, who, "classify", host, category.String()+" on "+site)
	http.Redirect(w, r, "/unclassified", http.StatusSeeOther)
}

var plainYAML = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$`)

// yamlText writes a text as a YAML scalar that means it and nothing else.
func yamlText(s string) string {
	if plainYAML.MatchString(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
