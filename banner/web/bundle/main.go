// Command bundle writes an entry point, the guard unless another is named, as one
// script to the file that it is given.
// It runs in the folder of package web, as go generate does.
package main

import (
	"fmt"
	"os"

	"github.com/askfirst/askfirst/banner/web"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	entry := web.Guard
	switch len(args) {
	case 1:
	case 2:
		entry = args[1]
	default:
		return fmt.Errorf("usage: bundle FILE [ENTRY]")
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	script, err := web.Bundle(dir, entry)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], script, 0o644)
}
