package proxy

import (
	"bytes"
	"math"
	"slices"
)

// name identifies a header field that some policy here speaks of. All other
// fields are unnamed and pass as they came.
type name uint8

const (
	unnamed name = iota
	// Framing and connection (RFC 9110, RFC 9112).
	nameConnection
	nameContentLength
	nameExpect
	nameHost
	nameHTTP2Settings
	nameKeepAlive
	nameProxyAuthenticate
	nameProxyAuthorization
	nameProxyConnection
	nameTE
	nameTrailer
	nameTransferEncoding
	nameUpgrade
	nameVia
	// Who asks, and for whom.
	nameForwarded
	nameXForwardedFor
	nameXForwardedHost
	nameXForwardedPort
	nameXForwardedProto
	nameXRealIP
	nameXRequestID
	nameTraceparent
	nameAuthorization
	nameCookie
	nameDNT
	nameSecGPC
	// What is asked for.
	nameAccept
	nameAcceptEncoding
	nameAcceptLanguage
	nameAvailableDictionary
	nameHXRequest
	nameIfMatch
	nameIfModifiedSince
	nameIfNoneMatch
	nameIfRange
	nameRange
	nameReferer
	nameSecFetchDest
	nameSecPurpose
	nameTurboFrame
	nameUserAgent
	nameXRequestedWith
	// What is answered.
	nameAcceptRanges
	nameCacheControl
	nameCDNCacheControl
	nameContentDigest
	nameContentDisposition
	nameContentEncoding
	nameContentMD5
	nameContentRange
	nameContentType
	nameContentTypeOptions
	nameDate
	nameDigest
	nameETag
	nameReprDigest
	nameSetCookie
	nameSingleCache // as CDN-Cache-Control, for the cache of one maker
	nameSurrogateControl
	nameVary
	// What makes the browser contact somebody by itself.
	nameAttributionSource
	nameAttributionTrigger
	nameCSP
	nameCSPReportOnly
	nameLink
	nameLocation
	nameNEL
	nameObserveTopics
	nameRefresh
	nameReportTo
	nameReportingEndpoints
	nameSpeculationRules
	names
)

var spellings = [names]string{
	nameConnection: "connection", nameContentLength: "content-length", nameExpect: "expect", nameHost: "host",
	nameHTTP2Settings: "http2-settings", nameKeepAlive: "keep-alive", nameProxyAuthenticate: "proxy-authenticate",
	nameProxyAuthorization: "proxy-authorization", nameProxyConnection: "proxy-connection", nameTE: "te",
	nameTrailer: "trailer", nameTransferEncoding: "transfer-encoding", nameUpgrade: "upgrade", nameVia: "via",
	nameForwarded: "forwarded", nameXForwardedFor: "x-forwarded-for", nameXForwardedHost: "x-forwarded-host",
	nameXForwardedPort: "x-forwarded-port", nameXForwardedProto: "x-forwarded-proto", nameXRealIP: "x-real-ip",
	nameXRequestID: "x-request-id", nameTraceparent: "traceparent",
	nameAuthorization: "authorization", nameCookie: "cookie", nameDNT: "dnt", nameSecGPC: "sec-gpc",
	nameAccept: "accept", nameAcceptEncoding: "accept-encoding", nameAcceptLanguage: "accept-language",
	nameAvailableDictionary: "available-dictionary", nameHXRequest: "hx-request", nameIfMatch: "if-match",
	nameIfModifiedSince: "if-modified-since", nameIfNoneMatch: "if-none-match", nameIfRange: "if-range",
	nameRange: "range", nameReferer: "referer", nameSecFetchDest: "sec-fetch-dest", nameSecPurpose: "sec-purpose",
	nameTurboFrame: "turbo-frame", nameUserAgent: "user-agent", nameXRequestedWith: "x-requested-with",
	nameAcceptRanges: "accept-ranges", nameCacheControl: "cache-control", nameCDNCacheControl: "cdn-cache-control",
	nameContentDigest: "content-digest", nameContentDisposition: "content-disposition",
	nameContentEncoding: "content-encoding", nameContentMD5: "content-md5", nameContentRange: "content-range",
	nameContentType: "content-type", nameContentTypeOptions: "x-content-type-options", nameDate: "date", nameDigest: "digest", nameETag: "etag",
	nameReprDigest: "repr-digest", nameSetCookie: "set-cookie",
	nameSingleCache: "akamai-cache-control", nameSurrogateControl: "surrogate-control", nameVary: "vary",
	nameAttributionSource: "attribution-reporting-register-source", nameAttributionTrigger: "attribution-reporting-register-trigger",
	nameCSP: "content-security-policy", nameCSPReportOnly: "content-security-policy-report-only", nameLink: "link", nameLocation: "location",
	nameNEL: "nel", nameObserveTopics: "observe-browsing-topics", nameRefresh: "refresh", nameReportTo: "report-to",
	nameReportingEndpoints: "reporting-endpoints", nameSpeculationRules: "speculation-rules",
}

