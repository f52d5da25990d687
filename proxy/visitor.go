package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// visitor is one connection from a browser, or from what stands in front of us.
type visitor struct {
	proxy *Proxy
	conn  net.Conn
	sock  *socket // nil where there is none under conn
	peer  netip.Addr
	tls   bool
	in    source

	limits *configs.Limits // as they stood when the visitor came or began to wait

	// patience is how long a read may wait for a byte; where it is 0, by is
	// when all reads end.
	patience time.Duration
	by       time.Time
	halted   atomic.Bool // reads fail from now on
	idle     atomic.Bool // waits for the first byte of a request
	slim     atomic.Bool // does so without a buffer
	one      [1]byte

	writeBy time.Time // the write deadline that is set
	vec     net.Buffers
	vecs    [4][]byte
	out     int64
}

func newVisitor(p *Proxy, conn net.Conn) *visitor {
	v := &visitor{proxy: p, conn: conn}
	v.in.conn = v
	_, v.tls = conn.(*tls.Conn)
	v.sock = socketOf(conn)
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		v.peer = a.AddrPort().Addr().Unmap()
	}
	return v
}

// socketOf returns the socket under conn, nil where it has none.
func socketOf(conn net.Conn) *socket {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			return newSocket(raw)
		default:
			return nil
		}
	}
}

// serve answers one request after another until the connection ends.
func (v *visitor) serve() {
	defer v.proxy.dismiss(v)
	defer v.conn.Close()
	if cfg := v.proxy.sites.Load().cfg; cfg.ProxyProtocol && trusts(cfg, v.peer) {
		v.by = time.Now().Add(cfg.Limits.ReadHead)
		peer, err := v.in.proxyHeader()
		if err != nil {
			v.proxy.metrics.refuse(400, "proxy-protocol")
			return
		}
		if peer.IsValid() {
			v.peer = peer
		}
	}
	for n := 0; v.await(n == 0); n++ {
		if !v.exchange() {
			return
		}
	}
}

// exchange answers one request. A fault of ours ends this connection, not the
// proxy.
func (v *visitor) exchange() (keep bool) {
	x := acquireExchange(v)
	defer func() {
		if r := recover(); r != nil {
			v.proxy.metrics.faults.Add(1)
			v.proxy.log.Error("a fault of askfirst's own", "fault", r, "method", string(x.request.method),
				"target", string(x.request.target), "stack", string(debug.Stack()))
			x.abandon()
			v.reset()
		}
	}()
	keep = x.serve()
	releaseExchange(x)
	return keep
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
	if n, _ := v.Read(v.one[:]); n == 0 {
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
		v.conn.SetReadDeadline(by)
	}
}

// Read reads from the connection within the time that is allowed for it.
func (v *visitor) Read(p []byte) (int, error) {
	by := v.by
	if v.patience > 0 {
		by = time.Now().Add(v.patience)
	}
	v.conn.SetReadDeadline(by)
	if v.halted.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	return v.conn.Read(p)
}

// halt ends a read that another goroutine may be in, and all later ones.
func (v *visitor) halt() {
	v.halted.Store(true)
	v.conn.SetReadDeadline(time.Unix(1, 0))
}

// write sends the parts in order. It fails when nothing of them can be sent
// for as long as a visitor may take.
func (v *visitor) write(parts ...[]byte) error {
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
		n, err := v.vec.WriteTo(v.conn)
		if err != nil && (n == 0 || v.tls || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return errVisitorLeft
		}
	}
	return nil
}

// extend moves the write deadline on. It is let be while it is less than a
// second off: setting it costs as much as a small write.
func (v *visitor) extend() {
	now := time.Now()
	limit := v.limits.Write
	if by := now.Add(limit); by.Sub(v.writeBy) > min(time.Second, limit/4) {
		v.writeBy = by
		v.conn.SetWriteDeadline(by)
	}
}

var errVisitorLeft = errors.New("the visitor has left")

// left reports whether the visitor has closed the connection, or their sending
// half of it: as other proxies do, we take that for leaving.
func (v *visitor) left() bool {
	return v.sock != nil && v.sock.hungUp()
}

// linger ends a connection on which the visitor is still sending: what is left
// is read for a while, since closing at once would reset the connection and
// could take the answer with it.
func (v *visitor) linger() {
	if c, ok := v.conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	v.conn.SetReadDeadline(time.Now().Add(lingerFor))
	io.CopyN(io.Discard, v.conn, lingerBytes)
}

const (
	lingerFor   = 2 * time.Second
	lingerBytes = 4 << 20
)

// reset ends the connection so that the visitor sees an error even where the
// end of the connection is the end of the message.
func (v *visitor) reset() {
	conn := v.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
		t.Close()
	}
	v.conn.Close()
}
