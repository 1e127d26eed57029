package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// loopDisk is a disk of the test's own, in a file: an ext4 whose power can be cut.
type loopDisk struct {
	t     testing.TB
	image string
	dir   string // Where it is mounted.
}

// newLoopDisk makes one. Where the machine does not allow it, the test is skipped.
func newLoopDisk(t testing.TB, bytes int64) *loopDisk {
	t.Helper()
	needsMounts(t, "mkfs.ext4", "mount")
	d := &loopDisk{t: t, image: filepath.Join(t.TempDir(), "disk"), dir: filepath.Join(t.TempDir(), "mounted")}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(bytes); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("this machine has no loop devices (%v: %s)", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

// The ioctl that takes an ext4 down, and its way of doing so that writes nothing more, the journal included
// (Linux, fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH).
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2
)

// cut cuts the power: what was not synced is gone, and every write from now on fails.
func (d *loopDisk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		d.t.Skipf("this machine's ext4 can't be shut down: %v", errno)
	}
}

// restore gives the power back. Nobody may have a file of the disk open.
func (d *loopDisk) restore() {
	d.t.Helper()
	if err := syscall.Unmount(d.dir, 0); err != nil {
		d.t.Fatalf("unmounting the disk: %v", err)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		d.t.Fatalf("mounting the disk again: %v: %s", err, out)
	}
}

// needsMounts skips the test where file systems can't be made and mounted.
func needsMounts(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this needs root, to mount a disk of its own")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this machine has no %s", name)
		}
	}
}

// newSmallDisk is a disk in memory that is soon full.
func newSmallDisk(t testing.TB, size string) (dir string) {
	t.Helper()
	needsMounts(t)
	dir = t.TempDir()
	if err := syscall.Mount("small", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("this machine does not let a tmpfs be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
