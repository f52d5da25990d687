package proxy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Pages are read as bytes in which ASCII stands for itself. That holds for all
// encodings of the web but two: UTF-16, which is made UTF-8, and ISO-2022-JP,
// in which the bytes of markup can be parts of other characters after an escape
// sequence. Browsers take a page for that also where it says so late, or in a way
// of its own, or not at all: unless something before the page names another
// encoding, such a sequence tells.

var errOpaqueCharset = errors.New("the page's encoding hides markup")

// readContentType returns the media type and the charset that a Content-Type names, as
// browsers read it (Fetch, "extract a MIME type"): of several types the last that has a
// slash, which ends before a blank or a parenthesis too. Where there is none the answer
// is sniffed.
func readContentType(contentType []byte) (media, charset []byte) {
	for rest := contentType; len(rest) > 0; {
		var value []byte
		value, rest = cutQuoted(rest, ',')
		value = trim(value)
		if bytes.IndexByte(value, '/') < 0 || string(value) == "*/*" {
			continue
		}
		essence, parameters := value, []byte(nil)
		if end := bytes.IndexAny(value, " \t;("); end >= 0 {
			essence, parameters = value[:end], value[end:]
		}
		named := charsetIn(parameters)
		if !equalFold(media, string(essence)) || named != nil {
			charset = named
		}
		media = essence
	}
	return media, charset
}

// charsetIn returns the first charset among the parameters of a media type.
func charsetIn(parameters []byte) []byte {
	_, rest := cutQuoted(parameters, ';')
	for len(rest) > 0 {
		var parameter []byte
		parameter, rest = cutQuoted(rest, ';')
		if name, value, ok := bytes.Cut(parameter, []byte{'='}); ok && equalFold(trim(name), "charset") {
			if value = bytes.Trim(trim(value), `"'`); bytes.IndexByte(value, '\\') >= 0 {
				value = bytes.ReplaceAll(value, []byte{'\\'}, nil)
			}
			return value
		}
	}
	return nil
}

// cutQuoted cuts s at the first separator that stands in no quoted string.
func cutQuoted(s []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, nil
}

func charsetOf(contentType []byte) []byte {
	_, charset := readContentType(contentType)
	return charset
}

func isOpaqueCharset(contentType []byte) bool {
	c := charsetOf(contentType)
	return equalFold(c, "iso-2022-jp") || equalFold(c, "csiso2022jp")
}

// charsetReader reads a page as bytes in which ASCII stands for itself.
type charsetReader struct {
	r     io.Reader
	buf   []byte
	ready []byte // has been read ahead and is to be returned
	err   error  // came with ready
	order int    // 0: bytes as they are; 1: UTF-16BE; -1: UTF-16LE
	left  [4]byte
	kept  int // of left: bytes of an unfinished character
	out   []byte
	ahead []byte  // has been read ahead as next returns it
	open  bool    // the encoding is for the page itself to tell
	tail  [2]byte // what came last, of an escape sequence
}

// prescan is how far into a page a declaration of its encoding may stand (HTML,
// 13.2.3.2).
const prescan = 1024

// xmlBegins is how long the beginning of an XML declaration in UTF-16 is by which
// browsers know it (HTML, 13.2.3.2).
const xmlBegins = 6

// newCharsetReader reads from r through buf. A byte order mark beats
// contentType.
func newCharsetReader(r io.Reader, contentType, buf []byte) (*charsetReader, error) {
	c := &charsetReader{r: r, buf: buf}
	n := 0
	for n < xmlBegins && c.err == nil {
		var m int
		m, c.err = r.Read(buf[n:])
		n += m
	}
	if c.err != nil && c.err != io.EOF {
		return nil, c.err
	}
	c.ready = buf[:n]
	return c, c.begin(contentType)
}

// newCharsetText reads a text that is whole.
func newCharsetText(text, contentType []byte) (*charsetReader, error) {
	c := &charsetReader{ready: text, err: io.EOF}
	return c, c.begin(contentType)
}

// begin finds out from the first bytes how the rest is to be read.
func (c *charsetReader) begin(contentType []byte) error {
	switch cs := charsetOf(contentType); {
	case isAmong(cs, littleEndian[:]):
		c.order = -1
	case isAmong(cs, bigEndian[:]):
		c.order = 1
	}
	switch {
	case bytes.HasPrefix(c.ready, []byte{0xfe, 0xff}):
		c.order, c.ready = 1, c.ready[2:]
	case bytes.HasPrefix(c.ready, []byte{0xff, 0xfe}):
		c.order, c.ready = -1, c.ready[2:]
	case c.order != 0, bytes.HasPrefix(c.ready, []byte("\xef\xbb\xbf")), isPlainCharset(charsetOf(contentType)):
	case bytes.HasPrefix(c.ready, []byte("<\x00?\x00x\x00")):
		c.order = -1
	case bytes.HasPrefix(c.ready, []byte("\x00<\x00?\x00x")):
		c.order = 1
	case containsFold(c.ready[:min(len(c.ready), prescan)], "iso-2022-jp"):
		return errOpaqueCharset
	default:
		c.open = true
	}
	return nil
}

// The labels of UTF-16 (Encoding, section 4.2).
var (
	littleEndian = [...]string{"utf-16", "utf-16le", "ucs-2", "iso-10646-ucs-2", "csunicode", "unicode", "unicodefeff"}
	bigEndian    = [...]string{"utf-16be", "unicodefffe"}
)

// isPlainCharset reports whether browsers know the name as that of an encoding in
// which ASCII stands for itself. It may err on the side of false.
func isPlainCharset(name []byte) bool { return isAmong(name, plainCharsets[:]) }

