package rules

import (
	"hash/maphash"
	"sync/atomic"
)

// memo remembers what was found out about a text. The pages of a site bear the same
// scripts and addresses over and again, and to hash one is many times faster than
// to search it. Of a text nothing is kept but its hash, of which 60 bits count, by a
// seed that nobody knows. It is safe for concurrent use.
type memo struct {
	// A slot has 1 + the value in its lowest 16 bits and the hash's own above. The
	// hash's lowest bits choose the set.
	sets [1 << memoBits][memoWays]atomic.Uint64
}

const (
	memoBits = 12
	memoWays = 4
	memoMask = 1<<16 - 1
)

var memoSeed = maphash.MakeSeed()

func memoHash(text []byte) uint64 { return maphash.Bytes(memoSeed, text) }

// get returns the value that is remembered for a hash.
func (m *memo) get(h uint64) (value int, known bool) {
	set := &m.sets[h&(1<<memoBits-1)]
	for i := range set {
		if slot := set[i].Load(); slot&^memoMask == h&^memoMask && slot&memoMask != 0 {
			return int(slot&memoMask) - 1, true
		}
	}
	return 0, false
}

// put remembers a value, below memoMask, in an empty slot, else in any.
func (m *memo) put(h uint64, value int) {
	set := &m.sets[h&(1<<memoBits-1)]
	at := h >> memoBits % memoWays
	for i := range set {
		if set[i].Load() == 0 {
			at = uint64(i)
			break
		}
	}
	set[at].Store(h&^memoMask | uint64(value+1))
}
