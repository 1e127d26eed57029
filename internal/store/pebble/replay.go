package pebble

import (
	"context"
	"fmt"

	"carrier/internal/store"
)

// Replay makes one push that ended pending again.
func (s *Store) Replay(ctx context.Context, seq uint64, force bool, act store.Act) (store.Push, error) {
	op, err := s.act(ctx, seq, act, func(x *tx, o *actOp) error { return x.replayOne(o, force) })
	if err != nil {
		return store.Push{}, err
	}
	return op.push, nil
}

func (x *tx) replayOne(o *actOp, force bool) error {
	event, rec, w, err := x.ofEvent(o.seq)
	if err != nil {
		return err
	}
	if err := replayable(&event, &rec, force); err != nil {
		return err
	}
	r := x.newReplay(store.Replay{Single: o.seq, Reason: o.act.Reason, UpTo: o.seq, Matched: 1}, o.act)
	x.carryOut(r, []requeued{{w, numbered{o.seq, rec}}})
	r.Requeued = 1

	rec = x.pushes[o.seq]
	o.done(x, &event, &rec, r.ID)
	return nil
}

func replayable(event *eventRecord, rec *pushRecord, force bool) error {
	switch {
	case event.expunged():
		return errExpunged
	case rec.status == store.Pending:
		return fmt.Errorf("it is pending: %w", store.ErrState)
	case rec.status == store.Delivered && !force:
		return fmt.Errorf("it is delivered, and only a forced replay sends it again: %w", store.ErrState)
	}
	return nil
}
