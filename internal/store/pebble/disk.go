package pebble

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/store"
)

// diskWatch knows how much of the disk is free. A full disk is fatal to the engine below, so events are refused before
// it comes to that; what became of pushes is still written, as that is little and lets space be freed.
type diskWatch struct {
	fs   vfs.FS
	dir  string
	min  uint64 // Bytes; 0: any amount will do.
	free atomic.Uint64
	low  atomic.Bool

	unseen int // Bytes that were written since the last look that wrote made; of the writer.
}

// lookAfter is after how many bytes it is looked again: a flood writes more in a second than must stay free.
const lookAfter = 4 << 20

// wrote hears how much was written.
func (d *diskWatch) wrote(bytes int) {
	if d.unseen += bytes; d.unseen >= lookAfter {
		d.unseen = 0
		d.look()
	}
}

// look reads how much is free; a file system that does not tell is never low.
func (d *diskWatch) look() {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		d.free.Store(0)
		d.low.Store(false)
		return
	}
	d.free.Store(usage.AvailBytes)
	d.low.Store(usage.AvailBytes < d.min)
}

// Free is how much of the disk of a folder is free, in bytes.
func Free(dir string) (uint64, error) {
	usage, err := vfs.Default.GetDiskUsage(dir)
	if err != nil {
		return 0, fmt.Errorf("the disk of %s does not say how much of it is free: %w", dir, err)
	}
	return usage.AvailBytes, nil
}

// refusal says why no events can be taken; nil if they can.
func (d *diskWatch) refusal() error {
	if !d.low.Load() {
		return nil
	}
	return fmt.Errorf("%w: only %d MiB are free on the disk of %s, and %d MiB must stay free: free some space",
		store.ErrDiskLow, d.free.Load()>>20, d.dir, d.min>>20)
}

// pause is how long the engine waits before it tries a background job again that failed.
const pause = time.Second

// patientFS makes the engine below wait after a background job failed. By itself it tries again at once: on a full disk
// that took a whole core, and filled the log with 500 lines a second.
type patientFS struct {
	vfs.FS
	failed atomic.Int64 // When a job failed last, in Unix ns.
}

// note hears that a job failed.
func (f *patientFS) note() { f.failed.Store(time.Now().UnixNano()) }

// Create begins the tables that flushes and compactions write.
func (f *patientFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		if wait := time.Until(time.Unix(0, f.failed.Load()).Add(pause)); wait > 0 {
			time.Sleep(min(wait, pause))
		}
	}
	return f.FS.Create(name, c)
}
