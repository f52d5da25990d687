// Package admin is what the operator sees: the audit's pages, health and
// metrics, on a listener of their own that visitors do not reach.
//
// All that the pages show comes from visitors' browsers and from pages that
// third parties write into, so all of it is escaped; a strict
// Content-Security-Policy allows no inline script or style. Requests whose Host
// is neither an IP address, a name of this machine nor one of Options.Hosts are
// refused, against DNS rebinding. The package checks no password: the listener
// must be on a loopback address or behind something that does.
//
//	a := admin.New(admin.Options{Store: store, Ready: p.Ready, Metrics: p.WriteMetrics})
//	http.Serve(listener, a.Handler())
package admin
