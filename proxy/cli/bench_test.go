package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy"
	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
)

// BenchmarkChoice posts choices to the whole proxy over loopback connections,
// each answered once its receipt is durable. ms/p50 and ms/p99 are how long
// visitors wait.
func BenchmarkChoice(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, visitors := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, visitors), func(b *testing.B) {
				cfg := configs.Default()
				site := configs.DefaultSite()
				site.Name, site.Hosts = "shop", []string{"*"}
				site.Upstream, _ = url.Parse("http://127.0.0.1:1") // nobody asks it
				cfg.Sites, cfg.Data = []configs.Site{site}, b.TempDir()
				if kind == "postgres" {
					cfg.Records = postgrestest.DSN(b)
				}
				store, err := openRecords(b.Context(), &cfg, log)
				if err != nil {
					b.Fatal(err)
				}
				watch := &observer{store: store, log: log}
				watch.learn(&cfg)
				p, err := proxy.New(&cfg, proxy.Options{Records: store, Observer: watch, Counter: counter{store}, Log: log})
				if err != nil {
					b.Fatal(err)
				}
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- p.Serve(ln) }()
				took := choose(b, ln.Addr().String(), visitors)
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(took[len(took)/2].Seconds()*1000, "ms/p50")
				b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "ms/p99")
				b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "choices/s")
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := errors.Join(p.Shutdown(ctx), <-served); err != nil {
					b.Fatal(err)
				}
				v, err := store.Verify(ctx)
				if err != nil || v.Receipts != len(took) || len(v.Breaks) > 0 {
					b.Errorf("%d choices were answered, and kept are %+v, %v", len(took), v, err)
				}
				if err := store.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

// choose has so many visitors make choices at the same time, b.N in all, and
// returns how long each waited.
func choose(b *testing.B, address string, visitors int) []time.Duration {
	body := `{"choice":"accept-all","return":"/"}`
	request := fmt.Appendf(nil, "POST /_askfirst/consent HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nOrigin: http://shop.example\r\nSec-Fetch-Site: same-origin\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var left atomic.Int64
	left.Store(int64(b.N))
	all := make([][]time.Duration, visitors)
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range all {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for left.Add(-1) >= 0 {
				begun := time.Now()
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				a, err := http.ReadResponse(r, nil)
				if err != nil || a.StatusCode != http.StatusNoContent || len(a.Cookies()) == 0 {
					b.Error(a, err)
					return
				}
				io.Copy(io.Discard, a.Body)
				all[i] = append(all[i], time.Since(begun))
			}
		})
	}
	wg.Wait()
	return slices.Concat(all...)
}