const longestSpelling = len("attribution-reporting-register-trigger")

var named = func() map[string]name {
	m := make(map[string]name, names)
	for n := nameConnection; n < names; n++ {
		m[spellings[n]] = n
	}
	for _, spelling := range [...]string{"x-accel-expires", "edge-control", "cloudflare-cdn-cache-control", "vercel-cdn-cache-control",
		"netlify-cdn-cache-control", "x-litespeed-cache-control"} {
		m[spelling] = nameSingleCache
	}
	return m
}()

// nameOf returns the name spelled in any case by s.
func nameOf(s []byte) name {
	if len(s) > longestSpelling {
		return unnamed
	}
	var lower [longestSpelling]byte
	for i, c := range s {
		lower[i] = lowerCase[c]
	}
	return named[string(lower[:len(s)])]
}

// standsFor returns the name that s is taken for once it is the name of a
// variable: CGI and its heirs spell - as _ there (RFC 3875, section 4.1.18), so
// that X_Forwarded_For passes for X-Forwarded-For.
func standsFor(s []byte) name {
	if len(s) > longestSpelling || bytes.IndexByte(s, '_') < 0 {
		return unnamed
	}
	var hyphened [longestSpelling]byte
	for i, c := range s {
		if c == '_' {
			c = '-'
		}
		hyphened[i] = c
	}
	return nameOf(hyphened[:len(s)])
}

// field is one header field, its bytes those of the message.
type field struct {
	id          name
	name, value []byte
}

// head is the start line and the header section of one message (RFC 9112,
// section 2), read strictly: what two readers could read differently is
// refused. It keeps every byte and the order, so that what no policy changes
// is sent on as it came.
type head struct {
	text   []byte // the whole head as it arrived
	fields []field
	minor  byte // of HTTP/1.minor: 0 or 1

	method, target []byte // of a request

	status int    // of a response
	reason []byte // of a response
}

// maxFields bounds the number of fields in one head or trailer section.
const maxFields = 512

// maxOptions bounds the Connection fields of one, in bytes: each field is looked
// for in them.
const maxOptions = 512

// fault is why a message is refused: the status that answers it, and a word
// for metrics and log.
type fault struct {
	status int
	reason string
}

func (f *fault) Error() string { return f.reason }

var (
	faultStartLine   = &fault{400, "start-line"}
	faultLineEnd     = &fault{400, "line-end"}
	faultFieldName   = &fault{400, "field-name"}
	faultFieldValue  = &fault{400, "field-value"}
	faultFold        = &fault{400, "obs-fold"}
	faultFields      = &fault{431, "field-count"}
	faultHeadSize    = &fault{431, "head-size"}
	faultTargetSize  = &fault{414, "target-size"}
	faultTarget      = &fault{400, "target"}
	faultVersion     = &fault{505, "version"}
	faultMethod      = &fault{405, "method"}
	faultHost        = &fault{400, "host"}
	faultLength      = &fault{400, "content-length"}
	faultCoding      = &fault{501, "transfer-coding"}
	faultFraming     = &fault{400, "framing"}
	faultChunk       = &fault{400, "chunk"}
	faultTrailer     = &fault{400, "trailer"}
	faultExpectation = &fault{417, "expectation"}
	faultSlow        = &fault{408, "slow"}
	faultNoSite      = &fault{421, "no-site"}
)

