package audit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// vendorsAge is how old an answer of Vendors may be.
	vendorsAge = time.Minute
	// vendorsWait is how long Vendors waits for the database before it answers
	// what it knew.
	vendorsWait = time.Second
)

// vendorCache remembers which vendors were met on each site, since every
// receipt lists them.
type vendorCache struct {
	mu    sync.Mutex
	sites map[string]vendorList
}

type vendorList struct {
	ids []string
	at  time.Time
}

// Vendors returns the IDs of the vendors that were met on a site, in order, as
// of a minute ago at most; older where the database cannot be reached.
func (s *Store) Vendors(ctx context.Context, site string) ([]string, error) {
	s.vendors.mu.Lock()
	known, ok := s.vendors.sites[site]
	s.vendors.mu.Unlock()
	if ok && s.now().Sub(known.at).Abs() < vendorsAge {
		return known.ids, nil
	}
	ctx, cancel := context.WithTimeout(ctx, vendorsWait)
	defer cancel()
	var ids []string
	err := s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT vendor FROM tags WHERE site = ?1 AND vendor <> '' AND vendor <> ?2
			UNION SELECT vendor FROM cookies WHERE site = ?1 AND vendor <> '' ORDER BY 1`,
			func(r row) error {
				ids = append(ids, r.ColumnText(0))
				return nil
			}, site, Other)
		return err
	})
	if err != nil {
		ids = s.counters.vendors(site)
	}
	s.vendors.mu.Lock()
	defer s.vendors.mu.Unlock()
	if s.vendors.sites == nil || len(s.vendors.sites) > maxSites {
		s.vendors.sites = make(map[string]vendorList)
	}
	if err == nil || !ok {
		known.ids = ids
	}
	// Where it failed, the next try waits a minute too: choices must not.
	known.at = s.now()
	s.vendors.sites[site] = known
	if err != nil {
		err = fmt.Errorf("audit: reading vendors: %w", err)
	}
	return known.ids, err
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
