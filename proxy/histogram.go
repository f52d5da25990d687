package proxy

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of a histogram's buckets.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// histogram counts durations. Its zero value is empty.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Int64 // the last is for what is longer
	nanos   atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(int64(d))
}

// write writes the samples of one histogram in Prometheus' text format.
func (h *histogram) write(w io.Writer, name string) {
	var sum int64
	for i, bound := range bounds {
		sum += h.buckets[i].Load()
		fmt.Fprintf(w, "askfirst_%s_bucket{le=\"%g\"} %d\n", name, bound.Seconds(), sum)
	}
	sum += h.buckets[len(bounds)].Load()
	fmt.Fprintf(w, "askfirst_%s_bucket{le=\"+Inf\"} %d\naskfirst_%s_sum %g\naskfirst_%s_count %d\n",
		name, sum, name, time.Duration(h.nanos.Load()).Seconds(), name, sum)
}
