package audit

import (
	"sync"

	"github.com/askfirst/askfirst/rules/consent"
)

// Event is what happened to a tag.
type Event uint8

// The events. Held, Boxed, Stripped and Passed are fates in a response, and
// imply that the tag was seen: a caller counts a tag of a page once, under its
// fate. Seen alone is for a tag without a fate. The others are reported by
// browsers. FiredAnyway is a tag that fired and had not been agreed to.
const (
	Seen Event = iota
	Held
	Boxed
	Stripped
	Passed
	Released
	Fired
	Stopped
	FiredAnyway
	events
)

var eventNames = [events]string{"seen", "held", "boxed", "stripped", "passed", "released", "fired", "stopped", "fired-anyway"}

// String returns the event's name.
func (e Event) String() string {
	if e < events {
		return eventNames[e]
	}
	return "invalid"
}

// Sighting is a tag in a page and what became of it.
type Sighting struct {
	// Vendor is the vendor's ID, empty for none; VendorName is for people.
	Vendor, VendorName string
	Category           consent.Category
	// Kind is how the page uses the tag: script, image, frame and so on.
	Kind string
	// Host and Path are the tag's address, without query; both empty for an
	// inline script or a mark. Count keeps no reference to them.
	Host, Path []byte
	Event      Event
	Count      uint32
}

// Other stands for the sites, pages, tags and cookies beyond the bounds.
const Other = "(other)"

// The bounds of what is told apart: for one site, and for all together.
const (
	maxSites      = 500
	maxPages      = 20_000
	maxAllPages   = 60_000
	maxTags       = 5_000
	maxAllTags    = 20_000
	maxCookies    = 1_000
	maxAllCookies = 5_000
	// maxVendorTags is how many of those beyond are told apart by vendor.
	maxVendorTags = 2_000
	// maxReported is how many tags, and how many pages, of a site may be first
	// heard of from browsers, who may say anything.
	maxReported = 500
	// maxPairs is how many counts are told apart between two flushes, and
	// flushPairs how many make a flush come early.
	maxPairs   = 60_000
	flushPairs = maxPairs / 2
)

// counters sums counts until they are written.
type counters struct {
	mu      sync.Mutex
	scratch []byte
	sites   map[string]*siteCounters
	pages   []page
	tags    []tag
	cookies []cookie
	folded  uint64

	pairs   map[pair]uint32 // index of tallies
	tallies []tally
	views   map[uint32]viewTally   // by page
	kept    map[uint32]cookieTally // by cookie

	recurrences []*Recurrence // those of which something is not in tallies and views yet
	waiting     int           // how many tags they have
}

// siteCounters finds the pages, tags and cookies of a site by what tells them
// apart. The values are indexes of the slices of counters.
type siteCounters struct {
	name                             string
	pages, tags, cookies             map[string]uint32
	reportedPages, reportedTags      int
	otherPage, otherTag, otherCookie uint32
}

type page struct{ Site, Path string }

type tag struct {
	Site, Vendor, Name, Kind, Host, Path string
	Category                             consent.Category
	// Served says that a response had it, and not only a report.
	Served bool
}

type cookie struct {
	Site, Name, Vendor, Source string
	Category                   consent.Category
}

// pair is what a tally is kept for.
type pair struct {
	Page, Tag uint32
	Granted   consent.Set
}

type tally struct {
	pair
	N [events]uint32
}

type viewTally struct{ Page, Views, Asked uint32 }

type cookieTally struct{ Cookie, Held, Passed uint32 }

// Count adds up the tags of one page as its response had them. It does not
// allocate for what it has met before, and keeps no reference to its arguments.
// page is the path of the page; it is folded.
func (s *Store) Count(site string, page []byte, granted consent.Set, sightings []Sighting) {
	s.count(site, page, granted, sightings, false)
}

// CountReported adds up the tags of one page as a browser reported them. As
// anyone can send such reports, pages and tags that no response had are told
// apart only up to a small number.
func (s *Store) CountReported(site string, page []byte, granted consent.Set, sightings []Sighting) {
	s.count(site, page, granted, sightings, true)
}

func (s *Store) count(site string, page []byte, granted consent.Set, sightings []Sighting, reported bool) {
	c := &s.counters
	c.mu.Lock()
	sc := c.site(site)
	p := c.page(sc, page, reported)
	for i := range sightings {
		if n := &sightings[i]; n.Event < events {
			tag := c.tag(sc, n, reported)
			if !reported {
				c.tags[tag].Served = true
			}
			c.add(sc, pair{p, tag, granted}, n.Event, n.Count)
		}
	}
	full := len(c.tallies) >= flushPairs
	c.mu.Unlock()
	if full {
		s.flushSoon()
	}
}

