package audit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/askfirst/askfirst/proxy/audit/postgrestest"
	"github.com/askfirst/askfirst/rules/consent"
)

var spoolKillRounds = flag.Int("spool-kill-rounds", 4, "how often TestKilledWhileTheDatabaseIsAway kills the writing process")

// line is a proxy between a store and its database that can be cut and held up.
type line struct {
	socket   string
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]bool
	down     bool
	held     chan struct{} // closed when bytes may pass; nil where they may
	caught   chan struct{} // has one entry when bytes were held back
}

func newLine(t *testing.T, socket string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{socket: socket, listener: l, conns: map[net.Conn]bool{}, caught: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		n.cut()
	})
	return n
}

func (n *line) carry(c net.Conn) {
	defer c.Close()
	server, err := net.Dial("unix", n.socket)
	if err != nil {
		return
	}
	defer server.Close()
	n.mu.Lock()
	if n.down {
		n.mu.Unlock()
		return
	}
	n.conns[c], n.conns[server] = true, true
	n.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, server}, {server, c}} {
		both.Go(func() {
			buf := make([]byte, 32<<10)
			for {
				size, err := way[0].Read(buf)
				n.mu.Lock()
				held := n.held
				n.mu.Unlock()
				if held != nil {
					select {
					case n.caught <- struct{}{}:
					default:
					}
					<-held
				}
				if _, werr := way[1].Write(buf[:size]); err != nil || werr != nil {
					way[0].Close()
					way[1].Close()
					return
				}
			}
		})
	}
	both.Wait()
	n.mu.Lock()
	delete(n.conns, c)
	delete(n.conns, server)
	n.mu.Unlock()
}

// cut closes every connection and takes no new ones.
func (n *line) cut() { n.close(true) }

// drop closes every connection, wherever it is.
func (n *line) drop() { n.close(false) }

func (n *line) close(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	if n.held != nil {
		close(n.held)
		n.held = nil
	}
	for c := range n.conns {
		c.Close()
	}
}

func (n *line) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// hold keeps all bytes back until release. It tells when there are any.
func (n *line) hold() (caught <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held == nil {
		n.held = make(chan struct{})
	}
	select {
	case <-n.caught: // of an earlier time
	default:
	}
	return n.caught
}

func (n *line) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held != nil {
		close(n.held)
		n.held = nil
	}
}

// dsn leads through the line.
func (n *line) dsn(direct string) string {
	u, _ := url.Parse(direct)
	return "postgres://askfirst@" + n.listener.Addr().String() + "/postgres?" +
		url.Values{"sslmode": {"disable"}, "search_path": {u.Query().Get("search_path")}}.Encode()
}

// watched is a store that tells when its database went and came back.
type watched struct {
	*Store
	left, back chan struct{}
}

func openWatched(t *testing.T, dsn, dir string) *watched {
	t.Helper()
	w := &watched{left: make(chan struct{}, 1000), back: make(chan struct{}, 1000)}
	log := slog.New(slog.NewTextHandler(lineWriter(func(line string) {
		switch {
		case strings.Contains(line, "wait in "+SpoolName):
			w.left <- struct{}{}
		case strings.Contains(line, "all that waited is there"):
			w.back <- struct{}{}
		}
	}), nil))
	s, err := OpenShared(t.Context(), dsn, dir, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.Store = s
	return w
}

// settle waits until nothing waits any more.
func (w *watched) settle(t *testing.T) {
	t.Helper()
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for w.Health().Away {
		<-w.back
	}
	if n, err := w.Waiting(t.Context()); err != nil || n != 0 {
		t.Errorf("%d wait still, %v", n, err)
	}
}

// load records receipts and counts tags from several callers until it is told
// to stop; stop returns the IDs of those acknowledged. Each can be waited for.
func load(t *testing.T, s *Store) (one <-chan struct{}, stop func() []consent.ID) {
	var ids []consent.ID
	each := make(chan struct{})
	var mu sync.Mutex
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				r := sample(fmt.Sprintf("site%d", i%2))
				if r.Text = []byte("<p>May we?</p>"); n%10 == 0 {
					r.Text = nil
				}
				// As long as a choice waits for its receipt.
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				err := s.Record(ctx, r)
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				s.Count(r.Site, []byte("/"), 0, pixel(Held))
				mu.Lock()
				ids = append(ids, r.ID)
				mu.Unlock()
				select {
				case each <- struct{}{}:
				default: // nobody waits
				}
			}
		})
	}
	return each, func() []consent.ID {
		close(done)
		wg.Wait()
		return ids
	}
}

