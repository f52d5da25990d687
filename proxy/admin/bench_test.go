package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

func TestMain(m *testing.M) {
	code := m.Run()
	postgrestest.StopShared()
	os.Exit(code)
}

// BenchmarkPages serves each page and each export of 100,000 different pairs of
// tag and page, each met on three days, from each kind of store. ms/first is when
// the first bytes came; each page should go with less than 200. One and two days are
// the worst case: all pairs have counts in the period and before it, and much
// the same.
func BenchmarkPages(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			store, engine := crowd(b, kind)
			h := New(Options{Store: store, Log: slog.New(slog.DiscardHandler), Sites: func() map[string]Site { return map[string]Site{"shop": {Engine: engine}} }}).Handler()
			for _, target := range []string{
				"/", "/?days=90", "/?site=shop", "/?page=/p/xaa",
				"/tags", "/tags?q=vendor1", "/tags?sort=host", "/tags?page=/p/xaa", "/tags?site=shop&category=marketing", "/tags?event=fired-anyway", "/tags?offset=400",
				"/tags?by=page", "/tags?by=page&site=shop&category=marketing", "/tags?by=page&vendor=hotjar", "/tags?by=page&host=t3.example", "/tags?by=page&q=xaa", "/tags?by=page&sort=page", "/tags?by=page&sort=last",
				"/tags?by=page&event=fired-anyway", "/tags?by=page&offset=50000", "/tags?by=page&page=/p/xaa", "/tags?by=page&days=1", "/tags?by=page&days=2",
				"/vendors", "/vendors?page=/p/xaa", "/vendors?q=hot", "/pages", "/pages?vendor=hotjar", "/pages?q=xaa", "/pages?category=marketing", "/pages?event=fired-anyway",
				"/cookies", "/choices", "/choices?by=country", "/unclassified", "/changes", "/receipts", "/health", "/log",
				"/report?month=" + time.Now().UTC().Format("2006-01"),
				"/tags?format=csv", "/tags?format=json", "/tags?by=page&format=csv", "/tags?by=page&format=json", "/tags?by=page&format=csv&category=marketing", "/tags?by=page&format=csv&sort=page",
				"/vendors?format=csv", "/pages?format=csv", "/pages?format=json", "/pages?format=csv&vendor=hotjar", "/cookies?format=csv",
			} {
				b.Run(target, func(b *testing.B) {
					var first time.Duration
					used := cpu()
					for b.Loop() {
						w := &firstByte{ResponseRecorder: httptest.NewRecorder(), begun: time.Now()}
						h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost:9090"+target, nil))
						if w.Code != 200 {
							b.Fatal(w.Code, w.Body.String())
						}
						first += w.took
					}
					b.ReportMetric((cpu()-used).Seconds()*1000/float64(b.N), "ms-cpu")
					b.ReportMetric(first.Seconds()*1000/float64(b.N), "ms/first")
				})
			}
		})
	}
}

// cpu is the processor time of this process, which other work on the machine does
// not lengthen; PostgreSQL's own is not in it.
func cpu() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// firstByte notes when the first bytes are written.
type firstByte struct {
	*httptest.ResponseRecorder
	begun time.Time
	took  time.Duration
}

func (w *firstByte) Write(p []byte) (int, error) {
	if w.took == 0 {
		w.took = time.Since(w.begun)
	}
	return w.ResponseRecorder.Write(p)
}

func (w *firstByte) Unwrap() http.ResponseWriter { return w.ResponseRecorder }

// crowd fills a store. Days gone by are made by moving what was counted.
func crowd(b *testing.B, kind string) (*audit.Store, *rules.Engine) {
	b.Helper()
	ctx, log := b.Context(), slog.New(slog.DiscardHandler)
	engine, err := rules.New(rules.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var store *audit.Store
	var exec func(statement string) error
	if kind == "postgres" {
		dsn := postgrestest.DSN(b)
		if store, err = audit.OpenShared(ctx, dsn, "", log); err != nil {
			b.Fatal(err)
		}
		db, err := pgx.Connect(ctx, dsn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close(context.Background()) })
		exec = func(statement string) error { _, err := db.Exec(ctx, statement); return err }
	} else {
		dir := b.TempDir()
		if store, err = audit.Open(ctx, dir, log); err != nil {
			b.Fatal(err)
		}
		db, err := sqlite3.Open(filepath.Join(dir, audit.FileName))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		exec = db.Exec
	}
	b.Cleanup(func() { store.Close() })
	vendors := []string{"google-analytics", "meta-pixel", "hotjar", "youtube", "intercom", "google-fonts", "disqus", ""}
	const tags, pages, days = 250, 400, 3
	for day := range days {
		for p := range pages {
			page := fmt.Appendf(nil, "/p/x%c%c", 'a'+p%20, 'a'+p/20)
			store.CountView("shop", page, p%2 == 0)
			list := make([]audit.Sighting, tags)
			for i := range list {
				s := audit.Sighting{Category: consent.Unclassified, Kind: "script", Host: fmt.Appendf(nil, "t%d.example", i%50), Path: fmt.Appendf(nil, "/a%c", 'a'+i/50), Event: audit.Held, Count: uint32(1 + (p+i)%7)}
				if v := engine.Vendor(vendors[i%len(vendors)]); v != nil {
					s.Vendor, s.VendorName, s.Category = v.ID, v.Name, v.Category
				}
				if (p*tags+i)%1000 == 0 {
					s.Event = audit.FiredAnyway
				}
				list[i] = s
			}
			store.Count("shop", page, consent.Set(day), list)
			if p%100 == 99 {
				if err := store.Flush(ctx); err != nil {
					b.Fatal(err)
				}
			}
		}
		for i := range 200 {
			store.CountCookie("shop", fmt.Appendf(nil, "c%c%c", 'a'+i%20, 'a'+i/20), "", consent.Unclassified, "response", false)
		}
		for range 300 {
			if err := store.Record(ctx, receipt("shop")); err != nil {
				b.Fatal(err)
			}
		}
		if err := store.Flush(ctx); err != nil {
			b.Fatal(err)
		}
		for _, table := range []string{"counts", "tag_days", "page_days", "views", "cookie_days", "choices"} {
			if err := exec(fmt.Sprintf(`UPDATE %s SET day = day - %d WHERE day = (SELECT max(day) FROM %[1]s)`, table, days-1-day)); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := exec(fmt.Sprintf(`UPDATE pairs SET first = first - %d`, days-1)); err != nil {
		b.Fatal(err)
	}
	if kind == "postgres" {
		if err := exec("VACUUM ANALYZE"); err != nil { // as it does itself within a minute
			b.Fatal(err)
		}
	}
	rows, total, err := store.Tags(ctx, audit.ByPageAndTag, audit.Filter{}, audit.Slice{Limit: 1})
	if err != nil || total != tags*pages {
		b.Fatalf("%d pairs, %d rows, %v", total, len(rows), err)
	}
	return store, engine
}
