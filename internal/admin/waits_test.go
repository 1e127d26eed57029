package admin

import (
	"context"
	"slices"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// waitStore has so many pushes that wait for each thing.
type waitStore struct {
	Store
	waiting map[store.WaitingFor]int
	err     error
}

func (w *waitStore) Pushes(_ context.Context, q store.Query) (store.Page[store.Push], error) {
	n := w.waiting[q.WaitingFor]
	page := store.Page[store.Push]{Items: make([]store.Push, min(n, q.Limit))}
	if n > q.Limit {
		page.Next = 1
	}
	if q.Status != store.Pending || q.Held == nil {
		return page, context.DeadlineExceeded // That would count others, or know nothing of accounts.
	}
	return page, w.err
}

func TestWaitsAreCounted(t *testing.T) {
	kept := &waitStore{waiting: map[store.WaitingFor]int{store.WaitToken: 7, store.WaitWaybill: 900, store.WaitBreaker: 500}}
	s := &Service{Store: kept}
	got, err := s.Waits(t.Context(), 500)
	want := []WaitCount{{store.WaitBreaker, 500, false}, {store.WaitToken, 7, false}, {store.WaitWaybill, 500, true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
	kept.err = store.ErrUnavailable
	if _, err := s.Waits(t.Context(), 500); err == nil || err.(*problem.Problem).Code != problem.StoreUnavailable {
		t.Errorf("got %v", err)
	}
}
