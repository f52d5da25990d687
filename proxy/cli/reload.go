package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
)

// watchEvery is how often files are looked at. A change is put in force after
// one to two of these: it must have come to rest.
const watchEvery = time.Second

// reloader puts the configuration file in force as it changes.
type reloader struct {
	proxy *proxy.Proxy
	file  string          // empty for none
	cfg   *configs.Config // in force
	log   *slog.Logger
	learn func(*configs.Config)
	watch *configs.Watch
}

// rest takes the files as they were before they were read for what is in force.
func (r *reloader) rest(before *configs.Watch) {
	if r.file != "" && r.cfg.Watch {
		r.watch = before.For(r.cfg.Files(r.file))
	} else {
		r.watch = nil
	}
}

func (r *reloader) changed() bool { return r.watch != nil && r.watch.Changed() }

// run reloads when it is told to or a file has changed, until ctx ends. Where there
// are hundreds of sites that takes a while, in which the proxy goes on: it tells
// systemd that it is alive, and can be stopped.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal, asked <-chan chan<- error) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		select {
		case <-hangup:
			_ = r.reload("SIGHUP") // it has been logged
		case answer := <-asked:
			answer <- r.reload("admin listener")
		case <-look.C:
			if r.changed() {
				_ = r.reload("a file has changed")
			}
		case <-ctx.Done():
			return
		}
	}
}

var errNoFile = errors.New("there is no configuration file")

// reload puts the configuration file in force as it is now. A bad one changes
// nothing; the error says why.
func (r *reloader) reload(because string) error {
	if r.file == "" {
		r.log.Warn("nothing to reload: there is no configuration file", "because", because)
		return errNoFile
	}
	tellReloading()
	defer tellSystemd("READY=1")
	before := configs.NewWatch(r.cfg.Files(r.file))
	cfg, err := configs.Load(r.file, proxy.Judge)
	if err == nil {
		keepRecords(cfg)
		err = r.proxy.Reload(cfg)
	}
	if err != nil {
		r.log.Error("not reloaded: what was in force stays", "because", because, "file", r.file, "error", err)
		return err
	}
	for _, name := range settled(r.cfg, cfg) {
		r.log.Warn("a setting takes a restart: what was in force stays", "file", r.file, "setting", name)
	}
	r.cfg = cfg
	r.learn(cfg)
	r.rest(before)
	r.log.Info("reloaded", "because", because, "file", r.file, "sites", len(cfg.Sites))
	return nil
}

// settled names the settings in which two configurations differ and that hold
// for as long as the process does.
func settled(before, now *configs.Config) (names []string) {
	for _, s := range []struct {
		name    string
		differs bool
	}{
		{"listen", before.Listen != now.Listen},
		{"admin", before.Admin != now.Admin || !reflect.DeepEqual(before.AdminAccess, now.AdminAccess)},
		{"alerts", !reflect.DeepEqual(before.Alerts, now.Alerts)},
		{"data", before.Data != now.Data},
		{"records", before.Records != now.Records},
		{"trusted_proxies (for admin)", before.AdminAccess.BehindTLS && !slices.Equal(before.TrustedProxies, now.TrustedProxies)},
		{"reuse_port", before.ReusePort != now.ReusePort},
		{"tls", before.TLS.On() != now.TLS.On()},
		{"tls.redirect", before.TLS.Redirect != now.TLS.Redirect},
		{"profiling", before.Profiling != now.Profiling},
		{"limits.memo", before.Limits.Memo != now.Limits.Memo},
	} {
		if s.differs {
			names = append(names, s.name)
		}
	}
	return names
}

// askReload has the reloader reload, and waits for what comes of it.
func askReload(ctx context.Context, asked chan<- chan<- error) error {
	answer := make(chan error, 1)
	select {
	case asked <- answer:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	}
}
