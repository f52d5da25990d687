package proxy

import (
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// TestListWithoutARuleIsWarnedOf: what a list held passes as soon as whatever writes
// it has emptied it, and the log of a sound reload is read by nobody.
func TestListWithoutARuleIsWarnedOf(t *testing.T) {
	for text, want := range map[string]string{
		"0.0.0.0 tracker.example\n":     "level=INFO",
		"":                              "level=WARN",
		"<html><p>Please sign in</p>\n": "level=WARN",
	} {
		s := newStage(t, "http://127.0.0.1:1", func(c *configs.Config) {
			c.Sites[0].Lists = []rules.List{{Name: "hosts.txt", Format: rules.FormatHosts, Category: consent.Marketing, Text: []byte(text)}}
		})
		if line, _, _ := strings.Cut(s.log.String(), "\n"); !strings.Contains(line, want) || !strings.Contains(line, "hosts.txt") {
			t.Errorf("of %q the log has %q, want %s", text, line, want)
		}
	}
}
