package pebble

import (
	"context"
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// CancelOrder cancels an order if its waybill's scans allow it. It is decided by the writer as every scan is, so one of
// the two comes first, and the other is judged by it.
func (s *Store) CancelOrder(ctx context.Context, key store.OrderKey, event state.Event) (store.Cancellation, error) {
	if err := s.disk.refusal(); err != nil {
		return store.Cancellation{}, err
	}
	op := &cancelOp{key: key, event: event}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return store.Cancellation{}, fmt.Errorf("cancel order %s: %w", key.OrderID, err)
	}
	return op.done, nil
}

type cancelOp struct {
	engine.Waiter
	key   store.OrderKey
	event state.Event
	done  store.Cancellation
}

func (o *cancelOp) rows() int { return 1 }
func (o *cancelOp) run(x *tx) { o.done, o.Err = x.cancelOrder(o.key, o.event) }

// cancelOrder reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) cancelOrder(key store.OrderKey, event state.Event) (done store.Cancellation, err error) {
	order, found, err := x.order(key)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	if err != nil {
		return done, err
	}
	event.DeliveryID, event.WaybillID, event.Type, event.Token = order.DeliveryID, order.WaybillID, state.Cancelled, ""
	w, err := x.waybill(order.Waybill())
	if err != nil {
		return done, err
	}
	before, err := x.timeline(w)
	if err != nil {
		return done, err
	}
	event.Time = store.CancelTime(before, event.Time)
	var p prepared
	p.prepare(x.w.seed, &event, nil)
	seen, known, err := x.seen(&p)
	if err != nil {
		return done, err
	}
	if known {
		return store.Cancellation{Verdict: store.RepeatedCancel(seen.verdict), Stage: w.head.Stage, Order: order.Order}, nil
	}
	open, err := x.pushesOf(w, before, (*store.PushRecord).Unsent)
	if err != nil {
		return done, err
	}
	v, err := x.decideNow(w, &p)
	if err != nil {
		return done, err
	}
	if err := x.cancelWith(w, &p, v, open); err != nil {
		return done, err
	}
	if v.Entry.Verdict != state.Rejected && order.CancelledAt.IsZero() {
		order.CancelledAt = codec.FromMillis(x.now)
		x.saveOrder(order)
	}
	return store.Cancellation{Verdict: v.Entry.Verdict, Stage: v.Stage, Order: order.Order}, nil
}

// decideNow is decide for an event that is newer than all others and waits for none: what is held before it is accepted,
// as if its time were up.
func (x *tx) decideNow(w *waybill, p *prepared) (v verdict, err error) {
	v, err = x.decide(w, p)
	if err != nil || v.Entry.Verdict != state.Held {
		return v, err
	}
	v.Decision = x.s.Terms().Machine.Hasten(v.after, v.Decision)
	v.released, err = x.eventsOf(v.Changed)
	return v, err
}

// cancelWith keeps a decided cancellation. If it is accepted, nothing of the waybill is sent any more: not what was open
// before, not what it released, and not the cancellation itself.
func (x *tx) cancelWith(w *waybill, p *prepared, v verdict, open []numbered) error {
	r, _ := x.keepQuietly(w, p, v)
	if r.Verdict != state.Accepted {
		return nil
	}
	for _, e := range append(v.Changed, v.Entry) {
		if e.Verdict != state.Accepted {
			continue
		}
		// It came with this commit, so this reads nothing, and the cancellation's ord is its number.
		rec, err := x.push(w.name, e.Seq, e.Seq)
		if err != nil {
			return err
		}
		open = append(open, numbered{e.Seq, rec})
	}
	for _, o := range open {
		if o.rec.Unsent() {
			x.end(w.name, o.seq, &o.rec, store.Discarded, store.ReasonCancelled)
		}
	}
	x.feedReload(w)
	return nil
}
