package postgres

import (
	"context"
	"errors"
	"time"
)

// housekeepEvery is the time between two rounds of what is to be done now and then.
const housekeepEvery = 5 * time.Second

// Tick does at once what the background does as time passes: deadlines, the figures of Stats, retention. A test with its
// own clock calls it after moving the clock. It returns when all is durable.
func (s *Store) Tick(ctx context.Context) error {
	return errors.Join(s.carryOutDeadlines(ctx), s.prune(ctx), s.forgetUses(ctx), s.refresh(ctx))
}

// housekeep is a round of the background.
func (s *Store) housekeep(ctx context.Context) error {
	s.noteExcess()
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
