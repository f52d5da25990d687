package audit

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
)

// scatter counts tags on pages of two sites on some of forty days, and returns
// the last of them. Few numbers occur often, so that there are many equals.
func scatter(t *testing.T, s *Store) time.Time {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	now := s.now
	defer func() { s.setClock(now) }()
	for i := range 40 {
		s.setClock(func() time.Time { return day.AddDate(0, 0, i) })
		for range 25 {
			site, page := []string{"shop", "club"}[random.IntN(2)], fmt.Appendf(nil, "/p%c", 'a'+random.IntN(6))
			vendor := []string{"meta", "hotjar", ""}[random.IntN(3)]
			sighting := Sighting{
				Vendor: vendor, VendorName: strings.ToUpper(vendor), Category: consent.Optional[random.IntN(2)], Kind: "script",
				Host: fmt.Appendf(nil, "t%d.example", random.IntN(2)), Path: fmt.Appendf(nil, "/a%c", 'a'+random.IntN(2)),
				Event: Event(random.IntN(int(events))), Count: uint32(1 + random.IntN(3)),
			}
			s.Count(site, page, consent.Set(random.IntN(2)), []Sighting{sighting})
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	return day.AddDate(0, 0, 39)
}

// plainPairs sums up every count in the plainest way.
func plainPairs(t *testing.T, s *Store, f Filter) map[string]*Row {
	t.Helper()
	all := make(map[string]*Row)
	err := s.read(t.Context(), func(x tx) error {
		_, err := x.run(`SELECT c.day, p.path, t.site, t.vendor, t.name, t.category, t.kind, t.host, t.path, t.first, t.last, `+"c."+strings.Join(countColumns, ", c.")+`
			FROM counts c JOIN tags t ON t.id = c.tag JOIN pages p ON p.id = c.page`, func(r row) error {
			k := Row{
				Page: r.ColumnText(1), Site: r.ColumnText(2), Vendor: r.ColumnText(3), VendorName: r.ColumnText(4), Category: r.ColumnText(5), Kind: r.ColumnText(6), Host: r.ColumnText(7), Path: r.ColumnText(8),
				Tags: 1, First: time.Unix(r.ColumnInt64(9), 0).UTC(), Last: time.Unix(r.ColumnInt64(10), 0).UTC(),
			}
			if k.Vendor == "" {
				k.VendorName = ""
			}
			day := r.ColumnInt64(0)
			if !f.From.IsZero() && day < dayOf(f.From) || !f.To.IsZero() && day > dayOf(f.To) ||
				f.Site != "" && f.Site != k.Site || f.Page != "" && f.Page != k.Page || f.Vendor != "" && f.Vendor != k.Vendor ||
				f.Category != "" && f.Category != k.Category || f.Host != "" && f.Host != k.Host ||
				f.Text != "" && !strings.Contains(strings.ToLower(k.Vendor+" "+k.VendorName+" "+k.Host+" "+k.Path+" "+k.Page), strings.ToLower(f.Text)) {
				return nil
			}
			key := pairKey(&k)
			if all[key] == nil {
				all[key] = &k
			}
			all[key].Counts.add(countsOf(r, 11))
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if col := eventColumn(f); col != "" {
		for key, k := range all {
			if numberOf(k, col) == 0 {
				delete(all, key)
			}
		}
	}
	return all
}

func pairKey(k *Row) string {
	return strings.Join([]string{k.Site, k.Page, k.Vendor, k.Category, k.Kind, k.Host, k.Path}, " ")
}

func numberOf(k *Row, col string) int64 {
	return [...]int64{k.Seen, k.Held, k.Boxed, k.Stripped, k.Passed, k.Released, k.Fired, k.Stopped, k.FiredAnyway}[slices.Index(countColumns, col)]
}

// compareBy compares rows by a column, as it ascends.
func compareBy(col string, a, b *Row) int {
	switch {
	case col == "tags":
		return 0
	case col == "first":
		return a.First.Compare(b.First)
	case col == "last":
		return a.Last.Compare(b.Last)
	case slices.Contains(countColumns, col):
		return cmp.Compare(numberOf(a, col), numberOf(b, col))
	}
	return strings.Compare(*a.name(col), *b.name(col))
}

// What pairs are listed, in which order and with what sums is what adding up
// every count says, and parts put together are the whole; whether a period holds
// all days of a pair, some or the middle.
func TestPairsAreWhatAllCountsAddUpTo(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		last := scatter(t, s)
		check := func(t *testing.T, f Filter, sort string, reverse bool) {
			t.Helper()
			want := plainPairs(t, s, f)
			var whole []Row
			err := s.EachTag(t.Context(), ByPageAndTag, f, Slice{Sort: sort, Reverse: reverse}, func(k *Row) error { whole = append(whole, *k); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if len(whole) != len(want) {
				t.Fatalf("%+v by %s: %d pairs, want %d", f, sort, len(whole), len(want))
			}
			for i := range whole {
				if k := want[pairKey(&whole[i])]; k == nil || *k != whole[i] {
					t.Fatalf("%+v by %s: %+v, want %+v", f, sort, whole[i], k)
				}
				if i == 0 {
					continue
				}
				if n := compareBy(sort, &whole[i-1], &whole[i]); n != 0 && n < 0 == (falling(sort) != reverse) {
					t.Fatalf("%+v by %s, reverse %v: %+v stands before %+v", f, sort, reverse, whole[i-1], whole[i])
				}
			}
			const limit = 97
			for offset := 0; offset <= len(want); offset += limit {
				rows, total, err := s.Tags(t.Context(), ByPageAndTag, f, Slice{Sort: sort, Reverse: reverse, Limit: limit, Offset: offset})
				if err != nil || total != len(want) {
					t.Fatalf("%+v by %s: %d in all, want %d; %v", f, sort, total, len(want), err)
				}
				if part := whole[offset:min(offset+limit, len(whole))]; !slices.Equal(rows, part) {
					t.Fatalf("%+v by %s, reverse %v: the part from %d on is another than in the whole", f, sort, reverse, offset)
				}
			}
		}
		days := func(f Filter, from, to int) Filter {
			f.From, f.To = last.AddDate(0, 0, -from), last.AddDate(0, 0, -to)
			return f
		}
		for _, f := range []Filter{
			{}, days(Filter{}, 0, 0), days(Filter{}, 1, 0), days(Filter{}, 6, 5), days(Filter{Event: "held"}, 0, 0), days(Filter{Site: "shop", Text: "t1"}, 4, 4), days(Filter{}, 29, 0), days(Filter{}, 25, 12), days(Filter{}, 60, 20), days(Filter{}, 400, 300),
			days(Filter{Site: "shop"}, 10, 0), days(Filter{Page: "/pc"}, 10, 0), days(Filter{Vendor: "meta"}, 30, 3), days(Filter{Text: "T1.EX"}, 10, 0),
			days(Filter{Text: "/pb"}, 10, 0), {Event: "fired-anyway"}, days(Filter{Event: "fired-anyway"}, 9, 0), days(Filter{Event: "held", Category: consent.Optional[1].String()}, 20, 10),
		} {
			for _, sort := range []string{"seen", "fired_anyway", "page", "host"} {
				check(t, f, sort, false)
				check(t, f, sort, true)
			}
		}
		// The last day is today, which pages are about.
		s.setClock(func() time.Time { return last })
		for _, f := range []Filter{days(Filter{}, 0, 0), days(Filter{}, 1, 0), days(Filter{Category: consent.Optional[0].String()}, 0, 0), days(Filter{}, 10, 0), days(Filter{Event: "held"}, 10, 0)} {
			check(t, f, "seen", false)
			check(t, f, "page", true)
		}
		for _, sort := range ByPageAndTag.Columns() {
			check(t, days(Filter{}, 20, 0), sort, false)
			check(t, Filter{}, sort, true)
		}
	})
}

// What tags that a filter lets through add up to on a page is what their pairs do.
func TestPagesAreWhatTheirPairsAddUpTo(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		last := scatter(t, s)
		for _, f := range []Filter{
			{Category: consent.Optional[0].String()}, {Vendor: "meta", Site: "club"}, {Host: "t1.example", Text: "hot"}, {Vendor: "hotjar", Page: "/pb"},
			{Vendor: "meta", From: last, To: last}, {Vendor: "meta", From: last.AddDate(0, 0, -9), To: last},
			{Vendor: "meta", From: last.AddDate(0, 0, -29), To: last.AddDate(0, 0, -11)}, {Vendor: "meta", To: last.AddDate(0, 0, -100)},
		} {
			type sums struct {
				tags   int
				counts Counts
			}
			want := make(map[string]sums)
			for _, k := range plainPairs(t, s, f) {
				n := want[k.Site+k.Page]
				n.tags++
				n.counts.add(k.Counts)
				want[k.Site+k.Page] = n
			}
			rows, total, err := s.Tags(t.Context(), ByPage, f, Slice{})
			if err != nil || total != len(want) {
				t.Fatalf("%+v: %d pages, want %d; %v", f, total, len(want), err)
			}
			for _, k := range rows {
				if got := (sums{k.Tags, k.Counts}); got != want[k.Site+k.Page] {
					t.Errorf("%+v: %s%s: %+v, want %+v", f, k.Site, k.Page, got, want[k.Site+k.Page])
				}
			}
		}
	})
}

// A tag is on as many pages as its list by page has in the same period.
func TestTagsAreOnAsManyPagesAsTheyHavePairs(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		last := scatter(t, s)
		for _, f := range []Filter{
			{}, {Vendor: "meta"}, {From: last, To: last}, {From: last.AddDate(0, 0, -9), To: last}, {From: last.AddDate(0, 0, -29), To: last.AddDate(0, 0, -11)},
		} {
			want := make(map[string]int)
			name := func(k *Row) string { return k.Site + k.Vendor + k.Category + k.Kind + k.Host + k.Path }
			for _, k := range plainPairs(t, s, f) {
				want[name(k)]++
			}
			rows, total, err := s.Tags(t.Context(), ByTag, f, Slice{})
			if err != nil || total != len(want) {
				t.Fatalf("%+v: %d tags, want %d; %v", f, total, len(want), err)
			}
			for i := range rows {
				if k := &rows[i]; k.Pages != want[name(k)] {
					t.Errorf("%+v: %s is on %d pages, want %d", f, name(k), k.Pages, want[name(k)])
				}
			}
		}
	})
}

// The sums of pairs follow when old counts are taken out.
func TestPairsArePruned(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		last := scatter(t, s)
		s.setClock(func() time.Time { return last })
		if p, err := s.Prune(t.Context(), Retention{Counts: 15 * 24 * time.Hour}); err != nil || p.Counts < pruneBatch {
			t.Fatalf("%+v, %v", p, err)
		}
		want := plainPairs(t, s, Filter{})
		rows, total, err := s.Tags(t.Context(), ByPageAndTag, Filter{}, Slice{})
		if err != nil || total != len(want) || len(rows) != total {
			t.Fatalf("%d pairs, want %d; %v", total, len(want), err)
		}
		for i := range rows {
			if k := want[pairKey(&rows[i])]; k == nil || k.Counts != rows[i].Counts {
				t.Errorf("%+v, want %+v", rows[i], k)
			}
		}
	})
}

