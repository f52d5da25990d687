package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// crowd are visitors who ask all the time: half of them on one connection as
// long as it is kept, half on a new one each time, with bodies and without.
type crowd struct {
	t     *testing.T
	asked atomic.Int64
	quit  atomic.Bool
	wg    sync.WaitGroup
}

// echo answers with what it is sent.
func echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+" ")
		io.Copy(w, r.Body)
	})
}

func gather(t *testing.T, address string) *crowd {
	c := &crowd{t: t}
	for i := range 8 {
		c.wg.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for !c.quit.Load() {
				method, want := "GET", "GET "
				var body io.Reader
				if i%4 < 2 {
					method, want, body = "POST", "POST text", strings.NewReader("text")
				}
				r, err := http.NewRequest(method, "http://"+address+"/", body)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Errorf("after %d requests: %v", c.asked.Load(), err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != want {
					t.Errorf("after %d requests: %s %q, %v", c.asked.Load(), resp.Status, got, err)
					return
				}
				c.asked.Add(1)
			}
		})
	}
	return c
}

// more waits until some more requests have been answered.
func (c *crowd) more() {
	for until := c.asked.Load() + 200; c.asked.Load() < until && !c.t.Failed(); {
		time.Sleep(time.Millisecond)
	}
}

// leave ends the visits; none of them may have failed.
func (c *crowd) leave() {
	c.t.Helper()
	c.quit.Store(true)
	c.wg.Wait()
}

// freeAddress returns a loopback address that nobody listens at.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// configuration writes a file for one site in front of upstream, with further
// settings at its top.
func configuration(t *testing.T, path, upstream, top string) {
	t.Helper()
	text := top + fmt.Sprintf("data: %s\nsites:\n  - {name: shop, hosts: [\"*\"], upstream: %q, policy_url: /privacy}\n", filepath.Dir(path), upstream)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Two upgrades under load: a successor starts at the same address, the one
// before is told to stop, and no visitor notices.
func TestUpgradeLosesNoConnection(t *testing.T) {
	upstream := httptest.NewServer(echo())
	t.Cleanup(upstream.Close)
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	configuration(t, file, upstream.URL, fmt.Sprintf("listen: %q\nadmin: %q\nreuse_port: true\n", freeAddress(t), freeAddress(t)))
	before := start(t, "serve", "--config", file)
	visitors := gather(t, before.listen)
	visitors.more()
	for range 2 {
		next := start(t, "serve", "--config", file)
		visitors.more()
		before.stop(t)
		if log := before.logs(t, "stopped", 0); strings.Contains(log, "level=WARN") {
			t.Errorf("it warned:\n%s", log)
		}
		visitors.more()
		before = next
	}
	visitors.leave()
	t.Logf("%d requests", visitors.asked.Load())
}

// systemd holds the socket, is told what goes on, and starts another process
// when one has ended: what arrives meanwhile waits in the socket.
func TestSystemd(t *testing.T) {
	upstream := httptest.NewServer(echo())
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "askfirst.yml")
	configuration(t, file, upstream.URL, "admin: off\nlisten: \"192.0.2.1:1\"\nlimits: {drain: 5s}\n")

	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	// told waits for a state among what systemd is told.
	told := func(want string) {
		t.Helper()
		notify.SetReadDeadline(time.Now().Add(20 * time.Second))
		for buf := make([]byte, 4096); ; {
			n, err := notify.Read(buf)
			if err != nil {
				t.Fatalf("systemd is not told %s: %v", want, err)
			}
			if regexp.MustCompile("^" + want + "$").Match(buf[:n]) {
				return
			}
		}
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	passed, err := socket.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { passed.Close() })
	run := func(name string) *process {
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"`, "sh", program, "serve", "--config", file)
		cmd.ExtraFiles = []*os.File{passed}
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name, "WATCHDOG_USEC=200000", "NOTIFY_SOCKET="+notify.LocalAddr().String())
		return begin(t, cmd)
	}

	p := run("visitors")
	if p.listen != socket.Addr().String() {
		t.Errorf("listening at %s, and the socket is at %s", p.listen, socket.Addr())
	}
	told("READY=1")
	visitors := gather(t, socket.Addr().String())
	visitors.more()
	told("WATCHDOG=1")
	p.reload(t, "reloaded")
	told(`RELOADING=1\nMONOTONIC_USEC=\d+`)
	told("READY=1")
	// A reload that takes long: the configuration comes through a pipe.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pipe := file + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	slow, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.Close() })
	if err := errors.Join(os.Rename(pipe, file), p.cmd.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	told(`RELOADING=1\nMONOTONIC_USEC=\d+`)
	told("WATCHDOG=1")
	told("WATCHDOG=1")
	visitors.more()
	_, err = slow.Write(text)
	if err := errors.Join(err, slow.Close()); err != nil {
		t.Fatal(err)
	}
	told("READY=1")
	configuration(t, pipe, upstream.URL, "admin: off\nlisten: \"192.0.2.1:1\"\nlimits: {drain: 5s}\n")
	if err := os.Rename(pipe, file); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p.stop(t)
		told("STOPPING=1")
		p = run("askfirst.socket")
		told("READY=1")
		visitors.more()
	}
	visitors.leave()
	t.Logf("%d requests", visitors.asked.Load())
}

