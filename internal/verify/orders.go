package verify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

const (
	// ordersPerCall is how many orders upstream tells of at a time (WeChat 物流助手, batchGetOrder).
	ordersPerCall = 100
	// ordersWait is how long an order waits for others at most, to be asked about in one call.
	ordersWait = time.Minute
)

// asked is an order to be asked about.
type asked struct {
	waybill state.Waybill
	orderID string
}

// left tells whether a push may still be sent: it is open, or a Token or an operator would make it so.
func left(p *store.Push) bool { return p.Status == store.Pending || p.Status == store.Failed }

func anyLeft(pushes []store.Push) bool {
	for i := range pushes {
		if left(&pushes[i]) {
			return true
		}
	}
	return false
}

// askOrder has an order asked about with the merchant's next call.
func (r *Runner) askOrder(ctx context.Context, merchant Merchant, a asked) {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	r.orders[merchant.Name] = append(r.orders[merchant.Name], a)
	if len(r.orders[merchant.Name]) >= ordersPerCall {
		r.askOrdersOf(ctx, merchant)
	}
}

// askIn is when orders are to be asked about; 0: now, negative: none waits. They wait no longer than waybills do.
func (r *Runner) askIn() time.Duration {
	if len(r.orders) == 0 {
		return -1
	}
	return max(0, min(ordersWait, r.tuning.Load().after)-time.Since(r.since))
}

// askOrders asks about all orders that wait.
func (r *Runner) askOrders(ctx context.Context) {
	for name := range r.orders {
		if merchant, ok := r.o.Merchants.ByName(name); ok {
			r.askOrdersOf(ctx, merchant)
		}
	}
	clear(r.orders) // Those of a merchant that is not there any more.
	r.since = time.Time{}
}

// askOrdersOf asks about a merchant's, and discards what is left to push of those that were cancelled.
func (r *Runner) askOrdersOf(ctx context.Context, merchant Merchant) {
	all := r.orders[merchant.Name]
	if delete(r.orders, merchant.Name); len(r.orders) == 0 {
		r.since = time.Time{}
	}
	if !r.budget.take(merchant.Name, time.Now()) {
		r.o.Observe(ResultLimited)
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, errors.New("asking about orders took longer than "+lookTimeout.String()))
	defer cancel()
	refs := make([]wechat.OrderRef, len(all))
	for i, a := range all {
		refs[i] = orderRef(a.waybill, a.orderID)
	}
	results, err := merchant.BatchGetOrder(ctx, refs)
	if err != nil {
		r.o.Observe(r.unanswered(call{merchant.Name, "batchGetOrder"}, err))
		r.log.Debug("whether orders were cancelled can't be asked", "merchant", merchant.Name, "orders", len(all), "err", err)
	} else {
		r.answered(call{merchant.Name, "batchGetOrder"})
	}
	for i := range results {
		// What upstream says of another order than the one that was asked about discards nothing.
		if o := &results[i]; o.Errcode == 0 && o.Cancelled() && refs[i] == (wechat.OrderRef{OrderID: o.OrderID, DeliveryID: o.DeliveryID, WaybillID: o.WaybillID}) {
			r.cancelled(ctx, all[i])
		}
	}
}

// cancelled discards what is left to push of a waybill whose order upstream says was cancelled.
func (r *Runner) cancelled(ctx context.Context, a asked) {
	r.o.Observe(ResultCancelled)
	log := r.log.With("delivery_id", a.waybill.DeliveryID, "waybill_id", a.waybill.WaybillID, "order_id", a.orderID)
	story, err := r.o.Store.Waybill(ctx, a.waybill)
	if err != nil {
		log.Warn("an order was cancelled upstream, and its waybill can't be read", "err", err)
		return
	}
	pushes := slices.DeleteFunc(PushesOf(&story), func(p store.Push) bool { return !left(&p) })
	// The last one first: without the one before it, the next would be sent.
	slices.SortFunc(pushes, func(a, b store.Push) int { return cmp.Compare(b.Ord, a.Ord) })
	discarded := 0
	for i := range pushes {
		p := &pushes[i]
		_, err := r.o.Store.Discard(ctx, p.Seq, store.Act{By: actor, Action: store.ActDiscard, Reason: store.ReasonCancelledUpstream, Detail: "order_status 1"})
		switch {
		case errors.Is(err, store.ErrState): // It ended meanwhile.
		case err != nil:
			log.Warn("a push of a cancelled order can't be discarded", "seq", p.Seq, "err", err)
		default:
			discarded++
		}
	}
	log.Info("an order was cancelled upstream: what was left of its waybill is not sent any more", "discarded", discarded)
}

// actor is who discards, in the audit log.
const actor = "(verifier)"
