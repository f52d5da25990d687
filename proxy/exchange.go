package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// exchange is one request and its answer. It is used again for others, so that
// its buffers are; it holds none while a visitor waits between requests.
type exchange struct {
	proxy  *Proxy
	v      *visitor
	sites  *sites          // as they stood when the request came
	cfg    *configs.Config // theirs
	begun  time.Time
	before int64 // bytes that had been sent to the visitor before

	// The request.
	request head
	upload  body
	target  []byte // in origin form
	address []byte // Host as it came, or what stands in for it
	host    []byte // of address: in lower case, without port
	client  netip.Addr
	secure  bool // the visitor came by https
	dest    destination
	part    bool // what is asked for is a part of a page
	expects bool // the visitor waits for 100 (Continue)
	last    bool // the connection ends with this exchange

	// The choice.
	site     *site
	place    consent.Place // where the visitor is, if the site asks
	located  string        // what told it
	standing consent.Standing
	once     *rules.Vendor // a vendor that the visitor lets in this time
	withheld [][]byte      // names of cookies that were taken out of the request

	// The upstream and its answer.
	link     *link
	answer   head
	download body
	sending  chan error // the end of an upload that runs beside the answer; nil without
	unsent   bool       // the upload was not whole when the answer began
	switches bool       // the upstream is asked to switch to a WebSocket

	revalidates bool // the visitor has the page as it is made for them now, and asks whether it still is

	out      []byte     // the head being written
	interim  []byte     // that of an interim answer
	size     [20]byte   // the line that begins a chunk
	line     []byte     // of the access log
	pending  []byte     // of it, what waits for the body to come
	answered bool       // a part of the final answer has been sent
	policies []byte     // the page's Content-Security-Policy fields, adapted
	sighted  []Sighting // what header fields would have made the browser contact
	page     rules.Page
	url      []byte // the page's address, once it has been asked for
	doc      document

	stall func(time.Duration) error // x.wait, kept since taking it allocates
}

var exchanges = sync.Pool{New: func() any {
	x := new(exchange)
	x.stall = x.wait
	return x
}}

func acquireExchange(v *visitor) *exchange {
	x := exchanges.Get().(*exchange)
	x.proxy, x.v = v.proxy, v
	x.sites, x.before = v.proxy.sites.Load(), v.out
	x.cfg = x.sites.cfg
	return x
}

func releaseExchange(x *exchange) {
	x.request.reset()
	x.answer.reset()
	x.target, x.address, x.host = nil, nil, x.host[:0]
	x.place, x.located = 0, ""
	x.site, x.once, x.link, x.sending, x.v, x.sites, x.cfg = nil, nil, nil, nil, nil, nil, nil
	x.withheld, x.url = x.withheld[:0], x.url[:0]
	x.expects, x.last, x.switches, x.part, x.revalidates, x.answered, x.unsent = false, false, false, false, false, false, false
	x.pending = nil
	x.sighted = x.sighted[:0]
	if cap(x.out) > largeBuffer {
		x.out = nil
	}
	exchanges.Put(x)
}

// serve answers one request and reports whether the connection may serve
// another. It reads as the request travels.
func (x *exchange) serve() (keep bool) {
	if err := x.receive(); err != nil {
		return x.fail(err)
	}
	if x.site = x.sites.find(x.host); x.site == nil {
		return x.fail(faultNoSite)
	}
	if x.address == nil {
		x.address = []byte(x.site.servers.all[0].host)
	}
	x.choose()
	if x.site.banner.Owns(x.path()) {
		return x.serveOwn()
	}
	if x.wantsTunnel() {
		return x.tunnel()
	}
	if err := x.ask(); err != nil {
		return x.fail(err)
	}
	switch {
	case x.isDocument():
		return x.settle(x.sendDocument())
	case x.mayBeRead():
		return x.settle(x.passHeld())
	}
	return x.settle(x.pass())
}

// receive reads and checks a request's head.
func (x *exchange) receive() (err error) {
	v := x.v
	v.patience, v.by = 0, time.Now().Add(x.cfg.Limits.ReadHead)
	x.request.text, err = v.in.appendHead(x.request.text[:0], x.cfg.Limits.RequestHead)
	x.begun = time.Now()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return faultSlow
		}
		return err
	}
	v.patience = x.cfg.Limits.Write
	return x.check()
}

// choose reads the choice that the visitor has made.
func (x *exchange) choose() {
	var choice *consent.Choice
	child := x.isForChildren()
	for i := range x.request.fields {
		f := &x.request.fields[i]
		if f.id != nameCookie {
			continue
		}
		if value, ok := findCookie(f.value, consent.CookieName); ok && choice == nil {
			if c, ok := consent.ParseCookie(value, x.begun, x.site.Revision, x.site.Cookie.MaxAge); ok {
				choice = &c
			}
		}
		if value, ok := findCookie(f.value, onceCookie); ok {
			x.once = x.site.engine.Vendor(string(value))
		}
		child = child || x.isChild(f.value)
	}
	if child {
		x.once, x.standing = nil, consent.StandChild(x.objection())
		return
	}
	x.place, x.located = x.locate()
	x.standing = x.site.stand(x.place, choice, x.objection())
}