// expectOnce expects each receipt and each count to be there once.
func expectOnce(t *testing.T, s *Store, ids []consent.ID) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.stored(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	expectVerified(t, s, Verification{Sites: 2, Receipts: len(ids)})
	if n := number(t, s, `SELECT CAST(sum(n) AS BIGINT) FROM choices`); n != int64(len(ids)) {
		t.Errorf("%d choices counted, %d made", n, len(ids))
	}
	if n := number(t, s, `SELECT CAST(sum(held) AS BIGINT) FROM counts`); n != int64(len(ids)) {
		t.Errorf("%d tags counted, %d seen", n, len(ids))
	}
	if n := number(t, s, `SELECT count(*) FROM texts`); n != 1 {
		t.Errorf("%d texts", n)
	}
}

func TestReceiptsWaitWhileTheDatabaseIsAway(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	dir := t.TempDir()
	s := openWatched(t, line.dsn(direct), dir)
	before := sample("site0")
	if err := s.Record(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	line.cut()
	r := sample("site1")
	r.Text = []byte("<p>May we?</p>")
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatalf("not put by: %v", err)
	}
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatalf("not known when sent again: %v", err)
	}
	s.Count("site0", []byte("/"), 0, pixel(Held))
	s.Count("site1", []byte("/"), 0, pixel(Held))
	if err := s.Flush(t.Context()); err != nil {
		t.Fatalf("counts not put by: %v", err)
	}
	if h := s.Health(); !h.Away || h.Spooled != 3 || h.LastFailure == nil {
		t.Errorf("health: %+v", h)
	}
	if got, err := s.Receipt(t.Context(), r.ID); err != nil || got.Action != r.Action {
		t.Errorf("the visitor's own record: %+v, %v", got, err)
	}
	if _, err := s.Receipt(t.Context(), before.ID); !errors.Is(err, ErrAway) {
		t.Errorf("a record that is away: %v", err)
	}
	if err := s.Erase(t.Context(), r.ID); !errors.Is(err, ErrAway) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("erasing while away: %v", err)
	}
	if _, _, err := s.Met(t.Context(), "site0"); err == nil {
		t.Error("vendors were read from a database that is away")
	} else if ids, _, err := s.Met(t.Context(), "site0"); err != nil || len(ids) != 1 {
		t.Errorf("vendors known in memory: %q, %v", ids, err)
	}
	// It ends and starts while the database is away.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openWatched(t, line.dsn(direct), dir)
	after := sample("site1")
	if err := s.Record(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	line.mend()
	s.settle(t)
	for _, id := range []consent.ID{before.ID, r.ID, after.ID} {
		if _, err := s.stored(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	expectVerified(t, s.Store, Verification{Sites: 2, Receipts: 3})
	if n := s.Health().Receipts; n != 2 {
		t.Errorf("%d receipts are said to have been written, want those 2 that waited", n)
	}
	if text, err := s.Text(t.Context(), r.Shown); err != nil || string(text) != string(r.Text) {
		t.Errorf("the text: %q, %v", text, err)
	}
	if n := number(t, s.Store, `SELECT CAST(sum(held) AS BIGINT) FROM counts`); n != 2 {
		t.Errorf("held %d times, want 2", n)
	}
	if err := s.Erase(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	if inFiles(t, dir, "CPtcfstring") {
		t.Error("what was sent is still in the spool")
	}
}

func TestEachOnceThroughABadLine(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	s := openWatched(t, line.dsn(direct), t.TempDir())
	one, stop := load(t, s.Store)
	for round := range 12 {
		for range rand.IntN(200) { // a moment that nobody chose
			<-one
		}
		switch round % 4 {
		case 0: // between two packets, wherever a commit is
			line.drop()
		case 1:
			line.cut()
			<-s.left
			line.mend()
			<-s.back
		case 2: // what hangs is given up, and may be committed all the same
			line.hold()
			<-s.left
			line.release()
			<-s.back
		case 3: // slow, but not too slow
			<-line.hold()
			line.release()
		}
		for s.Health().Away {
			<-s.back
		}
		for len(s.left) > 0 {
			<-s.left
		}
		for len(s.back) > 0 {
			<-s.back
		}
	}
	ids := stop()
	s.settle(t)
	expectOnce(t, s.Store, ids)
	t.Logf("%d receipts, %d put by", len(ids), s.Health().Spooled)
}

func TestEachOnceWhenTheDatabaseStops(t *testing.T) {
	dir, err := os.MkdirTemp("", "askfirst-postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server := postgrestest.Start(t, dir)
	defer func() { server.Stop() }()
	s := openWatched(t, server.DSN("askfirst"), t.TempDir())
	_, stop := load(t, s.Store)
	for range 2 {
		server.Stop()
		<-s.left
		server.Restart(t)
		<-s.back
	}
	ids := stop()
	s.settle(t)
	expectOnce(t, s.Store, ids)
	t.Logf("%d receipts, %d put by", len(ids), s.Health().Spooled)
}

// TestKilledWhileTheDatabaseIsAway kills a process that writes to a database
// that comes and goes, and expects every receipt that was acknowledged to
// arrive once.
func TestKilledWhileTheDatabaseIsAway(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	dir, said := t.TempDir(), newAcknowledged()
	for round := range *spoolKillRounds {
		n := 100 + rand.IntN(900)
		kill(t, dir, line.dsn(direct), n, func(i int, what, id string) {
			said.add(what, id)
			switch {
			case i != n-90:
			case round%2 == 0:
				line.cut()
			default:
				line.mend()
			}
		})
	}
	line.mend()
	s := openWatched(t, line.dsn(direct), dir)
	s.settle(t)
	said.expect(t, s.Store)
	t.Logf("killed %d times; %d receipts acknowledged, all there", *spoolKillRounds, len(said.recorded))
}

// TestNoChoiceWaitsForADatabaseThatHangs, but the one that finds out.
func TestNoChoiceWaitsForADatabaseThatHangs(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	s := openWatched(t, line.dsn(direct), t.TempDir())
	line.hold()
	if err := s.Record(t.Context(), sample("site0")); err != nil {
		t.Fatal(err)
	}
	<-s.left
	<-line.hold() // it is tried whether the database is back
	begun := time.Now()
	if err := s.Record(t.Context(), sample("site0")); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > commitWait {
		t.Errorf("a choice waited %v", took)
	}
	line.release()
	s.settle(t)
	expectVerified(t, s.Store, Verification{Sites: 1, Receipts: 2})
}

// TestReadyWhileTheDatabaseIsAway, also where nothing has been written since it went,
// so that nobody has noticed.
func TestReadyWhileTheDatabaseIsAway(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	s := openWatched(t, line.dsn(direct), t.TempDir())
	for _, away := range []func(){func() {}, func() { line.hold() }, line.cut} {
		away()
		ctx, cancel := context.WithTimeout(t.Context(), commitWait)
		if err := s.Ready(ctx); err != nil {
			t.Errorf("not ready: %v", err)
		}
		cancel()
	}
	s.Close()
	if err := s.Ready(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestFullDiskWhileTheDatabaseIsAwayIsTold(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	s := openWatched(t, line.dsn(direct), t.TempDir())
	// The spool's file is put on a disk that fails.
	s.spool.db.close()
	broken := &sqlite{log: s.log, name: s.spool.db.name + "?vfs=broken-disk"}
	if err := broken.open(t.Context(), spoolMigrations); err != nil {
		t.Fatal(err)
	}
	s.spool.db = broken
	line.cut()
	disk.full.Store(true)
	defer disk.full.Store(false)
	lost := sample("site0")
	if err := s.Record(t.Context(), lost); err == nil {
		t.Error("a receipt was acknowledged that is nowhere")
	}
	s.Count("site0", []byte("/"), 0, pixel(Held))
	if err := s.Flush(t.Context()); err == nil {
		t.Error("counts were taken for written")
	}
	if h := s.Health(); h.ReceiptFailures != 1 || h.CountFailures == 0 {
		t.Errorf("health: %+v", h)
	}
	disk.full.Store(false)
	if err := s.Record(t.Context(), lost); err != nil {
		t.Error(err)
	}
	line.mend()
	s.settle(t)
	expectVerified(t, s.Store, Verification{Sites: 1, Receipts: 1})
	if n := number(t, s.Store, `SELECT CAST(sum(held) AS BIGINT) FROM counts`); n != 1 {
		t.Errorf("held %d times", n)
	}
}

func TestWhatTheDatabaseRefusesStaysAside(t *testing.T) {
	direct := postgrestest.DSN(t)
	line := newLine(t, postgrestest.Shared().Socket())
	s := openWatched(t, line.dsn(direct), t.TempDir())
	known := sample("site0")
	if err := s.Record(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	line.cut()
	var good []*consent.Receipt
	for range 20 {
		r := sample("site0")
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		good = append(good, r)
	}
	other := *known
	other.Action = "accept-all"
	if err := s.Record(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	bad := sample("site\x000") // PostgreSQL takes no NUL
	if err := s.Record(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	line.mend()
	for s.Health().Away {
		<-s.back
	}
	if h := s.Health(); h.Stuck != 2 {
		t.Errorf("health: %+v", h)
	}
	for _, r := range good {
		if _, err := s.stored(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
	expectVerified(t, s.Store, Verification{Sites: 1, Receipts: 21})
}

// TestSpoolKeepsReceiptsApart: that there are too many counts is no reason to refuse a
// choice.
func TestSpoolKeepsReceiptsApart(t *testing.T) {
	s, err := OpenShared(t.Context(), "postgres://x@127.0.0.1:1/x", t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.spool.db.update(t.Context(), func(t tx) error {
		_, err := t.run(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 50000) INSERT INTO spool (kind, id, body) SELECT 3, CAST('x' || i AS BLOB), x'7b7d' FROM n`, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r, err := s.receiptOf(sample("shop"))
	if err != nil {
		t.Fatal(err)
	}
	choice := &op{receipt: r, done: make(chan error, 1)}
	counts := &op{batch: &batch{Run: "r", N: 1}, done: make(chan error, 1)}
	s.commit([]*op{counts, choice})
	if err := <-counts.done; err == nil {
		t.Error("more counts are kept than may be")
	}
	if err := <-choice.done; err != nil {
		t.Errorf("a receipt is refused: %v", err)
	}
}

// TestWhatASuccessorPutsBySurvives: while one proxy takes over from another, both have
// the spool. What is put by after it was emptied is not what the other one has sent.
func TestWhatASuccessorPutsBySurvives(t *testing.T) {
	dir := t.TempDir()
	open := func() *spool {
		p, err := openSpool(t.Context(), dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.db.close() })
		return p
	}
	put := func(p *spool) *consent.Receipt {
		r := sample("shop")
		body, err := encodeReceipt(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.put([]*op{{receipt: waitingReceipt(r, body)}}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	old, successor := open(), open()
	put(old)
	put(old)
	next := func(p *spool) *portion {
		sent, err := p.next(t.Context(), maxPortion)
		if err != nil || len(sent.group) != 2 {
			t.Fatalf("%+v, %v", sent, err)
		}
		return sent
	}
	first, second := next(old), next(successor)
	if err := successor.drop(second.ids); err != nil {
		t.Fatal(err)
	}
	waiting := put(successor)
	if err := old.drop(first.ids); err != nil {
		t.Fatal(err)
	}
	if _, err := successor.receipt(t.Context(), waiting.ID); err != nil {
		t.Errorf("a receipt that nobody has sent: %v", err)
	}
}
