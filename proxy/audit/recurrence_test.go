package audit

import (
	"fmt"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestRecurrencesAddUp counts the same by recurrences and one by one, over two
// flushes: there may be no difference.
func TestRecurrencesAddUp(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		box, pass := pixel(Boxed), pixel(Passed)
		box[0].Count, pass[0].Count = 3, 1
		tags := append(box, pass...)
		again := map[string]*Recurrence{}
		for _, page := range []string{"/a", "/b"} {
			again[page] = s.Recur("again", []byte(page), consent.SetOf(consent.Social), tags)
		}
		for range 2 {
			for i, page := range []string{"/a", "/b", "/a", "/a", "/b"} {
				view, asked := i > 0, i%2 == 0
				again[page].Again(view, asked)
				s.Count("once", []byte(page), consent.SetOf(consent.Social), tags)
				if view {
					s.CountView("once", []byte(page), asked)
				}
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// Who is forgotten before they are written is written all the same.
		again["/a"].Again(true, false)
		s.Count("once", []byte("/a"), consent.SetOf(consent.Social), tags)
		s.CountView("once", []byte("/a"), false)
		clear(again)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			`SELECT CAST(sum(c.seen) AS BIGINT) FROM counts c JOIN tags t ON t.id = c.tag WHERE t.site = '%s'`,
			`SELECT CAST(sum(c.boxed) AS BIGINT) FROM counts c JOIN tags t ON t.id = c.tag WHERE t.site = '%s'`,
			`SELECT CAST(sum(c.passed) AS BIGINT) FROM counts c JOIN pages p ON p.id = c.page WHERE p.path = '/b' AND p.site = '%s'`,
			`SELECT CAST(sum(served) AS BIGINT) FROM tags WHERE site = '%s'`,
			`SELECT CAST(sum(v.views) AS BIGINT) FROM views v JOIN pages p ON p.id = v.page WHERE p.site = '%s'`,
			`SELECT CAST(sum(v.asked) AS BIGINT) FROM views v JOIN pages p ON p.id = v.page WHERE p.site = '%s'`,
		} {
			got, want := number(t, s, fmt.Sprintf(sql, "again")), number(t, s, fmt.Sprintf(sql, "once"))
			if got != want || want == 0 {
				t.Errorf("%s: %d, want %d", sql, got, want)
			}
		}
	})
}

// TestRecurrencesAreBounded counts more of them than are written at once, while
// nothing can be written.
func TestRecurrencesAreBounded(t *testing.T) {
	s := openStore(t, "")
	s.flushing.Lock()
	tags := tenTags()
	const pages = flushPairs/10 + 100
	for p := range pages {
		s.Recur("shop", fmt.Appendf(nil, "/p%c%c%c", 'a'+p%26, 'a'+p/26%26, 'a'+p/676), 0, tags).Again(true, true)
		if c := &s.counters; c.waiting > flushPairs+len(tags) || len(c.recurrences) > flushPairs/10+1 {
			t.Fatalf("%d tags of %d pages wait", c.waiting, len(c.recurrences))
		}
	}
	s.flushing.Unlock()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT CAST(sum(seen) AS BIGINT) FROM counts`); n != pages*10 {
		t.Errorf("%d tags, want %d", n, pages*10)
	}
	if n := number(t, s, `SELECT CAST(sum(views) AS BIGINT) FROM views`); n != pages {
		t.Errorf("%d views, want %d", n, pages)
	}
}

func TestAgainDoesNotAllocate(t *testing.T) {
	s := openStore(t, "")
	s.flushing.Lock() // a flush allocates
	defer s.flushing.Unlock()
	r := s.Recur("shop", []byte("/blog"), 0, tenTags())
	if n := testing.AllocsPerRun(1000, func() { r.Again(true, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
