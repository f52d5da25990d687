package cli

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenShared listens at an address that other processes may listen at too.
func listenShared(address string) (net.Listener, error) {
	var l net.ListenConfig
	// A multipath socket, which Go listens with where it can, takes no program
	// that yield could give it.
	l.SetMultipathTCP(false)
	l.Control = func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); e != nil {
			return e
		}
		return err
	}
	return l.Listen(context.Background(), "tcp", address)
}

// yield has all new connections go to a successor that listens at the same
// address. What the kernel has given to ln before stays with ln: it must be
// accepted before ln is closed, since closing resets it.
//
// The kernel asks a program which of an address' sockets takes a connection.
// They stand in the order in which they began to listen, and the last takes
// the place of one that is closed; so the successor of the only one is number
// 1. Where there is no such number the kernel chooses among those that are
// there (socket(7), SO_ATTACH_REUSEPORT_CBPF).
func yield(ln net.Listener) error {
	t, ok := ln.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	successor := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &successor})
	}); e != nil {
		return e
	}
	return err
}
