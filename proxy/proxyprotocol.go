package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// The PROXY protocol, as HAProxy's proxy-protocol.txt has it: what stands in
// front says on a new connection whose it is, before anything else, TLS too.

const (
	proxyLine   = 107 // the longest header of version 1
	proxyPrefix = 16  // the fixed part of a header of version 2
	proxyLimit  = 2 << 10
)

var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var errProxyHeader = errors.New("the PROXY protocol header is malformed")

// proxyHeader reads the header that begins a connection. It returns the zero
// Addr where the header says that the connection is the proxy's own, or of a
// family that has no addresses.
func (s *source) proxyHeader() (netip.Addr, error) {
	if err := s.need(1); err != nil {
		return netip.Addr{}, err
	}
	if s.buffered()[0] == 'P' {
		return s.proxyV1()
	}
	return s.proxyV2()
}

// need reads until n bytes are buffered.
func (s *source) need(n int) error {
	for len(s.buffered()) < n {
		if err := s.fill(smallBuffer); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) proxyV1() (a netip.Addr, err error) {
	for n := 1; ; n++ {
		if err := s.need(n); err != nil {
			return a, err
		}
		b := s.buffered()
		end := bytes.Index(b[:min(len(b), proxyLine)], crlf)
		if end < 0 {
			if n = len(b); n >= proxyLine {
				return a, errProxyHeader
			}
			continue
		}
		words := bytes.Split(b[:end], []byte{' '})
		s.take(end + 2)
		switch {
		case len(words) >= 2 && string(words[0]) == "PROXY" && string(words[1]) == "UNKNOWN":
			return a, nil
		case len(words) != 6 || string(words[0]) != "PROXY":
			return a, errProxyHeader
		}
		a, err := netip.ParseAddr(string(words[2]))
		if four := string(words[1]) == "TCP4"; err != nil || four != a.Is4() || !four && string(words[1]) != "TCP6" {
			return netip.Addr{}, errProxyHeader
		}
		return a.Unmap(), nil
	}
}

func (s *source) proxyV2() (a netip.Addr, err error) {
	if err := s.need(proxyPrefix); err != nil {
		return a, err
	}
	b := s.buffered()
	size := int(binary.BigEndian.Uint16(b[14:]))
	if !bytes.HasPrefix(b, proxySignature) || b[12]>>4 != 2 || b[12]&15 > 1 || size > proxyLimit {
		return a, errProxyHeader
	}
	if err := s.need(proxyPrefix + size); err != nil {
		return a, err
	}
	command, family, rest := b[12]&15, s.buffered()[13], s.buffered()[proxyPrefix:proxyPrefix+size]
	switch {
	case command == 0: // LOCAL
	case family == 0x11 && size >= 12:
		a = netip.AddrFrom4([4]byte(rest))
	case family == 0x21 && size >= 36:
		a = netip.AddrFrom16([16]byte(rest)).Unmap()
	case family == 0x11, family == 0x21:
		return a, errProxyHeader
	}
	s.take(proxyPrefix + size)
	return a, nil
}

// Announced returns a listener whose connections are whose they are said to be,
// where the configuration says that they begin with a PROXY protocol header. It
// is for those that somebody else than Serve reads from.
func (p *Proxy) Announced(ln net.Listener) net.Listener { return &announcements{ln, p} }

type announcements struct {
	net.Listener
	proxy *Proxy
}

func (a *announcements) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return a.proxy.announced(conn), nil
}

func (p *Proxy) announced(conn net.Conn) net.Conn {
	cfg := p.sites.Load().cfg
	from := peerOf(conn)
	if !cfg.ProxyProtocol || !trusts(cfg, from) {
		return conn
	}
	a := &announced{Conn: conn, proxy: p}
	a.in.conn = conn
	return a
}

// announced is a connection whose header is read before its first byte. Until
// then it is that of the proxy.
type announced struct {
	net.Conn
	proxy *Proxy
	in    source
	once  sync.Once
	err   error

	mu   sync.Mutex
	peer netip.Addr
}

func (a *announced) Read(p []byte) (int, error) {
	a.once.Do(a.readHeader)
	if a.err != nil {
		return 0, a.err
	}
	if rest := a.in.buffered(); len(rest) > 0 {
		n := copy(p, rest)
		a.in.take(n)
		a.in.release()
		return n, nil
	}
	return a.Conn.Read(p)
}

func (a *announced) readHeader() {
	peer, err := a.in.proxyHeader()
	if err != nil {
		a.proxy.metrics.refuse(400, "proxy-protocol")
		a.err = errors.Join(errProxyHeader, err)
		return
	}
	a.in.release()
	a.mu.Lock()
	a.peer = peer
	a.mu.Unlock()
}

// RemoteAddr is the visitor's.
func (a *announced) RemoteAddr() net.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.peer.IsValid() {
		return &net.TCPAddr{IP: a.peer.AsSlice()}
	}
	return a.Conn.RemoteAddr()
}

// NetConn returns the connection that the header came over.
func (a *announced) NetConn() net.Conn { return a.Conn }

func peerOf(conn net.Conn) (a netip.Addr) {
	if t, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		a = t.AddrPort().Addr().Unmap()
	}
	return a
}
