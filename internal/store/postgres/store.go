package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/store"
	"carrier/internal/store/engine"
	"carrier/internal/store/seal"
)

// Store is the engine on PostgreSQL. Its methods are safe for concurrent use.
type Store struct {
	store.Judge // Its terms are the Options' to begin with.

	opts     Options
	where    string // The host and the database, for people.
	pool     *pgxpool.Pool
	instance string
	keys     seal.Keys

	// gate lets writers in: they hold it for reading while they hand an operation over, Close for writing.
	gate   sync.RWMutex
	closed bool
	stop   context.Context // Ends with Close: background work ends.
	end    context.CancelCauseFunc

	leases         *leases
	lanes          *laneReader
	committers     []*committer
	committersDone sync.WaitGroup
	background     sync.WaitGroup
	busy           busy          // The waybills that a committer is at.
	pens           atomic.Uint64 // How often it was not known what became of a transaction.
	partitions     partitions
	alarm          *engine.Alarm // For the background that carries out deadlines.

	horizon horizon
	letters letterLog
	pruning pruning

	lastMS  atomic.Int64          // The newest moment that was given: time does not go back.
	trouble atomic.Pointer[error] // Why writes fail at present; nil: they don't.

	feeding sync.Mutex // Held while Feed or Notify is called.

	reports engine.Reports

	refreshing sync.Mutex // Held while refresh reads and takes in what it read.

	mu      sync.Mutex // Guards what Stats reads.
	totals  totals
	oldest  map[string]time.Time
	untold  time.Time // When the end was that waits longest to be told.
	commits uint64
	waited  time.Duration
	rows    uint64
	trips   uint64
}

// clock is the time of a commit in Unix milliseconds; it does not go back, whatever the machine's clock says.
func (s *Store) clock() int64 { return s.notBefore(s.opts.Now().UnixMilli()) }

// notBefore moves the time on to a moment, and gives the time.
func (s *Store) notBefore(ms int64) int64 {
	for {
		last := s.lastMS.Load()
		if ms <= last {
			return last
		}
		if s.lastMS.CompareAndSwap(last, ms) {
			return ms
		}
	}
}

// Instance is the database's random name, a UUID. A restored backup has that of the backup.
func (s *Store) Instance() string { return s.instance }

// enqueue hands an operation to a committer. An error means that it was not handed over: nothing is kept.
func (s *Store) enqueue(ctx context.Context, slot int16, op operation) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return store.ErrClosing
	}
	queue := s.committers[int(slot)%len(s.committers)].ops
	return engine.HandOver(ctx, queue, op)
}

// write runs an operation and waits until it is durable. Once it is handed over, ctx only ends the waiting.
func (s *Store) write(ctx context.Context, slot int16, op operation, w *engine.Waiter) error {
	w.Begin()
	if err := s.enqueue(ctx, slot, op); err != nil {
		return err
	}
	return w.Wait(ctx)
}

// Ready says why writes are refused at present.
func (s *Store) Ready() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return store.ErrClosing
	}
	if err := s.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Close stops taking writes, waits until those under way are durable and answered, and closes the connections.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	s.gate.Unlock()

	s.end(errStopped)
	s.background.Wait()
	for _, c := range s.committers {
		close(c.ops)
	}
	s.committersDone.Wait()
	ctx, cancel := context.WithTimeoutCause(context.Background(), leaveTimeout, errTimeout)
	defer cancel()
	if err := s.leave(ctx); err != nil {
		s.opts.Logger.Warn("leaving the other nodes", "err", err)
	}
	s.pool.Close()
	return nil
}

var errStopped = errors.New("the store is closing")

// view reads from one consistent state.
func (s *Store) view(ctx context.Context, read func(tx pgx.Tx) error) error {
	if err := s.isOpen(); err != nil {
		return err
	}
	tx, err := s.beginView(ctx)
	if err != nil && ctx.Err() == nil {
		s.pool.Reset() // The connection may have broken while nobody used it, and most often all have.
		tx, err = s.beginView(ctx)
	}
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // There is nothing to keep.
	return read(tx)
}

func (s *Store) beginView(ctx context.Context) (pgx.Tx, error) {
	return s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
}

func (s *Store) isOpen() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return fmt.Errorf("%w: it is closed", store.ErrClosing)
	}
	return nil
}
