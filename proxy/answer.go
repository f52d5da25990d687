package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// How an answer gets to the visitor: its head is x.out, which keeps the bytes
// and the order of what the upstream sent, and fasthttp adds how the body is
// framed and whether the connection lives on.

// begin sets the head of an answer. It is not sent before there is something of
// the body, or there is none.
func (x *exchange) begin(status int) *fasthttp.Response {
	x.status, x.sent = status, x.v.out
	x.v.head = x.out
	r := &x.ctx.Response
	r.SetStatusCode(status)
	r.SkipBody = x.isHead()
	if x.last {
		r.SetConnectionClose()
	}
	return r
}

// passWhole sends the upstream's answer with a body that is whole.
func (x *exchange) passWhole(body []byte) error {
	x.passes = true
	x.begin(x.answer.status).SetBodyRaw(body)
	return nil
}

// passNone sends the upstream's answer to which no body belongs.
func (x *exchange) passNone() error {
	x.passes = true
	x.begin(x.answer.status).SkipBody = true
	return nil
}

// passStream sends the upstream's answer with a body that is written as it
// comes. size is that of a sized body.
func (x *exchange) passStream(framing framing, size int64) error {
	x.passes = true
	if framing == untilClose || int64(int(size)) != size {
		// fasthttp frames every body.
		x.takeOver()
		return nil
	}
	if framing == chunked {
		size = -1
	}
	x.begin(x.answer.status).SetBodyStream((*stream)(x), int(size))
	return nil
}

// passBody sends the body of an answer that is not changed as it comes. The
// head waits for it a moment, so that both can be sent at once.
func (x *exchange) passBody() error {
	framing, size := x.outFraming(), x.download.left
	x.closeAfterUpload()
	if framing == noBody {
		if n := x.answer.get(nameContentLength); n != nil && (x.isHead() || x.answer.status == 304) {
			// It is not that of this message.
			x.out = appendField(x.out, contentLength, n)
		}
		return x.passNone()
	}
	if body, arrived := x.download.whole(); arrived || framing == sized && size == 0 {
		return x.passWhole(body)
	}
	var err error
	x.peeks, x.link.pause = true, headPause
	x.ahead, err = x.download.next()
	x.peeks, x.link.pause = false, 0
	if x.pauses = err == errPause; err != nil && !x.pauses && err != io.EOF {
		return answerCut(err)
	}
	return x.passStream(framing, size)
}

var contentLength = []byte("Content-Length")

// headPause is how long the head of an answer waits for the body, so that both
// can be sent at once.
const headPause = time.Millisecond

// stream is the body of an answer, as fasthttp reads it.
type stream exchange

// SupportsBodyWriteTo and WriteTo are fasthttp.BodyWriterTo.
func (s *stream) SupportsBodyWriteTo() bool { return true }

// WriteTo writes the body. What fails is kept for the end of the exchange.
func (s *stream) WriteTo(w io.Writer) (int64, error) {
	x := (*exchange)(s)
	defer x.guard()
	x.w = w
	if x.err = x.writeBody(); x.err != nil {
		return x.wrote, errAborted
	}
	return x.wrote, nil
}

// Read is never called.
func (s *stream) Read([]byte) (int, error) { return 0, errAborted }

// errAborted has fasthttp break an answer off. The words are ones that it does
// not log.
var errAborted = fmt.Errorf("the answer was broken off: %w", io.ErrUnexpectedEOF)

func (x *exchange) writeBody() error {
	var err error
	switch d := &x.doc; {
	case d.state != streaming:
		err = x.relay()
	case d.rewriter == nil:
		err = d.streamScript()
	default:
		err = d.stream()
	}
	if err != nil && x.v.out == x.sent {
		// The head has not left: it gives way to one that tells the truth.
		x.v.drop()
		x.failLate(errors.Join(x.abandon(), err))
		return errAborted
	}
	return err
}

// relay writes the rest of the download.
func (x *exchange) relay() (err error) {
	if x.pauses {
		err = x.v.flush()
	}
	for p := x.ahead; err == nil; p, err = x.download.next() {
		if len(p) > 0 {
			if err = x.write(p); err != nil {
				return err
			}
		}
	}
	if err != io.EOF {
		return answerCut(err)
	}
	return x.writeTrailer()
}

// write sends a part of the body.
func (x *exchange) write(p []byte) error {
	x.v.lends = true
	_, err := x.w.Write(p)
	x.v.lends = false
	x.wrote += int64(len(p))
	if e := x.v.flush(); e != nil || err != nil {
		return errors.Join(err, e)
	}
	return nil
}

// writeTrailer hands fasthttp the fields that came after a chunked body.
func (x *exchange) writeTrailer() error {
	t := &x.download.trailer
	for i := range t.fields {
		f := &t.fields[i]
		if h := &x.ctx.Response.Header; t.passesTrailer(f) && h.AddTrailerBytes(f.name) == nil {
			h.AddBytesKV(f.name, f.value)
		}
	}
	return nil
}

// takeOver has what fasthttp cannot send written by ourselves, to the end of
// the connection: bodies that end with it, and tunnels.
func (x *exchange) takeOver() {
	x.last = true
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(takeOver)
}

func takeOver(c net.Conn) {
	v := c.(interface{ UnsafeConn() net.Conn }).UnsafeConn().(*visitor)
	v.writeBy = time.Time{}
	x := v.x
	defer x.guard()
	if x.switches {
		x.status, x.sent = x.answer.status, v.out
		x.carry()
		return
	}
	x.status, x.sent, x.w = x.answer.status, v.out, v
	v.gather(x.out)
	v.gather(closes)
	x.err = x.writeBody()
}

var closes = []byte("Connection: close\r\n\r\n")
