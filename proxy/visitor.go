package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// visitor is one connection from a browser, or from what stands in front of us.
// To fasthttp it is a net.Conn on which one checked head comes after another.
// No other byte of a request gets there: bodies are read from in.
type visitor struct {
	net.Conn
	proxy *Proxy
	sock  *socket // nil where there is none under Conn
	peer  netip.Addr
	tls   bool
	in    source

	limits *configs.Limits // as they stood when the visitor came or began to wait

	x      *exchange // the one under way; nil while the visitor waits
	handed []byte    // what fasthttp has still to read of its head
	begun  bool      // a first request has been waited for

	// patience is how long a read may wait for a byte; where it is 0, by is
	// when all reads end.
	patience time.Duration
	by       time.Time
	halted   atomic.Bool // reads fail from now on
	idle     atomic.Bool // waits for the first byte of a request
	slim     atomic.Bool // does so without a buffer
	one      [1]byte

	// What fasthttp writes is gathered, so that a head and what follows it
	// leave at once and nothing large is copied.
	head    []byte // takes the place of the status line that fasthttp writes next
	held    []byte // has not been sent; in a buffer of smallBuffer
	lends   bool   // what is written stays as it is until flush
	lent    []byte // a large part that has not been sent either
	at      int    // where in held it stands
	broken  bool   // nothing can be sent any more
	lingers bool   // the visitor may be sending still when the connection ends

	writeBy time.Time // the write deadline that is set
	vec     net.Buffers
	vecs    [4][]byte
	out     int64
}

func newVisitor(p *Proxy, conn net.Conn) *visitor {
	v := &visitor{proxy: p, Conn: conn, limits: &p.sites.Load().cfg.Limits}
	v.in.conn = (*inbound)(v)
	_, v.tls = conn.(*tls.Conn)
	v.sock = socketOf(conn)
	v.peer = peerOf(conn)
	return v
}

// socketOf returns the socket under conn, nil where it has none.
func socketOf(conn net.Conn) *socket {
	for plain := true; ; plain = false {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			s := newSocket(raw)
			s.plain = plain
			return s
		default:
			return nil
		}
	}
}

// Read gives fasthttp the head of the next request, once it has arrived and been
// checked. What is gathered of the last answer goes out before.
func (v *visitor) Read(p []byte) (int, error) {
	if len(v.handed) == 0 && !v.next() {
		return 0, io.EOF
	}
	n := copy(p, v.handed)
	v.handed = v.handed[n:]
	return n, nil
}

// next ends the exchange that there was and begins another. It reports false
// where there will be none.
func (v *visitor) next() bool {
	if v.x != nil && (v.x.ctx == nil || !v.finish()) {
		// Without ctx fasthttp did not understand a head that we did.
		return false
	}
	if !v.begun && !v.identify() || !v.await(!v.begun) {
		return false
	}
	v.begun = true
	x := acquireExchange(v)
	v.x = x
	if err := x.receive(); err != nil && !errors.As(err, &x.fault) {
		// The connection has ended in the middle of a head.
		return false
	}
	v.handed = x.model()
	return true
}

// identify reads the PROXY protocol header with which a connection from a
// trusted proxy begins, where one is expected. With TLS it has been read.
func (v *visitor) identify() bool {
	cfg := v.proxy.sites.Load().cfg
	if v.tls || !cfg.ProxyProtocol || !trusts(cfg, v.peer) {
		return true
	}
	v.by = time.Now().Add(cfg.Limits.ReadHead)
	peer, err := v.in.proxyHeader()
	if err != nil {
		v.proxy.metrics.refuse(400, "proxy-protocol")
		return false
	}
	if peer.IsValid() {
		v.peer = peer
	}
	return true
}

// finish sends what is gathered and ends the exchange. It reports whether the
// connection may serve another.
func (v *visitor) finish() (keep bool) {
	err := v.flush()
	x := v.x
	if x == nil {
		return false
	}
	v.x = nil
	return x.finish(err)
}

// Close ends the exchange that there is and the connection.
func (v *visitor) Close() error {
	v.finish()
	if v.lingers {
		v.linger()
	}
	v.in.release()
	v.proxy.dismiss(v)
	return v.Conn.Close()
}

// lean is how long a waiting visitor keeps its read buffer. Those who stay
// longer cost no more than their goroutine.
const lean = time.Second

// await waits for the first byte of a request.
func (v *visitor) await(first bool) bool {
	v.limits = &v.proxy.sites.Load().cfg.Limits
	if len(v.in.buffered()) > 0 {
		return true
	}
	limit := v.limits.Idle
	if first {
		limit = v.limits.ReadHead
	}
	v.patience = 0
	v.idle.Store(true)
	defer v.idle.Store(false)
	if v.proxy.draining.Load() {
		limit = grace
	}
	v.by = time.Now().Add(min(limit, lean))
	err := v.in.fill(smallBuffer)
	if err == nil || limit <= lean || !errors.Is(err, os.ErrDeadlineExceeded) || v.proxy.draining.Load() {
		return err == nil
	}
	v.in.release()
	v.slim.Store(true)
	defer v.slim.Store(false)
	v.by = time.Now().Add(limit - lean)
	if n, _ := v.in.conn.Read(v.one[:]); n == 0 {
		return false
	}
	v.in.grow(smallBuffer)
	v.in.buf[0], v.in.w = v.one[0], 1
	v.in.in++
	return true
}

// grace is how long a visitor that waits when a stop is asked for may still
// begin a request: one that is on its way then is not lost.
const grace = 50 * time.Millisecond

