package cli

import (
	"fmt"
	"net/http"
	"time"
)

// runHealth asks a running askfirst whether it is ready; it is what a
// container's health check runs, where there is no shell.
func runHealth(c *console, args []string) error {
	f := c.flags("health [--admin ADDRESS]")
	admin := f.String("admin", "127.0.0.1:9090", "the admin listener's `address`")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + *admin + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	fmt.Fprintln(c.out, "ready")
	return nil
}
