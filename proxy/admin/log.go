package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/askfirst/askfirst/proxy/audit"
)

// operations lists what operators did.
func (a *Admin) operations(r *request) (*view, error) {
	part := r.part("")
	list, err := a.o.Store.Operations(r.Context(), r.filter, r.more(part))
	if err != nil {
		return nil, err
	}
	t := &table{Name: "log", Caption: "What operators did", Empty: "Nothing was done in this period.",
		Columns: []column{{Key: "at", Title: "When"}, {Key: "who", Title: "Who"}, {Key: "action", Title: "What"}, {Key: "about", Title: "About"}, {Key: "detail", Title: "Detail", Spare: true}}}
	for _, o := range list {
		t.Rows = append(t.Rows, []cell{
			{Value: o.At, Text: o.At.Format("2 Jan 2006, 15:04:05")}, {Value: o.Who}, {Value: o.Action}, {Value: o.About, Class: "path"}, {Value: o.Detail},
		})
	}
	r.trim(t, part)
	t.arrange(r.URL, nil, part)
	return &view{Template: "listing", Title: "Log", Table: t, Searchable: true, Lead: "Who signed in, and who changed what."}, nil
}

// note puts on record what somebody did. It is in the process's log as well, so
// that it is known where the records cannot be written.
func (a *Admin) note(r *http.Request, who, action, about, detail string) {
	a.o.Log.Info("operator: "+action, "name", who, "about", about, "detail", detail, "from", a.door.client(r))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
	defer cancel()
	if err := a.o.Store.Log(ctx, audit.Operation{Who: who, Action: action, About: about, Detail: detail}); err != nil {
		a.o.Log.Error("not put on record", "action", action, "name", who, "error", err)
	}
}

// openRequest is something that a visitor asked for and waits for.
type openRequest struct {
	Kind, Receipt, Link string
	Received, Due       time.Time
	Days                int // that are left; negative when it is late
}

func (a *Admin) openRequests(r *request) (open []openRequest, err error) {
	list, err := a.o.Store.Requests(r.Context(), false)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		id := k.Receipt.String()
		left := k.Due.Sub(a.now())
		days := int(left / (24 * time.Hour))
		if left < 0 {
			days--
		}
		open = append(open, openRequest{k.Kind, id, narrowed(r, "/receipts/"+id), k.Received, k.Due, days})
	}
	return open, nil
}
