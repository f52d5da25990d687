package cli

import (
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
	return &listeners{cfg, handed}, nil
}

// open returns the listener of a name: one that was handed over, or else a new
// one at address.
func (l *listeners) open(name, address string) (net.Listener, error) {
	if handed := l.handed[name]; len(handed) > 0 {
		if len(handed) > 1 || handed[0] == nil {
			return nil, fmt.Errorf("systemd must hand over one stream socket named %s", name)
		}
		return handed[0], nil
	}
	if l.cfg.ReusePort && name != forAdmin {
		return listenShared(address)
	}
	return net.Listen("tcp", address)
}

// shared reports whether others may take over what visitors arrive at.
func (l *listeners) shared() bool { return l.cfg.ReusePort || len(l.handed[forVisitors]) > 0 }
