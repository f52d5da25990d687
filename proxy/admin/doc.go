// Package admin is what the operator sees: the audit's pages, health and
// metrics, on a listener of their own that visitors do not reach.
//
// All that the pages show comes from visitors' browsers and from pages that
// third parties write into, so all of it is escaped; a strict
// Content-Security-Policy allows no inline script or style. Requests whose Host
// is neither an IP address, a name of this machine nor one of Access.Hosts are
// refused, against DNS rebinding. Who may see and change what is told by
// Options.Access; where it names nobody the listener must be on a loopback
// address, for whoever reaches it is let in.
//
//	a := admin.New(admin.Options{Store: store, Ready: p.Ready, Metrics: p.WriteMetrics})
//	http.Serve(listener, a.Handler())
package admin
