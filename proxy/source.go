package proxy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
)

// Sizes of the buffers that connections are read and written through. A
// connection with nothing on it holds none.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

func getBuffer(size int) []byte {
	switch {
	case size <= smallBuffer:
		return smallBuffers.Get().(*[smallBuffer]byte)[:]
	case size <= largeBuffer:
		return largeBuffers.Get().(*[largeBuffer]byte)[:]
	}
	return make([]byte, size)
}

func putBuffer(b []byte) {
	switch len(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b))
	}
}

// source reads a connection through a buffer that grows to what is read and is
// given back when nothing is.
type source struct {
	conn io.Reader
	buf  []byte
	r, w int // buf[r:w] has been read from conn and not been taken
	in   int64
}

// buffered returns what has been read and not been taken.
func (s *source) buffered() []byte { return s.buf[s.r:s.w] }

// take drops the first n buffered bytes.
func (s *source) take(n int) {
	s.r += n
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
}

// fill reads from the connection once, into a buffer of at least size bytes.
// It must find room: the caller takes or grows before.
func (s *source) fill(size int) error {
	if s.buf == nil || len(s.buf) < size {
		s.grow(size)
	}
	if s.w == len(s.buf) && s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	n, err := s.conn.Read(s.buf[s.w:])
	s.w += n
	s.in += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (s *source) grow(size int) {
	b := getBuffer(size)
	n := copy(b, s.buf[s.r:s.w])
	putBuffer(s.buf)
	s.buf, s.r, s.w = b, 0, n
}

// release gives an empty buffer back.
func (s *source) release() {
	if s.r == s.w && s.buf != nil {
		putBuffer(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
}

var protocol = []byte("HTTP/")

// appendHead appends a message's start line and header section, up to and with
// the empty line, to dst. One empty line before it is passed over (RFC 9112,
// section 2.2).
func (s *source) appendHead(dst []byte, limit int) ([]byte, error) {
	if s.w-s.r >= 2 && s.buf[s.r] == '\r' && s.buf[s.r+1] == '\n' {
		s.take(2)
	}
	line, at := 0, 0 // where the current line begins, and how far it has been searched
	for {
		b := s.buffered()
		for at < len(b) {
			lf := bytes.IndexByte(b[at:], '\n')
			if lf < 0 {
				at = len(b)
				break
			}
			lf += at
			if lf == line || b[lf-1] != '\r' {
				return dst, faultLineEnd
			}
			at = lf + 1
			if lf-line == 1 {
				if line == 0 {
					// An empty line that came in pieces, or a second one.
					return dst, faultStartLine
				}
				dst = append(dst, b[:at]...)
				s.take(at)
				return dst, nil
			}
			if line == 0 && !bytes.Contains(b[:at], protocol) {
				// HTTP/0.9 sends nothing after its only line.
				return dst, faultStartLine
			}
			line = at
		}
		if len(b) >= limit {
			if line == 0 {
				return dst, faultTargetSize
			}
			return dst, faultHeadSize
		}
		size := len(s.buf)
		if s.w-s.r == size {
			size = min(max(2*size, smallBuffer), max(limit, smallBuffer))
		}
		if err := s.fill(size); err != nil {
			if err == io.EOF && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return dst, err
		}
	}
}

// maxTrailer bounds a trailer section, and maxExtension the extensions on one
// chunk, in bytes.
const (
	maxTrailer   = 8 << 10
	maxExtension = 256
)

// body reads the body of one message. It ends with io.EOF; a body that is cut
// short ends with io.ErrUnexpectedEOF and a malformed one with a *fault. Both
// come alone, never together with bytes, and stay.
type body struct {
	src     *source
	framing framing
	left    int64 // of a sized body, or of the chunk being read
	after   bool  // the CRLF after a chunk's data is due
	ended   bool  // the last chunk has been read
	err     error
	trailer head // of a chunked body, after io.EOF
}

func (b *body) start(src *source, f framing, n int64) {
	b.src, b.framing, b.left = src, f, n
	b.after, b.ended, b.err = false, false, nil
	b.trailer.reset()
	if f == noBody || f == sized && n == 0 {
		b.err = io.EOF
	}
}

// done reports whether the body has been read to its proper end.
func (b *body) done() bool { return b.err == io.EOF }

// next returns the next bytes of the body, as many as are there, at least one.
// They are valid until the next call.
func (b *body) next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	p, err := b.advance()
	if err != nil {
		if err != errPause {
			b.err = err
		}
		return nil, err
	}
	return p, nil
}

// errPause says that nothing has come for a while. It does not stay: the body
// can be read on.
var errPause = errors.New("the upstream pauses")

// whole returns the rest of the body if all of it has arrived and is sized.
func (b *body) whole() ([]byte, bool) {
	if b.framing != sized || b.err != nil || int64(len(b.src.buffered())) < b.left {
		return nil, false
	}
	p, _ := b.next()
	b.err = io.EOF
	return p, true
}

func (b *body) advance() ([]byte, error) {
	if b.framing == chunked && b.left == 0 {
		if err := b.chunk(); err != nil {
			return nil, err
		}
	}
	if b.framing == sized && b.left == 0 {
		return nil, io.EOF
	}
	p := b.src.buffered()
	if len(p) == 0 {
		if err := b.fill(); err != nil {
			return nil, err
		}
		p = b.src.buffered()
	}
	if b.framing != untilClose {
		if int64(len(p)) > b.left {
			p = p[:b.left]
		}
		b.left -= int64(len(p))
	}
	// Taken already: the bytes stay in place until the next fill.
	b.src.take(len(p))
	return p, nil
}

func (b *body) fill() error {
	size := smallBuffer
	if b.framing != sized || b.left > smallBuffer {
		size = largeBuffer
	}
	err := b.src.fill(size)
	if err == io.EOF && b.framing != untilClose {
		return io.ErrUnexpectedEOF
	}
	return err
}

// chunk reads up to the data of the next chunk; it returns io.EOF after the
// last one and the trailer section. After errPause it goes on where it was.
func (b *body) chunk() error {
	if b.after {
		line, err := b.line(0)
		if err != nil {
			return err
		}
		if len(line) != 0 {
			return faultChunk
		}
		b.after = false
	}
	if !b.ended {
		line, err := b.line(16 + maxExtension)
		if err != nil {
			return err
		}
		size, ok := chunkSize(line)
		if !ok {
			return faultChunk
		}
		if size > 0 {
			b.left, b.after = size, true
			return nil
		}
		b.ended = true
	}
	for {
		line, err := b.line(maxTrailer)
		if err != nil {
			return err
		}
		b.trailer.text = append(append(b.trailer.text, line...), "\r\n"...)
		if len(line) == 0 {
			break
		}
		if len(b.trailer.text) > maxTrailer {
			return faultTrailer
		}
	}
	if err := b.trailer.parseFields(b.trailer.text); err != nil {
		return err
	}
	return io.EOF
}

// chunkSize reads the line that begins a chunk. Extensions are passed over.
func chunkSize(line []byte) (int64, bool) {
	n, size := 0, int64(0)
	for n < len(line) && class[line[n]]&hex != 0 {
		if n == 15 {
			return 0, false
		}
		size = size<<4 | int64(hexValue(line[n]))
		n++
	}
	extension := trim(line[n:])
	if n == 0 || len(extension) == 0 && n < len(line) || len(extension) > 0 && extension[0] != ';' {
		return 0, false
	}
	for _, c := range extension {
		if class[c]&inValue == 0 {
			return 0, false
		}
	}
	return size, true
}

// line returns a line of at most limit bytes without its CRLF.
func (b *body) line(limit int) ([]byte, error) {
	for at := 0; ; {
		p := b.src.buffered()
		if lf := bytes.IndexByte(p[at:], '\n'); lf >= 0 {
			lf += at
			if lf == 0 || p[lf-1] != '\r' || lf-1 > limit {
				return nil, faultChunk
			}
			b.src.take(lf + 1)
			return p[:lf-1], nil
		}
		at = len(p)
		if at > limit+1 {
			return nil, faultChunk
		}
		size := len(b.src.buf)
		if at == size {
			size = largeBuffer
		}
		if err := b.src.fill(max(size, smallBuffer)); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// appendChunkSize appends the line that begins a chunk of n bytes.
func appendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), "\r\n"...)
}

// appendTrailer appends the trailer section and the empty line that ends it.
func (b *body) appendTrailer(dst []byte) []byte {
	for i := range b.trailer.fields {
		if f := &b.trailer.fields[i]; b.trailer.passesTrailer(f) {
			dst = appendField(dst, f.name, f.value)
		}
	}
	return append(dst, "\r\n"...)
}

// passesTrailer reports whether f may stand in a trailer section: not what
// frames, routes, authenticates or sets state (RFC 9110, section 6.5.1).
func (h *head) passesTrailer(f *field) bool { return f.id == unnamed && !h.nominated(f) }
