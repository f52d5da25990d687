package proxy

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestPolicies adapts policies. G are the addresses of the guard and of the script that it asks for, I its hash, S the
// hashes of styles and O that of the own endpoints.
func TestPolicies(t *testing.T) {
	s := newStage(t, always(t, ok))
	site := s.proxy.sites.Load().all[0]
	p := site.policy
	names := strings.NewReplacer("http://shop.example"+p.guard+" http://shop.example"+p.boxes, "G", p.integrity, "I", p.styles, "S", "http://shop.example"+p.prefix, "O")
	for _, c := range []struct {
		in, out   string
		nonce     string
		integrity bool
		gpc       bool // Global Privacy Control is to be put on record
	}{
		{in: "upgrade-insecure-requests", out: "upgrade-insecure-requests"},
		{in: "", out: ""},
		{in: "frame-ancestors 'none'; object-src 'none'", out: "frame-ancestors 'none'; object-src 'none'"},
		// All we need is allowed: not a byte changes.
		{in: "script-src  'self' ;style-src 'unsafe-inline';", out: "script-src  'self' ;style-src 'unsafe-inline';"},
		{in: "default-src *; style-src * 'unsafe-inline'", out: "default-src *; style-src * 'unsafe-inline'"},
		{in: "script-src 'nonce-abc' 'strict-dynamic'", out: "script-src 'nonce-abc' 'strict-dynamic'", nonce: "abc"},
		{in: "default-src 'self' 'nonce-abc'", out: "default-src 'self' 'nonce-abc'", nonce: "abc"},
		// Scripts.
		{in: "script-src 'none'", out: "script-src G"},
		{in: "script-src", out: "script-src G"},
		{in: "script-src https://cdn.example", out: "script-src https://cdn.example G"},
		{in: "script-src-elem 'none'; script-src 'self'", out: "script-src-elem G; script-src 'self'"},
		{in: "script-src 'sha256-x'", out: "script-src 'sha256-x' G"},
		{in: "script-src 'strict-dynamic' 'sha256-x'", out: "script-src 'strict-dynamic' 'sha256-x' I", integrity: true},
		{in: "SCRIPT-SRC 'None'", out: "SCRIPT-SRC G"},
		{in: "script-src 'none'; script-src 'self'", out: "script-src G"},
		// Styles: hashes only where 'unsafe-inline' is not in force.
		{in: "style-src 'self'", out: "style-src 'self' S"},
		{in: "style-src 'none'", out: "style-src S"},
		{in: "style-src 'self' 'unsafe-inline'", out: "style-src 'self' 'unsafe-inline'"},
		{in: "style-src 'unsafe-inline' 'sha256-x'", out: "style-src 'unsafe-inline' 'sha256-x' S"},
		{in: "style-src 'nonce-s'; script-src 'nonce-abc'", out: "style-src 'nonce-s' S; script-src 'nonce-abc'", nonce: "abc"},
		{in: "style-src 'nonce-abc'; script-src 'nonce-abc'", out: "style-src 'nonce-abc'; script-src 'nonce-abc'", nonce: "abc"},
		// Connections and forms.
		{in: "connect-src https://api.example", out: "connect-src https://api.example O"},
		{in: "connect-src 'none'", out: "connect-src O"},
		{in: "form-action 'none'", out: "form-action O"},
		{in: "form-action 'self'", out: "form-action 'self'"},
		// default-src does not grow.
		{in: "default-src 'none'; img-src 'self'", out: "default-src 'none'; script-src G; style-src S; connect-src O; img-src 'self'"},
		{in: "default-src 'self'", out: "default-src 'self'; style-src 'self' S"},
		{in: "default-src https://cdn.example; script-src 'self'; connect-src 'self'", out: "default-src https://cdn.example; style-src https://cdn.example S; script-src 'self'; connect-src 'self'"},
		// What is asked for as a picture, to put on record that GPC is honoured.
		{in: "img-src 'none'", out: "img-src O", gpc: true},
		{in: "img-src 'self'", out: "img-src 'self'", gpc: true},
		{in: "default-src 'none'; style-src 'unsafe-inline'", out: "default-src 'none'; script-src G; connect-src O; img-src O; style-src 'unsafe-inline'", gpc: true},
		// Several policies in one field.
		{in: "script-src 'none', default-src 'self' 'unsafe-inline'", out: "script-src G,  default-src 'self' 'unsafe-inline'"},
		// Reports to those who were not agreed to.
		{in: "script-src 'self'; report-uri https://www.google-analytics.com/csp", out: "script-src 'self'"},
		{in: "script-src 'self'; report-uri /csp", out: "script-src 'self'; report-uri /csp"},
	} {
		x := &exchange{proxy: s.proxy, site: site, cfg: s.proxy.sites.Load().cfg, address: []byte("shop.example"), target: []byte("/")}
		if c.gpc {
			x.shown = consent.Stand(consent.OptOut, nil, consent.GPC)
		}
		x.answer.fields = []field{{nameCSP, []byte("Content-Security-Policy"), []byte(c.in)}}
		nonce := policyNonce(&x.answer)
		integrity := x.adaptPolicies(nonce)
		got := strings.TrimSuffix(strings.TrimPrefix(string(x.policies), "Content-Security-Policy: "), "\r\n")
		if got = names.Replace(got); strings.ReplaceAll(got, ",  ", ", ") != strings.ReplaceAll(c.out, ",  ", ", ") || string(nonce) != c.nonce || integrity != c.integrity {
			t.Errorf("%s\ngot  %s, nonce %q, integrity %v\nwant %s, nonce %q, integrity %v", c.in, got, nonce, integrity, c.out, c.nonce, c.integrity)
		}
	}
}

// TestPageUnderPolicy takes pages with a policy over the wire: what is put in
// carries the nonce or the hash.
func TestPageUnderPolicy(t *testing.T) {
	for policy, want := range map[string]string{
		"script-src 'nonce-q1W2'":                   ` nonce="q1W2"></script>`,
		"script-src 'strict-dynamic' 'sha256-AAAA'": ` integrity="sha384-`,
		"script-src 'self'; style-src 'self'":       `data-site="shop.example"></script>`,
	} {
		s := newStage(t, always(t, answerWith([]byte(page), isPage, "Content-Security-Policy: "+policy)))
		for range 3 {
			r := s.dial().send(get("/")).answer("GET")
			body := readAll(t, r.Body)
			held(t, body)
			if !strings.Contains(body, want) {
				t.Errorf("%s: %.400q", policy, body)
			}
			if len(r.Header["Content-Security-Policy"]) != 1 {
				t.Errorf("%q", r.Header["Content-Security-Policy"])
			}
		}
	}
}
