// Askfirst is a consent proxy: it stands in front of a website and lets no
// tracker through until the visitor has said yes.
package main

import (
	"os"

	"github.com/askfirst/askfirst/proxy/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr)) }
