package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// wantsTunnel reports whether the request asks for a WebSocket (RFC 6455). No
// other protocol is switched to: it would not be read.
func (x *exchange) wantsTunnel() bool {
	r := &x.request
	return r.minor == 1 && string(r.method) == "GET" && x.upload.done() &&
		r.lists(nameConnection, "upgrade") && equalFold(r.get(nameUpgrade), "websocket")
}

// tunnel has bytes carried both ways until both sides have ended, or nothing has
// come from either for as long as a tunnel may rest: the upstream has agreed to a
// WebSocket. What else it answers to one who asks for that is read as any answer
// is: a cache may give it to others.
func (x *exchange) tunnel() error {
	out := x.appendStatusLine(x.out[:0])
	for i := range x.answer.fields {
		if f := &x.answer.fields[i]; !x.answer.nominated(f) && f.id != nameContentLength {
			out = x.appendAnswerField(out, f)
		}
	}
	x.out = append(out, "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"...)
	x.takeOver()
	return nil
}

// carry answers that the tunnel is open and lets it run to its end.
func (x *exchange) carry() {
	x.proxy.metrics.tunnels.Add(1)
	defer x.proxy.metrics.tunnels.Add(-1)
	l := x.link
	if err := x.v.send(x.out, l.in.buffered()); err == nil {
		l.in.take(len(l.in.buffered()))
		l.in.release()
		carry(x.v, l, x.cfg.Limits.Tunnel)
	}
	x.abandon()
}

// carry copies both ways. An end on one side is passed on to the other, which
// may still send.
func carry(v *visitor, l *link, rest time.Duration) {
	var last atomic.Int64 // when something came, in Unix nanoseconds
	last.Store(time.Now().UnixNano())
	came := make(chan int64, 1)
	go func() {
		var n int64
		defer func() { came <- n }()
		if p := v.in.buffered(); len(p) > 0 {
			if _, err := l.Conn.Write(p); err != nil {
				v.Conn.Close()
				return
			}
			v.in.take(len(p))
		}
		v.in.release()
		n = pour(l.Conn, v.Conn, rest, &last)
	}()
	v.out += pour(v.Conn, l.Conn, rest, &last)
	v.in.in += <-came
}

// pour copies from src to dst until src ends, and returns how much. An error on
// either closes both, so that the copy in the other direction ends too. Its buffer
// is large only while more comes than a small one takes: tunnels rest most of the
// time.
func pour(dst, src net.Conn, rest time.Duration, last *atomic.Int64) (copied int64) {
	buf := getBuffer(smallBuffer)
	defer func() { putBuffer(buf) }()
	for {
		src.SetReadDeadline(time.Now().Add(rest))
		n, err := src.Read(buf)
		var werr error
		if n > 0 {
			last.Store(time.Now().UnixNano())
			dst.SetWriteDeadline(time.Now().Add(rest))
			n, werr = dst.Write(buf[:n])
			copied += int64(n)
		}
		size := smallBuffer
		if n == len(buf) {
			size = largeBuffer
		}
		if size != len(buf) {
			putBuffer(buf)
			buf = getBuffer(size)
		}
		switch {
		case werr != nil:
			// What could not be written is lost, and the stream with it.
			src.Close()
			dst.Close()
			return copied
		case err == nil:
		case errors.Is(err, io.EOF):
			if c, ok := dst.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
				return copied
			}
			dst.Close()
			return copied
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(time.Unix(0, last.Load())) < rest:
			// The other direction is alive.
		default:
			src.Close()
			dst.Close()
			return copied
		}
	}
}
