package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/askfirst/askfirst/rewrite"
)

// batch is how much of a streamed page is sent at a time.
const batch = 16 << 10

// Decoded pages may be this much larger than they came, once they are larger
// than a bomb's worth.
const (
	maxRatio  = 400
	bombBytes = 8 << 20
)

var errBomb = errors.New("the page decodes to far more than it came as")

// open begins to take the body through decoding, rewriting and encoding: as far
// as is needed to know how the page is encoded.
func (d *document) open() error {
	x := d.x
	d.rest = d.body
	err := d.undo()
	if err != nil {
		return err
	}
	if len(d.codings) == 0 && d.done {
		d.text, err = newCharsetText(d.body, x.answer.get(nameContentType))
	} else {
		d.buf = getBuffer(largeBuffer)
		d.text, err = newCharsetReader(d.decoded, x.answer.get(nameContentType), d.buf)
	}
	if err != nil {
		return err
	}
	if d.text.data() {
		d.options.Fragment = true
	}
	if d.text.order != 0 {
		d.charset = "utf-8"
	} else if !d.options.Fragment && !d.options.XML {
		// What is injected may push the declaration further than browsers look.
		d.charset = d.text.declared()
	}
	d.encoder = newEncoder((*sink)(d), d.target)
	if x.site.UnderAge.Mark && d.text.isForChildren() {
		x.showChild()
		d.view.Standing, d.view.Once = x.shown, nil
		d.options.Granted, d.options.HoldUnclassified, d.options.Let = 0, true, nil
	}
	d.rewriter = rewrite.Acquire((*rewritten)(d), &d.options)
	d.opened = true
	return nil
}

// undo begins to undo the codings of the body.
func (d *document) undo() error {
	d.decoded = (*raw)(d)
	for i := len(d.codings) - 1; i >= 0; i-- {
		dec, err := newDecoder(d.decoded, d.codings[i])
		if err != nil {
			return err
		}
		d.decoders = append(d.decoders, dec)
		d.decoded = dec
	}
	return nil
}

// decode returns the next part of the page as it is to be rewritten. The error
// may come with bytes.
func (d *document) decode() ([]byte, error) {
	p, err := d.text.next()
	d.came += int64(len(p))
	if d.came > bombBytes && len(d.codings) > 0 && d.came > maxRatio*d.read {
		return nil, errBomb
	}
	return p, err
}

// advance takes the next part of the body through. It reports whether there is
// more.
func (d *document) advance() (more bool, err error) {
	p, err := d.decode()
	if len(p) > 0 {
		if _, err := d.rewriter.Write(p); err != nil {
			return false, err
		}
	}
	if err == io.EOF {
		return false, nil
	}
	return true, err
}

// close finishes the page. A decoder may end before the body does: what follows
// is not read by browsers either, but must have come.
func (d *document) close() error {
	for !d.done {
		p, err := d.x.download.next()
		if err == io.EOF {
			break
		}
		if err != nil && err != errPause {
			return err
		}
		d.copy(&d.body, p)
	}
	if d.rewriter != nil {
		if err := d.rewriter.Close(); err != nil {
			return err
		}
	}
	if d.encoder != nil {
		return d.encoder.Close()
	}
	return nil
}

// raw reads the body: what has been gathered of it, then what comes.
type raw document

func (r *raw) Read(p []byte) (int, error) {
	d := (*document)(r)
	for len(d.rest) == 0 {
		if d.done {
			return 0, io.EOF
		}
		b, err := d.x.download.next()
		switch {
		case err == io.EOF:
			d.done = true
		case err == errPause:
		case err != nil:
			return 0, err
		}
		if !d.opened {
			// What open cannot read is sent as it came.
			d.body = append(d.body, b...)
		} else {
			d.copy(&d.body, b)
		}
		d.rest = b
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	d.read += int64(n)
	return n, nil
}

// copy keeps what came and what was sent of a streamed page, up to the size of
// one that is held whole.
func (d *document) copy(to *[]byte, p []byte) {
	if !d.copied {
		return
	}
	if d.copied = len(*to)+len(p) <= d.x.cfg.Limits.Document; d.copied {
		*to = append(*to, p...)
	}
}

// rewritten takes what has been rewritten of the page. It is encoded at once
// where it is sent as it is made.
type rewritten document

func (r *rewritten) Write(p []byte) (int, error) {
	switch d := (*document)(r); {
	case d.state == building:
		d.made = append(d.made, p...)
		return len(p), nil
	case d.encoder != nil:
		return d.encoder.Write(p)
	default:
		return (*sink)(d).Write(p)
	}
}

// sink takes what is finished of the page.
type sink document

func (s *sink) Write(p []byte) (int, error) {
	d := (*document)(s)
	d.out = append(d.out, p...)
	if d.state == streaming && len(d.out) >= batch {
		if err := d.send(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// send sends what is finished of a streamed page.
func (d *document) send() error {
	if len(d.out) == 0 {
		return nil
	}
	d.copy(&d.sent, d.out)
	err := d.x.write(d.out)
	d.out = d.out[:0]
	return err
}

// likelyPause is how long a body that is like a remembered one so far is waited
// for.
const likelyPause = 500 * time.Millisecond

// flushStalled is called while the upstream pauses.
func (d *document) flushStalled(silent time.Duration) error {
	switch d.state {
	case gathering:
		if d.match != nil && d.like > 0 && silent < likelyPause {
			d.x.proxy.metrics.waits.Add(1)
			return nil
		}
		return errPause
	case streaming:
		if d.encoder != nil && d.opened {
			if err := d.encoder.Flush(); err != nil {
				return err
			}
		}
		if len(d.out) > 0 {
			return d.send()
		}
	}
	return nil
}

// closePipeline gives back what the page was taken through.
func (d *document) closePipeline() {
	for _, r := range d.decoders {
		r.Close()
	}
	d.decoders = d.decoders[:0]
	if d.rewriter != nil {
		rewrite.Release(d.rewriter)
		d.rewriter = nil
	}
	if d.encoder != nil {
		encoders[d.target].Put(d.encoder)
		d.encoder = nil
	}
	putBuffer(d.buf)
	d.buf = nil
}
