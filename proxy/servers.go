package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// servers are the upstreams of one site. A request goes to the one that has
// least to do for its weight among those that are well; where none is, to any of
// them: a wrong suspicion must not take a site down.
type servers struct {
	all  []*upstream
	stop context.CancelFunc
}

// condition is how a server is doing.
type condition struct {
	failures atomic.Int32 // in a row
	until    atomic.Int64 // when it may be asked again, in Unix nanoseconds
	busy     atomic.Int32 // requests under way, and tunnels
	asked    atomic.Int32 // requests of which no answer has begun
}

func newServers(cfg *configs.Config, c *configs.Site, log *slog.Logger) (*servers, error) {
	s := &servers{}
	for i, u := range append([]*url.URL{c.Upstream}, c.Others...) {
		up, err := newUpstream(u, &c.UpstreamTLS, &cfg.Limits)
		if err != nil {
			return nil, err
		}
		up.weight = 1
		if i < len(c.Weights) {
			up.weight = c.Weights[i]
		}
		s.all = append(s.all, up)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if c.Health.Path != "" {
		for _, up := range s.all {
			go up.watch(ctx, c, log)
		}
	}
	return s, nil
}

func (s *servers) close() {
	s.stop()
	for _, up := range s.all {
		up.close()
	}
}

// pick returns a server that is not among tried; nil if all are. Among those
// that have equally little to do chance decides, by weight.
func (s *servers) pick(tried []*upstream) *upstream {
	if len(s.all) == 1 {
		if len(tried) > 0 {
			return nil
		}
		return s.all[0]
	}
	now := time.Now().UnixNano()
	var best *upstream
	var bestWell bool
	var least, equal int
	for _, up := range s.all {
		if slices.Contains(tried, up) {
			continue
		}
		busy := int(up.busy.Load())
		// One request at a time finds out whether a server that has failed is back.
		well := up.until.Load() <= now && (up.asked.Load() == 0 || up.failures.Load() == 0)
		switch {
		case best == nil || well && !bestWell || well == bestWell && busy*best.weight < least*up.weight:
			equal = up.weight
		case well == bestWell && busy*best.weight == least*up.weight:
			equal += up.weight
			if rand.IntN(equal) >= up.weight {
				continue
			}
		default:
			continue
		}
		best, bestWell, least = up, well, busy
	}
	return best
}

// failed notes that the server could not be reached, or did not answer.
func (c *condition) failed(h *configs.Health) (out bool) {
	n := c.failures.Add(1)
	if int(n) < max(h.Failures, 1) {
		return false
	}
	c.until.Store(time.Now().Add(h.Pause).UnixNano())
	return int(n) == max(h.Failures, 1)
}

// well notes that the server has answered.
func (c *condition) well() {
	if c.failures.Load() != 0 {
		c.failures.Store(0)
		c.until.Store(0)
	}
}

// watch asks the server how it is until ctx ends.
func (up *upstream) watch(ctx context.Context, c *configs.Site, log *slog.Logger) {
	tick := time.NewTicker(c.Health.Every)
	defer tick.Stop()
	for {
		err := up.probe(c.Health.Path)
		if err == nil {
			up.well()
		} else if up.failed(&c.Health) {
			log.Warn("a server is left out", "site", c.Name, "upstream", up.address, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (up *upstream) probe(path string) error {
	l, err := up.dial()
	if err != nil {
		return err
	}
	defer l.Close()
	l.patience = up.limits.Response
	if err := l.write([]byte("GET "+path+" HTTP/1.1\r\nHost: "+up.host+"\r\nUser-Agent: askfirst\r\nConnection: close\r\n\r\n"), nil); err != nil {
		return err
	}
	var h head
	if h.text, err = l.in.appendHead(nil, up.limits.ResponseHead); err != nil {
		return err
	}
	if err := h.parseResponse(); err != nil {
		return badAnswer(err)
	}
	if h.status >= 400 {
		return fmt.Errorf("status %d", h.status)
	}
	return nil
}