func (h *head) reset() {
	h.text, h.fields = h.text[:0], h.fields[:0]
	h.method, h.target, h.reason = nil, nil, nil
	h.status = 0
}

// parseRequest reads h.text as a request's head.
func (h *head) parseRequest() error {
	line, rest, err := cutLine(h.text)
	if err != nil {
		return err
	}
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 || !isToken(line[:sp]) {
		return faultStartLine
	}
	h.method, line = line[:sp], line[sp+1:]
	sp = bytes.IndexByte(line, ' ')
	if sp <= 0 {
		return faultStartLine
	}
	h.target = line[:sp]
	for _, c := range h.target {
		if class[c]&inTarget == 0 {
			return faultTarget
		}
	}
	if err := h.parseVersion(line[sp+1:]); err != nil {
		return err
	}
	return h.parseFields(rest)
}

// parseResponse reads h.text as a response's head.
func (h *head) parseResponse() error {
	line, rest, err := cutLine(h.text)
	if err != nil {
		return err
	}
	// HTTP/1.1 200 OK; the reason may be empty, and many leave its blank out.
	if len(line) < len("HTTP/1.1 200") || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return faultStartLine
	}
	if err := h.parseVersion(line[:8]); err != nil {
		return err
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return faultStartLine
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 {
		return faultStartLine
	}
	if len(line) > 13 {
		h.reason = line[13:]
		for _, c := range h.reason {
			if class[c]&inValue == 0 {
				return faultStartLine
			}
		}
	}
	return h.parseFields(rest)
}

func (h *head) parseVersion(s []byte) error {
	if len(s) != 8 || string(s[:5]) != "HTTP/" || s[6] != '.' || class[s[5]]&digit == 0 || class[s[7]]&digit == 0 {
		return faultStartLine
	}
	if s[5] != '1' || s[7] > '1' {
		return faultVersion
	}
	h.minor = s[7] - '0'
	return nil
}

// parseFields reads field lines up to the empty line that ends the section.
func (h *head) parseFields(text []byte) error {
	options := 0
	for {
		line, rest, err := cutLine(text)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		text = rest
		if line[0] == ' ' || line[0] == '\t' {
			return faultFold
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) {
			return faultFieldName
		}
		value := trim(line[colon+1:])
		for _, c := range value {
			if class[c]&inValue == 0 {
				return faultFieldValue
			}
		}
		if len(h.fields) == maxFields {
			return faultFields
		}
		id := nameOf(line[:colon])
		if id == nameConnection {
			if options += len(value) + 1; options > maxOptions {
				return faultFields
			}
		}
		h.fields = append(h.fields, field{id, line[:colon], value})
	}
}

// cutLine cuts text after its first CRLF. A line that ends in LF alone is
// refused: some readers end a line there, and some do not.
func cutLine(text []byte) (line, rest []byte, err error) {
	lf := bytes.IndexByte(text, '\n')
	if lf < 1 || text[lf-1] != '\r' {
		return nil, nil, faultLineEnd
	}
	return text[:lf-1], text[lf+1:], nil
}

// get returns the value of the first field with the given name, nil for none.
func (h *head) get(n name) []byte {
	for i := range h.fields {
		if h.fields[i].id == n {
			return h.fields[i].value
		}
	}
	return nil
}

// keepLast takes out all fields of a name but the last, which is the one that
// browsers heed.
func (h *head) keepLast(n name) {
	for left := h.count(n); left > 1; left-- {
		i := slices.IndexFunc(h.fields, func(f field) bool { return f.id == n })
		h.fields = slices.Delete(h.fields, i, i+1)
	}
}

// count returns how many fields have the given name.
func (h *head) count(n name) int {
	c := 0
	for i := range h.fields {
		if h.fields[i].id == n {
			c++
		}
	}
	return c
}

// lists reports whether the comma-separated lists in the fields named n hold
// the given token, in any case.
func (h *head) lists(n name, token string) bool {
	for i := range h.fields {
		if h.fields[i].id == n && listHas(h.fields[i].value, token) {
			return true
		}
	}
	return false
}

// keepAlive reports whether the sender lets the connection live on.
func (h *head) keepAlive() bool {
	if h.lists(nameConnection, "close") {
		return false
	}
	return h.minor == 1 || h.lists(nameConnection, "keep-alive")
}

