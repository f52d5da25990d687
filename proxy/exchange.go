package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// exchange is one request and its answer. It is used again for others, so that
// its buffers are; it holds none while a visitor waits between requests.
type exchange struct {
	proxy  *Proxy
	v      *visitor
	ctx    *fasthttp.RequestCtx // nil until fasthttp has read the head
	sites  *sites               // as they stood when the request came
	cfg    *configs.Config      // theirs
	begun  time.Time
	before int64 // bytes that had been sent to the visitor before
	came   int64 // bytes that had come from the visitor before

	correlation correlation

	// The request.
	request head
	fault   *fault // why it is refused unread; nil where it is not
	upload  body
	target  []byte // in origin form
	address []byte // Host as it came, or what stands in for it
	host    []byte // of address: in lower case, without port
	client  netip.Addr
	secure  bool // the visitor came by https
	dest    destination
	part    bool // what is asked for is a part of a page
	guards  bool // what is asked for is a worker's script, which is to be guarded
	expects bool // the visitor waits for 100 (Continue)
	last    bool // the connection ends with this exchange

	// The choice.
	site     *site
	place    consent.Place // where the visitor is, if the site asks
	located  string        // what told it
	standing consent.Standing
	shown    consent.Standing // what the page is made for: the visitor's standing, or nobody's
	shared   bool             // the page is made for all
	rewrites bool             // pages at this path are rewritten
	once     *rules.Vendor    // a vendor that the visitor lets in this time
	withheld [][]byte         // names of cookies that were taken out of the request

	// The upstream and its answer.
	query    fasthttp.Request  // what HostClient is asked; all that it says is whose it is
	reply    fasthttp.Response // what HostClient answers: a status
	asked    bool              // something of the request may have been sent
	payload  []byte            // the body, if it has arrived whole
	link     *link
	answer   head
	download body
	sending  chan error // the end of an upload that runs beside the answer; nil without
	unsent   bool       // the upload was not whole when the answer began
	switches bool       // the upstream is asked to switch to a WebSocket

	revalidates bool // the visitor has the page as it is made for them now, and asks whether it still is

	// The answer.
	out      []byte     // its head, all but how it is framed; before, that for the upstream
	interim  []byte     // that of an interim answer
	line     []byte     // of the access log
	status   int        // its status; 0 while there is none to be logged
	passes   bool       // it is the upstream's
	refused  bool       // it says that the request could not be served
	holds    bool       // it depends on the choice though no page was read, and so is this visitor's alone
	peeks    bool       // the first bytes of its body are waited for, for a moment
	pauses   bool       // they did not come
	ahead    []byte     // they came
	w        io.Writer  // takes the body
	wrote    int64      // how much of the body has been written
	sent     int64      // bytes that had been sent to the visitor before the answer
	err      error      // why the body is not whole
	fell     bool       // a fault of ours has ended the exchange
	policies []byte     // the page's Content-Security-Policy fields, adapted
	sighted  []Sighting // what header fields would have made the browser contact
	url      []byte     // the page's address, once it has been asked for
	page     rules.Page // of that address; see rulesPage
	pageSet  bool
	doc      document

	stall func(time.Duration) error // x.wait, kept since taking it allocates
}

var exchanges = sync.Pool{New: func() any {
	x := new(exchange)
	x.stall = x.wait
	x.query.SetUserValue(asker, x)
	return x
}}

func acquireExchange(v *visitor) *exchange {
	x := exchanges.Get().(*exchange)
	x.proxy, x.v = v.proxy, v
	x.client, x.secure = v.peer, v.tls
	x.sites, x.before = v.proxy.sites.Load(), v.out
	x.cfg = x.sites.cfg
	x.correlation = correlation{id: x.correlation.id[:0]}
	x.came = v.in.in - int64(len(v.in.buffered()))
	return x
}

func releaseExchange(x *exchange) {
	x.doc.end()
	x.request.reset()
	x.answer.reset()
	x.target, x.address, x.host = nil, nil, x.host[:0]
	x.place, x.located = 0, ""
	x.site, x.once, x.link, x.sending, x.v, x.sites, x.cfg = nil, nil, nil, nil, nil, nil, nil
	x.ctx, x.fault, x.w, x.err, x.ahead, x.payload = nil, nil, nil, nil, nil, nil
	x.withheld, x.url = x.withheld[:0], x.url[:0]
	x.expects, x.last, x.switches, x.part, x.revalidates, x.unsent = false, false, false, false, false, false
	x.passes, x.refused, x.holds, x.peeks, x.pauses, x.pageSet = false, false, false, false, false, false
	x.status, x.wrote = 0, 0
	x.sighted = x.sighted[:0]
	if cap(x.out) > largeBuffer {
		x.out = nil
	}
	exchanges.Put(x)
}

