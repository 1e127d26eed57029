package pebble

import (
	"context"
	"errors"

	"carrier/internal/state"
	"carrier/internal/store"
)

var errNotYet = errors.New("not yet")

func (s *Store) Discard(context.Context, uint64, store.Act) (store.Push, error) {
	return store.Push{}, errNotYet
}
func (s *Store) RetryNow(context.Context, uint64, store.Act) (store.Push, error) {
	return store.Push{}, errNotYet
}
func (s *Store) Freeze(context.Context, state.Waybill, bool, store.Act) (bool, error) {
	return false, errNotYet
}
func (s *Store) Accept(context.Context, uint64, store.Act) (store.Event, error) {
	return store.Event{}, errNotYet
}
func (s *Store) Record(context.Context, store.AuditEntry) error { return errNotYet }
func (s *Store) Audit(context.Context, store.AuditQuery) (store.Page[store.AuditEntry], error) {
	return store.Page[store.AuditEntry]{}, errNotYet
}
func (s *Store) PutDeadLetter(context.Context, store.DeadLetter) error { return errNotYet }
func (s *Store) DeadLetters(context.Context, uint64, int) (store.Page[store.DeadLetter], error) {
	return store.Page[store.DeadLetter]{}, errNotYet
}
func (s *Store) StartReplay(context.Context, store.Replay, store.Act) (store.Replay, error) {
	return store.Replay{}, errNotYet
}
func (s *Store) Requeue(context.Context, store.Requeue) (store.Replay, error) {
	return store.Replay{}, errNotYet
}
func (s *Store) SetReplay(context.Context, uint64, store.ReplayStatus, store.Act) (store.Replay, error) {
	return store.Replay{}, errNotYet
}
func (s *Store) ReadReplay(context.Context, uint64) (store.Replay, error) {
	return store.Replay{}, errNotYet
}
func (s *Store) ListReplays(context.Context, uint64, int) (store.Page[store.Replay], error) {
	return store.Page[store.Replay]{}, errNotYet
}