// ask sends the request to the upstream and reads the head of its answer.
//
// A request is sent again only over a connection that was kept from before and
// failed before a byte of an answer came, and only if sending it twice does no
// more than sending it once.
func (x *exchange) ask() error {
	x.composeRequest(false)
	payload, whole := x.upload.whole()
	for fresh := false; ; fresh = true {
		l, err := x.acquire(fresh)
		if err != nil {
			return err
		}
		x.attach(l)
		before := l.in.in
		err = l.write(x.out, payload)
		if err == nil && !whole && !x.upload.done() {
			x.startUpload()
		}
		// An upstream that refuses an upload may answer and close before it
		// has read all: the answer is read even if sending failed.
		sendErr := err
		if err = x.receiveAnswer(); err == nil {
			l.up.well()
			return nil
		}
		silent := l.in.in == before
		uploading := x.sending != nil
		blame := x.abandon()
		err = errors.Join(blame, err, sendErr)
		if blame == nil && !l.reused && !errors.Is(err, errVisitorLeft) {
			l.up.failed(&x.site.Health)
		}
		if !l.reused || !silent || uploading || !idempotent(x.request.method) ||
			errors.Is(err, errSilent) || errors.Is(err, errVisitorLeft) {
			return err
		}
		x.proxy.metrics.retries.Add(1)
	}
}

// attach makes l the connection of this exchange.
func (x *exchange) attach(l *link) {
	l.patience, l.pause, l.stall = x.cfg.Limits.Response, 0, x.stall
	x.link = l
}

// abandon gives the upstream connection up in the middle of an exchange. It
// returns what the visitor did wrong, if they did.
func (x *exchange) abandon() (err error) {
	if x.link == nil {
		return nil
	}
	x.link.conn.Close()
	if x.sending != nil {
		err = x.stopUpload()
	}
	x.link.release(false)
	x.link = nil
	return err
}

// startUpload sends the request's body beside what comes back: an upstream may
// answer before it has read everything, or while it does.
func (x *exchange) startUpload() {
	x.sending = make(chan error, 1)
	go func(done chan<- error, l *link) {
		err := x.sendBody(l)
		var f *fault
		if errors.As(err, &f) || errors.Is(err, errVisitorLeft) {
			// What the upstream has is not a whole request, and never will be.
			l.conn.Close()
		}
		done <- err
	}(x.sending, x.link)
}

func (x *exchange) sendBody(l *link) error {
	var size [20]byte
	for {
		p, err := x.upload.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			var f *fault
			if x.v.halted.Load() {
				return errHalted
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				return faultSlow
			} else if errors.As(err, &f) {
				return err
			}
			return errVisitorLeft
		}
		if x.upload.framing == chunked {
			err = l.write(appendChunkSize(size[:0], len(p)), p)
			if err == nil {
				err = l.write(crlf, nil)
			}
		} else {
			err = l.write(p, nil)
		}
		if err != nil {
			return err
		}
	}
	if x.upload.framing == chunked {
		return l.write(x.upload.appendTrailer([]byte("0\r\n")), nil)
	}
	return nil
}

// stopUpload ends an upload that the answer has overtaken.
func (x *exchange) stopUpload() error {
	var err error
	select {
	case err = <-x.sending:
	default:
		x.v.halt()
		err = <-x.sending
		x.last = true
	}
	x.sending = nil
	var f *fault
	if errors.As(err, &f) || errors.Is(err, errVisitorLeft) {
		return err
	}
	return nil
}

// receiveAnswer reads answers until one is final. Interim ones are passed on.
func (x *exchange) receiveAnswer() error {
	for interim := 0; ; interim++ {
		var err error
		x.answer.reset()
		x.answer.text, err = x.link.in.appendHead(x.answer.text, x.cfg.Limits.ResponseHead)
		if err == nil {
			err = x.answer.parseResponse()
		}
		if err != nil {
			return badAnswer(err)
		}
		switch {
		case x.answer.status >= 200:
			x.link.patience = x.cfg.Limits.Response
			return x.frameAnswer()
		case x.answer.status == 101 && x.switches &&
			equalFold(x.answer.get(nameUpgrade), "websocket") && x.answer.lists(nameConnection, "upgrade"):
			return nil
		case x.answer.status == 101 || interim == maxInterim:
			return badAnswer(faultFraming)
		}
		if err := x.passInterim(); err != nil {
			return err
		}
	}
}

