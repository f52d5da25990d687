package banner

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/askfirst/askfirst/rules/consent"
)

// slot is a place in rendered markup that is filled for each page.
type slot uint8

const (
	noSlot      slot = iota
	nonceSlot        // nonce attribute of a <style>
	returnSlot       // path and query of the page, in an attribute
	querySlot        // the same, as a value in a query
	checkedSlot      // checked attribute of a category's box; Optional[slot-checkedSlot]
	_
	_
	_
	sizeSlot // width and height attributes of a placeholder's strut
	titleSlot
	hostSlot // the site's domain
	originSlot
)

// slotNames are how templates write slots: ⟦nonce⟧, between brackets that no
// text of ours holds.
var slotNames = map[string]slot{
	"nonce": nonceSlot, "return": returnSlot, "query": querySlot, "size": sizeSlot, "title": titleSlot, "host": hostSlot, "origin": originSlot,
	"functional": checkedSlot, "analytics": checkedSlot + 1, "marketing": checkedSlot + 2, "social": checkedSlot + 3,
}

// part is markup and the slot that follows it.
type part struct {
	text []byte
	slot slot
}

// tree is rendered markup, ready to be spliced.
type tree struct {
	parts []part
}

// newTree cuts rendered markup at its slots. What is not ASCII is written as
// character references.
func newTree(markup string) *tree {
	t := &tree{}
	for {
		before, rest, found := strings.Cut(markup, "⟦")
		text := appendASCII(nil, before)
		if !found {
			t.parts = append(t.parts, part{text, noSlot})
			break
		}
		name, after, _ := strings.Cut(rest, "⟧")
		t.parts = append(t.parts, part{text, slotNames[name]})
		markup = after
	}
	return t
}

// appendTree appends the markup with its slots filled for v. box is nil outside
// of placeholders.
func (b *Banner) appendTree(dst []byte, t *tree, v *View, box *Box) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		switch p.slot {
		case noSlot:
		case nonceSlot:
			dst = appendNonce(dst, v.Nonce)
		case returnSlot:
			dst = appendReturn(dst, v.Return)
		case querySlot:
			dst = appendQueryValue(dst, v.Return)
		case sizeSlot:
			dst = box.appendStrut(dst)
		case hostSlot:
			dst = appendEscaped(dst, b.site(v.Host))
		case originSlot:
			dst = appendEscaped(dst, v.Origin)
		case titleSlot:
			dst = appendEscaped(dst, clip(box.Title, maxTitle))
		default:
			if v.ticked(consent.Optional[p.slot-checkedSlot]) {
				dst = append(dst, " checked"...)
			}
		}
	}
	return dst
}

func appendNonce(dst, nonce []byte) []byte {
	if len(nonce) == 0 {
		return dst
	}
	dst = append(dst, ` nonce="`...)
	dst = appendEscaped(dst, nonce)
	return append(dst, '"')
}

// appendEscaped escapes for text and for a quoted attribute. Bytes beyond ASCII
// are kept: they are the page's, in its own encoding.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		case 0:
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// maxReturn is the longest return address that is carried along, in bytes; the
// way back from a longer one is the front page.
const maxReturn = 2048

const hexDigits = "0123456789ABCDEF"

// appendReturn appends a path and query as an attribute's value. Bytes that do
// not belong in a URL are percent-encoded.
func appendReturn(dst, uri []byte) []byte {
	if len(uri) == 0 || len(uri) > maxReturn {
		return append(dst, '/')
	}
	for _, c := range uri {
		switch {
		case c == '&':
			dst = append(dst, "&amp;"...)
		case strangeInURL(c):
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// strangeInURL reports whether a byte does not belong in a URL, or not in an
// attribute as it is.
func strangeInURL(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte(`"'<>\`, c) >= 0
}

// appendQueryValue appends a path and query, written as appendReturn does, as a
// value within a query.
func appendQueryValue(dst, uri []byte) []byte {
	if len(uri) == 0 || len(uri) > maxReturn {
		return append(dst, '/')
	}
	for _, c := range uri {
		switch {
		case c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			dst = append(dst, c)
		case strangeInURL(c):
			dst = append(dst, '%', '2', '5', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// appendASCII appends s with all beyond ASCII as character references.
func appendASCII(dst []byte, s string) []byte {
	for _, r := range s {
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
			continue
		}
		dst = append(dst, "&#"...)
		dst = strconv.AppendInt(dst, int64(r), 10)
		dst = append(dst, ';')
	}
	return dst
}

// clip cuts s to at most n bytes, not within a UTF-8 sequence.
func clip(s []byte, n int) []byte {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// styleHash returns the CSP source expression of a <style> body.
func styleHash(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// compact takes comments and needless white space out of CSS. It knows as much
// CSS as this package's own style sheets need: no strings with braces in them.
func compact(css string) string {
	var out bytes.Buffer
	space := false
	for i := 0; i < len(css); i++ {
		c := css[i]
		if strings.HasPrefix(css[i:], "/*") {
			end := strings.Index(css[i:], "*/")
			i += end + 1
			continue
		}
		if c == ' ' || c == '\n' || c == '\t' {
			space = true
			continue
		}
		tight := strings.IndexByte("{};,>", c) >= 0
		if n := out.Len(); space && !tight && n > 0 && strings.IndexByte("{};,>:", out.Bytes()[n-1]) < 0 {
			out.WriteByte(' ')
		}
		space = false
		if n := out.Len(); c == '}' && n > 0 && out.Bytes()[n-1] == ';' {
			out.Truncate(n - 1)
		}
		out.WriteByte(c)
	}
	return out.String()
}

// forest keeps the trees that were rendered, by key. It grows to the number of
// its keys, which languages, vendors and states bound.
type forest[K comparable] struct {
	render func(K) *tree
	mu     sync.RWMutex
	trees  map[K]*tree
}

func newForest[K comparable](render func(K) *tree) *forest[K] {
	return &forest[K]{render: render, trees: map[K]*tree{}}
}

// get returns the tree of k, rendered the first time that it is asked for.
func (f *forest[K]) get(k K) *tree {
	f.mu.RLock()
	t := f.trees[k]
	f.mu.RUnlock()
	if t != nil {
		return t
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t = f.trees[k]; t == nil {
		t = f.render(k)
		f.trees[k] = t
	}
	return t
}
