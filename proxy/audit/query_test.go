package audit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// furnish counts a small week on two sites.
func furnish(t testing.TB, s *Store) {
	t.Helper()
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range 7 {
		s.setClock(func() time.Time { return day.AddDate(0, 0, i) })
		s.Count("shop", []byte("/"), 0, append(pixel(Held), tenTags()...))
		s.Count("shop", []byte("/blog/"), consent.All, pixel(Fired))
		s.CountView("shop", []byte("/"), true)
		s.CountView("shop", []byte("/blog/"), false)
		s.CountCookie("shop", []byte("_fbp"), "meta", consent.Marketing, "response", i < 3)
		if i == 6 {
			s.Count("club", []byte("/"), 0, []Sighting{{
				Category: consent.Unclassified, Kind: "script", Host: []byte("cdn.unknown.example"), Path: []byte("/a.js"), Event: Passed, Count: 2,
			}})
			s.Count("club", []byte("/"), 0, pixel(FiredAnyway))
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewestCategory(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		ask := func(site string) time.Time {
			t.Helper()
			at, err := s.NewestCategory(t.Context(), site)
			if err != nil {
				t.Fatal(err)
			}
			return at.UTC()
		}
		if at := ask("shop"); !at.IsZero() {
			t.Errorf("a site that nothing was met on: %v", at)
		}
		furnish(t, s) // all categories of the shop from its first day on
		day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
		if at := ask("shop"); !at.Equal(day) {
			t.Errorf("at first %v, want %v", at, day)
		}
		later := day.AddDate(0, 1, 0)
		s.setClock(func() time.Time { return later })
		s.Count("shop", []byte("/"), 0, append(pixel(Held), Sighting{Vendor: "x", Category: consent.Social, Kind: "script", Host: []byte("platform.twitter.com"), Event: Held, Count: 1}))
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		if at := ask("shop"); !at.Equal(later) {
			t.Errorf("after a new category %v, want %v", at, later)
		}
	})
}

func TestTagsAreSummedAndFiltered(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		furnish(t, s)
		sunday := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
		for _, c := range []struct {
			name  string
			by    Grouping
			f     Filter
			part  Slice
			total int
			first Row // as far as it is set
		}{
			{"by vendor", ByVendor, Filter{Site: "shop"}, Slice{}, 2,
				Row{Site: "shop", Vendor: "google-analytics", Category: "analytics", Tags: 10, Counts: Counts{Seen: 70, Held: 70}}},
			{"one vendor's pages", ByPageAndTag, Filter{Vendor: "meta"}, Slice{Sort: "fired"}, 3,
				Row{Site: "shop", Page: "/blog/", Vendor: "meta", Category: "marketing", Kind: "image", Host: "www.facebook.com", Path: "/tr", Counts: Counts{Fired: 7}}},
			{"a page of the result", ByTag, Filter{Site: "shop"}, Slice{Sort: "host", Limit: 1, Offset: 10}, 11,
				Row{Site: "shop", Vendor: "meta", Host: "www.facebook.com", Pages: 2, Tags: 1, Counts: Counts{Seen: 7, Held: 7, Fired: 7}}},
			{"the other way round", ByTag, Filter{Site: "shop"}, Slice{Sort: "host", Reverse: true, Limit: 1}, 11,
				Row{Site: "shop", Host: "www.facebook.com", Counts: Counts{Seen: 7, Held: 7, Fired: 7}}},
			{"unclassified", ByHost, Filter{Category: "unclassified"}, Slice{}, 1,
				Row{Site: "club", Host: "cdn.unknown.example", Counts: Counts{Seen: 2, Passed: 2}}},
			{"fired anyway", ByPageAndTag, Filter{Event: "fired-anyway"}, Slice{}, 1,
				Row{Site: "club", Page: "/", Vendor: "meta", Counts: Counts{FiredAnyway: 1}}},
			{"on a day", ByVendor, Filter{Site: "shop", From: sunday, To: sunday}, Slice{Sort: "vendor"}, 2,
				Row{Site: "shop", Vendor: "google-analytics", Counts: Counts{Seen: 10, Held: 10}}},
			{"by day", ByDay, Filter{Site: "shop"}, Slice{Sort: "day", Reverse: true}, 7,
				Row{Day: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Counts: Counts{Seen: 11, Held: 11, Fired: 1}}},
			{"by text", ByPage, Filter{Text: "FACEBOOK", Category: "marketing"}, Slice{Sort: "page", Reverse: true}, 3,
				Row{Site: "shop", Page: "/blog/", Counts: Counts{Fired: 7}}},
			{"no such thing", ByTag, Filter{Text: "' OR 1=1 --"}, Slice{Sort: "seen; DROP TABLE tags"}, 0, Row{}},
		} {
			t.Run(c.name, func(t *testing.T) {
				rows, total, err := s.Tags(t.Context(), c.by, c.f, c.part)
				if err != nil {
					t.Fatal(err)
				}
				if total != c.total {
					t.Errorf("%d rows, want %d", total, c.total)
				}
				if total == 0 {
					return
				}
				got := rows[0]
				want := reflect.ValueOf(c.first)
				for i := range want.NumField() {
					if w := want.Field(i); !w.IsZero() && !reflect.DeepEqual(w.Interface(), reflect.ValueOf(got).Field(i).Interface()) {
						t.Errorf("first row: got %+v\nwant %+v", got, c.first)
					}
				}
			})
		}
	})
}

