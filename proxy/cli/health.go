package cli

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// runHealth asks a running askfirst whether it is ready; it is what a
// container's health check runs, where there is no shell.
func runHealth(c *console, args []string) error {
	f := c.flags("health [--admin ADDRESS]")
	admin := f.String("admin", "127.0.0.1:9090", "the admin listener's `address`; https://address where it speaks TLS")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	url := strings.TrimSuffix(*admin, "/")
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		url = "http://" + url
	}
	// The certificate is for those who sign in: it need not name this machine,
	// and nothing is told here or believed beyond a yes.
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(url + "/readyz")
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