var plainCharsets = [...]string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "iso-8859-2", "latin1", "windows-1250",
	"windows-1251", "windows-1252", "koi8-r", "shift_jis", "euc-jp", "euc-kr", "gbk", "gb2312", "gb18030", "big5", "windows-1253", "windows-1254",
	"windows-1255", "windows-1256", "windows-1257", "windows-1258", "windows-874", "iso-8859-5", "iso-8859-7", "iso-8859-8", "iso-8859-9", "tis-620",
	"koi8-u", "cp1250", "cp1251", "cp1252", "x-sjis", "ks_c_5601-1987", "macintosh"}

func isAmong(name []byte, labels []string) bool {
	for _, label := range labels {
		if equalFold(name, label) {
			return true
		}
	}
	return false
}

// hidesMarkup reports whether what came last and p together have an escape
// sequence of ISO-2022-JP after which bytes of markup are parts of characters: to
// one of its two-byte sets, or to katakana (RFC 1468; Encoding, 12.2).
func (c *charsetReader) hidesMarkup(p []byte) bool {
	for i := range c.tail {
		if i < len(p) && c.tail[i] == escape && hides(append(append([]byte(nil), c.tail[i:]...), p[:min(len(p), 2)]...)) {
			return true
		}
	}
	for rest := p; ; {
		i := bytes.IndexByte(rest, escape)
		if i < 0 {
			break
		}
		if rest = rest[i:]; hides(rest) {
			return true
		}
		rest = rest[1:]
	}
	for _, b := range p[max(0, len(p)-len(c.tail)):] {
		c.tail[0], c.tail[1] = c.tail[1], b
	}
	return false
}

const escape = 0x1b

func hides(p []byte) bool {
	return len(p) > 2 && p[0] == escape && (p[1] == '$' && (p[2] == '@' || p[2] == 'B') || p[1] == '(' && p[2] == 'I')
}

// data reports whether the page begins as JSON does. Much of that is called
// HTML by mistake, and must not have a banner put after it. What a template or a
// program has left of its own before a page is none.
func (c *charsetReader) data() bool {
	start := bytes.TrimLeft(c.ready, " \t\r\n\xef\xbb\xbf")
	if len(start) == 0 {
		return false
	}
	next := bytes.TrimLeft(start[1:], " \t\r\n")
	switch start[0] {
	case '{':
		return len(next) == 0 || next[0] == '"' || next[0] == '}'
	case '[':
		return len(next) == 0 || bytes.IndexByte([]byte(`"{[]-0123456789tfn`), next[0]) >= 0
	}
	return false
}

// next returns the next bytes, valid until the next call. The error may come
// with bytes.
func (c *charsetReader) next() ([]byte, error) {
	if p := c.ahead; len(p) > 0 {
		c.ahead = nil
		return p, c.err
	}
	p, err := c.ready, c.err
	c.ready = nil
	if p == nil && err == nil {
		var n int
		n, err = c.r.Read(c.buf)
		p = c.buf[:n]
	}
	if err != nil {
		c.err = err
	}
	if c.open && c.hidesMarkup(p) {
		c.err = errOpaqueCharset
		return nil, c.err
	}
	if c.order == 0 {
		return p, err
	}
	return c.transcode(p, err == io.EOF), err
}

func (c *charsetReader) transcode(p []byte, last bool) []byte {
	c.out = c.out[:0]
	if c.kept > 0 {
		p = append(append(make([]byte, 0, c.kept+len(p)), c.left[:c.kept]...), p...)
		c.kept = 0
	}
	unit := func(i int) rune {
		if c.order > 0 {
			return rune(p[i])<<8 | rune(p[i+1])
		}
		return rune(p[i+1])<<8 | rune(p[i])
	}
	i := 0
	for i+1 < len(p) {
		r := unit(i)
		if utf16.IsSurrogate(r) {
			if i+3 >= len(p) && !last {
				break
			}
			if i+3 < len(p) {
				if pair := utf16.DecodeRune(r, unit(i+2)); pair != utf8.RuneError {
					r = pair
					i += 2
				}
			}
		}
		c.out = utf8.AppendRune(c.out, r)
		i += 2
	}
	if rest := p[i:]; last && len(rest) > 0 {
		c.out = utf8.AppendRune(c.out, utf8.RuneError)
	} else {
		c.kept = copy(c.left[:], rest)
	}
	return c.out
}

// declared returns the encoding that the page itself names where browsers look for
// that (HTML, 13.2.3.2), as far as that has come; "" where it is named already, and
// where browsers do not know the name.
func (c *charsetReader) declared() string {
	page := c.ready[:min(len(c.ready), prescan)]
	if !c.open || !containsFold(page, "charset") {
		return ""
	}
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if t.DataAtom != atom.Meta {
				continue
			}
			says := map[string]string{}
			for _, a := range t.Attr {
				says[a.Key] = a.Val
			}
			label := says["charset"]
			if label == "" && strings.EqualFold(says["http-equiv"], "content-type") {
				label = string(charsetOf([]byte(says["content"])))
			}
			switch label := trim([]byte(label)); {
			case isPlainCharset(label):
				return strings.ToLower(string(label))
			case isAmong(label, littleEndian[:]), isAmong(label, bigEndian[:]):
				return "utf-8"
			}
		}
	}
}

// appendContentType appends a Content-Type, naming the page's encoding if that is
// not "".
func appendContentType(out, contentType []byte, charset string) []byte {
	if charset == "" {
		return append(out, contentType...)
	}
	media, _ := readContentType(contentType)
	return append(append(append(out, media...), "; charset="...), charset...)
}
