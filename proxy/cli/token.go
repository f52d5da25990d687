package cli

import (
	"fmt"

	"github.com/askfirst/askfirst/configs"
)

// runToken makes a token for somebody who is to see the admin pages.
func runToken(c *console, args []string) error {
	if err := parse(c.flags("token"), args, 0); err != nil {
		return err
	}
	token, hash := configs.NewToken()
	fmt.Fprintf(c.out, `The token, for the person alone; it is not shown again:

  %s

Its hash, for the configuration:

  admin:
    people:
      - {name: NAME, role: viewer, token: "%s"}
`, token, hash)
	return nil
}
