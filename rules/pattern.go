package rules

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Pattern is a compiled URL pattern: host/path?key=value&key=value.
//
// The host stands for itself and every subdomain, and for third parties only,
// but for one below the page's site (see the package's "What decides"); "*" stands
// for any host, the page's own too. "self" stands for the hosts of the page's own
// site alone, "ads.self" for those of them that begin with the label "ads", digits
// at its end left out, other than the page's own host. Neither holds for frames
// and forms.
//
// The path is matched from its start, with "*" for any bytes, and is a prefix
// unless it ends in "$", which stands for itself anywhere else. "*/" at its start
// stands for any folders or none. Each key must be in the query with a value that
// its glob matches wholly; a query "*" takes any that is not empty, and a pattern
// without a query takes any. All is compared byte for byte, the case of letters
// too, except that hosts are in lower case.
type Pattern struct {
	// Host is "*", "self", a label and ".self", or a domain in lower-case ASCII.
	Host string
	// Path begins with "/" or "*" and ends in "*" or "$".
	Path string
	// Query are keys and the globs of their values.
	Query [][2]string
	// AnyQuery says that there is a query, whatever it says.
	AnyQuery bool
	// prefix is what Path begins with before its first "*".
	prefix string
	// specificity orders patterns that match the same URL, see ParsePattern.
	specificity int
}

// ParsePattern compiles a pattern. Of several patterns that match a URL the
// most specific one decides: the one with the most bytes in host, path (without
// the "*" or "$" that ends it) and query (keys, "=" and values); of equals the one
// about the fewest hosts.
func ParsePattern(s string) (Pattern, error) {
	var p Pattern
	rest, query, hasQuery := strings.Cut(s, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	if strings.Contains(host, "://") || strings.HasPrefix(path, "/") {
		return p, errors.New("pattern has a scheme; write host/path")
	}
	p.Host = "*"
	if host != "*" {
		var err error
		if p.Host, err = parseDomain(host); err != nil {
			return p, err
		}
	} else if !hasPath && !hasQuery {
		return p, errors.New("pattern would match every URL")
	}
	if label, ok := p.ownLabel(); ok && (strings.Contains(label, ".") || label != string(withoutNumber([]byte(label)))) {
		return p, fmt.Errorf("%q: write one label without a number before %q", host, "."+self)
	}
	if strings.ContainsAny(path, " \t\n\r\\#") {
		return p, errors.New("path has a space, a backslash or a \"#\"")
	}
	p.Path = "/" + path
	if strings.HasPrefix(path, "*/") {
		p.Path = path
	}
	p.specificity = len(p.Host) + len(strings.TrimRight(p.Path, "*$"))
	if !strings.HasSuffix(p.Path, "$") && !strings.HasSuffix(p.Path, "*") {
		p.Path += "*"
	}
	if p.Path == "/*" && (host == "*" || host == self) && (!hasQuery || query == "*") {
		return p, errors.New("pattern would match every URL")
	}
	p.prefix, _, _ = strings.Cut(strings.TrimSuffix(p.Path, "$"), "*")
	if !hasQuery {
		return p, nil
	}
	if query == "*" {
		p.AnyQuery = true
		p.specificity++
		return p, nil
	}
	for part := range strings.SplitSeq(query, "&") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" || strings.Contains(key, "*") {
			return p, fmt.Errorf("query part %q is not key=value", part)
		}
		p.Query = append(p.Query, [2]string{key, value})
		p.specificity += len(part)
	}
	return p, nil
}

// self is the host of patterns for the page's own site.
const self = "self"

// ownLabel returns the label of a host such as "ads.self".
func (p *Pattern) ownLabel() (label string, ok bool) { return strings.CutSuffix(p.Host, "."+self) }

// NamesHost reports whether the pattern is about a host that it names.
func (p *Pattern) NamesHost() bool {
	_, label := p.ownLabel()
	return p.Host != "*" && p.Host != self && !label
}

