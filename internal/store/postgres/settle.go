package postgres

import (
	"context"
	"fmt"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Settle records what became of a push. It blocks only while the committer's queue is full.
//
// An attempt of a push that is not pending any more is kept as an attempt and changes nothing else. A decision without
// an attempt is ErrState then, but for one: a failed push may be discarded.
// An outcome of a waybill that another node pushes for by now is ErrNotOwner.
func (s *Store) Settle(o store.Outcome, done func(error)) {
	if err := o.Fit(); err != nil {
		done(err)
		return
	}
	if err := s.enqueue(context.Background(), slotOf(o.Waybill), &settleOp{outcome: o, done: done}); err != nil {
		done(err)
	}
}

type settleOp struct {
	outcome store.Outcome
	done    func(error)
	err     error
}

func (o *settleOp) rows() int { return 1 }

func (o *settleOp) needs(n *needs) {
	n.waybills[o.outcome.Waybill], n.seqs[o.outcome.Seq] = true, true
}

// Finish answers, once that is durable; with an error, if it is not.
func (o *settleOp) Finish(err error) {
	if err == nil {
		err = o.err
	}
	o.done(err)
}

func (o *settleOp) run(x *tx) {
	if o.err = x.checkOwner(o.outcome.Waybill); o.err == nil {
		o.err = x.settle(o.outcome)
	}
	if o.err != nil {
		o.err = fmt.Errorf("push %d of %s: %w", o.outcome.Seq, o.outcome.Waybill, o.err)
	}
}

func (x *tx) settle(o store.Outcome) error {
	w, err := x.waybill(o.Waybill)
	if err != nil {
		return err
	}
	r, err := x.existing(o.Waybill, o.Seq)
	if err != nil {
		return err
	}
	if o.Again && o.Attempt != nil && r.push.recorded(*o.Attempt) {
		return nil
	}
	if r.push.Status != store.Pending {
		return x.settleEnded(w, r, &o)
	}
	if o.Park && o.Token != "" && o.Token != w.token {
		o = o.Spare() // A newer Token came while this one was being refused.
	}
	p := &r.push
	if o.Attempt != nil {
		p.Note(*o.Attempt)
	}
	p.Tries, p.Refusals, p.Used, p.NextAt = o.Tries, o.Refusals, o.Used, codec.Millis(o.NextAt)
	x.change(r)
	if o.Status != store.Pending {
		x.end(w, r, o.Status, o.Reason)
	}
	if o.Park {
		w.parkedAt, w.dirty = x.now, true
	}
	return nil
}

// settleEnded takes an outcome of a push that is not pending.
func (x *tx) settleEnded(w *waybill, r *row, o *store.Outcome) error {
	p := &r.push
	switch {
	case o.Attempt != nil && o.Status == store.Delivered && p.Status == store.Discarded:
		// It was in flight when it was discarded: what upstream has taken is delivered.
		p.Note(*o.Attempt)
		p.Tries = o.Tries
		x.end(w, r, store.Delivered, "")
	case o.Attempt != nil:
		p.Note(*o.Attempt)
		x.change(r)
	case o.Status == store.Discarded && p.Status == store.Failed:
		x.end(w, r, store.Discarded, o.Reason)
	default:
		return fmt.Errorf("it is %s: %w", p.Status, store.ErrState)
	}
	return nil
}
