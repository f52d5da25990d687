package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

const sited = `sites:
  - name: shop
    hosts: [shop.example]
    upstream: http://127.0.0.1:3000
    policy_url: /privacy
    overrides_file: shop.yml
    overrides:
      - {domain: own.example, category: necessary}
`

func TestOverridesAreAppendedAndRead(t *testing.T) {
	dir := t.TempDir()
	config, file := filepath.Join(dir, "askfirst.yml"), filepath.Join(dir, "shop.yml")
	if err := os.WriteFile(config, []byte(sited), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(want int) {
		t.Helper()
		cfg, err := Load(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(cfg.Sites[0].Overrides); got != want {
			t.Errorf("%d overrides, want %d", got, want)
		}
	}
	load(1)
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, host := range []string{"cdn.partner.example", "192.0.2.7"} {
		if err := AppendOverride(file, host, consent.Marketing, "anna\nb: c", at); err != nil {
			t.Fatal(err)
		}
	}
	load(3)
	text, _ := os.ReadFile(file)
	want := "- domain: \"cdn.partner.example\" # by anna b: c, 2026-11-25\n  category: marketing\n- domain: \"192.0.2.7\" # by anna b: c, 2026-11-25\n  category: marketing\n"
	if string(text) != want {
		t.Errorf("the file is\n%s", text)
	}
	for _, host := range []string{"", "a b", "x\n- domain: y", `a"b`, "-x.example", strings.Repeat("a.", 200) + "example"} {
		if AppendOverride(file, host, consent.Marketing, "anna", at) == nil {
			t.Errorf("%q was taken", host)
		}
	}
	if AppendOverride(file, "ok.example", consent.Unclassified, "anna", at) == nil {
		t.Error("something was made unclassified")
	}
	if after, _ := os.ReadFile(file); string(after) != want {
		t.Errorf("what is refused changed the file:\n%s", after)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("%d files are left", len(list))
	}
}

func TestMistakesInOverridesFileNameIt(t *testing.T) {
	dir := t.TempDir()
	config, file := filepath.Join(dir, "askfirst.yml"), filepath.Join(dir, "shop.yml")
	os.WriteFile(config, []byte(sited), 0o600)
	os.WriteFile(file, []byte("- domain: x.example\n- {domain: y.example, category: nonsense}\n"), 0o600)
	_, err := Load(config)
	var mistakes Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 2 || mistakes[0].File != file || mistakes[0].Line != 1 || mistakes[1].Line != 2 {
		t.Errorf("Load: %v", err)
	}
	if err := AppendOverride(file, "z.example", consent.Social, "anna", time.Now()); err == nil {
		t.Error("a broken file was written to")
	}
}
