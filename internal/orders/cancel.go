package orders

import (
	"context"
	"errors"
	"strings"

	"carrier/internal/callback"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// cancellation is a cancel_waybill as far as it is decided here.
type cancellation struct {
	store.OrderKey
	waybillID string
	// eventID is of the local event that cancels the waybill: the same for every sending of this push, so that a
	// repeat is told from another cancellation.
	eventID  string
	at       int64 // Unix seconds.
	question Question
	bizPwd   string // A secret, as in order.
}

// Source is the name under which the events of cancellations are kept.
const Source = "wechat"

// cancel cancels an order as far as its waybill's scans and the dispatch system allow. An error means that nothing may
// be answered.
func (d *desk) cancel(ctx context.Context, a *account, c cancellation) (reply, error) {
	if !isName(c.OrderID) || !isName(c.BizID) {
		return refuse(callback.UnknownOrder, textUnknown), nil
	}
	key := strings.Join([]string{CancelWaybill, c.DeliveryID, c.eventID}, "\x00")
	return together(ctx, d, key, func(ctx context.Context) (reply, error) { return d.undo(ctx, a, &c) })
}

func (d *desk) undo(ctx context.Context, a *account, c *cancellation) (reply, error) {
	o, err := d.store.ReadOrder(ctx, c.OrderKey)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.waybillID != o.WaybillID {
		return refuse(callback.UnknownOrder, textUnknown), nil
	}
	if err != nil {
		return reply{}, err
	}
	w, err := d.store.Waybill(ctx, o.Waybill())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return reply{}, err
	}
	if r := c.before(&w); r != nil {
		return *r, nil
	}
	if r := tooLate(w.Stage); r != nil {
		return *r, nil
	}
	if answer, ok := d.ask(ctx, a, c.question, c.bizPwd); ok && answer.Code != 0 {
		return refuse(callback.ResultCode(answer.Code), answer.Msg), nil
	}
	return d.void(ctx, c, &o)
}

// before repeats what was answered to an earlier sending of the same push, as its event tells; nil if it is new.
func (c *cancellation) before(w *store.Waybill) *reply {
	for _, step := range w.Timeline {
		e := &step.Event
		if e.Event.Source != Source || e.Event.ID != c.eventID {
			continue
		}
		r := decided(e.First, e.From)
		r.repeated = true
		return &r
	}
	return nil
}

// tooLate refuses what the scans known so far don't allow, before the dispatch system is troubled; nil if they do.
func tooLate(s state.Stage) *reply {
	switch _, out := state.Next(s, state.Cancelled); out {
	case state.Repeat:
		return new(decided(state.Ignored, s))
	case state.Illegal:
		return new(decided(state.Rejected, s))
	}
	return nil
}

// void cancels the waybill in one line with its scans: a pickup that came while the dispatch system was asked wins.
func (d *desk) void(ctx context.Context, c *cancellation, o *store.Order) (reply, error) {
	done, err := d.store.CancelOrder(ctx, c.OrderKey, state.Event{
		ID: c.eventID, Source: Source, DeliveryID: o.DeliveryID, WaybillID: o.WaybillID,
		Type: state.Cancelled, Time: c.at, Msg: textCancelled, Trace: spans.Traceparent(ctx),
	})
	if errors.Is(err, store.ErrNotFound) { // It was forgotten meanwhile.
		return refuse(callback.UnknownOrder, textUnknown), nil
	}
	if err != nil {
		return reply{}, err
	}
	switch done.Verdict {
	case state.Ignored: // Cancelled already: by this very push, if another node took an earlier sending of it.
		w, err := d.store.Waybill(ctx, o.Waybill())
		if err != nil {
			return reply{}, err
		}
		if r := c.before(&w); r != nil {
			return *r, nil
		}
	case state.Rejected:
		d.log.Warn("a pickup came while the dispatch system agreed to a cancellation: the order stands",
			"delivery_id", o.DeliveryID, "waybill_id", o.WaybillID, "stage", done.Stage.String())
	}
	return decided(done.Verdict, done.Stage), nil
}

// decided is what WeChat is told of a cancellation that the state machine judged in a stage.
func decided(v state.Verdict, s state.Stage) reply {
	switch {
	case v == state.Accepted:
		return reply{code: callback.OK, msg: textDone}
	case v == state.Ignored:
		return refuse(callback.InvalidOrder, textCancelled)
	case s == state.Delivered:
		return refuse(callback.InvalidOrder, textSigned)
	}
	return refuse(callback.AlreadyPickedUp, textPickedUp)
}
