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

// tunnel asks the upstream for a WebSocket, and if it agrees has bytes carried both ways until both sides have ended, or
// nothing has come from either for as long as a tunnel may rest.
func (x *exchange) tunnel() error {
	if err := x.ask(true); err != nil {
		return err
	}
	if x.answer.status != 101 {
		x.switches = false
		return x.pass()
	}
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
		carry(x.v, l, x.cfg.Limits.Tunnel)
	}
	x.abandon()
}

// carry copies both ways. An end on one side is passed on to the other, which
// may still send.
func carry(v *visitor, l *link, rest time.Duration) {
	var last atomic.Int64 // when something came, in Unix nanoseconds
	last.Store(time.Now().UnixNano())
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := getBuffer(largeBuffer)
		defer putBuffer(buf)
		if p := v.in.buffered(); len(p) > 0 {
			if _, err := l.Conn.Write(p); err != nil {
				v.Conn.Close()
				return
			}
			v.in.take(len(p))
		}
		pour(l.Conn, v.Conn, buf, rest, &last)
	}()
	buf := getBuffer(largeBuffer)
	pour(v.Conn, l.Conn, buf, rest, &last)
	putBuffer(buf)
	<-done
}

// pour copies from src to dst until src ends. An error on either closes both,
// so that the copy in the other direction ends too.
func pour(dst, src net.Conn, buf []byte, rest time.Duration, last *atomic.Int64) {
	for {
		src.SetReadDeadline(time.Now().Add(rest))
		n, err := src.Read(buf)
		if n > 0 {
			last.Store(time.Now().UnixNano())
			dst.SetWriteDeadline(time.Now().Add(rest))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if c, ok := dst.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
				return
			}
			dst.Close()
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(time.Unix(0, last.Load())) < rest:
			// The other direction is alive.
		default:
			src.Close()
			dst.Close()
			return
		}
	}
}
