package cli

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

func TestReceiptsAndStore(t *testing.T) {
	dir := t.TempDir()
	store, err := audit.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 3 {
		r := &consent.Receipt{
			Choice: consent.Choice{Revision: 1, At: time.Now().AddDate(-6*(1-min(i, 1)), 0, 0), ID: consent.NewID()},
			Site:   "shop", Regime: consent.OptIn, Action: "reject-all", Method: consent.ByForm, Language: "en",
		}
		if err := store.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID.String())
	}
	store.Close()
	// expect runs a command and expects an exit code and texts that it prints.
	expect := func(code int, command string, want ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := Run(strings.Fields(command), &out, &out); got != code {
			t.Errorf("%s: exit %d: %s", command, got, out.String())
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s does not print %q: %s", command, text, out.String())
			}
		}
		return out.String()
	}
	at := " --data " + dir
	expect(exitOK, "receipts verify"+at, "3 receipts of 1 sites, 0 of them erased")
	expect(exitOK, "receipts find --id "+ids[1]+at, ids[1], `"action": "reject-all"`)
	expect(exitFailed, "receipts find --id "+consent.NewID().String()+at)
	expect(exitUsage, "receipts find --id none"+at)
	expect(exitUsage, "receipts erase"+at)
	if all := expect(exitOK, "receipts export"+at, ids...); strings.Count(all, "\n") != 3 {
		t.Errorf("exported %s", all)
	}
	expect(exitOK, "receipts erase --id "+ids[1]+at)
	expect(exitOK, "receipts verify"+at, "1 of them erased")
	if found := expect(exitOK, "receipts export --id "+ids[1]+at, `"kind":"erasure"`); strings.Contains(found, "reject-all") {
		t.Errorf("what was erased is still told: %s", found)
	}
	expect(exitOK, "receipts log"+at, "erase "+ids[1], "find "+ids[1], "export all")

	expect(exitOK, "store prune --dry-run"+at, "1 receipts")
	expect(exitOK, "store prune"+at, "1 receipts")
	expect(exitOK, "store prune --dry-run"+at, "0 receipts")
	copied := t.TempDir()
	expect(exitOK, "store copy --from "+dir+" --to "+copied, "2 receipts of 1 sites, 1 of them erased")
	expect(exitFailed, "store copy --from "+dir+" --to "+copied, "name an empty database")
	expect(exitOK, "receipts verify --data "+copied, "2 receipts of 1 sites, 1 of them erased")

	c, err := sqlite3.Open("file:" + filepath.ToSlash(filepath.Join(copied, audit.FileName)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(`UPDATE ledger SET at = at - 86400 WHERE kind = 1 AND body IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	c.Close()
	expect(exitFailed, "receipts verify --data "+copied, "its site, ID or time was changed", "not what was written")
}
