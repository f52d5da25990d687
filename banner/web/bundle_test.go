package web

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/askfirst/askfirst/rules"
)

// maxSize is what guard, banner script and the base of the rules may weigh
// together under brotli.
const maxSize = 12 << 10

func workingDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBundleIsFresh(t *testing.T) {
	for file, entry := range map[string]string{"../dist/guard.js": Guard, "../dist/iab.js": IAB, "../dist/boxes.js": Boxes, "../dist/worker.js": Worker} {
		want, err := Bundle(workingDir(t), entry)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what guard/ bundles to: run go generate ./banner/web", file)
		}
	}
}

// TestPagesWaitForLittle weighs all that a page waits for: guard and banner
// script with the base of the rules in front, as it is served.
func TestPagesWaitForLittle(t *testing.T) {
	script, err := os.ReadFile("../dist/guard.js")
	if err != nil {
		t.Fatal(err)
	}
	engine, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := os.ReadFile("../dist/boxes.js")
	if err != nil {
		t.Fatal(err)
	}
	if w := weight(boxes); w > 2<<10 {
		t.Errorf("the script of boxes weighs %d bytes under brotli, at most 2048", w)
	}
	table := engine.Table()
	served := weight(slices.Concat([]byte("self.__askfirst_rules="), table.Base, []byte(";\n"), script))
	t.Logf("guard and base: %d bytes under brotli, of %d", served, maxSize)
	if served > maxSize {
		t.Errorf("guard and base of the rules weigh %d bytes under brotli, at most %d", served, maxSize)
	}
	for name, part := range table.Parts {
		most := 4 << 10
		switch name {
		case "names":
			most = 18 << 10
		case "code":
			most = 24 << 10
		}
		if w := weight(part); w > most {
			t.Errorf("part %s of the rules weighs %d bytes under brotli, at most %d", name, w, most)
		}
	}
}

func weight(text []byte) int {
	var packed bytes.Buffer
	w := brotli.NewWriterLevel(&packed, brotli.BestCompression)
	w.Write(text)
	w.Close()
	return packed.Len()
}
