package rules

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// The catalogue is read from a compiled form, which takes a tenth of the time
// that its YAML takes. It begins with the digest of the YAML that it was made
// from; where that is not the digest of what is embedded, the YAML is read.
//
//go:generate go test -run ^TestCompiled$ . -args -compile
//go:embed catalogue.bin
var compiled string

// digestCatalogue returns the SHA-256 of the names and texts of a catalogue's
// files.
func digestCatalogue(dir fs.FS, root string) (sum [sha256.Size]byte, err error) {
	files, err := fs.Glob(dir, root+"/*.yml")
	if err != nil {
		return sum, fmt.Errorf("catalogue: %w", err)
	}
	digest := sha256.New()
	buf := make([]byte, 32<<10)
	for _, name := range files {
		if err := digestFile(digest, dir, name, buf); err != nil {
			return sum, fmt.Errorf("catalogue: %w", err)
		}
	}
	return [sha256.Size]byte(digest.Sum(nil)), nil
}

func digestFile(digest io.Writer, dir fs.FS, name string, buf []byte) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(digest, "%s %d\n", name, info.Size())
	_, err = io.CopyBuffer(digest, f, buf)
	return err
}

// compileEmbedded makes an engine of the embedded catalogue and breadth table.
func compileEmbedded(o Options) (*Engine, error) {
	sum, err := digestCatalogue(embedded, "catalogue")
	if err != nil {
		return nil, err
	}
	if text, ok := strings.CutPrefix(compiled, string(sum[:])); ok {
		d := decoder{text: text}
		e, err := compile(d.catalogue(), sum[:], breadth, o)
		return e, errors.Join(d.err, err)
	}
	sources, err := readCatalogue(embedded, "catalogue")
	if err != nil {
		return nil, err
	}
	return compile(catalogueOf(sources), sum[:], breadth, o)
}

// appendCatalogue appends a catalogue in the compiled form: numbers as varints,
// strings and lists after their lengths, every field in order.
func appendCatalogue(dst []byte, c catalogue) []byte {
	number := func(n int) { dst = binary.AppendUvarint(dst, uint64(n)) }
	text := func(s string) {
		number(len(s))
		dst = append(dst, s...)
	}
	texts := func(list []string) {
		number(len(list))
		for _, s := range list {
			text(s)
		}
	}
	flag := func(b bool) {
		if b {
			number(1)
		} else {
			number(0)
		}
	}
	placed := func(list []string, lines []int) {
		texts(list)
		for _, n := range lines {
			number(n)
		}
	}
	cookies := func(list []Cookie, lines []int) {
		number(len(list))
		for i, c := range list {
			for _, s := range [...]string{c.Name, c.Purpose, c.Retention, c.Party} {
				text(s)
			}
			flag(c.HTTPOnly)
			number(lines[i])
		}
	}
	for _, n := range [...]int{c.vendors, c.hosts, c.signatures, c.cookies} {
		number(n)
	}
	for s := range c.sources {
		for _, field := range [...]string{s.file, s.ID, s.Name, s.Company, s.Country, s.Policy, s.Widget} {
			text(field)
		}
		number(s.line)
		number(int(s.Category))
		number(int(s.IAB))
		flag(s.ConsentMode)
		flag(s.Container)
		flag(s.Reload)
		flag(s.Inlined)
		placed(s.Domains, s.domains)
		placed(s.URLs, s.urls)
		placed(s.Marks, s.marks)
		texts(s.Calls)
		number(len(s.Inline))
		for i, tokens := range s.Inline {
			texts(tokens)
			number(s.inline[i])
		}
		cookies(s.Cookies, s.cookieLines)
		cookies(s.Storage, s.storages)
	}
	return dst
}

// decoder reads what appendCatalogue writes. Its strings are parts of the text. What
// a Vendor has are parts of chunks; what is of no use once the vendor is entered
// stands in room that the next one takes.
type decoder struct {
	text string
	err  error

	made    chunk[Vendor]
	texts   chunk[string]
	lists   chunk[[]string]
	cookies chunk[Cookie]

	lines    []int
	patterns []Pattern
}

var errCompiled = errors.New("compiled catalogue is damaged")

func (d *decoder) number() int {
	var n uint64
	for i := 0; i < len(d.text) && i < binary.MaxVarintLen32; i++ {
		c := d.text[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.text = d.text[i+1:]
			return int(n)
		}
	}
	d.text, d.err = "", errCompiled
	return 0
}

// count reads the length of a list or a string, of which each item takes at
// least a byte.
func (d *decoder) count() int {
	n := d.number()
	if n > len(d.text) {
		d.text, d.err = "", errCompiled
		return 0
	}
	return n
}

func (d *decoder) string() string {
	n := d.count()
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}

func (d *decoder) strings() []string {
	list := d.texts.take(d.count())
	for i := range list {
		list[i] = d.string()
	}
	return list
}

// placed reads a list and the lines of its items.
func (d *decoder) placed() ([]string, []int) {
	list := d.strings()
	from := len(d.lines)
	for range list {
		d.lines = append(d.lines, d.number())
	}
	return list, d.lines[from:]
}

func (d *decoder) inline() ([][]string, []int) {
	list := d.lists.take(d.count())
	from := len(d.lines)
	for i := range list {
		list[i] = d.strings()
		d.lines = append(d.lines, d.number())
	}
	return list, d.lines[from:]
}

func (d *decoder) kept() ([]Cookie, []int) {
	list := d.cookies.take(d.count())
	from := len(d.lines)
	for i := range list {
		c := &list[i]
		c.Name, c.Purpose, c.Retention, c.Party = d.string(), d.string(), d.string(), d.string()
		c.HTTPOnly = d.number() == 1
		d.lines = append(d.lines, d.number())
	}
	return list, d.lines[from:]
}

// catalogue reads all vendors.
func (d *decoder) catalogue() catalogue {
	c := catalogue{vendors: d.count(), hosts: d.count(), signatures: d.count(), cookies: d.count()}
	c.sources = func(yield func(*source) bool) {
		var s source
		for range c.vendors {
			if d.source(&s); d.err != nil || !yield(&s) {
				return
			}
		}
	}
	return c
}

func (d *decoder) source(s *source) {
	d.lines, d.patterns = d.lines[:0], d.patterns[:0]
	s.Vendor = &d.made.take(1)[0]
	for _, field := range [...]*string{&s.file, &s.ID, &s.Name, &s.Company, &s.Country, &s.Policy, &s.Widget} {
		*field = d.string()
	}
	s.line = d.number()
	s.Category = consent.Category(d.number())
	s.IAB = uint16(d.number())
	s.ConsentMode = d.number() == 1
	s.Container = d.number() == 1
	s.Reload = d.number() == 1
	s.Inlined = d.number() == 1
	s.Domains, s.domains = d.placed()
	s.URLs, s.urls = d.placed()
	s.Marks, s.marks = d.placed()
	s.Calls = d.strings()
	s.Inline, s.inline = d.inline()
	s.Cookies, s.cookieLines = d.kept()
	s.Storage, s.storages = d.kept()
	for _, text := range s.URLs {
		p, err := ParsePattern(text)
		if err != nil {
			d.err = errCompiled
		}
		d.patterns = append(d.patterns, p)
	}
	s.patterns = d.patterns
}
