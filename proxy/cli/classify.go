package cli

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// classifier writes what operators classify to the sites' files of overrides,
// and has them read.
type classifier struct {
	cfg    atomic.Pointer[configs.Config]
	reload func() error
	mu     sync.Mutex
}

// learn takes over what a configuration says.
func (c *classifier) learn(cfg *configs.Config) { c.cfg.Store(cfg) }

func (c *classifier) site(name string) *configs.Site {
	cfg := c.cfg.Load()
	for i := range cfg.Sites {
		if s := &cfg.Sites[i]; s.Name == name && s.OverridesFile != "" {
			return s
		}
	}
	return nil
}

func (c *classifier) Writable(site string) bool { return c.site(site) != nil }

func (c *classifier) Classify(site, host string, category consent.Category, by string) error {
	s := c.site(site)
	if s == nil {
		return errors.New("the site has no file of overrides")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := configs.AppendOverride(s.OverridesFile, host, category, by, time.Now()); err != nil {
		return err
	}
	return c.reload()
}
