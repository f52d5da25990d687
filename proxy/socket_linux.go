package proxy

import (
	"io"
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
	into    []byte
	n       int
	err     error
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
// reads what comes back into p. With errStale something had arrived, and nothing
// was sent. What could not be sent at once is left, and nothing has been read.
//
// A look, a write, a wait and a read are all that it takes. Reading as usual
// would try to before there can be an answer, once more for every request. That
// nothing is missed is owed to the order: the poller begins to note what arrives
// before the first step, which finds nothing there.
func (s *socket) ask(request, p []byte) (left []byte, n int, err error) {
	s.request, s.into, s.n, s.err = request, p, 0, nil
	if err = s.raw.Read(s.step); err == nil {
		err = s.err
	}
	left, n = s.request, s.n
	s.request, s.into = nil, nil
	return left, n, err
}

// takeStep reports whether ask is done. Where it is not, it is called again when
// something has arrived.
func (s *socket) takeStep(fd uintptr) bool {
	n, err := ignoreEINTR(unix.Read, int(fd), s.into)
	switch {
	case err != unix.EAGAIN && len(s.request) > 0:
		s.err = errStale
		return true
	case err == unix.EAGAIN && len(s.request) == 0:
		return false
	case err != unix.EAGAIN:
		s.n, s.err = max(n, 0), err
		if n == 0 {
			s.err = io.EOF
		}
		return true
	}
	// Why it cannot be sent is for who sends the rest to find out.
	n, _ = ignoreEINTR(unix.Write, int(fd), s.request)
	s.request = s.request[max(n, 0):]
	return len(s.request) > 0
}

func ignoreEINTR(do func(fd int, p []byte) (int, error), fd int, p []byte) (n int, err error) {
	for {
		if n, err = do(fd, p); err != unix.EINTR {
			return n, err
		}
	}
}
