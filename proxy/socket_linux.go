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

	// Of a request under way, see ask:
	step    func(fd uintptr) bool
	request []byte // what has not been sent
	sent    bool
	err     error
	one     [1]byte
}

func newSocket(raw syscall.RawConn) *socket {
	s := &socket{raw: raw}
	s.look = func(fd uintptr) {
		s.fds[0].Fd = int32(fd)
		if n, err := unix.Poll(s.fds[:], 0); n <= 0 || err != nil {
			s.fds[0].Revents = 0
		}
	}
	s.step = s.takeStep
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

// ask sends a request over a connection on which nothing may have arrived, and
// waits until something has. With errStale something had arrived before, and
// nothing was sent. What could not be sent at once is left, and not waited for.
//
// To read at once, as one does, is to try before there can be an answer, and so
// once more for every request. Here that first try is the look at the connection.
// Nothing is missed, since the poller notes what arrives from before that on.
func (s *socket) ask(request []byte) (left []byte, err error) {
	s.request, s.sent, s.err = request, false, nil
	if err = s.raw.Read(s.step); err == nil {
		err = s.err
	}
	left, s.request = s.request, nil
	return left, err
}

// takeStep reports whether ask is done. It is called once more when something has
// arrived.
func (s *socket) takeStep(fd uintptr) bool {
	if s.sent {
		return true
	}
	if _, err := unix.Read(int(fd), s.one[:]); err != unix.EAGAIN {
		s.err = errStale
		return true
	}
	// Why it cannot be sent is for who sends the rest to find out.
	n, _ := unix.Write(int(fd), s.request)
	s.request = s.request[max(n, 0):]
	s.sent = len(s.request) == 0
	return !s.sent
}
