package proxy

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rewrite"
	"github.com/askfirst/askfirst/rules/consent"
)

// isDocument reports whether the answer is a page that is to be rewritten, or
// speaks of one. Nothing is sniffed: what the upstream does not call HTML is
// not HTML.
func (x *exchange) isDocument() bool {
	if !x.rewrites {
		return false
	}
	switch x.answer.status {
	case 204, 205:
		return false
	case 304:
		return x.revalidates
	}
	return isHTML(x.answer.get(nameContentType)) && !isAttachment(x.answer.get(nameContentDisposition))
}

// isAttachment reports whether browsers keep the answer as a file. What stands before
// the parameters must be that word alone: with anything else beside it, as where the
// semicolon is missing, Chromium shows the answer.
func isAttachment(disposition []byte) bool {
	kind, _, _ := bytes.Cut(disposition, []byte{';'})
	return equalFold(trim(kind), "attachment")
}

// mayBeRead reports whether a browser that asked for a page may take the answer
// for one, though it is not called HTML: what has no type is sniffed (MIME
// Sniffing, section 7), and scripts act in XML too.
func (x *exchange) mayBeRead() bool {
	// What is for all may be given to who asks for a page, whoever had it asked for.
	if !x.asksForPage() && !(x.rewrites && x.shared) || x.download.framing == noBody {
		return false
	}
	media, _ := readContentType(x.answer.get(nameContentType))
	switch {
	case bytes.IndexByte(media, '/') < 0, string(media) == "*/*", equalFold(media, "unknown/unknown"), equalFold(media, "application/unknown"):
		return !equalFold(x.answer.get(nameContentTypeOptions), "nosniff")
	case equalFold(media, "text/xml"), equalFold(media, "application/xml"), equalFold(media, "text/xsl"), equalFold(media, "multipart/x-mixed-replace"):
		return true
	}
	return len(media) > 4 && equalFold(media[len(media)-4:], "+xml")
}

func isHTML(contentType []byte) bool {
	media, _ := readContentType(contentType)
	return equalFold(media, "text/html") || isXHTML(media)
}

func isXHTML(media []byte) bool { return equalFold(media, "application/xhtml+xml") }

// document is the page of an exchange on its way through decoding, rewriting
// and encoding.
type document struct {
	x        *exchange
	codings  []coding
	decoders []io.ReadCloser
	target   coding
	encoder  encoder
	decoded  io.Reader      // the body, once it is undone what was done to it
	text     *charsetReader // the page, as it is to be rewritten
	buf      []byte         // what is decoded is read into, where one is needed
	opened   bool           // it is known how the body is to be read
	plain    []byte         // what text has given, where that came in parts
	made     []byte         // what became of it, before it is encoded
	rewriter *rewrite.Rewriter
	options  rewrite.Document
	view     banner.View

	key     []byte    // under which the page is remembered
	common  int       // from where in key it is the same for all codings
	draft   *finished // the last version of a page that changes
	repeats bool      // the same body came the last time
	match   *finished // the remembered page, while the body is like its body
	like    int       // how much of the body has come and is
	body    []byte    // the body as it came, where it is not
	rest    []byte    // of what came last and has not been decoded
	read    int64     // bytes of body that went to the decoders
	came    int64     // bytes that came out of them
	copied  bool      // body and sent are kept while the page is streamed
	sent    []byte    // what has been sent of it
	done    bool      // the body has come to its end

	state   state
	out     []byte // what is finished and has not been sent
	tags    []Sighting
	strings []byte // what tags point to
	charset string // what the answer says of the page's encoding; "" as the upstream does
}

// state is how far a document is.
type state uint8

const (
	resting   state = iota
	gathering       // the body is held until it is whole
	building        // the page is held until it is whole
	streaming       // what is finished is sent
)

// How long the upstream may pause before a page is streamed, so that one that
// is made slowly is also shown as it is made.
const pagePause = 20 * time.Millisecond

// sendDocument sends the answer as a rewritten page.
func (x *exchange) sendDocument() error {
	d, ok := x.document()
	if !ok || isOpaqueCharset(x.answer.get(nameContentType)) {
		return x.passHeld()
	}
	d.begin()
	if x.download.framing == noBody {
		x.composeDocument()
		return x.passNone()
	}
	d.state = gathering
	x.link.pause = pagePause
	err := d.gather()
	switch {
	case err == nil && d.match != nil:
		x.proxy.metrics.hits.Add(1)
		x.proxy.refinery.note(d.match, d.target)
		return d.passMatch()
	case err == nil:
		x.proxy.metrics.misses.Add(1)
		return d.share()
	case err == errPause, err == errLarge:
		x.proxy.metrics.streamed.Add(1)
		d.state = streaming
		// A page that came with pauses can be remembered all the same.
		d.copied = len(d.body) <= x.cfg.Limits.Document && d.memorable()
		if err := d.open(); err != nil {
			if x.download.err != nil && !x.download.done() {
				return answerCut(err)
			}
			return x.passUnread(d.body, err)
		}
		return d.passStream()
	}
	return err
}

