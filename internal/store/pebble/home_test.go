package pebble

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

func put(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// edit opens the database below a closed store.
func edit(t *testing.T, fs vfs.FS, change func(*cdb.DB) error) {
	t.Helper()
	db, err := cdb.Open("data/db", &cdb.Options{FS: fs, FormatMajorVersion: formatMajor, Logger: &engineLog{log: options(t, fs).Logger}})
	if err != nil {
		t.Fatal(err)
	}
	if err = errors.Join(change(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestHome(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, fs vfs.FS)
		want   string // Part of the error; empty: the store opens, with its event.
	}{
		{"nothing happened", func(*testing.T, vfs.FS) {}, ""},
		{"a stranger's file among its own", func(t *testing.T, fs vfs.FS) {
			put(t, fs, "data/db/000123.sst", "no table")
			put(t, fs, "data/db/notes.txt", "buy milk")
		}, ""},
		{"the database is gone", func(t *testing.T, fs vfs.FS) { remove(t, fs, "data/db") }, "is gone"},
		{"INSTANCE is gone", func(t *testing.T, fs vfs.FS) { remove(t, fs, "data/INSTANCE") }, "INSTANCE is missing"},
		{"INSTANCE is empty", func(t *testing.T, fs vfs.FS) { put(t, fs, "data/INSTANCE", "") }, "INSTANCE is empty"},
		{"INSTANCE of another store", func(t *testing.T, fs vfs.FS) { put(t, fs, "data/INSTANCE", newName()) }, "two stores"},
		{"an empty database in its place", func(t *testing.T, fs vfs.FS) {
			remove(t, fs, "data/db")
			edit(t, fs, func(*cdb.DB) error { return nil })
		}, "the database is empty"},
		{"a newer format", func(t *testing.T, fs vfs.FS) {
			edit(t, fs, func(db *cdb.DB) error { return db.Set(metaFormat, []byte{format + 1}, cdb.Sync) })
		}, "newer carrier"},
		{"a database that is not ours", func(t *testing.T, fs vfs.FS) {
			remove(t, fs, "data")
			if err := fs.MkdirAll("data", 0o700); err != nil {
				t.Fatal(err)
			}
			edit(t, fs, func(db *cdb.DB) error { return db.Set([]byte("k"), []byte("v"), cdb.Sync) })
		}, "not carrier's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := mustOpen(t, "data", options(t, fs))
			mustApply(t, s, scanOf("1", 0))
			mustClose(t, s)
			c.damage(t, fs)
			s, err := Open("data", options(t, fs))
			if err == nil {
				defer mustClose(t, s)
			}
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Open: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Open: %v, want an error with %q", err, c.want)
			case c.want == "" && mustCheck(t, s).Events != 1:
				t.Error("the event is gone")
			}
		})
	}
}

func remove(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	if err := fs.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedCreation(t *testing.T) {
	fs := vfs.NewMem()
	mustClose(t, mustOpen(t, "data", options(t, fs)))
	remove(t, fs, "data/INSTANCE")
	s := mustOpen(t, "data", options(t, fs))
	mustApply(t, s, scanOf("1", 0))
	if got := strings.TrimSpace(string(get(t, fs, "data/INSTANCE"))); got != s.Instance() || len(got) != 36 {
		t.Errorf("INSTANCE says %q, the store is %q", got, s.Instance())
	}
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	o := options(t, vfs.Default)
	mustOpen(t, dir, o)
	if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), "another carrier process") {
		t.Errorf("Open of an open store: %v", err)
	}
	if _, err := CheckDir(t.Context(), dir, o); err == nil {
		t.Error("CheckDir reads a store that is open")
	}
}

func TestBackup(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	for n := range 10 {
		mustApply(t, s, scanOf("1", n))
	}
	if err := s.Backup(t.Context(), "copies/monday"); err != nil {
		t.Fatalf("Backup: %v", err)
	}
	mustApply(t, s, scanOf("1", 10))
	if err := s.Backup(t.Context(), "copies/monday"); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("Backup over another: %v", err)
	}
	report, err := CheckDir(t.Context(), "copies/monday", options(t, fs))
	if err != nil || report.Events != 10 || len(report.Problems) != 0 {
		t.Errorf("CheckDir of the backup: %+v, %v", report, err)
	}
	restored := mustOpen(t, "copies/monday", options(t, fs))
	lane, err := restored.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: "1"})
	if err != nil || len(lane.Pushes) != 10 || lane.Token == "" {
		t.Errorf("the backup's lane: %+v, %v", lane, err)
	}
	if r := mustApply(t, restored, scanOf("1", 3), scanOf("1", 10)); r[0].Verdict != state.Duplicate || r[1].Verdict != state.Accepted {
		t.Errorf("events to the backup: %+v", r)
	}
	mustClose(t, restored)
	remove(t, fs, "copies/monday/INSTANCE")
	if _, err := CheckDir(t.Context(), "copies/monday", options(t, fs)); err == nil {
		t.Error("CheckDir takes half a backup")
	}
	if _, err := CheckDir(t.Context(), "nowhere", options(t, fs)); err == nil {
		t.Error("CheckDir finds a store where there is none")
	}
}

