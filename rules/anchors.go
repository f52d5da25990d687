package rules

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
)

// anchors finds which of many literals occur in a script, in one pass whatever
// their number. Literals too short for the longer runs are few, mostly none, and
// stand in a table of their own with shorter ones, for a pass of its own.
type anchors struct {
	long, short runs
}

// The bytes of a run in each table and how far apart the places are that are
// looked at: a literal has at least their sum less one, so that one of its runs
// falls on such a place.
const (
	anchorStride        = 3
	longRun, shortRun   = 4, 3
	longAnchor          = longRun + anchorStride - 1
	shortAnchor         = shortRun + anchorStride - 1
	longMask, shortMask = 1<<32 - 1, 1<<24 - 1
)

// runs finds which of many literals occur in a text. It looks only at places some
// bytes apart, and there at one run of bytes. The case of letters counts. The filter,
// 64 KiB, has a bit for each run.
type runs struct {
	mask   uint32 // of a run's bytes
	filter *[1 << 13]uint64
	slots  []runSlot // open addressing, a power of two long
	refs   []runRef
}

type runSlot struct {
	run   uint32
	first uint32 // 1 + where the run's refs begin; 0 for an empty slot
}

// runRef is a literal in which a run occurs. Its window is up to eight bytes of the
// literal about the run: most that have the run by chance have nothing more of it.
type runRef struct {
	window uint64
	id     uint32 // the literal's number
	offset uint8  // where in the literal the run begins
	back   uint8  // how far before the run the window begins
	length uint8  // of the window
	last   bool   // no more literals have the run
}

// newAnchors enters literals of at least shortAnchor and at most maxTokenLength
// bytes each.
func newAnchors(literals []string) anchors {
	var a anchors
	a.long.enter(literals, longRun, longMask, commonInCode)
	a.short.enter(literals, shortRun, shortMask, commonInCode)
	return a
}

// enter fills the table with the literals that are for runs of this length, under
// runs that are not common.
func (r *runs) enter(literals []string, run int, mask uint32, common func(run string) int) {
	keys := make([]uint64, 0, anchorStride*len(literals)) // runs, and behind them which literal's and where in it
	for id, s := range literals {
		if len(s) < shortAnchor || len(s) < longAnchor != (run == shortRun) {
			continue
		}
		at, _ := rarestRuns(s, run, common)
		for o := at; o < at+anchorStride; o++ {
			keys = append(keys, uint64(uint32(runAt([]byte(s), o))&mask)<<32|uint64(id)<<8|uint64(o))
		}
	}
	if len(keys) == 0 {
		return
	}
	slices.Sort(keys)
	runOf := func(i int) uint32 { return uint32(keys[i] >> 32) }
	r.mask = mask
	r.filter = new([1 << 13]uint64)
	r.slots = make([]runSlot, 1<<bits.Len(uint(2*len(keys))))
	r.refs = make([]runRef, len(keys))
	for i, key := range keys {
		id, o := uint32(key)>>8, int(uint8(key))
		s := literals[id]
		begin := max(0, min(o, len(s)-8))
		length := min(8, len(s)-begin)
		last := i+1 == len(keys) || runOf(i+1) != runOf(i)
		r.refs[i] = runRef{runAt([]byte(s[begin:begin+length]), 0), id, uint8(o), uint8(o - begin), uint8(length), last}
		if i > 0 && runOf(i-1) == runOf(i) {
			continue
		}
		h := runOf(i) * runHash
		r.filter[h>>19] |= 1 << (h >> 13 & 63)
		at := r.slot(h)
		for r.slots[at].first != 0 {
			at = (at + 1) & uint32(len(r.slots)-1)
		}
		r.slots[at] = runSlot{runOf(i), uint32(i) + 1}
	}
}

const runHash = 0x9e3779b1

func (r *runs) slot(hash uint32) uint32 { return hash >> 6 & uint32(len(r.slots)-1) }

// probeRun returns in its lowest bit whether a run may be in a table.
func probeRun(filter *[1 << 13]uint64, run uint32) uint64 {
	h := run * runHash
	return filter[h>>19] >> (h >> 13 & 63)
}

// scan calls found with the number of every literal that may begin at text[start],
// which may lie outside of text. Who asks compares the literal itself.
func (r *runs) scan(text []byte, found func(id, start int)) {
	filter, mask := r.filter, r.mask
	if filter == nil {
		return
	}
	var rest [7*anchorStride + 4]byte
	for i := 0; i+shortRun <= len(text); i += 8 * anchorStride {
		t := &rest
		if len(text) >= len(rest) {
			i = min(i, len(text)-len(rest)) // the last places are some of those before
			t = (*[len(rest)]byte)(text[i:])
		} else {
			copy(rest[:], text)
		}
		// Eight places at a time: it is the branch that costs.
		a := probeRun(filter, binary.LittleEndian.Uint32(t[0*anchorStride:])&mask)
		b := probeRun(filter, binary.LittleEndian.Uint32(t[1*anchorStride:])&mask)
		c := probeRun(filter, binary.LittleEndian.Uint32(t[2*anchorStride:])&mask)
		d := probeRun(filter, binary.LittleEndian.Uint32(t[3*anchorStride:])&mask)
		e := probeRun(filter, binary.LittleEndian.Uint32(t[4*anchorStride:])&mask)
		f := probeRun(filter, binary.LittleEndian.Uint32(t[5*anchorStride:])&mask)
		g := probeRun(filter, binary.LittleEndian.Uint32(t[6*anchorStride:])&mask)
		h := probeRun(filter, binary.LittleEndian.Uint32(t[7*anchorStride:])&mask)
		if (a|b|c|d|e|f|g|h)&1 == 0 {
			continue
		}
		for hits := a&1 | b&1<<1 | c&1<<2 | d&1<<3 | e&1<<4 | f&1<<5 | g&1<<6 | h&1<<7; hits != 0; hits &= hits - 1 {
			r.look(text, i+anchorStride*bits.TrailingZeros64(hits), found)
		}
	}
}

