package scan

import (
	"encoding/binary"
	"strings"
)

// Names maps a fixed list of ASCII names to their places in the list, without
// regard to case. It is immutable and safe for concurrent use.
type Names struct {
	slots []slot // open addressing, a power of two long, mostly empty
	names []string
	shift uint8
}

type slot struct {
	head  uint64 // the first eight bytes
	index uint16 // into names, 0 for an empty slot
	n     uint8  // length
	// whole says that head is all of the name, and that no other byte than
	// its own upper case looks like one of it in head.
	whole bool
}

// NewNames returns the table of names, each in lower case and 1 to 63 bytes
// long. Find returns an index into names; names[0] stands for all that are not
// listed and is never found itself.
func NewNames(names []string) *Names {
	bits := uint8(4)
	for 1<<bits < 3*len(names) {
		bits++
	}
	t := &Names{slots: make([]slot, 1<<bits), names: names, shift: 64 - bits}
	for i, name := range names[1:] {
		h := NameHead([]byte(name), 0, len(name))
		at := t.slot(h, len(name))
		for t.slots[at].index != 0 {
			at = (at + 1) & (len(t.slots) - 1)
		}
		t.slots[at] = slot{h, uint16(i + 1), uint8(len(name)), len(name) <= 8 && !strings.ContainsAny(name, "0123456789:")}
	}
	return t
}

// Find returns the index of b[i:j] in the list, 0 if it is not there.
func (t *Names) Find(b []byte, i, j int) int {
	if j == i {
		return 0
	}
	return t.find(NameHead(b, i, j), b[i:j])
}

// find is Find for a name, not empty, whose head is at hand.
func (t *Names) find(head uint64, name []byte) int {
	for at := t.slot(head, len(name)); ; at++ {
		s := &t.slots[at&(len(t.slots)-1)]
		if s.head == head && int(s.n) == len(name) && (s.whole || EqualFold(name, t.names[s.index])) {
			return int(s.index)
		}
		if s.index == 0 {
			return 0
		}
	}
}

// Len returns how many names there are, with names[0].
func (t *Names) Len() int { return len(t.names) }

// Name returns the i-th name.
func (t *Names) Name(i int) string { return t.names[i] }

// slot spreads a name by its first eight bytes and its length.
func (t *Names) slot(head uint64, n int) int {
	return int((head ^ uint64(n)) * 0x9e3779b97f4a7c15 >> t.shift)
}

// NameHead returns the first eight bytes of the name b[i:j] with 0x20 set in
// each, which makes letters lower case, and zeros where the name is shorter.
func NameHead(b []byte, i, j int) uint64 {
	n := j - i
	var v uint64
	if i+8 <= len(b) {
		v = binary.LittleEndian.Uint64(b[i:])
	} else {
		for k := 0; i+k < len(b); k++ {
			v |= uint64(b[i+k]) << (8 * k)
		}
	}
	return LowerHead(v, n)
}

// LowerHead returns the NameHead of a name of n bytes that begins with those of v.
func LowerHead(v uint64, n int) uint64 {
	v |= 0x2020202020202020
	if n < 8 {
		v &= 1<<(8*uint(n)&63) - 1
	}
	return v
}

// EqualFold reports whether b is name but for the case of ASCII letters. name
// must be in lower case.
func EqualFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}
