package rules

import (
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
)

var writeCompiled = flag.Bool("compile", false, "write catalogue.bin")

// TestCompiled demands that catalogue.bin is made from the YAML as it is. With
// -compile it makes it.
func TestCompiled(t *testing.T) {
	want, err := readCatalogue(embedded, "catalogue")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := digestCatalogue(embedded, "catalogue")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range want {
		s.checked = nil
	}
	written := appendSources(sum[:], want)
	d := decoder{text: string(written[len(sum):])}
	if got := d.sources(); d.err != nil || d.text != "" || !reflect.DeepEqual(got, want) {
		t.Fatalf("what is compiled is read otherwise: %v, %d bytes left", d.err, len(d.text))
	}
	if *writeCompiled {
		if err := os.WriteFile("catalogue.bin", written, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if compiled != string(written) {
		t.Error("catalogue.bin is not made from this catalogue: run go generate ./rules")
	}
}

// TestCompiledDamaged reads every prefix of a compiled catalogue.
func TestCompiledDamaged(t *testing.T) {
	m := made{rand.New(rand.NewPCG(1, 3))}
	sources, _ := m.rules()
	text := string(appendSources(nil, sources))
	for n := range len(text) {
		if d := (decoder{text: text[:n]}); d.sources() != nil && d.err == nil {
			t.Fatalf("%d bytes of %d are taken for all", n, len(text))
		}
	}
}
