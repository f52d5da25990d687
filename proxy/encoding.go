package proxy

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/molecule-man/go-brrr"
)

// coding is a content coding (RFC 9110, section 8.4.1).
type coding uint8

const (
	identity coding = iota
	gzipped
	deflated
	zstandard
	brotli
	codings
)

var codingNames = [codings]string{"identity", "gzip", "deflate", "zstd", "br"}

func codingOf(token []byte) (coding, bool) {
	if equalFold(token, "x-gzip") {
		return gzipped, true
	}
	for c, name := range codingNames {
		if equalFold(token, name) {
			return coding(c), true
		}
	}
	return 0, false
}

// appendCodings appends an Accept-Encoding field with the codings that can be
// undone here, so that no page comes in one that cannot.
func appendCodings(out []byte, f *field) []byte {
	out = append(append(out, f.name...), ": "...)
	empty := len(out)
	for rest := f.value; len(rest) > 0; {
		var element []byte
		element, rest = cutList(rest)
		token, _ := cutWeight(element)
		if _, known := codingOf(token); !known {
			continue
		}
		if len(out) > empty {
			out = append(out, ", "...)
		}
		out = append(out, element...)
	}
	if len(out) == empty {
		out = append(out, "identity"...)
	}
	return append(out, "\r\n"...)
}

// cutWeight reads an element of a weighted list: a token and its weight in
// thousandths (RFC 9110, section 12.4.2). A weight that cannot be read counts
// as 0.
func cutWeight(element []byte) (token []byte, weight int) {
	token, weight = element, 1000
	for i, c := range element {
		if c != ';' {
			continue
		}
		token = trim(element[:i])
		q := trim(element[i+1:])
		if len(q) < 3 || lowerCase[q[0]] != 'q' || q[1] != '=' || len(q) > len("q=0.000") {
			return token, 0
		}
		q = q[2:]
		weight = 1000 * int(q[0]-'0')
		if q[0] > '1' || q[0] < '0' || len(q) > 1 && q[1] != '.' {
			return token, 0
		}
		unit := 100
		for _, d := range q[min(2, len(q)):] {
			if class[d]&digit == 0 {
				return token, 0
			}
			weight += unit * int(d-'0')
			unit /= 10
		}
		return token, min(weight, 1000)
	}
	return token, weight
}

// negotiate chooses how a page is encoded for a visitor: what they like best of
// br, zstd and gzip, and identity where they take none of these.
func negotiate(h *head) coding {
	var weights [codings]int
	other, named := 0, [codings]bool{}
	for i := range h.fields {
		if h.fields[i].id != nameAcceptEncoding {
			continue
		}
		for rest := h.fields[i].value; len(rest) > 0; {
			var element []byte
			element, rest = cutList(rest)
			token, weight := cutWeight(element)
			if string(token) == "*" {
				other = weight
			} else if c, ok := codingOf(token); ok {
				weights[c], named[c] = weight, true
			}
		}
	}
	best, most := identity, 0
	for _, c := range [...]coding{brotli, zstandard, gzipped} {
		w := weights[c]
		if !named[c] {
			w = other
		}
		if w > most {
			best, most = c, w
		}
	}
	if named[identity] && weights[identity] > most {
		return identity
	}
	return best
}

// maxCodings bounds how many codings may be stacked on one body.
const maxCodings = 3

// contentCodings returns the codings of an answer in the order in which they
// were applied. It reports false for one that is not known.
func contentCodings(h *head, dst []coding) ([]coding, bool) {
	for i := range h.fields {
		if h.fields[i].id != nameContentEncoding {
			continue
		}
		for rest := h.fields[i].value; len(rest) > 0; {
			var token []byte
			token, rest = cutList(rest)
			c, ok := codingOf(token)
			if !ok || len(dst) == maxCodings {
				return dst, false
			}
			if c != identity {
				dst = append(dst, c)
			}
		}
	}
	return dst, true
}

// maxWindow is the largest zstd window that browsers take (RFC 9659).
const maxWindow = 8 << 20

var (
	gzipReaders   sync.Pool
	brotliReaders sync.Pool
	zstdReaders   sync.Pool
)

// newDecoder undoes one coding. The reader must be closed; that gives its
// memory back. What follows the end of gzip or br it passes over, as browsers do.
func newDecoder(r io.Reader, c coding) (io.ReadCloser, error) {
	switch c {
	case gzipped:
		z, ok := gzipReaders.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		err := z.Reset(r)
		z.Multistream(false)
		return &pooledReader{z, &gzipReaders}, err
	case deflated:
		// What is called deflate is zlib (RFC 1950), but some send it bare
		// (RFC 1951).
		b := bufio.NewReaderSize(r, 512)
		h, err := b.Peek(2)
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if h[0]&15 == 8 && (int(h[0])<<8|int(h[1]))%31 == 0 {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	case zstandard:
		if z, ok := zstdReaders.Get().(*zstd.Decoder); ok {
			return &pooledReader{z, &zstdReaders}, z.Reset(r)
		}
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return &pooledReader{z, &zstdReaders}, nil
	case brotli:
		if z, ok := brotliReaders.Get().(*brrr.Reader); ok {
			z.Reset(r)
			return &pooledReader{z, &brotliReaders}, nil
		}
		return &pooledReader{brrr.NewReader(r), &brotliReaders}, nil
	}
	return nil, errors.ErrUnsupported
}

type pooledReader struct {
	io.Reader
	pool *sync.Pool
}

func (p *pooledReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if errors.Is(err, brrr.ErrExcessiveInput) {
		err = io.EOF
	}
	return n, err
}

func (p *pooledReader) Close() error {
	p.pool.Put(p.Reader)
	p.Reader = nil
	return nil
}

// encoder applies a coding.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// Levels fit for live work, and those of pages that are remembered and asked for
// often. The live ones are where twice the time makes a page a tenth smaller (br
// 3, gzip 5, zstd 2: measured on saved front pages); what is worth more is
// encoded again by the refinery.
const (
	gzipLive, gzipBest     = 1, 9
	brotliLive, brotliBest = 1, 11
	zstdLive, zstdBest     = zstd.SpeedFastest, zstd.SpeedBestCompression
	// brotliGood is for where 11 would take too long.
	brotliGood = 9
)

var encoders = [codings]sync.Pool{
	gzipped:   {New: func() any { return makeEncoder(gzipped, gzipLive) }},
	zstandard: {New: func() any { return makeEncoder(zstandard, int(zstdLive)) }},
	brotli:    {New: func() any { return makeEncoder(brotli, brotliLive) }},
}

func makeEncoder(c coding, level int) resettable {
	switch c {
	case gzipped:
		z, _ := gzip.NewWriterLevel(io.Discard, level)
		return z
	case zstandard:
		z, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithWindowSize(1<<20))
		return z
	}
	z, _ := brrr.NewWriter(io.Discard, level)
	return z
}

type resettable interface {
	encoder
	Reset(io.Writer)
}

// newEncoder returns an encoder from a pool; nil for identity.
func newEncoder(w io.Writer, c coding) encoder {
	if c == identity {
		return nil
	}
	e := encoders[c].Get().(resettable)
	e.Reset(w)
	return e
}
