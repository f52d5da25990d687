package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// load is one case: what is asked for, how, and by how many at once.
type load struct {
	path        string
	coding      string
	connections int
}

func (l load) String() string {
	return fmt.Sprintf("%s %s, %d connections", l.path, l.coding, l.connections)
}

// measured is what a load came to, as the one who asked sees it.
type measured struct {
	Requests int
	Seconds  float64
	Failed   int
	P50, P99 time.Duration
}

// run loads an address from the other processor for a while: as fast as it
// goes by wrk, or by ourselves where wrk is missing or a rate is wanted.
func (l load) run(address string, length time.Duration, rate float64) (measured, error) {
	if _, err := exec.LookPath("wrk"); err == nil && rate == 0 {
		return l.runWrk(address, length)
	}
	self, err := os.Executable()
	if err != nil {
		return measured{}, err
	}
	cmd := exec.Command("taskset", "-c", loadCPU, self, "-serve", "load", "-origin", address, "-path", l.path, "-coding", l.coding,
		"-connections", strconv.Itoa(l.connections), "-for", length.String(), "-rate", strconv.FormatFloat(rate, 'f', 1, 64))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return measured{}, fmt.Errorf("load: %w", err)
	}
	var m measured
	return m, json.Unmarshal(out, &m)
}

var (
	latency  = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+)(us|ms|s)`)
	total    = regexp.MustCompile(`(\d+) requests in ([\d.]+)(s|ms|m)`)
	badCodes = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

func (l load) runWrk(address string, length time.Duration) (m measured, err error) {
	cmd := exec.Command("taskset", "-c", loadCPU, "wrk", "-t1", "-c", strconv.Itoa(l.connections),
		"-d", strconv.Itoa(max(1, int(length.Seconds())))+"s", "--latency", "-H", "Accept-Encoding: "+l.coding,
		"http://"+address+l.path)
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("wrk: %w", err)
	}
	sum := total.FindSubmatch(out)
	if sum == nil {
		return m, fmt.Errorf("wrk printed %q", out)
	}
	m.Requests, _ = strconv.Atoi(string(sum[1]))
	m.Seconds = span(sum[2], sum[3]).Seconds()
	for _, p := range latency.FindAllSubmatch(out, -1) {
		if string(p[1]) == "50" {
			m.P50 = span(p[2], p[3])
		} else {
			m.P99 = span(p[2], p[3])
		}
	}
	if bad := badCodes.FindSubmatch(out); bad != nil {
		m.Failed, _ = strconv.Atoi(string(bad[1]))
	}
	return m, nil
}

func span(number, unit []byte) time.Duration {
	d, _ := time.ParseDuration(string(number) + string(unit))
	return d
}

// serveLoad asks over l.connections for a while, as fast as it goes or rate
// times a second, and writes what came of it as JSON.
//
// With a rate each request has its moment. One whose moment comes while all are
// busy has waited since then, so that an answer that takes long counts for all
// that it keeps waiting.
func serveLoad(w io.Writer, address string, l load, length time.Duration, rate float64) error {
	client := fasthttp.HostClient{Addr: address, MaxConns: l.connections, MaxResponseBodySize: 1 << 30}
	var next, failed atomic.Int64
	spent := make([][]time.Duration, l.connections)
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range l.connections {
		wg.Go(func() {
			var request fasthttp.Request
			var response fasthttp.Response
			request.SetRequestURI("http://" + address + l.path)
			request.Header.Set("Accept-Encoding", l.coding)
			for {
				from := time.Now()
				if rate > 0 {
					moment := begun.Add(time.Duration(float64(next.Add(1)-1) / rate * float64(time.Second)))
					if wait := moment.Sub(from); wait > 0 {
						time.Sleep(wait)
						from = time.Now()
					} else {
						from = moment
					}
				}
				if from.Sub(begun) >= length {
					return
				}
				if err := client.Do(&request, &response); err != nil || response.StatusCode() != fasthttp.StatusOK {
					failed.Add(1)
				}
				spent[i] = append(spent[i], time.Since(from))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(spent...)
	slices.Sort(all)
	m := measured{Requests: len(all), Seconds: time.Since(begun).Seconds(), Failed: int(failed.Load())}
	if len(all) > 0 {
		m.P50, m.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return json.NewEncoder(w).Encode(m)
}
