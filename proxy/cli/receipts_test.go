package cli

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
)

// expect runs a command and expects an exit code and texts that it prints.
func expect(t *testing.T, code int, command string, want ...string) string {
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

func TestMain(m *testing.M) {
	code := m.Run()
	postgrestest.StopShared()
	os.Exit(code)
}

// recorded fills a store with a receipt of each of some sites, and says which.
func recorded(t *testing.T, dir string, sites ...string) (ids []string) {
	t.Helper()
	store, err := audit.Open(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range sites {
		r := &consent.Receipt{
			Choice: consent.Choice{Revision: 1, At: time.Now(), ID: consent.NewID()},
			Site:   site, Regime: consent.OptIn, Action: "reject-all", Method: consent.ByForm, Language: "en",
		}
		if err := store.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID.String())
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// A visitor's request is to be answered within 30 days of its receipt.
func TestRequestsOfVisitors(t *testing.T) {
	dir := t.TempDir()
	ids := recorded(t, dir, "shop", "shop", "shop")
	at := " --data " + dir
	now := time.Now().UTC()
	day := func(ago int) string { return now.AddDate(0, 0, -ago).Format(time.DateOnly) }
	expect(t, exitOK, "receipts request --id "+ids[0]+at)
	expect(t, exitOK, "receipts request --kind erasure --id "+ids[1]+" --received "+day(20)+at)
	expect(t, exitOK, "receipts request --id "+ids[2]+" --received "+day(40)+at)
	list := expect(t, exitOK, "receipts requests"+at)
	for _, c := range []struct{ id, kind, received, due, state string }{
		{ids[0], "access", day(0), day(-30), " days left"},
		{ids[1], "erasure", day(20), day(-10), " days left"},
		{ids[2], "access", day(40), day(10), "OVERDUE by 10 days"},
	} {
		row := regexp.MustCompile(`(?m)^` + c.id + `.*$`).FindString(list)
		if f := strings.Fields(row); len(f) < 5 || f[1] != c.kind || f[2] != c.received || f[3] != c.due || !strings.Contains(row, c.state) {
			t.Errorf("%+v is listed as %q", c, row)
		}
	}
	expect(t, exitOK, "receipts answer --kind erasure --id "+ids[1]+at)
	expect(t, exitOK, "receipts answer --id "+ids[2]+at)
	if list := expect(t, exitOK, "receipts requests"+at, ids[0]); strings.Contains(list, ids[1]) || strings.Contains(list, ids[2]) {
		t.Errorf("what is answered is still to do:\n%s", list)
	}
	expect(t, exitOK, "receipts requests --all"+at, ids[0], "answered on "+day(0), "answered late, on "+day(0))
	expect(t, exitFailed, "receipts answer --kind erasure --id "+ids[0]+at) // it was asked for access
	expect(t, exitUsage, "receipts request"+at)
	expect(t, exitUsage, "receipts request --kind gossip --id "+ids[0]+at)
	expect(t, exitUsage, "receipts request --received yesterday --id "+ids[0]+at)
	expect(t, exitOK, "receipts log"+at, "request "+ids[0], "answer "+ids[1])
}

// Records go to PostgreSQL and back, and verify in each place.
func TestStoreIsCopiedToPostgreSQLAndBack(t *testing.T) {
	dir, back, dsn := t.TempDir(), t.TempDir(), postgrestest.DSN(t)
	ids := recorded(t, dir, "shop", "shop", "club")
	expect(t, exitOK, "receipts erase --id "+ids[0]+" --data "+dir)
	expect(t, exitOK, "receipts request --id "+ids[1]+" --data "+dir)
	const verified = "3 receipts of 2 sites, 1 of them erased"
	expect(t, exitOK, "store copy --from "+dir+" --to "+dsn, verified)
	expect(t, exitFailed, "store copy --from "+dir+" --to "+dsn, "name an empty database")
	expect(t, exitOK, "receipts verify --records "+dsn, verified)
	expect(t, exitOK, "receipts find --id "+ids[1]+" --records "+dsn, `"action": "reject-all"`)
	expect(t, exitOK, "receipts requests --records "+dsn, ids[1])
	expect(t, exitOK, "store prune --dry-run --records "+dsn, "0 receipts")
	expect(t, exitOK, "receipts erase --id "+ids[2]+" --records "+dsn)
	expect(t, exitOK, "store copy --from "+dsn+" --to "+back, "3 receipts of 2 sites, 2 of them erased")
	expect(t, exitOK, "receipts verify --data "+back, "3 receipts of 2 sites, 2 of them erased")
	expect(t, exitOK, "receipts log --data "+back, "erase "+ids[0], "erase "+ids[2], "copy")
	if all := expect(t, exitOK, "receipts export --data "+back); strings.Count(all, "reject-all") != 1 {
		t.Errorf("exported %s", all)
	}
}

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
	expect := func(code int, command string, want ...string) string {
		t.Helper()
		return expect(t, code, command, want...)
	}
	at := " --data " + dir
	expect(exitOK, "receipts verify"+at, "3 receipts of 1 sites, 0 of them erased")
	expect(exitOK, "receipts find --id "+ids[1]+at, ids[1], `"action": "reject-all"`)
	if lost := expect(exitFailed, "receipts find --id "+consent.NewID().String()+at, "there is no receipt"); strings.Contains(lost, "file") {
		t.Errorf("a file is looked for: %s", lost)
	}
	expect(exitFailed, "receipts answer --id "+ids[0]+at, "there is no open request for access about "+ids[0])
	month := time.Now().UTC().Format(" --month 2006-01")
	expect(exitOK, "report --site shop"+month+at, "Consent and tags of shop")
	expect(exitUsage, "report --site shopp"+month+at, `no records of a site "shopp"`, `there are of ["shop"]`)
	expect(exitUsage, "report --month 2999-01"+at, "has not begun")
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
