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
	"sync"
	"testing"

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
	stopShared()
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

// TestKilled kills a process that writes receipts under load, again and again
// on the same file, and expects to find every receipt that was acknowledged,
// once, and every chain whole.
func TestKilled(t *testing.T) {
	var dir string
	var recorded, erased map[string]bool
	total := 0
	rounds := *killRounds
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		if round%20 == 0 { // what is inspected grows with each round
			dir, recorded, erased = t.TempDir(), map[string]bool{}, map[string]bool{}
		}
		total -= len(recorded)
		victim := exec.Command(os.Args[0])
		victim.Env = append(os.Environ(), victimDir+"="+dir)
		victim.Stderr = os.Stderr
		pipe, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rand.IntN(600)
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			// What is still in the pipe after the kill was acknowledged too.
			var what, id string
			if n, _ := fmt.Sscanf(lines.Text(), "%s %22s", &what, &id); n == 2 && len(id) == 22 {
				switch what {
				case "recorded":
					recorded[id] = true
				case "erased":
					erased[id] = true
				}
			}
			if left--; left == 0 {
				if err := victim.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		victim.Wait()
		if left > 0 {
			t.Fatal("the process ended by itself")
		}
		total += len(recorded)
		inspectAfterKill(t, dir, recorded, erased)
	}
	t.Logf("killed %d times; %d receipts acknowledged, all there", rounds, total)
}

func inspectAfterKill(t *testing.T, dir string, recorded, erased map[string]bool) {
	t.Helper()
	s := openStore(t, dir)
	defer s.Close()
	for text := range recorded {
		id, _ := consent.ParseID(text)
		r, err := s.Receipt(t.Context(), id)
		if err != nil {
			t.Errorf("a receipt that was acknowledged: %v", err)
			continue
		}
		if erased[text] && r.Erased.IsZero() {
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
	if n := number(t, s, `SELECT sum(n) FROM choices`); n != int64(v.Receipts) {
		t.Errorf("%d choices counted, %d receipts", n, v.Receipts)
	}
}
