package configs

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v4"
)

func (r *reader) upstream(n *yaml.Node, at string, to **url.URL) {
	var text string
	r.text(n, at, &text)
	u, err := ParseUpstream(text)
	if err != nil {
		r.refuse(n, at, err.Error(), "write the address of the site itself, such as http://127.0.0.1:3000")
		return
	}
	*to = u
}

// upstreams reads one address of a site, or a list of those of its servers, each
// an address or a mapping of it and its weight.
func (r *reader) upstreams(n *yaml.Node, at string, s *Site) {
	if resolve(n).Kind != yaml.SequenceNode {
		r.upstream(n, at, &s.Upstream)
		return
	}
	r.sequence(n, at, func(n *yaml.Node, at string) {
		var u *url.URL
		weight := 1
		if resolve(n).Kind == yaml.MappingNode {
			r.mapping(n, at, fields{
				"url":    func(n *yaml.Node, at string) { r.upstream(n, at, &u) },
				"weight": func(n *yaml.Node, at string) { r.number(n, at, &weight, 1, 100) },
			})
			if u == nil && !r.refusedUnder(at+".url") {
				r.refuse(n, at+".url", "is missing", "write the address of the server, such as http://127.0.0.1:3000")
			}
		} else {
			r.upstream(n, at, &u)
		}
		if u == nil {
			return
		}
		if s.Upstream == nil {
			s.Upstream = u
		} else {
			s.Others = append(s.Others, u)
		}
		s.Weights = append(s.Weights, weight)
	})
}

func (r *reader) health(n *yaml.Node, at string, h *Health) {
	r.mapping(n, at, fields{
		"path": func(n *yaml.Node, at string) {
			r.text(n, at, &h.Path)
			if !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, " \r\n#") {
				r.refuse(n, at, fmt.Sprintf("%q is not a path", h.Path), "write a path that the site answers, such as /healthz")
			}
		},
		"every":    func(n *yaml.Node, at string) { r.duration(n, at, &h.Every) },
		"failures": func(n *yaml.Node, at string) { r.number(n, at, &h.Failures, 1, 1000) },
		"pause":    func(n *yaml.Node, at string) { r.duration(n, at, &h.Pause) },
	})
}

func (r *reader) upstreamTLS(n *yaml.Node, at string, t *UpstreamTLS) {
	t.line = n.Line
	r.mapping(n, at, fields{
		"ca":          func(n *yaml.Node, at string) { r.text(n, at, &t.CA) },
		"certificate": func(n *yaml.Node, at string) { r.text(n, at, &t.Certificate) },
		"key":         func(n *yaml.Node, at string) { r.text(n, at, &t.Key) },
		"server_name": func(n *yaml.Node, at string) { r.text(n, at, &t.ServerName) },
		"unverified":  func(n *yaml.Node, at string) { r.boolean(n, at, &t.Unverified) },
	})
	if (t.Certificate == "") != (t.Key == "") {
		r.refuse(n, at, "names only one of certificate and key", "name both, or neither")
	}
}

// ParseUpstream reads the address of a site: http or https, a host, nothing
// after it; or unix:///path of a socket.
func ParseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL", text)
	case u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") && u.RawQuery == "" && u.Fragment == "":
		return u, nil
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is not an http, https or unix URL", text)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", text)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return nil, fmt.Errorf("%q carries more than a host; paths are passed on as visitors ask for them", text)
	}
	if port := u.Port(); port != "" {
		if _, err := net.LookupPort("tcp", port); err != nil {
			return nil, fmt.Errorf("%q has no valid port", text)
		}
	}
	u.Path = ""
	return u, nil
}
