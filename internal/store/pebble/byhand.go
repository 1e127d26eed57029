package pebble

import (
	"context"
	"fmt"
	"slices"

	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// actOp is one person's act on one event or its push.
type actOp struct {
	engine.Waiter
	seq   uint64
	act   store.Act
	carry func(x *tx, o *actOp) error

	push  store.Push
	event store.Event
}

func (o *actOp) rows() int { return 1 }
func (o *actOp) run(x *tx) { o.Err = o.carry(x, o) }

func (s *Store) act(ctx context.Context, seq uint64, act store.Act, carry func(*tx, *actOp) error) (*actOp, error) {
	op := &actOp{seq: seq, act: act, carry: carry}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return nil, fmt.Errorf("%s %d: %w", act.Action, seq, err)
	}
	return op, nil
}

// Discard ends a push that is pending or failed.
func (s *Store) Discard(ctx context.Context, seq uint64, act store.Act) (store.Push, error) {
	op, err := s.act(ctx, seq, act, (*tx).discardByHand)
	if err != nil {
		return store.Push{}, err
	}
	return op.push, nil
}

// RetryNow lets a push go at once that waits for its next attempt.
func (s *Store) RetryNow(ctx context.Context, seq uint64, act store.Act) (store.Push, error) {
	op, err := s.act(ctx, seq, act, (*tx).retryNow)
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

// ofEvent reads an event with its push and its waybill, as they are within this commit.
func (x *tx) ofEvent(seq uint64) (event eventRecord, rec pushRecord, w *waybill, err error) {
	event, found, err := readEvent(x.s.db, seq)
	if err != nil {
		return event, rec, nil, err
	}
	if !found {
		return event, rec, nil, store.ErrNotFound
	}
	if rec, err = x.existing(event.event.Waybill(), seq); err != nil {
		return event, rec, nil, err
	}
	w, err = x.waybill(event.event.Waybill())
	return event, rec, w, err
}

// done gives the caller the push as it is now, and keeps the act; replay is the one that it started, or 0.
func (o *actOp) done(x *tx, event *eventRecord, rec *pushRecord, replay uint64) {
	o.push = event.push(o.seq, rec.Ord)
	rec.fill(&o.push)
	x.audit(o.act, store.AuditEntry{
		DeliveryID: event.event.DeliveryID, WaybillID: event.event.WaybillID, Seq: o.seq, Replay: replay,
	})
}

func (x *tx) discardByHand(o *actOp) error {
	event, rec, w, err := x.ofEvent(o.seq)
	if err != nil {
		return err
	}
	if rec.Status != store.Pending && rec.Status != store.Failed {
		return fmt.Errorf("it is %s: %w", rec.Status, store.ErrState)
	}
	reason := o.act.Reason
	if reason == "" {
		reason = store.ReasonOperator
	}
	x.end(w.name, o.seq, &rec, store.Discarded, reason)
	o.done(x, &event, &rec, 0)
	x.feedReload(w)
	return nil
}

func (x *tx) retryNow(o *actOp) error {
	event, rec, w, err := x.ofEvent(o.seq)
	if err != nil {
		return err
	}
	if rec.Status != store.Pending {
		return fmt.Errorf("it is %s: %w", rec.Status, store.ErrState)
	}
	waits, err := x.waitsBehind(w, rec.Ord)
	if err != nil {
		return err
	}
	if waits || w.blocked() || rec.NextAt <= x.s.opts.Now().UnixMilli() {
		return fmt.Errorf("it does not wait for its next attempt: %w", store.ErrState)
	}
	rec.NextAt = 0
	x.savePush(o.seq, rec)
	o.done(x, &event, &rec, 0)
	x.feedReload(w)
	return nil
}

// waitsBehind tells whether a waybill has an open push that goes before the one with an ord.
func (x *tx) waitsBehind(w *waybill, ord uint64) (bool, error) {
	if w.open == 1 {
		return false, nil
	}
	t, err := x.timeline(w)
	if err != nil {
		return false, err
	}
	for i := range t {
		if t[i].Ord == 0 || t[i].Ord >= ord {
			continue
		}
		if rec, err := x.push(w.name, t[i].Seq, t[i].Ord); err != nil || rec.Status == store.Pending {
			return true, err
		}
	}
	return false, nil
}

// override carries out what state.Machine.Override says.
func (x *tx) override(o *actOp) error {
	event, found, err := readEvent(x.s.db, o.seq)
	if err != nil {
		return err
	}
	if !found {
		return store.ErrNotFound
	}
	if event.expunged() {
		return store.ErrExpunged
	}
	w, err := x.waybill(event.event.Waybill())
	if err != nil {
		return err
	}
	before, err := x.timeline(w)
	if err != nil {
		return err
	}
	after := slices.Clone(before)
	changed := x.s.Terms().Machine.Override(after, o.seq, x.clock)
	if changed == nil {
		return fmt.Errorf("it is not rejected: %w", store.ErrState)
	}
	events, err := x.eventsOf(changed)
	if err != nil {
		return err
	}
	open := w.open
	x.feedOpened(w, open, x.settleTimeline(w, before, after, changed, events))
	x.audit(o.act, store.AuditEntry{DeliveryID: w.name.DeliveryID, WaybillID: w.name.WaybillID, Seq: o.seq})

	r := row{seq: o.seq, event: event, hasPush: true, push: x.pushes[o.seq]}
	o.event = r.storeEvent(after.Find(o.seq))
	return nil
}
