package proxy

import (
	"encoding/binary"
	base16 "encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"
)

// correlation is what tells one request apart in the logs and traces of all who
// serve it.
type correlation struct {
	known bool
	id    []byte // X-Request-Id, as the upstream is told it
	span  span

	waited time.Duration // how long the upstream was waited for
	added  time.Duration // how long the rest took until the answer's head was made
}

// maxRequestID is the longest X-Request-Id that is taken from a trusted proxy.
const maxRequestID = 128

// correlate finds out under which names the request is known. What a stranger
// calls it is not taken: it would stand in logs. Their trace is gone on with,
// but whether it is recorded is ours to say.
func (x *exchange) correlate() {
	c := &x.correlation
	if c.known {
		return
	}
	c.known = true
	trust := x.trusted(x.v.peer)
	if id := x.request.get(nameXRequestID); trust && isRequestID(id) {
		c.id = append(c.id, id...)
	} else {
		var b [16]byte
		fillRandom(b[:])
		c.id = base16.AppendEncode(c.id, b[:])
	}
	if t := x.sites.tracer; t != nil {
		t.begin(x, trust)
	}
}

// fillRandom fills b, whose length is a multiple of eight, with what cannot be
// guessed (math/rand/v2 is ChaCha8, seeded by the system).
func fillRandom(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.NativeEndian.PutUint64(b, rand.Uint64())
	}
}

func isRequestID(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ',' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxRequestID
}

// appendCorrelation tells the upstream under which names the request is known.
func (x *exchange) appendCorrelation(out []byte) []byte {
	x.correlate()
	out = append(append(append(out, "X-Request-Id: "...), x.correlation.id...), "\r\n"...)
	if x.sites.tracer != nil {
		out = append(x.correlation.span.appendParent(append(out, "traceparent: "...)), "\r\n"...)
	}
	return out
}

// waitedSince notes that the upstream was waited for from begun to now.
func (x *exchange) waitedSince(begun time.Time) {
	x.correlation.waited += time.Since(begun)
}

// appendTiming notes that the head of an answer is made, and tells the visitor
// how long that took if the operator wants it (Server Timing, section 2).
func (x *exchange) appendTiming(out []byte) []byte {
	c := &x.correlation
	c.added = time.Since(x.begun) - c.waited
	if !x.cfg.ServerTiming {
		return out
	}
	milliseconds := func(out []byte, d time.Duration) []byte {
		return strconv.AppendFloat(out, float64(d.Microseconds())/1e3, 'f', -1, 64)
	}
	out = milliseconds(append(out, "Server-Timing: upstream;dur="...), c.waited)
	out = milliseconds(append(out, ", askfirst;dur="...), c.added)
	if x.doc.match != nil {
		out = append(out, ", memo"...)
	}
	return append(out, "\r\n"...)
}
