package rules

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/askfirst/askfirst/rules/consent"
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

// answers remembers what was decided about references. The memo has the numbers of
// decisions, of which there are as many as rules that ever decided.
type answers struct {
	memo      memo
	decisions atomic.Pointer[[]Decision]
	mu        sync.Mutex
	numbers   map[Decision]int
}

// maxRemembered is how long a reference is, in bytes, that is remembered. Longer
// ones carry data.
const maxRemembered = 1 << 10

func newAnswers() *answers {
	a := &answers{numbers: map[Decision]int{}}
	first := make([]Decision, parties)
	for p := range parties {
		first[p] = undecided(p)
	}
	a.decisions.Store(&first)
	return a
}

// undecided is the decision about what nothing decides, whose number is its party.
func undecided(p Party) Decision {
	if p == ThirdParty {
		return Decision{Category: consent.Unclassified, Party: p}
	}
	return Decision{Party: p}
}

func (a *answers) get(h uint64) (d Decision, known bool) {
	n, known := a.memo.get(h)
	if !known {
		return Decision{}, false
	}
	return (*a.decisions.Load())[n], true
}

func (a *answers) put(h uint64, d Decision) {
	if d == undecided(d.Party) {
		a.memo.put(h, int(d.Party))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n, known := a.numbers[d]
	if !known {
		decisions := *a.decisions.Load()
		if n = len(decisions); n >= memoMask-1 {
			return
		}
		decisions = append(decisions, d)
		a.decisions.Store(&decisions)
		a.numbers[d] = n
	}
	a.memo.put(h, n)
}
