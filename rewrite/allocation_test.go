//go:build !race

package rewrite

import (
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// shiftJIS is a page whose text is read twice, as a backslash may be a part of a
// character.
var shiftJIS = "<!doctype html><meta charset=shift_jis><style>" + strings.Repeat("p::after{content:'\x83\\'}", 60) +
	"p{background:url(/\x95\\.png)}</style><p style=\"content:'\x83\\';background:url(/\x95\\.png)\"><img src='/\x83\\.png'>" +
	"<script type=importmap>{\"imports\":{\"a\":\"/\x83\\\\.js\"}}</script>"

// inAttributes is a page with code in its attributes.
const inAttributes = `<!doctype html><body onload="start()"><a href="javascript:open('/a')" onclick="import('/b.js')">a</a>`

// TestAllocations checks that a page of which the likes have been seen before
// costs no memory, be it one of the generated ones or of ASKFIRST_PAGES. It is
// left out under the race detector, which has pools drop what they are given at
// random.
func TestAllocations(t *testing.T) {
	pages := append(benchPages(t), []byte(shiftJIS), []byte(inAttributes))
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
