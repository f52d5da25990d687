package proxy

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"time"
)

// refinery encodes remembered pages that are asked for often once more, as small
// as it goes. It does so one page after another, each after a moment in which
// the process had time to spare.
type refinery struct {
	proxy *Proxy
	begin *sync.Once
	pages chan *finished
}

const (
	// refineAfter is how often a page is asked for until it is worth it.
	refineAfter = 8
	// refineQueue is how many pages may wait. Others are asked for again.
	refineQueue = 64
	// breath is how long the process is watched before each page.
	breath = 250 * time.Millisecond
	// largeRefined is up to which size a page gets the slowest level, in bytes.
	largeRefined = 256 << 10
)

func newRefinery(p *Proxy) refinery {
	return refinery{proxy: p, begin: new(sync.Once), pages: make(chan *finished, refineQueue)}
}

// note notes that a page was asked for.
func (r *refinery) note(f *finished, c coding) {
	if c == identity || f.taken.Load() >= refineAfter || f.taken.Add(1) != refineAfter {
		return
	}
	r.begin.Do(func() { go r.work() })
	select {
	case r.pages <- f:
	default:
		f.taken.Store(0)
	}
}

func (r *refinery) work() {
	for {
		select {
		case <-r.proxy.stopped:
			return
		case f := <-r.pages:
			if !r.rest() {
				return
			}
			r.refine(f)
		}
	}
}

// rest returns after a moment in which half of the processors' time was left
// over. It reports false where the proxy has stopped.
func (r *refinery) rest() bool {
	for before := processTime(); ; {
		select {
		case <-r.proxy.stopped:
			return false
		case <-time.After(breath):
		}
		now := processTime()
		if now-before <= breath*time.Duration(runtime.GOMAXPROCS(0))/2 {
			return true
		}
		before = now
	}
}

// refine encodes the page again and puts it in the place of what it was.
func (r *refinery) refine(f *finished) {
	c := coding(f.key[0])
	plain, err := decodeAll(f.page, c)
	if err != nil {
		return
	}
	var page bytes.Buffer
	e := makeEncoder(c, bestLevel(c, len(plain)))
	e.Reset(&page)
	if _, err := e.Write(plain); err != nil || e.Close() != nil || page.Len() >= len(f.page) {
		return
	}
	better := &finished{key: f.key, body: f.body, page: bytes.Clone(page.Bytes()), tags: f.tags, again: f.again, charset: f.charset, child: f.child}
	better.taken.Store(refineAfter)
	r.proxy.memo.replace(f, better)
	r.proxy.metrics.refined.Add(1)
}

func decodeAll(page []byte, c coding) ([]byte, error) {
	z, err := newDecoder(bytes.NewReader(page), c)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

// bestLevel returns the level at which a page of size bytes is refined. Where
// there is one processor, visitors wait while it works.
func bestLevel(c coding, size int) int {
	switch {
	case c == gzipped:
		return gzipBest
	case c == zstandard:
		return int(zstdBest)
	case size > largeRefined || runtime.GOMAXPROCS(0) == 1:
		return brotliGood
	}
	return brotliBest
}
