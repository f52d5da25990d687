//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// socket looks at connections on Linux alone. Elsewhere a visitor who has left
// is noticed when something is sent to them, and a connection that has died
// when it is used.
type socket struct{ plain bool }

func newSocket(syscall.RawConn) *socket { return &socket{} }

func (*socket) hungUp() bool { return false }
func (*socket) stale() bool  { return false }

func (*socket) read(c net.Conn, p []byte) (int, error)              { return c.Read(p) }
func (*socket) write(c net.Conn, parts *net.Buffers) (int64, error) { return writeParts(c, parts) }
func (*socket) ask(request []byte) (left []byte, err error)         { return request, nil }
