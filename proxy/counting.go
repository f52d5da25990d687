package proxy

import (
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
}

func (p *Proxy) count(x *exchange, tags []Sighting) {
	p.metrics.countTags(x.sighted)
	p.metrics.countTags(tags)
	x.site.lock.learn(tags)
	for i := range tags {
		x.site.news.learn(&tags[i].Decision)
	}
	if p.o.Counter == nil {
		return
	}
	if !x.part && x.answer.status < 400 {
		p.o.Counter.CountView(x.site.Name, x.path(), !x.standing.Made)
	}
	if len(x.sighted) > 0 {
		p.o.Counter.Count(x.site.Name, x.path(), x.shown.Granted, x.sighted)
	}
	if len(tags) > 0 {
		p.o.Counter.Count(x.site.Name, x.path(), x.shown.Granted, tags)
	}
}

func (p *Proxy) countCookie(s *site, name []byte, d rules.Decision, source string, held bool) {
	if p.o.Counter != nil {
		p.o.Counter.CountCookie(s.Name, name, d, source, held)
	}
}