// document makes ready for reading the body. It reports whether that can be changed.
func (x *exchange) document() (d *document, ok bool) {
	d = &x.doc
	if d.x == nil {
		d.x = x
		d.options.Head, d.options.Foot = d.head, d.foot
		d.options.Placeholder, d.options.Seen = d.placeholder, d.seen
		d.options.Elsewhere, d.options.Policy = d.elsewhere, d.policy
	}
	d.codings, ok = contentCodings(&x.answer, d.codings[:0])
	return d, ok && x.answer.status != 206 && !(x.site.ObeyNoTransform && x.answer.lists(nameCacheControl, "no-transform"))
}

var errLarge = errors.New("the page is too large to be held")

// begin makes ready for a page with a body.
func (d *document) begin() {
	x := d.x
	d.target = negotiate(&x.request)
	nonce := policyNonce(&x.answer)
	d.view = banner.View{
		Standing:       x.shown,
		Host:           x.address,
		Return:         x.wayBack(),
		AcceptLanguage: x.acceptLanguage(),
		Nonce:          nonce,
		GPP:            x.section(),
		Locked:         x.site.lock.enforced(x.shown.Granted),
		Once:           x.once,
		Since:          x.site.news.since(),
	}
	d.options.Rules = x.site.engine
	d.options.Let = x.once
	d.options.URL = x.pageURL()
	d.options.Granted = x.shown.Granted
	d.options.RemoveBanners = x.site.RemoveRivals
	d.options.HoldUnclassified = x.site.Unclassified == configs.HoldUnclassified || x.shown.Child
	// What redirects is not shown.
	d.options.Fragment = x.part && !x.showsWhole() || x.redirects()
	media, _ := readContentType(x.answer.get(nameContentType))
	d.options.XML = isXHTML(media)
	d.options.Page = x.showsWhole() && !d.options.XML
	d.view.Integrity = x.adaptPolicies(nonce)
}

// end gives everything back.
func (d *document) end() {
	if d.state == resting {
		return
	}
	d.closePipeline()
	d.state, d.done, d.opened, d.charset = resting, false, false, ""
	d.decoded = nil
	d.match, d.rest, d.like, d.read, d.came = nil, nil, 0, 0, 0
	d.draft, d.repeats = nil, false
	d.tags, d.strings = d.tags[:0], d.strings[:0]
	if cap(d.tags) > 512 || cap(d.strings) > largeBuffer {
		d.tags, d.strings = nil, nil
	}
	for _, b := range [...]*[]byte{&d.body, &d.plain, &d.made, &d.out} {
		if cap(*b) > 1<<20 {
			*b = nil
		}
		*b = (*b)[:0]
	}
	d.key = d.key[:0]
	d.copied, d.sent = false, nil
}

// gather reads the body until it is whole. While it is like the body of a
// remembered page nothing of it is copied.
func (d *document) gather() error {
	x := d.x
	defer x.waitedSince(time.Now())
	limit := x.cfg.Limits.Document
	d.makeKey()
	if d.memorable() {
		d.match = x.proxy.memo.get(d.key)
	}
	for {
		p, err := x.download.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if err == errPause || err == errLarge {
				d.unlike()
				return err
			}
			return answerCut(err)
		}
		if d.match != nil {
			if bytes.HasPrefix(d.match.body[d.like:], p) {
				d.like += len(p)
				continue
			}
			d.unlike()
		}
		if d.body = append(d.body, p...); len(d.body) > limit {
			return errLarge
		}
	}
	d.done = true
	if d.match != nil && d.like < len(d.match.body) {
		d.unlike()
	}
	return nil
}

// unlike says that the body is not that of the remembered page.
func (d *document) unlike() {
	if d.match != nil {
		d.body = append(d.body[:0], d.match.body[:d.like]...)
		d.match = nil
	}
}

