package rules

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/askfirst/askfirst/rules/consent"
)

//go:embed catalogue/*.yml
var embedded embed.FS

// Mistake is an error in a catalogue, a list or an override.
type Mistake struct {
	File   string
	Line   int // from 1
	Reason string
}

func (m *Mistake) Error() string { return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Reason) }

// Widgets are what a vendor's Widget may be.
var Widgets = [...]string{"video", "map", "comments", "social", "chat", "form", "signin", "captcha", "audio", "embed"}

// checks are the public sources in which a vendor may be said to have been
// found, by a domain, a cookie or its number; NOTICE names them in full.
var checks = []string{"third-party-web", "open-cookie-database", "iab", "prebid", "amphtml", "documentation"}

// source is a vendor with the places where its rules were written, each at the
// index of the rule.
type source struct {
	*Vendor
	checked                                             []string // of checks; not in the compiled form
	file                                                string
	line                                                int
	domains, urls, inline, marks, cookieLines, storages []int
	patterns                                            []Pattern
}

// catalogue is what an engine is made of.
type catalogue struct {
	vendors, hosts, signatures, cookies int // how many there are
	// sources are in the order of their IDs. Each is used up when the next is asked
	// for, but for its Vendor.
	sources iter.Seq[*source]
}

func catalogueOf(sources []*source) catalogue {
	c := catalogue{vendors: len(sources), sources: slices.Values(sources)}
	hosts := map[string]struct{}{}
	for _, s := range sources {
		for _, domain := range s.Domains {
			hosts[domain] = struct{}{}
		}
		for i := range s.patterns {
			if p := &s.patterns[i]; p.NamesHost() {
				hosts[p.Host] = struct{}{}
			}
		}
		c.signatures += len(s.Inline)
		c.cookies += len(s.Cookies)
	}
	c.hosts = len(hosts)
	return c
}

// reader collects vendors and mistakes from YAML files.
type reader struct {
	file     string
	sources  []*source
	mistakes []error
	seen     map[string]string // what may occur once, and where it did
}

// readCatalogue reads every *.yml file of a directory, in the order of their
// names. Its error joins all mistakes found. The vendors are in the order of
// their IDs.
func readCatalogue(dir fs.FS, root string) ([]*source, error) {
	files, err := fs.Glob(dir, path.Join(root, "*.yml"))
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	r := reader{seen: map[string]string{}}
	for _, name := range files {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			r.mistakes = append(r.mistakes, fmt.Errorf("catalogue: %w", err))
			continue
		}
		r.file = name
		r.read(text)
	}
	slices.SortFunc(r.sources, func(a, b *source) int { return strings.Compare(a.ID, b.ID) })
	return r.sources, errors.Join(r.mistakes...)
}

func (r *reader) refuse(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, &Mistake{r.file, line, fmt.Sprintf(format, args...)})
}

// once refuses a thing that has been written before.
func (r *reader) once(line int, thing string) {
	if before, ok := r.seen[thing]; ok {
		r.refuse(line, "%s: written before at %s", thing, before)
		return
	}
	r.seen[thing] = r.file + ":" + strconv.Itoa(line)
}

func (r *reader) read(text []byte) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		var at *yaml.LoadError
		line := 1
		if errors.As(err, &at) {
			line = max(1, at.Mark.Line)
		}
		r.refuse(line, "not YAML: %v", err)
		return
	}
	root := &doc
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		root = root.Content[0]
	}
	if root.Kind != yaml.SequenceNode {
		r.refuse(max(1, root.Line), "not a list of vendors")
		return
	}
	for _, n := range root.Content {
		if n.Kind != yaml.MappingNode {
			r.refuse(n.Line, "vendor is not a mapping")
			continue
		}
		r.sources = append(r.sources, r.vendor(n))
	}
}

// callable is how a function is called: its own name, or an object's and its own.
var callable = regexp.MustCompile(`^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)?$`)

