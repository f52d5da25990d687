package rules

import (
	"errors"
	"fmt"
	"strings"
)

// nameTable decides by exact names and by prefixes: of cookies, of storage
// keys, of marks. An exact name beats a prefix, a longer prefix a shorter one,
// and of equal ones the first stands.
type nameTable struct {
	slots   []nameSlot
	entries []nameEntry
	// prefixes has a bit for each length below 64 that some prefix has.
	prefixes uint64
}

type nameSlot struct {
	hash  uint32
	entry uint32 // 1 + index into entries, 0 for an empty slot
}

type nameEntry struct {
	name   string // without the "*" of a prefix
	prefix bool
	// next is 1 + the index of another entry of the same name and sort, which
	// would decide without this one.
	next uint32
	verdict
}

// maxPrefixLength bounds prefixes, maxNameLength what is looked up: a longer
// name is looked at as far as prefixes reach.
const (
	maxPrefixLength = 63
	maxNameLength   = 255
)

// checkName refuses a name that is empty, too long, or would match everything.
func checkName(name string) error {
	prefix, starred := strings.CutSuffix(name, "*")
	switch {
	case strings.Contains(prefix, "*"):
		return fmt.Errorf("name %q: \"*\" may only end it", name)
	case starred && len(prefix) < 2:
		return fmt.Errorf("name %q: a prefix needs at least 2 bytes", name)
	case starred && len(prefix) > maxPrefixLength:
		return fmt.Errorf("name %q: a prefix has at most %d bytes", name, maxPrefixLength)
	case prefix == "":
		return errors.New("name is empty")
	case len(name) > maxNameLength:
		return fmt.Errorf("name has %d bytes; at most %d", len(name), maxNameLength)
	case strings.ContainsAny(name, "\x00\r\n"):
		return fmt.Errorf("name %q has a control character", name)
	}
	return nil
}

const (
	nameSeed   = 2166136261
	namePrime  = 16777619
	prefixSalt = 0x85ebca6b
)

// add enters a name as checkName passes it.
func (t *nameTable) add(name string, v verdict) {
	name, prefix := strings.CutSuffix(name, "*")
	h := uint32(nameSeed)
	for i := 0; i < len(name); i++ {
		h = (h ^ uint32(name[i])) * namePrime
	}
	if prefix {
		t.prefixes |= 1 << len(name)
		h ^= prefixSalt
	}
	t.entries = append(t.entries, nameEntry{name: name, prefix: prefix, verdict: v})
	added := uint32(len(t.entries))
	if first := t.lookup(h, []byte(name), prefix); first != 0 {
		at := &t.entries[first-1]
		for at.next != 0 {
			at = &t.entries[at.next-1]
		}
		at.next = added
		return
	}
	if 2*len(t.entries) > len(t.slots) {
		t.grow()
	}
	t.insert(nameSlot{h, added})
}

func (t *nameTable) insert(s nameSlot) {
	mask := uint32(len(t.slots) - 1)
	at := s.hash & mask
	for t.slots[at].entry != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = s
}

func (t *nameTable) grow() {
	old := t.slots
	t.slots = make([]nameSlot, max(16, 2*len(old)))
	for _, s := range old {
		if s.entry != 0 {
			t.insert(s)
		}
	}
}

func (t *nameTable) lookup(h uint32, name []byte, prefix bool) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	mask := uint32(len(t.slots) - 1)
	for at := h & mask; t.slots[at].entry != 0; at = (at + 1) & mask {
		if s := t.slots[at]; s.hash == h {
			if e := &t.entries[s.entry-1]; e.prefix == prefix && e.name == string(name) {
				return s.entry
			}
		}
	}
	return 0
}

// find returns what is known of a name, nil for nothing.
func (t *nameTable) find(name []byte, except without) *verdict {
	if len(t.slots) == 0 || len(name) == 0 {
		return nil
	}
	h := uint32(nameSeed)
	var prefix *verdict
	for i, c := range name {
		if i > maxPrefixLength && len(name) > maxNameLength {
			return prefix
		}
		h = (h ^ uint32(c)) * namePrime
		if n := i + 1; n <= maxPrefixLength && t.prefixes&(1<<n) != 0 {
			if v := t.first(t.lookup(h^prefixSalt, name[:n], true), except); v != nil {
				prefix = v
			}
		}
	}
	if v := t.first(t.lookup(h, name, false), except); v != nil {
		return v
	}
	return prefix
}

func (t *nameTable) first(entry uint32, except without) *verdict {
	for ; entry != 0; entry = t.entries[entry-1].next {
		if v := &t.entries[entry-1].verdict; !except.has(&v.rule) {
			return v
		}
	}
	return nil
}
