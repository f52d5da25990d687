package rewrite

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldens is how many cases testdata has, so that none is lost unseen.
const goldens = 24

// grantedIn reads what a case grants from its first line, which may be a
// comment such as <!-- granted: as -->.
func grantedIn(t *testing.T, page []byte) consent.Set {
	_, rest, ok := bytes.Cut(page, []byte("<!-- granted: "))
	if !ok {
		return 0
	}
	letters, _, _ := bytes.Cut(rest, []byte(" "))
	set, ok := consent.ParseSet(letters)
	if !ok {
		t.Fatalf("granted: %q", letters)
	}
	return set
}

func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.in.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != goldens {
		t.Errorf("%d cases, want %d", len(cases), goldens)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".in.html"), func(t *testing.T) {
			page, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			doc := hooked(grantedIn(t, page))
			doc.RemoveBanners = bytes.Contains(page, []byte("<!-- remove banners -->"))
			doc.HoldUnclassified = bytes.Contains(page, []byte("<!-- hold unclassified -->"))
			doc.XML = strings.Contains(name, "xhtml")
			got := rewritten(t, doc, page, 0)
			file := strings.TrimSuffix(name, ".in.html") + ".out.html"
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for n := 1; n < 8; n++ {
				if again := rewritten(t, doc, page, n); !bytes.Equal(again, got) {
					t.Fatalf("in chunks of %d:\n%s", n, again)
				}
			}
			bare := injectedHook.ReplaceAll(got, nil)
			if twice := injectedHook.ReplaceAll(rewritten(t, doc, bare, 0), nil); !bytes.Equal(twice, bare) {
				t.Errorf("rewritten twice\n%s", twice)
			}
			if restored := undo(got); doc.Granted == 0 && !doc.XML && !revives.Match(page) && !bytes.Equal(restored, page) {
				t.Errorf("restored\n%s", restored)
			}
		})
	}
}
