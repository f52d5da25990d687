package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/rules"
)

func runCheck(c *console, args []string) error {
	f := c.flags("check --config FILE")
	file := f.String("config", "", "the configuration `file`")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if *file == "" {
		return usageErrorf("--config FILE is missing")
	}
	cfg, err := loadConfig(*file)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is sound: %d site(s)\n", *file, len(cfg.Sites))
	for i := range cfg.Sites {
		if len(cfg.Sites[i].Lists) == 0 {
			continue
		}
		engine, err := rules.New(cfg.Sites[i].Rules())
		if err != nil {
			return usageError{err}
		}
		for _, list := range engine.Lists() {
			fmt.Fprintln(c.out, list)
		}
	}
	return nil
}

// loadConfig reads a configuration file; whatever is wrong with it is the
// operator's to mend.
func loadConfig(file string) (*configs.Config, error) {
	cfg, err := configs.Load(file, proxy.Judge)
	if mistakes := (configs.Mistakes)(nil); errors.As(err, &mistakes) {
		return nil, usageError{mistakes}
	}
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// findSite returns the site of that name, the first one where none is given.
func findSite(cfg *configs.Config, file, name string) (*configs.Site, error) {
	i := slices.IndexFunc(cfg.Sites, func(s configs.Site) bool { return name == "" || s.Name == name })
	if i < 0 {
		return nil, usageErrorf("%s has no site %q", file, name)
	}
	return &cfg.Sites[i], nil
}
