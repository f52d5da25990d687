package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other side has closed its sending half, or the
// connection has failed. It does not read, so it sees that behind bytes which
// nobody has read yet.
func hungUp(raw syscall.RawConn) bool {
	return poll(raw, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// stale reports whether a connection on which nothing may arrive has something
// on it: bytes, an end or an error.
func stale(raw syscall.RawConn) bool {
	return poll(raw, unix.POLLIN|unix.POLLRDHUP) != 0
}

func poll(raw syscall.RawConn, events int16) (found int16) {
	err := raw.Control(func(fd uintptr) {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
		if n, err := unix.Poll(fds[:], 0); n > 0 && err == nil {
			found = fds[0].Revents
		}
	})
	if err != nil {
		return unix.POLLNVAL
	}
	return found
}
