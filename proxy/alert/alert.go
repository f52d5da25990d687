package alert

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
)

// Event is one thing to tell.
type Event struct {
	Kind configs.AlertKind `json:"kind"`
	Site string            `json:"site,omitempty"`
	// Name is the vendor, the host, or the tag's host and path.
	Name     string `json:"name,omitempty"`
	Category string `json:"category,omitempty"`
	// Page is where a tag fired, if on one page only.
	Page string `json:"page,omitempty"`
	// Count is how many times, where that can be told.
	Count int64     `json:"count,omitempty"`
	At    time.Time `json:"at"`
}

// String puts the event into words.
func (e *Event) String() string {
	switch e.Kind {
	case configs.AlertNewVendor:
		return fmt.Sprintf("%s: new vendor %s (%s)", e.Site, e.Name, e.Category)
	case configs.AlertUnclassified:
		return fmt.Sprintf("%s: no rule knows %s", e.Site, e.Name)
	case configs.AlertFiredAnyway:
		return fmt.Sprintf("%s: %s fired without consent, %d times today", e.Site, e.Name, e.Count)
	default:
		return fmt.Sprintf("%d receipts of choices could not be written", e.Count)
	}
}

// Options are whom an Alerter tells, and of what.
type Options struct {
	configs.Alerts
	Log *slog.Logger
}

// every is how often the audit is looked at. What was counted is in it a few
// seconds later.
const every = 15 * time.Second

// Alerter looks at the audit and tells what is new in it.
type Alerter struct {
	store   *audit.Store
	o       Options
	now     func() time.Time
	hook    *webhook // nil for none
	since   time.Time
	told    map[string]time.Time // what has been told, by what tells it apart
	failed  uint64               // receipts that had failed
	quietTo time.Time            // no word of failing receipts until then
}

// New returns an Alerter. What the audit holds when it begins to run is not told.
func New(store *audit.Store, o Options) *Alerter {
	a := &Alerter{store: store, o: o, now: time.Now, told: make(map[string]time.Time), failed: store.Health().ReceiptFailures}
	a.since = a.now().Add(-2 * every)
	if o.Webhook != "" {
		a.hook = newWebhook(o.Webhook, o.Secret, o.Log)
	}
	return a
}

// Run looks and tells until ctx ends.
func (a *Alerter) Run(ctx context.Context) {
	if a.hook != nil {
		go a.hook.run(ctx)
	}
	if _, err := a.look(ctx); err != nil { // what is there already
		a.o.Log.Error("alerts: the audit cannot be read", "error", err)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		events, err := a.look(ctx)
		if err != nil && ctx.Err() == nil {
			a.o.Log.Error("alerts: the audit cannot be read", "error", err)
		}
		a.tell(events)
	}
}

// tell logs events and sends them off.
func (a *Alerter) tell(events []Event) {
	if len(events) == 0 {
		return
	}
	for i := range events {
		e := &events[i]
		a.o.Log.Warn("alert", "kind", string(e.Kind), "site", e.Site, "name", e.Name, "category", e.Category, "count", e.Count)
	}
	if a.hook != nil {
		a.hook.queue(events)
	}
}

// look returns what has not been told.
func (a *Alerter) look(ctx context.Context) (events []Event, err error) {
	now := a.now()
	// First of all, as it is told where the audit cannot be read either.
	if failed := a.store.Health().ReceiptFailures; failed > a.failed && a.wants(configs.AlertReceiptsFailing) && now.After(a.quietTo) {
		events = append(events, Event{Kind: configs.AlertReceiptsFailing, Count: int64(failed - a.failed), At: now})
		a.failed, a.quietTo = failed, now.Add(quiet)
	}
	failing := events
	// What is met is told once all has been read.
	met := make(map[string]bool)
	add := func(e Event) {
		key := strings.Join([]string{string(e.Kind), e.Site, e.Name}, "\x00")
		if _, known := a.told[key]; !known && !met[key] && a.wants(e.Kind) {
			events = append(events, e)
		}
		met[key] = true
	}
	if a.wants(configs.AlertNewVendor) || a.wants(configs.AlertUnclassified) {
		changes, err := a.store.Changes(ctx, "", a.since)
		if err != nil {
			return failing, err
		}
		for _, c := range changes {
			switch c.What {
			case "vendor":
				add(Event{Kind: configs.AlertNewVendor, Site: c.Site, Name: c.Name, Category: c.Category, At: c.At})
			case "host":
				add(Event{Kind: configs.AlertUnclassified, Site: c.Site, Name: c.Name, At: c.At})
			}
		}
	}
	if a.wants(configs.AlertFiredAnyway) {
		rows, _, err := a.store.Tags(ctx, audit.ByTag, audit.Filter{Event: "fired-anyway", From: now, To: now}, audit.Slice{Sort: "fired_anyway", Limit: maxEvents})
		if err != nil {
			return failing, err
		}
		for _, r := range rows {
			add(Event{Kind: configs.AlertFiredAnyway, Site: r.Site, Name: cmp.Or(r.Host+r.Path, r.VendorName, r.Vendor), Category: r.Category, Count: r.FiredAnyway, At: now})
		}
	}
	for key := range met {
		a.told[key] = now
	}
	// Changes are looked at twice: what was counted just before the last look
	// may have been written after it.
	a.since = now.Add(-2 * every)
	for key, at := range a.told {
		if now.Sub(at) > 24*time.Hour {
			delete(a.told, key)
		}
	}
	if len(events) > maxEvents {
		a.o.Log.Warn("alerts: more at once than are told", "left out", len(events)-maxEvents)
		events = events[:maxEvents]
	}
	return events, nil
}

// maxEvents bounds what one message tells, and quiet is for how long failing
// receipts are not mentioned again.
const (
	maxEvents = 100
	quiet     = 15 * time.Minute
)

func (a *Alerter) wants(k configs.AlertKind) bool {
	return len(a.o.On) == 0 || slices.Contains(a.o.On, k)
}
