// Picture takes the README's picture: the demo shop with the banner, and the
// audit after a visitor has looked around, side by side. It needs Chromium.
//
//	go run ./proxy/demo/picture            writes banner/screenshot.png
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	target        = "banner/screenshot.png"
	width, height = 1280, 860
)

func main() {
	log.SetFlags(0)
	if err := take(); err != nil {
		log.Fatal(err)
	}
}

func take() error {
	shop, audit, stop, err := startDemo()
	if err != nil {
		return err
	}
	defer stop()
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.Flag("headless", "new"), chromedp.Flag("hide-scrollbars", true))...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		return err
	}
	for _, page := range []string{"blog", "pricing", "contact", "product", ""} {
		if err := chromedp.Do(ctx, chromedp.Navigate(shop+page)); err != nil {
			return err
		}
	}
	asked, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	// The counts are written every few seconds: the page is asked for until
	// they show.
	const counted = `fetch("/tags?format=json").then(r => r.json()).then(t => JSON.stringify(t).includes("meta-pixel"))`
	if err := chromedp.Do(ctx, chromedp.Navigate(audit)); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		shown, err := chromedp.Run(ctx, chromedp.Evaluate[bool](counted, chromedp.EvalAwaitPromise))
		if err != nil {
			return err
		}
		if shown {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the audit at %s shows no tags", audit)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(audit)); err != nil {
		return err
	}
	audited, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	picture, err := beside(ctx, asked, audited)
	if err != nil {
		return err
	}
	return os.WriteFile(target, picture, 0o644)
}

var addressLine = regexp.MustCompile(`(http://\S+/)$`)

// startDemo runs the demo and reads the addresses that it prints.
func startDemo() (shop, audit string, stop func(), err error) {
	cmd := exec.Command("go", "run", ".", "demo")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", "", nil, err
	}
	stop = func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	}
	var addresses []string
	for lines := bufio.NewScanner(out); len(addresses) < 3 && lines.Scan(); {
		if m := addressLine.FindString(lines.Text()); m != "" {
			addresses = append(addresses, m)
		}
	}
	if len(addresses) < 3 {
		stop()
		return "", "", nil, fmt.Errorf("the demo printed %d addresses, want 3", len(addresses))
	}
	return addresses[0], addresses[2], stop, nil
}

// beside puts two pictures next to each other.
func beside(ctx context.Context, left, right []byte) ([]byte, error) {
	page := fmt.Sprintf(`<!doctype html><body style="margin:0;background:#dfe5ea;display:flex;gap:24px;padding:24px;box-sizing:border-box;width:%d">
<img width=%[2]d style="border-radius:8px;box-shadow:0 2px 12px #0003" src="data:image/png;base64,%[3]s">
<img width=%[2]d style="border-radius:8px;box-shadow:0 2px 12px #0003" src="data:image/png;base64,%[4]s">`,
		width+72, width/2, base64.StdEncoding.EncodeToString(left), base64.StdEncoding.EncodeToString(right))
	url := "data:text/html;base64," + base64.StdEncoding.EncodeToString([]byte(page))
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width+72, height/2+48), chromedp.Navigate(url)); err != nil {
		return nil, err
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}
