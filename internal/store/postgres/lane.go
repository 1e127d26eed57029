package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Lane reads a waybill's open pushes. Of a waybill that another node pushes for there are none.
func (s *Store) Lane(ctx context.Context, name state.Waybill) (store.Lane, error) {
	if !s.leases.owns(name) {
		return store.Lane{Waybill: name}, s.isOpen()
	}
	if err := s.isOpen(); err != nil {
		return store.Lane{Waybill: name}, err
	}
	lane, err := s.lanes.read(ctx, name)
	return lane, s.readError(err)
}

// readWaybill reads a waybill; one of which nothing is known if there is none.
func (s *Store) readWaybill(ctx context.Context, tx pgx.Tx, name state.Waybill) (*waybill, error) {
	found := newWaybill(name)
	rows, err := tx.Query(ctx, "SELECT "+waybillFields+" FROM waybills w WHERE w.delivery_id = $1 AND w.waybill_id = $2",
		name.DeliveryID, name.WaybillID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := s.scanWaybills(rows, func(w *waybill) { found = w }); err != nil {
		return nil, err
	}
	return found, found.damage
}

// readRows reads events by their numbers.
func readRows(ctx context.Context, tx pgx.Tx, seqs []uint64) (list []*row, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, "SELECT "+eventFields+" FROM events e WHERE e.seq = ANY($1::bigint[])", int64s(seqs))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = scanRows(rows, func(r *row) { list = append(list, r) })
	return list, err
}

// waybillOf is the waybill of an event, which never changes. Acts on the event begin with it.
func (s *Store) waybillOf(ctx context.Context, seq uint64) (w state.Waybill, err error) {
	if err := s.isOpen(); err != nil {
		return w, err
	}
	err = s.pool.QueryRow(ctx, "SELECT delivery_id, waybill_id FROM events WHERE seq = $1", int64(seq)).Scan(&w.DeliveryID, &w.WaybillID)
	if errors.Is(err, pgx.ErrNoRows) {
		return w, store.ErrNotFound
	}
	return w, notKept(s.readError(err))
}

// readError is the error of a read as callers get it.
func (s *Store) readError(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("PostgreSQL at %s: %w", s.where, err)
}
