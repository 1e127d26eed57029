package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/engine"
	"carrier/internal/store/seal"
)

// Store is the embedded engine. Its methods are safe for concurrent use.
type Store struct {
	store.Alone // The folder is one process's: its lock sees to that.
	store.Judge // Its terms are the Options' to begin with.

	opts     Options
	dir      string
	db       *cdb.DB
	cache    *cdb.Cache
	lock     *cdb.Lock
	instance string
	readOnly bool // Only CheckDir: nothing is started or written.

	// gate lets writers in: they hold it for reading while they hand an operation over, Close for writing.
	gate   sync.RWMutex
	closed bool

	// files is held for reading by whoever reads, and for writing to close.
	files    sync.RWMutex
	released bool

	ops    chan operation
	acks   chan *tx
	stop   chan struct{} // Closed by Close: background work ends.
	failed atomic.Pointer[error]
	fatal  sync.Once

	writerDone sync.WaitGroup // The writer and the acker.
	background sync.WaitGroup

	alarm *engine.Alarm // For the background that carries out deadlines.

	// durable is the highest number whose commit is on disk: what is above it is not shown as sendable.
	durable atomic.Uint64
	// low is the low-water mark: no natural push below it is open.
	low     atomic.Uint64
	disk    diskWatch
	patient patientFS

	index  *index
	fronts *fronts
	keys   seal.Keys
	washer washer
	w      writer // Owned by the writer goroutine.
	keeper keeper

	deadlineTrouble, roundTrouble trouble // Each of its goroutine.

	// lettersExcess counts dead letters that were dropped for the bounds, until the log tells of them.
	lettersExcess atomic.Uint64

	reports engine.Reports // Of damaged rows, and of keys that are missing.

	differing sync.Mutex // Held while a row of z is changed by what is in the others.

	mu      sync.Mutex // Guards what Stats reads: all of it as it is on disk, but for totals.
	totals  counters
	outbox  outbox
	oldest  map[string]time.Time
	commits uint64
	waited  time.Duration
	rows    uint64
}

var _ store.Store = (*Store)(nil)

// Close stops taking writes, waits until those under way are durable and answered, and closes the files.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	s.gate.Unlock()

	close(s.stop)
	s.background.Wait()
	close(s.ops)
	s.writerDone.Wait()
	s.logExcess()

	s.files.Lock()
	defer s.files.Unlock()
	s.released = true
	return s.release()
}

// view reads from one consistent state. What it shows may be ahead of the disk by the commits that are being synced.
func (s *Store) view(read func(db cdb.Reader) error) error {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.released {
		return fmt.Errorf("%w: it is closed", store.ErrClosing)
	}
	defer s.washer.see()()
	snapshot := s.db.NewSnapshot()
	err := read(snapshot)
	return errors.Join(err, snapshot.Close())
}

// release gives back the files. After a failed write the engine below can't be closed in order any more; what it holds
// goes with the process.
func (s *Store) release() error {
	if s.failed.Load() != nil {
		return fmt.Errorf("store %s: closed after a failed write: %w", s.dir, *s.failed.Load())
	}
	var err error
	if !s.readOnly {
		// Tables have checksums throughout, and the next start has no log to read.
		err = s.db.Flush()
	}
	err = errors.Join(err, s.db.Close())
	s.cache.Unref()
	return errors.Join(err, s.lock.Close())
}

// fail ends the store: nothing is answered, fed or written from here on.
func (s *Store) fail(err error) {
	s.fatal.Do(func() {
		err = fmt.Errorf("store %s: a write did not reach the disk, so the process must end; "+
			"what was acknowledged is safe. Check the disk, then start again: %w", s.dir, err)
		s.failed.Store(&err)
		s.opts.Logger.Error("the store failed", "err", err)
		s.opts.Fatal(err)
	})
}

// enqueue hands an operation to the writer. An error means that it was not handed over: nothing is kept.
func (s *Store) enqueue(ctx context.Context, op operation) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.refusal(); err != nil {
		return err
	}
	return engine.HandOver(ctx, s.ops, op)
}

// refusal says why no write at all can be taken. The caller holds the gate.
func (s *Store) refusal() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, *err)
	}
	if s.closed {
		return store.ErrClosing
	}
	return nil
}

// Instance is the store's random name, a UUID. A store made anew has another; one that was restored from a backup has
// that of the backup.
func (s *Store) Instance() string { return s.instance }

// Ready says why writes are refused at present.
func (s *Store) Ready() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.refusal(); err != nil {
		return err
	}
	return s.disk.refusal()
}

// write runs an operation and waits until it is durable. Once it is handed over, ctx only ends the waiting.
func (s *Store) write(ctx context.Context, op operation, w *engine.Waiter) error {
	w.Begin()
	if err := s.enqueue(ctx, op); err != nil {
		return err
	}
	return w.Wait(ctx)
}
