package postgres

import (
	"context"
	"errors"
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// CancelOrder cancels an order if its waybill's scans allow it. It holds the waybill's row as every scan does, so one of
// the two comes first, and the other is judged by it.
func (s *Store) CancelOrder(ctx context.Context, key store.OrderKey, event state.Event) (store.Cancellation, error) {
	for {
		order, err := s.ReadOrder(ctx, key)
		if err != nil {
			return store.Cancellation{}, notKept(err)
		}
		op := &cancelOp{order: order, event: event}
		err = s.write(ctx, slotOf(order.Waybill()), op, &op.Waiter)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return store.Cancellation{}, fmt.Errorf("cancel order %s: %w", key.OrderID, err)
		}
		return op.done, nil
	}
}

type cancelOp struct {
	engine.Waiter
	order store.Order // As it was before.
	event state.Event
	done  store.Cancellation
}

func (o *cancelOp) rows() int { return 1 }

func (o *cancelOp) needs(n *needs) {
	n.waybills[o.order.Waybill()] = true
	n.ids[eventID{o.event.Source, o.event.ID}] = true
	n.numbers++
}

func (o *cancelOp) run(x *tx) {
	o.done, o.Err = x.cancelOrder(o.order.OrderKey, o.order.Waybill(), o.event)
}

// cancelOrder reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) cancelOrder(key store.OrderKey, of state.Waybill, event state.Event) (done store.Cancellation, err error) {
	order, found, err := x.order(key)
	switch {
	case err != nil:
		return done, err
	case !found:
		return done, store.ErrNotFound
	case order.Waybill() != of:
		return done, errMoved
	}
	event.DeliveryID, event.WaybillID, event.Type, event.Token = of.DeliveryID, of.WaybillID, state.Cancelled, ""
	w, err := x.waybill(of)
	if err != nil {
		return done, err
	}
	event.Time = store.CancelTime(w.timeline, event.Time)
	p := prepare(&event)
	seen, known, err := x.seen(p.id)
	if err != nil {
		return done, err
	}
	if known {
		return store.Cancellation{Verdict: store.RepeatedCancel(seen.verdict), Stage: w.timeline.Stage(), Order: order}, nil
	}
	open, err := x.pushesOf(w)
	if err != nil {
		return done, err
	}
	v, err := x.decideNow(w, &p)
	if err != nil {
		return done, err
	}
	x.cancelWith(w, &p, &v, open)
	if v.Entry.Verdict != state.Rejected && order.CancelledAt.IsZero() {
		order.CancelledAt = codec.FromMillis(x.now)
		if _, err := x.exec(cancelOrder, key.DeliveryID, key.BizID, key.OrderID, timestamp(x.now)); err != nil {
			return done, err
		}
	}
	return store.Cancellation{Verdict: v.Entry.Verdict, Stage: v.Stage, Order: order}, nil
}

// decideNow is decide for an event that is newer than all others and waits for none: what is held before it is accepted,
// as if its time were up.
func (x *tx) decideNow(w *waybill, p *prepared) (v verdict, err error) {
	v, err = x.decide(w, p)
	if err != nil || v.Entry.Verdict != state.Held {
		return v, err
	}
	v.Decision = x.s.Terms().Machine.Hasten(v.after, v.Decision)
	v.released, err = x.release(v.Changed)
	return v, err
}

// cancelWith keeps a decided cancellation. If it is accepted, nothing of the waybill is sent any more: not what was open
// before, not what it released, and not the cancellation itself.
func (x *tx) cancelWith(w *waybill, p *prepared, v *verdict, pushes []*row) {
	r, _ := x.keepQuietly(w, p, v)
	if r.Verdict != state.Accepted {
		return
	}
	for _, r := range append(append(pushes, v.released...), x.rows[r.Seq]) {
		if r.push.Unsent() {
			x.end(w, r, store.Discarded, store.ReasonCancelled)
		}
	}
	x.feedReload(w)
}
