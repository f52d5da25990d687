package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed peers
var configurations embed.FS

// The processors that the proxies and the load are pinned to.
const (
	proxyCPU = "0"
	loadCPU  = "1"
)

// peer is one running proxy.
type peer struct {
	name    string
	address string
	cmd     *exec.Cmd
}

// result is what one load of one peer came to.
type result struct {
	rate     float64 // requests a second
	cpu      time.Duration
	p50, p99 time.Duration
	memory   int64 // resident, bytes
	failed   int
}

func startOrigin() (*peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	return start("origin", loadCPU, address, self, "-serve", "origin", "-listen", address)
}

// startPeers starts a fasthttp proxy without anything, askfirst, and of the
// others those that are installed.
func startPeers(dir, origin string, wanted func(name string) bool) (peers []*peer, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	askfirst := filepath.Join(dir, "askfirst")
	if out, err := exec.Command("go", "build", "-o", askfirst, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	add := func(name, address string, command ...string) {
		if err != nil || !wanted(name) {
			return
		}
		if _, missing := exec.LookPath(command[0]); missing != nil {
			fmt.Printf("%s is not installed and left out\n", name)
			return
		}
		var p *peer
		if p, err = start(name, proxyCPU, address, command...); err == nil {
			peers = append(peers, p)
		}
	}
	addConfigured := func(name, file string, replace, gzip bool, command ...string) {
		address := freeAddress()
		var b bytes.Buffer
		text := template.Must(template.ParseFS(configurations, "peers/"+file))
		err = errors.Join(err, text.Execute(&b, map[string]any{"Dir": dir, "Listen": address, "Origin": origin, "Replace": replace, "Gzip": gzip}))
		path := filepath.Join(dir, strings.ReplaceAll(address, ":", "-")+"-"+file)
		err = errors.Join(err, os.WriteFile(path, b.Bytes(), 0o600))
		add(name, address, append(command, path)...)
	}
	addAskfirst := func(name, data string, flags ...string) {
		address := freeAddress()
		add(name, address, append([]string{askfirst, "serve", "--upstream", "http://" + origin, "--listen", address, "--admin", "off", "--data", filepath.Join(dir, data)}, flags...)...)
	}

	bare := freeAddress()
	add("fasthttp, bare", bare, self, "-serve", "bare", "-listen", bare, "-origin", origin)
	addAskfirst("askfirst", "data")
	addAskfirst("askfirst, no rewrite", "plain", "--rewrite=false")
	addConfigured("nginx", "nginx.conf", false, false, "nginx", "-p", dir, "-c")
	addConfigured("nginx sub_filter", "nginx.conf", true, false, "nginx", "-p", dir, "-c")
	addConfigured("nginx sub_filter+gzip", "nginx.conf", true, true, "nginx", "-p", dir, "-c")
	addConfigured("HAProxy", "haproxy.cfg", false, false, "haproxy", "-q", "-f")
	addConfigured("Caddy", "Caddyfile", false, false, "caddy", "run", "--adapter", "caddyfile", "--config")
	if modules, _ := exec.Command("caddy", "list-modules").Output(); bytes.Contains(modules, []byte("http.handlers.replace_response")) {
		addConfigured("Caddy replace-response", "Caddyfile", true, false, "caddy", "run", "--adapter", "caddyfile", "--config")
	} else if wanted("Caddy replace-response") {
		fmt.Println("Caddy replace-response is left out: this Caddy is built without caddyserver/replace-response")
	}
	return peers, err
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a command on one processor and waits until it answers.
func start(name, cpu, address string, command ...string) (*peer, error) {
	cmd := exec.Command("taskset", append([]string{"-c", cpu}, command...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{name, address, cmd}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		resp, err := http.Get("http://" + address + "/json/1k")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s did not come up: %s", name, said.String())
}

func (p *peer) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
}

// measure loads p as fast as it goes, or rate times a second.
func (p *peer) measure(l load, length time.Duration, rate float64) (r result, err error) {
	before, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	m, err := l.run(p.address, length, rate)
	if err != nil {
		return r, err
	}
	after, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	r = result{rate: float64(m.Requests) / m.Seconds, p50: m.P50, p99: m.P99, failed: m.Failed}
	if m.Requests > 0 {
		r.cpu = (after - before) / time.Duration(m.Requests)
	}
	r.memory, err = residentMemory(p.cmd.Process.Pid)
	return r, err
}

// family lists a process and its children: nginx works in one of those.
func family(pid int) []int {
	pids := []int{pid}
	out, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(out)) {
		if n, err := strconv.Atoi(child); err == nil {
			pids = append(pids, family(n)...)
		}
	}
	return pids
}

// clockTick is the unit of /proc/PID/stat on Linux.
const clockTick = 10 * time.Millisecond

// cpuTime returns the user and system time that a process and its children
// have used.
func cpuTime(pid int) (sum time.Duration, err error) {
	for _, pid := range family(pid) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(ticks) * clockTick
		}
	}
	return sum, nil
}

func residentMemory(pid int) (sum int64, err error) {
	for _, pid := range family(pid) {
		statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0, err
		}
		pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += pages * int64(os.Getpagesize())
	}
	return sum, nil
}