var errHalted = errors.New("the answer has overtaken the upload")

// maxInterim bounds the interim answers to one request.
const maxInterim = 16

// frameAnswer finds out how the answer's body ends.
func (x *exchange) frameAnswer() error {
	f, n, err := x.answer.framing()
	if err != nil {
		return badAnswer(err)
	}
	if s := x.answer.status; x.isHead() || s == 204 || s == 304 {
		f = noBody
	}
	x.download.start(&x.link.in, f, n)
	return nil
}

// wait is called while the upstream is silent.
func (x *exchange) wait(silent time.Duration) error {
	if (x.sending == nil || len(x.sending) > 0) && x.v.left() {
		return errVisitorLeft
	}
	if x.expects && silent > continueAfter {
		// The upstream takes no heed of Expect: let the body come.
		x.expects = false
		if err := x.v.write(continueLine); err != nil {
			return err
		}
	}
	if x.sending != nil && len(x.sending) == 0 {
		// The upstream's time begins when it has the whole request.
		x.link.patience = silent + x.cfg.Limits.Response
	}
	if len(x.pending) > 0 {
		return x.send(x.pending)
	}
	return x.doc.flushStalled(silent)
}

// continueAfter is how long an upstream may take to answer Expect before the
// visitor is told to go on.
const continueAfter = time.Second

var (
	continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")
	crlf         = []byte("\r\n")
	lastChunk    = []byte("0\r\n\r\n")
)

// pass sends an answer that is not to be changed, as it comes.
func (x *exchange) pass() error {
	x.composeAnswer()
	framing := x.outFraming()
	x.appendFraming(framing, x.download.framing == sized || x.isHead() || x.answer.status == 304)
	return x.relay(framing)
}

// closeAfterUpload finds out whether the upload has come to its end. Where the
// answer has overtaken it, the connection ends with the answer. The end is
// waited for a moment: an upstream may answer before our last write returns.
func (x *exchange) closeAfterUpload() {
	if x.sending == nil {
		return
	}
	moment := time.NewTimer(2 * time.Millisecond)
	defer moment.Stop()
	select {
	case err := <-x.sending:
		x.sending, x.unsent = nil, err != nil
	case <-moment.C:
		x.unsent = true
	}
	x.last = x.last || x.unsent
}

// relay sends the head and the rest of the download.
func (x *exchange) relay(framing framing) error {
	x.pending = x.out
	x.link.pause = headPause
	for {
		p, err := x.download.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return answerCut(err)
		}
		x.link.pause = 0
		head := x.pending
		if framing == chunked {
			err = x.send(head, appendChunkSize(x.size[:0], len(p)), p, crlf)
		} else {
			err = x.send(head, p)
		}
		if err != nil {
			return err
		}
	}
	last := []byte(nil)
	if framing == chunked {
		last = lastChunk
		if len(x.download.trailer.fields) > 0 {
			last = x.download.appendTrailer([]byte("0\r\n"))
		}
	}
	return x.send(x.pending, last)
}

// headPause is how long the head of an answer waits for the body, so that both
// can be sent at once.
const headPause = time.Millisecond

// send sends a part of the final answer. Before the first part is sent, an
// error can still be answered with one.
func (x *exchange) send(parts ...[]byte) error {
	x.answered, x.pending = true, nil
	return x.v.write(parts...)
}

// settle ends an exchange whose answer has been begun; err is how it went.
func (x *exchange) settle(err error) (keep bool) {
	if err != nil && !x.answered {
		return x.fail(errors.Join(x.abandon(), err))
	}
	reusable := err == nil && !x.unsent && x.download.done() && x.answer.keepAlive() && x.download.framing != untilClose
	if !reusable {
		if e := x.abandon(); e != nil {
			x.last = true
		}
	} else {
		x.link.release(true)
		x.link = nil
	}
	x.logAccess(x.answer.status)
	x.proxy.metrics.finish(x, err)
	if err != nil {
		x.logFailure(err)
		x.v.reset()
		return false
	}
	if x.last {
		if !x.upload.done() {
			x.v.linger()
		}
		return false
	}
	return x.upload.done()
}

// path returns the target without its query.
func (x *exchange) path() []byte {
	path, _, _ := bytes.Cut(x.target, question)
	return path
}

var question = []byte{'?'}

func (x *exchange) isHead() bool { return string(x.request.method) == "HEAD" }

// pageURL returns the page's address as the visitor sees it.
func (x *exchange) pageURL() []byte {
	if len(x.url) == 0 {
		scheme := "http://"
		if x.secure {
			scheme = "https://"
		}
		x.url = append(append(append(x.url, scheme...), x.address...), x.target...)
		x.page.Reset(x.url)
	}
	return x.url
}
