package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

func TestOldRecordsArePruned(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		s.setClock(func() time.Time { return now.AddDate(-6, 0, 0) })
		old, kept := []byte("old texts"), []byte("texts that are named still")
		var gone, young []*consent.Receipt
		for i := range 1200 {
			r := sample(fmt.Sprintf("site%d", i%2))
			r.At = now.AddDate(-6, 0, 0)
			if i%3 == 0 {
				r.At = now.AddDate(-1, 0, 0)
			}
			if r.Text = kept; i < 10 {
				r.Text = old
			}
			r.Shown = sha256.Sum256(r.Text)
			if i < 600 {
				r.At = now.AddDate(-6, 0, 0)
				gone = append(gone, r)
			} else if i < 602 {
				r.At = now.AddDate(-1, 0, 0)
				young = append(young, r)
			} else {
				young = append(young, r) // behind one that is kept, whatever its age
			}
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		s.setClock(func() time.Time { return now.AddDate(-2, 0, 0) })
		s.Count("site0", []byte("/gone"), 0, pixel(Held))
		s.CountView("site0", []byte("/gone"), true)
		s.CountCookie("site0", []byte("gone"), "", consent.Necessary, "response", false)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.setClock(func() time.Time { return now })
		s.Count("site0", []byte("/"), 0, tenTags())
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		would, err := s.Prunable(t.Context(), DefaultRetention)
		if err != nil || would.Receipts != 600 || would.Texts != 1 || would.Counts != 1 {
			t.Errorf("would prune %+v, %v", would, err)
		}
		expectVerified(t, s, Verification{Sites: 2, Receipts: 1200})
		did, err := s.Prune(t.Context(), DefaultRetention)
		if want := (Pruned{Receipts: 600, Texts: 1, Counts: 1, Names: 3}); err != nil || *did != want {
			t.Errorf("pruned %+v, %v, want %+v", did, err, want)
		}
		expectVerified(t, s, Verification{Sites: 2, Receipts: 600, Pruned: 600})
		if _, err := s.Receipt(t.Context(), gone[0].ID); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an old receipt: %v", err)
		}
		if _, err := s.Receipt(t.Context(), young[0].ID); err != nil {
			t.Error(err)
		}
		if err := s.Record(t.Context(), sample("site0")); err != nil {
			t.Fatal(err)
		}
		expectVerified(t, s, Verification{Sites: 2, Receipts: 601, Pruned: 600})
		if did, err := s.Prune(t.Context(), DefaultRetention); err != nil || *did != (Pruned{}) {
			t.Errorf("again: %+v, %v", did, err)
		}
		if n := number(t, s, `SELECT count(*) FROM counts`); n != 10 {
			t.Errorf("%d counts are left", n)
		}
		// What was pruned is counted anew when it turns up again.
		s.Count("site0", []byte("/gone"), 0, pixel(Held))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := number(t, s, `SELECT CAST(sum(held) AS BIGINT) FROM counts c JOIN pages p ON p.id = c.page WHERE p.path = '/gone'`); n != 1 {
			t.Errorf("held %d times after it was pruned", n)
		}
	})
}

