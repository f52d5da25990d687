//go:build race

package rewrite

// poolsDrop says that sync.Pool throws away a part of what it is given, as it
// does under the race detector: there is garbage then that there is not without.
const poolsDrop = true