func (r *reader) vendor(n *yaml.Node) *source {
	v := &source{Vendor: new(Vendor), file: r.file, line: n.Line}
	hasCategory := false
	r.fields(n, func(key string, value *yaml.Node) bool {
		switch key {
		case "id":
			v.ID = r.text(value)
			if !isID(v.ID) {
				r.refuse(value.Line, "id %q: write lower-case letters, digits and \"-\"", v.ID)
			}
			r.once(value.Line, "vendor "+v.ID)
		case "name":
			v.Name = r.text(value)
		case "company":
			v.Company = r.text(value)
		case "country":
			v.Country = r.text(value)
			if !isCountry(v.Country) {
				r.refuse(value.Line, "country %q is not an ISO 3166-1 alpha-2 code", v.Country)
			}
		case "policy":
			v.Policy = r.text(value)
			if u, err := url.Parse(v.Policy); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
				r.refuse(value.Line, "policy %q is not a web address", v.Policy)
			}
		case "category":
			hasCategory = true
			var ok bool
			if v.Category, ok = consent.ParseCategory(r.text(value)); !ok {
				r.refuse(value.Line, "category %q is none of necessary, functional, analytics, marketing, social, unclassified", value.Value)
			}
		case "iab":
			id, err := strconv.ParseUint(r.text(value), 10, 16)
			if err != nil || id == 0 {
				r.refuse(value.Line, "iab %q is not a number from 1 to 65535", value.Value)
			}
			v.IAB = uint16(id)
		case "checked":
			v.checked, _ = r.list(value, func(n *yaml.Node, s string) {
				if !slices.Contains(checks, s) {
					r.refuse(n.Line, "checked %q is none of %s", s, strings.Join(checks, ", "))
				}
			})
		case "domains":
			v.Domains, v.domains = r.list(value, func(n *yaml.Node, s string) {
				switch domain, err := parseDomain(s); {
				case err != nil:
					r.refuse(n.Line, "%v", err)
				case domain != s:
					r.refuse(n.Line, "domain %q: write it %q", s, domain)
				default:
					r.once(n.Line, "domain "+s)
				}
			})
		case "urls":
			v.URLs, v.urls = r.list(value, func(n *yaml.Node, s string) {
				p, err := ParsePattern(s)
				if err != nil {
					r.refuse(n.Line, "url %q: %v", s, err)
				}
				v.patterns = append(v.patterns, p)
				r.once(n.Line, "url "+s)
			})
		case "inline":
			r.items(value, func(n *yaml.Node) {
				tokens, _ := r.list(n, nil)
				if err := checkTokens(tokens); err != nil {
					r.refuse(n.Line, "%v", err)
				}
				r.once(n.Line, "inline "+strings.Join(tokens, " … "))
				v.Inline, v.inline = append(v.Inline, tokens), append(v.inline, n.Line)
			})
		case "marks":
			v.Marks, v.marks = r.list(value, func(n *yaml.Node, s string) {
				if err := checkMark(s); err != nil {
					r.refuse(n.Line, "%v", err)
				}
				r.once(n.Line, "mark "+s)
			})
		case "calls":
			v.Calls, _ = r.list(value, func(n *yaml.Node, s string) {
				if !callable.MatchString(s) {
					r.refuse(n.Line, "call %q is neither a name nor a name, a dot and a name", s)
				}
				r.once(n.Line, "call "+s)
			})
		case "cookies":
			v.Cookies, v.cookieLines = r.cookies(value)
		case "storage":
			v.Storage, v.storages = r.cookies(value)
		case "inlined":
			v.Inlined = r.flag(value)
		case "consent_mode":
			v.ConsentMode = r.flag(value)
		case "container":
			v.Container = r.flag(value)
		case "reload":
			v.Reload = r.flag(value)
		case "widget":
			if v.Widget = r.text(value); v.Widget != "" && !slices.Contains(Widgets[:], v.Widget) {
				r.refuse(value.Line, "widget %q is none of %s", v.Widget, strings.Join(Widgets[:], ", "))
			}
		default:
			return false
		}
		return true
	})
	if v.ID == "" {
		r.refuse(n.Line, "vendor has no id")
	}
	if v.Name == "" {
		r.refuse(n.Line, "vendor %q has no name", v.ID)
	}
	if !hasCategory {
		r.refuse(n.Line, "vendor %q has no category", v.ID)
	}
	switch others := len(v.URLs) + len(v.Inline) + len(v.Marks) + len(v.Cookies) + len(v.Storage); {
	case len(v.Domains)+others == 0:
		r.refuse(n.Line, "vendor %q has nothing that it could be known by", v.ID)
	case v.Category == consent.Unclassified && others > 0:
		r.refuse(n.Line, "vendor %q is unclassified, and can have domains alone", v.ID)
	}
	return v
}

