package iab

import "encoding/base64"

// bits are written from the highest down, as both frameworks have it.
type bits struct {
	bytes []byte
	n     int
}

func (b *bits) add(value uint64, width int) {
	for i := width - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(value>>i&1) << (7 - b.n%8)
		b.n++
	}
}

func (b *bits) flag(set bool) {
	if set {
		b.add(1, 1)
	} else {
		b.add(0, 1)
	}
}

// letters writes two letters of six bits each, A as 0.
func (b *bits) letters(s string) {
	for i := range 2 {
		b.add(uint64((s[i]|0x20)-'a'), 6)
	}
}

func (b *bits) String() string { return base64.RawURLEncoding.EncodeToString(b.bytes) }
