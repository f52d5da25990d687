package banner

import (
	"hash/maphash"
	"sync"
	"time"
)

// limiter lets each address do something now and then. Addresses share a fixed number
// of buckets, so its memory is bounded whoever comes.
type limiter struct {
	burst, perSecond float64 // how often at once, and from then on

	mu      sync.Mutex
	buckets [4096]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// What an address may do, of which visitors of one network share one.
const (
	reportBurst, reportsPerSecond = 60, 5    // reports
	choiceBurst, choicesPerSecond = 1000, 20 // choices that are put on record
)

var limiterSeed = maphash.MakeSeed()

// allow takes one token from the bucket of an address.
func (l *limiter) allow(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.buckets[maphash.String(limiterSeed, address)%uint64(len(l.buckets))]
	if b.at.IsZero() {
		b.tokens = l.burst
	} else {
		b.tokens = min(l.burst, b.tokens+max(0, now.Sub(b.at).Seconds())*l.perSecond)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
