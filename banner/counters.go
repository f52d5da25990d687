package banner

import "sync/atomic"

// counters count what a Banner did since it was made.
type counters struct {
	recorded, unrecorded, refused, limited, leftOut atomic.Uint64
}

// Counter is one count of what a Banner did since it was made.
type Counter struct {
	Name, Help string
	Value      uint64
}

// Counters returns the Banner's counters under their Prometheus names.
func (b *Banner) Counters() []Counter {
	c := &b.counters
	return []Counter{
		{"askfirst_choices_total", "Choices that stand with a durable receipt.", c.recorded.Load()},
		{"askfirst_choices_unrecorded_total", "Choices that were obeyed although their receipt could not be kept, or which came too fast from one network.", c.unrecorded.Load()},
		{"askfirst_banner_refused_total", "Requests to own endpoints that were refused.", c.refused.Load()},
		{"askfirst_banner_limited_total", "Reports of pages that came too fast and were dropped.", c.limited.Load()},
		{"askfirst_reports_left_out_total", "Tags and cookies that pages had no room for in their reports.", c.leftOut.Load()},
	}
}
