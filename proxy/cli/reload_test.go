package cli

import (
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/proxy/audit"
	"log/slog"
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

// TestChangeDuringAReload is put in force by the next one.
func TestChangeDuringAReload(t *testing.T) {
	const text = "sites:\n  - {name: shop, hosts: ['*'], upstream: 'http://127.0.0.1:1', policy_url: /privacy}\n"
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	save := func(more string) {
		if err := os.WriteFile(file, []byte(text+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("")
	cfg, err := configs.Load(file, proxy.Judge)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := audit.Open(t.Context(), "", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	o := &observer{store: store, log: log}
	o.learn(cfg)
	p, err := proxy.New(cfg, proxy.Options{Records: store, Observer: o, Counter: counter{store}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r := &reloader{proxy: p, file: file, cfg: cfg, log: log}
	r.learn = func(*configs.Config) { save("watch: false\n") }
	r.rest(configs.NewWatch(cfg.Files(file)))
	if err := r.reload("test"); err != nil {
		t.Fatal(err)
	}
	if r.changed(); !r.changed() { // at the second look the file is at rest
		t.Error("it is never seen")
	}
}