// A listing whose connection is lost in the middle ends with an error, and not as
// a short one.
func TestListingCutShortIsAnError(t *testing.T) {
	dsn := postgrestest.DSN(t)
	s := openShared(t, dsn, "")
	other, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(t.Context())
	const tags, pages = 60, 100 // more than the buffers of a connection hold
	for p := range pages {
		list := make([]Sighting, tags)
		for i := range list {
			list[i] = Sighting{Category: consent.Unclassified, Kind: "script", Host: fmt.Appendf(nil, "t%d.example", i), Event: Held, Count: 1}
		}
		s.Count("shop", fmt.Appendf(nil, "/p%c%c", 'a'+p%10, 'a'+p/10), 0, list)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.EachTag(t.Context(), ByPageAndTag, Filter{}, Slice{}, func(*Row) error {
		if n++; n > 1 {
			return nil
		}
		_, err := other.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%FROM pairs%'`)
		return err
	})
	if err == nil || n == 0 || n >= tags*pages {
		t.Errorf("%d of %d rows, %v", n, tags*pages, err)
	}
	if rows, total, err := s.Tags(t.Context(), ByPageAndTag, Filter{}, Slice{Limit: 10}); err != nil || total != tags*pages || len(rows) != 10 {
		t.Errorf("afterwards %d rows of %d, %v", len(rows), total, err)
	}
}
