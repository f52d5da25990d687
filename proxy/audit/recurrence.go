package audit

import "github.com/askfirst/askfirst/rules/consent"

// Recurrence counts a page that is sent again and again as it was. All that it
// takes each time is to add one: what that comes to for each tag is worked out
// when counts are written.
type Recurrence struct {
	store        *Store
	site         *siteCounters
	page         uint32
	tags         []recurring
	times        uint32 // since the last flush, as the next two
	views, asked uint32
}

// recurring is how often a page has a tag.
type recurring struct {
	pair
	event Event
	n     uint32
}

// Recur returns what counts a page of those tags, as Count and CountView do. It
// counts nothing itself, and keeps no reference to its arguments.
func (s *Store) Recur(site string, page []byte, granted consent.Set, sightings []Sighting) *Recurrence {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	sc := c.site(site)
	r := &Recurrence{store: s, site: sc, page: c.page(sc, page, false)}
	for i := range sightings {
		if n := &sightings[i]; n.Event < events {
			tag := c.tag(sc, n, false)
			c.tags[tag].Served = true
			r.tags = append(r.tags, recurring{pair{r.page, tag, granted}, n.Event, n.Count})
		}
	}
	return r
}

// Again counts the page once more. view says that it is a view of a page, and
// asked that the visitor was asked then.
func (r *Recurrence) Again(view, asked bool) {
	c := &r.store.counters
	c.mu.Lock()
	if r.times == 0 {
		if c.waiting >= flushPairs {
			c.spread()
		}
		c.recurrences = append(c.recurrences, r)
		c.waiting += len(r.tags)
	}
	r.times++
	if view {
		r.views++
		if asked {
			r.asked++
		}
	}
	full := len(c.tallies)+c.waiting >= flushPairs
	c.mu.Unlock()
	if full {
		r.store.flushSoon()
	}
}

// spread adds what has recurred to the counts of each page and tag.
func (c *counters) spread() {
	for _, r := range c.recurrences {
		for i := range r.tags {
			t := &r.tags[i]
			c.add(r.site, t.pair, t.event, t.n*r.times)
		}
		if r.views > 0 {
			v := c.views[r.page]
			c.views[r.page] = viewTally{r.page, v.Views + r.views, v.Asked + r.asked}
		}
		r.times, r.views, r.asked = 0, 0, 0
	}
	clear(c.recurrences)
	c.recurrences, c.waiting = c.recurrences[:0], 0
}
