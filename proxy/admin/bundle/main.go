// Command bundle writes the admin pages' script and style, each as one file,
// into dist. It runs in the folder of package admin, as go generate does, and needs
// what npm ci puts into web.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/askfirst/askfirst/banner/web"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for from, to := range map[string]string{"admin.ts": "admin.js", "admin.css": "admin.css"} {
		text, err := web.Bundle(filepath.Join(dir, "web"), from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("dist", to), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
