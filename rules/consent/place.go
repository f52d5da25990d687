package consent

import "strings"

// Place is where a visitor is, as far as the law that holds for them depends on
// it: a country (ISO 3166-1 alpha-2) and, where known, a part of it (what
// follows the hyphen of an ISO 3166-2 code). The zero Place is unknown. Places
// compare.
type Place uint32

// A place is five characters of six bits, the country's first; what is missing
// is zero.
const (
	placeBits    = 6
	regionBits   = 3 * placeBits
	placeDigits  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	placeMaximum = 1<<placeBits - 1
)

// PlaceOf returns the place of a country and a region, both in any case. The
// region may be empty, and may be written with its country before it, as in
// US-CA. What is no country code is unknown; what is no region is left out.
func PlaceOf[T string | []byte](country, region T) Place {
	c, ok := placeChars(country, 2)
	if !ok || len(country) != 2 {
		return 0
	}
	if string(country) == "UK" || string(country) == "uk" {
		c, _ = placeChars("GB", 2)
	}
	p := Place(c) << regionBits
	if len(region) > 3 && region[2] == '-' {
		if before, ok := placeChars(region[:2], 2); !ok || before != c {
			return p
		}
		region = region[3:]
	}
	if r, ok := placeChars(region, 3); ok {
		p |= Place(r)
	}
	return p
}

// ParsePlace reads what String writes, such as DE or US-CA.
func ParsePlace(s string) (Place, bool) {
	country, region, parted := strings.Cut(s, "-")
	p := PlaceOf(country, region)
	return p, p != 0 && parted == (p.Country() != p) && p.String() == s
}

func placeChars[T string | []byte](s T, length int) (n uint32, ok bool) {
	if len(s) == 0 || len(s) > length {
		return 0, false
	}
	for i := range length {
		n <<= placeBits
		if i >= len(s) {
			continue
		}
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			n |= uint32(c-'0') + 1
		case c >= 'A' && c <= 'Z':
			n |= uint32(c-'A') + 11
		case c >= 'a' && c <= 'z':
			n |= uint32(c-'a') + 11
		default:
			return 0, false
		}
	}
	return n, true
}

// Country returns the place without its region.
func (p Place) Country() Place { return p >> regionBits << regionBits }

// String returns the place as ISO 3166 spells it: DE, US-CA; empty if unknown.
func (p Place) String() string {
	var text [6]byte
	s := text[:0]
	for shift := regionBits + placeBits; shift >= 0; shift -= placeBits {
		n := p >> shift & placeMaximum
		if shift == regionBits-placeBits && n != 0 {
			s = append(s, '-')
		}
		if n != 0 {
			s = append(s, placeDigits[n-1])
		}
	}
	return string(s)
}
