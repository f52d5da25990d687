package rules

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// anchors finds which of many literals occur in a script, in one pass whatever
// their number. Like grams it looks at every stride-th place only, and there
// at one run of bytes; but literals of unlike lengths are entered in tables of
// their own, each with the longest run and the widest stride that they allow,
// so that what is looked at is seldom met by chance. The case of letters counts.
type anchors struct {
	long, short runs
}

// The bytes of a run and the stride in each table: a literal has at least
// their sum less one, so that one of its runs falls on a place looked at.
const (
	longRun, longStride   = 5, 4
	shortRun, shortStride = 3, 3

	longAnchor  = longRun + longStride - 1
	shortAnchor = shortRun + shortStride - 1
)

// runs is one of those tables. The filter, 16 KiB, has two bits for each
// long run and one for each of the short ones, which are few.
type runs struct {
	filter *[1 << 11]uint64
	slots  []runSlot // open addressing, a power of two long
	refs   []gramRef
}

type runSlot struct {
	run      uint64
	first, n uint32 // 1 + index into refs and how many; 0 for an empty slot
}

// newAnchors enters literals of at least shortAnchor bytes each.
func newAnchors(literals []string) anchors {
	var a anchors
	a.long.enter(literals, longRun, longStride, longAnchor, 1<<30)
	a.short.enter(literals, shortRun, shortStride, shortAnchor, longAnchor)
	return a
}

// enter fills the table with the literals of at least from and below to bytes.
func (r *runs) enter(literals []string, run, stride, from, to int) {
	type entry struct {
		key uint64
		gramRef
	}
	var entries []entry
	for id, s := range literals {
		if len(s) < from || len(s) >= to {
			continue
		}
		at, _ := rarestRuns(s, run, stride)
		for o := at; o < at+stride; o++ {
			entries = append(entries, entry{runAt([]byte(s), o) << (8 * (8 - run)), gramRef{uint32(id), uint32(o)}})
		}
	}
	if len(entries) == 0 {
		return
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id), cmp.Compare(a.offset, b.offset))
	})
	r.filter = new([1 << 11]uint64)
	r.slots = make([]runSlot, 1<<bits.Len(uint(2*len(entries))))
	r.refs = make([]gramRef, len(entries))
	var at uint64 // the slot of the run that is being entered
	for i, e := range entries {
		r.refs[i] = e.gramRef
		if i > 0 && e.key == entries[i-1].key {
			r.slots[at].n++
			continue
		}
		h := e.key * runHash
		r.filter[h>>53] |= 1 << (h >> 47 & 63)
		if run == longRun {
			r.filter[h>>53] |= 1 << (h >> 41 & 63)
		}
		for at = r.slot(h); r.slots[at].n != 0; {
			at = (at + 1) & uint64(len(r.slots)-1)
		}
		r.slots[at] = runSlot{e.key, uint32(i), 1}
	}
}

const runHash = 0x9e3779b97f4a7c15

func (r *runs) slot(hash uint64) uint64 { return hash >> 20 & uint64(len(r.slots)-1) }

// probeLong returns in its lowest bit whether a run may be in the table of long
// ones, probeShort in that of short ones. The run is in the upper bytes of key, and
// all below is zero.
func probeLong(filter *[1 << 11]uint64, key uint64) uint64 {
	h := key * runHash
	w := filter[h>>53]
	return w >> (h >> 47 & 63) & (w >> (h >> 41 & 63))
}

// probeShort: see probeLong.
func probeShort(filter *[1 << 11]uint64, key uint64) uint64 {
	h := key * runHash
	return filter[h>>53] >> (h >> 47 & 63)
}

// at returns the literals that have a run.
func (r *runs) at(key uint64) []gramRef {
	for at := r.slot(key * runHash); r.slots[at].n != 0; at = (at + 1) & uint64(len(r.slots)-1) {
		if s := &r.slots[at]; s.run == key {
			return r.refs[s.first : s.first+s.n]
		}
	}
	return nil
}

// runAt loads eight bytes at text[i], with zeros after the end.
func runAt(text []byte, i int) uint64 {
	if i+8 <= len(text) {
		return binary.LittleEndian.Uint64(text[i:])
	}
	var w [8]byte
	copy(w[:], text[i:])
	return binary.LittleEndian.Uint64(w[:])
}

const (
	longShift  = 8 * (8 - longRun)
	shortShift = 8 * (8 - shortRun)
)

// next returns the first place from i on, in steps of longStride, where a run of
// some long literal may stand; -1 for none.
func (r *runs) nextLong(text []byte, i int) int {
	filter := r.filter
	if filter == nil {
		return -1
	}
	// Four places at a time: it is the branch that costs.
	for ; i+3*longStride+8 <= len(text); i += 4 * longStride {
		t := (*[3*longStride + 8]byte)(text[i:])
		a := probeLong(filter, binary.LittleEndian.Uint64(t[0:])<<longShift)
		b := probeLong(filter, binary.LittleEndian.Uint64(t[longStride:])<<longShift)
		c := probeLong(filter, binary.LittleEndian.Uint64(t[2*longStride:])<<longShift)
		d := probeLong(filter, binary.LittleEndian.Uint64(t[3*longStride:])<<longShift)
		if (a|b|c|d)&1 != 0 {
			for a&1 == 0 {
				a, b, c = b, c, d
				i += longStride
			}
			return i
		}
	}
	for ; i+longRun <= len(text); i += longStride {
		if probeLong(filter, runAt(text, i)<<longShift)&1 != 0 {
			return i
		}
	}
	return -1
}

