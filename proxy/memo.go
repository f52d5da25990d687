package proxy

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memo remembers finished pages: what one upstream body was made into for one
// address and variant. It holds the body too, and a page is taken only for
// exactly that body, byte for byte. So there is nothing to go stale and no hash
// to trust, and comparing costs a twentieth of a SHA-256 and can be done while
// the body arrives.
//
// A page is taken in when the same body has come twice in a row, so that pages
// that change each time do not drive out others.
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
}

// finished is a page as it was sent.
type finished struct {
	key  []byte
	body []byte // as it arrived
	page []byte // as it is sent
	tags []Sighting
	// transcoded says that the body was UTF-16.
	transcoded bool
	// child says that the page is made for children.
	child bool
}

// overhead is about what an entry costs beside its bytes.
const overhead = 512

func (f *finished) size() int {
	n := overhead + len(f.key) + len(f.body) + len(f.page)
	for i := range f.tags {
		n += 96 + len(f.tags[i].Host) + len(f.tags[i].Path)
	}
	return n
}

func newMemo(limit int) *memo {
	m := &memo{seed: maphash.MakeSeed(), limit: limit / memoShards}
	for i := range m.shards {
		s := &m.shards[i]
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

// wants reports whether body came under key the last time too, so that it is
// worth remembering.
func (m *memo) wants(key, body []byte) bool {
	hash := maphash.Bytes(m.seed, key)
	content := hash ^ maphash.Bytes(m.seed, body)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.glances[hash%memoGlances]
	if *g == content {
		return true
	}
	*g = content
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
