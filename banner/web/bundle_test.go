package web

import (
	"bytes"
	"os"
	"testing"

	"github.com/andybalholm/brotli"
)

// maxSize is what guard and banner script may weigh together under brotli,
// without the rules.
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
	for file, entry := range map[string]string{"../dist/guard.js": Guard, "../dist/iab.js": IAB} {
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

func TestBundleIsLight(t *testing.T) {
	script, err := os.ReadFile("../dist/guard.js")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := brotli.NewWriterLevel(&packed, brotli.BestCompression)
	w.Write(script)
	w.Close()
	t.Logf("guard: %d bytes, %d under brotli, of %d", len(script), packed.Len(), maxSize)
	if packed.Len() > maxSize {
		t.Errorf("guard weighs %d bytes under brotli, at most %d", packed.Len(), maxSize)
	}
}