// flips is how many bits TestDamagedFiles flips in each file; a release is tested with more.
var flips = flag.Int("flips", 12, "how many bits TestDamagedFiles flips in each file, one at a time")

// TestDamagedFiles flips bits in all kinds of files: the store may refuse, but it must not panic, start empty, or
// show an event with other bytes. Run it with -flips 200 for a release.
func TestDamagedFiles(t *testing.T) {
	const waybills, events = 40, 10
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	for w := range waybills {
		for n := range events {
			mustApply(t, s, scanOf(fmt.Sprint(w), n))
		}
	}
	mustClose(t, s)
	names, err := fs.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused, damaged := 0, 0
	for _, name := range names {
		original := get(t, fs, "data/db/"+name)
		for range min(len(original), *flips) {
			b := append([]byte(nil), original...)
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			put(t, fs, "data/db/"+name, string(b))
			switch problems, err := readAll(t, fs, waybills, events); {
			case err != nil:
				refused++
			case problems > 0:
				damaged++
			}
		}
		put(t, fs, "data/db/"+name, string(original))
	}
	t.Logf("%d refused to open or to read, %d told by check", refused, damaged)
	if refused == 0 {
		t.Error("no damage was noticed: the test proves nothing")
	}
	if problems, err := readAll(t, fs, waybills, events); err != nil || problems != 0 {
		t.Errorf("with all files restored: %d problems, %v", problems, err)
	}
}

// readAll reads every event of a closed store and compares it. It writes nothing, so that the damage stays as it is.
func readAll(t *testing.T, fs *vfs.MemFS, waybills, events int) (problems int, err error) {
	o := options(t, fs)
	s := newStore("data", o.withDefaults())
	s.readOnly = true
	if err := s.openFiles(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.release()) }()
	report, err := check(context.Background(), s.db, s.index.rows, nil)
	if err != nil {
		return 0, err
	}
	if report.Events != uint64(waybills*events) && len(report.Problems) == 0 {
		t.Errorf("%d events are there, and check has nothing to say", report.Events)
	}
	for w := range waybills {
		lane, err := readLane(s.db, nil, state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(w)}, 1<<62)
		if err != nil {
			return len(report.Problems), err
		}
		for i, p := range lane.Pushes {
			want := scanOf(fmt.Sprint(w), i)
			want.Token = ""
			if len(lane.Pushes) == events && p.Event != want {
				t.Errorf("an altered event: %+v, want %+v", p.Event, want)
			}
		}
	}
	return len(report.Problems), nil
}

// smallDisk tells how much of it is free.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 40}, nil
}

func TestDiskLow(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 30)
	o := options(t, disk)
	o.MinFreeBytes = 256 << 20
	s := mustOpen(t, "data", o)
	r := mustApply(t, s, scanOf("1", 0))
	if s.Stats().FreeBytes != 1<<30 {
		t.Errorf("free: %d", s.Stats().FreeBytes)
	}
	disk.free.Store(255 << 20)
	s.disk.look()
	if err := s.Ready(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "255 MiB") {
		t.Errorf("Ready: %v", err)
	}
	if _, err := s.Apply(t.Context(), []state.Event{scanOf("1", 1)}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Apply: %v, want ErrUnavailable", err)
	}
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	if err := settleNow(s, store.Outcome{Seq: r[0].Seq, Waybill: w, Status: store.Delivered}); err != nil {
		t.Errorf("an outcome is refused: %v", err)
	}
	disk.free.Store(1 << 30)
	s.disk.look()
	if err := s.Ready(); err != nil {
		t.Errorf("Ready, with space again: %v", err)
	}
	mustApply(t, s, scanOf("1", 1))
}

func TestBackupDir(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()+"/copy"
	o := options(t, vfs.Default)
	s := mustOpen(t, dir, o)
	mustApply(t, s, scanOf("1", 0), scanOf("1", 1))
	if err := BackupDir(dir, to); err == nil || !strings.Contains(err.Error(), "another carrier process") {
		t.Errorf("BackupDir of an open store: %v", err)
	}
	mustClose(t, s)
	if err := BackupDir(dir, to); err != nil {
		t.Fatalf("BackupDir: %v", err)
	}
	if err := BackupDir(dir, to); err == nil {
		t.Error("BackupDir over another backup is taken")
	}
	if report := mustCheck(t, mustOpen(t, to, o)); report.Events != 2 {
		t.Errorf("the copy has %d events, want 2", report.Events)
	}
}
