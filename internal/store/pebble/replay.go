package pebble

import (
	"context"
	"fmt"

	"carrier/internal/store"
)

// Replay makes a push that ended pending again.
func (s *Store) Replay(ctx context.Context, seq uint64, force bool, _ store.Act) (store.Push, error) {
	op := &replayOp{seq: seq, force: force}
	if err := s.write(ctx, op, &op.waiter); err != nil {
		return store.Push{}, fmt.Errorf("replay push %d: %w", seq, err)
	}
	return op.push, nil
}

type replayOp struct {
	waiter
	seq   uint64
	force bool
	push  store.Push
}

func (o *replayOp) rows() int { return 1 }
func (o *replayOp) run(x *tx) { o.push, o.err = x.replay(o.seq, o.force) }

func (x *tx) replay(seq uint64, force bool) (store.Push, error) {
	event, found, err := readEvent(x.s.db, seq)
	if err != nil {
		return store.Push{}, err
	}
	if !found {
		return store.Push{}, store.ErrNotFound
	}
	rec, err := x.existing(event.event.Waybill(), seq)
	if err != nil {
		return store.Push{}, err
	}
	if err := replayable(&rec, force); err != nil {
		return store.Push{}, err
	}
	w, err := x.waybill(event.event.Waybill())
	if err != nil {
		return store.Push{}, err
	}
	x.reopen(w, seq, rec)
	x.unpark(w)
	x.feedReload(w)

	push := event.push(seq, rec.ord)
	rec = x.pushes[seq]
	rec.fill(&push)
	return push, nil
}

func replayable(rec *pushRecord, force bool) error {
	switch {
	case rec.status == store.Pending:
		return fmt.Errorf("it is pending: %w", store.ErrState)
	case rec.status == store.Delivered && !force:
		return fmt.Errorf("it is delivered, and only a forced replay sends it again: %w", store.ErrState)
	}
	return nil
}
