package app

import (
	"context"
	"sync"
	"time"

	"carrier/internal/store"
	"carrier/internal/telemetry"
)

// Reading the stages' ages costs a query where the store is PostgreSQL: it is done at most so often, and for so long.
const (
	stagesEvery  = 15 * time.Second
	stagesWithin = 2 * time.Second
)

// stages keeps the ages of waybills by stage for scrapes. It is safe for concurrent use.
type stages struct {
	read func(context.Context) ([]store.StageAge, error)

	mu   sync.Mutex // Guards the rest, and that one scrape at a time reads.
	at   time.Time
	ages []telemetry.StageAge
}

// get gives what was read last, and reads anew if that is old. What can't be read leaves what was known.
func (s *stages) get() []telemetry.StageAge {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < stagesEvery {
		return s.ages
	}
	s.at = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), stagesWithin)
	defer cancel()
	all, err := s.read(ctx)
	if err != nil {
		return s.ages // That the store is in trouble is told elsewhere.
	}
	ages := make([]telemetry.StageAge, len(all))
	for i, a := range all {
		ages[i] = telemetry.StageAge{DeliveryID: a.DeliveryID, Stage: a.Stage.String(), OldestAt: a.OldestAt}
	}
	s.ages = ages
	return ages
}
