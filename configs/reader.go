package configs

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Mistake is one thing wrong in a configuration file.
type Mistake struct {
	File         string
	Line, Column int
	// Field is the path of the value, such as sites[0].regime.
	Field string
	// Problem is what is wrong; Hint, if any, is what to write instead.
	Problem, Hint string
}

func (m Mistake) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", m.File, m.Line)
	if m.Field != "" {
		b.WriteString(m.Field + ": ")
	}
	b.WriteString(m.Problem)
	if m.Hint != "" {
		b.WriteString(" (" + m.Hint + ")")
	}
	return b.String()
}

// Mistakes are all that is wrong in a file, in the order of its lines.
type Mistakes []Mistake

func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// reader turns YAML nodes into values and gathers the mistakes on the way.
type reader struct {
	file     string
	judges   []Judge
	mistakes Mistakes
}

// fields says what to do with the value of each key that a mapping may have.
type fields map[string]func(n *yaml.Node, at string)

func (r *reader) refuse(n *yaml.Node, at, problem, hint string) {
	r.mistakes = append(r.mistakes, Mistake{r.file, n.Line, n.Column, at, problem, hint})
	slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
}

func (r *reader) refused(at string) bool {
	return slices.ContainsFunc(r.mistakes, func(m Mistake) bool { return m.Field == at })
}

func (r *reader) refusedUnder(at string) bool {
	return slices.ContainsFunc(r.mistakes, func(m Mistake) bool {
		rest, below := strings.CutPrefix(m.Field, at)
		return below && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func (r *reader) mapping(n *yaml.Node, at string, known fields) {
	r.entries(n, at, func(key string, value *yaml.Node, at string) {
		if read, ok := known[key]; ok {
			read(value, at)
			return
		}
		names := slices.Sorted(maps.Keys(known))
		r.refuse(value, at, "is not known", "what can stand here: "+strings.Join(names, ", "))
	})
}

func (r *reader) entries(n *yaml.Node, at string, each func(key string, value *yaml.Node, at string)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.refuse(n, at, "must be a mapping of names to values", "")
		return
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		path := key
		if at != "" {
			path = at + "." + key
		}
		if line, twice := lines[key]; twice {
			r.refuse(n.Content[i], path, fmt.Sprintf("stands in line %d already", line), "say it once")
			continue
		}
		lines[key] = n.Content[i].Line
		each(key, n.Content[i+1], path)
	}
}

func (r *reader) sequence(n *yaml.Node, at string, each func(n *yaml.Node, at string)) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, at, "must be a list", "begin each entry with a hyphen")
		return
	}
	for i, entry := range n.Content {
		each(entry, at+"["+strconv.Itoa(i)+"]")
	}
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// find returns the node at a path of keys below n, or the last on the way there.
func find(n *yaml.Node, path string) *yaml.Node {
	for path != "" {
		n = resolve(n)
		at := -1
		for i := 0; i+1 < len(n.Content); i += 2 {
			// Keys may have dots in them, and the longest that fits is meant.
			if key := n.Content[i].Value; (path == key || strings.HasPrefix(path, key+".")) && (at < 0 || len(key) > len(n.Content[at].Value)) {
				at = i
			}
		}
		if n.Kind != yaml.MappingNode || at < 0 {
			return n
		}
		path = strings.TrimPrefix(strings.TrimPrefix(path, n.Content[at].Value), ".")
		n = n.Content[at+1]
	}
	return n
}

func (r *reader) text(n *yaml.Node, at string, to *string) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		r.refuse(n, at, "must be a text", "")
		return
	}
	*to = n.Value
}

func (r *reader) list(n *yaml.Node, at string) []string {
	var texts []string
	r.sequence(n, at, func(n *yaml.Node, at string) {
		var text string
		r.text(n, at, &text)
		texts = append(texts, text)
	})
	return texts
}

func (r *reader) strings(n *yaml.Node, at string) map[string]string {
	texts := map[string]string{}
	r.entries(n, at, func(key string, n *yaml.Node, at string) {
		var text string
		r.text(n, at, &text)
		texts[key] = text
	})
	return texts
}

func (r *reader) boolean(n *yaml.Node, at string, to *bool) {
	n = resolve(n)
	if n.Tag == "!!null" || n.Decode(to) != nil {
		r.refuse(n, at, fmt.Sprintf("%q is neither true nor false", n.Value), "")
	}
}

func oneOf[T ~string](r *reader, n *yaml.Node, at string, to *T, allowed ...T) {
	var text string
	r.text(n, at, &text)
	if !slices.Contains(allowed, T(text)) {
		r.refuse(n, at, fmt.Sprintf("%q cannot stand here", text), fmt.Sprintf("choose one of %v", allowed))
		return
	}
	*to = T(text)
}

func (r *reader) number(n *yaml.Node, at string, to *int, min, max int) {
	n = resolve(n)
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < min || v > max {
		r.refuse(n, at, fmt.Sprintf("%q is not a whole number from %d to %d", n.Value, min, max), "")
		return
	}
	*to = v
}

var quantity = regexp.MustCompile(`^(\d{1,12})\s*([A-Za-z]*)$`)

var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

func (r *reader) size(n *yaml.Node, at string, to *int, min, max int64) {
	v, ok := measure(resolve(n).Value, sizeUnits)
	if !ok || v < min || v > max {
		r.refuse(n, at, fmt.Sprintf("%q is not a size from %d to %d bytes", n.Value, min, max), "write a number with B, KiB, MiB or GiB")
		return
	}
	*to = int(v)
}

var durationUnits = map[string]int64{
	"ms": int64(time.Millisecond),
	"s":  int64(time.Second),
	"m":  int64(time.Minute),
	"h":  int64(time.Hour),
	"d":  int64(24 * time.Hour),
}

func (r *reader) duration(n *yaml.Node, at string, to *time.Duration) {
	v, ok := measure(resolve(n).Value, durationUnits)
	if !ok || v == 0 {
		r.refuse(n, at, fmt.Sprintf("%q is not a duration", n.Value), "write a number above 0 with ms, s, m, h or d")
		return
	}
	*to = time.Duration(v)
}

// measure reads a whole number and its unit.
func measure(text string, units map[string]int64) (int64, bool) {
	m := quantity.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	number, _ := strconv.ParseInt(m[1], 10, 64)
	unit, ok := units[m[2]]
	if !ok || number > math.MaxInt64/unit {
		return 0, false
	}
	return number * unit, true
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// syntaxMistake puts what the YAML reader says into our form.
func syntaxMistake(file string, err error) Mistake {
	line := 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return Mistake{File: file, Line: line, Problem: "is not YAML: " + strings.Join(strings.Fields(err.Error()), " ")}
}