// nextShort is nextLong for short literals.
func (r *runs) nextShort(text []byte, i int) int {
	filter := r.filter
	if filter == nil {
		return -1
	}
	for ; i+3*shortStride+8 <= len(text); i += 4 * shortStride {
		t := (*[3*shortStride + 8]byte)(text[i:])
		v, w := binary.LittleEndian.Uint64(t[0:]), binary.LittleEndian.Uint64(t[2*shortStride:])
		a, b := probeShort(filter, v<<shortShift), probeShort(filter, v>>(8*shortStride)<<shortShift)
		c, d := probeShort(filter, w<<shortShift), probeShort(filter, w>>(8*shortStride)<<shortShift)
		if (a|b|c|d)&1 != 0 {
			for a&1 == 0 {
				a, b, c = b, c, d
				i += shortStride
			}
			return i
		}
	}
	for ; i+shortRun <= len(text); i += shortStride {
		if probeShort(filter, runAt(text, i)<<shortShift)&1 != 0 {
			return i
		}
	}
	return -1
}

// hasAt reports whether text has the literal of which a run at offset stands at
// text[i].
func hasAt[S []byte | string](text []byte, i int, offset uint32, literal S) bool {
	start := i - int(offset)
	return start >= 0 && start+len(literal) <= len(text) && string(text[start:start+len(literal)]) == string(literal)
}

// rarestRuns returns where in s those stride runs begin that are the least
// likely to occur elsewhere in a script, and how likely one of them is in the mean.
func rarestRuns(s string, run, stride int) (at, cost int) {
	var costs [maxTokenLength]int // of the runs that begin in s
	for i := 0; i+run <= len(s); i++ {
		costs[i] = commonInCode(s[i : i+run])
	}
	least := -1
	for i := 0; i+stride+run-1 <= len(s); i++ {
		sum := 0
		for _, c := range costs[i : i+stride] {
			sum += c
		}
		if least < 0 || sum < least {
			least, at, cost = sum, i, sum/stride
		}
	}
	return at, cost
}

// commonInCode weighs a run: how often it would be met in vain.
func commonInCode(run string) int {
	cost := 1
	if len(run) == shortRun {
		cost = 10
	}
	if runsOfCode().has(run) {
		cost += 60
	}
	for i := 0; i < len(run); i++ {
		switch c := run[i]; {
		case strings.IndexByte("etaoinsrlcdup.", c) >= 0:
			cost += 2
		case 'a' <= c && c <= 'z':
			cost++
		}
	}
	return cost
}

// codeRuns are the runs of commonCode, of both lengths, in their lowest bytes.
type codeRuns map[uint64]struct{}

var runsOfCode = sync.OnceValue(func() codeRuns {
	set := make(codeRuns, 2*len(commonCode))
	for _, n := range [...]int{longRun, shortRun} {
		for i := 0; i+n <= len(commonCode); i++ {
			set[runWord(commonCode[i:i+n])] = struct{}{}
		}
	}
	return set
})

func (c codeRuns) has(run string) bool {
	_, ok := c[runWord(run)]
	return ok
}

// runWord packs a run of at most seven bytes and its length.
func runWord(run string) uint64 {
	w := uint64(len(run)) << 56
	for i := range len(run) {
		w |= uint64(run[i]) << (8 * i)
	}
	return w
}

// commonCode is what scripts are full of.
const commonCode = commonRuns + "window. document. google article graph square event events client count account write option options frame object " +
	"particle thumb mobile container subscribe social letter cloud track tracker .com .net .create( .init( .push( .get( .set( .cmd info loader message " +
	"remote request response success failure status active inactive visible hidden display position absolute relative important description comments " +
	"article section details product category search results number integer boolean required optional previous current recent popular trending related " +
	"send receive connect disconnect application author publish published image images video videos audio media network friend follow share login logout " +
	"new Image( encodeURIComponent( cloudfront.net companies deployment order ordered option options window. container .com/t .com/a n.com s.com t.com l.com r.com er.com cdn.com " +
	"facebook refer referrer _page page_ content config customer customize heading leading browser newsletter square interest -widget public publish .create .current " +
	"notify element document comment site sites near year year agents controls center ribbon insert inside install text context custom trust bottom captcha dropdown drop push pushed forbidden " +
	"root notification motion study just linear sum status rum forum service readable obsolete trial horizontal modify reason " +
	"tag tags gtag( getElementById createElement parentElement mark text terms form( sites not note hint( unit( _to _id _ad _code _url _data _name insert " +
	"push push( .push( .variables Context( collect promote server international promo analytics"
