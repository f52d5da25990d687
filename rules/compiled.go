package rules

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

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
	for _, name := range files {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return sum, fmt.Errorf("catalogue: %w", err)
		}
		fmt.Fprintf(digest, "%s %d\n", name, len(text))
		digest.Write(text)
	}
	return [sha256.Size]byte(digest.Sum(nil)), nil
}

// loadCatalogue returns the embedded catalogue and its digest.
func loadCatalogue() ([]*source, [sha256.Size]byte, error) {
	sum, err := digestCatalogue(embedded, "catalogue")
	if err != nil {
		return nil, sum, err
	}
	if len(compiled) > len(sum) && compiled[:len(sum)] == string(sum[:]) {
		d := decoder{text: compiled[len(sum):]}
		if sources := d.sources(); d.err == nil {
			return sources, sum, nil
		}
	}
	sources, err := readCatalogue(embedded, "catalogue")
	return sources, sum, err
}

// appendSources appends vendors in the compiled form: numbers as varints,
// strings and lists after their lengths, every field in order.
func appendSources(dst []byte, sources []*source) []byte {
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
	number(len(sources))
	for _, s := range sources {
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

// decoder reads what appendSources writes. Its strings are parts of the text.
type decoder struct {
	text string
	err  error
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
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.string()
	}
	return list
}

func (d *decoder) placed() ([]string, []int) {
	list := d.strings()
	if len(list) == 0 {
		return nil, nil
	}
	lines := make([]int, len(list))
	for i := range lines {
		lines[i] = d.number()
	}
	return list, lines
}

func (d *decoder) cookies() ([]Cookie, []int) {
	n := d.count()
	if n == 0 {
		return nil, nil
	}
	list, lines := make([]Cookie, n), make([]int, n)
	for i := range list {
		c := &list[i]
		c.Name, c.Purpose, c.Retention, c.Party = d.string(), d.string(), d.string(), d.string()
		c.HTTPOnly = d.number() == 1
		lines[i] = d.number()
	}
	return list, lines
}

func (d *decoder) sources() []*source {
	list := make([]source, d.count())
	sources := make([]*source, len(list))
	for i := range list {
		s := &list[i]
		sources[i] = s
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
		for range d.count() {
			s.Inline = append(s.Inline, d.strings())
			s.inline = append(s.inline, d.number())
		}
		s.Cookies, s.cookieLines = d.cookies()
		s.Storage, s.storages = d.cookies()
		for _, text := range s.URLs {
			p, err := ParsePattern(text)
			if err != nil {
				d.err = errCompiled
			}
			s.patterns = append(s.patterns, p)
		}
		if d.err != nil {
			return nil
		}
	}
	return sources
}
