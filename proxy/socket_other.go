//go:build !linux

package proxy

import "syscall"

// hungUp is known on Linux alone; elsewhere a visitor who has left is noticed
// when something is sent to them.
func hungUp(syscall.RawConn) bool { return false }

// stale is known on Linux alone; elsewhere a connection that has died is
// noticed when it is used.
func stale(syscall.RawConn) bool { return false }
