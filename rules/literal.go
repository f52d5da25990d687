package rules

import "bytes"

// Span is a part of a text, in bytes: up to End, which is not in it.
type Span struct{ Start, End int }

// minDataLength is how long a string literal is, in bytes, that carries data: a
// post that is to be edited, the state of an application, a page's source. Tags
// are published with shorter ones.
const minDataLength = 256

// AppendData appends to dst the string literals of a script that are data rather
// than what the script does: long ones, and long parts of templates, other than
// those that are run where they stand. None are found in what cannot be told
// apart for sure.
func AppendData(dst []Span, code []byte) []Span {
	none := dst
	var nested [16]int // open braces within each ${ } that is open
	depth, last := 0, -1
	budget := 8 * len(code) // of bytes that are looked at for ends of regular expressions
	for i := 0; i < len(code); {
		from := i
		switch c := code[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
			continue
		case '"', '\'':
			if i = endOfString(code, i); i < 0 {
				return none
			}
			if i-from >= minDataLength && !isRun(code[:from]) {
				dst = append(dst, Span{from, i})
			}
		case '}', '`':
			if c == '}' && (depth == 0 || nested[depth-1] > 0) {
				if depth > 0 {
					nested[depth-1]--
				}
				i++
				break
			}
			if c == '}' {
				depth--
			}
			var opens bool
			if i, opens = endOfTemplate(code, i); i < 0 {
				return none
			}
			if i-from >= minDataLength && !isRun(code[:from]) {
				dst = append(dst, Span{from, i})
			}
			if opens {
				if depth == len(nested) {
					return none
				}
				nested[depth] = 0
				depth++
				// What follows stands as after an opening brace.
				last = i - 1
				continue
			}
		case '{':
			if depth > 0 {
				nested[depth-1]++
			}
			i++
		case '/':
			switch {
			case bytes.HasPrefix(code[i:], lineComment):
				for i < len(code) && code[i] != '\n' && code[i] != '\r' {
					i++
				}
				continue
			case bytes.HasPrefix(code[i:], blockComment):
				n := bytes.Index(code[i+2:], blockCommentEnd)
				if n < 0 {
					return none
				}
				i += 2 + n + 2
				continue
			case beginsExpression(code[:last+1]):
				var looked int
				i, looked = endOfRegexp(code, i)
				if budget -= looked; budget < 0 {
					return none
				}
			default:
				i++
			}
		default:
			i++
		}
		last = i - 1
	}
	if depth > 0 {
		return none
	}
	return dst
}

var (
	lineComment     = []byte("//")
	blockComment    = []byte("/*")
	blockCommentEnd = []byte("*/")
)

// endOfString returns where the literal that begins at i has ended, -1 if it does
// not within its line.
func endOfString(code []byte, i int) int {
	quote := code[i]
	for i++; i < len(code); i++ {
		switch code[i] {
		case quote:
			return i + 1
		case '\\':
			i++
		case '\r', '\n':
			return -1
		}
	}
	return -1
}

// endOfTemplate returns where the part of a template that begins at i has ended,
// -1 if it does not, and whether an expression follows.
func endOfTemplate(code []byte, i int) (end int, opens bool) {
	for i++; i < len(code); i++ {
		switch code[i] {
		case '`':
			return i + 1, false
		case '\\':
			i++
		case '$':
			if i+1 < len(code) && code[i+1] == '{' {
				return i + 2, true
			}
		}
	}
	return -1, false
}

// endOfRegexp returns where the regular expression that begins at i has ended, and
// how many bytes were looked at. A slash that begins none stands alone.
func endOfRegexp(code []byte, i int) (end, looked int) {
	from, class := i, false
	for i++; i < len(code); i++ {
		switch c := code[i]; {
		case c == '\\':
			i++
		case c == '\r' || c == '\n':
			return from + 1, i - from
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			return i + 1, i - from
		}
	}
	return from + 1, i - from
}

// beginsExpression reports whether an expression may begin after before, which
// ends in what is not blank, so that a slash there begins a regular expression.
func beginsExpression(before []byte) bool {
	if len(before) == 0 {
		return true
	}
	switch word := lastWord(before); string(word) {
	case "return", "typeof", "case", "in", "of", "do", "else", "delete", "void", "throw", "new", "instanceof", "yield", "await":
		return true
	case "":
		c := before[len(before)-1]
		return c != ')' && c != ']' && c != '"' && c != '\'' && c != '`'
	}
	return false
}

// isRun reports whether a string that follows before is code or markup that is
// run at once.
func isRun(before []byte) bool {
	before = bytes.TrimRight(before, " \t\r\n")
	if len(before) == 0 || before[len(before)-1] != '(' {
		return false
	}
	switch string(lastWord(bytes.TrimRight(before[:len(before)-1], " \t\r\n"))) {
	case "eval", "Function", "write", "writeln":
		return true
	}
	return false
}

// lastWord returns the name or number in which code ends.
func lastWord(code []byte) []byte {
	i := len(code)
	for i > 0 && isWordByte(code[i-1]) {
		i--
	}
	return code[i:]
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}
