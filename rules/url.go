package rules

import (
	"bytes"
	"encoding/binary"
	"slices"
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
// and without a trailing dot; the path has no dot segments and no backslashes.
// Percent-encoding is left as it was written.
type address struct {
	buf                          []byte // textPad bytes, then the text
	scheme                       scheme
	hostAt, hostEnd, pathAt, end int // offsets into buf
	queryAt                      int // after the "?", 0 for none
	ip                           bool
	// same says that the reference was empty or a fragment: it leads to the
	// base itself.
	same bool
	// atBase says that the host is known to be the base's, again that it is that of
	// the reference read before.
	atBase  bool
	again   bool
	scratch []byte
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

// origin is the text up to the path, withoutQuery that up to the query.
func (a *address) origin() []byte       { return a.buf[textPad:a.pathAt] }
func (a *address) withoutQuery() []byte { return a.buf[textPad : a.pathAt+len(a.path())] }

// read parses ref against base as the URL standard's basic URL parser does.
// base may be nil. It reports false where the browser would make no request to
// a host: for an invalid URL and for another scheme.
func (a *address) read(ref []byte, base *address) bool {
	known := a.end > 0
	a.end, a.same, a.again = 0, false, false
	ref = trimControls(ref)
	if hasNewline(ref) {
		a.scratch = dropNewlines(a.scratch[:0], ref)
		ref = a.scratch
	}
	if base != nil && len(ref) > 0 {
		if known {
			if n := a.originLength(ref, base.scheme); n > 0 {
				a.buf, a.again = a.buf[:a.pathAt], true
				a.readPath(ref[n:])
				return true
			}
		}
		if n := base.originLength(ref, base.scheme); n > 0 {
			a.begin(base.buf[textPad:base.pathAt], base)
			a.readPath(ref[n:])
			return true
		}
	}
	a.atBase = false
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
		a.begin(base.text(), base)
		a.queryAt, a.end, a.same = base.queryAt, base.end, true
	case isSlash(ref[0]) && len(ref) > 1 && isSlash(ref[1]):
		return a.readAuthority(base.scheme, trimSlashes(ref))
	case isSlash(ref[0]):
		a.begin(base.buf[textPad:base.pathAt], base)
		a.readPath(ref)
	case ref[0] == '?':
		path := base.path()
		a.begin(base.buf[textPad:base.pathAt+len(path)], base)
		if n := bytes.IndexByte(ref, '#'); n >= 0 {
			ref = ref[:n]
		}
		a.readQuery(ref)
	default:
		path := base.path()
		dir := bytes.LastIndexByte(path, '/') + 1
		a.begin(base.buf[textPad:base.pathAt+dir], base)
		a.readPath(ref)
	}
	return true
}

// originLength returns how many bytes of ref are the origin of a, as a has it
// written, or what follows the scheme of that where base is the same; 0 where ref
// begins otherwise. Most references are told so: they lead to the page's own
// origin or to that of the reference before.
func (a *address) originLength(ref []byte, base scheme) int {
	from := textPad
	if ref[0] == '/' && a.scheme == base {
		from = a.hostAt - len("//")
	}
	if n := a.pathAt - from; n < len(ref) && ref[n] == '/' && string(ref[:n]) == string(a.buf[from:a.pathAt]) {
		return n
	}
	return 0
}

// begin starts the text with a part of base's that reaches at least to its path.
func (a *address) begin(text []byte, base *address) {
	a.buf = append(append(a.buf[:0], origins[noScheme][:textPad]...), text...)
	a.atBase = true
	a.scheme, a.hostAt, a.hostEnd, a.pathAt, a.ip = base.scheme, base.hostAt, base.hostEnd, base.pathAt, base.ip
}

// origins begin the text of an address, after textPad bytes.
var origins = func() (t [schemes]string) {
	for s, name := range schemeNames {
		t[s] = "\x00\x00\x00\x00\x00\x00\x00\x00" + name + "://"
	}
	return t
}()

// readAuthority reads [credentials@]host[:port] and what follows. Most are a
// plain host, which is read in one go.
func (a *address) readAuthority(s scheme, ref []byte) bool {
	a.scheme, a.ip = s, false
	a.hostAt = len(origins[s])
	// There is room for all that is left, so that it is asked for once.
	a.buf = append(slices.Grow(a.buf[:0], a.hostAt+len(ref)+1), origins[s]...)
	host := a.buf[a.hostAt:][:len(ref)]
	end := len(ref)
	for i, c := range ref {
		lower := hostByte[c]
		if lower == 0 {
			if c != '/' && c != '?' && c != '#' && c != '\\' {
				return a.readFullAuthority(ref)
			}
			end = i
			break
		}
		host[i] = lower
	}
	a.buf = a.buf[:a.hostAt+end]
	return a.finishHost() && a.readRest(ref[end:])
}

// readRest reads what follows host and port.
func (a *address) readRest(ref []byte) bool {
	a.pathAt = len(a.buf)
	if len(ref) == 0 || !isSlash(ref[0]) {
		a.buf = append(a.buf, '/')
	}
	a.readPath(ref)
	return true
}

func (a *address) readFullAuthority(ref []byte) bool {
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
	return a.readHost(host) && a.readPort(port) && a.readRest(rest)
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

// readPath appends a path, with what follows it, to the directory that already
// stands in the text.
func (a *address) readPath(ref []byte) {
	if n := bytes.IndexByte(ref, '#'); n >= 0 {
		ref = ref[:n]
	}
	path := ref
	if n := bytes.IndexByte(ref, '?'); n >= 0 {
		path = ref[:n]
	}
	if !isPlain(path) && (bytes.IndexByte(path, '\\') >= 0 || hasDotSegment(path)) {
		a.appendSegments(path)
		a.readQuery(ref[len(path):])
		return
	}
	a.queryAt = 0
	if len(path) < len(ref) {
		a.queryAt = len(a.buf) + len(path) + 1
	}
	a.buf = append(a.buf, ref...)
	a.end = len(a.buf)
}

// isPlain reports whether a path has nothing that a dot segment or a backslash
// could be: no backslash, no "%", no two of "/" and "." side by side, and no dot
// first. It looks at eight bytes at a time.
func isPlain(path []byte) bool {
	if len(path) < 8 || path[0] == '.' {
		return false
	}
	var found, marks uint64
	look := func(w uint64) {
		before := marks >> 56 // the mark of the byte before w
		marks = zeroes((w | ones) ^ '/'*ones)
		found |= marks&(marks<<8|before) | zeroes(w^'\\'*ones) | zeroes(w^'%'*ones)
	}
	last := binary.LittleEndian.Uint64(path[len(path)-8:])
	for ; len(path) > 8; path = path[8:] {
		look(binary.LittleEndian.Uint64(path))
	}
	if len(path) < 8 {
		marks = 0 // last begins before
	}
	look(last)
	return found&(ones<<7) == 0
}

// zeroes has the top bit of each byte of w set that is zero, and maybe of some
// that follow one or are not ASCII.
func zeroes(w uint64) uint64 { return w - ones }

// hasDotSegment reports whether some segment begins with a dot, as all dot
// segments do.
func hasDotSegment(path []byte) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(path[i:], '.')
		if n < 0 {
			break
		}
		if i += n; i == 0 || path[i-1] == '/' {
			return true
		}
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(path[i:], '%')
		if n < 0 {
			return false
		}
		if i += n; (i == 0 || path[i-1] == '/') && dotLength(path[i:]) > 0 {
			return true
		}
	}
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

// readQuery appends a query with its "?", or nothing, and ends the text.
func (a *address) readQuery(query []byte) {
	a.queryAt = 0
	if len(query) > 0 {
		a.queryAt = len(a.buf) + 1
		a.buf = append(a.buf, query...)
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

// equalFold reports whether s is lower, which is ASCII without upper-case letters,
// whatever the case of s.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c != lower[i] && c|0x20 != lower[i] {
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

const ones = 0x0101010101010101

// hasNewline reports whether s may have a tab or a newline: a byte below 0x0e.
// It looks at eight bytes at a time.
func hasNewline(s []byte) bool {
	var below uint64
	if len(s) < 8 {
		for _, c := range s {
			below |= (uint64(c) - 0x0e) &^ uint64(c)
		}
		return below&0x80 != 0
	}
	last := binary.LittleEndian.Uint64(s[len(s)-8:])
	for ; len(s) > 8; s = s[8:] {
		w := binary.LittleEndian.Uint64(s)
		below |= (w - 0x0e*ones) &^ w
	}
	below |= (last - 0x0e*ones) &^ last
	return below&(ones<<7) != 0
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
