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
	"github.com/askfirst/askfirst/proxy/alert"
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
	f.StringVar(&cfg.Records, "records", "", "the PostgreSQL `database` that records are kept in, postgres://…, instead of the folder")
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
		before := configs.NewWatch([]string{*file})
		loaded, err := loadConfig(*file)
		if err != nil {
			return err
		}
		keepRecords(loaded)
		return serve(loaded, log, &serveOptions{access: c.out, file: *file, watch: before.For(loaded.Files(*file))})
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
	if cfg.Records != "" {
		if err := configs.CheckDatabase(cfg.Records); err != nil {
			wrong(fmt.Errorf("--records: %w", err))
		}
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
	site.SecondLock = site.Unclassified == configs.HoldUnclassified
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
// drains what is under way. The configuration file is read again at SIGHUP,
// when the admin listener is asked to, and when a file changes.
func serve(cfg *configs.Config, log *slog.Logger, o *serveOptions) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	asked := make(chan chan<- error)

	store, err := openRecords(ctx, cfg, log)
	if err != nil {
		return err
	}
	flush := func() {}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("records not closed", "error", err)
		}
		flush() // last: a collector that is away takes no record with it
	}()
	store.PruneDaily(audit.DefaultRetention)
	go alert.New(store, alert.Options{Alerts: cfg.Alerts, Log: log}).Run(ctx)
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
	flush = p.FlushTraces
	sockets, err := newListeners(cfg)
	if err != nil {
		return err
	}
	defer sockets.close()
	listener, err := sockets.open(forVisitors, cfg.Listen)
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	classify := &classifier{reload: func() error { return askReload(ctx, asked) }}
	classify.learn(cfg)
	if cfg.Admin != "" {
		adminListener, err := sockets.open(forAdmin, cfg.Admin)
		if err != nil {
			return err
		}
		adminTLS, err := adminTLS(&cfg.AdminAccess)
		if err != nil {
			return fmt.Errorf("admin listener: %w", err)
		}
		server := &http.Server{
			TLSConfig: adminTLS,
			Handler: admin.New(admin.Options{
				Store:      store,
				Sites:      func() map[string]admin.Site { return sites(p) },
				Previews:   func() map[string]admin.Previewer { return previews(p.Banners()) },
				Classifier: classify,
				Ready:      p.Ready,
				Metrics:    p.WriteMetrics,
				Reload:     func(ctx context.Context) error { return askReload(ctx, asked) },
				Profiling:  cfg.Profiling,
				Contacts:   o.contacts,
				Access:     cfg.AdminAccess,
				Trusted:    cfg.TrustedProxies,
				Log:        log,
			}).Handler(),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		go func() {
			if adminTLS != nil {
				failed <- server.ServeTLS(adminListener, "", "")
				return
			}
			failed <- server.Serve(adminListener)
		}()
		defer server.Close()
		log.Info("admin ready", "admin", adminListener.Addr().String())
		o.adminAddress = adminListener.Addr().String()
	}
	if cfg.TLS.Redirect != "" {
		redirectListener, err := sockets.open(forRedirect, cfg.TLS.Redirect)
		if err != nil {
			return err
		}
		server := p.Redirect(cfg)
		server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
		go func() { failed <- server.Serve(p.Announced(redirectListener)) }()
		defer server.Close()
		log.Info("redirecting to https", "redirect", redirectListener.Addr().String())
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(p.Secure(listener)) }()
	p.Certify()
	log.Info("listening", "listen", listener.Addr().String(), "sites", len(cfg.Sites), "tls", cfg.TLS.On())
	tellSystemd("READY=1")
	if o.ready != nil {
		o.ready(listener.Addr().String(), o.adminAddress)
	}

	r := &reloader{proxy: p, file: o.file, cfg: cfg, log: log, learn: func(cfg *configs.Config) {
		watch.learn(cfg)
		classify.learn(cfg)
	}}
	r.rest(o.watch)
	go r.run(ctx, hangup, asked)
	alive, dead := watchdog()
	defer dead()
	for running := true; running; {
		select {
		case err := <-failed:
			return err
		case err := <-served:
			return err
		case <-alive:
			tellSystemd("WATCHDOG=1")
		case <-ctx.Done():
			running = false
		}
	}
	stop() // a second signal ends the process at once
	tellSystemd("STOPPING=1")
	if sockets.shared() {
		if err := sockets.yield(); err != nil {
			log.Warn("new connections may be lost: they could not be turned to a successor", "error", err)
		}
		listener.Close()
		<-served // all that were accepted are visitors now
	}
	log.Info("draining", "limit", cfg.Limits.Drain)
	drain, cancel := context.WithTimeout(context.Background(), cfg.Limits.Drain)
	defer cancel()
	if err := p.Shutdown(drain); err != nil {
		log.Warn("drained only in part", "error", err)
	}
	log.Info("stopped")
	return nil
}

// serveOptions are what a command adds to its configuration.
type serveOptions struct {
	// access takes the access log, if the configuration asks for one.
	access io.Writer
	// file is the configuration's, empty for none.
	file         string
	watch        *configs.Watch // of the files as they were read; nil without a file
	contacts     func() []admin.Contact
	ready        func(listen, admin string)
	adminAddress string
}
