package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// report is a month of a site on paper.
type report struct {
	Site        string
	Several     bool // sites: each row says which it is about
	From, To    time.Time
	Made        time.Time
	Total       audit.Counts
	Withheld    int64
	FiredAnyway []audit.Row
	Views       int64
	Asked       int64
	Choices     int64
	Actions     []share
	Granted     []share
	Vendors     []reportVendor
	Cookies     []audit.CookieRow
	Unknown     []audit.Row
	Changes     []audit.Change
	Chain       *audit.Verification
}

type reportVendor struct {
	audit.Row
	Withheld                 int64
	Company, Country, Policy string
	// Outside says on what data go outside the European Economic Area; empty
	// where they do not, and where the country is not known.
	Outside string
}

// bases are the words for what data go to other countries on.
var bases = map[consent.Transfer]string{
	consent.Adequacy:  "adequacy decision (GDPR art. 45)",
	consent.Framework: "EU-US Data Privacy Framework (art. 45)",
	consent.Clauses:   "standard contractual clauses (art. 46)",
	consent.Unstated:  "no basis stated",
}

// A Site is what a report knows of a site besides its records.
type Site struct {
	// Engine names the vendors; nil for nothing known.
	Engine *rules.Engine
	// Transfers are the operator's statements on what data go to vendors outside
	// the European Economic Area, by the vendors' IDs: dpf or scc.
	Transfers map[string]string
}

// Report writes what was recorded of a site in a month as one HTML file that
// needs nothing else, to be filed or printed. name "" stands for all sites.
func Report(ctx context.Context, w io.Writer, store *audit.Store, site Site, name string, month time.Time) error {
	r := &report{Site: name, Made: time.Now()}
	r.From = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	r.To = r.From.AddDate(0, 1, -1)
	f := audit.Filter{Site: name, From: r.From, To: r.To}
	if err := r.gather(ctx, store, site, f); err != nil {
		return fmt.Errorf("report of %s: %w", r.From.Format("January 2006"), err)
	}
	return templates.ExecuteTemplate(w, "report", r)
}

func (r *report) gather(ctx context.Context, store *audit.Store, site Site, f audit.Filter) (err error) {
	sites, err := store.Sites(ctx)
	if err != nil {
		return err
	}
	r.Several = f.Site == "" && len(sites) > 1
	if r.Total, err = store.Total(ctx, f); err != nil {
		return err
	}
	r.Withheld = withheld(r.Total)
	fired := f
	fired.Event = audit.FiredAnyway.String()
	if r.FiredAnyway, _, err = store.Tags(ctx, audit.ByPageAndTag, fired, audit.Slice{Sort: "fired_anyway", Limit: 500}); err != nil {
		return err
	}
	vendors, _, err := store.Tags(ctx, audit.ByVendor, f, audit.Slice{Sort: "vendor"})
	if err != nil {
		return err
	}
	for _, row := range vendors {
		if row.Vendor == "" {
			continue
		}
		v := reportVendor{Row: row, Withheld: withheld(row.Counts)}
		if site.Engine != nil {
			if known := site.Engine.Vendor(row.Vendor); known != nil {
				v.Company, v.Country, v.Policy = known.Company, known.Country, known.Policy
				v.Outside = bases[consent.TransferTo(known.Country, site.Transfers[known.ID])]
			}
		}
		r.Vendors = append(r.Vendors, v)
	}
	unknown := f
	unknown.Category = consent.Unclassified.String()
	if r.Unknown, _, err = store.Tags(ctx, audit.ByHost, unknown, audit.Slice{Limit: 500}); err != nil {
		return err
	}
	if r.Cookies, _, err = store.Cookies(ctx, f, audit.Slice{Sort: "name"}); err != nil {
		return err
	}
	views, err := store.Views(ctx, f)
	if err != nil {
		return err
	}
	for _, v := range views {
		r.Views += v.Views
		r.Asked += v.Asked
	}
	choices, err := store.Choices(ctx, f)
	if err != nil {
		return err
	}
	s := sumChoices(choices)
	r.Choices, r.Actions, r.Granted = s.Choices, s.Actions, s.Granted
	changes, err := store.ChangesBetween(ctx, f.Site, r.From, r.To.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.What != "page" {
			r.Changes = append(r.Changes, c)
		}
	}
	r.Chain, err = store.Verify(ctx)
	return err
}

// report hands the report of the month named in the address out as a file.
func (a *Admin) report(w http.ResponseWriter, r *http.Request) {
	site := r.FormValue("site")
	month, err := time.Parse("2006-01", r.FormValue("month"))
	if err != nil {
		http.Error(w, "The month is written like 2026-11.", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute)
	defer cancel()
	_ = a.o.Store.Flush(ctx) // logged and counted where it fails
	name := "askfirst-" + month.Format("2006-01")
	if regexp.MustCompile(`^[a-zA-Z0-9.-]+$`).MatchString(site) {
		name += "-" + site
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.html"`)
	if err := Report(ctx, w, a.o.Store, a.site(site), site, month); err != nil {
		a.o.Log.Error("report not made", "site", site, "month", month.Format("2006-01"), "error", err)
		panic(http.ErrAbortHandler) // a file cut short must not look whole
	}
}
