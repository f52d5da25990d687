package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/proxy/audit"
)

// rows is a table whose rows are made by each.
func rows(each func(write func([]cell) error) error) *table {
	return &table{Name: "rows", Columns: []column{{Key: "n"}, {Key: "text"}}, each: each}
}

// exporting serves a table in the format that the address names.
func exporting(t *testing.T, table *table) *httptest.Server {
	t.Helper()
	a, _ := newAdmin(t, Options{Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.export(w, &request{Request: r, format: r.FormValue("format")}, table)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(server.Close)
	return server
}

// The first rows are with the client before the store has come to the last.
func TestExportsAreWrittenAsRowsCome(t *testing.T) {
	for format := range formats {
		t.Run(format, func(t *testing.T) {
			read := make(chan struct{})
			server := exporting(t, rows(func(write func([]cell) error) error {
				for i := range 20_000 {
					if i == 10_000 {
						<-read
					}
					if err := write([]cell{{Value: int64(i)}, {Value: "some text"}}); err != nil {
						return err
					}
				}
				return nil
			}))
			answer, err := http.Get(server.URL + "?format=" + format)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body := bufio.NewReader(answer.Body)
			if first, err := body.ReadString('\n'); err != nil || first == "" {
				t.Errorf("%q, %v", first, err)
			}
			close(read)
			if rest, err := io.ReadAll(body); err != nil || len(rest) < 20_000*12 {
				t.Errorf("%d bytes, %v", len(rest), err)
			}
		})
	}
}

// A client that goes away ends the query.
func TestExportsEndWithTheirClient(t *testing.T) {
	ended := make(chan error, 1)
	server := exporting(t, rows(func(write func([]cell) error) (err error) {
		for err == nil {
			err = write([]cell{{Value: int64(1)}, {Value: "some text"}})
		}
		ended <- err
		return err
	}))
	answer, err := http.Get(server.URL + "?format=csv")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if err := <-ended; err == nil {
		t.Error("it ended without an error")
	}
}

// What goes wrong before the first bytes is an error page; after them the client
// sees a broken connection, and not a file that looks whole.
func TestExportsCutShortDoNotLookWhole(t *testing.T) {
	for _, format := range []string{"csv", "json"} {
		for _, n := range []int{0, 1, 20_000} {
			t.Run(fmt.Sprint(format, " after ", n), func(t *testing.T) {
				server := exporting(t, rows(func(write func([]cell) error) error {
					for i := range n {
						if err := write([]cell{{Value: int64(i)}, {Value: "some text"}}); err != nil {
							return err
						}
					}
					return errors.New("the disk is gone")
				}))
				answer, err := http.Get(server.URL + "?format=" + format)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				switch {
				case n < 20_000 && (answer.StatusCode != http.StatusInternalServerError || answer.Header.Get("Content-Disposition") != ""):
					t.Errorf("%d, %v", answer.StatusCode, answer.Header)
				case n == 20_000 && err == nil:
					t.Errorf("%d bytes look whole", len(body))
				case n == 20_000 && format == "json" && json.Valid(body):
					t.Error("the part is valid JSON")
				}
			})
		}
	}
}

// The same with an error that the store has: a receipt that cannot be read.
func TestExportOfUnreadableReceiptIsBroken(t *testing.T) {
	dir := t.TempDir()
	store, err := audit.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for range 800 {
		go store.Record(t.Context(), receipt("shop"))
	}
	for store.Health().Receipts < 800 {
		if err := store.Record(t.Context(), receipt("shop")); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite3.Open(filepath.Join(dir, audit.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Exec(`UPDATE ledger SET body = x'7b' WHERE n = 1`); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(Options{Store: store, Log: slog.New(slog.DiscardHandler)}).Handler())
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	answer, err := http.Get(server.URL + "/receipts?format=csv")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%d, %d bytes look whole", answer.StatusCode, len(body))
	}
}
