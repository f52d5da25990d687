package rewrite

import (
	"bytes"
	"slices"
)

// Version is a page with what became of it. Where the page comes again with
// changes, only those are rewritten.
//
// What becomes of a part of a page depends on its bytes and on little that came
// before: at most tags, nothing is open that matters, and the parts before and
// after such a seam are rewritten as if each stood alone. So a part that has
// been rewritten before, from a seam to the next one, need not be again.
type Version struct {
	In, Out []byte
	tags    int
	seams   []seam
	lang    []byte
}

// Size returns about how many bytes v holds beside In and Out.
func (v *Version) Size() int { return len(v.seams)*32 + len(v.lang) }

// seam is a place in a page right after a tag or comment, where the Rewriter has
// nothing in mind but footing.
type seam struct {
	in, out, tags int // how much of each there is before it
	footing
}

// footing is on what the rest of a page depends at a seam.
type footing struct {
	stage                    stage
	counting, bodied, framed bool
}

const (
	// stride is how far apart seams are, at least.
	stride = 1 << 10
	// anchor is by how many bytes after it a seam is found again.
	anchor = 40
)

// Sights are the tags that Document.Seen was told of, in order.
type Sights interface {
	// Len returns how many of this page's there are.
	Len() int
	// Again takes those from the from-th to before the to-th of the version that
	// the page is compared with as the next of this page.
	Again(from, to int)
}

// Revise takes the whole page at once, instead of Write and Close. Parts that it
// shares with last are taken from there; last may be nil. It returns how much of
// the page was read anew, in bytes.
//
// last must come of the same Document but for the page's bytes, and its hooks
// must write the same: what they wrote is taken over too.
func (rw *Rewriter) Revise(in []byte, last *Version, sights Sights) (anew int, err error) {
	if rw.closed {
		return 0, ErrClosed
	}
	rw.closed = true
	rw.seams = append(rw.seams[:0], seam{footing: footing{stage: rw.inject.stage}})
	r := revision{rw: rw, in: in, last: last, sights: sights, searches: 2 * len(in)}
	for rw.err == nil && r.step() {
	}
	return r.anew, rw.err
}

// Version returns the page that Revise has taken: in and out are what it was
// given and what it has written, tags is how many there are.
func (rw *Rewriter) Version(in, out []byte, tags int) *Version {
	return &Version{In: in, Out: out, tags: tags, seams: slices.Clone(rw.seams), lang: bytes.Clone(rw.inject.lang)}
}

// revision is a page on its way through Revise.
type revision struct {
	rw     *Rewriter
	in     []byte
	pos    int // how much of in is done with
	last   *Version
	at     int  // the seam of last that was reached
	apart  bool // from there in has gone on in another way
	sights Sights

	anew     int
	searches int // how many bytes may still be searched
}

// step takes the next part of the page. It reports whether there is more.
func (r *revision) step() bool {
	if r.last != nil && !r.apart {
		if r.take() {
			return false
		}
		r.apart = true
	}
	next, enough := r.meet()
	used := r.rw.read(r.in[r.pos:], enough, false)
	r.pos += used
	r.anew += used
	if used < enough || r.pos == len(r.in) {
		rest := r.in[r.pos:]
		r.anew += len(rest)
		r.rw.read(rest, len(rest)+1, true)
		r.rw.flush()
		return false
	}
	footing, ok := r.rw.footing()
	if !ok {
		return true
	}
	r.rw.seams = append(r.rw.seams, seam{r.pos, r.rw.written + len(r.rw.out), r.sights.Len(), footing})
	if next > 0 {
		r.at = next
		r.apart = used != enough || footing != r.last.seams[next].footing || !bytes.Equal(r.rw.inject.lang, r.last.lang)
	}
	return true
}

// take copies what follows r.at in last as far as it is the same in the page. It
// reports whether that is all of it.
func (r *revision) take() (all bool) {
	rw, last := r.rw, r.last
	from, to := last.seams[r.at], r.at
	out, tags := rw.written+len(rw.out)-from.out, r.sights.Len()-from.tags
	for to+1 < len(last.seams) && bytes.HasPrefix(r.in[r.pos:], last.In[last.seams[to].in:last.seams[to+1].in]) {
		next := last.seams[to+1]
		r.pos += next.in - last.seams[to].in
		to++
		rw.seams = append(rw.seams, seam{r.pos, out + next.out, tags + next.tags, next.footing})
	}
	end := last.seams[to]
	all = to+1 == len(last.seams) && bytes.Equal(r.in[r.pos:], last.In[end.in:])
	if all {
		end.out, end.tags = len(last.Out), last.tags
	}
	if from.in == 0 && (to > 0 || all) {
		rw.inject.lang = append(rw.inject.lang[:0], last.lang...)
	}
	r.at = to
	rw.inject.stage, rw.counting, rw.bodied, rw.framed = end.stage, end.counting, end.bodied, end.framed
	if end.tags > from.tags {
		r.sights.Again(from.tags, end.tags)
	}
	if end.out > from.out {
		rw.flush()
		rw.writeOut(last.Out[from.out:end.out])
	}
	return all
}

// meet looks for a seam of last at which the page may go on as last did, and
// returns how far off it is. Where it finds none the seam is 0, and what is
// returned is how far to read before the next look.
func (r *revision) meet() (next, off int) {
	if r.last == nil {
		return 0, stride
	}
	seams, rest := r.last.seams, r.in[r.pos:]
	for j, tries := r.at+1, 0; j < len(seams) && tries < 6; tries++ {
		s := &seams[j]
		key := r.last.In[s.in:]
		key = key[:min(len(key), anchor)]
		// What has changed is often as long as it was, or all that has.
		for _, off := range [...]int{s.in - seams[r.at].in, len(rest) - (len(r.last.In) - s.in)} {
			if off > 0 && off <= len(rest) && bytes.HasPrefix(rest[off:], key) {
				return j, off
			}
		}
		window := min(len(rest), s.in-seams[r.at].in+2*stride)
		if r.searches -= window; len(key) == anchor && r.searches > 0 {
			if off := bytes.Index(rest[:window], key); off > 0 {
				return j, off
			}
		}
		j += 1 << tries
	}
	return 0, stride
}

// footing returns the Rewriter's, if it is at a seam.
func (rw *Rewriter) footing() (footing, bool) {
	ok := rw.scan.Idle() && !rw.flat.InRaw() && rw.inject.stage >= part && rw.pending == 0 && !rw.skip && !rw.skipText &&
		!rw.aside.pending && !rw.keeps && rw.boxes.element == 0 && !rw.based && len(rw.bases) == 0 && !rw.doc.XML
	return footing{rw.inject.stage, rw.counting, rw.bodied, rw.framed}, ok
}
