package rules

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// maxLabels is how many labels of a host are looked at, counted from the
// right. No rule names a domain of more.
const maxLabels = 16

// labels are the suffixes of a host at its dots, shortest first, each with a
// hash: of "a.b.example" these are "example", "b.example" and "a.b.example".
// They are worked out once per host and serve every table.
type labels struct {
	n      int
	hashes [maxLabels]uint32
	starts [maxLabels]int32 // offsets into the host
	// tracks says whether the host is called like a tracker's: 1 if so, -1 if not, 0
	// until somebody asks.
	tracks int8
}

// read works out the suffixes of the host that stands at buf[at:end]. At least
// textPad bytes must stand before it: a label's bytes are loaded eight at a
// time, backwards, whatever its length.
func (l *labels) read(buf []byte, at, end int) {
	l.n, l.tracks = 0, 0
	h := uint64(labelSeed)
	for i := end; ; {
		start := i
		for start > at && buf[start-1] != '.' {
			start--
		}
		for i-start > 8 {
			h = mix(h, binary.LittleEndian.Uint64(buf[i-8:]))
			i -= 8
		}
		word := binary.LittleEndian.Uint64(buf[i-8:])
		h = mix(h, word>>(uint(8-(i-start))*8)^uint64(i-start)<<56)
		l.hashes[l.n], l.starts[l.n] = uint32(h>>32), int32(start-at)
		l.n++
		if start == at || l.n == maxLabels {
			return
		}
		i = start - 1
	}
}

const labelSeed = 0x9e3779b97f4a7c15

func mix(h, word uint64) uint64 {
	hi, lo := bits.Mul64(h^word, 0xa0761d6478bd642f)
	return hi ^ lo ^ labelSeed
}

// domainTable maps domains to small numbers. It is open-addressed over the
// hashes of labels and at most half full.
type domainTable struct {
	slots []domainSlot
	names []string
	above int // labels: all domains have more
}

type domainSlot struct {
	hash uint32
	name uint32 // 1 + index into names, 0 for an empty slot
}

// find returns the number of the domain that suffix i of the host is, -1 for
// none.
func (t *domainTable) find(l *labels, host []byte, i int) int {
	if len(t.slots) == 0 {
		return -1
	}
	mask := uint32(len(t.slots) - 1)
	h := l.hashes[i]
	for at := h & mask; ; at = (at + 1) & mask {
		s := t.slots[at]
		if s.name == 0 {
			return -1
		}
		if s.hash == h && t.names[s.name-1] == string(host[l.starts[i]:]) {
			return int(s.name - 1)
		}
	}
}

// add returns the number of a domain, a new one if it is not in the table yet.
// The domain has at most maxLabels labels.
func (t *domainTable) add(domain string) int {
	if 2*(len(t.names)+1) > len(t.slots) {
		t.grow()
	}
	var room [textPad + 64]byte
	buf := append(room[:textPad], domain...)
	var l labels
	l.read(buf, textPad, len(buf))
	if n := t.find(&l, buf[textPad:], l.n-1); n >= 0 {
		return n
	}
	if len(t.names) == 0 || l.n <= t.above {
		t.above = l.n - 1
	}
	t.names = append(t.names, domain)
	t.insert(domainSlot{l.hashes[l.n-1], uint32(len(t.names))})
	return len(t.names) - 1
}

func (t *domainTable) insert(s domainSlot) {
	mask := uint32(len(t.slots) - 1)
	at := s.hash & mask
	for t.slots[at].name != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = s
}

// reserve makes room for n domains.
func (t *domainTable) reserve(n int) {
	t.names = slices.Grow(t.names, n)
	t.resize(1 << bits.Len(uint(2*n)))
}

func (t *domainTable) grow() { t.resize(max(16, 2*len(t.slots))) }

// resize makes the table have n slots, a power of two.
func (t *domainTable) resize(n int) {
	old := t.slots
	t.slots = make([]domainSlot, n)
	for _, s := range old {
		if s.name != 0 {
			t.insert(s)
		}
	}
}
