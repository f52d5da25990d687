package audit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

const (
	// metAge is how old an answer of Met may be.
	metAge = time.Minute
	// metWait is how long Met waits for the database before it answers what it
	// knew.
	metWait = time.Second
	// maxUnclassified is how many unclassified hosts Met names.
	maxUnclassified = 100
)

// metCache remembers what was met on each site, since every receipt lists the
// vendors.
type metCache struct {
	mu    sync.Mutex
	sites map[string]met
}

type met struct {
	vendors, unclassified []string
	at                    time.Time
}

// Met returns what was met on a site, as of a minute ago at most; older where the
// database cannot be reached: the IDs of vendors, in order, and third-party hosts
// that no rule knew, the last met first, at most 100. Of these only those that
// responses had are named: what was only reported may be made up.
func (s *Store) Met(ctx context.Context, site string) (vendors, unclassified []string, err error) {
	s.met.mu.Lock()
	known, ok := s.met.sites[site]
	s.met.mu.Unlock()
	if ok && s.now().Sub(known.at).Abs() < metAge {
		return known.vendors, known.unclassified, nil
	}
	ctx, cancel := context.WithTimeout(ctx, metWait)
	defer cancel()
	var is met
	err = s.read(ctx, func(t tx) error {
		list := func(to *[]string) func(row) error {
			return func(r row) error {
				*to = append(*to, r.ColumnText(0))
				return nil
			}
		}
		t.queue(`SELECT vendor FROM tags WHERE site = ?1 AND vendor <> '' AND vendor <> ?2
			UNION SELECT vendor FROM cookies WHERE site = ?1 AND vendor <> '' ORDER BY 1`, list(&is.vendors), site, Other)
		_, err := t.run(`SELECT host FROM tags WHERE site = ?1 AND category = ?2 AND vendor = '' AND served = 1 AND host <> '' AND host <> ?3
			GROUP BY host ORDER BY max(last) DESC, host LIMIT ?4`, list(&is.unclassified), site, consent.Unclassified.String(), Other, maxUnclassified)
		return err
	})
	if err != nil {
		is = met{vendors: s.counters.vendors(site)}
	}
	s.met.mu.Lock()
	defer s.met.mu.Unlock()
	if s.met.sites == nil || len(s.met.sites) > maxSites {
		s.met.sites = make(map[string]met)
	}
	if err == nil || !ok {
		known = is
	}
	// Where it failed, the next try waits a minute too: choices must not.
	known.at = s.now()
	s.met.sites[site] = known
	if err != nil {
		err = fmt.Errorf("audit: reading what was met: %w", err)
	}
	return known.vendors, known.unclassified, err
}

// vendors returns those that this process knows of.
func (c *counters) vendors(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	sc := c.sites[name]
	if sc == nil {
		return nil
	}
	var ids []string
	for _, i := range sc.tags {
		ids = append(ids, c.tags[i].Vendor)
	}
	for _, i := range sc.cookies {
		ids = append(ids, c.cookies[i].Vendor)
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" || id == Other })
}

// NewestCategory returns when the last category of vendors was first met on a
// site, zero where none has been.
func (s *Store) NewestCategory(ctx context.Context, site string) (at time.Time, err error) {
	err = s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT COALESCE(max(met), 0) FROM (SELECT min(first) AS met FROM tags
			WHERE site = ?1 AND category IN ('functional', 'analytics', 'marketing', 'social') GROUP BY category) AS categories`,
			func(r row) error {
				if first := r.ColumnInt64(0); first > 0 {
					at = time.Unix(first, 0)
				}
				return nil
			}, site)
		return err
	})
	if err != nil {
		return at, fmt.Errorf("audit: reading categories: %w", err)
	}
	return at, nil
}
