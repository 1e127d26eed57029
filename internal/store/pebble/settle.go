package pebble

import (
	"context"
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Settle records what became of a push. It blocks only while the writer's queue is full.
//
// An attempt of a push that is not pending any more is kept as an attempt and changes nothing else. A decision without
// an attempt is ErrState then, but for one: a failed push may be discarded.
func (s *Store) Settle(o store.Outcome, done func(error)) {
	if err := o.Fit(); err != nil {
		done(err)
		return
	}
	if err := s.enqueue(context.Background(), &settleOp{outcome: o, done: done}); err != nil {
		done(err)
	}
}

type settleOp struct {
	outcome store.Outcome
	done    func(error)
	err     error
}

func (o *settleOp) rows() int { return 1 }

// Finish answers, once that is durable; with an error, if it is not.
func (o *settleOp) Finish(err error) {
	if err == nil {
		err = o.err
	}
	o.done(err)
}

func (o *settleOp) run(x *tx) {
	if o.err = x.settle(&o.outcome); o.err != nil {
		o.err = fmt.Errorf("push %d of %s: %w", o.outcome.Seq, o.outcome.Waybill, o.err)
	}
}

func (x *tx) settle(o *store.Outcome) error {
	rec, err := x.existing(o.Waybill, o.Seq)
	if err != nil {
		return err
	}
	if rec.Status != store.Pending {
		return x.settleEnded(o, rec)
	}
	var parked *waybill
	if o.Park {
		if parked, err = x.waybill(o.Waybill); err != nil {
			return err
		}
		if o.Token != "" && o.Token != parked.token {
			o, parked = new(o.Spare()), nil // A newer Token came while this one was being refused.
		}
	}
	if o.Attempt != nil {
		rec.Note(*o.Attempt)
	}
	rec.Tries, rec.Refusals, rec.Used = o.Tries, o.Refusals, o.Used
	rec.NextAt = codec.Millis(o.NextAt)
	if o.Status == store.Pending {
		x.savePush(o.Seq, rec)
	} else {
		x.end(o.Waybill, o.Seq, &rec, o.Status, o.Reason)
	}
	if parked != nil {
		x.park(parked)
	}
	return nil
}

// settleEnded takes an outcome of a push that is not pending.
func (x *tx) settleEnded(o *store.Outcome, rec pushRecord) error {
	switch {
	case o.Attempt != nil && o.Status == store.Delivered && rec.Status == store.Discarded:
		// It was in flight when it was discarded: what upstream has taken is delivered.
		rec.Note(*o.Attempt)
		rec.Tries = o.Tries
		x.end(o.Waybill, o.Seq, &rec, store.Delivered, "")
	case o.Attempt != nil:
		rec.Note(*o.Attempt)
		x.savePush(o.Seq, rec)
	case o.Status == store.Discarded && rec.Status == store.Failed:
		x.end(o.Waybill, o.Seq, &rec, store.Discarded, o.Reason)
	default:
		return fmt.Errorf("it is %s: %w", rec.Status, store.ErrState)
	}
	return nil
}

// existing reads the push of an event that must have one.
func (x *tx) existing(w state.Waybill, seq uint64) (rec pushRecord, err error) {
	if rec, ok := x.pushes[seq]; ok {
		return rec, nil
	}
	if x.w.untried.has(seq, w) {
		return untriedPush(seq), nil
	}
	r, found, err := readRow(x.s.db, seq)
	switch {
	case err != nil:
		return rec, err
	case !found, r.event.event.Waybill() != w:
		return rec, store.ErrNotFound
	case !r.hasPush:
		return rec, fmt.Errorf("the event has no push: %w", store.ErrState)
	}
	x.noteIndexed(seq, &r.push)
	return r.push, nil
}
