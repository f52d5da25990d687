package configs

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "1")
	w := NewWatch([]string{file, other})
	for _, step := range []struct {
		name string
		do   func()
		want []bool // what the calls that follow say
	}{
		{"nothing", func() {}, []bool{false, false}},
		{"written", func() { write(file, "12") }, []bool{false, true, false}},
		{"made", func() { write(other, "1") }, []bool{false, true, false}},
		{"same length", func() { os.Chtimes(file, time.Time{}, time.Unix(1, 0)) }, []bool{false, true, false}},
		{"removed", func() { os.Remove(other) }, []bool{false, true, false}},
		{"as it was", func() { write(other, "x"); w.Changed(); os.Remove(other) }, []bool{false, false}},
		{"a link that leads elsewhere", func() {
			write(filepath.Join(dir, "c"), "123")
			os.Remove(file)
			os.Symlink("c", file)
		}, []bool{false, true, false}},
	} {
		step.do()
		for i, want := range step.want {
			if got := w.Changed(); got != want {
				t.Errorf("%s, call %d: %v", step.name, i, got)
			}
		}
	}
}

// TestWatchGoesOn: what changed while a configuration was read is seen by the watch of
// the files that it names.
func TestWatchGoesOn(t *testing.T) {
	dir := t.TempDir()
	file, added := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, name := range []string{file, added} {
		if err := os.WriteFile(name, []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := NewWatch([]string{file})
	if err := os.WriteFile(file, []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = w.For([]string{file, added})
	if w.Changed(); !w.Changed() {
		t.Error("a change from before is lost")
	}
	if w.Changed() {
		t.Error("a file that is new to it is taken for one that has changed")
	}
}
