package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// dataFolder is where records are kept when nothing else is said: one folder
// a port, so that two proxies on a machine do not share a store unasked.
const dataFolder = "askfirst-data"

func runServe(c *console, args []string) error {
	cfg := configs.Default()
	site := configs.DefaultSite()
	site.Name, site.Hosts = "default", []string{"*"}

	f := c.flags("serve --upstream URL | --config FILE")
	file := f.String("config", "", "the configuration `file`; no other setting is taken beside it")
	upstream := f.String("upstream", "", "the `URL` of the site to front, such as http://127.0.0.1:3000")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "the `address` that visitors reach")
	f.StringVar(&cfg.Admin, "admin", cfg.Admin, "the loopback `address` of audit, health and metrics, or off")
	f.StringVar(&cfg.Data, "data", "", "the `folder` that records are kept in (default "+dataFolder+"/PORT)")
	unclassified := f.String("unclassified", string(site.Unclassified), "fate of third parties that no rule knows: `pass or hold`")
	regime := f.String("regime", site.Regimes.Fallback.String(), "how consent works: `opt-in, opt-out or notice`")
	f.BoolVar(&cfg.Rewrite, "rewrite", true, "false makes a plain proxy that changes no page")
	logger := c.logFormat(f)
	if err := parse(f, args, 0); err != nil {
		return err
	}
	log, err := logger()
	if err != nil {
		return err
	}
	if *file != "" {
		var beside error
		f.Visit(func(set *flag.Flag) {
			if set.Name != "config" && set.Name != "log" {
				beside = errors.Join(beside, fmt.Errorf("--%s cannot stand beside --config; set it in the file", set.Name))
			}
		})
		if beside != nil {
			return usageError{beside}
		}
		loaded, err := loadConfig(*file)
		if err != nil {
			return err
		}
		keepRecords(loaded)
		return serve(loaded, log, &serveOptions{access: c.out, file: *file})
	}

	var mistakes error
	wrong := func(err error) { mistakes = errors.Join(mistakes, err) }
	if *upstream == "" {
		wrong(errors.New("--upstream URL or --config FILE is missing"))
	} else if site.Upstream, err = configs.ParseUpstream(*upstream); err != nil {
		wrong(fmt.Errorf("--upstream: %w", err))
	}
	if err := configs.CheckAddress(cfg.Listen); err != nil {
		wrong(fmt.Errorf("--listen: %w", err))
	}
	if cfg.Admin == "off" {
		cfg.Admin = ""
	} else if err := configs.CheckAdmin(cfg.Admin); err != nil {
		wrong(fmt.Errorf("--admin: %w", err))
	}
	switch site.Unclassified = configs.Unclassified(*unclassified); site.Unclassified {
	case configs.PassUnclassified, configs.HoldUnclassified:
	default:
		wrong(fmt.Errorf("--unclassified is %q; it can be pass or hold", *unclassified))
	}
	var ok bool
	if site.Regimes.Fallback, ok = consent.ParseRegime(*regime); !ok {
		wrong(fmt.Errorf("--regime is %q; it can be opt-in, opt-out or notice", *regime))
	}
	if mistakes != nil {
		return usageError{mistakes}
	}
	cfg.Sites = []configs.Site{site}
	keepRecords(&cfg)
	return serve(&cfg, log, &serveOptions{access: c.out})
}

// keepRecords names the folder of records where nothing else is said.
func keepRecords(cfg *configs.Config) {
	if cfg.Data == "" {
		_, port, _ := net.SplitHostPort(cfg.Listen)
		cfg.Data = filepath.Join(dataFolder, port)
	}
}

// serve runs a proxy and its admin listener until SIGTERM or SIGINT, then
// drains what is under way. SIGHUP reads the configuration file again.
func serve(cfg *configs.Config, log *slog.Logger, o *serveOptions) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)

	store, err := audit.Open(ctx, cfg.Data, log)
	if err != nil {
		return fmt.Errorf("records in %q: %w", cfg.Data, err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("records not closed", "error", err)
		}
	}()
	store.PruneDaily(audit.DefaultRetention)
	watch := &observer{store: store, log: log}
	watch.learn(cfg)
	p, err := proxy.New(cfg, proxy.Options{
		Records:  store,
		Observer: watch,
		Counter:  counter{store},
		Log:      log,
		Access:   o.access,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	failed := make(chan error, 2)
	if cfg.Admin != "" {
		adminListener, err := net.Listen("tcp", cfg.Admin)
		if err != nil {
			listener.Close()
			return fmt.Errorf("admin listener: %w", err)
		}
		server := &http.Server{
			Handler: admin.New(admin.Options{
				Store:    store,
				Engines:  p.Engines,
				Ready:    p.Ready,
				Metrics:  p.WriteMetrics,
				Contacts: o.contacts,
				Log:      log,
			}).Handler(),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		go func() { failed <- server.Serve(adminListener) }()
		defer server.Close()
		log.Info("admin ready", "admin", adminListener.Addr().String())
		o.adminAddress = adminListener.Addr().String()
	}
	go func() { failed <- p.Serve(listener) }()
	log.Info("listening", "listen", listener.Addr().String(), "sites", len(cfg.Sites))
	if o.ready != nil {
		o.ready(listener.Addr().String(), o.adminAddress)
	}

	for running := true; running; {
		select {
		case err := <-failed:
			return err
		case <-again:
			if cfg := reload(p, o.file, log); cfg != nil {
				watch.learn(cfg)
			}
		case <-ctx.Done():
			running = false
		}
	}
	stop() // a second signal ends the process at once
	log.Info("draining", "limit", cfg.Limits.Drain)
	drain, cancel := context.WithTimeout(context.Background(), cfg.Limits.Drain)
	defer cancel()
	if err := p.Shutdown(drain); err != nil {
		log.Warn("drained only in part", "error", err)
	}
	log.Info("stopped")
	return nil
}

// reload puts the configuration file in force as it is now, and returns it. A
// bad one changes nothing, and nil is returned.
func reload(p *proxy.Proxy, file string, log *slog.Logger) *configs.Config {
	if file == "" {
		log.Warn("nothing to reload: there is no configuration file")
		return nil
	}
	cfg, err := configs.Load(file)
	if err == nil {
		err = p.Reload(cfg)
	}
	if err != nil {
		log.Error("not reloaded: what was in force stays", "file", file, "error", err)
		return nil
	}
	log.Info("reloaded", "file", file, "sites", len(cfg.Sites))
	return cfg
}

// serveOptions are what a command adds to its configuration.
type serveOptions struct {
	// access takes the access log, if the configuration asks for one.
	access io.Writer
	// file is the configuration's, empty for none.
	file         string
	contacts     func() []admin.Contact
	ready        func(listen, admin string)
	adminAddress string
}