func expectCountries(t *testing.T, s *Store, want string) {
	t.Helper()
	rows, err := s.Countries(t.Context(), Filter{Site: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range rows {
		list = append(list, fmt.Sprint(r.Country, " ", r.Count))
	}
	if got := strings.Join(list, ", "); got != want {
		t.Errorf("choices by country: %s, want %s", got, want)
	}
}

func TestOtherQueries(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		furnish(t, s)
		for range 3 {
			if err := s.Record(t.Context(), sample("shop")); err != nil {
				t.Fatal(err)
			}
		}
		cookies, total, err := s.Cookies(t.Context(), Filter{Site: "shop", Text: "FBP"}, Slice{Sort: "name"})
		if err != nil || total != 1 || cookies[0].Held != 3 || cookies[0].Passed != 4 {
			t.Errorf("cookies: %+v, %d, %v", cookies, total, err)
		}
		choices, err := s.Choices(t.Context(), Filter{Site: "shop"})
		if err != nil || len(choices) != 1 || choices[0].Count != 3 || choices[0].Granted != "as" || choices[0].Language != "de-AT" {
			t.Errorf("choices: %+v, %v", choices, err)
		}
		expectCountries(t, s, "(other) 3")
		for range 7 {
			if err := s.Record(t.Context(), sample("shop")); err != nil {
				t.Fatal(err)
			}
		}
		for _, country := range []string{"FR", "FR", "AT", ""} {
			r := sample("shop")
			r.Country = country
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		expectCountries(t, s, "(other) 1, DE 10, (other) 2")
		views, err := s.Views(t.Context(), Filter{Site: "shop"})
		if err != nil || len(views) != 7 || views[0].Views != 2 || views[0].Asked != 1 {
			t.Errorf("views: %+v, %v", views, err)
		}
		sites, err := s.Sites(t.Context())
		if err != nil || !slices.Equal(sites, []string{"club", "shop"}) {
			t.Errorf("sites: %q, %v", sites, err)
		}
		vendors, _, err := s.Met(t.Context(), "shop")
		if err != nil || !slices.Equal(vendors, []string{"google-analytics", "meta"}) {
			t.Errorf("vendors: %q, %v", vendors, err)
		}
		sum, err := s.Total(t.Context(), Filter{})
		if err != nil || sum != (Counts{Seen: 79, Held: 77, Passed: 2, Fired: 7, FiredAnyway: 1}) {
			t.Errorf("total: %+v, %v", sum, err)
		}
		changes, err := s.Changes(t.Context(), "", time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			got = append(got, c.Site+" "+c.What+" "+c.Name)
		}
		if want := []string{"club vendor Meta", "club host cdn.unknown.example", "club page /"}; !slices.Equal(got, want) {
			t.Errorf("changes: %q", got)
		}
	})
}

func TestEveryColumnSorts(t *testing.T) {
	s := openStore(t, "")
	furnish(t, s)
	for g := range groupings {
		for _, col := range Grouping(g).Columns() {
			if _, _, err := s.Tags(t.Context(), Grouping(g), Filter{}, Slice{Sort: col, Limit: 5}); err != nil {
				t.Errorf("%d by %s: %v", g, col, err)
			}
		}
	}
	for _, col := range CookieColumns {
		if _, _, err := s.Cookies(t.Context(), Filter{}, Slice{Sort: col}); err != nil {
			t.Errorf("cookies by %s: %v", col, err)
		}
	}
}

// BenchmarkTags queries a store of 100,000 different tag-page pairs.
func BenchmarkTags(b *testing.B) {
	s := openStore(b, b.TempDir())
	sighting := pixel(Held)
	for i := range 100_000 {
		sighting[0].Path = fmt.Appendf(sighting[0].Path[:0], "/t%c%c", 'a'+i%10, 'a'+i/10%10)
		s.Count("shop", fmt.Appendf(nil, "/p%c%c%c", 'a'+i/100%10, 'a'+i/1000%10, 'a'+i/10000%10), 0, sighting)
		if i%20_000 == 0 {
			s.flush()
		}
	}
	s.flush()
	if n := number(b, s, `SELECT count(*) FROM counts`); n != 100_000 {
		b.Fatalf("%d pairs", n)
	}
	for name, g := range map[string]Grouping{"tag": ByTag, "page+tag": ByPageAndTag, "vendor": ByVendor, "page": ByPage, "day": ByDay} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Tags(b.Context(), g, Filter{Site: "shop"}, Slice{Limit: 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestChangesOfAMonth are there however much is new since.
func TestChangesOfAMonth(t *testing.T) {
	s := openStore(t, "")
	now := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	s.setClock(func() time.Time { return now })
	s.CountCookie("shop", []byte("march"), "", consent.Unclassified, "response", false)
	s.Flush(t.Context())
	now = now.AddDate(0, 1, 0)
	for i := range maxChanges + 50 {
		s.CountCookie("shop", fmt.Appendf(nil, "c%c%c", 'a'+i/26, 'a'+i%26), "", consent.Unclassified, "response", false)
	}
	s.Flush(t.Context())
	list, err := s.ChangesBetween(t.Context(), "", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || len(list) != 1 || list[0].Name != "march" {
		t.Errorf("%v, %v", list, err)
	}
}
