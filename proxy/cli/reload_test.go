package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

// TestWhatAReloadCannotChangeIsNamed: who changes it is told that it takes a restart.
func TestWhatAReloadCannotChangeIsNamed(t *testing.T) {
	load := func(text string) *configs.Config {
		name := filepath.Join(t.TempDir(), "a.yml")
		if err := os.WriteFile(name, []byte(text+"sites: [{name: s, hosts: [a.example], upstream: 'http://127.0.0.1:1', policy_url: /p}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := load("data: d\n")
	for text, want := range map[string][]string{
		"data: d\n": nil,
		"data: e\n": {"data"},
		"data: d\nrecords: postgres://x@db/askfirst\n": {"records"},
		"data: d\naccess_log: common\n":                nil,
	} {
		if got := settled(before, load(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
