package proxy

import (
	"bytes"
	"strconv"

	"github.com/askfirst/askfirst/rewrite"
)

// memorable reports whether the page may be asked for again as it is: one that
// lets a vendor in this once is not, nor one whose nonce is made anew each time.
func (d *document) memorable() bool { return d.x.once == nil && len(d.view.Nonce) == 0 }

// makeKey names all that the finished page depends on beside the body.
func (d *document) makeKey() {
	x := d.x
	k := append(d.key[:0], byte(d.target), byte(len(d.codings)))
	for _, c := range d.codings {
		k = append(k, byte(c))
	}
	d.common = len(k)
	k = append(k, byte(x.shown.Granted), byte(x.shown.Regime), byte(x.shown.Objection))
	k = append(k, flags(x.shown.Made, x.shown.Child, x.part, d.view.Integrity, d.options.XML, x.secure, x.redirects(), x.showsWhole()))
	k = append(strconv.AppendUint(k, x.site.marked(), 16), 0)
	k = append(strconv.AppendInt(k, d.view.Since, 10), 0)
	k = append(append(k, x.answer.get(nameContentType)...), 0)
	k = append(append(k, d.view.AcceptLanguage...), 0)
	k = append(append(k, d.view.GPP...), 0)
	d.key = append(k, d.options.URL...)
}

func flags(bits ...bool) (b byte) {
	for i, set := range bits {
		if set {
			b |= 1 << i
		}
	}
	return b
}

// share makes the page, or waits for that of another visitor who has brought the
// same body at the same time.
func (d *document) share() error {
	if !d.memorable() || len(d.body) == 0 {
		return d.build(nil)
	}
	m := d.x.proxy.memo
	i := m.imprint(d.key, d.body)
	f, leads := m.board(i)
	if leads {
		defer f.land(nil)
		d.repeats = m.wants(i)
		return d.build(f)
	}
	<-f.landed
	if d.match = f.page; d.match == nil || !bytes.Equal(d.match.key, d.key) || !bytes.Equal(d.match.body, d.body) {
		d.match = nil
		return d.build(nil)
	}
	d.x.proxy.metrics.shared.Add(1)
	return d.passMatch()
}

// passMatch sends the remembered page.
func (d *document) passMatch() error {
	d.x.proxy.count(d.x, d.match.tags, d.match.again)
	d.charset = d.match.charset
	if d.match.child {
		d.x.showChild()
	}
	d.x.composeDocument()
	return d.x.passPage(d.match.page)
}

// revise rewrites the whole page, or what has changed of it since it came last,
// and encodes it.
func (d *document) revise(page []byte) error {
	drafts := d.x.proxy.drafts
	common := d.key[d.common:]
	// Without a key to go by each page stands alone, and so does one whose own
	// mark says for whom it is made.
	alone := !d.memorable() || d.x.site.UnderAge.Mark || d.options.Fragment && (!d.x.part || d.x.showsWhole())
	var last *rewrite.Version
	if !alone {
		if d.draft = drafts.get(common); d.draft != nil {
			last = d.draft.version
		}
	}
	anew, err := d.rewriter.Revise(page, last, (*sights)(d))
	if err != nil {
		return err
	}
	if last != nil && anew < len(page)/4 {
		d.x.proxy.metrics.revised.Add(1)
	} else if !alone && !d.repeats && drafts.wants(drafts.imprint(common, nil)) {
		drafts.put(&finished{
			key:     bytes.Clone(common),
			tags:    cloneSightings(d.tags),
			version: d.rewriter.Version(bytes.Clone(page), bytes.Clone(d.made), len(d.tags)),
		})
	}
	if d.encoder == nil {
		d.out, d.made = d.made, d.out
		return nil
	}
	if _, err := d.encoder.Write(d.made); err != nil {
		return err
	}
	return d.encoder.Close()
}

// sights is rewrite.Sights.
type sights document

func (s *sights) Len() int { return len(s.tags) }

func (s *sights) Again(from, to int) { s.tags = append(s.tags, s.draft.tags[from:to]...) }

// remember keeps the finished page for the next visitor, and gives it to those
// who wait for f.
func (d *document) remember(page []byte, f *flight) {
	if !f.leave() && !d.repeats {
		return
	}
	tags := cloneSightings(summed(d.tags))
	kept := &finished{
		key:     bytes.Clone(d.key),
		body:    bytes.Clone(d.body),
		page:    bytes.Clone(page),
		tags:    tags,
		again:   d.x.recurrence(tags),
		charset: d.charset,
		child:   d.x.shown.Child,
	}
	d.x.proxy.memo.put(kept)
	f.land(kept)
}
