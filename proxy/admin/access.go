package admin

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// policy allows what the pages are made of and nothing else: own style and
// script, drawings in the page itself, forms, frames and requests of this
// origin.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// bodyTime is how long a request's body may take to arrive.
const bodyTime = 10 * time.Second

// protect checks whence a request comes and who sends it, and sets the headers
// that all answers have. Health checks are for everybody who gets as far as the
// listener: they tell nothing else.
func (a *Admin) protect(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // a test's writer has none
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if !a.door.admits(r) {
			http.Error(w, "This address is not let in.", http.StatusForbidden)
			return
		}
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if !a.door.addressed(r.Host) {
			http.Error(w, "This name is not one of the audit's. Use the address that askfirst printed, or have the name configured.", http.StatusMisdirectedRequest)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			http.Error(w, "This request came from another site.", http.StatusForbidden)
			return
		}
		if embedded(r) {
			http.Error(w, "Other sites may lead here and nothing else.", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			r.Body = http.MaxBytesReader(w, r.Body, 4096)
		}
		if strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/signin" && !a.door.open() {
			next.ServeHTTP(w, r)
			return
		}
		who := a.door.identify(r)
		if who == nil {
			a.turnAway(w, r)
			return
		}
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
		case r.URL.Path == "/reload" && who.operator:
			// A reload is asked for by programs, which have no form to take the
			// token from. It needs none: no page can do it (above), and it puts in
			// force only what the operator has written.
		default:
			if who.token == "" || subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(who.token)) != 1 {
				http.Error(w, "The form is out of date: go back, reload the page and try again.", http.StatusForbidden)
				return
			}
			if !who.operator && r.URL.Path != "/signout" {
				a.o.Log.Warn("a viewer may not change anything", "name", who.name, "path", r.URL.Path)
				http.Error(w, "This takes an operator; you are signed in as a viewer.", http.StatusForbidden)
				return
			}
		}
		if !who.operator && strings.HasPrefix(r.URL.Path, "/debug/") {
			http.Error(w, "This takes an operator; you are signed in as a viewer.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	})
}

// embedded reports whether a page of another site asks for r as a part of
// itself (Fetch Metadata): an image of the check of all receipts, a frame, the
// stream of what happens. It could not read the answer, but have us work for it.
func embedded(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}

type identityKey struct{}

// identityOf returns whom protect has found r to come from.
func identityOf(r *http.Request) *identity {
	return r.Context().Value(identityKey{}).(*identity)
}

// turnAway sends somebody who has not signed in to where that is done.
func (a *Admin) turnAway(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("Authorization") == "" {
		next := ""
		if r.URL.Path != "/" {
			next = "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
		}
		http.Redirect(w, r, "/signin"+next, http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="askfirst", charset="UTF-8"`)
	http.Error(w, "Sign in first.", http.StatusUnauthorized)
}

// admits reports whether the address that r comes from is let in.
func (d *doorkeeper) admits(r *http.Request) bool {
	if len(d.access.Allow) == 0 {
		return true
	}
	a, err := netip.ParseAddr(d.client(r))
	return err == nil && contains(d.access.Allow, a)
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// client returns the address that r comes from. Behind a proxy that speaks TLS
// for us it is the last one that is not a trusted proxy's own.
func (d *doorkeeper) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	client := peer.Addr().Unmap()
	if !d.access.BehindTLS || !contains(d.trusted, client) {
		return client.String()
	}
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(list) {
		a, err := configs.ForwardedAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		if client = a; !contains(d.trusted, client) {
			break
		}
	}
	return client.String()
}

// addressed reports whether host, with or without port, may be ours. A page of
// another site that points its own name here is told apart by that name.
func (d *doorkeeper) addressed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(d.access.Hosts, host)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
