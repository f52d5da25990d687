package rules

import (
	"bytes"
)

// scheme is one of those that the URL standard calls special and that lead to
// a network host. All others make no request that the rules could decide about.
type scheme uint8

const (
	noScheme scheme = iota
	schemeHTTP
	schemeHTTPS
	schemeWS
	schemeWSS
	schemeFTP
	schemes
)

var schemeNames = [schemes]string{"", "http", "https", "ws", "wss", "ftp"}

var defaultPorts = [schemes]int{0, 80, 443, 80, 443, 21}

// textPad is how many bytes stand before the text of an address, so that
// eight bytes can be loaded ending anywhere in it (see labels).
const textPad = 8

// address is an absolute URL as a browser reads it, without credentials and
// fragment: scheme://host:port/path?query. The host is in lower case, in ASCII
// and without trailing dots; the path has no dot segments and no backslashes.
// Percent-encoding is left as it was written.
type address struct {
	buf                          []byte // textPad bytes, then the text
	scheme                       scheme
	hostAt, hostEnd, pathAt, end int // offsets into buf
	queryAt                      int // after the "?", 0 for none
	ip                           bool
	scratch                      []byte
}

func (a *address) text() []byte { return a.buf[textPad:a.end] }
func (a *address) host() []byte { return a.buf[a.hostAt:a.hostEnd] }

func (a *address) path() []byte {
	if a.queryAt > 0 {
		return a.buf[a.pathAt : a.queryAt-1]
	}
	return a.buf[a.pathAt:a.end]
}

func (a *address) query() []byte {
	if a.queryAt > 0 {
		return a.buf[a.queryAt:a.end]
	}
	return nil
}

// read parses ref against base as the URL standard's basic URL parser does.
// base may be nil. It reports false where the browser would make no request to
// a host: an invalid URL, another scheme, a fragment or nothing at all.
func (a *address) read(ref []byte, base *address) bool {
	a.end = 0
	ref = trimControls(ref)
	if hasNewline(ref) {
		a.scratch = dropNewlines(a.scratch[:0], ref)
		ref = a.scratch
	}
	s, n := readScheme(ref)
	if n > 0 {
		if s == noScheme {
			return false
		}
		ref = ref[n:]
		if base == nil || base.scheme != s || len(ref) >= 2 && ref[0] == '/' && ref[1] == '/' {
			return a.readAuthority(s, trimSlashes(ref))
		}
	} else if base == nil {
		return false
	}
	switch {
	case len(ref) == 0 || ref[0] == '#':
		return false
	case isSlash(ref[0]) && len(ref) > 1 && isSlash(ref[1]):
		return a.readAuthority(base.scheme, trimSlashes(ref))
	case isSlash(ref[0]):
		a.begin(base.buf[textPad:base.pathAt], base)
		a.readPath(ref)
	case ref[0] == '?':
		path := base.path()
		a.begin(base.buf[textPad:base.pathAt+len(path)], base)
		a.readQuery(ref)
	default:
		path := base.path()
		dir := bytes.LastIndexByte(path, '/') + 1
		a.begin(base.buf[textPad:base.pathAt+dir], base)
		a.readPath(ref)
	}
	return true
}

// begin starts the text with a part of base's that reaches at least to its path.
func (a *address) begin(text []byte, base *address) {
	a.buf = append(append(a.buf[:0], "\x00\x00\x00\x00\x00\x00\x00\x00"...), text...)
	a.scheme, a.hostAt, a.hostEnd, a.pathAt, a.ip = base.scheme, base.hostAt, base.hostEnd, base.pathAt, base.ip
}

// readAuthority reads [credentials@]host[:port] and what follows.
func (a *address) readAuthority(s scheme, ref []byte) bool {
	end := len(ref)
	at, colon := -1, -1
	bracket := false
scan:
	for i, c := range ref {
		switch c {
		case '/', '\\', '?', '#':
			end = i
			break scan
		case '@':
			at, colon, bracket = i, -1, false
		case '[':
			bracket = true
		case ']':
			bracket = false
		case ':':
			if !bracket && colon < 0 {
				colon = i
			}
		}
	}
	rest := ref[end:]
	host, port := ref[at+1:end], []byte(nil)
	if colon >= 0 {
		host, port = ref[at+1:colon], ref[colon+1:end]
	}
	a.scheme = s
	a.buf = append(a.buf[:0], "\x00\x00\x00\x00\x00\x00\x00\x00"...)
	a.buf = append(a.buf, schemeNames[s]...)
	a.buf = append(a.buf, "://"...)
	a.hostAt = len(a.buf)
	if !a.readHost(host) {
		return false
	}
	a.hostEnd = len(a.buf)
	if !a.readPort(port) {
		return false
	}
	a.pathAt = len(a.buf)
	if len(rest) == 0 || !isSlash(rest[0]) {
		a.buf = append(a.buf, '/')
	}
	a.readPath(rest)
	return true
}

