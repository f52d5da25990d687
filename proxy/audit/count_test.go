package audit

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

func TestCountsAddUp(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for range 3 {
			s.Count("shop", []byte("/product/12?ref=ann"), 0, pixel(Held))
		}
		s.Count("shop", []byte("/product/77"), consent.All, pixel(Fired))
		s.Count("shop", []byte("/product/77"), consent.All, pixel(Passed))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Count("shop", []byte("/product/12"), 0, pixel(Held))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for sql, want := range map[string]int64{
			`SELECT count(*) FROM pages WHERE path = '/product/{n}'`: 1,
			`SELECT count(*) FROM tags`:                              1,
			`SELECT count(*) FROM counts`:                            2,
			`SELECT CAST(sum(seen) AS BIGINT) FROM counts`:           5,
			`SELECT CAST(sum(held) AS BIGINT) FROM counts`:           4,
			`SELECT CAST(sum(fired) AS BIGINT) FROM counts`:          1,
			`SELECT CAST(sum(fired_anyway) AS BIGINT) FROM counts`:   0,
		} {
			if got := number(t, s, sql); got != want {
				t.Errorf("%s: %d, want %d", sql, got, want)
			}
		}
	})
}

func TestViewsAndCookiesAddUp(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for i := range 4 {
			s.CountView("shop", []byte("/"), i == 0)
			s.CountCookie("shop", []byte("_hjSession_1234567"), "hotjar", consent.Analytics, "script", i > 0)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for sql, want := range map[string]int64{
			`SELECT CAST(sum(views) AS BIGINT) FROM views`:               4,
			`SELECT CAST(sum(asked) AS BIGINT) FROM views`:               1,
			`SELECT CAST(sum(held) AS BIGINT) FROM cookie_days`:          3,
			`SELECT CAST(sum(passed) AS BIGINT) FROM cookie_days`:        1,
			`SELECT count(*) FROM cookies WHERE name = '_hjSession_{n}'`: 1,
		} {
			if got := number(t, s, sql); got != want {
				t.Errorf("%s: %d, want %d", sql, got, want)
			}
		}
	})
}

// alter changes the schema behind the store's back.
func alter(t *testing.T, s *Store, sql string) error {
	return s.submit(t.Context(), &op{do: func(t tx, _ *chains) error {
		_, err := t.run(sql, nil)
		return err
	}})
}

func TestCountsSurviveAFailedWrite(t *testing.T) {
	direct(t, func(t *testing.T, s *Store) {
		s.Count("shop", []byte("/"), 0, pixel(Held))
		s.CountView("shop", []byte("/"), true)
		s.CountCookie("shop", []byte("_fbp"), "meta", consent.Marketing, "response", true)
		if err := alter(t, s, `ALTER TABLE cookies RENAME TO gone`); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err == nil {
			t.Fatal("the write did not fail")
		}
		if s.Health().CountFailures == 0 || s.Health().LastFailure == nil {
			t.Error("the failure was not counted")
		}
		s.Count("shop", []byte("/"), 0, pixel(Held))
		if err := alter(t, s, `ALTER TABLE gone RENAME TO cookies`); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for sql, want := range map[string]int64{
			`SELECT CAST(sum(held) AS BIGINT) FROM counts`:      2,
			`SELECT CAST(sum(asked) AS BIGINT) FROM views`:      1,
			`SELECT CAST(sum(held) AS BIGINT) FROM cookie_days`: 1,
		} {
			if got := number(t, s, sql); got != want {
				t.Errorf("%s: %d, want %d", sql, got, want)
			}
		}
	})
}

func TestFailedReceiptIsToldAndCounted(t *testing.T) {
	direct(t, func(t *testing.T, s *Store) {
		if err := alter(t, s, `ALTER TABLE choices RENAME TO gone`); err != nil {
			t.Fatal(err)
		}
		r := sample("shop")
		if err := s.Record(t.Context(), r); err == nil {
			t.Fatal("no error")
		}
		if h := s.Health(); h.ReceiptFailures != 1 || h.LastFailure == nil {
			t.Errorf("not counted: %+v", h)
		}
		if err := alter(t, s, `ALTER TABLE gone RENAME TO choices`); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(t.Context(), r); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		expectVerified(t, s, Verification{Sites: 1, Receipts: 1})
	})
}

