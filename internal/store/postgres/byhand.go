package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// actOp is one person's act on one event or its push.
type actOp struct {
	engine.Waiter
	seq     uint64
	waybill state.Waybill
	act     store.Act
	carry   func(x *tx, o *actOp, w *waybill, r *row) error

	push  store.Push
	event store.Event
}

func (o *actOp) rows() int { return 1 }

func (o *actOp) needs(n *needs) { n.waybills[o.waybill], n.seqs[o.seq] = true, true }

func (o *actOp) run(x *tx) { o.Err = o.carryOut(x) }

func (o *actOp) carryOut(x *tx) error {
	w, err := x.waybill(o.waybill)
	if err != nil {
		return err
	}
	r, err := x.row(o.seq)
	if err == nil && r == nil {
		err = store.ErrNotFound // Retention was faster.
	}
	if err != nil {
		return err
	}
	return o.carry(x, o, w, r)
}

func (s *Store) act(ctx context.Context, seq uint64, act store.Act, carry func(*tx, *actOp, *waybill, *row) error) (*actOp, error) {
	op := &actOp{seq: seq, act: act, carry: carry}
	var err error
	if op.waybill, err = s.waybillOf(ctx, seq); err == nil {
		err = s.write(ctx, slotOf(op.waybill), op, &op.Waiter)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %d: %w", act.Action, seq, err)
	}
	return op, nil
}

// done gives the caller the push as it is now, and keeps the act; replay is the one that it started, or 0.
func (o *actOp) done(x *tx, r *row, replay uint64) {
	o.push, o.event = r.store(), r.storeEvent()
	on := onWaybill(o.waybill)
	on.Seq, on.Replay = o.seq, replay
	x.audit(o.act, on)
}

// Discard ends a push that is pending or failed.
func (s *Store) Discard(ctx context.Context, seq uint64, act store.Act) (store.Push, error) {
	return s.actOnPush(ctx, seq, act, func(x *tx, o *actOp, w *waybill, r *row) error {
		if r.push.Status != store.Pending && r.push.Status != store.Failed {
			return fmt.Errorf("it is %s: %w", r.push.Status, store.ErrState)
		}
		reason := o.act.Reason
		if reason == "" {
			reason = store.ReasonOperator
		}
		x.end(w, r, store.Discarded, reason)
		o.done(x, r, 0)
		x.feedReload(w)
		return nil
	})
}

// RetryNow lets a push go at once that waits for its next attempt.
func (s *Store) RetryNow(ctx context.Context, seq uint64, act store.Act) (store.Push, error) {
	return s.actOnPush(ctx, seq, act, func(x *tx, o *actOp, w *waybill, r *row) error {
		if r.push.Status != store.Pending {
			return fmt.Errorf("it is %s: %w", r.push.Status, store.ErrState)
		}
		if w.open[0] != r.seq || w.blocked() || r.push.NextAt <= x.s.opts.Now().UnixMilli() {
			return fmt.Errorf("it does not wait for its next attempt: %w", store.ErrState)
		}
		r.push.NextAt = 0
		x.change(r)
		x.touch(w)
		o.done(x, r, 0)
		x.feedReload(w)
		return nil
	})
}

// Replay makes one push that ended pending again.
func (s *Store) Replay(ctx context.Context, seq uint64, force bool, act store.Act) (store.Push, error) {
	return s.actOnPush(ctx, seq, act, func(x *tx, o *actOp, w *waybill, r *row) error {
		if r.expunged {
			return store.ErrExpunged
		}
		if err := r.push.MayReplay(force); err != nil {
			return err
		}
		replay, err := x.newReplay(store.Replay{Single: o.seq, Reason: o.act.Reason, UpTo: o.seq, Matched: 1}, o.act)
		if err != nil {
			return err
		}
		x.carryOut(replay, w, []*row{r})
		replay.Requeued = 1
		o.done(x, r, replay.ID)
		return nil
	})
}

