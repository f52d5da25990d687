package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
)

// Secure returns a listener whose connections are those of ln once visitors
// have agreed on TLS. They have as long for it as for a request's head. Where
// visitors are not served by https it returns ln. What the PROXY protocol says
// comes before TLS.
//
// When the listener is closed, handshakes that have begun are let end: Accept
// fails after the last of them.
func (p *Proxy) Secure(ln net.Listener) net.Listener {
	config := p.visitorTLS()
	if config == nil {
		return ln
	}
	return &handshakes{Listener: ln, proxy: p, config: config, done: make(chan *tls.Conn), failed: make(chan error)}
}

type handshakes struct {
	net.Listener
	proxy  *Proxy
	config *tls.Config
	begin  sync.Once
	done   chan *tls.Conn
	failed chan error
}

// Accept returns the next connection that is agreed on.
func (h *handshakes) Accept() (net.Conn, error) {
	h.begin.Do(func() { go h.accept() })
	select {
	case conn := <-h.done:
		return conn, nil
	case err, open := <-h.failed:
		if !open {
			err = net.ErrClosed
		}
		return nil, err
	}
}

func (h *handshakes) accept() {
	defer close(h.failed)
	var underWay sync.WaitGroup
	defer underWay.Wait()
	for {
		conn, err := h.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			h.failed <- err // the next one is accepted when this one has been taken
			continue
		}
		underWay.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), h.proxy.sites.Load().cfg.Limits.ReadHead)
			defer cancel()
			c := tls.Server(h.proxy.announced(conn), h.config)
			if err := c.HandshakeContext(ctx); err != nil {
				if !errors.Is(err, errProxyHeader) {
					h.proxy.metrics.refuse(400, "tls")
				}
				conn.Close()
				return
			}
			h.done <- c
		})
	}
}
