package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// readOverrides adds what stands in the site's file of overrides, a list as
// under overrides:. A file that is not there yet is empty. Its name is relative to
// that of the configuration.
func (s *Site) readOverrides(config string) error {
	if s.OverridesFile == "" {
		return nil
	}
	s.OverridesFile = beside(config, s.OverridesFile)
	text, err := readFile(s.OverridesFile, MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("overrides of site %s: %w", s.Name, err)
	}
	more, err := parseOverrides(s.OverridesFile, text)
	if err != nil {
		return err
	}
	s.Overrides = append(s.Overrides, more...)
	if _, err := rules.New(s.Rules()); err != nil {
		return fmt.Errorf("overrides of site %s: %w", s.Name, err)
	}
	return nil
}

func parseOverrides(file string, text []byte) ([]rules.Override, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, Mistakes{syntaxMistake(file, err)}
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	r := &reader{file: file}
	var overrides []rules.Override
	r.overrides(document.Content[0], "", &overrides)
	if len(r.mistakes) > 0 {
		return nil, r.mistakes
	}
	return overrides, nil
}

// AppendOverride adds an override of a domain to a file of overrides, which is
// replaced as a whole, or not at all if anything goes wrong. by is who wants it.
func AppendOverride(file, domain string, category consent.Category, by string, at time.Time) error {
	if !validHost(domain) {
		return fmt.Errorf("overrides: %q is not a host name", domain)
	}
	if category >= consent.Unclassified {
		return fmt.Errorf("overrides: nothing can be made %s", category)
	}
	text, err := readFile(file, MaxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("overrides: %w", err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = fmt.Appendf(text, "- domain: %q # by %s, %s\n  category: %s\n", domain, printable(by), at.UTC().Format(time.DateOnly), category)
	if _, err := parseOverrides(file, text); err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	return nil
}

// printable keeps a name on the line of its comment.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, name)
}

func (r *reader) overrides(n *yaml.Node, at string, overrides *[]rules.Override) {
	r.sequence(n, at, func(n *yaml.Node, at string) {
		o := rules.Override{Category: consent.Unclassified, File: r.file, Line: n.Line}
		about, categorised := 0, false
		subject := func(to *string) func(*yaml.Node, string) {
			return func(n *yaml.Node, at string) { about++; r.text(n, at, to) }
		}
		r.mapping(n, at, fields{
			"vendor": subject(&o.Vendor),
			"domain": subject(&o.Domain),
			"url":    subject(&o.URL),
			"cookie": subject(&o.Cookie),
			"inline": func(n *yaml.Node, at string) { about++; o.Inline = r.list(n, at) },
			"category": func(n *yaml.Node, at string) {
				categorised = true
				r.category(n, at, &o.Category)
			},
			"as":          func(n *yaml.Node, at string) { r.text(n, at, &o.As) },
			"always_hold": func(n *yaml.Node, at string) { r.boolean(n, at, &o.AlwaysHold) },
			"pages":       func(n *yaml.Node, at string) { r.text(n, at, &o.Pages) },
		})
		if about != 1 {
			r.refuse(n, at, "must name exactly one of vendor, domain, url, inline and cookie", "split it into one override for each")
		}
		if !categorised && o.As == "" && !o.AlwaysHold {
			r.refuse(n, at, "does not say what the thing becomes", "add category:, as: or always_hold:")
		}
		*overrides = append(*overrides, o)
	})
	if r.refusedUnder(at) {
		return
	}
	if _, err := rules.New(rules.Options{Overrides: *overrides}); err != nil {
		r.refuse(n, at, err.Error(), "")
	}
}
