package scan

import (
	"bytes"
	"encoding/binary"
	"html"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// AppendValue appends an attribute's value as a browser reads it: character
// references decoded by the rules for attributes, NUL as U+FFFD, a carriage
// return or one with a line feed as a line feed.
func AppendValue(dst, raw []byte) []byte { return appendDecoded(dst, raw, false) }

// AppendText is AppendValue for text: there an old reference needs no semicolon
// whatever follows (HTML, section 13.2.5.73).
func AppendText(dst, raw []byte) []byte { return appendDecoded(dst, raw, true) }

func appendDecoded(dst, raw []byte, text bool) []byte {
	for {
		n := plain(raw)
		dst = append(dst, raw[:n]...)
		if n == len(raw) {
			return dst
		}
		switch raw[n] {
		case 0:
			dst = append(dst, "\uFFFD"...)
			raw = raw[n+1:]
		case '\r':
			dst = append(dst, '\n')
			raw = bytes.TrimPrefix(raw[n+1:], newline)
		default:
			var used int
			dst, used = appendReference(dst, raw[n:], text)
			raw = raw[n+used:]
		}
	}
}

var newline = []byte("\n")

// Plain reports whether raw is already what AppendValue would make of it. The
// last eight bytes may have been among those looked at before.
func Plain(raw []byte) bool {
	if len(raw) < 8 {
		return plain(raw) == len(raw)
	}
	last := len(raw) - 8
	for i := 0; i < last; i += 8 {
		if odd(binary.LittleEndian.Uint64(raw[i:])) != 0 {
			return false
		}
	}
	return odd(binary.LittleEndian.Uint64(raw[last:])) == 0
}

// odd has the top bit of the first byte of v set that does not stand for itself, 0
// where all do.
func odd(v uint64) uint64 {
	amp, cr := v^ones*'&', v^ones*'\r'
	return ((amp-ones)&^amp | (cr-ones)&^cr | (v-ones)&^v) & highs
}

// plain returns how many bytes of raw stand for themselves before the first that
// does not.
func plain(raw []byte) int {
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		if odd := odd(binary.LittleEndian.Uint64(raw[i:])); odd != 0 {
			return i + bits.TrailingZeros64(odd)>>3
		}
	}
	for ; i < len(raw); i++ {
		if c := raw[i]; c == '&' || c == '\r' || c == 0 {
			break
		}
	}
	return i
}

// appendReference appends what the character reference at raw[0], an
// ampersand, stands for, and returns how many bytes it takes.
func appendReference(dst, raw []byte, text bool) ([]byte, int) {
	i := 1
	if len(raw) > 1 && raw[1] == '#' {
		return appendNumeric(dst, raw)
	}
	for i < len(raw) && (letter(raw[i]) || '0' <= raw[i] && raw[i] <= '9') {
		i++
	}
	name := raw[1:i]
	if i < len(raw) && raw[i] == ';' {
		if got, ok := commonReferences[string(name)]; ok {
			return append(dst, got...), i + 1
		}
		// The table of the standard library is reached through its decoder alone,
		// which also takes a name that merely begins with an old reference.
		if len(name) <= longestReference {
			if got := html.UnescapeString(string(raw[:i+1])); got[0] != '&' && !strings.HasSuffix(got, ";") {
				return append(dst, got...), i + 1
			}
		}
	}
	// Only the old references do without a semicolon, and in an attribute only
	// where nothing follows that may be a part of the name.
	shortest := len(name)
	if text {
		shortest = 2
	} else if i < len(raw) && raw[i] == '=' {
		return append(dst, raw[:i]...), i
	}
	for n := min(len(name), longestOldReference); n >= shortest && n > 0; n-- {
		if got, ok := oldReferences[string(name[:n])]; ok {
			return append(dst, got...), 1 + n
		}
	}
	return append(dst, raw[:i]...), i
}

// The lengths of the names in the table of HTML (section 13.5).
const (
	longestReference    = 32
	longestOldReference = 6
)

// oldReferences are those that HTML knows without a semicolon, commonReferences
// those that pages are written with, the names of HTML 4 among them. Both are
// looked up without allocating.
var oldReferences, commonReferences = func() (old, common map[string]string) {
	const oldNames = "amp AMP lt LT gt GT quot QUOT COPY REG " +
		"nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute " +
		"micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil " +
		"Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute " +
		"Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute " +
		"icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml"
	const names = "OElig oelig " +
		"Scaron scaron Yuml fnof circ tilde ensp emsp thinsp zwnj zwj lrm rlm ndash mdash lsquo rsquo sbquo ldquo rdquo bdquo dagger " +
		"Dagger bull hellip permil prime Prime lsaquo rsaquo oline frasl euro image weierp real trade alefsym larr uarr rarr darr harr " +
		"crarr lArr uArr rArr dArr hArr forall part exist empty nabla isin notin ni prod sum minus lowast radic prop infin ang and or cap cup " +
		"int there4 sim cong asymp ne equiv le ge sub sup nsub sube supe oplus otimes perp sdot lceil rceil lfloor rfloor lang rang loz spades clubs " +
		"hearts diams Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho Sigma Tau Upsilon Phi Chi Psi Omega " +
		"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma tau upsilon phi chi psi omega " +
		"thetasym upsih piv " +
		"apos colon sol period quest equals num excl commat lpar rpar lsqb rsqb lbrack rbrack lbrace rbrace lcub rcub lowbar grave " +
		"comma semi plus ast dollar percnt verbar vert bsol Tab NewLine check star"
	old, common = map[string]string{}, map[string]string{}
	for name := range strings.FieldsSeq(oldNames) {
		old[name] = html.UnescapeString("&" + name + ";")
		common[name] = old[name]
	}
	for name := range strings.FieldsSeq(names) {
		common[name] = html.UnescapeString("&" + name + ";")
	}
	return old, common
}()

// appendNumeric is appendReference for &#…; and &#x…;.
func appendNumeric(dst, raw []byte) ([]byte, int) {
	i, base := 2, rune(10)
	if i < len(raw) && raw[i]|0x20 == 'x' {
		i++
		base = 16
	}
	first := i
	var r rune
	for ; i < len(raw); i++ {
		c := raw[i]
		var d rune
		switch {
		case '0' <= c && c <= '9':
			d = rune(c - '0')
		case base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f':
			d = rune(c|0x20-'a') + 10
		default:
			d = -1
		}
		if d < 0 {
			break
		}
		if r <= utf8.MaxRune {
			r = r*base + d
		}
	}
	if i == first {
		return append(dst, raw[:i]...), i
	}
	if i < len(raw) && raw[i] == ';' {
		i++
	}
	switch {
	case r == 0 || r > utf8.MaxRune || 0xD800 <= r && r <= 0xDFFF:
		r = utf8.RuneError
	case 0x80 <= r && r <= 0x9F:
		if w := windows1252[r-0x80]; w != 0 {
			r = w
		}
	}
	return utf8.AppendRune(dst, r), i
}

// windows1252 is what the C1 controls stand for as numeric references.
var windows1252 = [32]rune{
	0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
	0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
}
