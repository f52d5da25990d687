// Package configs is what an operator says: the configuration's types, its
// defaults, and how a file is read and checked. A file with mistakes is refused
// with all of them at once, each at its file and line.
//
//	cfg, err := configs.Load("askfirst.yml")
package configs
