//go:build !race

package rewrite

import (
	"io"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestAllocations checks that a page of which the likes have been seen before
// costs no memory, be it one of the generated ones or of ASKFIRST_PAGES. It is
// left out under the race detector, which has pools drop what they are given at
// random.
func TestAllocations(t *testing.T) {
	pages := benchPages(t)
	// A collection would empty the pools, as would another number of processors,
	// which AllocsPerRun sets.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for name, doc := range map[string]*Document{"held": hooked(0), "granted": document(consent.All)} {
		doc.Head, doc.Foot, doc.Placeholder = appendNothing, appendNothing, func(dst, _ []byte, _ *Box) []byte { return dst }
		doc.Seen = func(*Tag) {}
		for _, chunk := range []int{16 << 10, 1 << 30} {
			read := func(page []byte) {
				rw := Acquire(io.Discard, doc)
				for p := page; len(p) > 0; p = p[min(chunk, len(p)):] {
					rw.Write(p[:min(chunk, len(p))])
				}
				rw.Close()
				Release(rw)
			}
			for range 3 {
				for _, page := range pages {
					read(page)
				}
			}
			for i, page := range pages {
				if n := testing.AllocsPerRun(10, func() { read(page) }); n != 0 {
					t.Errorf("%s, page %d in chunks of %d: %v allocations", name, i, chunk, n)
				}
			}
		}
	}
}
