package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
)

// signs says what the tag shows, by its own attributes, of being there to be
// counted and not seen.
func (rw *Rewriter) signs() rules.Sign {
	if t := &rw.tag; !t.signed {
		t.sign, t.signed = rw.readSigns(), true
	}
	return rw.tag.sign
}

func (rw *Rewriter) readSigns() (s rules.Sign) {
	if rw.scan.Unscripted {
		s |= rules.Noscript
	}
	if rw.find(attrHidden) >= 0 {
		s |= rules.Hidden
	}
	width, height := unsized, unsized
	wide, high := false, false
	if a := rw.find(attrWidth); a >= 0 {
		width = pixels(rw.rawValue(a))
	}
	if a := rw.find(attrHeight); a >= 0 {
		height = pixels(rw.rawValue(a))
	}
	if a := rw.find(attrStyle); a >= 0 {
		for rest := rw.rawValue(a); len(rest) > 0; {
			var declaration []byte
			declaration, rest, _ = bytes.Cut(rest, []byte{';'})
			name, value, _ := bytes.Cut(declaration, []byte{':'})
			name, value = bytes.TrimSpace(name), bytes.TrimSpace(value)
			value = bytes.TrimSpace(bytes.TrimSuffix(value, []byte("!important")))
			switch {
			case scan.EqualFold(name, "width"):
				width = pixels(value)
			case scan.EqualFold(name, "height"):
				height = pixels(value)
			case scan.EqualFold(name, "min-width"):
				wide = isLong(value)
			case scan.EqualFold(name, "min-height"):
				high = isLong(value)
			case scan.EqualFold(name, "display") && scan.EqualFold(value, "none"),
				scan.EqualFold(name, "visibility") && scan.EqualFold(value, "hidden"),
				scan.EqualFold(name, "opacity") && pixels(value) == 0:
				s |= rules.Hidden
			}
		}
	}
	if wide {
		width = unsized
	}
	if high {
		height = unsized
	}
	if width == 0 || height == 0 || width == 1 && height == 1 {
		s |= rules.Tiny
	}
	return s
}

// isLong reports whether a least length, of any unit, has two digits: pictures that
// fill what is about them have no width, and min-width:100%.
func isLong(value []byte) bool {
	for i := 1; i < len(value); i++ {
		if isDigit(value[i-1]) && isDigit(value[i]) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// unsized is a length that is not said, or not in pixels.
const unsized = -1

// pixels reads a length in whole pixels, with or without its unit. One below
// 1 pixel counts as 0 only if it is.
func pixels(value []byte) int {
	value = bytes.TrimSpace(value)
	n, digits := 0, 0
	for digits < len(value) && digits < 6 && isDigit(value[digits]) {
		n = n*10 + int(value[digits]-'0')
		digits++
	}
	if unit := value[digits:]; digits == 0 || len(unit) > 0 && !scan.EqualFold(unit, "px") {
		return unsized
	}
	return n
}