// build makes the whole page and sends it with its length. A page that decodes
// to more than is held is sent as it is made from there on. Those who wait for f
// are let go as soon as it is made.
func (d *document) build(f *flight) error {
	x := d.x
	d.state = building
	if len(d.body) == 0 {
		d.target = identity
		x.composeDocument()
		return x.passPage(nil)
	}
	err := d.open()
	var page []byte
	if err == nil {
		page, err = d.readWhole()
	}
	if err == errLarge {
		f.land(nil)
		d.state = streaming
		return d.passStream()
	}
	if err == nil {
		err = d.revise(page)
	}
	if err != nil {
		f.land(nil)
		return x.passUnread(d.body, err)
	}
	x.proxy.count(x, d.tags, nil)
	x.composeDocument()
	d.remember(d.out, f)
	return x.passPage(d.out)
}

// readWhole decodes the page. With errLarge it has begun to.
func (d *document) readWhole() (page []byte, err error) {
	for {
		p, err := d.decode()
		if err == io.EOF && len(d.plain) == 0 {
			return p, nil
		}
		d.plain = append(d.plain, p...)
		switch {
		case err == io.EOF:
			return d.plain, nil
		case err != nil:
			return nil, err
		case len(d.plain) > d.x.cfg.Limits.Document:
			return d.plain, errLarge
		}
	}
}

// passStream sends a page as it is made.
func (d *document) passStream() error {
	x := d.x
	x.composeDocument()
	framing := chunked
	if x.request.minor == 0 {
		framing = untilClose
	}
	return x.passStream(framing, 0)
}

// stream makes the rest of a page that is sent as it is made.
func (d *document) stream() error {
	if len(d.plain) > 0 {
		if _, err := d.rewriter.Write(d.plain); err != nil {
			return answerCut(err)
		}
	}
	for more := true; more; {
		var err error
		if more, err = d.advance(); err != nil {
			return answerCut(err)
		}
	}
	if err := d.close(); err != nil {
		return answerCut(err)
	}
	d.x.proxy.count(d.x, d.tags, nil)
	if err := d.send(); err != nil {
		return err
	}
	if d.copied {
		m := d.x.proxy.memo
		d.repeats = m.wants(m.imprint(d.key, d.body))
		d.remember(d.sent, nil)
	}
	return nil
}

// The hooks of rewrite.Document.

func (d *document) head(dst, lang []byte) []byte {
	return d.inSyntax(d.x.site.banner.AppendHead(dst, &d.view, lang), len(dst))
}

func (d *document) elsewhere() {
	url := d.x.pageURL()
	d.view.Origin = url[:len(url)-len(d.x.target)]
}

func (d *document) policy(dst, policy []byte) []byte {
	dst, _ = d.x.adaptPolicy(dst, policy, d.view.Nonce)
	return dst
}

func (d *document) foot(dst, lang []byte) []byte {
	if d.x.part {
		return dst // The page that a frame stands in asks.
	}
	return d.inSyntax(d.x.site.banner.AppendFoot(dst, &d.view, lang), len(dst))
}

func (d *document) placeholder(dst, lang []byte, b *rewrite.Box) []byte {
	return d.inSyntax(d.x.site.banner.AppendPlaceholder(dst, &d.view, lang, &banner.Box{
		Vendor: b.Vendor, Category: b.Category, Element: b.Element,
		Width: b.Width, Height: b.Height, Class: b.Class, Style: b.Style, Title: b.Title,
	}), len(dst))
}

// passPage sends a page whole.
func (x *exchange) passPage(page []byte) error {
	x.proxy.metrics.pages.Add(1)
	return x.passWhole(page)
}

// passHeld sends a page that cannot be read as it came, under a policy by which
// it contacts nobody else.
func (x *exchange) passHeld() error {
	x.hold()
	return x.passBody()
}

// passUnread does the same where that is known once a part of the body, or all of it,
// has been gathered.
func (x *exchange) passUnread(body []byte, cause error) error {
	x.proxy.log.Warn("a page could not be read and is sent under a policy that holds third parties",
		"site", x.site.Name, "path", string(x.path()), "error", cause)
	x.hold()
	x.closeAfterUpload()
	if x.download.done() {
		return x.passWhole(body)
	}
	x.doc.state, x.ahead = building, body
	return x.passStream(x.outFraming(), int64(len(body))+x.download.left)
}

// hold writes the head of a page that cannot be read. It depends on the choice
// as that of one which can does, unless the page is for all.
func (x *exchange) hold() {
	x.proxy.metrics.unread.Add(1)
	x.holds = !x.mayBeShared()
	x.composeAnswer()
	if x.holds && !x.locksWorker() {
		x.out = x.appendDependence(x.out)
	}
	if all := consent.All.With(consent.Unclassified); x.shown.Granted&all != all {
		x.out = append(x.out, holdingPolicy...)
	}
}
