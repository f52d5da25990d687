package rules

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what was decided into testdata/decisions.txt")

const decisionsFile = "testdata/decisions.txt"

// decisionsWanted is how many vectors the file has at least, so that none
// vanishes.
const decisionsWanted = 255

// TestDecisions runs the vectors that the guard runs too.
func TestDecisions(t *testing.T) {
	text, err := os.ReadFile(decisionsFile)
	if err != nil {
		t.Fatal(err)
	}
	engine := newEngine(t, Options{HeuristicsOff: Heuristics()})
	var page Page
	var out bytes.Buffer
	n := 0
	lines := bufio.NewScanner(bytes.NewReader(text))
	for line := 1; lines.Scan(); line++ {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			out.WriteString(lines.Text() + "\n")
			continue
		}
		n++
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 6 || len(fields) > 7 {
			t.Errorf("%s:%d: %d fields", decisionsFile, line, len(fields))
			continue
		}
		page.Reset([]byte(fields[0]))
		if len(fields) == 7 {
			page.SetBase([]byte(unescape(t, fields[6])))
		}
		d := decideVector(t, engine, &page, fields[1], unescape(t, fields[2]))
		vendor := "-"
		if d.Vendor != nil && d.Rule.Source != SourceTable {
			vendor = d.Vendor.ID
		}
		got := []string{vendor, d.Category.String(), d.Party.String()}
		if want := fields[3:6]; strings.Join(got, " ") != strings.Join(want, " ") && !*update {
			t.Errorf("%s:%d: %s %s on %s: got %v, want %v", decisionsFile, line, fields[1], fields[2], fields[0], got, want)
		}
		copy(fields[3:], got)
		out.WriteString(strings.Join(fields, "\t") + "\n")
	}
	if n < decisionsWanted {
		t.Errorf("%s has %d vectors, want at least %d", decisionsFile, n, decisionsWanted)
	}
	if *update {
		if err := os.WriteFile(decisionsFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func decideVector(t *testing.T, e *Engine, p *Page, kind, ref string) Decision {
	t.Helper()
	switch kind {
	case "cookie":
		return e.Cookie([]byte(ref))
	case "storage":
		return e.Storage([]byte(ref))
	case "inline":
		return e.Inline(p, []byte(ref))
	case "widget":
		switch {
		case strings.HasPrefix(ref, "."):
			return e.Class([]byte(ref[1:]))
		case strings.HasPrefix(ref, "#"):
			return e.ID([]byte(ref[1:]))
		case strings.HasPrefix(ref, "["):
			name, value, _ := strings.Cut(strings.Trim(ref, "[]"), "=")
			return e.Attribute([]byte(name), []byte(value))
		}
		return e.Element([]byte(ref))
	}
	k, ok := ParseKind(kind)
	if !ok {
		t.Fatalf("no kind is called %q", kind)
	}
	return e.URL(p, []byte(ref), k)
}

// unescape reads the inside of a JSON string.
func unescape(t *testing.T, s string) string {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &text); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return text
}
