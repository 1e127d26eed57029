package pebble

import (
	"context"
	"errors"

	"carrier/internal/state"
	"carrier/internal/store"
)

func (s *Store) Push(_ context.Context, seq uint64) (store.Push, error) {
	return store.Push{}, errors.ErrUnsupported
}
func (s *Store) Pushes(_ context.Context, q store.Query) (store.Page[store.Push], error) {
	return store.Page[store.Push]{}, errors.ErrUnsupported
}
func (s *Store) Events(_ context.Context, q store.Query) (store.Page[store.Event], error) {
	return store.Page[store.Event]{}, errors.ErrUnsupported
}
func (s *Store) Waybill(_ context.Context, w state.Waybill) (store.Waybill, error) {
	return store.Waybill{}, errors.ErrUnsupported
}
func (s *Store) Backup(context.Context, string) error { return errors.ErrUnsupported }
func (s *Store) Check(context.Context) (store.Report, error) {
	return store.Report{}, errors.ErrUnsupported
}
