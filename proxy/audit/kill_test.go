package audit

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
)

var killRounds = flag.Int("kill-rounds", 8, "how often TestKilled kills the writing process")

// victimDir and victimDSN tell a process of this test that it is the one to be
// killed, and where its store is.
const (
	victimDir = "ASKFIRST_TEST_VICTIM_DIR"
	victimDSN = "ASKFIRST_TEST_VICTIM_DSN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		beVictim(dir, os.Getenv(victimDSN))
	}
	code := m.Run()
	postgrestest.StopShared()
	os.Exit(code)
}

// beVictim records receipts from many callers, erases some, and writes the ID
// of each to standard output once it is acknowledged, until it is killed.
func beVictim(dir, dsn string) {
	log := slog.New(slog.DiscardHandler)
	open := func() (*Store, error) { return Open(context.Background(), dir, log) }
	if dsn != "" {
		open = func() (*Store, error) { return OpenShared(context.Background(), dsn, dir, log) }
	}
	s, err := open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var out sync.Mutex
	say := func(what string, id consent.ID) {
		out.Lock()
		fmt.Printf("%s %s\n", what, id)
		out.Unlock()
	}
	for i := range 16 {
		go func() {
			for n := 0; ; n++ {
				r := sample(fmt.Sprintf("site%d", i%2))
				if err := s.Record(context.Background(), r); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				say("recorded", r.ID)
				s.Count(r.Site, []byte("/"), 0, pixel(Held))
				if dsn == "" && n%16 == 15 {
					if err := s.Erase(context.Background(), r.ID); err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					say("erased", r.ID)
				}
			}
		}()
	}
	select {}
}

// kill runs a process that writes to a store, and kills it once it has
// acknowledged n things. each is told of every one of them, counted from 1;
// what was still in the pipe after the kill was acknowledged too.
func kill(t *testing.T, dir, dsn string, n int, each func(i int, what, id string)) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimDir+"="+dir, victimDSN+"="+dsn)
	victim.Stderr = os.Stderr
	pipe, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	i := 0
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		if i++; i == n {
			victim.Process.Kill()
		}
		// The last line may be cut off.
		if what, id, _ := strings.Cut(lines.Text(), " "); len(id) == 22 {
			each(i, what, id)
		}
	}
	victim.Wait()
	if i < n {
		t.Fatal("the process ended by itself")
	}
}

// acknowledged are the IDs of receipts that were said to be durable.
type acknowledged struct{ recorded, erased map[string]bool }

func newAcknowledged() acknowledged {
	return acknowledged{map[string]bool{}, map[string]bool{}}
}

func (a acknowledged) add(what, id string) {
	switch what {
	case "recorded":
		a.recorded[id] = true
	case "erased":
		a.erased[id] = true
	}
}

// expect expects every receipt that was acknowledged, once, in chains that are
// whole, and erased where that was acknowledged.
func (a acknowledged) expect(t *testing.T, s *Store) {
	t.Helper()
	for text := range a.recorded {
		id, _ := consent.ParseID(text)
		r, err := s.stored(t.Context(), id)
		if err != nil {
			t.Errorf("a receipt that was acknowledged: %v", err)
		} else if a.erased[text] && r.Erased.IsZero() {
			t.Errorf("receipt %s was erased and is back", id)
		}
	}
	v, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range v.Breaks {
		t.Error(b)
	}
	if n := number(t, s, `SELECT count(*) - count(DISTINCT id) FROM ledger WHERE kind = 1`); n != 0 {
		t.Errorf("%d receipts are there twice", n)
	}
	if n := number(t, s, `SELECT CAST(sum(n) AS BIGINT) FROM choices`); n != int64(v.Receipts) {
		t.Errorf("%d choices counted, %d receipts", n, v.Receipts)
	}
	// Counts of the last seconds may be lost, none is there twice.
	if n := number(t, s, `SELECT CAST(coalesce(sum(held), 0) AS BIGINT) FROM counts`); n > int64(v.Receipts) {
		t.Errorf("%d tags counted, at most %d seen", n, v.Receipts)
	}
}

// TestKilled kills a process that writes receipts under load, again and again
// on the same file, and expects to find every receipt that was acknowledged,
// once, and every chain whole.
func TestKilled(t *testing.T) {
	rounds := *killRounds
	if testing.Short() {
		rounds = 2
	}
	var dir string
	var said acknowledged
	total := 0
	for round := range rounds {
		if round%20 == 0 { // what is inspected grows with each round
			total += len(said.recorded)
			dir, said = t.TempDir(), newAcknowledged()
		}
		kill(t, dir, "", 1+rand.IntN(600), func(_ int, what, id string) { said.add(what, id) })
		s := openStore(t, dir)
		said.expect(t, s)
		s.Close()
	}
	t.Logf("killed %d times; %d receipts acknowledged, all there", rounds, total+len(said.recorded))
}