// look calls found with the literals whose run, and what is about it, stands at
// text[i].
func (r *runs) look(text []byte, i int, found func(id, start int)) {
	run := uint32(runAt(text, i)) & r.mask
	at := r.slot(run * runHash)
	for r.slots[at].first != 0 && r.slots[at].run != run {
		at = (at + 1) & uint32(len(r.slots)-1)
	}
	if r.slots[at].first == 0 {
		return
	}
	for n := r.slots[at].first - 1; ; n++ {
		ref := &r.refs[n]
		if ref.mayStand(text, i) {
			found(int(ref.id), i-int(ref.offset))
		}
		if ref.last {
			return
		}
	}
}

// mayStand reports whether the window about a run at text[i] is the literal's.
func (r *runRef) mayStand(text []byte, i int) bool {
	i -= int(r.back)
	return i >= 0 && (runAt(text, i)^r.window)<<(64-8*r.length) == 0
}

// runAt loads eight bytes at text[i], with zeros after the end.
func runAt(text []byte, i int) uint64 {
	if i+8 <= len(text) {
		return binary.LittleEndian.Uint64(text[i:])
	}
	var w [8]byte
	copy(w[:], text[min(i, len(text)):])
	return binary.LittleEndian.Uint64(w[:])
}

// startsAt reports whether text has the literal at text[start], which may lie
// outside of it.
func startsAt[S []byte | string](text []byte, start int, literal S) bool {
	return start >= 0 && start+len(literal) <= len(text) && string(text[start:start+len(literal)]) == string(literal)
}

// rarestRuns returns where in s, of which it looks at maxTokenLength bytes, those
// anchorStride runs begin that are the least likely to occur elsewhere, and how likely
// one of them is in the mean.
func rarestRuns(s string, run int, common func(run string) int) (at, cost int) {
	var costs [maxTokenLength]int // of the runs that begin in s
	n := min(len(s)-run+1, len(costs))
	for i := range n {
		costs[i] = common(s[i : i+run])
	}
	least := -1
	for i := 0; i+anchorStride <= n; i++ {
		sum := 0
		for _, c := range costs[i : i+anchorStride] {
			sum += c
		}
		if least < 0 || sum < least {
			least, at, cost = sum, i, sum/anchorStride
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
	if runsOfCode().has(runWord(run)) {
		cost += 60
	}
	if commonestRunsOfCode().has(runWord(run)) {
		cost += 200
	}
	for i := 0; i < len(run); i++ {
		cost += int(costsInCode[run[i]])
	}
	return cost
}

var costsInCode = letterCosts("etaoinsrlcdup.")

// runsOfCode are the runs of commonCode, and of what is the commonest in it.
var (
	runsOfCode          = sync.OnceValue(func() *runFilter { return runsIn(commonCode) })
	commonestRunsOfCode = sync.OnceValue(func() *runFilter { return runsIn(commonestCode) })
)

// runsIn returns the runs of a text, of both lengths.
func runsIn(text string) *runFilter {
	f := new(runFilter)
	for _, n := range [...]int{longRun, shortRun} {
		for i := 0; i+n <= len(text); i++ {
			f.add(runWord(text[i : i+n]))
		}
	}
	return f
}

// runFilter has runs, 32 KiB for some thousands, and takes one of fifty others for
// one that it has.
type runFilter [1 << 12]uint64

func (f *runFilter) add(run uint64) {
	bit := run * wordHash >> (64 - 18)
	f[bit/64] |= 1 << (bit % 64)
}

func (f *runFilter) has(run uint64) bool {
	bit := run * wordHash >> (64 - 18)
	return f[bit/64]>>(bit%64)&1 != 0
}

const wordHash = 0x9e3779b97f4a7c15

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
	"push push( .push( .variables Context( collect promote server international promo analytics " +
	"type Type shop shopping state status static form format Format information support port seventy tracking king_ king- ing- ing_ -ing product_ project_ identity entity entity_ " +
	"Link links client_id element_id refresh fresh Page page. image. sign design next live liver accounts country entry marker Mark sell seller handle handler native national space " +
	"sale sales wholesale statistic plastic limit limits limited student identifier Data change exchange branch brand currency ify. fy.com ity.com y.com e.com om/s om/c om/w om/b " +
	"key_ _key _keys clear learn early attempt pattern latter provider improve preset quantity Browser flex flexible profile profile_ order_ under_ nText eText ntId entId ionS " +
	"duration aster faster acking stack ets. ntIn adder allow allows nts. Load load. query. Serv Service -gra graph ticket pocket bracket platform enter_ _data flow follow like record " +
	"right light might weight flight thunder lights service services part parts work worker network artist merchandise commerce merchant navigator operator iterator _config _con " +
	"intelligent excellent amazon ding. ring. ting. tic. side- ide- queue Image Images ward forward cover discover Review Reviews percent eCon eConfig tails details mail cial " +
	"social media hrough through shape shared strong stroke astro ents. ants: _set et_s ed_s _ref _ref= _tr_ "

// commonestCode is what they say in every other line.
const commonestCode = "type Type shop state format right options Option port event before reference track account site page product form service client " +
	"market work base article"
