package pebble

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errStopped ends background work when the store closes.
var errStopped = errors.New("the store is closing")

// keeper does what is to be done now and then, and remembers how far it got.
type keeper struct {
	mu    sync.Mutex // Held for a whole round of work: the background's, or Tick's.
	saved uint64     // The low-water mark as stored.
	// hints are numbers by account: below them, no natural push of the account is open.
	hints map[string]uint64
	// touched are spans of which retention deleted events since they were written.
	touched map[uint64]bool

	letters     lettersAtStart
	lettersSaid time.Time // When the log last told that there were too many.
}

// Tick does at once what the background does as time passes: deadlines, the low-water mark, the age of the oldest
// pushes, retention. A test with its own clock calls it after moving the clock. It returns when all is durable.
func (s *Store) Tick(ctx context.Context) error {
	if err := s.expire(ctx); err != nil {
		return err
	}
	s.disk.look()
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	return errors.Join(
		s.moveMark(ctx), s.saveMark(ctx), s.lookForOldest(), s.index.wait(ctx), s.saveSpans(ctx),
		s.boundLetters(ctx), s.prune(ctx), s.forgetUses(ctx), s.wash(ctx),
	)
}

// housekeep works through the rounds until the store closes. The numbers are seconds.
func (s *Store) housekeep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.disk.look()
		s.roundTrouble.note(s, "housekeeping failed; trying again", s.round(context.Background(), n))
	}
}

func (s *Store) round(ctx context.Context, n int) error {
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	err := errors.Join(s.moveMark(ctx), s.saveSpans(ctx), s.boundLetters(ctx))
	if n%5 == 1 && err == nil {
		err = errors.Join(s.saveMark(ctx), s.lookForOldest(), s.forgetUses(ctx))
	}
	if every := s.pruneEvery(); every > 0 && n%every == 0 && err == nil {
		err = s.prune(ctx)
	}
	return err
}

// trouble logs a failure that comes back each round once, until it changes or ends. It belongs to one goroutine.
type trouble struct{ last string }

func (t *trouble) note(s *Store, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != t.last && !s.stopping() {
		s.opts.Logger.Error(what, "err", err)
	}
	t.last = text
}

// reportDamage logs a damaged row, once.
func (s *Store) reportDamage(err error) {
	s.reports.Once("a row of the store is damaged and passed over", err)
}
