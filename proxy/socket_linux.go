package proxy

import (
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is the socket under a connection. It looks at it without reading, and
// where nothing lies between it reads and writes for it. It keeps what that
// needs, so that nothing allocates: no two goroutines may look at once, nor read,
// nor write.
//
// A call that does not block is made without telling the scheduler, as the
// runtime makes its own. Else it takes one that is long for one that waits, and
// wakes another thread to run in its place: on one processor, with the 50 KB of a
// page to be copied, a tenth of all time.
type socket struct {
	raw   syscall.RawConn
	plain bool // the connection is the socket's and no more
	fds   [1]unix.PollFd
	look  func(fd uintptr)

	reading, writing operation
	asking           asking
}

// asking is a call of ask.
type asking struct {
	step    func(fd uintptr) bool
	request []byte // what has not been sent
	sent    bool   // nothing is left of it
	stale   bool
	one     [1]byte
}

// operation is one read or write, of one part or more.
type operation struct {
	step  func(fd uintptr) bool
	parts [4]unix.Iovec
	count int
	n     int
	errno unix.Errno
}

func newSocket(raw syscall.RawConn) *socket {
	s := &socket{raw: raw}
	s.look = func(fd uintptr) {
		s.fds[0].Fd = int32(fd)
		if n, err := unix.Poll(s.fds[:], 0); n <= 0 || err != nil {
			s.fds[0].Revents = 0
		}
	}
	s.reading.step = func(fd uintptr) bool { return s.reading.do(unix.SYS_READV, fd) }
	s.writing.step = func(fd uintptr) bool { return s.writing.do(unix.SYS_WRITEV, fd) }
	s.asking.step = s.askOn
	return s
}

// do makes the call, and reports whether it need not be waited for.
func (o *operation) do(call, fd uintptr) bool {
	if call == unix.SYS_WRITEV {
		o.sends()
	}
	for {
		n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(&o.parts)), uintptr(o.count))
		if errno == unix.EINTR {
			continue
		}
		if o.n, o.errno = int(n), errno; errno != 0 {
			o.n = 0
		} else if call == unix.SYS_READV {
			o.received(fd)
		}
		return errno != unix.EAGAIN
	}
}

func (o *operation) add(p []byte) {
	o.parts[o.count].Base = unsafe.SliceData(p)
	o.parts[o.count].SetLen(len(p))
	o.count++
}

// end returns what came of it, given what the poller says.
func (o *operation) end(err error) (int, error) {
	clear(o.parts[:o.count])
	o.count = 0
	if err == nil && o.errno != 0 {
		err = o.errno
	}
	if err != nil {
		return 0, err
	}
	return o.n, nil
}

// read reads once from c, whose socket this is.
func (s *socket) read(c net.Conn, p []byte) (int, error) {
	if s == nil || !s.plain || len(p) == 0 {
		return c.Read(p)
	}
	s.reading.add(p)
	n, err := s.reading.end(s.raw.Read(s.reading.step))
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// write writes as much of parts to c, whose socket this is, as is taken at once,
// and takes it off.
func (s *socket) write(c net.Conn, parts *net.Buffers) (int64, error) {
	if s == nil || !s.plain {
		return writeParts(c, parts)
	}
	for _, p := range (*parts)[:min(len(*parts), len(s.writing.parts))] {
		s.writing.add(p)
	}
	n, err := s.writing.end(s.raw.Write(s.writing.step))
	left := n
	for len(*parts) > 0 && left >= len((*parts)[0]) {
		left -= len((*parts)[0])
		*parts = (*parts)[1:]
	}
	if left > 0 {
		(*parts)[0] = (*parts)[0][left:]
	}
	return int64(n), err
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

// ask sends a request over a plain connection on which nothing may have arrived,
// and waits until something has. With errStale something had arrived before, and
// nothing was sent. What could not be sent at once is left, and not waited for.
//
// To read at once, as one does, is to try before there can be an answer, and so
// once more for every request. Here that first try is the look at the connection.
// Nothing is missed, since the poller notes what arrives from before that on.
func (s *socket) ask(request []byte) (left []byte, err error) {
	a := &s.asking
	a.request, a.sent, a.stale = request, false, false
	if err = s.raw.Read(a.step); err == nil && a.stale {
		err = errStale
	}
	left, a.request = a.request, nil
	return left, err
}

// askOn reports whether ask is done. It is called once more when something has
// arrived.
func (s *socket) askOn(fd uintptr) bool {
	a := &s.asking
	if a.sent {
		return true
	}
	s.reading.add(a.one[:])
	a.stale = s.reading.do(unix.SYS_READV, fd)
	s.reading.end(nil)
	if a.stale {
		return true
	}
	// Why it cannot be sent is for who sends the rest to find out.
	s.writing.add(a.request)
	s.writing.do(unix.SYS_WRITEV, fd)
	n, _ := s.writing.end(nil)
	a.request = a.request[n:]
	a.sent = len(a.request) == 0
	return !a.sent
}
