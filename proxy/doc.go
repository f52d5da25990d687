// Package proxy stands between visitors and a site, and lets no tracker through
// until the visitor has agreed to it.
//
// It reads as a request travels: server.go sets fasthttp up, visitor.go lets one
// checked head after another through to it, and exchange.go takes one request
// through everything: request.go checks it, site.go finds the site, cookies.go and
// rules/consent the choice, ask.go sends it to an upstream over a connection of
// upstream.go and reads the head of the answer, response.go and redirect.go say
// what of that may pass, answer.go passes it on. A page goes through document.go
// on its way, which decodes, rewrites and encodes it (encoding.go, charset.go),
// remembers it (remember.go, memo.go; refinery.go makes what is remembered
// smaller) and makes its head true (documenthead.go, validators.go, csp.go,
// lock.go). Where one page serves all, uniform.go says for whom it is made. A
// worker's script has a guard put into it (worker.go). All else is passed on
// untouched, as it comes. own.go answers what is asked of us, tunnel.go carries
// WebSockets, servers.go chooses among several upstreams.
//
// What cannot be read is held all the same: a page in an unknown or broken
// coding is sent as it came, under a policy by which it contacts nobody else.
//
// fasthttp's Server accepts, runs a worker for each connection, keeps it alive,
// models requests for the own endpoints, frames answers and says whether the
// connection lives on. Its HostClient, one for each upstream, has the connections
// there: their number, the queue for them, the idle ones. Neither reads what a
// stranger or an upstream wrote. It is read here first (head.go, source.go),
// strictly: what two readers could read differently is refused. So the server's
// net.Conn is a visitor, from whom it reads heads that are written anew and not a
// byte of a body, and the client's RoundTripper writes the request and reads the
// answer itself. That is also what lets bodies pass both ways at once and as they
// come, interim answers be passed on, visitors who leave be seen, and a waiting
// visitor cost no buffer.
//
// Three things go around fasthttp. The fields of an answer keep their bytes and
// their order, where its model would sort them and respell some: they take the
// place of its status line. What it writes is gathered by the visitor and sent
// when there is something of the body, so that an answer whose first bytes turn
// out broken can still give way to one that says so. And it frames every body:
// those that end with the connection, for visitors of HTTP/1.0, and tunnels are
// written by us to a connection that it has handed over.
//
//	p, err := proxy.New(cfg, proxy.Options{Records: store, Log: log})
//	…
//	go p.Serve(listener)
//	…
//	p.Shutdown(ctx)
package proxy
