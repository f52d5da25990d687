package proxy

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/askfirst/askfirst/rewrite"
)

// memo remembers finished pages: what one upstream body was made into for one
// address and variant. It holds the body too, and a page is taken only for
// exactly that body, byte for byte. So there is nothing to go stale and no hash
// to trust, and comparing costs a twentieth of a SHA-256 and can be done while
// the body arrives.
//
// A page is taken in when the same body has come twice in a row, so that pages
// that change each time do not drive out others. Of those the last version is
// kept in a memo of its own, see Proxy.drafts. The same body that comes for
// several visitors at once is made into a page once.
type memo struct {
	seed   maphash.Seed
	shards [memoShards]memoShard
	limit  int // of one shard, in bytes
}

const (
	memoShards  = 16
	memoGlances = 512
)

type memoShard struct {
	mu      sync.Mutex
	pages   *simplelru.LRU[uint64, *finished]
	bytes   int
	glances [memoGlances]uint64 // hashes of bodies that came last, by key
	flights map[uint64]*flight  // by hashes of key and body
}

// finished is a page as it was sent, or the draft of one.
type finished struct {
	key  []byte
	body []byte // as it arrived
	page []byte // as it is sent
	tags []Sighting
	// again counts them; nil where nothing is counted.
	again Recurrence
	// charset is what the answer says of the page's encoding; "" as the upstream does.
	charset string
	// child says that the page is made for children.
	child bool
	// version is a draft: the page decoded, and what it was made into before
	// that was encoded.
	version *rewrite.Version
	taken   atomic.Int32 // how often it was
}

// overhead is about what an entry costs beside its bytes.
const overhead = 512

func (f *finished) size() int {
	n := overhead + len(f.key) + len(f.body) + len(f.page)
	if v := f.version; v != nil {
		n += len(v.In) + len(v.Out) + v.Size()
	}
	for i := range f.tags {
		n += 120 + len(f.tags[i].Host) + len(f.tags[i].Path)
	}
	return n
}

func newMemo(limit int) *memo {
	m := &memo{seed: maphash.MakeSeed(), limit: limit / memoShards}
	for i := range m.shards {
		s := &m.shards[i]
		s.flights = make(map[uint64]*flight)
		// The bound that counts is that of bytes.
		s.pages, _ = simplelru.NewLRU(1<<30, func(_ uint64, f *finished) { s.bytes -= f.size() })
	}
	return m
}

func (m *memo) shard(hash uint64) *memoShard { return &m.shards[hash>>56%memoShards] }

// get returns the page that is remembered under key, nil for none.
func (m *memo) get(key []byte) *finished {
	hash := maphash.Bytes(m.seed, key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.pages.Get(hash); ok && bytes.Equal(f.key, key) {
		return f
	}
	return nil
}

// imprint tells bodies apart, almost certainly.
type imprint struct{ key, content uint64 }

// imprint returns that of a body that came under key.
func (m *memo) imprint(key, body []byte) imprint {
	hash := maphash.Bytes(m.seed, key)
	return imprint{hash, hash ^ maphash.Bytes(m.seed, body)}
}

// wants reports whether the same body came under its key the last time too, so
// that it is worth remembering.
func (m *memo) wants(i imprint) bool {
	s := m.shard(i.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.glances[i.key%memoGlances]
	if *g == i.content {
		return true
	}
	*g = i.content
	return false
}

// put remembers f, and forgets what has not been asked for for longest.
func (m *memo) put(f *finished) {
	size := f.size()
	if size > m.limit/2 {
		return
	}
	hash := maphash.Bytes(m.seed, f.key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages.Remove(hash)
	s.pages.Add(hash, f)
	for s.bytes += size; s.bytes > m.limit; {
		s.pages.RemoveOldest()
	}
}

// replace puts better in the place of f, if that is still there.
func (m *memo) replace(f, better *finished) {
	hash := maphash.Bytes(m.seed, f.key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.pages.Peek(hash); ok && now == f {
		s.pages.Remove(hash)
		s.pages.Add(hash, better)
		s.bytes += better.size()
	}
}

// flight is a page that is being made for one visitor, while others wait for
// what it becomes.
type flight struct {
	shard   *memoShard
	content uint64
	waiting bool          // somebody waits
	over    bool          // it has landed
	landed  chan struct{} // closed when page is set
	page    *finished     // nil where nothing came of it
}

// board returns the flight of a body. Who leads it must land it, whatever comes.
func (m *memo) board(i imprint) (f *flight, leads bool) {
	s := m.shard(i.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.flights[i.content]; f != nil {
		f.waiting = true
		return f, false
	}
	f = &flight{shard: s, content: i.content, landed: make(chan struct{})}
	s.flights[i.content] = f
	return f, true
}

// leave lets nobody board f any more, and reports whether somebody waits for it.
func (f *flight) leave() bool {
	if f == nil {
		return false
	}
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.shard.flights[f.content] == f {
		delete(f.shard.flights, f.content)
	}
	return f.waiting
}

// land gives those who wait the page. What comes after the first call does
// nothing.
func (f *flight) land(page *finished) {
	if f == nil || f.over {
		return
	}
	f.leave()
	f.over, f.page = true, page
	close(f.landed)
}

func (m *memo) size() (pages, bytes int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		pages += s.pages.Len()
		bytes += s.bytes
		s.mu.Unlock()
	}
	return pages, bytes
}
