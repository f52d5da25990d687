package admin

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// receiptPage is one receipt in plain words.
type receiptPage struct {
	*consent.Receipt
	Agreed, Refused, Before []string
	Action, Method          string
	Vendors                 []string
	Text                    string // what was shown
	Hash                    string // of that; empty where nothing is known of it
	Erased                  bool
}

func (a *Admin) receipts(r *request) (*view, error) {
	v := &view{Template: "receipts", Title: "Receipts",
		Lead: "One record for each choice, chained so that a change would show. A visitor finds the ID of theirs in the cookie and under “Your choice”."}
	if id := r.FormValue("id"); id != "" {
		if parsed, ok := consent.ParseID(id); ok {
			_, err := a.o.Store.Receipt(r.Context(), parsed)
			if err == nil {
				return a.receiptView(r, parsed)
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		v.Lookup = id
		v.Message = "There is no receipt with this ID. An ID has 22 letters, digits, hyphens and underscores: the last part of the cookie “askfirst”."
	}
	t := &table{Name: "receipts", Caption: "Newest receipts", Empty: "No choice was made in this period.",
		Columns: []column{{Key: "at", Title: "When"}, {Key: "id", Title: "ID"}, {Key: "site", Title: "Site", Spare: true},
			{Key: "action", Title: "Choice"}, {Key: "agreed", Title: "Agreed to"}, {Key: "method", Title: "By", Spare: true},
			{Key: "regime", Title: "Regime", Spare: true}, {Key: "language", Title: "Language", Spare: true}}}
	cells := func(k *consent.Receipt) []cell {
		p := describe(k)
		agreed := cell{Value: p.Agreed, Text: cmp.Or(strings.Join(p.Agreed, ", "), "nothing")}
		if len(p.Agreed) == 0 {
			agreed.Class = "quiet"
		}
		return []cell{
			{Value: k.At.UTC(), Text: k.At.UTC().Format("2 Jan, 15:04:05")},
			{Value: k.ID.String(), Class: "path", Link: narrowed(r, "/receipts/"+k.ID.String())},
			{Value: k.Site}, {Value: k.Action, Text: p.Action}, agreed, {Value: string(k.Method), Text: p.Method},
			{Value: k.Regime.String()}, {Value: k.Language},
		}
	}
	v.Table = t
	if r.format != "" {
		t.each = func(write func([]cell) error) error {
			return a.o.Store.EachReceipt(r.Context(), r.filter, func(k *consent.Receipt) error { return write(cells(k)) })
		}
		return v, nil
	}
	part := r.part("")
	list, err := a.o.Store.Receipts(r.Context(), r.filter, r.more(part))
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		t.Rows = append(t.Rows, cells(k))
	}
	r.trim(t, part)
	t.arrange(r.URL, nil, part)
	v.Requests, err = a.openRequests(r)
	return v, err
}

func (a *Admin) receipt(r *request) (*view, error) {
	id, ok := consent.ParseID(r.PathValue("id"))
	if !ok {
		return nil, fs.ErrNotExist
	}
	return a.receiptView(r, id)
}

func (a *Admin) receiptView(r *request, id consent.ID) (*view, error) {
	k, err := a.o.Store.Receipt(r.Context(), id)
	if err != nil {
		return nil, err
	}
	p := describe(k)
	if text, err := a.o.Store.Text(r.Context(), k.Shown); err == nil {
		p.Text = string(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if k.Shown != [32]byte{} {
		p.Hash = hex.EncodeToString(k.Shown[:])
	}
	for _, vendor := range k.Vendors {
		name := vendor
		if v := a.vendor(k.Site, vendor); v != nil {
			name = v.Name
		}
		p.Vendors = append(p.Vendors, name)
	}
	return &view{Template: "receipt", Title: "Receipt", Receipt: p, Timeless: true}, nil
}

// describe puts a receipt into words.
func describe(k *consent.Receipt) *receiptPage {
	p := &receiptPage{Receipt: k, Erased: !k.Erased.IsZero(),
		Action: cmp.Or(actionNames[k.Action], k.Action), Method: cmp.Or(methodNames[k.Method], string(k.Method))}
	for _, c := range consent.Optional {
		if k.Categories.Has(c) {
			p.Agreed = append(p.Agreed, c.String())
		} else {
			p.Refused = append(p.Refused, c.String())
		}
		if k.Before.Has(c) {
			p.Before = append(p.Before, c.String())
		}
	}
	return p
}

// erase empties a receipt on the operator's behalf.
func (a *Admin) erase(w http.ResponseWriter, r *http.Request) {
	id, ok := consent.ParseID(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	err := a.o.Store.EraseAs(r.Context(), id, identityOf(r).name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
	case err != nil:
		a.o.Log.Error("receipt not erased", "id", id.String(), "error", err)
		http.Error(w, "The receipt could not be erased. The log says why.", http.StatusInternalServerError)
	default:
		a.o.Log.Info("receipt erased", "id", id.String(), "by", identityOf(r).name, "from", a.door.client(r))
		http.Redirect(w, r, "/receipts/"+id.String(), http.StatusSeeOther)
	}
}

// changeGroup is what was first met on a day.
type changeGroup struct {
	Day  string
	List []audit.Change
}

// changes lists what was met for the first time within the period.
func (a *Admin) changes(r *request) (*view, error) {
	list, err := a.o.Store.Changes(r.Context(), r.filter.Site, r.filter.From.Truncate(24*time.Hour))
	if err != nil {
		return nil, err
	}
	t := &table{Name: "changes", Caption: "Changes", Total: len(list),
		Columns: []column{{Key: "at", Title: "When"}, {Key: "site", Title: "Site"}, {Key: "what", Title: "What"}, {Key: "name", Title: "Name"}, {Key: "category", Title: "Category"}}}
	var groups []changeGroup
	for _, c := range list {
		day := c.At.Format("Monday, 2 January 2006")
		if len(groups) == 0 || groups[len(groups)-1].Day != day {
			groups = append(groups, changeGroup{Day: day})
		}
		g := &groups[len(groups)-1]
		g.List = append(g.List, c)
		t.Rows = append(t.Rows, []cell{{Value: c.At}, {Value: c.Site}, {Value: c.What}, {Value: c.Name}, {Value: c.Category}})
	}
	t.arrange(r.URL, nil, extent{})
	return &view{Template: "changes", Title: "Changes", Changes: groups, Table: t,
		MonthReport: address("/report", url.Values{"month": {a.now().UTC().Format("2006-01")}, "site": {r.filter.Site}}),
		Lead:        "Vendors, unknown hosts, cookies and pages that were met for the first time."}, nil
}
