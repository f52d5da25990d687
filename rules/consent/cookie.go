package consent

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"math"
	"strconv"
	"time"
)

// CookieName is the name of the cookie that carries a Choice.
const CookieName = "askfirst"

// DefaultMaxAge is how long a choice stands unless the site says otherwise;
// MaxMaxAge is the longest that a site may say (browsers cap cookies at 400
// days).
const (
	DefaultMaxAge = 180 * 24 * time.Hour
	MaxMaxAge     = 395 * 24 * time.Hour
)

const cookieVersion = "1"

// clockSkew is how far ahead of ours the clock of another proxy may be before
// a choice that it wrote counts as from the future.
const clockSkew = time.Minute

// ID is the random name of a receipt. It is made when a choice is made, never
// before, so that nobody is recognised who has not decided yet.
type ID [16]byte

// NewID returns 128 fresh random bits.
func NewID() ID {
	var id ID
	rand.Read(id[:])
	return id
}

const idTextLen = 22

// String returns the ID in base64url without padding, 22 characters.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseID reads what String writes.
func ParseID[T string | []byte](text T) (ID, bool) {
	var id ID
	if len(text) != idTextLen {
		return id, false
	}
	var src [idTextLen]byte
	copy(src[:], text)
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], src[:])
	return id, err == nil && n == len(id)
}

// AppendCookie appends the cookie value of c:
// 1.<revision>.<categories>.<unix seconds>.<id>.
func (c *Choice) AppendCookie(dst []byte) []byte {
	dst = append(dst, cookieVersion...)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, uint64(c.Revision), 10)
	dst = append(dst, '.')
	dst, _ = c.Categories.AppendText(dst)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, c.At.Unix(), 10)
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, c.ID[:])
}

// ParseCookie reads a cookie value. It reports false for a value that is
// malformed, from the future, older than maxAge, or of a revision other than
// the one in force: such a value counts as no choice. It does not allocate.
func ParseCookie(value []byte, now time.Time, revision uint32, maxAge time.Duration) (Choice, bool) {
	var c Choice
	version, rest, ok := bytes.Cut(value, dot)
	if !ok || string(version) != cookieVersion {
		return c, false
	}
	field, rest, _ := bytes.Cut(rest, dot)
	n, ok := parseUint(field, math.MaxUint32)
	if !ok || uint32(n) != revision {
		return c, false
	}
	c.Revision = uint32(n)
	field, rest, _ = bytes.Cut(rest, dot)
	if c.Categories, ok = ParseSet(field); !ok {
		return c, false
	}
	field, rest, _ = bytes.Cut(rest, dot)
	n, ok = parseUint(field, math.MaxInt64)
	if !ok {
		return c, false
	}
	c.At = time.Unix(int64(n), 0)
	if age := now.Sub(c.At); age < -clockSkew || age > maxAge {
		return c, false
	}
	c.ID, ok = ParseID(rest)
	return c, ok
}

// ParseCookieID returns the ID in a cookie's value, whether or not its choice counts.
func ParseCookieID(value []byte) (ID, bool) {
	return ParseID(value[bytes.LastIndexByte(value, '.')+1:])
}

var dot = []byte{'.'}

// parseUint reads a decimal without sign or leading zeros.
func parseUint(s []byte, max uint64) (uint64, bool) {
	if len(s) == 0 || len(s) > 19 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var n uint64
	for _, b := range s {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + uint64(b-'0')
	}
	return n, n <= max
}