// CountView adds up one view of a page, and whether the visitor was asked.
func (s *Store) CountView(site string, page []byte, asked bool) {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.page(c.site(site), page, false)
	v := c.views[p]
	v.Views++
	if asked {
		v.Asked++
	}
	c.views[p] = v
}

// CountCookie adds up one cookie: source says where it was met (response,
// request, script), held whether it was kept back.
func (s *Store) CountCookie(site string, name []byte, vendor string, category consent.Category, source string, held bool) {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.cookie(c.site(site), name, vendor, category, source)
	n := c.kept[i]
	if held {
		n.Held++
	} else {
		n.Passed++
	}
	c.kept[i] = n
}

// reset makes the counters ready for use.
func (c *counters) reset() {
	c.sites = make(map[string]*siteCounters)
	c.pairs = make(map[pair]uint32)
	c.views = make(map[uint32]viewTally)
	c.kept = make(map[uint32]cookieTally)
}

func (c *counters) sizes() (pages, tags, cookies int, folded uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pages), len(c.tags), len(c.cookies), c.folded
}

// add adds n to a tally. When there are too many, the page is no longer told
// apart, and at last the tag neither.
func (c *counters) add(sc *siteCounters, k pair, e Event, n uint32) {
	i, ok := c.pairs[k]
	if !ok && len(c.tallies) >= maxPairs {
		c.folded++
		k.Page = sc.otherPage
		if i, ok = c.pairs[k]; !ok && len(c.tallies) >= 2*maxPairs {
			k = pair{sc.otherPage, sc.otherTag, 0}
			i, ok = c.pairs[k]
		}
	}
	if !ok {
		i = uint32(len(c.tallies))
		c.tallies = append(c.tallies, tally{pair: k})
		c.pairs[k] = i
	}
	c.tallies[i].N[e] += n
}

func (c *counters) site(name string) *siteCounters {
	if sc := c.sites[name]; sc != nil {
		return sc
	}
	if len(c.sites) >= maxSites {
		c.folded++
		name = Other
		if sc := c.sites[name]; sc != nil {
			return sc
		}
	}
	sc := &siteCounters{
		name:    name,
		pages:   make(map[string]uint32),
		tags:    make(map[string]uint32),
		cookies: make(map[string]uint32),
	}
	sc.otherPage = c.newPage(sc, Other)
	sc.otherTag = c.newTag(sc, tag{Vendor: Other, Name: Other, Host: Other, Category: consent.Unclassified})
	sc.otherCookie = c.newCookie(sc, cookie{Name: Other, Category: consent.Unclassified})
	c.sites[name] = sc
	return sc
}

func (c *counters) page(sc *siteCounters, path []byte, reported bool) uint32 {
	c.scratch = AppendFolded(c.scratch[:0], path)
	if i, ok := sc.pages[string(c.scratch)]; ok {
		return i
	}
	if len(sc.pages) >= maxPages || len(c.pages) >= maxAllPages || reported && sc.reportedPages >= maxReported {
		c.folded++
		return sc.otherPage
	}
	if reported {
		sc.reportedPages++
	}
	return c.newPage(sc, string(c.scratch))
}

func (c *counters) newPage(sc *siteCounters, path string) uint32 {
	i := uint32(len(c.pages))
	c.pages = append(c.pages, page{Site: sc.name, Path: path})
	sc.pages[path] = i
	return i
}

func (c *counters) tag(sc *siteCounters, s *Sighting, reported bool) uint32 {
	key := append(c.scratch[:0], byte(s.Category))
	key = append(key, s.Kind...)
	key = append(key, 0)
	key = append(key, s.Vendor...)
	key = append(key, 0)
	host := len(key)
	key = appendHost(key, s.Host)
	key = append(key, 0)
	path := len(key)
	if len(s.Path) > 0 {
		key = AppendFolded(key, s.Path)
	}
	c.scratch = key
	if i, ok := sc.tags[string(key)]; ok {
		return i
	}
	if len(sc.tags) >= maxTags || len(c.tags) >= maxAllTags || reported && sc.reportedTags >= maxReported {
		c.folded++
		return c.otherOf(sc, s)
	}
	if reported {
		sc.reportedTags++
	}
	return c.newTag(sc, tag{
		Vendor: s.Vendor, Name: s.VendorName, Kind: s.Kind, Category: s.Category,
		Host: string(key[host : path-1]), Path: string(key[path:]),
	})
}

