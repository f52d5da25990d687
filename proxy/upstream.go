package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// upstream is the server behind a site, and the connections to it.
type upstream struct {
	network, address string
	host             string // for the Host of requests that came without one
	tls              *tls.Config
	dialer           net.Dialer
	limits           *configs.Limits

	// slots holds one token for each connection in use. Idle connections hold
	// none: a request takes one of those before it dials, so that there are
	// never more connections than slots.
	slots chan struct{}

	condition

	mu     sync.Mutex
	idle   []*link // the one used last comes last, and is taken first
	closed bool
}

// link is one connection to an upstream. It serves one exchange at a time.
type link struct {
	up     *upstream
	conn   net.Conn
	sock   *socket
	in     source
	reused bool      // it has served an exchange before this one
	since  time.Time // when it became idle

	// While an exchange reads from it:
	patience time.Duration                    // how long the upstream may be silent
	pause    time.Duration                    // how long until stall is called
	stall    func(silent time.Duration) error // called when nothing has come for a while; nil for none
	readBy   time.Time                        // the read deadline that is set
	writeBy  time.Time
	vec      net.Buffers
	vecs     [2][]byte
}

const (
	// idleLink is how long an unused connection is kept.
	idleLink = 60 * time.Second
	// watch is how often an exchange that waits for its upstream looks whether
	// the visitor is still there.
	watch = 100 * time.Millisecond
)

var (
	errQueueFull  = errors.New("no upstream connection came free")
	errSilent     = errors.New("the upstream is silent")
	errUnfinished = errors.New("the upstream ended its answer early")
)

func newUpstream(u *url.URL, t *configs.UpstreamTLS, l *configs.Limits) (*upstream, error) {
	up := &upstream{
		network: "tcp",
		address: u.Host,
		host:    u.Host,
		dialer:  net.Dialer{Timeout: l.Dial},
		limits:  l,
		slots:   make(chan struct{}, l.UpstreamConns),
	}
	port := u.Port()
	switch u.Scheme {
	case "https":
		var err error
		if up.tls, err = clientTLS(t, u.Hostname()); err != nil {
			return nil, err
		}
		if port == "" {
			port = "443"
		}
	case "unix":
		up.network, up.address, up.host = "unix", u.Path, "localhost"
		return up, nil
	default:
		if port == "" {
			port = "80"
		}
	}
	up.address = net.JoinHostPort(u.Hostname(), port)
	return up, nil
}

// clientTLS is how an https upstream is spoken to. Files are read now, so that
// a mistake shows before the first visitor does.
func clientTLS(t *configs.UpstreamTLS, host string) (*tls.Config, error) {
	c := &tls.Config{
		ServerName:         host,
		NextProtos:         []string{"http/1.1"},
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: t.Unverified,
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("upstream authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("upstream authorities: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate for the upstream: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// acquire returns a connection: an idle one that is alive, or a new one if
// there is none or fresh is set.
func (up *upstream) acquire(fresh bool) (*link, error) {
	if err := up.takeSlot(); err != nil {
		return nil, err
	}
	for !fresh {
		l := up.popIdle()
		if l == nil {
			break
		}
		if l.sock != nil && l.sock.stale() || len(l.in.buffered()) > 0 || time.Since(l.since) > idleLink {
			l.conn.Close()
			l.in.release()
			continue
		}
		l.reused = true
		up.busy.Add(1)
		return l, nil
	}
	l, err := up.dial()
	if err != nil {
		<-up.slots
		return nil, err
	}
	up.busy.Add(1)
	return l, nil
}

func (up *upstream) takeSlot() error {
	select {
	case up.slots <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(up.limits.QueueWait)
	defer t.Stop()
	select {
	case up.slots <- struct{}{}:
		return nil
	case <-t.C:
		return errQueueFull
	}
}

func (up *upstream) popIdle() *link {
	up.mu.Lock()
	defer up.mu.Unlock()
	n := len(up.idle)
	if n == 0 {
		return nil
	}
	l := up.idle[n-1]
	up.idle[n-1] = nil
	up.idle = up.idle[:n-1]
	return l
}

func (up *upstream) dial() (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), up.limits.Dial)
	defer cancel()
	conn, err := up.dialer.DialContext(ctx, up.network, up.address)
	if err != nil {
		return nil, err
	}
	l := &link{up: up, sock: socketOf(conn)}
	if up.tls != nil {
		t := tls.Client(conn, up.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = t
	}
	l.conn = conn
	l.in.conn = l
	return l, nil
}

// release gives l back: to be used again, or to be closed.
func (l *link) release(reusable bool) {
	up := l.up
	<-up.slots
	up.busy.Add(-1)
	l.stall = nil
	reusable = reusable && len(l.in.buffered()) == 0
	l.in.release()
	if reusable {
		l.since = time.Now()
		up.mu.Lock()
		if !up.closed {
			up.idle = append(up.idle, l)
			l = nil
		}
		up.mu.Unlock()
	}
	if l != nil {
		l.conn.Close()
	}
	up.reap()
}

// reap closes the connections that have been idle for long.
func (up *upstream) reap() {
	up.mu.Lock()
	defer up.mu.Unlock()
	n := 0
	for n < len(up.idle) && (up.closed || time.Since(up.idle[n].since) > idleLink) {
		up.idle[n].conn.Close()
		n++
	}
	if n > 0 {
		up.idle = append(up.idle[:0], up.idle[n:]...)
	}
}

func (up *upstream) close() {
	up.mu.Lock()
	up.closed = true
	up.mu.Unlock()
	up.reap()
}

// Read reads from the upstream. While nothing comes it calls stall, first
// after pause and then at every watch.
func (l *link) Read(p []byte) (int, error) {
	begun := time.Now()
	step := watch
	if l.pause > 0 {
		step = l.pause
	}
	now := begun
	for {
		if left := l.readBy.Sub(now); left < step/2 || left > step {
			l.readBy = now.Add(step)
			l.conn.SetReadDeadline(l.readBy)
		}
		n, err := l.conn.Read(p)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		now = time.Now()
		silent := now.Sub(begun)
		if l.stall != nil {
			if err := l.stall(silent); err != nil {
				return 0, err
			}
		}
		if silent > l.patience {
			return 0, errSilent
		}
		step = watch
	}
}

// write sends a and then b to the upstream.
func (l *link) write(a, b []byte) error {
	l.vec = append(net.Buffers(l.vecs[:0]), a)
	if len(b) > 0 {
		l.vec = append(l.vec, b)
	}
	for len(l.vec) > 0 {
		now := time.Now()
		limit := l.up.limits.Write
		if by := now.Add(limit); by.Sub(l.writeBy) > min(time.Second, limit/4) {
			l.writeBy = by
			l.conn.SetWriteDeadline(by)
		}
		n, err := l.vec.WriteTo(l.conn)
		if err != nil && (n == 0 || l.up.tls != nil || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}
