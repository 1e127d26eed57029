package pebble

import (
	"fmt"
	"sync/atomic"

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

// refusal says why no events can be taken; nil if they can.
func (d *diskWatch) refusal() error {
	if !d.low.Load() {
		return nil
	}
	return fmt.Errorf("%w: only %d MiB are free on the disk of %s, and %d MiB must stay free: free some space",
		store.ErrDiskLow, d.free.Load()>>20, d.dir, d.min>>20)
}
