// Package proxy stands between visitors and a site, and lets no tracker through
// until the visitor has agreed to it.
//
// It reads as a request travels: server.go accepts, visitor.go holds the
// connection, and exchange.go takes one request through everything: request.go
// checks it, site.go finds the site, cookies.go and rules/consent the choice,
// upstream.go the connection on which it is asked, response.go what of the
// answer's head may pass. A page goes on through document.go, which decodes,
// rewrites and encodes it (encoding.go, charset.go), remembers it (memo.go) and
// makes its head true (documenthead.go, validators.go, csp.go, lock.go). Where
// one page serves all, uniform.go says for whom it is made. All else is
// passed on untouched, as it comes. own.go answers what is asked of us, tunnel.go
// carries WebSockets, servers.go chooses among several upstreams.
//
// What cannot be read is held all the same: a page in an unknown or broken
// coding is sent as it came, under a policy by which it contacts nobody else.
//
// Messages are read and written by this package itself (head.go, source.go), on
// both sides. A proxy must send on, byte for byte, what it does not mean to
// change, and must refuse what two readers could read differently; it must pass
// interim answers on, see visitors leave, and hold no buffer for those who
// wait. fasthttp's server reads a request into a model of its own, sends 100
// (Continue) and drops what is interim by itself, and with streamed bodies keeps
// for each connection a buffer of the largest head that it takes: 640 MB for
// 10,000 idle visitors where ours take 64 KB heads and some 10 KB each. So
// fasthttp serves the own endpoints, which are an application, and these two
// files serve the wire.
//
//	p, err := proxy.New(cfg, proxy.Options{Records: store, Log: log})
//	…
//	go p.Serve(listener)
//	…
//	p.Shutdown(ctx)
package proxy
