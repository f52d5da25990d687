package configs

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"go.yaml.in/yaml/v4"
)

// AdminAccess says who sees what on the admin listener, and who changes it.
// Its zero value lets in everybody who reaches the listener, which only one on
// a loopback address may do.
type AdminAccess struct {
	// Certificate and Key are files in PEM by which the listener speaks TLS;
	// empty for plain HTTP.
	Certificate, Key string
	// ClientCA is a file of authorities in PEM. Whoever connects must show a
	// certificate of theirs; empty to ask for none.
	ClientCA string
	// BehindTLS says that a trusted proxy in front speaks TLS and names the
	// client in X-Forwarded-For.
	BehindTLS bool
	// Hosts are names by which the listener is addressed, in lower case and
	// without port, beside IP addresses and names of this machine.
	Hosts []string
	// Allow are the clients that are let in; empty for all.
	Allow []netip.Prefix
	// People are those who may sign in. Where there are none nobody needs to.
	People []Person
}

// Person is somebody who may sign in.
type Person struct {
	Name string
	Role Role
	// Token is the hash of what the person signs in with; zero for none.
	Token TokenHash
	// Certificate is the common name in the client certificate that the person
	// shows; empty for none.
	Certificate string
}

// Role is what somebody may do.
type Role string

// The roles.
const (
	// Viewer sees everything and changes nothing.
	Viewer Role = "viewer"
	// Operator also changes: erases receipts, writes overrides, reloads.
	Operator Role = "operator"
)

// loopback reports whether address, with or without port, is one that only this
// machine reaches.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// CheckAdmin tells what is wrong with the address of an admin listener that
// anybody who reaches it may use.
func CheckAdmin(address string) error {
	if err := CheckAddress(address); err != nil {
		return err
	}
	if !loopback(address) {
		return fmt.Errorf("the admin listener answers on a loopback address only, unless it is told who may use it, and %q is none", address)
	}
	return nil
}

// admin reads what is said of the admin listener: its address alone, "off", or
// a mapping that also says who may use it.
func (r *reader) admin(n *yaml.Node, at string, cfg *Config) {
	if resolve(n).Kind != yaml.MappingNode {
		var text string
		r.text(n, at, &text)
		if text == "off" {
			cfg.Admin = ""
			return
		}
		cfg.Admin = text
		if err := CheckAdmin(text); err != nil {
			r.refuse(n, at, err.Error(), "write 127.0.0.1:9090, off for none, or see admin: in configs/askfirst.yml for one that others reach")
		}
		return
	}
	a := &cfg.AdminAccess
	r.mapping(n, at, fields{
		"listen":      func(n *yaml.Node, at string) { r.address(n, at, &cfg.Admin) },
		"certificate": func(n *yaml.Node, at string) { r.text(n, at, &a.Certificate) },
		"key":         func(n *yaml.Node, at string) { r.text(n, at, &a.Key) },
		"client_ca":   func(n *yaml.Node, at string) { r.text(n, at, &a.ClientCA) },
		"behind_tls":  func(n *yaml.Node, at string) { r.boolean(n, at, &a.BehindTLS) },
		"hosts":       func(n *yaml.Node, at string) { r.hosts(n, at, &a.Hosts) },
		"allow":       func(n *yaml.Node, at string) { r.prefixes(n, at, &a.Allow) },
		"people":      func(n *yaml.Node, at string) { r.people(n, at, &a.People) },
	})
	if (a.Certificate == "") != (a.Key == "") {
		r.refuse(n, at, "has one of certificate and key", "a certificate needs its key")
	}
	if a.ClientCA != "" && a.Certificate == "" {
		r.refuse(n, at+".client_ca", "stands without a certificate", "client certificates are asked for in TLS, which needs a certificate of our own")
	}
	for _, p := range a.People {
		if p.Certificate != "" && a.ClientCA == "" {
			r.refuse(n, at+".people", fmt.Sprintf("%s is to show a certificate, and nothing says whose is believed", p.Name), "name the authorities in client_ca")
		}
	}
	if loopback(cfg.Admin) || r.refusedUnder(at) {
		return
	}
	if a.Certificate == "" && !a.BehindTLS {
		r.refuse(n, at, fmt.Sprintf("%q is reached from elsewhere, and nothing there speaks TLS", cfg.Admin), "give certificate and key, or behind_tls: true where a trusted proxy in front speaks TLS")
	}
	if len(a.People) == 0 {
		r.refuse(n, at, fmt.Sprintf("%q is reached from elsewhere, and nobody has to sign in", cfg.Admin), "name people, each with a token (askfirst token makes one) or a certificate")
	}
}

func (r *reader) people(n *yaml.Node, at string, to *[]Person) {
	r.sequence(n, at, func(n *yaml.Node, at string) {
		p := Person{Role: Viewer}
		r.mapping(n, at, fields{
			"name": func(n *yaml.Node, at string) { r.text(n, at, &p.Name) },
			"role": func(n *yaml.Node, at string) { oneOf(r, n, at, &p.Role, Viewer, Operator) },
			"token": func(n *yaml.Node, at string) {
				var text string
				r.text(n, at, &text)
				var err error
				if p.Token, err = ParseTokenHash(text); err != nil {
					r.refuse(n, at, err.Error(), "askfirst token makes a token and its hash")
				}
			},
			"certificate": func(n *yaml.Node, at string) { r.text(n, at, &p.Certificate) },
		})
		if p.Name == "" {
			r.refuse(n, at+".name", "is missing", "the log says who did what by this name")
		}
		if slices.ContainsFunc(*to, func(q Person) bool { return q.Name == p.Name }) {
			r.refuse(n, at+".name", fmt.Sprintf("%q is taken", p.Name), "give each person a name of their own")
		}
		if p.Token.IsZero() && p.Certificate == "" && !r.refused(at+".token") {
			r.refuse(n, at, "has nothing to sign in with", "give a token (askfirst token makes one) or a certificate")
		}
		*to = append(*to, p)
	})
}

// ForwardedAddr reads one element of X-Forwarded-For. Some write the port too,
// Azure's gateways among them.
func ForwardedAddr(element string) (netip.Addr, error) {
	a, err := netip.ParseAddr(element)
	if err != nil {
		var with netip.AddrPort
		with, err = netip.ParseAddrPort(element)
		a = with.Addr()
	}
	return a.Unmap(), err
}
