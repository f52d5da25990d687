package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
	"github.com/ncruces/go-sqlite3"
)

// contract runs a test on each form of the store.
func contract(t *testing.T, test func(t *testing.T, s *Store)) {
	direct(t, test)
	t.Run("postgres with spool", func(t *testing.T) { test(t, openShared(t, postgrestest.DSN(t), t.TempDir())) })
}

// direct is contract without the form that puts by what cannot be written.
func direct(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("file", func(t *testing.T) { test(t, openStore(t, t.TempDir())) })
	t.Run("memory", func(t *testing.T) { test(t, openStore(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, openShared(t, postgrestest.DSN(t), "")) })
}

// setClock has s take the time from now, while it writes no counts.
func (s *Store) setClock(now func() time.Time) {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.now = now
}

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sample returns a receipt with every field set.
func sample(site string) *consent.Receipt {
	return &consent.Receipt{
		Choice: consent.Choice{
			Revision: 3, Categories: consent.SetOf(consent.Analytics, consent.Social),
			At: time.Unix(1_790_000_000, 0), ID: consent.NewID(),
		},
		Site: site, Before: consent.SetOf(consent.Functional),
		Regime: consent.OptIn, RegimeRule: "country DE", Country: "DE",
		Action: "save", Method: consent.ByForm,
		Vendors: []string{"google-analytics", "hotjar"}, Language: "de-AT",
		Shown:   sha256.Sum256([]byte("<p>May we?</p>")),
		Address: "192.0.2.0/24", Browser: "Firefox",
		TC: "CPtcfstring", GPP: "DBABMA~gpp",
	}
}

func TestReceiptComesBackAsItWas(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		want := sample("shop")
		if err := s.Record(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Receipt(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if _, err := s.Receipt(t.Context(), consent.NewID()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an unknown receipt: %v", err)
		}
	})
}

func TestReceiptSentTwiceIsKeptOnce(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		r := sample("shop")
		for range 2 {
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		other := *r
		other.Action = "accept-all"
		if err := s.Record(t.Context(), &other); !errors.Is(err, fs.ErrExist) {
			t.Errorf("another receipt with the same ID: %v", err)
		}
		expectVerified(t, s, Verification{Sites: 1, Receipts: 1})
	})
}

func expectVerified(t *testing.T, s *Store, want Verification) {
	t.Helper()
	got, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("verified %+v, want %+v", *got, want)
	}
}

func TestErasedReceiptLeavesATombstone(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		before, r, after := sample("shop"), sample("shop"), sample("shop")
		for _, r := range []*consent.Receipt{before, r, after} {
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.Erase(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Receipt(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Erased.IsZero() {
			t.Error("the receipt does not say that it was erased")
		}
		want := &consent.Receipt{Site: "shop", Choice: consent.Choice{ID: r.ID}, Erased: got.Erased}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("left over: %+v", got)
		}
		if err := s.Erase(t.Context(), consent.NewID()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("erasing an unknown receipt: %v", err)
		}
		if err := s.Record(t.Context(), r); err != nil {
			t.Errorf("recording again what was erased: %v", err)
		}
		if got, _ := s.Receipt(t.Context(), r.ID); got.Erased.IsZero() {
			t.Error("recording again brought the erased receipt back")
		}
		expectVerified(t, s, Verification{Sites: 1, Receipts: 3, Erased: 1})
	})
}

func TestErasedReceiptIsGoneFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	r := sample("shop")
	r.Browser = "a-browser-found-nowhere-else"
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if !inFiles(t, dir, r.Browser) {
		t.Fatal("the receipt is in no file before it is erased")
	}
	if err := s.Erase(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, r.Browser) {
		t.Error("the receipt is still in a file of the store")
	}
}

