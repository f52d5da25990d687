package proxy

import (
	"slices"

	"github.com/askfirst/askfirst/rewrite"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// Sighting is one thing that was met in a page or its header fields, and what
// became of it.
type Sighting struct {
	Kind rules.Kind
	// Host and Path are of its URL, without query; empty for what has none.
	Host, Path []byte
	Decision   rules.Decision
	Fate       consent.Fate
	// More is how often more than once it was met.
	More int
}

// Where a cookie was met.
const (
	cookieRequest  = "request"
	cookieResponse = "response"
)

// Counter takes what was met. Its methods are called while visitors wait, and
// must keep none of what they are given.
type Counter interface {
	// Count takes the tags of one page that was sent. page is its path.
	Count(site string, page []byte, granted consent.Set, tags []Sighting)
	// CountView takes one view of a page; asked says that the visitor had no
	// choice standing.
	CountView(site string, page []byte, asked bool)
	// CountCookie takes a cookie on its way: source is request or response,
	// and held says that it was taken out.
	CountCookie(site string, name []byte, d rules.Decision, source string, held bool)
	// Recur returns what counts a page of those tags when it is sent again.
	Recur(site string, page []byte, granted consent.Set, tags []Sighting) Recurrence
}

// Recurrence counts a page that is sent again and again as it was.
type Recurrence interface {
	// Again counts its tags, and a view of it as CountView does if it is one.
	Again(view, asked bool)
}

// count counts a page that is sent. again counts the tags of one that is
// remembered; nil for others.
func (p *Proxy) count(x *exchange, tags []Sighting, again Recurrence) {
	p.metrics.countTags(x.sighted)
	p.metrics.countTags(tags)
	x.site.lock.learn(tags)
	for i := range tags {
		x.site.news.learn(&tags[i].Decision)
	}
	if p.o.Counter == nil {
		return
	}
	if len(x.sighted) > 0 {
		p.o.Counter.Count(x.site.Name, x.path(), x.shown.Granted, x.sighted)
	}
	view, asked := !x.part && x.answer.status < 400, !x.standing.Made
	if again != nil {
		again.Again(view, asked)
		return
	}
	if view {
		p.o.Counter.CountView(x.site.Name, x.path(), asked)
	}
	if len(tags) > 0 {
		p.o.Counter.Count(x.site.Name, x.path(), x.shown.Granted, tags)
	}
}

// recurrence returns what counts the page when it is sent again.
func (x *exchange) recurrence(tags []Sighting) Recurrence {
	if x.proxy.o.Counter == nil {
		return nil
	}
	return x.proxy.o.Counter.Recur(x.site.Name, x.path(), x.shown.Granted, tags)
}

func (p *Proxy) countCookie(s *site, name []byte, d rules.Decision, source string, held bool) {
	if p.o.Counter != nil {
		p.o.Counter.CountCookie(s.Name, name, d, source, held)
	}
}

func (d *document) seen(t *rewrite.Tag) {
	if len(d.tags) == maxTags {
		return
	}
	d.tags = append(d.tags, Sighting{
		Kind:     t.Kind,
		Host:     d.keep(t.Host),
		Path:     d.keep(t.Path),
		Decision: t.Decision,
		Fate:     t.Fate,
	})
}

// summed returns tags with those that are the same made one, so that a page that
// has them many times is counted in as many steps as it has different ones.
func summed(tags []Sighting) []Sighting {
	var sum []Sighting
	at := make(map[string]int, len(tags))
	var key []byte
	for _, t := range tags {
		key = append(append(append(key[:0], t.Host...), 0), t.Path...)
		i, met := at[string(key)]
		if s := &t; met && sum[i].Kind == s.Kind && sum[i].Fate == s.Fate && sum[i].Decision == s.Decision {
			sum[i].More += 1 + t.More
			continue
		}
		at[string(key)] = len(sum)
		sum = append(sum, t)
	}
	return sum
}

// maxTags bounds how many tags of one page are counted.
const maxTags = 4096

func (d *document) keep(s []byte) []byte {
	if len(d.strings)+len(s) > cap(d.strings) {
		d.strings = make([]byte, 0, max(4<<10, len(s)))
	}
	at := len(d.strings)
	d.strings = append(d.strings, s...)
	return d.strings[at:len(d.strings):len(d.strings)]
}

// cloneSightings returns tags that stand in memory of their own.
func cloneSightings(tags []Sighting) []Sighting {
	size := 0
	for i := range tags {
		size += len(tags[i].Host) + len(tags[i].Path)
	}
	clones, text := slices.Clone(tags), make([]byte, 0, size)
	keep := func(s []byte) []byte {
		text = append(text, s...)
		return text[len(text)-len(s) : len(text) : len(text)]
	}
	for i := range clones {
		clones[i].Host, clones[i].Path = keep(clones[i].Host), keep(clones[i].Path)
	}
	return clones
}
