package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// firstPushPatience is how long a new process may take until its first push.
const firstPushPatience = 2 * time.Minute

// backlog measures what a long outage of the upstream leaves behind: the memory that a mass of pending pushes takes,
// and how soon a new process on such a store pushes. It is made once, whatever the rounds.
func (b *bench) backlog(ctx context.Context) error {
	const concurrency = 64
	addr, err := reserve(ctx)
	if err != nil {
		return err
	}
	folder := b.newStore()
	p, err := b.startService(ctx, role{Folder: folder, Upstream: "http://" + addr, Concurrency: concurrency})
	if err != nil {
		return err
	}
	full, err := b.pile(ctx, p, folder)
	// It is killed, not stopped: the way back after a crash is the longer one.
	if err := errors.Join(err, p.kill()); err != nil {
		return err
	}
	return b.restart(ctx, folder, addr, concurrency, full)
}

// reserve finds a port where nothing listens, and where an upstream can listen later.
func reserve(ctx context.Context) (addr string, err error) {
	up, err := startUpstream(ctx, anyPort, 0, nil)
	if err != nil {
		return "", err
	}
	return up.addr, up.stop()
}

// pile has the pushes pile up, and reads the memory that they take.
func (b *bench) pile(ctx context.Context, p *part, folder string) (full usage, err error) {
	b.say("backlog: %d events while the upstream is down", b.o.Pending)
	start := time.Now()
	if err := b.fill(ctx, p, b.o.Pending); err != nil {
		return full, err
	}
	took := time.Since(start)
	if err := b.quiet(ctx, p); err != nil {
		return full, err
	}
	if full, err = p.usage(); err != nil {
		return full, err
	}
	if b.o.Profile != "" {
		if err := p.heap(filepath.Join(b.o.Profile, "memory.heap")); err != nil {
			return full, err
		}
	}
	size, err := sizeOf(folder)
	f := &Figure{Name: "memory", Unit: "MiB", Title: fmt.Sprintf("memory with %d pushes pending, upstream down", b.o.Pending), Aim: atMostValue(256)}
	f.add(mebibytes(full.RSS), 0)
	f.note("at most %.0f MiB on the way there; the events came at %.0f/s; %.0f MiB on disk",
		mebibytes(full.PeakRSS), float64(b.o.Pending)/took.Seconds(), mebibytes(size))
	b.report.Figures = append(b.report.Figures, f)
	return full, err
}

// restart starts a process on the store that a killed one left, with the upstream back.
func (b *bench) restart(ctx context.Context, folder, addr string, concurrency int, full usage) (err error) {
	b.say("backlog: starting again with %d pushes pending", b.o.Pending)
	first := make(chan time.Time, 1)
	var once sync.Once
	up, err := startUpstream(ctx, addr, 0, func([]byte) { once.Do(func() { first <- time.Now() }) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	start := time.Now()
	p, err := b.startService(ctx, role{Folder: folder, Upstream: "http://" + addr, Concurrency: concurrency})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	ready := time.Since(start)
	select {
	case at := <-first:
		f := &Figure{Name: "start", Unit: "s", Aim: atMostValue(2),
			Title: fmt.Sprintf("from a process's start after kill -9 to its first push, %d pending", b.o.Pending)}
		f.add(at.Sub(start).Seconds(), 0)
		f.note("it takes events after %.2f s", ready.Seconds())
		b.report.Figures = append(b.report.Figures, f)
		return nil
	case <-time.After(firstPushPatience):
		return fmt.Errorf("the new process pushed nothing within %v", firstPushPatience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }

// sizeOf is how many bytes the files of a folder take. Files may come and go meanwhile.
func sizeOf(folder string) (bytes uint64, err error) {
	err = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		bytes += uint64(info.Size())
		return nil
	})
	return bytes, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
