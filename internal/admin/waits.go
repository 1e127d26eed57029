package admin

import (
	"context"

	"carrier/internal/store"
)

// WaitCount is how many pending pushes wait for one thing.
type WaitCount struct {
	For   store.WaitingFor
	Count int
	More  bool // There are more than were counted.
}

// Waits counts what pending pushes wait for, at most limit for each; what none waits for is left out.
func (s *Service) Waits(ctx context.Context, limit int) ([]WaitCount, error) {
	var all []WaitCount
	for _, kind := range []store.WaitingFor{store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitRetry, store.WaitWaybill} {
		page, err := s.Store.Pushes(ctx, store.Query{Status: store.Pending, WaitingFor: kind, Limit: limit, Held: s.held})
		if err != nil {
			return nil, storeProblem(err)
		}
		if n := len(page.Items); n > 0 || page.Next != 0 {
			all = append(all, WaitCount{kind, n, page.Next != 0})
		}
	}
	return all, nil
}
