//go:build linux && !race

package proxy

func (*operation) sends()           {}
func (*operation) received(uintptr) {}
