package proxy

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/valyala/fasthttp"
)

// ask sends the request to an upstream and reads the head of its answer. Where
// a server cannot be reached the next is asked: nothing has been sent yet.
func (x *exchange) ask(upgrade bool) error {
	defer x.waitedSince(time.Now())
	x.composeRequest(upgrade)
	x.switches = upgrade
	x.payload, _ = x.upload.whole()
	var tried []*upstream
	var errs error
	for {
		up := x.site.servers.pick(tried)
		if up == nil {
			return errs
		}
		err := up.client.Do(&x.query, &x.reply)
		if err == nil || x.asked {
			return err
		}
		errs = errors.Join(errs, err)
		if errors.Is(err, errQueueFull) {
			return errs
		}
		x.blame(up, err)
		tried = append(tried, up)
	}
}

// blame notes that up could not be reached, or did not answer.
func (x *exchange) blame(up *upstream, err error) {
	if up.failed(&x.site.Health) && len(x.site.servers.all) > 1 {
		x.proxy.log.Warn("a server is left out", "site", x.site.Name, "upstream", up.address, "error", err)
	}
}

// asker is where a request of HostClient holds the exchange that it is of.
const asker = "exchange"

// RoundTrip is fasthttp.RoundTripper: it sends the request of an exchange over a
// connection of the client's and reads the head of the answer to it. The body
// is read from the exchange's link, which goes back to the client with it.
func (up *upstream) RoundTrip(_ *fasthttp.HostClient, query *fasthttp.Request, reply *fasthttp.Response) (again bool, err error) {
	x := query.UserValue(asker).(*exchange)
	up.asked.Add(1)
	defer up.asked.Add(-1)
	for err = errStale; err == errStale; {
		x.asked = false
		if err = up.acquire(x); err != nil {
			return false, err
		}
		again, err = x.askOver(x.link)
	}
	if err == nil {
		up.well()
		reply.SetStatusCode(x.answer.status)
	}
	return again, err
}

// askOver sends the request over l and reads the head of the answer. With
// errStale nothing has been sent.
//
// A request is sent again only over a connection that was kept from before and
// failed before a byte of an answer came, and only if sending it twice does no
// more than sending it once.
func (x *exchange) askOver(l *link) (again bool, err error) {
	before := l.in.in
	// An upstream that refuses an upload may answer and close before it has
	// read all: the answer is read even if sending failed.
	sendErr := l.send(x.out, x.payload, !x.upload.done())
	if sendErr == nil && !x.upload.done() {
		x.startUpload()
	}
	if err = sendErr; err != errStale {
		err = x.receiveAnswer()
	}
	if err == errStale {
		x.abandon()
		return false, err
	}
	x.asked = true
	if err == nil {
		return false, nil
	}
	silent, kept, uploading := l.in.in == before, l.kept, x.sending != nil
	fault := x.abandon() // the visitor's
	err = errors.Join(fault, err, sendErr)
	left := errors.Is(err, errVisitorLeft)
	if fault == nil && !kept && !left {
		x.blame(l.up, err)
	}
	if !kept || !silent || uploading || left || !idempotent(x.request.method) || errors.Is(err, errSilent) {
		return false, err
	}
	// The others were kept as long.
	l.up.client.CloseIdleConnections()
	x.proxy.metrics.retries.Add(1)
	return true, err
}

// abandon gives the upstream connection up in the middle of an exchange. It
// returns what the visitor did wrong, if they did.
func (x *exchange) abandon() (err error) {
	if x.link == nil {
		return nil
	}
	x.link.Close()
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
			l.Close()
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
	err := x.link.await()
	if err != nil {
		return err
	}
	for interim := 0; ; interim++ {
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
			x.switches = false
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
	x.answer.keepLast(nameContentType)
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
		if err := x.v.send(continueLine); err != nil {
			return err
		}
	}
	if x.sending != nil && len(x.sending) == 0 {
		// The upstream's time begins when it has the whole request.
		x.link.patience = silent + x.cfg.Limits.Response
	}
	if x.peeks {
		return errPause
	}
	return x.doc.flushStalled(silent)
}

// continueAfter is how long an upstream may take to answer Expect before the
// visitor is told to go on.
const continueAfter = time.Second

var (
	continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")
	crlf         = []byte("\r\n")
)

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
