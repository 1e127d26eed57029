package postgres

import (
	"context"
	"errors"
	"time"

	"carrier/internal/store"
)

// housekeepEvery is the time between two rounds of what is to be done now and then.
const housekeepEvery = 5 * time.Second

// Tick does at once what the background does as time passes: deadlines, the figures of Stats, retention. A test with its
// own clock calls it after moving the clock. It returns when all is durable.
func (s *Store) Tick(ctx context.Context) error {
	return errors.Join(s.carryOutDeadlines(ctx), s.prune(ctx), s.forgetUses(ctx), s.refresh(ctx))
}

// dutyHousekeeping is forgetting what is old, for all nodes.
const dutyHousekeeping store.Duty = "housekeeping"

// housekeeping goes on as long as it is this node's.
func (s *Store) housekeeping(ctx context.Context) error {
	s.every(ctx, housekeepEvery, "housekeeping failed", s.housekeep)
	return nil
}

// housekeep is a round of it.
func (s *Store) housekeep(ctx context.Context) error {
	err := s.forgetUses(ctx)
	if every := s.pruneEvery(); every > 0 && time.Since(s.pruning.done) >= every {
		s.pruning.done = time.Now()
		err = errors.Join(err, s.prune(ctx))
	}
	return err
}

// pruneEvery is the time between two runs of prune; 0: never.
func (s *Store) pruneEvery() time.Duration {
	if s.opts.Retention <= 0 {
		return 0
	}
	return min(max(s.opts.Retention/10, time.Minute), time.Hour)
}