// Reloads by all three ways under load; a bad file changes nothing and says
// why.
func TestReloadUnderLoad(t *testing.T) {
	first, second := httptest.NewServer(echo()), httptest.NewServer(echo())
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	const top = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"
	unwatched := top + "watch: false\n"
	configuration(t, file, first.URL, unwatched)
	p := start(t, "serve", "--config", file)
	visitors := gather(t, p.listen)
	visitors.more()

	ask := func(fields ...string) (status int, body string) {
		t.Helper()
		r, err := http.NewRequest("POST", "http://"+p.admin+"/reload", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
			if fields[i] == "Host" {
				r.Host = fields[i+1]
			}
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	for i := range 6 {
		upstream := []string{second.URL, first.URL}[i%2]
		configuration(t, file, upstream, unwatched)
		if i%3 == 0 {
			p.reload(t, "reloaded")
		} else if status, body := ask(); status != 200 || body != "reloaded\n" {
			t.Errorf("%d %s", status, body)
		}
		visitors.more()
	}
	configuration(t, file, "ftp://nowhere", unwatched)
	if status, body := ask(); status != 422 || !strings.Contains(body, file+":6: sites[0].upstream") {
		t.Errorf("%d %s", status, body)
	}
	p.reload(t, "what was in force stays")
	visitors.more()
	for _, fields := range [][]string{{"Origin", "http://elsewhere.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Host", "elsewhere.example"}} {
		if status, _ := ask(fields...); status/100 != 4 {
			t.Errorf("%v: %d", fields, status)
		}
	}
	visitors.leave()
}

// What changes on disk is put in force without being asked for: the file
// itself, and lists and certificates that it names.
func TestFilesAreWatched(t *testing.T) {
	dir := t.TempDir()
	file, list := filepath.Join(dir, "askfirst.yml"), filepath.Join(dir, "list.txt")
	write := func(upstream string) {
		t.Helper()
		configuration(t, file, upstream, "listen: 127.0.0.1:0\nadmin: off\n")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("}\n"), []byte(", lists: [{file: list.txt, format: hosts, category: marketing}]}\n"), 1)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(list, []byte("0.0.0.0 one.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	page := `<!doctype html><title>x</title><script src="https://two.example/t.js"></script>`
	old := serveText(t, "old")
	fresh := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	}))
	t.Cleanup(fresh.Close)
	write(old)
	p := start(t, "serve", "--config", file)
	s := &stage{proxy: p.listen}
	if _, body := s.get(t, "/"); string(body) != "old" {
		t.Fatalf("%q", body)
	}
	seen := func(text string) {
		t.Helper()
		p.mu.Lock()
		from := len(p.lines)
		p.mu.Unlock()
		p.logs(t, text, from)
	}
	write(fresh.URL)
	seen("reloaded")
	if _, body := s.get(t, "/"); !strings.Contains(string(body), ` src="https://two.example/t.js"`) {
		t.Errorf("%q", body)
	}
	if err := os.WriteFile(list, []byte("0.0.0.0 two.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen("reloaded")
	if _, body := s.get(t, "/"); !strings.Contains(string(body), ` data-askfirst-src="https://two.example/t.js"`) {
		t.Errorf("what a list names now passes: %q", body)
	}
	write("ftp://nowhere")
	seen("what was in force stays")
	if resp, _ := s.get(t, "/"); resp.StatusCode != 200 {
		t.Errorf("after a bad file: %s", resp.Status)
	}
}
