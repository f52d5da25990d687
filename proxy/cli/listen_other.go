//go:build !linux

package cli

import (
	"errors"
	"net"
)

func listenShared(string) (net.Listener, error) {
	return nil, errors.New("reuse_port is for Linux")
}

func yield(net.Listener) error { return nil }
