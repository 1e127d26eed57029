package pebble

import (
	"context"
	"errors"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// replays is what the writer knows of replays. Those that are not through stay in memory; the others are read when one
// of their pushes, sent once more in its name, ends late.
type replays struct {
	last  serial
	known map[uint64]*store.Replay
}

// forget drops those that are through. The writer calls it between batches only, as a batch can't be read.
func (r *replays) forget() {
	for id, known := range r.known {
		if known.Status.Ended() && known.Open() == 0 {
			delete(r.known, id)
		}
	}
}

// StartReplay keeps a new replay.
func (s *Store) StartReplay(ctx context.Context, r store.Replay, act store.Act) (store.Replay, error) {
	if err := r.Fit(); err != nil { // Better no replay than no writer.
		return store.Replay{}, err
	}
	return s.changeReplay(ctx, "start a replay", act, func(x *tx) (*store.Replay, error) {
		r.UpTo = x.w.next - 1
		return x.newReplay(r, act), nil
	})
}

// SetReplay pauses a replay, lets it go on, or cancels it.
func (s *Store) SetReplay(ctx context.Context, id uint64, to store.ReplayStatus, act store.Act) (store.Replay, error) {
	return s.changeReplay(ctx, fmt.Sprintf("replay %d", id), act, func(x *tx) (*store.Replay, error) {
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
	return s.changeReplay(ctx, what, store.Act{}, func(x *tx) (*store.Replay, error) { return x.requeue(&step) })
}

// Resend makes delivered pushes of a waybill pending again.
func (s *Store) Resend(ctx context.Context, w state.Waybill, seqs []uint64, act store.Act) (store.Replay, error) {
	return s.changeReplay(ctx, fmt.Sprintf("send pushes of %s again", w), act, func(x *tx) (*store.Replay, error) {
		plan, err := x.sendable(seqs, func(event *eventRecord, _ uint64, rec *pushRecord) bool {
			return rec.Status == store.Delivered && event.event.Waybill() == w
		})
		if err != nil {
			return nil, err
		}
		if len(plan) == 0 {
			return nil, fmt.Errorf("none of them is delivered: %w", store.ErrState)
		}
		r := x.newReplay(store.Replay{
			Reason: act.Reason, Filter: store.Query{Status: store.Delivered, DeliveryID: w.DeliveryID, WaybillID: w.WaybillID},
			UpTo: x.w.next - 1, Matched: int64(len(seqs)), Legs: []store.Leg{{DeliveryID: w.DeliveryID}},
		}, act)
		x.carryOut(r, plan)
		r.Requeued, r.Skipped = int64(len(plan)), int64(len(seqs)-len(plan))
		r.Advance(store.Leg{DeliveryID: w.DeliveryID, Cursor: r.UpTo, Done: true}) // It takes no steps.
		return r, nil
	})
}

func (s *Store) changeReplay(
	ctx context.Context, what string, act store.Act, change func(*tx) (*store.Replay, error),
) (store.Replay, error) {
	op := &replaysOp{change: change, act: act}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return store.Replay{}, fmt.Errorf("%s: %w", what, err)
	}
	return op.after, nil
}

type replaysOp struct {
	engine.Waiter
	act    store.Act
	change func(*tx) (*store.Replay, error)
	after  store.Replay
}

func (o *replaysOp) rows() int { return 1 }

func (o *replaysOp) run(x *tx) {
	r, err := o.change(x)
	if err != nil {
		o.Err = err
		return
	}
	x.audit(o.act, store.AuditEntry{DeliveryID: r.Filter.DeliveryID, WaybillID: r.Filter.WaybillID, Seq: r.Single, Replay: r.ID})
	o.after = r.Clone()
}

// newReplay makes a replay. For one of many pushes, what ended before it was made is told from what ends after it by the
// clock: the next commit gets a later time, and this one takes nothing more.
func (x *tx) newReplay(r store.Replay, act store.Act) *store.Replay {
	r.Begin(uint64(x.w.replays.last.take()), act.By, codec.FromMillis(x.now))
	if r.Single == 0 {
		x.w.lastMS, x.full, x.dated = x.now+1, true, true
	}
	made := r.Clone()
	x.w.replays.known[r.ID] = &made
	x.touchReplay(&made)
	return &made
}

// replayOf gives a replay as it is within this commit.
func (x *tx) replayOf(id uint64) (*store.Replay, error) {
	if r := x.w.replays.known[id]; r != nil {
		return r, nil
	}
	r, err := readReplay(x.s.db, id)
	if err != nil {
		return nil, err
	}
	x.w.replays.known[id] = &r
	return &r, nil
}

// touchReplay notes that a replay changed, and sees whether it is through.
func (x *tx) touchReplay(r *store.Replay) {
	r.Conclude(codec.FromMillis(x.now))
	x.replays[r.ID] = r
}

// saveReplays writes those that changed.
func (x *tx) saveReplays() {
	for id, r := range x.replays {
		x.putJSON(seqKey(nil, tableReplays, id), r)
	}
}

// requeued is a push that a step makes pending again.
type requeued struct {
	w *waybill
	numbered
}

// requeue reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) requeue(step *store.Requeue) (*store.Replay, error) {
	r, err := x.replayOf(step.Replay)
	if err != nil {
		return nil, err
	}
	if err := r.Running(); err != nil {
		return nil, err
	}
	plan, err := x.sendable(step.Seqs, func(_ *eventRecord, seq uint64, rec *pushRecord) bool {
		return rec.DoneAt <= codec.Millis(r.CreatedAt) && r.Concerns(seq, rec.Status)
	})
	if err != nil {
		return nil, err
	}
	x.carryOut(r, plan)
	r.Requeued += int64(len(plan))
	r.Skipped += int64(step.Skipped + len(step.Seqs) - len(plan))
	r.Advance(step.Leg)
	x.touchReplay(r)
	return r, nil
}

// sendable reads those of the pushes that there is something to send of, and that are wanted, each once.
func (x *tx) sendable(seqs []uint64, wanted func(event *eventRecord, seq uint64, rec *pushRecord) bool) ([]requeued, error) {
	var plan []requeued
	seen := make(map[uint64]bool, len(seqs))
	for _, seq := range seqs {
		if seen[seq] {
			continue
		}
		seen[seq] = true
		event, found, err := readEvent(x.s.db, seq)
		if err != nil {
			return nil, err
		}
		if !found {
			continue // Retention was faster.
		}
		rec, err := x.existing(event.event.Waybill(), seq)
		if errors.Is(err, store.ErrState) {
			continue // It has no push.
		}
		if err != nil {
			return nil, err
		}
		if event.expunged() || !wanted(&event, seq, &rec) {
			continue
		}
		w, err := x.waybill(event.event.Waybill())
		if err != nil {
			return nil, err
		}
		plan = append(plan, requeued{w, numbered{seq, rec}})
	}
	return plan, nil
}

func (x *tx) carryOut(r *store.Replay, plan []requeued) {
	for i, p := range plan {
		x.reopen(p.w, p.seq, p.rec, r.ID, r.Single == 0)
		if i+1 == len(plan) || plan[i+1].w != p.w {
			x.unpark(p.w)
			x.feedReload(p.w)
		}
	}
}

// replayEnded counts the end of a push that a replay made pending; was is what was counted before, if it ends in another
// way after all. A replay that can't be read must not keep pushes from ending.
func (x *tx) replayEnded(id uint64, was, to store.Status) {
	if id == 0 {
		return
	}
	r, err := x.replayOf(id)
	if err != nil {
		x.s.reportDamage(fmt.Errorf("replay %d, which a push belongs to: %w", id, err))
		return
	}
	r.CountEnd(was, to)
	x.touchReplay(r)
}

// ReadReplay reads one.
func (s *Store) ReadReplay(_ context.Context, id uint64) (r store.Replay, err error) {
	err = s.view(func(db cdb.Reader) error {
		r, err = readReplay(db, id)
		return err
	})
	return r, err
}

func readReplay(db cdb.Reader, id uint64) (r store.Replay, err error) {
	found, err := read(db, seqKey(nil, tableReplays, id), func(v []byte) error { return decodeJSON(v, &r) })
	if err == nil && !found {
		err = fmt.Errorf("replay %d: %w", id, store.ErrNotFound)
	}
	return r, err
}

// ListReplays lists replays, newest first.
func (s *Store) ListReplays(_ context.Context, before uint64, limit int) (page store.Page[store.Replay], err error) {
	err = s.view(func(db cdb.Reader) error {
		page, err = readNumbered[store.Replay](db, tableReplays, before, limit)
		return err
	})
	return page, err
}