// nominated reports whether f is a hop-by-hop field: by its own nature or
// because Connection names it (RFC 9110, section 7.6.1). Framing, routing and
// authority cannot be taken away by nomination.
func (h *head) nominated(f *field) bool {
	switch f.id {
	case nameConnection, nameKeepAlive, nameProxyConnection, nameTE, nameTransferEncoding, nameUpgrade,
		nameProxyAuthenticate, nameProxyAuthorization, nameHTTP2Settings:
		return true
	case unnamed:
		for i := range h.fields {
			if h.fields[i].id == nameConnection && listHasFold(h.fields[i].value, f.name) {
				return true
			}
		}
	}
	return false
}

// framing is how the end of a message's body is found (RFC 9112, section 6.3).
type framing uint8

const (
	noBody framing = iota
	sized
	chunked
	untilClose
)

// framing returns how the body is framed as the fields say, and its size if
// sized. Without a word in the fields it is untilClose.
func (h *head) framing() (framing, int64, error) {
	var length []byte
	coded := false
	for i := range h.fields {
		f := &h.fields[i]
		switch f.id {
		case nameContentLength:
			if length != nil {
				return 0, 0, faultLength
			}
			length = f.value
			if len(length) == 0 {
				return 0, 0, faultLength
			}
		case nameTransferEncoding:
			if coded {
				return 0, 0, faultFraming
			}
			coded = true
			if !equalFold(f.value, "chunked") {
				return 0, 0, faultCoding
			}
		}
	}
	switch {
	case coded && (length != nil || h.minor == 0):
		return 0, 0, faultFraming
	case coded:
		return chunked, 0, nil
	case length != nil:
		n, ok := parseDecimal(length)
		if !ok {
			return 0, 0, faultLength
		}
		return sized, n, nil
	}
	return untilClose, 0, nil
}

// parseDecimal reads an unsigned decimal that fits int64.
func parseDecimal(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range s {
		if class[c]&digit == 0 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n <= math.MaxInt64
}

// Classes of bytes in messages.
const (
	inToken  = 1 << iota // tchar, RFC 9110, section 5.6.2
	inValue              // field-vchar, SP, HTAB
	inTarget             // what a request target may hold, see below
	digit
	hex
)

// class gives each byte its classes. A request target may hold every byte but
// controls, the blank and "#": what browsers send beyond RFC 3986, and bytes
// that are not UTF-8, must reach the upstream as they are.
var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		alnum := b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if alnum || b < 0x80 && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), b) >= 0 {
			t[c] |= inToken
		}
		if b >= ' ' && b != 0x7f || b == '\t' {
			t[c] |= inValue
		}
		if b > ' ' && b != 0x7f && b != '#' {
			t[c] |= inTarget
		}
		if b >= '0' && b <= '9' {
			t[c] |= digit | hex
		}
		if b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' {
			t[c] |= hex
		}
	}
	return t
}()

var lowerCase = func() (t [256]byte) {
	for c := range 256 {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

func isToken(s []byte) bool {
	for _, c := range s {
		if class[c]&inToken == 0 {
			return false
		}
	}
	return len(s) > 0
}

// trim takes optional white space off both ends.
func trim(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// equalFold compares in any ASCII case; lower is in lower case.
func equalFold[T string | []byte](s []byte, lower T) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if lowerCase[c] != lowerCase[lower[i]] {
			return false
		}
	}
	return true
}

// containsFold reports whether lower occurs in s in any ASCII case.
func containsFold(s []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if equalFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

func hasPrefixFold(s []byte, lower string) bool {
	return len(s) >= len(lower) && equalFold(s[:len(lower)], lower)
}

// cutList cuts the first element off a comma-separated list.
func cutList(list []byte) (element, rest []byte) {
	element, rest, _ = bytes.Cut(list, []byte{','})
	return trim(element), rest
}

func listHas(list []byte, token string) bool { return listHasFold(list, []byte(token)) }

func listHasFold(list, token []byte) bool {
	for len(list) > 0 {
		var e []byte
		e, list = cutList(list)
		if equalFold(e, token) {
			return true
		}
	}
	return false
}
