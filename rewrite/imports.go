package rewrite

import (
	"bytes"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/askfirst/askfirst/rules"
)

// imports reads what a script imports by its address. It is charged to an
// attribute, or to the element's text where at is negative.
type imports struct {
	at     int
	code   []byte
	vector vector
	data   []rules.Span // the strings of code that are data, once read
	read   bool
	back   int // how many bytes were looked back over
}

// judgeImports decides about what code imports: by calls, if it may, and in a
// module without.
func (rw *Rewriter) judgeImports(at int, code []byte, calls, module bool, v vector) {
	m := imports{at: at, code: code, vector: v}
	if calls {
		rw.judgeCalls(&m)
	}
	if module {
		rw.judgeModule(&m)
	}
}

// judgeCalls decides about what code imports as it runs: a string, or a template
// up to what is put into it, right after import and a parenthesis.
func (rw *Rewriter) judgeCalls(m *imports) {
	for code := m.code; ; {
		n := bytes.Index(code, importWord)
		if n < 0 {
			return
		}
		code = afterBlanks(code[n+len(importWord):])
		if len(code) == 0 || code[0] != '(' {
			continue
		}
		code = afterBlanks(code[1:])
		if len(code) == 0 || code[0] != '"' && code[0] != '\'' && code[0] != '`' {
			continue
		}
		from := len(m.code) - len(code) + 1
		ref := m.code[from : from+endOfString(m.code[from:], code[0])]
		if code[0] == '`' {
			ref, _, _ = bytes.Cut(ref, placeholderOpened)
		}
		rw.judgeImport(m, from, ref)
	}
}

// judgeModule decides about each string right after the word import or from.
func (rw *Rewriter) judgeModule(m *imports) {
	code := m.code
	for i := 0; ; i++ {
		n := bytes.IndexAny(code[i:], "\"'")
		if n < 0 {
			return
		}
		i += n
		if !m.follows(code[:i]) {
			continue
		}
		n = endOfString(code[i+1:], code[i])
		rw.judgeImport(m, i+1, code[i+1:i+1+n])
		if i += 1 + n; i == len(code) {
			return
		}
	}
}

// judgeImport decides about the string that ref is between the quotes of, at from.
func (rw *Rewriter) judgeImport(m *imports, from int, ref []byte) {
	if bytes.IndexByte(ref, '\\') >= 0 {
		rw.text = appendString(rw.text[:0], ref)
		ref = rw.text
	}
	ref, ok := rw.specifier(ref)
	if !ok {
		return
	}
	d, page := rw.ask(ref, m.vector.kind, 0)
	if d.Party == rules.NoParty || m.isData(from) {
		return
	}
	rw.hold(m.at, d, &m.vector, page)
}

// isData reports whether the string at i, behind its quote, stands in one that is
// data to the script.
func (m *imports) isData(i int) bool {
	if !m.read {
		m.data, m.read = rules.AppendData(m.data, m.code), true
	}
	n := sort.Search(len(m.data), func(n int) bool { return m.data[n].End > i })
	return n < len(m.data) && m.data[n].Start < i-1
}

var placeholderOpened, importWord, fromWord = []byte("${"), []byte("import"), []byte("from")

// afterBlanks takes white space and comments off the beginning of code.
func afterBlanks(code []byte) []byte {
	for {
		code = bytes.TrimLeftFunc(code, isBlank)
		switch {
		case bytes.HasPrefix(code, lineComment):
			n := bytes.IndexFunc(code, endsLine)
			if n < 0 {
				return nil
			}
			code = code[n:]
		case bytes.HasPrefix(code, commentOpened):
			var closed bool
			if _, code, closed = bytes.Cut(code[2:], commentClosed); !closed {
				return nil
			}
		default:
			return code
		}
	}
}

// isBlank reports whether r is white space to JavaScript, or may be in a page
// that is not UTF-8.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || r == '\ufeff' || r == utf8.RuneError || endsLine(r)
}

func endsLine(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' }

// follows reports whether code, the beginning of m.code, ends in the word import or
// from, with white space and comments after it or not. So does what takes too long
// to tell.
func (m *imports) follows(code []byte) bool {
	for {
		n := len(code)
		code = bytes.TrimRightFunc(code, isBlank)
		if bytes.HasSuffix(code, importWord) || bytes.HasSuffix(code, fromWord) || m.back > 8*len(m.code) {
			return true
		}
		before, from := -1, len(code)
		if bytes.HasSuffix(code, commentClosed) {
			before = bytes.LastIndex(code[:len(code)-2], commentOpened)
			from = max(before, 0)
		} else if len(code) < n {
			from = bytes.LastIndexFunc(code, endsLine) + 1
			if i := bytes.Index(code[from:], lineComment); i >= 0 {
				before = from + i
			}
		}
		m.back += len(code) - from
		if before < 0 {
			return false
		}
		code = code[:before]
	}
}

var (
	lineComment                  = []byte("//")
	commentOpened, commentClosed = []byte("/*"), []byte("*/")
)
