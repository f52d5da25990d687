package scan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestHTML5lib runs the tokenizer tests of html5lib-tests, as the npm package
// html5 brings them (npm ci in testdata/html5lib), or a newer copy of them that
// HTML5LIB_TESTS names. Text is not compared: the Scanner does not report it.
func TestHTML5lib(t *testing.T) {
	dir := "testdata/html5lib/node_modules/html5/test/data"
	if newer := os.Getenv("HTML5LIB_TESTS"); newer != "" {
		dir = newer
	}
	files, err := filepath.Glob(filepath.Join(dir, "tokenizer", "*.test"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		reason := "no tests in " + dir + ": npm ci was not run in rewrite/scan/testdata/html5lib"
		if os.Getenv("ASKFIRST_NODE") == "required" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	run := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Tests []html5libCase }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range file.Tests {
			if len(c.InitialStates) == 0 {
				c.InitialStates = []string{"Data state"}
			}
			for _, initial := range c.InitialStates {
				run += c.run(t, initial)
			}
		}
	}
	t.Logf("%d cases", run)
	if run < 6000 {
		t.Errorf("%d cases only", run)
	}
}

type html5libCase struct {
	Description   string
	Input         string
	Output        []any // tokens, and in older copies "ParseError"
	InitialStates []string
	LastStartTag  string
	DoubleEscaped bool
}

func (c *html5libCase) run(t *testing.T, initial string) int {
	unescape := func(s string) string {
		if !c.DoubleEscaped {
			return s
		}
		q, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
		if err != nil {
			return s
		}
		return q
	}
	var want []any
	for _, output := range c.Output {
		token, ok := output.([]any)
		if !ok {
			continue
		}
		switch token[0] {
		case "StartTag":
			attrs := map[string]string{}
			for k, v := range token[2].(map[string]any) {
				attrs[unescape(k)] = unescape(v.(string))
			}
			want = append(want, []any{"StartTag", unescape(token[1].(string)), attrs, len(token) > 3})
		case "EndTag":
			want = append(want, []any{"EndTag", unescape(token[1].(string))})
		case "DOCTYPE", "Comment":
			want = append(want, []any{token[0]})
		}
	}
	input := []byte(unescape(c.Input))
	for _, chunk := range []int{len(input) + 1, 1, 3} {
		if got, ok := c.tokens(input, initial, chunk); ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s, from the %s, in chunks of %d: %q\ngot  %q\nwant %q", c.Description, initial, chunk, input, got, want)
			break
		} else if !ok {
			return 0
		}
	}
	return 1
}

func (c *html5libCase) tokens(input []byte, initial string, chunk int) (got []any, ok bool) {
	var s Scanner
	s.Reset(HTML)
	switch initial {
	case "Data state":
	case "PLAINTEXT state":
		s.state, s.Element = plaintext, Plaintext
	case "RCDATA state", "RAWTEXT state", "Script data state":
		s.state, s.Element = rawData, ElementOf(c.LastStartTag)
		switch {
		case s.Element == Unknown && c.LastStartTag != "":
			return nil, false
		case s.Element == Unknown:
			s.Element = map[string]Element{"RCDATA state": Title, "RAWTEXT state": Style, "Script data state": Script}[initial]
		case initial == "Script data state" && s.Element != Script, initial != "Script data state" && s.Element == Script:
			return nil, false
		}
	case "CDATA section state":
		s.state = cdata
	default:
		return nil, false
	}
	var buf []byte
	for {
		n := min(chunk, len(input))
		buf = append(buf, input[:n]...)
		input = input[n:]
		eof := len(input) == 0
	tokens:
		for {
			switch s.Next(buf, eof) {
			case StartTag:
				attrs := map[string]string{}
				for _, a := range s.Attrs {
					name := attrName8(buf[s.Start+int(a.Name) : s.Start+int(a.NameEnd)])
					if _, twice := attrs[name]; !twice {
						attrs[name] = string(AppendValue(nil, buf[s.Start+int(a.Value):s.Start+int(a.ValueEnd)]))
					}
				}
				got = append(got, []any{"StartTag", attrName8(s.Name(buf)), attrs, s.SelfClosing})
				// The tests' tokenizer has no tree that would tell it of raw text.
				s.state, s.open = data, nil
			case EndTag:
				got = append(got, []any{"EndTag", attrName8(s.Name(buf))})
			case Doctype:
				got = append(got, []any{"DOCTYPE"})
			case Comment:
				got = append(got, []any{"Comment"})
			case More:
				break tokens
			}
		}
		if eof {
			switch s.state {
			case comment:
				got = append(got, []any{"Comment"})
			case bogus:
				if s.doc {
					got = append(got, []any{"DOCTYPE"})
				} else {
					got = append(got, []any{"Comment"})
				}
			}
			return got, true
		}
		keep := s.Keep()
		buf = append([]byte(nil), buf[keep:]...)
		s.Shift(keep)
	}
}

// attrName8 is a name as the tokenizer reports it.
func attrName8(raw []byte) string {
	out := strings.ReplaceAll(string(raw), "\x00", "\uFFFD")
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 32
		}
		return r
	}, out)
}
