package admin

import (
	"fmt"
	"io"
	"net/http"

	"github.com/askfirst/askfirst/proxy/audit"
)

// healthz says that the process answers.
func (a *Admin) healthz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}

// readyz says whether visitors are served and records can be kept.
func (a *Admin) readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.o.Ready != nil && !a.o.Ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "visitors are not served\n")
		return
	}
	if err := a.o.Store.Ready(r.Context()); err != nil {
		a.o.Log.Error("records cannot be read", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "records cannot be read\n")
		return
	}
	io.WriteString(w, "ok\n")
}

// metrics writes the proxy's metrics, then the store's.
func (a *Admin) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if a.o.Metrics != nil {
		a.o.Metrics(w)
	}
	h := a.o.Store.Health()
	away := uint64(0)
	if h.Away {
		away = 1
	}
	for _, m := range []struct {
		name, kind, help string
		value            uint64
	}{
		{"receipts_total", "counter", "Receipts of choices written.", h.Receipts},
		{"receipt_failures_total", "counter", "Receipts of choices that could not be written.", h.ReceiptFailures},
		{"count_failures_total", "counter", "Batches of counts that had to be tried again.", h.CountFailures},
		{"counts_folded_total", "counter", "Sightings counted without page or tag because there were too many different ones.", h.Folded},
		{"records_away", "gauge", "1 while the shared database of records cannot be reached.", away},
		{"records_spooled_total", "counter", "Receipts and batches of counts that were put by for that.", h.Spooled},
		{"records_stuck_total", "counter", "Of those, the ones that the database refused and that stay in the spool.", h.Stuck},
		{"audit_pages", "gauge", "Different pages known to the audit.", uint64(h.Pages)},
		{"audit_tags", "gauge", "Different tags known to the audit.", uint64(h.Tags)},
		{"audit_cookies", "gauge", "Different cookies known to the audit.", uint64(h.Cookies)},
	} {
		fmt.Fprintf(w, "# HELP askfirst_%s %s\n# TYPE askfirst_%s %s\naskfirst_%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
}

// reload puts the configuration in force as it stands in its file.
func (a *Admin) reload(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.o.Reload == nil {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "there is no configuration file\n")
		return
	}
	if err := a.o.Reload(r.Context()); err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, "not reloaded: what was in force stays\n%v\n", err)
		return
	}
	a.note(r, identityOf(r).name, "reload", "", "")
	io.WriteString(w, "reloaded\n")
}

// healthPage is what the health page shows.
type healthPage struct {
	Ready    bool
	Records  string // empty when they can be read
	Store    audit.Health
	Up       string
	Verified *audit.Verification
}

func (a *Admin) health(r *request) (*view, error) {
	p := &healthPage{
		Ready: a.o.Ready == nil || a.o.Ready(),
		Store: a.o.Store.Health(),
		Up:    since(a.now().Sub(a.begun)),
	}
	if err := a.o.Store.Ping(r.Context()); err != nil {
		p.Records = err.Error()
	}
	if r.FormValue("verify") != "" {
		v, err := a.o.Store.Verify(r.Context())
		if err != nil {
			return nil, err
		}
		p.Verified = v
	}
	return &view{Template: "health", Title: "Health", Health: p, Timeless: true}, nil
}
