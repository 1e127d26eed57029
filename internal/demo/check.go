package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"carrier/internal/durations"
	"carrier/internal/sandbox"
	"carrier/internal/state"
	"carrier/internal/store"
)

// summary is what a run came to.
type summary struct {
	took       time.Duration
	unlucky    int // pushes that were made to fail at first
	sent       int
	verdicts   map[string]int
	pushes     map[store.Status]int64
	upstream   sandbox.Stats
	verified   int // waybills of which WeChat shows the merchant what was delivered
	waybills   int
	lost       []string
	outOfOrder []string

	orders     int
	tokens     int // orders whose Token came by callback
	tokensLate int // scans that waited for it
	cancelled  int
	tooLate    int
	badOrders  []string // what is wrong about orders

	told int // pushes that the dispatch system heard to be delivered

	errors []error
}

// drainFor is how long the end of a run waits for pushes that are still on their way.
const drainFor = 60 * time.Second

// settleAndCheck waits until everything is pushed, then compares what was acknowledged with what is kept, and what
// was delivered with what WeChat shows.
func (d *demo) settleAndCheck(ctx context.Context) *summary {
	_ = d.box.SetFaults(sandbox.Faults{}) // The end must not be a matter of luck.
	_, _ = fmt.Fprint(d.o.Out, "\nLetting through what is on its way. 正在等待在途推送完成。\n")
	deadline := time.Now().Add(drainFor)
	for !d.settled(ctx) && time.Now().Before(deadline) && durations.Wait(ctx, 100*time.Millisecond) == nil {
	}
	t := d.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &summary{
		took: time.Since(t.start), unlucky: len(d.unlucky), sent: t.sent, verdicts: t.verdicts, errors: t.errors,
		pushes: d.app.Store().Stats().Pushes[DeliveryID], upstream: d.box.Stats(), waybills: len(t.acked),
		orders: len(t.ordered), tokensLate: t.tokensLate, cancelled: len(t.cancelled), tooLate: t.tooLate,
	}
	if s.told = d.dispatch.heard(store.Delivered.String()); s.told < int(s.pushes[store.Delivered]) {
		s.lost = append(s.lost, fmt.Sprintf("the dispatch system heard of %d of %d delivered pushes", s.told, s.pushes[store.Delivered]))
	}
	for waybill, ids := range t.acked {
		d.checkWaybill(ctx, s, waybill, ids)
	}
	d.checkTraces(ctx, s, slices.Sorted(maps.Keys(t.acked)))
	for orderID, waybill := range t.ordered {
		if err := d.checkOrder(ctx, orderID, waybill, t.cancelled[waybill]); err != nil {
			s.badOrders = append(s.badOrders, fmt.Sprintf("order %s: %v", orderID, err))
			continue
		}
		s.tokens++
	}
	s.checkCallbacks(d.box.Callbacks())
	return s
}

// checkCallbacks finds answers that WeChat could not use. One that got lost, or came too late, is no mistake: WeChat
// pushes again.
func (s *summary) checkCallbacks(kept []sandbox.Callback) {
	counts := s.upstream.Callbacks
	wrong := int(counts.Mistakes - counts.Unanswered)
	for _, c := range kept {
		if c.Mistake != "" && !c.Unanswered {
			s.badOrders = append(s.badOrders, fmt.Sprintf("order %s: %s, %s: %s", c.OrderID, c.Event, c.Kind, c.Mistake))
			wrong--
		}
	}
	if wrong > 0 {
		s.badOrders = append(s.badOrders, fmt.Sprintf("%d older answers could not be used by WeChat", wrong))
	}
}

// checkOrder holds what the service keeps of an order against what the merchant was told.
func (d *demo) checkOrder(ctx context.Context, orderID, waybill string, cancelled bool) error {
	o, err := d.app.Store().ReadOrder(ctx, store.OrderKey{DeliveryID: DeliveryID, BizID: bizID, OrderID: orderID})
	if err != nil {
		return err
	}
	if o.WaybillID != waybill {
		return fmt.Errorf("it has waybill %s, and the merchant was told %s", o.WaybillID, waybill)
	}
	w, err := d.app.Store().Waybill(ctx, o.Waybill())
	switch {
	case err != nil:
		return err
	case !w.TokenSet:
		return fmt.Errorf("waybill %s has no Token", waybill)
	case cancelled == o.CancelledAt.IsZero() || cancelled && w.Stage != state.Void:
		return fmt.Errorf("waybill %s is %s, and the merchant was told that it is cancelled: %t", waybill, w.Stage, cancelled)
	}
	return nil
}

// settled tells whether all that was published is taken, all that was taken is decided and pushed, and all that was
// delivered is told.
func (d *demo) settled(ctx context.Context) bool {
	untaken, err := d.dispatch.untaken(ctx)
	return err == nil && untaken == 0 && !d.open(ctx) &&
		d.dispatch.heard(store.Delivered.String()) >= int(d.app.Store().Stats().Pushes[DeliveryID][store.Delivered])
}

