package postgres

import (
	"context"
	"time"

	"carrier/internal/store/engine"
)

const (
	refreshEvery = time.Second
	foldEvery    = 10 * time.Second
	// aheadOf is how far ahead of the newest number there is a partition.
	aheadOf = partitionRows / 4
)

// startBackground starts what goes on until the store closes.
func (s *Store) startBackground() {
	s.background.Go(func() { s.every(s.stop, refreshEvery, "figures can't be read", s.refresh) })
	s.background.Go(func() { s.every(s.stop, foldEvery, "figures can't be added up", s.fold) })
	s.background.Go(func() { s.every(s.stop, foldEvery, "partitions can't be made ahead", s.partitionAhead) })
	s.background.Go(func() { s.every(s.stop, time.Second, "PostgreSQL can't be asked how it is", s.ask) })
	s.background.Go(func() { s.every(s.stop, housekeepEvery, "", s.noteExcess) })
	s.background.Go(func() { _ = s.While(s.stop, dutyHousekeeping, s.housekeeping) }) // It never fails.
	s.background.Go(s.watchDeadlines)
}

// every does something again and again until ctx ends. A failure is logged when it begins.
func (s *Store) every(ctx context.Context, d time.Duration, failed string, do func(context.Context) error) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	var trouble trouble
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := do(ctx); ctx.Err() == nil {
			trouble.note(s, failed, err)
		}
	}
}

// trouble logs a failure that lasts once, and its end.
type trouble struct{ failed bool }

func (t *trouble) note(s *Store, what string, err error) {
	switch {
	case s.stop.Err() != nil:
	case err != nil && !t.failed:
		s.opts.Logger.Error(what+"; trying again", "err", err)
	case err == nil && t.failed:
		s.opts.Logger.Info("it works again, what failed before", "what", what)
	}
	t.failed = err != nil
}

// ask sees whether writes would work again, while they fail: nobody may send any.
func (s *Store) ask(ctx context.Context) error {
	if s.trouble.Load() == nil {
		return nil
	}
	op := &pingOp{}
	_ = s.write(ctx, 0, op, &op.Waiter) // What comes of it is noted there.
	return nil
}

// pingOp writes a row that says nothing.
type pingOp struct{ engine.Waiter }

func (o *pingOp) rows() int    { return 1 }
func (o *pingOp) needs(*needs) {}
func (o *pingOp) run(x *tx)    { x.write("SELECT 1") }

// partitionAhead makes the next partition before it is needed.
func (s *Store) partitionAhead(ctx context.Context) error {
	var last int64
	if err := s.pool.QueryRow(ctx, "SELECT last_value FROM numbers").Scan(&last); err != nil {
		return err
	}
	return s.partitions.cover(ctx, uint64(last+min(aheadOf, s.opts.partitionRows/4)))
}
