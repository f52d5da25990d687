// Package postgrestest starts PostgreSQL for tests: a server of their own, in a
// temporary folder, that nothing but a socket leads to.
//
//	func TestMain(m *testing.M) { defer os.Exit(m.Run()); defer postgrestest.StopShared() … }
//	store, err := audit.OpenShared(ctx, postgrestest.DSN(t), "", log)
package postgrestest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
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

// Server is a server of Debian's package that tests start for themselves, in a
// folder of its own, reached by a socket.
type Server struct {
	bin, dir string
	as       *syscall.Credential
	output   bytes.Buffer
	cmd      *exec.Cmd
}

// find returns the folder of the server's programs, empty where it is
// not installed.
func find() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if found == nil {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// Start starts a server in an empty folder, with settings such as fsync=off. Where
// PostgreSQL is not installed it skips, unless ASKFIRST_POSTGRES is "required".
// PostgreSQL refuses to be run by root: then it
// is run by the user that the package made, or by nobody.
func Start(t testing.TB, dir string, settings ...string) *Server {
	t.Helper()
	p := &Server{bin: find(), dir: dir}
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
	p.Restart(t, settings...)
	return p
}

func (p *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// Restart starts the server again after Stop.
func (p *Server) Restart(t testing.TB, settings ...string) {
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
		c, err := pgx.Connect(context.Background(), p.DSN("public"))
		if err == nil {
			c.Close(context.Background())
			return
		}
		if p.cmd.Process.Signal(syscall.Signal(0)) != nil {
			t.Fatalf("PostgreSQL ended: %s", p.output.String())
		}
	}
}

// Stop ends the server at once, as a crash of its would.
func (p *Server) Stop() {
	p.cmd.Process.Signal(syscall.SIGQUIT)
	p.cmd.Wait()
}

// Socket is where the server listens.
func (p *Server) Socket() string { return filepath.Join(p.dir, ".s.PGSQL.5432") }

// DSN is how a schema of the server is reached.
func (p *Server) DSN(schema string) string {
	return "postgres:///postgres?" + url.Values{"host": {p.dir}, "user": {"askfirst"}, "search_path": {schema}}.Encode()
}

// shared is the server of DSN.
var shared struct {
	sync.Once
	server  *Server
	schemas atomic.Int64
}

// DSN returns the DSN of an empty schema of a server that the tests of a package
// share. StopShared ends it.
func DSN(t testing.TB) string {
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
		shared.server = Start(t, dir, settings...)
	})
	if shared.server == nil {
		t.Skip("PostgreSQL is not installed")
	}
	return shared.server.DSN(fmt.Sprintf("test%d", shared.schemas.Add(1)))
}

// Shared returns the server of DSN; nil before there is one.
func Shared() *Server { return shared.server }

// StopShared ends the server of DSN where there is one, when all tests are done.
func StopShared() {
	if shared.server != nil {
		shared.server.Stop()
		os.RemoveAll(shared.server.dir)
	}
}
