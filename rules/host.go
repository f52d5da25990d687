package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// hostByte maps the bytes of ordinary host names to lower case and all others
// to 0.
var hostByte = func() (t [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-0x20] = c, c
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	t['-'], t['.'], t['_'] = '-', '.', '_'
	return t
}()

// maxHostLength is the longest host that is read. DNS ends at 253 bytes;
// browsers accept more, and none of that can be reached.
const maxHostLength = 1 << 10

// toASCII maps a domain as the URL standard does (UTS #46, non-transitional).
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(),
	idna.StrictDomainName(false), idna.CheckHyphens(false), idna.VerifyDNSLength(false))

// readHost appends a host. It reports false for one that the URL standard
// refuses.
func (a *address) readHost(host []byte) bool {
	if len(host) == 0 || len(host) > maxHostLength {
		return false
	}
	if host[0] == '[' && host[len(host)-1] == ']' {
		return a.readIPv6(host)
	}
	for _, c := range host {
		lower := hostByte[c]
		if lower == 0 {
			a.buf = a.buf[:a.hostAt]
			return a.readEncodedHost(host)
		}
		a.buf = append(a.buf, lower)
	}
	return a.finishHost()
}

// finishHost looks whether the host just appended is an IPv4 address, and takes
// a trailing dot off.
func (a *address) finishHost() bool {
	if n := len(a.buf); n > a.hostAt && a.buf[n-1] == '.' {
		a.buf = a.buf[:n-1]
	}
	a.hostEnd = len(a.buf)
	host := a.buf[a.hostAt:]
	if len(host) == 0 || len(host) > maxHostLength {
		return false
	}
	if host[len(host)-1] == '.' {
		// Two dots end it: nobody has that name, nor is it an address.
		a.buf = append(a.buf, '.')
		a.hostEnd++
		return true
	}
	last := host[bytes.LastIndexByte(host, '.')+1:]
	if last[0] < '0' || last[0] > '9' || !isIPv4Part(last) {
		return true
	}
	ip, ok := readIPv4(string(host))
	if !ok {
		return false
	}
	a.buf = netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}).AppendTo(a.buf[:a.hostAt])
	a.hostEnd, a.ip = len(a.buf), true
	return true
}

// readEncodedHost reads a host of any bytes. Unlike the rest of the package it allocates: such hosts are rare.
func (a *address) readEncodedHost(host []byte) bool {
	domain := string(percentDecode(host))
	if strings.IndexFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		// What is refused here, or beyond the standard accepted by a browser, is
		// kept as it is: the host of a third party that no rule knows.
		if mapped, _ := toASCII.ToASCII(domain); mapped != "" {
			domain = mapped
		}
	} else if strings.IndexFunc(domain, isForbidden) >= 0 {
		return false
	}
	// The standard refuses a space; Chromium reads it as %20.
	for i := 0; i < len(domain); i++ {
		c := domain[i]
		switch {
		case c == ' ' || isForbidden(rune(c)):
			a.buf = fmt.Appendf(a.buf, "%%%02x", c)
		case 'A' <= c && c <= 'Z':
			a.buf = append(a.buf, c|0x20)
		default:
			a.buf = append(a.buf, c)
		}
	}
	return a.finishHost()
}

// isForbidden reports whether a host may not have a byte. The standard forbids
// the space too.
func isForbidden(r rune) bool {
	return r < ' ' || r == 0x7f || strings.ContainsRune("#/:<>?@[\\]^|%", r)
}

func (a *address) readIPv6(host []byte) bool {
	ip, err := netip.ParseAddr(string(host[1 : len(host)-1]))
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return false
	}
	a.buf = append(a.buf, '[')
	// An IPv4-mapped address is serialized like any other, without dots.
	if ip.Is4In6() {
		b := ip.As16()
		a.buf = append(a.buf, "::ffff:"...)
		a.buf = strconv.AppendUint(a.buf, uint64(b[12])<<8|uint64(b[13]), 16)
		a.buf = append(a.buf, ':')
		a.buf = strconv.AppendUint(a.buf, uint64(b[14])<<8|uint64(b[15]), 16)
	} else {
		a.buf = ip.AppendTo(a.buf)
	}
	a.buf = append(a.buf, ']')
	a.hostEnd, a.ip = len(a.buf), true
	return true
}

// isIPv4Part reports whether the last label of a host makes the URL standard
// read the host as an IPv4 address: all digits, or a hexadecimal number.
func isIPv4Part(label []byte) bool {
	digits := true
	for _, c := range label {
		digits = digits && '0' <= c && c <= '9'
	}
	if digits {
		return true
	}
	if len(label) < 2 || label[0] != '0' || label[1] != 'x' {
		return false
	}
	for _, c := range label[2:] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// readIPv4 reads an address of one to four decimal, octal or hexadecimal
// numbers, of which the last fills the bytes that are left.
func readIPv4(host string) (uint32, bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return 0, false
	}
	var ip uint64
	for i, part := range parts {
		n, ok := readIPv4Number(part)
		if !ok {
			return 0, false
		}
		if i == len(parts)-1 {
			if n >= 1<<(8*(5-len(parts))) {
				return 0, false
			}
			return uint32(ip | n), true
		}
		if n > 255 {
			return 0, false
		}
		ip |= n << (8 * (3 - i))
	}
	return 0, false
}

func readIPv4Number(s string) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if s == "" {
		return 0, true
	}
	if s[0] == '+' || s[0] == '-' || strings.Contains(s, "_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// percentDecode returns s with its percent-encoded bytes decoded.
func percentDecode(s []byte) []byte {
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8); err == nil {
				decoded = append(decoded, byte(n))
				i += 2
				continue
			}
		}
		decoded = append(decoded, s[i])
	}
	return decoded
}
