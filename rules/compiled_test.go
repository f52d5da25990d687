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
	written := appendCatalogue(sum[:], catalogueOf(want))
	d := decoder{text: string(written[len(sum):])}
	read := 0
	for got := range d.catalogue().sources {
		s := *want[read]
		s.checked = nil
		if !same(reflect.ValueOf(*got), reflect.ValueOf(s)) {
			t.Errorf("compiled, %+v\nis read as %+v", s, *got)
		}
		read++
	}
	if d.err != nil || d.text != "" || read != len(want) {
		t.Fatalf("%d vendors of %d are read, and %d bytes left: %v", read, len(want), len(d.text), d.err)
	}
	if *writeCompiled {
		if err := os.WriteFile("catalogue.bin", written, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if compiled != string(written) {
		t.Error("catalogue.bin is not made from this catalogue: run go generate ./rules")
	}
}

// same is reflect.DeepEqual for which no values are as good as nil.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// TestCompiledDamaged reads every prefix of a compiled catalogue.
func TestCompiledDamaged(t *testing.T) {
	m := made{rand.New(rand.NewPCG(1, 3))}
	sources, _ := m.rules()
	text := string(appendCatalogue(nil, catalogueOf(sources)))
	for n := range len(text) {
		d := decoder{text: text[:n]}
		for range d.catalogue().sources {
		}
		if d.err == nil {
			t.Fatalf("%d bytes of %d are taken for all", n, len(text))
		}
	}
}