// handle answers one request, whose head the visitor has let through.
func (p *Proxy) handle(ctx *fasthttp.RequestCtx) {
	x := ctx.Conn().(*visitor).x
	x.ctx = ctx
	defer x.guard()
	if err := x.serve(); err != nil {
		x.fail(errors.Join(x.abandon(), err))
	}
}

// refuse answers a request whose head fasthttp reads in another way than we do:
// it does not know what makes a host.
func (p *Proxy) refuse(ctx *fasthttp.RequestCtx, _ error) {
	x := ctx.Conn().(*visitor).x
	x.ctx = ctx
	x.fail(faultHost)
}

// guard ends the connection where a fault of ours has ended an exchange: this
// one, not the proxy.
func (x *exchange) guard() {
	r := recover()
	if r == nil {
		return
	}
	x.fell = true
	x.proxy.metrics.faults.Add(1)
	x.proxy.log.Error("a fault of askfirst's own", "fault", r, "method", string(x.request.method),
		"target", string(x.request.target), "stack", string(debug.Stack()))
	x.abandon()
	x.v.reset()
}

// serve answers one request. It reads as the request travels. An error is one
// that the visitor has not been told of.
func (x *exchange) serve() error {
	if x.fault != nil {
		return x.fault
	}
	if x.site = x.sites.find(x.host); x.site == nil {
		return faultNoSite
	}
	if x.address == nil {
		x.address = []byte(x.site.servers.all[0].host)
	}
	x.rewrites = x.cfg.Rewrite && !x.site.leaves(x.path())
	x.choose()
	x.guards = x.guardsWorker()
	if x.site.banner.Owns(x.path()) {
		return x.serveOwn()
	}
	if err := x.ask(x.wantsTunnel()); err != nil {
		return err
	}
	x.heedLocation()
	switch {
	case x.answer.status == 101:
		return x.tunnel()
	case x.isWorker():
		return x.sendWorker()
	case x.isDocument():
		return x.sendDocument()
	case x.mayBeRead():
		return x.passHeld()
	}
	return x.pass()
}

// receive reads and checks a request's head.
func (x *exchange) receive() (err error) {
	v := x.v
	v.patience, v.by = 0, time.Now().Add(x.cfg.Limits.ReadHead)
	limit := min(x.cfg.Limits.RequestHead, x.proxy.server.ReadBufferSize-smallBuffer)
	x.request.text, err = v.in.appendHead(x.request.text[:0], limit)
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
	own, child := false, x.site.isForChildren(x.path())
	for i := range x.request.fields {
		f := &x.request.fields[i]
		if f.id != nameCookie {
			continue
		}
		if value, ok := findCookie(f.value, consent.CookieName); ok && choice == nil {
			if c, ok := consent.ParseCookie(value, x.begun, x.site.Revision, x.site.Cookie.MaxAge); ok && c.At.Unix() >= x.site.news.since() {
				choice = &c
			}
		}
		if value, ok := findCookie(f.value, onceCookie); ok {
			x.once = x.site.engine.Vendor(string(value))
		}
		if _, ok := findCookie(f.value, ownCookie); ok {
			own = true
		}
		child = child || x.isChild(f.value)
	}
	if child {
		x.once, x.standing = nil, consent.StandChild(x.objection())
	} else {
		x.place, x.located = x.locate()
		x.standing = x.site.stand(x.place, choice, x.objection())
	}
	x.show(own)
}

// pass sends an answer that is not to be changed, as it comes.
func (x *exchange) pass() error {
	x.composeAnswer()
	if x.holds && !x.locksWorker() {
		x.out = x.appendDependence(x.out)
	}
	return x.passBody()
}

// finish ends an exchange whose answer has been sent, with err or without, and
// reports whether the connection may serve another.
func (x *exchange) finish(err error) (keep bool) {
	if x.fell {
		return false
	}
	defer releaseExchange(x)
	if x.ctx == nil {
		return false
	}
	if x.err != nil {
		err = x.err
	}
	if err == nil && !x.unsent && x.link != nil && x.download.done() && x.answer.keepAlive() && x.download.framing != untilClose {
		x.link.release(true)
		x.link = nil
	} else if e := x.abandon(); e != nil {
		x.last = true
	}
	if x.status != 0 {
		x.logAccess(x.status)
	}
	if x.passes {
		x.proxy.metrics.finish(x, err)
		if err != nil {
			if !errors.Is(err, errVisitorLeft) {
				x.logFailure(err)
			}
			x.v.reset()
		}
	}
	if err != nil {
		return false
	}
	x.v.lingers = x.last && (x.refused || !x.upload.done())
	return !x.last && x.upload.done()
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
		x.url = append(append(append(append(x.url, x.scheme()...), "://"...), x.address...), x.target...)
	}
	return x.url
}

// rulesPage returns the page as rules are asked about it. A remembered page asks
// about nothing, so that its address is not read before it is wanted.
func (x *exchange) rulesPage() *rules.Page {
	if !x.pageSet {
		x.pageSet = true
		x.page.Reset(x.pageURL())
	}
	return &x.page
}
