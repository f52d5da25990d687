// Bench puts askfirst beside other proxies on this machine: the same origin,
// the same load, one processor for the proxy and one for the load, in turn,
// so that the machine's moods meet all of them.
//
//	go run ./bench                          the telling cases, about three minutes
//	go run ./bench -full                    every page, coding and number of connections
//	go run ./bench -only /page/120k         cases whose name contains this
//	go run ./bench -peers askfirst,nginx    proxies whose name contains one of these
//	go run ./bench -rounds 5                more rounds; the median is printed
//
// /page/… is the same each time, so that askfirst remembers it; /fresh/… is
// another each time. The load is wrk's where it is installed, else of a generator
// of our own. Of nginx, HAProxy and Caddy what is installed takes part; their
// configurations are in peers.
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

// options say what is compared, and how long.
type options struct {
	full   bool
	rounds int
	length time.Duration
	only   string
	peers  string
	half   bool
}

func main() {
	log.SetFlags(0)
	var o options
	var l load
	flag.BoolVar(&o.full, "full", false, "every case instead of the telling ones")
	flag.IntVar(&o.rounds, "rounds", 3, "how `often` each proxy meets each case")
	flag.DurationVar(&o.length, "for", 2*time.Second, "how `long` one load lasts")
	flag.StringVar(&o.only, "only", "", "only cases whose name contains this `text`, such as \"/page/120k gzip\" or \" 256 \"")
	flag.StringVar(&o.peers, "peers", "", "only proxies whose name contains one of these `texts`, between commas")
	flag.BoolVar(&o.half, "half", true, "measure the added latency at half load too, on the 120 KB page")
	// The program runs itself with these:
	serve := flag.String("serve", "", "run as `origin`, as bare, the 20-line fasthttp proxy, or as load")
	listen := flag.String("listen", "", "the `address` to serve at")
	origin := flag.String("origin", "", "the `address` to ask")
	flag.StringVar(&l.path, "path", "/", "the `path` that load asks for")
	flag.StringVar(&l.coding, "coding", "identity", "the `coding` that load accepts")
	flag.IntVar(&l.connections, "connections", 1, "how `many` connections load opens")
	rate := flag.Float64("rate", 0, "how `often` a second load asks; 0 for as fast as it goes")
	flag.Parse()
	var err error
	switch *serve {
	case "origin":
		err = serveOrigin(*listen)
	case "bare":
		err = serveBare(*listen, *origin)
	case "load":
		err = serveLoad(os.Stdout, *origin, l, o.length, *rate)
	default:
		err = compare(&o)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// loads lists the cases.
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

func compare(o *options) error {
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
	peers, err := startPeers(dir, origin.address, func(name string) bool {
		for _, text := range strings.Split(o.peers, ",") {
			if strings.Contains(name, text) {
				return true
			}
		}
		return false
	})
	defer func() {
		for _, p := range peers {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	if len(peers) == 0 {
		return fmt.Errorf("no proxy is called %q", o.peers)
	}
	for _, l := range loads(o.full) {
		if !strings.Contains(l.String(), o.only) {
			continue
		}
		results := make([][]result, len(peers))
		for range o.rounds {
			for i, p := range peers {
				r, err := p.measure(l, o.length, 0)
				if err != nil {
					return fmt.Errorf("%s at %s: %w", p.name, l, err)
				}
				results[i] = append(results[i], r)
			}
		}
		print(l, peers, results)
		if o.half && l.path == "/page/120k" {
			if err := halfLoad(o, l, origin, peers, results); err != nil {
				return err
			}
		}
	}
	return nil
}

// halfLoad asks each proxy half as often as it can answer, and the origin itself
// as often, in turn. What the 99th percentile has more is what the proxy adds.
func halfLoad(o *options, l load, origin *peer, peers []*peer, results [][]result) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "at half load\trequests/s\tp50\tp99\tp99 of the origin\tadded\tfailed\t")
	for i, p := range peers {
		rate := middle(each(results[i], func(r result) float64 { return r.rate })) / 2
		var through, direct []result
		for range o.rounds {
			for _, side := range []struct {
				p  *peer
				to *[]result
			}{{origin, &direct}, {p, &through}} {
				r, err := side.p.measure(l, o.length, rate)
				if err != nil {
					return fmt.Errorf("%s at half load, %s: %w", p.name, l, err)
				}
				*side.to = append(*side.to, r)
			}
		}
		p99 := func(rs []result) float64 {
			return middle(each(rs, func(r result) float64 { return float64(r.p99.Nanoseconds()) / 1e6 }))
		}
		failed := 0
		for _, r := range through {
			failed += r.failed
		}
		fmt.Fprintf(out, "%s\t%.0f\t%.2f ms\t%.2f ms\t%.2f ms\t%.2f ms\t%d\t\n", p.name,
			middle(each(through, func(r result) float64 { return r.rate })),
			middle(each(through, func(r result) float64 { return float64(r.p50.Nanoseconds()) / 1e6 })),
			p99(through), p99(direct), p99(through)-p99(direct), failed)
	}
	return out.Flush()
}

func each(rs []result, of func(result) float64) []float64 {
	values := make([]float64, 0, len(rs))
	for _, r := range rs {
		values = append(values, of(r))
	}
	return values
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
		median := func(of func(result) float64) float64 { return middle(each(results[i], of)) }
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