func (r *reader) cookies(n *yaml.Node) (cookies []Cookie, lines []int) {
	r.items(n, func(n *yaml.Node) {
		var c Cookie
		if n.Kind != yaml.MappingNode {
			r.refuse(n.Line, "cookie is not a mapping of name, purpose, retention, party, http_only")
			return
		}
		r.fields(n, func(key string, value *yaml.Node) bool {
			switch key {
			case "name":
				c.Name = r.text(value)
			case "purpose":
				c.Purpose = r.text(value)
			case "retention":
				if c.Retention = r.text(value); !isRetention(c.Retention) {
					r.refuse(value.Line, "retention %q: write a number and s, m, h, d, mo or y, or session, or persistent", c.Retention)
				}
			case "party":
				if c.Party = r.text(value); c.Party != "first" && c.Party != "third" {
					r.refuse(value.Line, "party %q is neither first nor third", c.Party)
				}
			case "http_only":
				c.HTTPOnly = r.flag(value)
			default:
				return false
			}
			return true
		})
		if err := checkName(c.Name); err != nil {
			r.refuse(n.Line, "%v", err)
		}
		cookies, lines = append(cookies, c), append(lines, n.Line)
	})
	return cookies, lines
}

// fields gives each key of a mapping to read, which reports whether it knows
// it.
func (r *reader) fields(n *yaml.Node, read func(key string, value *yaml.Node) bool) {
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case slices.Contains(keys, key.Value):
			r.refuse(key.Line, "%s is written twice", key.Value)
		case !read(key.Value, value):
			r.refuse(key.Line, "unknown key %q", key.Value)
		}
		keys = append(keys, key.Value)
	}
}

func (r *reader) items(n *yaml.Node, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(n.Line, "not a list")
		return
	}
	for _, item := range n.Content {
		read(item)
	}
}

// list reads a list of scalars, each with its line; check may be nil.
func (r *reader) list(n *yaml.Node, check func(n *yaml.Node, s string)) (values []string, lines []int) {
	r.items(n, func(n *yaml.Node) {
		s := r.text(n)
		values, lines = append(values, s), append(lines, n.Line)
		if check != nil {
			check(n, s)
		}
	})
	return values, lines
}

func (r *reader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		r.refuse(n.Line, "not a plain value")
		return ""
	}
	return n.Value
}

func (r *reader) flag(n *yaml.Node) bool {
	switch r.text(n) {
	case "true":
		return true
	case "false":
	default:
		r.refuse(n.Line, "%q is neither true nor false", n.Value)
	}
	return false
}

func isID(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

func isRetention(s string) bool {
	if s == "session" || s == "persistent" {
		return true
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return digits > 0 && slices.Contains([]string{"s", "m", "h", "d", "mo", "y"}, s[digits:])
}

var valued = regexp.MustCompile(`^\[[a-z-]+\^=[A-Za-z]+\]$`)

// checkMark refuses what is not a .class, an #id, an element, an [attribute] or an
// [attribute^=beginning of its value].
func checkMark(s string) error {
	name := s
	switch {
	case valued.MatchString(s):
		return nil
	case strings.HasPrefix(s, ".") || strings.HasPrefix(s, "#"):
		name = s[1:]
	case strings.HasPrefix(s, "["):
		if !strings.HasSuffix(s, "]") {
			return fmt.Errorf("mark %q has no closing bracket", s)
		}
		name = s[1 : len(s)-1]
	}
	if name == "" || strings.ContainsAny(name, " \t\n\"'<>=/[]*,") || strings.ContainsAny(name[1:], ".#") && s == name {
		return fmt.Errorf("mark %q is none of .class, #id, element, [attribute], [attribute^=value]", s)
	}
	if (s == name || s[0] == '[') && name != strings.ToLower(name) {
		return fmt.Errorf("mark %q: elements and attributes are in lower case", s)
	}
	return nil
}