func TestPruningEndsWithTheStore(t *testing.T) {
	s := openStore(t, t.TempDir())
	for range 3 {
		r := sample("shop")
		r.At = time.Unix(1_000_000_000, 0)
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	pruned := make(chan string, 1)
	s.log = slog.New(slog.NewTextHandler(lineWriter(func(line string) { pruned <- line }), nil))
	s.PruneDaily(DefaultRetention)
	if line := <-pruned; !strings.Contains(line, "receipts=3") {
		t.Errorf("logged %s", line)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// meddling is a context that has something done whenever it is asked whether it
// is done, as it is before each batch of a prune and while that is under way.
type meddling struct {
	context.Context
	meddle func()
}

func (m meddling) Done() <-chan struct{} {
	m.meddle()
	return m.Context.Done()
}

func TestWritersGoBetweenTheBatchesOfAPrune(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		const old = 4 * pruneBatch
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range old / 50 {
					r := sample("shop")
					r.At = time.Unix(1_000_000_000, 0)
					if err := s.Record(t.Context(), r); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var mu sync.Mutex
		left, written := map[int64]bool{}, 0
		ctx := context.Background()
		p, err := s.Prune(meddling{ctx, func() {
			if s.Record(ctx, sample("shop")) != nil {
				return
			}
			// The receipt is durable, and the prune has come so far.
			s.read(ctx, func(t tx) error {
				var n int64
				_, err := t.run(`SELECT count(*) FROM ledger WHERE at = 1000000000`, into(&n))
				mu.Lock()
				defer mu.Unlock()
				left[n] = true
				written++
				return err
			})
		}}, DefaultRetention)
		if err != nil || p.Receipts != old {
			t.Fatalf("pruned %+v, %v", p, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for n := int64(0); n <= old; n += pruneBatch {
			if !left[n] {
				t.Errorf("no receipt was written with %d left to prune", n)
			}
		}
		if len(left) != old/pruneBatch+1 {
			t.Errorf("left to prune were %v: batches are to be of %d", left, pruneBatch)
		}
		t.Logf("%d receipts while %d were pruned", written, old)
	})
}

type lineWriter func(string)

func (w lineWriter) Write(p []byte) (int, error) { w(string(p)); return len(p), nil }

func TestPruningEverythingKeepsTheChain(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for range 3 {
			if err := s.Record(t.Context(), sample("shop")); err != nil {
				t.Fatal(err)
			}
		}
		at := sample("shop").At
		s.setClock(func() time.Time { return at.AddDate(10, 0, 0) })
		if _, err := s.Prune(t.Context(), DefaultRetention); err != nil {
			t.Fatal(err)
		}
		r := sample("shop")
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		expectVerified(t, s, Verification{Sites: 1, Receipts: 1, Pruned: 3})
	})
}

func TestExportCanBeCheckedByOthers(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		var erased consent.ID
		for i := range 5 {
			r := sample("shop")
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				erased = r.ID
			}
		}
		if err := s.EraseAs(t.Context(), erased, "operator"); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := s.Export(t.Context(), &out, Filter{Site: "shop"}); err != nil {
			t.Fatal(err)
		}
		var before []byte
		n := 0
		for dec := json.NewDecoder(&out); dec.More(); n++ {
			var e struct {
				Kind, ID           string
				Salt, Digest, Link []byte
				Body               json.RawMessage
			}
			if err := dec.Decode(&e); err != nil {
				t.Fatal(err)
			}
			kind := byte(1)
			if e.Kind == "erasure" {
				kind = 2
			}
			if e.Body != nil {
				if sum := sha256.Sum256(append(append([]byte{kind}, e.Salt...), e.Body...)); !bytes.Equal(sum[:], e.Digest) {
					t.Errorf("entry %d: the digest is not that of kind, salt and body", n)
				}
			} else if e.ID != erased.String() {
				t.Errorf("entry %d has no body", n)
			}
			if sum := sha256.Sum256(append(before, e.Digest...)); !bytes.Equal(sum[:], e.Link) {
				t.Errorf("entry %d: the link is not that of the one before and the digest", n)
			}
			before = e.Link
		}
		if n != 6 {
			t.Errorf("%d entries", n)
		}
		out.Reset()
		if err := s.ExportOne(t.Context(), &out, erased); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 2 {
			t.Errorf("one receipt and its erasure: %s, %v", out.String(), err)
		}
	})
}

// TestPruneKeepsWhatAccounts: an erasure in one chain stays as long as the emptied
// receipt in another that it accounts for.
func TestPruneKeepsWhatAccounts(t *testing.T) {
	s := openStore(t, t.TempDir())
	at := time.Unix(1_600_000_000, 0)
	s.setClock(func() time.Time { return at })
	r := sample("shop")
	r.At = at
	s.writer = "a"
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	s.writer = "b"
	if err := s.Erase(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	s.setClock(time.Now)
	if err := s.db.update(t.Context(), func(t tx) error { _, err := shorten(t, "shop", "b", time.Now().Unix()); return err }); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Verify(t.Context()); err != nil || len(v.Breaks) > 0 {
		t.Errorf("%v, %+v", err, v)
	}
}
