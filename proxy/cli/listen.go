package cli

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/askfirst/askfirst/configs"
)

// The names by which systemd hands listeners over (FileDescriptorName= in
// systemd.socket(5)).
const (
	forVisitors = "visitors"
	forRedirect = "redirect"
	forAdmin    = "admin"
)

// handOver is how long connections that are being made are waited for when a
// listener goes over to a successor: a first segment that is lost is sent again
// after a second (RFC 6298, section 2).
const handOver = time.Second

// listeners opens what is listened at, or takes it from systemd.
type listeners struct {
	cfg    *configs.Config
	handed map[string][]net.Listener
	opened []net.Listener
}

func newListeners(cfg *configs.Config) (*listeners, error) {
	handed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	known := len(handed[forVisitors])+len(handed[forRedirect])+len(handed[forAdmin]) > 0
	if !known && len(handed) == 1 {
		// The only socket unit has no name but its own.
		for _, only := range handed {
			handed = map[string][]net.Listener{forVisitors: only}
		}
	}
	return &listeners{cfg: cfg, handed: handed}, nil
}

// open returns the listener of a name: one that was handed over, or else a new
// one at address.
func (l *listeners) open(name, address string) (ln net.Listener, err error) {
	switch handed := l.handed[name]; {
	case len(handed) == 1:
		ln = handed[0]
	case len(handed) > 1:
		return nil, fmt.Errorf("systemd must hand over one stream socket named %s, not %d", name, len(handed))
	case l.cfg.ReusePort:
		ln, err = listenShared(address)
	default:
		ln, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listener for %s: %w", name, err)
	}
	l.opened = append(l.opened, ln)
	return ln, nil
}

// shared reports whether others may take over what visitors arrive at.
func (l *listeners) shared() bool { return l.cfg.ReusePort || len(l.handed[forVisitors]) > 0 }

// yield hands over to a successor: it gets all new connections, and those that
// are being made are waited for.
func (l *listeners) yield() (err error) {
	if l.cfg.ReusePort {
		for _, ln := range l.opened {
			err = errors.Join(err, yield(ln))
		}
	}
	time.Sleep(handOver)
	return err
}

func (l *listeners) close() {
	for _, ln := range l.opened {
		ln.Close()
	}
}
