//go:build !race

package rewrite

import (
	"io"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestAllocations is left out under the race detector, which has pools drop
// what they are given at random.
func TestAllocations(t *testing.T) {
	page := shopPage(200 << 10)
	for name, doc := range map[string]*Document{"held": hooked(0), "granted": document(consent.All)} {
		doc.Head, doc.Foot, doc.Placeholder = appendNothing, appendNothing, func(dst, _ []byte, _ *Box) []byte { return dst }
		doc.Seen = func(*Tag) {}
		n := testing.AllocsPerRun(20, func() {
			rw := Acquire(io.Discard, doc)
			for p := page; len(p) > 0; p = p[min(16<<10, len(p)):] {
				rw.Write(p[:min(16<<10, len(p))])
			}
			rw.Close()
			Release(rw)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
