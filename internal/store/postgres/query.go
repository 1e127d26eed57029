package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Push reads one push with its attempts.
func (s *Store) Push(ctx context.Context, seq uint64) (p store.Push, err error) {
	err = s.view(ctx, func(tx pgx.Tx) error {
		rows, err := readRows(ctx, tx, []uint64{seq})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("event %d: %w", seq, store.ErrNotFound)
		}
		at, err := s.readStandings(ctx, tx, nil, rows)
		if err != nil {
			return err
		}
		p, err = at.push(rows[0])
		return err
	})
	return p, s.readError(err)
}

// Waybill reads a waybill's whole timeline.
func (s *Store) Waybill(ctx context.Context, name state.Waybill) (story store.Waybill, err error) {
	story.Waybill = name
	err = s.view(ctx, func(tx pgx.Tx) error {
		w, err := s.readWaybill(ctx, tx, name)
		if err != nil {
			return err
		}
		if !w.known() {
			return fmt.Errorf("waybill %s: %w", name, store.ErrNotFound)
		}
		story.Stage, story.TokenSet, story.TokenAt = w.timeline.Stage(), w.tokenAt != 0, codec.FromMillis(w.tokenAt)
		story.Parked, story.Frozen = w.parkedAt != 0, w.frozenAt != 0
		if story.Frozen {
			story.Held = w.hold()
		}
		story.Timeline, err = s.readSteps(ctx, tx, w)
		return err
	})
	return story, s.readError(err)
}

// readSteps reads the events of a timeline. Those that retention has deleted are left out.
func (s *Store) readSteps(ctx context.Context, tx pgx.Tx, w *waybill) ([]store.Step, error) {
	rows, err := readRows(ctx, tx, gather(w.timeline, func(e state.Entry) uint64 { return e.Seq }))
	if err != nil {
		return nil, err
	}
	bySeq := map[uint64]*row{}
	for _, r := range rows {
		bySeq[r.seq] = r
	}
	at := &standings{now: s.opts.Now(), known: map[state.Waybill]*waybill{w.name: w}}
	steps := make([]store.Step, 0, len(w.timeline))
	for i := range w.timeline {
		r := bySeq[w.timeline[i].Seq]
		if r == nil {
			continue
		}
		push, err := at.push(r)
		if err != nil {
			return nil, err
		}
		steps = append(steps, store.Step{Event: r.storeEvent(), Push: push})
	}
	return steps, nil
}
