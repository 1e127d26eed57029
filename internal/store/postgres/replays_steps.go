package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// StartReplay keeps a new replay.
func (s *Store) StartReplay(ctx context.Context, r store.Replay, act store.Act) (store.Replay, error) {
	if err := r.Fit(); err != nil { // Better no replay than one that can't be read.
		return store.Replay{}, err
	}
	return s.changeReplay(ctx, "start a replay", act, nil, func(x *tx) (*replayRecord, error) {
		last, err := x.lastNumber()
		if err != nil {
			return nil, err
		}
		r.UpTo = last
		return x.newReplay(r, act)
	})
}

// SetReplay pauses a replay, lets it go on, or cancels it.
func (s *Store) SetReplay(ctx context.Context, id uint64, to store.ReplayStatus, act store.Act) (store.Replay, error) {
	return s.changeReplay(ctx, fmt.Sprintf("replay %d", id), act, nil, func(x *tx) (*replayRecord, error) {
		r, err := x.replayOf(id)
		if err != nil {
			return nil, err
		}
		if err := r.Set(to); err != nil {
			return nil, err
		}
		x.touchReplay(r)
		return r, nil
	})
}

// Requeue carries out a step of a replay.
func (s *Store) Requeue(ctx context.Context, step store.Requeue) (store.Replay, error) {
	what := fmt.Sprintf("replay %d", step.Replay)
	of, err := s.waybillsOf(ctx, step.Seqs)
	if err != nil {
		return store.Replay{}, fmt.Errorf("%s: %w", what, notKept(err))
	}
	return s.changeReplay(ctx, what, store.Act{}, of, func(x *tx) (*replayRecord, error) { return x.requeue(&step) })
}

// waybillsOf tells whose events are, so that the waybills can be locked at once. That never changes.
func (s *Store) waybillsOf(ctx context.Context, seqs []uint64) (of []state.Waybill, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, "SELECT DISTINCT delivery_id, waybill_id FROM events WHERE seq = ANY($1::bigint[])", int64s(seqs))
		if err != nil {
			return err
		}
		of, err = pgx.CollectRows(rows, pgx.RowToStructByPos[state.Waybill])
		return err
	})
	return of, s.readError(err)
}

func (s *Store) changeReplay(
	ctx context.Context, what string, act store.Act, of []state.Waybill, change func(*tx) (*replayRecord, error),
) (after store.Replay, err error) {
	err = s.change(ctx, 0, func(x *tx) error {
		r, err := change(x)
		if err != nil {
			return err
		}
		x.audit(act, store.AuditEntry{DeliveryID: r.Filter.DeliveryID, WaybillID: r.Filter.WaybillID, Seq: r.Single, Replay: r.ID})
		after = r.Clone()
		return nil
	}, of...)
	if err != nil {
		return store.Replay{}, fmt.Errorf("%s: %w", what, err)
	}
	return after, nil
}

// requeue reads all that it takes first, as only that can fail, and then makes all changes. Replays are locked after
// waybills: that their rows are locked already is what the caller saw to.
func (x *tx) requeue(step *store.Requeue) (*replayRecord, error) {
	r, err := x.replayOf(step.Replay)
	if err != nil {
		return nil, err
	}
	if err := r.Running(); err != nil {
		return nil, err
	}
	plan, err := x.sendable(step.Seqs, func(row *row) bool {
		return row.push.doneAfter < r.ID && r.Concerns(row.seq, row.push.Status)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range plan {
		x.carryOut(r, p.w, p.rows)
		r.Requeued += int64(len(p.rows))
	}
	r.Skipped += int64(step.Skipped + len(step.Seqs) - plan.count())
	r.Advance(step.Leg)
	x.touchReplay(r)
	return r, nil
}

// sendPlan are pushes that are to be made pending again, waybill by waybill.
type sendPlan []struct {
	w    *waybill
	rows []*row
}

func (p sendPlan) count() (n int) {
	for i := range p {
		n += len(p[i].rows)
	}
	return n
}

// sendable reads those of the pushes that there is something to send of, and that are wanted, each once.
func (x *tx) sendable(seqs []uint64, wanted func(*row) bool) (plan sendPlan, err error) {
	if err := x.want(seqs); err != nil {
		return nil, err
	}
	places, seen := map[state.Waybill]int{}, map[uint64]bool{}
	for _, seq := range seqs {
		r := x.rows[seq]
		if seen[seq] || r == nil || r.push.Status == store.NoPush || r.expunged || !wanted(r) {
			continue // Named twice, or retention was faster, or there is nothing to send.
		}
		seen[seq] = true
		name := r.event.Waybill()
		at, known := places[name]
		if !known {
			at = len(plan)
			places[name] = at
			w, err := x.waybill(name)
			if err != nil {
				return nil, err
			}
			plan = append(plan, struct {
				w    *waybill
				rows []*row
			}{w: w})
		}
		plan[at].rows = append(plan[at].rows, r)
	}
	return plan, nil
}

// ReadReplay reads one.
func (s *Store) ReadReplay(ctx context.Context, id uint64) (r store.Replay, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, "SELECT detail FROM replays WHERE id = $1", below(id))
		if err != nil {
			return err
		}
		r, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[store.Replay])
		if errors.Is(err, pgx.ErrNoRows) {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.Replay{}, fmt.Errorf("replay %d: %w", id, s.readError(err))
	}
	return r, nil
}

// ListReplays lists replays, newest first.
func (s *Store) ListReplays(ctx context.Context, before uint64, limit int) (page store.Page[store.Replay], err error) {
	limit = min(max(limit, 1), store.MaxLimit)
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, "SELECT detail FROM replays WHERE id < $1 ORDER BY id DESC LIMIT $2", below(before), limit+1)
		if err != nil {
			return err
		}
		page.Items, err = pgx.CollectRows(rows, pgx.RowTo[store.Replay])
		page.Next = cutPage(&page.Items, limit, func(r *store.Replay) uint64 { return r.ID })
		return err
	})
	if err != nil {
		return page, fmt.Errorf("replays: %w", s.readError(err))
	}
	return page, nil
}
