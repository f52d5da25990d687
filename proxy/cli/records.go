package cli

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// openRecords opens the store that a configuration names.
func openRecords(ctx context.Context, cfg *configs.Config, log *slog.Logger) (*audit.Store, error) {
	if cfg.Records != "" {
		store, err := audit.OpenShared(ctx, cfg.Records, cfg.Data, log)
		if err != nil {
			return nil, fmt.Errorf("records in %s: %w", audit.SafeDSN(cfg.Records), err)
		}
		return store, nil
	}
	store, err := audit.Open(ctx, cfg.Data, log)
	if err != nil {
		return nil, fmt.Errorf("records in %q: %w", cfg.Data, err)
	}
	return store, nil
}

// counter writes down what the proxy met.
type counter struct{ store *audit.Store }

var sightings = sync.Pool{New: func() any { return new([]audit.Sighting) }}

var eventOf = [...]audit.Event{
	consent.Pass:        audit.Passed,
	consent.Hold:        audit.Held,
	consent.Placeholder: audit.Boxed,
	consent.Strip:       audit.Stripped,
}

func (c counter) Count(site string, page []byte, granted consent.Set, tags []proxy.Sighting) {
	list := sightings.Get().(*[]audit.Sighting)
	defer sightings.Put(list)
	*list = appendSightings((*list)[:0], tags)
	c.store.Count(site, page, granted, *list)
}

func (c counter) Recur(site string, page []byte, granted consent.Set, tags []proxy.Sighting) proxy.Recurrence {
	return c.store.Recur(site, page, granted, appendSightings(nil, tags))
}

// appendSightings appends those tags that are written down.
func appendSightings(list []audit.Sighting, tags []proxy.Sighting) []audit.Sighting {
	for i := range tags {
		t := &tags[i]
		if t.Decision.Rule == nil && t.Decision.Party != rules.ThirdParty {
			continue
		}
		s := sighting(t.Decision, t.Kind)
		s.Host, s.Path, s.Event, s.Count = t.Host, t.Path, eventOf[t.Fate], uint32(1+t.More)
		list = append(list, s)
	}
	return list
}

func (c counter) CountView(site string, page []byte, asked bool) {
	c.store.CountView(site, page, asked)
}

func (c counter) CountCookie(site string, name []byte, d rules.Decision, source string, held bool) {
	c.store.CountCookie(site, name, vendorID(d), d.Category, source, held)
}

// observer writes down what the guard reports.
type observer struct {
	store *audit.Store
	// lenient are the names of the sites that let unclassified third parties
	// pass.
	lenient atomic.Pointer[map[string]bool]
	log     *slog.Logger
}

// learn takes over what a configuration says.
func (o *observer) learn(cfg *configs.Config) {
	lenient := map[string]bool{}
	for _, s := range cfg.Sites {
		lenient[s.Name] = s.Unclassified == configs.PassUnclassified
	}
	o.lenient.Store(&lenient)
}

func (o *observer) Report(site string, r *banner.Report) {
	granted := r.Granted
	if (*o.lenient.Load())[site] || granted.Has(consent.Marketing) {
		granted = granted.With(consent.Unclassified)
	}
	var list []audit.Sighting
	for _, t := range r.Tags {
		s := sighting(t.Decision, t.Kind)
		s.Host, s.Path, s.Count = []byte(t.Host), []byte(t.Path), uint32(t.Count)
		switch t.Event {
		case "held":
			s.Event = audit.Held
		case "released":
			s.Event = audit.Released
		case "stopped":
			s.Event = audit.Stopped
		case "fired":
			s.Event = audit.Fired
			if !t.Decision.Allowed(granted) {
				s.Event = audit.FiredAnyway
			}
		}
		list = append(list, s)
	}
	o.store.CountReported(site, []byte(r.Page), granted, list)
	for _, c := range r.Cookies {
		held := !c.Decision.Allowed(granted)
		o.store.CountCookie(site, []byte(c.Name), vendorID(c.Decision), c.Decision.Category, c.Source, held)
	}
}

// reloadPatience is how long a site that is made waits for each of the two things
// that are read of it: a configuration is put in force whether a database answers
// or not.
const reloadPatience = 2 * time.Second

func (o *observer) Seen(site string) (vendors, unclassified []string) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadPatience)
	defer cancel()
	vendors, unclassified, err := o.store.Met(ctx, site)
	if err != nil {
		o.log.Error("vendors that were seen not read", "site", site, "error", err)
	}
	return vendors, unclassified
}

func (o *observer) Since(site string) time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), reloadPatience)
	defer cancel()
	at, err := o.store.NewestCategory(ctx, site)
	if err != nil {
		o.log.Error("when the last category came not read", "site", site, "error", err)
	}
	return at
}

func sighting(d rules.Decision, k rules.Kind) audit.Sighting {
	s := audit.Sighting{Category: d.Category, Kind: k.String()}
	if d.Vendor != nil {
		s.Vendor, s.VendorName = d.Vendor.ID, d.Vendor.Name
	}
	return s
}

func vendorID(d rules.Decision) string {
	if d.Vendor == nil {
		return ""
	}
	return d.Vendor.ID
}