func (a *address) readPort(port []byte) bool {
	if len(port) == 0 {
		return true
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	if n == defaultPorts[a.scheme] {
		return true
	}
	for len(port) > 1 && port[0] == '0' {
		port = port[1:]
	}
	a.buf = append(append(a.buf, ':'), port...)
	return true
}

// pathClass marks the bytes that readPath must look at: 1 ends the path, 2 is
// a backslash, 3 may begin a dot segment.
var pathClass = [256]uint8{'?': 1, '#': 1, '\\': 2, '.': 3, '%': 3}

// readPath appends a path, with what follows it, to the directory that already
// stands in the text.
func (a *address) readPath(ref []byte) {
	end, plain := len(ref), true
scan:
	for i, c := range ref {
		switch pathClass[c] {
		case 1:
			end = i
			break scan
		case 2:
			plain = false
		case 3:
			if (i == 0 || isSlash(ref[i-1])) && dotLength(ref[i:]) > 0 {
				plain = false
			}
		}
	}
	if plain {
		a.buf = append(a.buf, ref[:end]...)
	} else {
		a.appendSegments(ref[:end])
	}
	a.readQuery(ref[end:])
}

// appendSegments appends a path that has backslashes or dot segments. The text
// ends in the "/" of the directory, or right before the path if that begins
// with a slash of its own.
func (a *address) appendSegments(path []byte) {
	if isSlash(path[0]) {
		if len(a.buf) == a.pathAt {
			a.buf = append(a.buf, '/')
		}
		path = path[1:]
	}
	for {
		n := bytes.IndexAny(path, `/\`)
		last := n < 0
		segment := path
		if !last {
			segment = path[:n]
		}
		switch dots(segment) {
		case 1:
		case 2:
			a.buf = a.buf[:len(a.buf)-1]
			if parent := bytes.LastIndexByte(a.buf[a.pathAt:], '/'); parent >= 0 {
				a.buf = a.buf[:a.pathAt+parent+1]
			} else {
				a.buf = append(a.buf[:a.pathAt], '/')
			}
		default:
			a.buf = append(a.buf, segment...)
			if !last {
				a.buf = append(a.buf, '/')
			}
		}
		if last {
			return
		}
		path = path[n+1:]
	}
}

// dots returns 1 for a single-dot path segment, 2 for a double-dot one and 0
// for any other.
func dots(segment []byte) int {
	n := dotLength(segment)
	if n == 0 {
		return 0
	}
	if n == len(segment) {
		return 1
	}
	if m := dotLength(segment[n:]); m > 0 && n+m == len(segment) {
		return 2
	}
	return 0
}

// dotLength returns the length of the dot that s begins with, written as "." or
// as %2e, 0 for none.
func dotLength(s []byte) int {
	switch {
	case len(s) > 0 && s[0] == '.':
		return 1
	case len(s) > 2 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
		return 3
	}
	return 0
}

// readQuery appends the query of what follows a path, and ends the text.
func (a *address) readQuery(ref []byte) {
	a.queryAt = 0
	if len(ref) > 0 && ref[0] == '?' {
		if n := bytes.IndexByte(ref, '#'); n >= 0 {
			ref = ref[:n]
		}
		a.queryAt = len(a.buf) + 1
		a.buf = append(a.buf, ref...)
	}
	a.end = len(a.buf)
}

// readScheme returns the scheme that ref begins with and the length of its
// name and colon; 0 where it begins with none.
func readScheme(ref []byte) (scheme, int) {
	if len(ref) > 6 && string(ref[:6]) == "https:" {
		return schemeHTTPS, 6
	}
	for i, c := range ref {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			for s := schemeHTTP; s < schemes; s++ {
				if equalFold(ref[:i], schemeNames[s]) {
					return s, i + 1
				}
			}
			return noScheme, i + 1
		default:
			return noScheme, 0
		}
	}
	return noScheme, 0
}

// equalFold reports whether s is lower, which is in lower-case ASCII letters,
// whatever the case of s.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

func trimSlashes(s []byte) []byte {
	for len(s) > 0 && isSlash(s[0]) {
		s = s[1:]
	}
	return s
}

// trimControls takes C0 controls and spaces off both ends.
func trimControls(s []byte) []byte {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

func hasNewline(s []byte) bool {
	return bytes.IndexByte(s, '\n') >= 0 || bytes.IndexByte(s, '\t') >= 0 || bytes.IndexByte(s, '\r') >= 0
}

// dropNewlines appends s without tabs and newlines, which browsers ignore
// anywhere in a URL.
func dropNewlines(dst, s []byte) []byte {
	for _, c := range s {
		if c != '\n' && c != '\t' && c != '\r' {
			dst = append(dst, c)
		}
	}
	return dst
}
