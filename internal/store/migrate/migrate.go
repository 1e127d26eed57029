// Package migrate moves a store from one engine to another.
//
// Both sides give their records in the same order, so that one walk beside each other finds what is missing in the target,
// what is other there, and what the source no longer has; only that is carried. The same walk is the copy, the catch-up
// with a source that went on meanwhile, the resumption after a crash, and, when it finds nothing to do, the proof that
// both hold the same: each record is compared by the SHA-256 of all that is in it.
package migrate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"carrier/internal/store"
)

const (
	// batch is how many records, and how many events within them, go into one commit of the target.
	batch = 512
	// tellEvery is after how many records progress is told.
	tellEvery = 512
)

// ErrSource is wrapped by what went wrong with the source: to repeat it does not help.
var ErrSource = errors.New("reading the source")

// Report is what a walk found and did.
type Report struct {
	Records int // Of the source.
	Events  int // Of the source.
	Carried int // Records that the target lacked, or had otherwise.
	Removed int // Records that only the target had.

	Expected int // Events of the source by its own count, which it tells before them; for a progress bar.
}

// Same tells whether the target held what the source holds before the walk.
func (r Report) Same() bool { return r.Carried == 0 && r.Removed == 0 }

// Copy makes the target hold what the source holds. progress hears of the report as it grows; nil: nobody does.
func Copy(ctx context.Context, from store.Exporter, to store.Importer, progress func(Report)) (Report, error) {
	c := &copier{ctx: ctx, to: to, progress: progress}
	err := c.walk(from, to, c.carry, c.remove)
	if err == nil {
		err = c.flush()
	}
	return c.report, err
}

// Compare counts what Copy would do, and does nothing. progress is as Copy's.
func Compare(ctx context.Context, from, to store.Exporter, progress func(Report)) (Report, error) {
	c := &copier{ctx: ctx, progress: progress}
	none := func(*store.Record) error { return nil }
	err := c.walk(from, to, none, none)
	return c.report, err
}

type copier struct {
	ctx      context.Context
	to       store.Importer // Only where something is carried.
	progress func(Report)
	report   Report

	records []*store.Record
	gone    []string
	weight  int
}

// walk goes through both sides at once, in the order of the keys. carry is called with what the target lacks or has
// otherwise, remove with what only the target has.
func (c *copier) walk(from, to store.Exporter, carry, remove func(*store.Record) error) error {
	source, stopSource := pull(c.ctx, from)
	defer stopSource()
	target, stopTarget := pull(c.ctx, to)
	defer stopTarget()
	a, aerr := source()
	b, berr := target()
	for aerr == nil && berr == nil && (a != nil || b != nil) {
		var err error
		switch order(a, b) {
		case -1: // The target lacks it.
			err = c.meet(a, nil, carry)
			a, aerr = source()
		case 1: // The source has it no more.
			c.report.Removed++
			err = remove(b)
			b, berr = target()
		default:
			err = c.meet(a, b, carry)
			a, aerr = source()
			b, berr = target()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case aerr != nil:
		return fmt.Errorf("%w: %w", ErrSource, aerr)
	case berr != nil:
		return fmt.Errorf("reading the target: %w", berr)
	}
	return nil
}

// order compares the keys of what is next on both sides; nil is behind all.
func order(a, b *store.Record) int {
	switch {
	case b == nil:
		return -1
	case a == nil:
		return 1
	case a.Key() < b.Key():
		return -1
	case a.Key() > b.Key():
		return 1
	}
	return 0
}

// meet counts a record of the source, and carries it if the target has it otherwise.
func (c *copier) meet(a, b *store.Record, carry func(*store.Record) error) error {
	c.report.Records++
	if a.Waybill != nil {
		c.report.Events += len(a.Waybill.Events)
	}
	if a.Marks != nil {
		c.report.Expected = a.Marks.Kept()
	}
	if c.progress != nil && c.report.Records%tellEvery == 0 {
		c.progress(c.report)
	}
	if b != nil {
		same, err := equal(a, b)
		if same || err != nil {
			return err
		}
	}
	c.report.Carried++
	return carry(a)
}

func equal(a, b *store.Record) (bool, error) {
	var digests [2][sha256.Size]byte
	for i, r := range []*store.Record{a, b} {
		var err error
		if digests[i], err = r.Digest(); err != nil {
			return false, err
		}
	}
	return digests[0] == digests[1], nil
}

func (c *copier) carry(r *store.Record) error {
	c.records = append(c.records, r)
	c.weight++
	if r.Waybill != nil {
		c.weight += len(r.Waybill.Events)
	}
	return c.flushIfFull()
}

func (c *copier) remove(r *store.Record) error {
	c.gone = append(c.gone, r.Key())
	c.weight++
	return c.flushIfFull()
}

func (c *copier) flushIfFull() error {
	if c.weight < batch {
		return nil
	}
	return c.flush()
}

func (c *copier) flush() error {
	if c.weight == 0 {
		return nil
	}
	if err := c.to.Import(c.ctx, c.records, c.gone); err != nil {
		return fmt.Errorf("writing the target: %w", err)
	}
	c.records, c.gone, c.weight = nil, nil, 0
	return nil
}

// pull gives a side's records one by one; nil at the end. It checks that their keys rise: all else relies on that.
func pull(ctx context.Context, side store.Exporter) (next func() (*store.Record, error), stop func()) {
	var failed error
	records := func(yield func(*store.Record) bool) {
		last := ""
		err := side.Export(ctx, func(r *store.Record) error {
			key := r.Key()
			if key <= last {
				return fmt.Errorf("%q comes after %q", key, last)
			}
			last = key
			if !yield(r) {
				return errStopped
			}
			return nil
		})
		if !errors.Is(err, errStopped) {
			failed = err
		}
	}
	pulled, stop := iter.Pull(records)
	return func() (*store.Record, error) {
		r, ok := pulled()
		if !ok {
			return nil, failed
		}
		return r, nil
	}, stop
}

var errStopped = errors.New("nobody wants more")
