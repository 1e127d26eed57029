package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
)

// Pushes lists pushes, newest first.
func (s *Store) Pushes(ctx context.Context, q store.Query) (store.Page[store.Push], error) {
	page, err := readPage(ctx, s, q, true, func(at *standings, r *row) (store.Push, store.WaitingFor, error) {
		p, err := at.push(r)
		return p, p.WaitingFor, err
	})
	if err != nil {
		return page, fmt.Errorf("list pushes: %w", err)
	}
	return page, nil
}

// Events lists events of every verdict, newest first.
func (s *Store) Events(ctx context.Context, q store.Query) (store.Page[store.Event], error) {
	page, err := readPage(ctx, s, q, false, func(at *standings, r *row) (store.Event, store.WaitingFor, error) {
		if q.WaitingFor == store.WaitNothing {
			return r.storeEvent(), store.WaitNothing, nil
		}
		p, err := at.push(r)
		return r.storeEvent(), p.WaitingFor, err
	})
	if err != nil {
		return page, fmt.Errorf("list events: %w", err)
	}
	return page, nil
}

// readPage reads one page. pick makes an item of a row that matches, but perhaps for what it waits for, which it tells too.
func readPage[T any](
	ctx context.Context, s *Store, q store.Query, pushes bool, pick func(*standings, *row) (T, store.WaitingFor, error),
) (page store.Page[T], err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		f, err := newSearch(ctx, s, t, &q, pushes)
		if err != nil {
			return err
		}
		for f.goesOn() {
			rows, err := f.read()
			if err != nil {
				return err
			}
			at, err := s.readStandings(ctx, t, q.Held, rows)
			if err != nil {
				return err
			}
			for _, r := range rows {
				item, waits, err := pick(at, r)
				if errors.Is(err, store.ErrDamaged) {
					s.reports.Once("what a push waits for can't be told", err) // One that is damaged hides no others.
				} else if err != nil {
					return err
				}
				if q.WaitingFor != store.WaitNothing && waits != q.WaitingFor {
					continue
				}
				if f.found(r.seq) {
					page.Items = append(page.Items, item)
				}
			}
		}
		page.Next = f.next
		return nil
	})
	return page, s.readError(err)
}
