package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrier/internal/store"
)

// Settle records what became of a push. It blocks only while the committer's queue is full.
//
// An attempt of a push that is not pending any more is kept as an attempt and changes nothing else. A decision without
// an attempt is ErrState then, but for one: a failed push may be discarded.
//
// While PostgreSQL does not answer, an outcome is kept in memory, as long as the waybill is this node's; then it is
// ErrNotOwner.
func (s *Store) Settle(o store.Outcome, done func(error)) {
	if o.Status == store.NoPush || o.Status >= store.NumStatuses {
		done(fmt.Errorf("push %d: an outcome without a status", o.Seq))
		return
	}
	s.enqueueSettle(&settleOp{s: s, outcome: o, done: done})
}

func (s *Store) enqueueSettle(o *settleOp) {
	if err := s.enqueue(context.Background(), slotOf(o.outcome.Waybill), o); err != nil {
		o.done(err)
	}
}

// settleAgain is how long an outcome waits that could not be recorded.
const settleAgain = 500 * time.Millisecond

type settleOp struct {
	s       *Store
	outcome store.Outcome
	done    func(error)
	err     error
}

func (o *settleOp) rows() int { return 1 }

func (o *settleOp) needs(n *needs) {
	n.waybills[o.outcome.Waybill], n.seqs[o.outcome.Seq] = true, true
}

func (o *settleOp) finish(err error) {
	switch {
	case err == nil:
		o.done(o.err)
	case !mayTryAgain(err):
		o.done(err)
	case o.s.leases.owns(o.outcome.Waybill):
		time.AfterFunc(settleAgain, func() { o.s.enqueueSettle(o) })
	default:
		o.done(fmt.Errorf("push %d of %s was not recorded before this node's lease ended: %w: %w",
			o.outcome.Seq, o.outcome.Waybill, store.ErrNotOwner, err))
	}
}

// mayTryAgain tells whether the same outcome may be recorded yet. If it was already, and only the answer was lost, then
// the attempt is listed twice.
func mayTryAgain(err error) bool {
	_, unknown := errors.AsType[*unknownError](err)
	return unknown || errors.Is(err, store.ErrUnavailable)
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
	if r.push.status != store.Pending {
		return x.settleEnded(w, r, &o)
	}
	if o.Park && o.Token != "" && o.Token != w.token {
		// A newer Token came while this one was being refused: the waybill has not failed yet.
		o.Status, o.Reason, o.Refusals, o.NextAt, o.Park = store.Pending, "", 0, time.Time{}, false
	}
	p := &r.push
	if o.Attempt != nil {
		p.note(*o.Attempt)
	}
	p.tries, p.refusals, p.used, p.nextAt = o.Tries, o.Refusals, o.Used, millis(o.NextAt)
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
	case o.Attempt != nil && o.Status == store.Delivered && p.status == store.Discarded:
		// It was in flight when it was discarded: what upstream has taken is delivered.
		p.note(*o.Attempt)
		p.tries = o.Tries
		x.end(w, r, store.Delivered, "")
	case o.Attempt != nil:
		p.note(*o.Attempt)
		x.change(r)
	case o.Status == store.Discarded && p.status == store.Failed:
		x.end(w, r, store.Discarded, o.Reason)
	default:
		return fmt.Errorf("it is %s: %w", p.status, store.ErrState)
	}
	return nil
}