func (s *Store) actOnPush(ctx context.Context, seq uint64, act store.Act, carry func(*tx, *actOp, *waybill, *row) error) (store.Push, error) {
	op, err := s.act(ctx, seq, act, func(x *tx, o *actOp, w *waybill, r *row) error {
		if r.push.Status == store.NoPush {
			return fmt.Errorf("the event has no push: %w", store.ErrState)
		}
		return carry(x, o, w, r)
	})
	if err != nil {
		return store.Push{}, err
	}
	return op.push, nil
}

// Accept takes a rejected event into its waybill's timeline against the table.
func (s *Store) Accept(ctx context.Context, seq uint64, act store.Act) (store.Event, error) {
	op, err := s.act(ctx, seq, act, (*tx).override)
	if err != nil {
		return store.Event{}, err
	}
	return op.event, nil
}

// override carries out what state.Machine.Override says.
func (x *tx) override(o *actOp, w *waybill, r *row) (err error) {
	if r.expunged {
		return store.ErrExpunged
	}
	v := verdict{after: slices.Clone(w.timeline)}
	v.Changed = x.s.Terms().Machine.Override(v.after, o.seq, x.now)
	if v.Changed == nil {
		return fmt.Errorf("it is not rejected: %w", store.ErrState)
	}
	if v.released, err = x.release(v.Changed); err != nil {
		return err
	}
	open := len(w.open)
	x.feedOpened(w, open, x.settleTimeline(w, &v, nil))
	o.done(x, r, 0)
	return nil
}

// Resend makes delivered pushes of a waybill pending again.
func (s *Store) Resend(ctx context.Context, w state.Waybill, seqs []uint64, act store.Act) (store.Replay, error) {
	op := &resendOp{waybill: w, seqs: seqs, act: act}
	if err := s.write(ctx, slotOf(w), op, &op.Waiter); err != nil {
		return store.Replay{}, fmt.Errorf("send pushes of %s again: %w", w, err)
	}
	return op.after, nil
}

type resendOp struct {
	engine.Waiter
	waybill state.Waybill
	seqs    []uint64
	act     store.Act
	after   store.Replay
}

func (o *resendOp) rows() int { return len(o.seqs) }

func (o *resendOp) needs(n *needs) {
	n.waybills[o.waybill] = true
	for _, seq := range o.seqs {
		n.seqs[seq] = true
	}
}

func (o *resendOp) run(x *tx) { o.Err = o.resend(x) }

func (o *resendOp) resend(x *tx) error {
	w, err := x.waybill(o.waybill)
	if err != nil {
		return err
	}
	rows, err := o.delivered(x)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("none of them is delivered: %w", store.ErrState)
	}
	last, err := x.lastNumber()
	if err != nil {
		return err
	}
	delivery := o.waybill.DeliveryID
	r, err := x.newReplay(store.Replay{
		Reason: o.act.Reason, Filter: store.Query{Status: store.Delivered, DeliveryID: delivery, WaybillID: o.waybill.WaybillID},
		UpTo: last, Matched: int64(len(o.seqs)), Legs: []store.Leg{{DeliveryID: delivery}},
	}, o.act)
	if err != nil {
		return err
	}
	x.carryOut(r, w, rows)
	r.Requeued, r.Skipped = int64(len(rows)), int64(len(o.seqs)-len(rows))
	r.Legs[0] = store.Leg{DeliveryID: delivery, Cursor: last, Done: true} // It takes no steps.
	on := onWaybill(o.waybill)
	on.Replay = r.ID
	x.audit(o.act, on)
	o.after = r.Clone()
	return nil
}

// delivered lists those that can be sent again, each once.
func (o *resendOp) delivered(x *tx) (rows []*row, err error) {
	seen := map[uint64]bool{}
	for _, seq := range o.seqs {
		r, err := x.existing(o.waybill, seq)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrState):
			continue
		case err != nil:
			return nil, err
		}
		if r.push.Status == store.Delivered && !r.expunged && !seen[seq] {
			seen[seq] = true
			rows = append(rows, r)
		}
	}
	return rows, nil
}