func TestErasingWaitsForNoQuery(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	r := sample("shop")
	r.Browser = "a-browser-found-nowhere-else"
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	err := s.read(t.Context(), func(c tx) error {
		if _, err := c.run(`SELECT count(*) FROM ledger`, nil); err != nil {
			return err
		}
		if err := s.Erase(t.Context(), r.ID); err != nil {
			return err
		}
		return s.Record(t.Context(), sample("shop"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Record(t.Context(), sample("shop")); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, r.Browser) {
		t.Error("the receipt is still in a file after the query has ended and another write")
	}
}

func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTamperingShows(t *testing.T) {
	for name, sql := range map[string]string{
		"changed":            `UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'save', 'SAVE') AS BLOB) WHERE n = 2`,
		"taken out":          `DELETE FROM ledger WHERE n = 2`,
		"first taken out":    `DELETE FROM ledger WHERE n = 1`,
		"swapped":            `UPDATE ledger SET body = (SELECT body FROM ledger WHERE n = 3) WHERE n = 2`,
		"emptied":            `UPDATE ledger SET salt = NULL, body = NULL WHERE n = 2`,
		"moved to a site":    `INSERT INTO chains SELECT 9, 'blog', writer, 0, x'', 1, link FROM chains; UPDATE ledger SET chain = 9, n = 1 WHERE n = 2`,
		"dated back":         `UPDATE ledger SET at = at - 86400 WHERE n = 2`,
		"ID changed":         `UPDATE ledger SET id = randomblob(16) WHERE n = 2`,
		"digest put right":   `UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'save', 'SAVE') AS BLOB), digest = zeroblob(32) WHERE n = 2`,
		"link put right":     `UPDATE ledger SET link = zeroblob(32) WHERE n = 2`,
		"last one's changed": `UPDATE ledger SET body = CAST(replace(CAST(body AS TEXT), 'save', 'SAVE') AS BLOB) WHERE n = 4`,
		"inserted":           `INSERT INTO ledger SELECT chain, 5, kind, randomblob(16), at, shown, salt, body, digest, link FROM ledger WHERE n = 4`,
		"last taken out":     `DELETE FROM ledger WHERE n = 4`,
		"text changed":       `UPDATE ledger SET shown = zeroblob(32) WHERE n = 3`,
		"renumbered":         `UPDATE ledger SET n = 7 WHERE n = 4`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			for range 4 {
				if err := s.Record(t.Context(), sample("shop")); err != nil {
					t.Fatal(err)
				}
			}
			expectVerified(t, s, Verification{Sites: 1, Receipts: 4})
			c, err := s.db.(*sqlite).connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Exec(sql); err != nil {
				t.Fatal(err)
			}
			c.Close()
			v, err := s.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Breaks) == 0 {
				t.Error("not noticed")
			}
		})
	}
}

func TestShownTextIsKeptOnce(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		text := []byte("<p>May we?</p>")
		hash := sha256.Sum256(text)
		for range 3 {
			r := sample("shop")
			r.Text = text
			if err := s.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Text(t.Context(), hash)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("got %q, %v", got, err)
		}
		if n := number(t, s, `SELECT count(*) FROM texts`); n != 1 {
			t.Errorf("kept %d times", n)
		}
		r := sample("shop")
		r.Text, r.Shown = []byte("another"), sha256.Sum256([]byte("a third"))
		if err := s.Record(t.Context(), r); err == nil {
			t.Error("a text with another's hash was kept")
		}
		if _, err := s.Text(t.Context(), [32]byte{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an unknown text: %v", err)
		}
	})
}

func TestAllIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	r := sample("shop")
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	s.Count("shop", []byte("/"), 0, pixel(Held))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := s.Record(t.Context(), r); !errors.Is(err, ErrClosed) {
		t.Errorf("recording after closing: %v", err)
	}
	s = openStore(t, dir)
	if _, err := s.Receipt(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	s.Count("shop", []byte("/"), 0, pixel(Held))
	if err := s.Record(t.Context(), sample("shop")); err != nil {
		t.Fatal(err)
	}
	expectVerified(t, s, Verification{Sites: 1, Receipts: 2})
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT sum(held) FROM counts`); n != 2 {
		t.Errorf("held %d times, want 2", n)
	}
}

// TestOlderDatabaseIsTakenOver opens one that the first version made.
func TestOlderDatabaseIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	old, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sqlite3.Open("file:" + filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(string(old)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s := openStore(t, dir)
	expectVerified(t, s, Verification{Sites: 2, Receipts: 7, Erased: 1, Pruned: 3})
	for _, site := range []string{"shop", "club"} {
		if err := s.Record(t.Context(), sample(site)); err != nil {
			t.Fatal(err)
		}
	}
	expectVerified(t, s, Verification{Sites: 2, Receipts: 9, Erased: 1, Pruned: 3})
	if n := number(t, s, `SELECT count(*) FROM ledger WHERE shown IS NOT NULL`); n != 8 {
		t.Errorf("%d receipts name what was shown, want 8", n)
	}
	if n := number(t, s, `SELECT sum(held) FROM counts`); n != 2 {
		t.Errorf("held %d times, want 2", n)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.db.(*sqlite).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(`PRAGMA user_version = 1000`); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Close()
	if _, err := Open(t.Context(), dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "newer askfirst") {
		t.Errorf("got %v", err)
	}
}

func TestManyWritersMakeOneChain(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		const each = 50
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range each {
					if err := s.Record(t.Context(), sample(fmt.Sprintf("site%d", i%2))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		expectVerified(t, s, Verification{Sites: 2, Receipts: 8 * each})
	})
}

func TestTwoStoresShareAFile(t *testing.T) {
	dir := t.TempDir()
	a, b := openStore(t, dir), openStore(t, dir)
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b} {
		wg.Go(func() {
			for range 50 {
				if err := s.Record(t.Context(), sample("shop")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	expectVerified(t, a, Verification{Sites: 1, Receipts: 100})
}

func TestEndedContextIsHeeded(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Receipt(ctx, consent.NewID()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Receipt(t.Context(), consent.NewID()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the next query: %v", err)
		}
	})
}

// number returns the one number that a query yields.
func number(t testing.TB, s *Store, sql string) (n int64) {
	t.Helper()
	err := s.read(context.Background(), func(t tx) error {
		_, err := t.run(sql, into(&n))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pixel(e Event) []Sighting {
	return []Sighting{{
		Vendor: "meta", VendorName: "Meta", Category: consent.Marketing, Kind: "image",
		Host: []byte("www.facebook.com"), Path: []byte("/tr"), Event: e, Count: 1,
	}}
}

// BenchmarkRecord records receipts; p99-ms is how long the slowest hundredth
// of the callers waited at least.
func BenchmarkRecord(b *testing.B) {
	for _, form := range []struct {
		name string
		open func(b *testing.B) *Store
	}{
		{"sqlite", func(b *testing.B) *Store { return openStore(b, b.TempDir()) }},
		{"postgres", func(b *testing.B) *Store { return openShared(b, postgrestest.DSN(b), b.TempDir()) }},
	} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", form.name, callers), func(b *testing.B) {
				benchmarkRecord(b, form.open(b), callers)
			})
		}
	}
}

func benchmarkRecord(b *testing.B, s *Store, callers int) {
	work := make(chan *consent.Receipt, callers)
	waited := make([]time.Duration, b.N)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for r := range work {
				begun := time.Now()
				if err := s.Record(context.Background(), r); err != nil {
					b.Error(err)
				}
				waited[n.Add(1)-1] = time.Since(begun)
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		work <- sample("shop.example")
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
	slices.Sort(waited)
	b.ReportMetric(float64(waited[b.N*99/100].Microseconds())/1000, "p99-ms")
	if h := s.Health(); h.Spooled > 0 || h.ReceiptFailures > 0 {
		b.Errorf("%+v", h)
	}
}

// BenchmarkGrowth tells how much a file grows by a receipt, and by a million
// page views of a month: 500 pages with 20 tags each, under 4 choices.
func BenchmarkGrowth(b *testing.B) {
	size := func(s *Store) int64 {
		return number(b, s, `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`)
	}
	for b.Loop() {
		s := openStore(b, b.TempDir())
		empty := size(s)
		for range 10_000 / 50 {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if err := s.Record(context.Background(), sample("shop.example")); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
		}
		receipts := size(s)
		b.ReportMetric(float64(receipts-empty)/10_000, "bytes/receipt")
		tags := append(tenTags(), tenTags()...)
		for i := range tags[10:] {
			tags[10+i].Kind = "image"
		}
		begun := s.now()
		for day := range 30 {
			s.setClock(func() time.Time { return begun.AddDate(0, 0, day) })
			for view := range 1_000_000 / 30 {
				page := fmt.Appendf(nil, "/blog/%c%c%c", 'a'+view%10, 'a'+view/10%10, 'a'+view/100%5)
				s.Count("shop.example", page, consent.Set(view*7%4)<<1, tags)
				s.CountView("shop.example", page, view%3 == 0)
			}
			if err := s.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(size(s)-receipts)/(1<<20), "MB/1M-views")
		s.Close()
	}
}

// tamper changes the store behind its back.
func tamper(t *testing.T, s *Store, sql string, args ...any) {
	t.Helper()
	if err := s.db.update(t.Context(), func(t tx) error { _, err := t.run(sql, nil, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFindsExchangedErasure: a receipt is emptied in the name of another one's
// erasure, which is filled again from a copy.
func TestVerifyFindsExchangedErasure(t *testing.T) {
	s := openStore(t, t.TempDir())
	a, b := sample("shop"), sample("shop")
	for _, r := range []*consent.Receipt{a, b} {
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var salt, body, shown []byte
	if err := s.db.view(t.Context(), func(t tx) error {
		_, err := t.run(`SELECT salt, body, shown FROM ledger WHERE id = ?1`, func(r row) error {
			salt, body, shown = bytes.Clone(r.ColumnRawBlob(0)), bytes.Clone(r.ColumnRawBlob(1)), bytes.Clone(r.ColumnRawBlob(2))
			return nil
		}, a.ID[:])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Verify(t.Context()); err != nil || len(v.Breaks) > 0 {
		t.Fatalf("%v, %+v", err, v)
	}
	tamper(t, s, `UPDATE ledger SET id = ?1 WHERE id = ?2 AND kind = 2`, b.ID[:], a.ID[:])
	tamper(t, s, `UPDATE ledger SET salt = NULL, body = NULL, shown = NULL WHERE id = ?1 AND kind = 1`, b.ID[:])
	tamper(t, s, `UPDATE ledger SET salt = ?2, body = ?3, shown = ?4 WHERE id = ?1 AND kind = 1`, a.ID[:], salt, body, shown)
	if v, err := s.Verify(t.Context()); err != nil || len(v.Breaks) == 0 {
		t.Errorf("nothing shows: %v, %+v", err, v)
	}
}

// TestVerifyFindsChangedTexts: what a visitor was shown is proved by its hash.
func TestVerifyFindsChangedTexts(t *testing.T) {
	for _, change := range []string{`UPDATE texts SET text = CAST('something else' AS BLOB)`, `UPDATE ledger SET shown = NULL WHERE kind = 1`} {
		s := openStore(t, t.TempDir())
		r := sample("shop")
		r.Text = []byte("<p>May we?</p>")
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Verify(t.Context()); err != nil || len(v.Breaks) > 0 {
			t.Fatalf("%v, %+v", err, v)
		}
		tamper(t, s, change)
		if v, err := s.Verify(t.Context()); err != nil || len(v.Breaks) == 0 {
			t.Errorf("%s: nothing shows: %v, %+v", change, err, v)
		}
	}
}

// TestErasedByAnotherProcess, whose last write it is, while this one reads.
func TestErasedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	serving := openStore(t, dir)
	r := sample("shop")
	r.Browser = "A browser that nobody else has"
	if err := serving.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go serving.db.view(t.Context(), func(x tx) error {
		defer close(ended)
		_, err := x.run(`SELECT count(*) FROM ledger`, nil)
		close(begun)
		<-end
		return err
	})
	<-begun
	command := openStore(t, dir)
	if err := command.Erase(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	close(end)
	<-ended
	if err := command.Close(); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, r.Browser) {
		t.Error("what was erased is still in the files")
	}
}
