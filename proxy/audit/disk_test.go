package audit

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// brokenDisk is the usual file layer on a disk that can be made to fail.
type brokenDisk struct {
	vfs.VFS
	full, unsynced atomic.Bool
}

var disk = &brokenDisk{VFS: vfs.Find("")}

func init() { vfs.Register("broken-disk", disk) }

func (d *brokenDisk) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpen(d.VFS, name, flags)
	return &brokenFile{f, d}, flags, err
}

func (d *brokenDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	return &brokenFile{f, d}, flags, err
}

type brokenFile struct {
	vfs.File
	disk *brokenDisk
}

func (f *brokenFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

func (f *brokenFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		return 0, sqlite3.FULL
	}
	return f.File.(io.WriterAt).WriteAt(p, at)
}

func (f *brokenFile) Sync(flags vfs.SyncFlag) error {
	if f.disk.unsynced.Load() {
		return sqlite3.IOERR_FSYNC
	}
	return f.File.Sync(flags)
}

func TestFailingDiskIsToldAndOvercome(t *testing.T) {
	for name, fault := range map[string]*atomic.Bool{"full": &disk.full, "not synced": &disk.unsynced} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), FileName)
			log := slog.New(slog.DiscardHandler)
			db := &sqlite{log: log, name: (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "vfs=broken-disk"}).String()}
			if err := db.open(t.Context(), sqliteMigrations); err != nil {
				t.Fatal(err)
			}
			s := newStore(db, log)
			if err := s.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := sample("shop")
			if err := s.Record(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			fault.Store(true)
			defer fault.Store(false)
			db.dir = filepath.Join(filepath.Dir(path), "gone") // what the system says there is told
			lost := sample("shop")
			if err := s.Record(t.Context(), lost); err == nil {
				t.Error("a receipt was acknowledged that is not on the disk")
			} else if errors.Is(err, ErrClosed) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), syscall.ENOENT.Error()) {
				t.Error(err)
			}
			s.Count("shop", []byte("/"), 0, pixel(Held))
			if err := s.Flush(t.Context()); err == nil {
				t.Error("counts were taken for written")
			}
			if h := s.Health(); h.ReceiptFailures != 1 || h.CountFailures != 1 || h.LastFailure == nil {
				t.Errorf("health: %+v", h)
			}
			fault.Store(false)
			after := sample("shop")
			for _, r := range []*consent.Receipt{lost, after} {
				if err := s.Record(t.Context(), r); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			if n := number(t, s, `SELECT sum(held) FROM counts`); n != 1 {
				t.Errorf("held %d times, want once", n)
			}
			expectVerified(t, s, Verification{Sites: 1, Receipts: 3})
		})
	}
}
