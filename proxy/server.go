package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
)

// Options are what a Proxy works with beside its configuration.
type Options struct {
	Records  banner.Records
	Observer banner.Observer
	// Counter takes what was seen in pages; nil for none.
	Counter Counter
	// Log takes what goes wrong; nil for slog.Default.
	Log *slog.Logger
	// Access takes the access log, one write a line; nil for none.
	Access io.Writer
}

// Proxy is one askfirst server. It is safe for concurrent use.
type Proxy struct {
	o        Options
	log      *slog.Logger
	server   *fasthttp.Server
	sites    atomic.Pointer[sites]
	memo     *memo
	drafts   *memo // of pages that change each time
	metrics  metrics
	refinery refinery
	access   sync.Mutex // around o.Access
	overdue  sync.Map   // when the operator was told of a certificate, by its names

	mu        sync.Mutex
	listeners []net.Listener
	visitors  map[*visitor]struct{}
	draining  atomic.Bool
	accepting sync.WaitGroup // listeners that are being served
	stopped   chan struct{}  // closed when Shutdown has drained
	stopOnce  sync.Once
}

// New makes a Proxy. It opens no connection: upstreams are dialled when a
// request needs them.
func New(cfg *configs.Config, o Options) (*Proxy, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &Proxy{
		o:        o,
		log:      o.Log,
		memo:     newMemo(cfg.Limits.Memo / 4 * 3),
		drafts:   newMemo(cfg.Limits.Memo / 4),
		visitors: make(map[*visitor]struct{}),
		stopped:  make(chan struct{}),
	}
	p.refinery = newRefinery(p)
	table, err := newSites(cfg, o, &p.metrics, nil)
	if err != nil {
		return nil, err
	}
	p.sites.Store(table)
	p.server = &fasthttp.Server{
		Handler:      p.handle,
		ErrorHandler: p.refuse,
		Logger:       printer{p.log},
		// What it reads is one head at a time, which a visitor has ready.
		ReadBufferSize: max(cfg.Limits.RequestHead, largeBuffer) + smallBuffer,
		// What it writes goes straight to the visitor, who gathers it.
		WriteBufferSize: 1,
		// Nothing is held for those who wait.
		ReduceMemoryUsage: true,
		LazyRequestTime:   true,
		// An answer is the upstream's: nothing is added and no name respelled.
		NoDefaultServerHeader:         true,
		NoDefaultDate:                 true,
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
		DisablePreParseMultipartForm:  true,
	}
	return p, nil
}

// printer is fasthttp's logger.
type printer struct{ log *slog.Logger }

func (p printer) Printf(format string, args ...any) {
	if strings.HasPrefix(format, "error when serving connection") {
		// It has been counted, and whose it was is not written down.
		return
	}
	p.log.Warn(fmt.Sprintf(format, args...))
}

// Reload puts another configuration in force. Requests under way end under the
// one that they came under; where cfg is refused it stays in force. The size of
// the memo is that of the first configuration, and so is the longest request head
// where that is shorter.
func (p *Proxy) Reload(cfg *configs.Config) error {
	table, err := newSites(cfg, p.o, &p.metrics, p.sites.Load())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining.Load() {
		table.close(p.sites.Load().resolver)
		return net.ErrClosed
	}
	p.sites.Swap(table).close(table.resolver)
	p.issue(table.certificates)
	return nil
}

// Ready reports whether requests are served: it turns false as soon as a stop
// is asked for.
func (p *Proxy) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.listeners) > 0 && !p.draining.Load()
}

// Engines returns the compiled rules by the names of the sites.
func (p *Proxy) Engines() map[string]*rules.Engine {
	m := make(map[string]*rules.Engine)
	for _, s := range p.sites.Load().all {
		m[s.Name] = s.engine
	}
	return m
}

// Transfers returns what operators state on what data go to vendors outside the
// European Economic Area, by the names of the sites and the vendors' IDs.
func (p *Proxy) Transfers() map[string]map[string]string {
	m := make(map[string]map[string]string)
	for _, s := range p.sites.Load().all {
		m[s.Name] = s.Transfers
	}
	return m
}

// Banners returns what asks visitors by the names of the sites.
func (p *Proxy) Banners() map[string]*banner.Banner {
	m := make(map[string]*banner.Banner)
	for _, s := range p.sites.Load().all {
		m[s.Name] = s.banner
	}
	return m
}

// Serve accepts visitors from ln. It returns nil after Shutdown has drained,
// and the listener's error where that fails for good.
func (p *Proxy) Serve(ln net.Listener) error {
	p.mu.Lock()
	if p.draining.Load() {
		p.mu.Unlock()
		return net.ErrClosed
	}
	p.listeners = append(p.listeners, ln)
	p.accepting.Add(1)
	p.mu.Unlock()
	err := p.server.Serve(entrance{ln, p})
	p.accepting.Done()
	if err != nil {
		return err
	}
	// fasthttp takes a closed listener for the end that was wished for.
	if !p.draining.Load() {
		return net.ErrClosed
	}
	<-p.stopped
	return nil
}

// entrance is a listener whose connections are visitors.
type entrance struct {
	net.Listener
	proxy *Proxy
}

func (e entrance) Accept() (net.Conn, error) {
	var pause time.Duration
	for {
		conn, err := e.Listener.Accept()
		if err == nil {
			v := newVisitor(e.proxy, conn)
			e.proxy.admit(v)
			return v, nil
		}
		if e.proxy.draining.Load() {
			return nil, net.ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		// Out of descriptors, or a connection that died in the queue: others
		// may still come.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		e.proxy.log.Error("accepting a connection failed", "address", e.Addr(), "error", err, "retry", pause)
		time.Sleep(pause)
	}
}

// Close does nothing: Shutdown closes listeners before it tells fasthttp.
func (e entrance) Close() error { return nil }

func (p *Proxy) admit(v *visitor) {
	p.mu.Lock()
	p.visitors[v] = struct{}{}
	p.mu.Unlock()
}

func (p *Proxy) dismiss(v *visitor) {
	p.mu.Lock()
	delete(p.visitors, v)
	p.mu.Unlock()
}

// Shutdown stops accepting, lets requests under way finish and then closes
// everything. When ctx ends first, what is left is cut off and ctx's error
// returned.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.draining.Store(true)
	listeners := p.listeners
	p.mu.Unlock()
	for _, ln := range listeners {
		ln.Close()
	}
	// Who came in at the last moment is served: others may listen at the same
	// socket, and so nobody would be refused.
	p.accepting.Wait()
	defer p.stopOnce.Do(func() {
		p.sites.Load().close(resolver{})
		close(p.stopped)
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	by := time.Now().Add(grace)
	for {
		// fasthttp would close those who wait at once, and with them requests
		// that are on their way: they are sent home before it is told.
		if p.disperse(by, false) == 0 {
			return p.server.ShutdownWithContext(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.disperse(by, true)
			return ctx.Err()
		}
	}
}

// disperse sends home the visitors who have begun no request by the given time,
// all of them at once if force is set, and returns how many are left.
func (p *Proxy) disperse(by time.Time, force bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for v := range p.visitors {
		if force {
			v.Conn.Close()
		} else {
			v.hurry(by)
		}
	}
	return len(p.visitors)
}