// open tells whether anything of the demo's own is not decided yet: an event held, or a push pending. What else was sent, by
// who tries the lines, may wait for a Token that never comes.
func (d *demo) open(ctx context.Context) bool {
	if stats := d.app.Store().Stats(); stats.Pushes[DeliveryID][store.Pending]+stats.Held == 0 {
		return false
	}
	page, err := d.app.Store().Pushes(ctx, store.Query{Status: store.Pending, Limit: store.MaxLimit})
	if err != nil || page.Next != 0 || d.app.Store().Stats().Held > 0 {
		return true
	}
	t := d.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(page.Items, func(p store.Push) bool {
		return t.acked[p.Event.WaybillID] != nil || slices.Contains(d.unlucky, p.Event.WaybillID)
	})
}

func (d *demo) checkWaybill(ctx context.Context, s *summary, waybill string, acked map[string]bool) {
	kept, err := d.app.Store().Waybill(ctx, state.Waybill{DeliveryID: DeliveryID, WaybillID: waybill})
	if err != nil {
		s.lost = append(s.lost, fmt.Sprintf("waybill %s: %v", waybill, err))
		return
	}
	for _, step := range kept.Timeline {
		delete(acked, step.Event.Event.ID)
		switch step.Push.Status {
		case store.Failed:
			s.lost = append(s.lost, fmt.Sprintf("waybill %s: push %d failed (%s)", waybill, step.Push.Seq, step.Push.Reason))
		case store.Pending:
			s.lost = append(s.lost, fmt.Sprintf("waybill %s: push %d is still pending (%s)", waybill, step.Push.Seq, step.Push.WaitingFor))
		}
	}
	for id := range acked {
		s.lost = append(s.lost, fmt.Sprintf("waybill %s: event %s was acknowledged and is not kept", waybill, id))
	}
}

// err says what the run failed for; nil if for nothing.
func (s *summary) err() error {
	if len(s.lost)+len(s.outOfOrder)+int(s.upstream.Overlaps)+len(s.badOrders)+len(s.errors) == 0 {
		return nil
	}
	found := fmt.Errorf("the demo found %d lost, %d out of order, %d wrong about orders and %d errors", len(s.lost),
		len(s.outOfOrder)+int(s.upstream.Overlaps), len(s.badOrders), len(s.errors))
	return errors.Join(append([]error{found}, s.errors...)...)
}

func (s *summary) print(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	p("\nsummary 汇总 (%s)", s.took.Round(time.Second))
	callbacks := s.upstream.Callbacks
	p("  orders at WeChat     %6d   (%d cancelled before pickup, %d refused to be: picked up)", s.orders, s.cancelled, s.tooLate)
	p("  Tokens by callback   %6d   (%d scans were seen waiting for theirs)", s.tokens, s.tokensLate)
	p("  callbacks            %6d   (%d answered before, %d without an answer that arrived, %d forged and refused)", callbacks.Sent,
		callbacks.Repeats, callbacks.Unanswered, callbacks.Forged)
	p("  events sent          %6d   over %d waybills", s.sent, s.waybills)
	for _, v := range state.Verdicts() {
		if n := s.verdicts[v.String()]; n > 0 {
			p("    %-18s %6d", v, n)
		}
	}
	p("    %-18s %6d   (into the stream of the NATS server)", published, s.verdicts[published])
	for _, status := range store.Statuses() {
		text := ""
		if status == store.Failed && s.pushes[status] > 0 {
			text = fmt.Sprintf("   (%d were made to fail at first, for the lines above that replay them)", s.unlucky)
		}
		p("  pushes %-13s %6d%s", status, s.pushes[status], text)
	}
	p("  outcomes told        %6d   (pushes delivered, heard over NATS)", s.told)
	p("  requests upstream    %6d   (%d busy, %d access_tokens refused, %d cut after they were applied)", s.upstream.Pushes,
		s.upstream.Errcodes[-1], s.upstream.Errcodes[42001]+s.upstream.Errcodes[40001]+s.upstream.Errcodes[40014],
		s.upstream.Unanswered)
	p("  sent twice           %6d   (never seen twice: upstream collapses equal nodes)", s.upstream.Repeats)
	p("  traces verified      %6d   of %d waybills (read back with the shop's credentials, as a customer sees them)", s.verified, s.waybills)
	p("  lost                 %6d", len(s.lost))
	p("  out of order         %6d", len(s.outOfOrder)+int(s.upstream.Overlaps))
	p("  wrong about orders   %6d", len(s.badOrders))
	found := slices.Concat(s.lost, s.outOfOrder, s.badOrders)
	for _, what := range found[:min(20, len(found))] {
		p("    %s", what)
	}
	for _, err := range s.errors {
		p("    error: %v", err)
	}
}
