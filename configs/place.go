package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
	"go.yaml.in/yaml/v4"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// MaxDatabase is the largest database of places that is read, in bytes.
const MaxDatabase = 512 << 20

func (r *reader) location(n *yaml.Node, at string, l *Location) {
	header := func(to *string) func(*yaml.Node, string) {
		return func(n *yaml.Node, at string) {
			r.text(n, at, to)
			if !isToken(*to) {
				r.refuse(n, at, fmt.Sprintf("%q is not the name of a header field", *to), "write a name such as CF-IPCountry")
			}
		}
	}
	r.mapping(n, at, fields{
		"country_header": header(&l.CountryHeader),
		"region_header":  header(&l.RegionHeader),
		"database": func(n *yaml.Node, at string) {
			l.line = n.Line
			r.text(n, at, &l.File)
		},
	})
	if l.RegionHeader != "" && l.CountryHeader == "" {
		r.refuse(n, at+".country_header", "is missing", "a region says nothing without its country: name the field that carries the country")
	}
}

func (l *Location) unknown() bool { return l.CountryHeader == "" && l.File == "" }

// isToken reports whether s is a token (RFC 9110, section 5.6.2), as names of
// fields and cookies are.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// readDatabase reads the database of places that the configuration at path
// names. All of it is read into memory, so that replacing the file harms
// nothing.
func (cfg *Config) readDatabase(path string) error {
	l := &cfg.Location
	if l.File == "" {
		return nil
	}
	refuse := func(err error) error {
		return Mistakes{{File: path, Line: l.line, Field: "location.database", Problem: err.Error(),
			Hint: "give a MaxMind database (.mmdb) of countries or cities"}}
	}
	text, err := readFile(beside(path, l.File), MaxDatabase)
	if err != nil {
		return refuse(err)
	}
	if l.Database, err = maxminddb.OpenBytes(text); err != nil {
		return refuse(fmt.Errorf("%s cannot be read: %w", l.File, err))
	}
	return nil
}

// regimes reads a regime for everybody, or regimes by place.
func (r *reader) regimes(n *yaml.Node, at string, to *consent.Regimes) {
	if resolve(n).Kind != yaml.MappingNode {
		r.regime(n, at, &to.Fallback)
		return
	}
	builtIn := true
	r.mapping(n, at, fields{
		"fallback": func(n *yaml.Node, at string) { r.regime(n, at, &to.Fallback) },
		"built_in": func(n *yaml.Node, at string) { r.boolean(n, at, &builtIn) },
		"places": func(n *yaml.Node, at string) {
			to.Rules = map[consent.Place]consent.Regime{}
			var eea *consent.Regime
			r.entries(n, at, func(key string, n *yaml.Node, at string) {
				var regime consent.Regime
				r.regime(n, at, &regime)
				if key == "EEA" {
					eea = &regime
					return
				}
				place, ok := consent.ParsePlace(key)
				if !ok {
					r.refuse(n, at, fmt.Sprintf("%q is no place", key), "write a country (DE), a region (US-CA) or EEA, in capitals (ISO 3166)")
					return
				}
				to.Rules[place] = regime
			})
			if eea == nil {
				return
			}
			for _, name := range strings.Fields(consent.EEA) {
				if place, _ := consent.ParsePlace(name); !has(to.Rules, place) {
					to.Rules[place] = *eea
				}
			}
		},
	})
	if builtIn {
		to.BuiltIn = consent.BuiltInRegimes()
	}
}

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// leave reads paths that visitors have no business at.
func (r *reader) leave(n *yaml.Node, at string, paths *[]string) {
	*paths = r.list(n, at)
	for _, p := range *paths {
		switch {
		case !strings.HasPrefix(p, "/"):
			r.refuse(n, at, fmt.Sprintf("%q is no path", p), "write paths such as /wp-admin/*; * stands for anything")
		case rules.MatchPath(p, []byte("/")):
			r.refuse(n, at, fmt.Sprintf("%q is the home page too, where visitors must be asked", p), "name the part of the site where those work who run it, such as /wp-admin/*")
		}
	}
}

func (r *reader) underAge(n *yaml.Node, at string, u *UnderAge) {
	r.mapping(n, at, fields{
		"paths": func(n *yaml.Node, at string) {
			u.Paths = r.list(n, at)
			if i := slices.IndexFunc(u.Paths, func(p string) bool { return !strings.HasPrefix(p, "/") }); i >= 0 {
				r.refuse(n, at, fmt.Sprintf("%q is no path", u.Paths[i]), "write paths such as /kids/*; * stands for anything")
			}
		},
		"cookie": func(n *yaml.Node, at string) {
			var text string
			r.text(n, at, &text)
			u.Cookie, u.CookieValue, _ = strings.Cut(text, "=")
			if !isToken(u.Cookie) || strings.ContainsAny(u.CookieValue, "; \t\"") {
				r.refuse(n, at, fmt.Sprintf("%q is no cookie", text), "write its name, or name=value")
			}
		},
		"mark": func(n *yaml.Node, at string) { r.boolean(n, at, &u.Mark) },
	})
}
