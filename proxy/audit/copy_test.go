package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
)

// contents returns all that can be read of a store.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Export(t.Context(), &out, Filter{}); err != nil {
		t.Fatal(err)
	}
	for g := range groupings {
		rows, _, err := s.Tags(t.Context(), Grouping(g), Filter{}, Slice{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, rows)
	}
	cookies, _, err := s.Cookies(t.Context(), Filter{}, Slice{})
	views, e1 := s.Views(t.Context(), Filter{})
	choices, e2 := s.Choices(t.Context(), Filter{})
	done, e3 := s.Operations(t.Context(), Filter{}, Slice{Limit: 100})
	asked, e4 := s.Requests(t.Context(), true)
	text, e5 := s.Text(t.Context(), sample("").Shown)
	if err := errors.Join(err, e1, e2, e3, e4, e5); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, cookies, views, choices, done, asked, string(text))
	return out.String()
}

func TestCopyThereAndBack(t *testing.T) {
	a := openStore(t, "")
	furnish(t, a)
	a.setClock(time.Now)
	var erased consent.ID
	for i := range 1200 {
		r := sample(fmt.Sprintf("site%d", i%3))
		r.Text = []byte("<p>May we?</p>")
		if erased = r.ID; i < 3 {
			r.At = time.Unix(1_300_000_000, 0)
		}
		if err := a.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.EraseAs(t.Context(), erased, "operator ann"); err != nil {
		t.Fatal(err)
	}
	if err := a.OpenRequest(t.Context(), erased, "access", time.Unix(1_790_000_000, 0), "operator ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Prune(t.Context(), DefaultRetention); err != nil {
		t.Fatal(err)
	}
	before := contents(t, a)
	verified := Verification{Sites: 3, Receipts: 1197, Erased: 1, Pruned: 3}
	b := openShared(t, postgrestest.DSN(t), "")
	// A copy that broke off is begun anew.
	if err := b.makeReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Record(t.Context(), sample("left over")); err != nil {
		t.Fatal(err)
	}
	for _, to := range []*Store{b, openStore(t, t.TempDir())} {
		v, err := Copy(t.Context(), a, to)
		if err != nil || !reflect.DeepEqual(*v, verified) {
			t.Fatalf("%+v, %v", v, err)
		}
		if got := contents(t, to); got != before {
			t.Errorf("copied\n%s\nwant\n%s", got, before)
		}
		if _, err := Copy(t.Context(), a, to); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("copied over what is there: %v", err)
		}
		// What comes after hangs on chains of its own.
		if err := to.Record(t.Context(), sample("site0")); err != nil {
			t.Fatal(err)
		}
		to.Count("shop", []byte("/"), 0, pixel(Held))
		if err := to.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectVerified(t, to, Verification{Sites: 3, Receipts: 1198, Erased: 1, Pruned: 3})
		if n := number(t, to, `SELECT count(*) FROM pages WHERE site = 'shop'`); n != 2 {
			t.Errorf("%d pages", n)
		}
	}
	// And back from PostgreSQL.
	c := openStore(t, t.TempDir())
	if v, err := Copy(t.Context(), b, c); err != nil || v.Receipts != 1198 {
		t.Fatalf("%+v, %v", v, err)
	}
	want, got := strings.Split(contents(t, b), "\n"), strings.Split(contents(t, c), "\n")
	for i := range want {
		if i >= len(got) || want[i] != got[i] {
			t.Fatalf("line %d came back as\n%s\nand went as\n%s", i, got[min(i, len(got)-1)], want[i])
		}
	}
}

func TestOperatorsAreOnRecord(t *testing.T) {
	direct(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		s.setClock(func() time.Time { return now })
		r := sample("shop")
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		received := now.AddDate(0, 0, -31)
		for _, kind := range []string{"access", "erasure", "erasure"} {
			if err := s.OpenRequest(t.Context(), r.ID, kind, received, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		open, err := s.Requests(t.Context(), false)
		if err != nil || len(open) != 2 || open[0].Kind != "access" || !open[0].Due.Equal(received.AddDate(0, 0, 30)) || !open[0].Late(now) {
			t.Errorf("open: %+v, %v", open, err)
		}
		if err := s.AnswerRequest(t.Context(), r.ID, "access", "bob"); err != nil {
			t.Fatal(err)
		}
		if err := s.AnswerRequest(t.Context(), r.ID, "access", "bob"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("answered twice: %v", err)
		}
		// Erasing answers who asked for it.
		if err := s.EraseAs(t.Context(), r.ID, "bob"); err != nil {
			t.Fatal(err)
		}
		if open, err := s.Requests(t.Context(), false); err != nil || len(open) != 0 {
			t.Errorf("open: %+v, %v", open, err)
		}
		if all, err := s.Requests(t.Context(), true); err != nil || len(all) != 2 || !all[1].Answered.Equal(now) || !all[1].Late(now) {
			t.Errorf("all: %+v, %v", all, err)
		}
		if err := s.Log(t.Context(), Operation{Who: "ann", Action: "export", About: "all"}); err != nil {
			t.Fatal(err)
		}
		done, err := s.Operations(t.Context(), Filter{}, Slice{Limit: 10})
		var got []string
		for _, o := range done {
			got = append(got, o.Who+" "+o.Action+" "+o.Detail)
		}
		want := []string{"ann export ", "bob erase ", "bob answer access", "ann request erasure", "ann request erasure", "ann request access"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("done: %q, %v", got, err)
		}
		if found, err := s.Operations(t.Context(), Filter{Text: "ACCESS"}, Slice{Limit: 10}); err != nil || len(found) != 2 {
			t.Errorf("of access: %+v, %v", found, err)
		}
		// A visitor who erases their own record is no operator.
		own := sample("shop")
		if err := s.Record(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		if err := s.Erase(t.Context(), own.ID); err != nil {
			t.Fatal(err)
		}
		if done, _ := s.Operations(t.Context(), Filter{}, Slice{Limit: 10}); len(done) != len(want) {
			t.Errorf("done: %+v", done)
		}
	})
}

// A request is answered within 30 days, and within the month that the law gives.
func TestRequestsAreDueWithinAMonth(t *testing.T) {
	for received, want := range map[string]string{
		"2026-10-31": "2026-11-30", "2026-11-28": "2026-12-28", "2026-12-15": "2027-01-14",
		"2027-02-01": "2027-03-01", "2027-01-31": "2027-02-28", "2028-01-30": "2028-02-29", "2028-02-29": "2028-03-29",
	} {
		at, err := time.Parse(time.DateOnly, received)
		if err != nil {
			t.Fatal(err)
		}
		if got := due(at).Format(time.DateOnly); got != want {
			t.Errorf("received on %s: due on %s, want %s", received, got, want)
		}
	}
}
