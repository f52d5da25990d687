package configs

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each testdata/<case>.bad.yml is refused with exactly what stands in
// <case>.bad.txt; the count keeps a case from vanishing.
func TestBadFilesAreRefusedWithAllMistakes(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.bad.yml")
	if len(files) != 34 {
		t.Fatalf("found %d cases, want 34", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			var mistakes Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("Load: %v, want Mistakes", err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestGoodFilesAreTaken(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.good.yml")
	if len(files) != 12 {
		t.Fatalf("found %d cases, want 12", len(files))
	}
	for _, file := range append(files, "askfirst.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range cfg.Sites {
				if s.Upstream == nil || s.Revision == 0 || s.Prefix == "" {
					t.Errorf("site %+v lacks a default", s)
				}
			}
		})
	}
}

// TestHostsOutsideASCII: hosts are kept as browsers ask for them.
func TestHostsOutsideASCII(t *testing.T) {
	cfg, err := Parse("askfirst.yml", []byte("sites:\n  - name: shop\n    hosts: [Bücher.example, \"*.bücher.example\", straße.example]\n    upstream: http://127.0.0.1:3000\n    policy_url: /privacy\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sites[0].Hosts; !slices.Equal(got, []string{"xn--bcher-kva.example", "*.xn--bcher-kva.example", "xn--strae-oqa.example"}) {
		t.Errorf("%q", got)
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	_, err := Load("testdata/absent.yml")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load: %v, want ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yml")
	for _, file := range append(files, "askfirst.yml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := Parse("fuzz.yml", text)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("Parse returned %v and %v", cfg, err)
		}
		if cfg != nil && len(cfg.Sites) == 0 {
			t.Fatal("a configuration without a site was taken")
		}
	})
}