func (v *visitor) hurry(by time.Time) {
	if v.idle.Load() {
		v.SetReadDeadline(by)
	}
}

// inbound is the connection as its source reads it.
type inbound visitor

// Read reads from the connection within the time that is allowed for it.
func (i *inbound) Read(p []byte) (int, error) {
	v := (*visitor)(i)
	by := v.by
	if v.patience > 0 {
		by = time.Now().Add(v.patience)
	}
	v.SetReadDeadline(by)
	if v.halted.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	return v.sock.read(v.Conn, p)
}

// halt ends a read that another goroutine may be in, and all later ones.
func (v *visitor) halt() {
	v.halted.Store(true)
	v.SetReadDeadline(time.Unix(1, 0))
}

// Write gathers what fasthttp sends: it must not wait longer than until the
// next Read, Close or flush. The status line of an answer that has a head of
// its own gives way to that: fasthttp frames the message, but would sort the
// fields and respell some.
func (v *visitor) Write(p []byte) (int, error) {
	n := len(p)
	if v.head != nil {
		if err := v.gather(v.head); err != nil {
			return 0, err
		}
		v.head = nil
		p = p[bytes.IndexByte(p, '\n')+1:]
	}
	if err := v.gather(p); err != nil {
		return 0, err
	}
	return n, nil
}

func (v *visitor) gather(p []byte) error {
	if v.broken {
		return errVisitorLeft
	}
	if v.held == nil {
		v.held = getBuffer(smallBuffer)[:0]
	}
	if len(p) <= cap(v.held)-len(v.held) {
		v.held = append(v.held, p...)
		return nil
	}
	if v.lends && v.lent == nil {
		v.lent, v.at = p, len(v.held)
		return nil
	}
	return v.sendHeld(p)
}

// flush sends what is gathered, and gives its buffer back.
func (v *visitor) flush() error {
	if v.held == nil {
		return nil
	}
	err := v.sendHeld(nil)
	putBuffer(v.held[:smallBuffer])
	v.held = nil
	return err
}

// sendHeld sends what is gathered, and then p.
func (v *visitor) sendHeld(p []byte) (err error) {
	if v.broken {
		err = errVisitorLeft
	} else if v.lent != nil {
		err = v.send(v.held[:v.at], v.lent, v.held[v.at:], p)
	} else if len(v.held)+len(p) > 0 {
		err = v.send(v.held, p)
	}
	v.held, v.lent, v.at = v.held[:0], nil, 0
	return err
}

// drop forgets what is gathered.
func (v *visitor) drop() { v.held, v.lent, v.at = v.held[:0], nil, 0 }

// send sends the parts in order. It fails when nothing of them can be sent for
// as long as a visitor may take.
func (v *visitor) send(parts ...[]byte) error {
	if v.tls && len(parts) > 1 {
		// Each write is a record of its own: they are made one.
		total := 0
		for _, p := range parts {
			total += len(p)
		}
		if total <= largeBuffer {
			buf := getBuffer(largeBuffer)
			defer putBuffer(buf)
			n := 0
			for _, p := range parts {
				n += copy(buf[n:], p)
			}
			parts = append(parts[:0], buf[:n])
		}
	}
	v.vec = net.Buffers(v.vecs[:0])
	for _, p := range parts {
		if len(p) > 0 {
			v.vec = append(v.vec, p)
			v.out += int64(len(p))
		}
	}
	for len(v.vec) > 0 {
		v.extend()
		n, err := v.sock.write(v.Conn, &v.vec)
		if err != nil && (n == 0 || v.tls || !errors.Is(err, os.ErrDeadlineExceeded)) {
			v.broken = true
			return errVisitorLeft
		}
	}
	return nil
}

// writeParts writes parts and takes off what has been written. One part alone is
// cheaper written as such.
func writeParts(c net.Conn, parts *net.Buffers) (int64, error) {
	if len(*parts) > 1 {
		return parts.WriteTo(c)
	}
	n, err := c.Write((*parts)[0])
	if (*parts)[0] = (*parts)[0][n:]; len((*parts)[0]) == 0 {
		*parts = (*parts)[:0]
	}
	return int64(n), err
}

// extend moves the write deadline on. It is let be while it is less than a
// second off: setting it costs as much as a small write.
func (v *visitor) extend() {
	now := time.Now()
	limit := v.limits.Write
	if by := now.Add(limit); by.Sub(v.writeBy) > min(time.Second, limit/4) {
		v.writeBy = by
		v.SetWriteDeadline(by)
	}
}

// errVisitorLeft tells fasthttp too that there is nothing to log.
var errVisitorLeft = fmt.Errorf("the visitor has left: %w", syscall.EPIPE)

// left reports whether the visitor has closed the connection, or their sending
// half of it: as other proxies do, we take that for leaving.
func (v *visitor) left() bool {
	return v.sock != nil && v.sock.hungUp()
}

// linger ends a connection on which the visitor is still sending: what is left
// is read for a while, since closing at once would reset the connection and
// could take the answer with it.
func (v *visitor) linger() {
	if c, ok := v.Conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	v.SetReadDeadline(time.Now().Add(lingerFor))
	io.CopyN(io.Discard, v.Conn, lingerBytes)
}

const (
	lingerFor   = 2 * time.Second
	lingerBytes = 4 << 20
)

// reset ends the connection so that the visitor sees an error even where the
// end of the connection is the end of the message.
func (v *visitor) reset() {
	v.broken = true
	conn := v.Conn
	for {
		under, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = under.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
		t.Close()
	}
	v.Conn.Close()
}
