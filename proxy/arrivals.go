package proxy

import (
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// arrivals tell when a site began to use vendors of a category that it had used
// none of. A choice from before was made without knowing of them. The consent
// cookie says when the choice was made, and that is all that is needed: nobody
// has to be told apart to be asked again.
type arrivals struct {
	known  atomic.Uint32 // the categories, as a consent.Set
	newest atomic.Int64  // when the last of them came, in Unix seconds; 0 for never
}

// newArrivals returns nil for a site that does not ask again. seen are the IDs of
// the vendors that it was seen to use, and newest is when the last category came.
func newArrivals(c *configs.Site, e *rules.Engine, seen []string, newest time.Time) *arrivals {
	if !c.AskOnNewCategory {
		return nil
	}
	a := new(arrivals)
	for _, id := range seen {
		if v := e.Vendor(id); v != nil {
			a.known.Or(uint32(consent.SetOf(v.Category)))
		}
	}
	if !newest.IsZero() {
		a.newest.Store(newest.Unix())
	}
	return a
}

// learn takes in the category of something that was met.
func (a *arrivals) learn(d *rules.Decision) {
	if a == nil || d.Rule == nil {
		return
	}
	bit := uint32(consent.SetOf(d.Category)) & uint32(consent.All)
	if bit&^a.known.Load() != 0 && a.known.Or(bit)&bit == 0 {
		a.newest.Store(time.Now().Unix())
	}
}

// since returns from when on a choice must be to stand, in Unix seconds.
func (a *arrivals) since() int64 {
	if a == nil {
		return 0
	}
	return a.newest.Load()
}
