//go:build !race

package rewrite

const poolsDrop = false
