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
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/configs"
)

// upstream is one server behind a site.
type upstream struct {
	network, address string
	host             string // for the Host of requests that came without one
	weight           int    // how much it is to have beside the other servers
	tls              *tls.Config
	dialer           net.Dialer
	limits           *configs.Limits

	// client has the connections: how many there are and who waits for one,
	// which are idle and for how long. What goes over them is RoundTrip's.
	client fasthttp.HostClient
	closed atomic.Bool

	condition
}

// link is one connection to an upstream. It serves one exchange at a time.
type link struct {
	net.Conn
	up    *upstream
	sock  *socket
	in    source
	kept  bool // it has served an exchange before this one
	lease any  // by which client knows it while it is in use

	request []byte // waits to be sent, see await

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
	errStale      = errors.New("something arrived on a connection that nothing was asked over")
	errUnfinished = errors.New("the upstream ended its answer early")
)

func newUpstream(u *url.URL, t *configs.UpstreamTLS, l *configs.Limits) (*upstream, error) {
	up := &upstream{
		network: "tcp",
		address: u.Host,
		host:    u.Host,
		dialer:  net.Dialer{Timeout: l.Dial},
		limits:  l,
	}
	up.client = fasthttp.HostClient{
		Addr:                     u.Hostname(),
		Transport:                up,
		Dial:                     func(string) (net.Conn, error) { return up.dial() },
		MaxConns:                 l.UpstreamConns,
		MaxConnWaitTimeout:       l.QueueWait,
		MaxIdleConnDuration:      idleLink,
		ConnPoolStrategy:         fasthttp.LIFO,
		RetryIfErr:               func(*fasthttp.Request, int, error) (bool, bool) { return false, true },
		NoDefaultUserAgentHeader: true,
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

// acquire gives x a connection: an idle one or a new one.
func (up *upstream) acquire(x *exchange) error {
	// Who waits for a connection keeps the server busy too: one that is away
	// without saying so would seem to have nothing to do.
	up.busy.Add(1)
	lease, err := up.client.AcquireConn(0, false)
	if err != nil {
		up.busy.Add(-1)
		if errors.Is(err, fasthttp.ErrNoFreeConns) {
			return errQueueFull
		}
		return err
	}
	l := lease.Conn().(*link)
	l.lease = lease
	l.patience, l.pause, l.stall = x.cfg.Limits.Response, 0, x.stall
	x.link = l
	return nil
}

func (up *upstream) dial() (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), up.limits.Dial)
	defer cancel()
	conn, err := up.dialer.DialContext(ctx, up.network, up.address)
	if err != nil {
		return nil, err
	}
	l := &link{up: up, Conn: conn}
	if up.tls != nil {
		t := tls.Client(conn, up.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		l.Conn = t
	}
	l.sock = socketOf(l.Conn)
	l.in.conn = l
	return l, nil
}

// release gives l back: to be used again, or to be closed.
func (l *link) release(reusable bool) {
	up, lease := l.up, l.lease
	reusable = reusable && len(l.in.buffered()) == 0
	l.in.release()
	l.kept, l.lease, l.stall, l.request = true, nil, nil, nil
	up.busy.Add(-1)
	if !reusable {
		give((*fasthttp.HostClient).CloseConn, &up.client, lease)
		return
	}
	give((*fasthttp.HostClient).ReleaseConn, &up.client, lease)
	if up.closed.Load() {
		up.client.CloseIdleConnections()
	}
}

// give hands a connection back. HostClient has no name for its type.
func give[C any](to func(*fasthttp.HostClient, C), client *fasthttp.HostClient, lease any) {
	to(client, lease.(C))
}

func (up *upstream) close() {
	up.closed.Store(true)
	up.client.CloseIdleConnections()
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
			l.SetReadDeadline(l.readBy)
		}
		n, err := l.receive(p)
		if n > 0 || err == nil {
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

// receive reads once. Where a request waits for that, it is sent, and the answer
// waited for instead: without a buffer, and once it has come with one that takes
// most answers whole.
func (l *link) receive(p []byte) (n int, err error) {
	if l.request == nil {
		return l.sock.read(l.Conn, p)
	}
	switch l.request, err = l.sock.ask(l.request); {
	case len(l.request) == 0:
		l.request = nil
		if err == nil {
			l.in.grow(largeBuffer)
		}
	case err == nil:
		// An upstream that takes no more may have answered all the same.
		l.write(l.request, nil)
		l.request = nil
	}
	return 0, err
}

// send sends a request's head, and its body as far as there is one; more says
// that more follows. A connection that was kept is looked at before: with errStale
// it is of no use, and nothing has been sent. What is a head alone waits for await.
func (l *link) send(head, body []byte, more bool) error {
	if l.kept && l.sock != nil {
		if l.sock.plain && len(body) == 0 && !more {
			l.request = head
			return nil
		}
		if l.sock.stale() {
			return errStale
		}
	}
	return l.write(head, body)
}

// await sends a request that waits for that, and waits a moment for the answer.
func (l *link) await() error {
	if l.request == nil {
		return nil
	}
	_, err := l.Read(nil)
	return err
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
			l.SetWriteDeadline(by)
		}
		n, err := l.sock.write(l.Conn, &l.vec)
		if err != nil && (n == 0 || l.up.tls != nil || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}
