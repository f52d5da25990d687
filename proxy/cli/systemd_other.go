//go:build !linux

package cli

import "time"

func tellSystemd(string) {}

func tellReloading() {}

func watchdog() (tick <-chan time.Time, stop func()) { return nil, func() {} }
