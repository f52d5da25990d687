// Bench puts askfirst beside other proxies on this machine: the same origin,
// the same load, one processor for the proxy and one for the load, in turn,
// so that the machine's moods meet all of them.
//
//	go run ./bench                 a short comparison
//	go run ./bench -full           every page, coding and number of connections
//	go run ./bench -rounds 5       more rounds; the median is printed
//
// It uses wrk for the load, and of nginx, HAProxy and Caddy what is installed;
// their configurations are in peers.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	log.SetFlags(0)
	serve := flag.String("serve", "", "run as `origin` or as `bare`, the 20-line fasthttp proxy (used by the program itself)")
	listen := flag.String("listen", "", "the `address` to serve at")
	origin := flag.String("origin", "", "the origin's `address`")
	full := flag.Bool("full", false, "every case instead of the telling ones")
	rounds := flag.Int("rounds", 3, "how `often` each proxy meets each case")
	length := flag.Duration("for", 2*time.Second, "how `long` one load lasts")
	only := flag.String("only", "", "only cases whose name contains this `text`")
	flag.Parse()
	switch *serve {
	case "origin":
		log.Fatal(serveOrigin(*listen))
	case "bare":
		log.Fatal(serveBare(*listen, *origin))
	}
	if err := compare(*full, *rounds, *length, *only); err != nil {
		log.Fatal(err)
	}
}

// load is one case: what is asked for, how, and by how many at once.
type load struct {
	path        string
	coding      string
	connections int
}

func (l load) String() string {
	return fmt.Sprintf("%s %s, %d connections", l.path, l.coding, l.connections)
}

// loads lists the cases. /page/… is the same each time, /fresh/… never.
func loads(full bool) []load {
	if !full {
		return []load{
			{"/page/120k", "identity", 16}, {"/page/120k", "br", 16}, {"/page/120k", "gzip", 16},
			{"/fresh/120k", "identity", 16}, {"/fresh/120k", "gzip", 16},
			{"/page/20k", "identity", 16}, {"/json/1k", "identity", 16}, {"/file/10m", "identity", 16},
		}
	}
	var all []load
	for _, path := range []string{"/page/20k", "/page/120k", "/page/1m", "/fresh/20k", "/fresh/120k", "/fresh/1m", "/json/1k", "/file/10m"} {
		for _, coding := range []string{"identity", "gzip", "br"} {
			if coding != "identity" && (path == "/json/1k" || path == "/file/10m") {
				continue
			}
			for _, connections := range []int{1, 16, 256} {
				all = append(all, load{path, coding, connections})
			}
		}
	}
	return all
}

func compare(full bool, rounds int, length time.Duration, only string) error {
	dir, err := os.MkdirTemp("", "askfirst-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	origin, err := startOrigin()
	if err != nil {
		return err
	}
	defer origin.stop()
	peers, err := startPeers(dir, origin.address)
	defer func() {
		for _, p := range peers {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	for _, l := range loads(full) {
		if !strings.Contains(l.String(), only) {
			continue
		}
		results := make([][]result, len(peers))
		for range rounds {
			for i, p := range peers {
				r, err := p.measure(l, length)
				if err != nil {
					return fmt.Errorf("%s at %s: %w", p.name, l, err)
				}
				results[i] = append(results[i], r)
			}
		}
		print(l, peers, results)
	}
	return nil
}

// print writes the medians, and the ratio to the first peer round by round.
func print(l load, peers []*peer, results [][]result) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("\n%s\n", l)
	fmt.Fprintln(out, "proxy\trequests/s\tcpu/request\tp50\tp99\tmemory\trate to "+peers[0].name+"\t(range)\tcpu to it\tfailed\t")
	for i, p := range peers {
		var ratios, cpuRatios []float64
		for round, r := range results[i] {
			ratios = append(ratios, r.rate/results[0][round].rate)
			cpuRatios = append(cpuRatios, float64(r.cpu)/float64(results[0][round].cpu))
		}
		median := func(of func(result) float64) float64 {
			values := make([]float64, 0, len(results[i]))
			for _, r := range results[i] {
				values = append(values, of(r))
			}
			return middle(values)
		}
		failed := 0
		for _, r := range results[i] {
			failed += r.failed
		}
		fmt.Fprintf(out, "%s\t%.0f\t%.1f µs\t%.2f ms\t%.2f ms\t%.0f MB\t%.2f\t(%.2f-%.2f)\t%.2f\t%d\t\n", p.name,
			median(func(r result) float64 { return r.rate }),
			median(func(r result) float64 { return float64(r.cpu.Nanoseconds()) / 1e3 }),
			median(func(r result) float64 { return float64(r.p50.Nanoseconds()) / 1e6 }),
			median(func(r result) float64 { return float64(r.p99.Nanoseconds()) / 1e6 }),
			median(func(r result) float64 { return float64(r.memory) / 1e6 }),
			middle(ratios), slices.Min(ratios), slices.Max(ratios), middle(cpuRatios), failed)
	}
	out.Flush()
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