// flood offers n different tag-page pairs.
func flood(s *Store, n int) {
	sighting := pixel(Held)
	for i := range n {
		sighting[0].Path = fmt.Appendf(sighting[0].Path[:0], "/t%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26)
		s.Count("shop", fmt.Appendf(nil, "/p%c%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576%26), 0, sighting)
	}
}

func TestFloodIsFolded(t *testing.T) {
	s := openStore(t, "")
	// Nothing is written meanwhile, so that all must be kept in memory.
	s.flushing.Lock()
	const n = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	flood(s, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 64<<20 {
		t.Errorf("%d MB are held", held>>20)
	} else {
		t.Logf("%d MB are held", held>>20)
	}
	c := &s.counters
	if len(c.pages) > maxPages+1 || len(c.tags) > maxTags+1 || len(c.tallies) > 2*maxPairs+1 {
		t.Errorf("%d pages, %d tags, %d counts", len(c.pages), len(c.tags), len(c.tallies))
	}
	total := uint32(0)
	for _, t := range c.tallies {
		total += t.N[Held]
	}
	if total != n {
		t.Errorf("counted %d of %d", total, n)
	}
	if s.Health().Folded == 0 {
		t.Error("nothing was folded")
	}
	s.flushing.Unlock()
}

func TestBrowsersCannotFloodTheTags(t *testing.T) {
	s := openStore(t, "")
	sighting := pixel(Fired)
	for i := range 10 * maxReported {
		sighting[0].Host = fmt.Appendf(nil, "h%c%c%c.example", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26)
		s.CountReported("shop", append([]byte("/"), sighting[0].Host...), 0, sighting)
	}
	// One more of each for what is beyond the bounds, and one for the vendor.
	if tags, pages := len(s.counters.tags), len(s.counters.pages); tags > maxReported+2 || pages > maxReported+1 {
		t.Errorf("%d tags, %d pages", tags, pages)
	}
	before := s.Health().Folded
	sighting[0].Host = []byte("seen.example")
	s.Count("shop", []byte("/"), 0, sighting)
	if s.Health().Folded != before {
		t.Error("a tag of a response was folded for reports of browsers")
	}
}

// What a known vendor does shows, whatever was made up before.
func TestFloodHidesNoVendor(t *testing.T) {
	s := openStore(t, "")
	sighting := []Sighting{{Category: consent.Unclassified, Kind: "script", Event: Fired, Count: 1}}
	for i := range 10 * maxReported {
		sighting[0].Host = fmt.Appendf(nil, "h%c%c%c.example", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26)
		s.CountReported("shop", []byte("/"), 0, sighting)
	}
	s.CountReported("shop", []byte("/"), 0, pixel(FiredAnyway))
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, _, err := s.Tags(t.Context(), ByVendor, Filter{Event: "fired-anyway"}, Slice{})
	if err != nil || len(rows) != 1 || rows[0].Vendor != "meta" || rows[0].FiredAnyway != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestSitesAreBounded(t *testing.T) {
	s := openStore(t, "")
	for i := range 2 * maxSites {
		s.Count(fmt.Sprintf("site%d", i), []byte("/"), 0, pixel(Held))
	}
	if n := len(s.counters.sites); n > maxSites+1 {
		t.Errorf("%d sites", n)
	}
}

func tenTags() []Sighting {
	var tags []Sighting
	for i := range 10 {
		tags = append(tags, Sighting{
			Vendor: "google-analytics", VendorName: "Google Analytics", Category: consent.Analytics, Kind: "script",
			Host: fmt.Appendf(nil, "t%d.googletagmanager.com", i), Path: []byte("/gtag/js/collect"), Event: Held, Count: 1,
		})
	}
	return tags
}

func TestCountDoesNotAllocate(t *testing.T) {
	s := openStore(t, "")
	s.flushing.Lock() // a flush allocates
	defer s.flushing.Unlock()
	tags, page := tenTags(), []byte("/blog/2024/how-to-choose?utm_source=mail")
	n := testing.AllocsPerRun(1000, func() {
		s.Count("shop", page, 0, tags)
		s.CountView("shop", page, true)
		s.CountCookie("shop", []byte("_ga_ABC1234567"), "google-analytics", consent.Analytics, "response", true)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCount counts a page of ten tags; ns/tag is what one costs.
func BenchmarkCount(b *testing.B) {
	s := openStore(b, "")
	tags, page := tenTags(), []byte("/blog/2024/how-to-choose?utm_source=mail")
	b.ReportAllocs()
	for b.Loop() {
		s.Count("shop", page, 0, tags)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tags)), "ns/tag")
}

// BenchmarkFlood offers a million different tag-page pairs and reports how
// much memory the store holds then.
func BenchmarkFlood(b *testing.B) {
	for b.Loop() {
		s := openStore(b, b.TempDir())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		flood(s, 1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-held")
		s.Close()
	}
}

// Hosts that no rule knows are named once a response had them, not for what
// browsers report, which anyone can; also after a restart, and not without bound.
func TestUnclassifiedHostsAreThoseOfResponses(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		unknown := func(host string, e Event) []Sighting {
			return []Sighting{{Category: consent.Unclassified, Kind: "script", Host: []byte(host), Path: []byte("/a.js"), Event: e, Count: 1}}
		}
		s.Count("shop", []byte("/"), 0, unknown("held.example", Held))
		s.Count("shop", []byte("/"), 0, unknown("passed.example", Passed))
		s.Count("club", []byte("/"), 0, unknown("elsewhere.example", Passed))
		s.Count("shop", []byte("/"), 0, []Sighting{{Category: consent.Unclassified, Kind: "script", Event: Passed, Count: 1}})
		s.Count("shop", []byte("/"), 0, pixel(Held))
		for _, e := range []Event{Held, Released, Fired, Stopped, FiredAnyway} {
			s.CountReported("shop", []byte("/"), 0, unknown("reported.example", e))
		}
		s.CountReported("shop", []byte("/"), 0, unknown("held.example", Fired))
		expect := func(want ...string) {
			t.Helper()
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			s.met.sites = nil
			_, hosts, err := s.Met(t.Context(), "shop")
			if slices.Sort(hosts); err != nil || !slices.Equal(hosts, want) {
				t.Errorf("%q, %v; want %q", hosts, err, want)
			}
		}
		expect("held.example", "passed.example")
		s.CountReported("shop", []byte("/"), 0, unknown("passed.example", Fired))
		s.Count("shop", []byte("/"), 0, unknown("reported.example", Held))
		expect("held.example", "passed.example", "reported.example")
		for i := range 2 * maxUnclassified {
			s.Count("shop", []byte("/"), 0, unknown(fmt.Sprintf("h%d.example", i), Held))
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		s.met.sites = nil
		if _, hosts, err := s.Met(t.Context(), "shop"); err != nil || len(hosts) != maxUnclassified {
			t.Errorf("%d hosts, %v", len(hosts), err)
		}
	})
}
