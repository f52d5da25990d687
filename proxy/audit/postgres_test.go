package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
)

func openShared(t testing.TB, dsn, dir string) *Store {
	t.Helper()
	s, err := OpenShared(t.Context(), dsn, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestProxiesShareADatabase(t *testing.T) {
	dsn := postgrestest.DSN(t)
	var wg sync.WaitGroup
	stores := make([]*Store, 4)
	for i := range stores {
		wg.Go(func() { stores[i] = openShared(t, dsn, t.TempDir()) }) // migrating at once
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	const each = 50
	for i, s := range stores {
		for range 4 {
			wg.Go(func() {
				for range each {
					if err := s.Record(t.Context(), sample(fmt.Sprintf("site%d", i%2))); err != nil {
						t.Error(err)
					}
					s.Count("site0", []byte("/"), 0, pixel(Held))
				}
				if err := s.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	expectVerified(t, stores[0], Verification{Sites: 2, Receipts: 16 * each})
	if n := number(t, stores[0], `SELECT CAST(sum(held) AS BIGINT) FROM counts`); n != 16*each {
		t.Errorf("held %d times, want %d", n, 16*each)
	}
	if n := number(t, stores[0], `SELECT count(*) FROM chains`); n != 4 {
		t.Errorf("%d chains, want one for each proxy", n)
	}
	// What one wrote another finds, and erases.
	r := sample("site0")
	if err := stores[0].Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].Erase(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := stores[2].Receipt(t.Context(), r.ID); err != nil || got.Erased.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range stores {
		if h := s.Health(); h.Spooled != 0 || h.Away {
			t.Errorf("health: %+v", h)
		}
	}
}

func TestWrongDSNIsRefused(t *testing.T) {
	for _, dsn := range []string{"mysql://host/db", "postgres://host:port/db", "postgres://h/d?sslmode=maybe"} {
		if _, err := parseDSN(dsn); err == nil {
			t.Errorf("%s was taken", dsn)
		}
	}
	if _, err := parseDSN("postgres://askfirst:secret@db.example:5432/records?sslmode=verify-full"); err != nil {
		t.Error(err)
	}
	if got := SafeDSN("postgres://askfirst:secret@db.example/records"); bytes.Contains([]byte(got), []byte("secret")) {
		t.Errorf("%s shows the password", got)
	}
}

func TestDatabaseThatRefusesUsIsAnError(t *testing.T) {
	dsn := postgrestest.DSN(t)
	wrong, _ := url.Parse(dsn)
	wrong.Path = "/nosuchdatabase"
	if _, err := OpenShared(t.Context(), wrong.String(), t.TempDir(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a database that is not there was taken for one that is away")
	}
	if _, err := OpenShared(t.Context(), "postgres://askfirst@127.0.0.1:1/none", "", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("without a spool, a database that is away is no error")
	} else if errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
