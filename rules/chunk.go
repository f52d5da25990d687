package rules

import "unsafe"

// chunk is room for many values that are made a few at a time.
type chunk[T any] []T

// chunkSize is for how many bytes there is room at once.
const chunkSize = 32 << 10

// take returns n zero values, nil for none.
func (c *chunk[T]) take(n int) []T {
	if n == 0 {
		return nil
	}
	if n > len(*c) {
		var one T
		*c = make([]T, max(n, chunkSize/int(unsafe.Sizeof(one))))
	}
	list := (*c)[:n:n]
	*c = (*c)[n:]
	return list
}

// appendFirst appends v to a list, the first value in the chunk's room: few lists
// have a second.
func appendFirst[T any](list []T, c *chunk[T], v T) []T {
	if list == nil {
		list = c.take(1)[:0]
	}
	return append(list, v)
}
