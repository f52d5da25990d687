package rules

import (
	"bytes"
	"math/bits"

	"golang.org/x/net/publicsuffix"
)

// Page is the document in which references are read. It holds scratch memory
// and must not be used by two goroutines at once. The zero Page is ready for
// Reset.
type Page struct {
	page, base, ref address
	unread          []byte // a reference that is not read into ref, as it is remembered
	// origins and whole are hashes of what a reference is read by: the origins of
	// page and base, and their paths too.
	origins, whole uint64
	parsed         bool // page is an address
	based          bool // base is one
	site           []byte
	// wholeSite says that the site is the host alone: an IP address, or a name
	// that is itself a public suffix.
	wholeSite bool
	// known is a host whose public suffix has been looked up, and suffix that
	// one's length: pages read one after another are mostly of one site.
	known      string
	suffix     int
	labels     labels // of ref's host
	pageLabels labels // of page's host
	lower      []byte // ref's text in lower case, for lists
	alias      []byte // a name that ref's host is an alias of
	// tried has a bit for each inline signature whose other tokens were not
	// found in the code that is being read.
	tried []uint64
	data  []Span // parts of that code that are not run
}

// Reset starts a page at the given absolute address. Where it is not one, all
// that the page refers to by an absolute URL is a third party's.
func (p *Page) Reset(url []byte) {
	// What an odd page needed is not kept for the next.
	for _, b := range [...]*[]byte{&p.base.buf, &p.base.scratch, &p.ref.buf, &p.ref.scratch, &p.lower} {
		if cap(*b) > 4<<10 {
			*b = nil
		}
	}
	if cap(p.data) > 256 {
		p.data = nil
	}
	p.based, p.site, p.base.end, p.ref.end, p.unread = false, nil, 0, 0, p.unread[:0]
	p.origins, p.whole = 0, 0
	if p.parsed = p.page.read(url, nil); !p.parsed {
		return
	}
	p.rehash()
	host := p.page.host()
	p.pageLabels.read(p.page.buf, p.page.hostAt, p.page.hostEnd)
	p.site, p.wholeSite = host, true
	if p.page.ip {
		return
	}
	if p.known != string(host) {
		p.known = string(host)
		suffix, _ := publicsuffix.PublicSuffix(p.known)
		p.suffix = len(suffix)
	}
	if n := len(host) - p.suffix - 1; n > 0 {
		p.site = host[bytes.LastIndexByte(host[:n], '.')+1:]
		p.wholeSite = false
	}
}

// Site returns the registrable domain of the page's host; the host itself where
// it has none: an IP address, or a public suffix such as localhost. It is valid
// until the next Reset.
func (p *Page) Site() []byte { return p.site }

// SetBase takes the href of the page's first <base>. A base that leads to no
// host is ignored, and the page's own address stands.
func (p *Page) SetBase(href []byte) {
	if p.parsed {
		p.ref.end, p.unread = 0, p.unread[:0]
		p.based = p.base.read(href, &p.page)
		p.rehash()
	}
}

// Elsewhere reports whether a <base> leads the page's paths to another origin.
func (p *Page) Elsewhere() bool { return p.based && !bytes.Equal(p.base.origin(), p.page.origin()) }

// rehash works out the hashes of the page and its base.
func (p *Page) rehash() {
	p.origins, p.whole = memoHash(p.page.origin()), memoHash(p.page.withoutQuery())
	if p.based {
		p.origins ^= bits.RotateLeft64(memoHash(p.base.origin()), 1)
		// An empty reference is read as the base with its query.
		p.whole ^= bits.RotateLeft64(memoHash(p.base.text()), 1)
	}
}

// hash returns a hash of ref and of what it is read by, with the page's path where
// all of the page counts or ref needs it. Each hash is turned by its own number of
// bits: the same texts in other places have another.
func (p *Page) hash(ref []byte, all bool) uint64 {
	h := bits.RotateLeft64(memoHash(ref), 2)
	if !all && (bytes.HasPrefix(ref, slash) || bytes.HasPrefix(ref, httpsSlashes) || bytes.HasPrefix(ref, httpSlashes)) {
		return h ^ p.origins
	}
	return h ^ p.whole
}

var slash, httpsSlashes, httpSlashes = []byte("/"), []byte("https://"), []byte("http://")

// resolve reads a reference of the page into p.ref.
func (p *Page) resolve(ref []byte) Party {
	p.unread = p.unread[:0]
	var base *address
	switch {
	case p.based:
		base = &p.base
	case p.parsed:
		base = &p.page
	}
	if !p.ref.read(ref, base) {
		return NoParty
	}
	if !p.ref.again {
		p.labels.n = 0
	}
	switch {
	case !p.atHost() && !p.own(p.ref.host()):
		return ThirdParty
	case p.ref.same:
		return NoParty
	}
	return FirstParty
}

// atHost reports whether the reference is known to lead to the page's own host.
func (p *Page) atHost() bool { return p.ref.atBase && !p.based }

// readLabels works out the labels of the reference's host.
func (p *Page) readLabels() {
	if p.labels.n == 0 {
		p.labels.read(p.ref.buf, p.ref.hostAt, p.ref.hostEnd)
	}
}

// own reports whether a host belongs to the page's site.
func (p *Page) own(host []byte) bool {
	if p.wholeSite || len(p.site) == 0 {
		return p.parsed && bytes.Equal(host, p.site)
	}
	n := len(host) - len(p.site)
	return n >= 0 && string(host[n:]) == string(p.site) && (n == 0 || host[n-1] == '.')
}

// Target returns the host and the path, without query, of the reference that
// was last decided about, as the browser would read it. They are valid until
// the next call with p, and empty if the reference had NoParty.
func (p *Page) Target() (host, path []byte) {
	if len(p.unread) > 0 {
		p.resolve(p.unread)
	}
	if p.ref.end == 0 {
		return nil, nil
	}
	return p.ref.host(), p.ref.path()
}
