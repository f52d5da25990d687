package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socket looks at the TCP connection under a connection without reading it. It
// keeps what a look needs, so that a look allocates nothing; it must not be
// used by two goroutines at once.
type socket struct {
	raw  syscall.RawConn
	fds  [1]unix.PollFd
	look func(fd uintptr)
}

func newSocket(raw syscall.RawConn) *socket {
	s := &socket{raw: raw}
	s.look = func(fd uintptr) {
		s.fds[0].Fd = int32(fd)
		if n, err := unix.Poll(s.fds[:], 0); n <= 0 || err != nil {
			s.fds[0].Revents = 0
		}
	}
	return s
}

// hungUp reports whether the other side has closed its sending half, or the
// connection has failed. It sees that behind bytes that nobody has read yet.
func (s *socket) hungUp() bool {
	return s.poll(unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// stale reports whether a connection on which nothing may arrive has something
// on it: bytes, an end or an error.
func (s *socket) stale() bool { return s.poll(unix.POLLIN|unix.POLLRDHUP) != 0 }

func (s *socket) poll(events int16) int16 {
	s.fds[0].Events, s.fds[0].Revents = events, 0
	if s.raw.Control(s.look) != nil {
		return unix.POLLNVAL
	}
	return s.fds[0].Revents
}
