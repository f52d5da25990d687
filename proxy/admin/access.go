package admin

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy allows what the pages are made of and nothing else: own style and
// script, drawings in the page itself, forms and requests to this origin.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// protect checks whence a request comes and sets the headers that all answers
// have.
func (a *Admin) protect(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if !a.addressed(r.Host) {
			http.Error(w, "This name is not one of the audit's. Use the address that askfirst printed, or have the name configured.", http.StatusMisdirectedRequest)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			http.Error(w, "This request came from another site.", http.StatusForbidden)
			return
		}
		// A reload is asked for by programs, which have no form to take the
		// token from. It needs none: no page can do it (above), and it puts in
		// force only what the operator has written.
		if r.Method == http.MethodPost && r.URL.Path != "/reload" {
			r.Body = http.MaxBytesReader(w, r.Body, 4096)
			if subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(a.token)) != 1 {
				http.Error(w, "The form is out of date: go back, reload the page and try again.", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// addressed reports whether host, with or without port, may be ours. A page of
// another site that points its own name here is told apart by that name.
func (a *Admin) addressed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(a.o.Hosts, host)
}