// breadth tells about how many hosts the pattern is: the longer a domain, the
// fewer; more are those of a label, the page's own, and any.
func (p *Pattern) breadth() int {
	switch {
	case p.NamesHost():
		return maxHostLength - len(p.Host)
	case p.Host == "*":
		return maxHostLength + 2
	case p.Host == self:
		return maxHostLength + 1
	}
	return maxHostLength
}

// matches reports whether the pattern matches path and query; the host has
// been looked at already.
func (p *Pattern) matches(path, query []byte) bool {
	if len(query) == 0 && p.wantsQuery() || !globMatch(p.Path, path) {
		return false
	}
	for i := range p.Query {
		if !queryHas(query, p.Query[i][0], p.Query[i][1]) {
			return false
		}
	}
	return true
}

// wantsQuery reports whether the pattern matches no URL without a query.
func (p *Pattern) wantsQuery() bool { return p.AnyQuery || len(p.Query) > 0 }

// queryHas reports whether a query has a key with a value that glob matches.
func queryHas(query []byte, key, glob string) bool {
	for len(query) > 0 {
		part := query
		if n := bytes.IndexByte(query, '&'); n >= 0 {
			part, query = query[:n], query[n+1:]
		} else {
			query = nil
		}
		if len(part) < len(key) || string(part[:len(key)]) != key {
			continue
		}
		switch value := part[len(key):]; {
		case len(value) == 0:
			if globMatch(glob, value) {
				return true
			}
		case value[0] == '=' && globMatch(glob, value[1:]):
			return true
		}
	}
	return false
}

// MatchPath reports whether a glob of paths, such as overrides name pages by,
// matches a path.
func MatchPath(glob string, path []byte) bool { return globMatch(glob, path) }

// globMatch reports whether glob matches the whole of s. "*" in it stands for
// any bytes, "$" at its end for the end itself. It takes time in proportion to
// the product of the lengths at worst.
func globMatch(glob string, s []byte) bool {
	if n := len(glob); n > 0 && glob[n-1] == '$' {
		glob = glob[:n-1]
	}
	// Most of what does not match ends otherwise.
	if n := len(glob); n > 0 && glob[n-1] != '*' && (len(s) == 0 || s[len(s)-1] != glob[n-1]) {
		return false
	}
	star, mark := -1, 0
	g, i := 0, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			if g == len(glob)-1 {
				return true
			}
			star, mark = g, i
			g++
		case g < len(glob) && glob[g] == s[i]:
			g++
			i++
		case star >= 0:
			mark++
			g, i = star+1, mark
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// literal returns the longest run of bytes that must occur in the path or in
// the query of whatever the pattern matches.
func (p *Pattern) literal() string {
	longest := ""
	for run := range strings.SplitSeq(strings.TrimSuffix(p.Path, "$"), "*") {
		if len(run) > len(longest) {
			longest = run
		}
	}
	for _, q := range p.Query {
		run := q[0]
		if value, _, _ := strings.Cut(strings.TrimSuffix(q[1], "$"), "*"); value != "" {
			run += "=" + value
		}
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// parseDomain returns a domain as hosts are compared: in lower-case ASCII,
// without a trailing dot.
func parseDomain(s string) (string, error) {
	if s == "" {
		return "", errors.New("domain is empty")
	}
	if strings.ContainsAny(s, "/*?:@ ") {
		return "", fmt.Errorf("%q is not a domain: write a bare host name, which stands for its subdomains too", s)
	}
	var a address
	if !a.read([]byte("http://"+s), nil) {
		return "", fmt.Errorf("%q is not a domain", s)
	}
	host := string(a.host())
	if strings.Count(host, ".") >= maxLabels {
		return "", fmt.Errorf("domain %q has more than %d labels", s, maxLabels)
	}
	if strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return "", fmt.Errorf("domain %q has an empty label", s)
	}
	return host, nil
}
