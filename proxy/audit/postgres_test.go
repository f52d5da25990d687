package audit

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// postgresServer is a server of Debian's package that tests start for
// themselves, in a folder of its own, reached by a socket.
type postgresServer struct {
	bin, dir string
	as       *syscall.Credential
	output   bytes.Buffer
	cmd      *exec.Cmd
}

// findPostgres returns the folder of the server's programs, empty where it is
// not installed.
func findPostgres() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if found == nil {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// startPostgres starts a server. PostgreSQL refuses to be run by root: then it
// is run by the user that the package made, or by nobody.
func startPostgres(t testing.TB, dir string, settings ...string) *postgresServer {
	t.Helper()
	p := &postgresServer{bin: findPostgres(), dir: dir}
	if p.bin == "" {
		if os.Getenv("ASKFIRST_POSTGRES") == "required" {
			t.Fatal("PostgreSQL is not installed")
		}
		t.Skip("PostgreSQL is not installed")
	}
	if os.Getuid() == 0 {
		for _, name := range []string{"postgres", "nobody"} {
			u, err := user.Lookup(name)
			if err != nil {
				continue
			}
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			if err := os.Chown(dir, uid, gid); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	init := p.command("initdb", "-D", "data", "-U", "askfirst", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.start(t, settings...)
	return p
}

func (p *postgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

func (p *postgresServer) start(t testing.TB, settings ...string) {
	t.Helper()
	args := []string{"-D", "data", "-k", p.dir, "-c", "listen_addresses="}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	p.cmd = p.command("postgres", args...)
	p.cmd.Stderr, p.cmd.Stdout = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := pgx.Connect(context.Background(), p.dsn("public"))
		if err == nil {
			c.Close(context.Background())
			return
		}
		if p.cmd.Process.Signal(syscall.Signal(0)) != nil {
			t.Fatalf("PostgreSQL ended: %s", p.output.String())
		}
	}
}

// stop ends the server at once, as a crash of its would.
func (p *postgresServer) stop() {
	p.cmd.Process.Signal(syscall.SIGQUIT)
	p.cmd.Wait()
}

func (p *postgresServer) socket() string { return filepath.Join(p.dir, ".s.PGSQL.5432") }

func (p *postgresServer) dsn(schema string) string {
	return "postgres:///postgres?" + url.Values{"host": {p.dir}, "user": {"askfirst"}, "search_path": {schema}}.Encode()
}

// shared is the server that most tests use, each in a schema of its own.
var shared struct {
	sync.Once
	server  *postgresServer
	schemas atomic.Int64
}

// sharedDSN returns the DSN of an empty schema.
func sharedDSN(t testing.TB) string {
	t.Helper()
	shared.Do(func() {
		dir, err := os.MkdirTemp("", "askfirst-postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if shared.server == nil {
				os.RemoveAll(dir)
			}
		}()
		settings := []string{"fsync=off"}
		if flag.Lookup("test.bench").Value.String() != "" {
			settings = nil // what is measured is durable
		}
		shared.server = startPostgres(t, dir, settings...)
	})
	if shared.server == nil {
		t.Skip("PostgreSQL is not installed")
	}
	return shared.server.dsn(fmt.Sprintf("test%d", shared.schemas.Add(1)))
}

func stopShared() {
	if shared.server != nil {
		shared.server.stop()
		os.RemoveAll(shared.server.dir)
	}
}

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
	dsn := sharedDSN(t)
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
		if err := CheckDSN(dsn); err == nil {
			t.Errorf("%s was taken", dsn)
		}
	}
	if err := CheckDSN("postgres://askfirst:secret@db.example:5432/records?sslmode=verify-full"); err != nil {
		t.Error(err)
	}
	if got := SafeDSN("postgres://askfirst:secret@db.example/records"); bytes.Contains([]byte(got), []byte("secret")) {
		t.Errorf("%s shows the password", got)
	}
}

func TestDatabaseThatRefusesUsIsAnError(t *testing.T) {
	dsn := sharedDSN(t)
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
