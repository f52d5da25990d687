package cli

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// tellSystemd sends a state to the service manager, if there is one
// (sd_notify(3)).
func tellSystemd(state string) {
	// Nobody can be told that it failed; what is missing, systemd sees.
	_, _ = daemon.SdNotify(false, state)
}

// tellReloading says that a reload begins. The time tells systemd which of two
// signals is answered (Type=notify-reload in systemd.service(5)).
func tellReloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		tellSystemd(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
	}
}

// watchdog ticks as often as systemd wants to hear from us; never where it
// does not.
func watchdog() (tick <-chan time.Time, stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(interval / 2)
	return t.C, t.Stop
}
