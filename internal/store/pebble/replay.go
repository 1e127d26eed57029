package pebble

import (
	"context"

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
	if event.expunged() {
		return store.ErrExpunged
	}
	if err := rec.MayReplay(force); err != nil {
		return err
	}
	r := x.newReplay(store.Replay{Single: o.seq, Reason: o.act.Reason, UpTo: o.seq, Matched: 1}, o.act)
	x.carryOut(r, []requeued{{w, numbered{o.seq, rec}}})
	r.Requeued = 1

	rec = x.pushes[o.seq]
	o.done(x, &event, &rec, r.ID)
	return nil
}