// otherOf stands for a tag beyond the bounds. That of a known vendor is still
// told by vendor, so that no flood of made-up tags hides what that vendor does;
// of vendors there are as many as the catalogue has.
func (c *counters) otherOf(sc *siteCounters, s *Sighting) uint32 {
	if s.Vendor == "" {
		return sc.otherTag
	}
	t := tag{Vendor: s.Vendor, Name: s.VendorName, Kind: s.Kind, Category: s.Category, Host: Other}
	if i, ok := sc.tags[t.key()]; ok {
		return i
	}
	if len(sc.tags) >= maxTags+maxVendorTags || len(c.tags) >= maxAllTags+maxVendorTags {
		return sc.otherTag
	}
	return c.newTag(sc, t)
}

func (c *counters) newTag(sc *siteCounters, t tag) uint32 {
	i := uint32(len(c.tags))
	t.Site = sc.name
	c.tags = append(c.tags, t)
	sc.tags[t.key()] = i
	return i
}

// key is what tells a tag from others of its site. The method tag of counters
// makes the same without allocating.
func (t *tag) key() string {
	return string(rune(t.Category)) + t.Kind + "\x00" + t.Vendor + "\x00" + t.Host + "\x00" + t.Path
}

func (c *counters) cookie(sc *siteCounters, name []byte, vendor string, category consent.Category, source string) uint32 {
	key := append(c.scratch[:0], byte(category))
	key = append(key, vendor...)
	key = append(key, 0)
	key = append(key, source...)
	key = append(key, 0)
	start := len(key)
	key = appendSegment(key, name[:min(len(name), maxPath)])
	c.scratch = key
	if i, ok := sc.cookies[string(key)]; ok {
		return i
	}
	if len(sc.cookies) >= maxCookies || len(c.cookies) >= maxAllCookies {
		c.folded++
		return sc.otherCookie
	}
	return c.newCookie(sc, cookie{Name: string(key[start:]), Vendor: vendor, Category: category, Source: source})
}

func (c *counters) newCookie(sc *siteCounters, k cookie) uint32 {
	i := uint32(len(c.cookies))
	k.Site = sc.name
	c.cookies = append(c.cookies, k)
	sc.cookies[k.key()] = i
	return i
}

// key is what tells a cookie from others of its site.
func (k *cookie) key() string {
	return string(rune(k.Category)) + k.Vendor + "\x00" + k.Source + "\x00" + k.Name
}

// appendHost appends a host name in lower case, without what cannot be in one.
func appendHost(dst, host []byte) []byte {
	for _, b := range host[:min(len(host), 253)] {
		switch {
		case b >= 'A' && b <= 'Z':
			b |= 0x20
		case b <= ' ' || b >= 0x7f:
			b = '?'
		}
		dst = append(dst, b)
	}
	return dst
}

// load takes up the pages, tags and cookies that the database knows, so that
// the bounds hold across restarts.
func (c *counters) load(t tx) error {
	var pages []page
	var tags []tag
	var cookies []cookie
	t.queue(`SELECT site, path FROM pages ORDER BY last DESC LIMIT ?1`, func(r row) error {
		pages = append(pages, page{r.ColumnText(0), r.ColumnText(1)})
		return nil
	}, maxAllPages)
	t.queue(`SELECT site, vendor, name, category, kind, host, path FROM tags ORDER BY last DESC LIMIT ?1`, func(r row) error {
		k := tag{Site: r.ColumnText(0), Vendor: r.ColumnText(1), Name: r.ColumnText(2), Kind: r.ColumnText(4), Host: r.ColumnText(5), Path: r.ColumnText(6)}
		k.Category, _ = consent.ParseCategory(r.ColumnText(3))
		tags = append(tags, k)
		return nil
	}, maxAllTags)
	_, err := t.run(`SELECT site, name, vendor, category, source FROM cookies ORDER BY last DESC LIMIT ?1`, func(r row) error {
		k := cookie{Site: r.ColumnText(0), Name: r.ColumnText(1), Vendor: r.ColumnText(2), Source: r.ColumnText(4)}
		k.Category, _ = consent.ParseCategory(r.ColumnText(3))
		cookies = append(cookies, k)
		return nil
	}, maxAllCookies)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range pages {
		if sc := c.site(p.Site); len(c.pages) < maxAllPages {
			if _, known := sc.pages[p.Path]; !known {
				c.newPage(sc, p.Path)
			}
		}
	}
	for _, k := range tags {
		if sc := c.site(k.Site); len(c.tags) < maxAllTags {
			if _, known := sc.tags[k.key()]; !known {
				c.newTag(sc, k)
			}
		}
	}
	for _, k := range cookies {
		if sc := c.site(k.Site); len(c.cookies) < maxAllCookies {
			if _, known := sc.cookies[k.key()]; !known {
				c.newCookie(sc, k)
			}
		}
	}
	return nil
}
