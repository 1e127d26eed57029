package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Expunge forgets the personal data of a waybill. Once it returns, nothing shows them any more; their bytes leave
// PostgreSQL's files when it vacuums the tables, and its log and backups when these are thrown away.
func (s *Store) Expunge(ctx context.Context, w state.Waybill, act store.Act) (done store.Expunged, err error) {
	err = s.changeOf(ctx, w, func(x *tx) (err error) {
		done, err = x.expunge(w, act)
		return err
	})
	if err != nil {
		return store.Expunged{}, fmt.Errorf("expunge waybill %s: %w", w, err)
	}
	return done, nil
}

// expunge reads all that it takes first, as only that can fail, and then makes all changes. What a failing statement
// leaves undone is undone with the whole transaction.
func (x *tx) expunge(name state.Waybill, act store.Act) (done store.Expunged, err error) {
	w, err := x.waybill(name)
	if err != nil {
		return done, err
	}
	if err := x.want(gather(w.timeline, func(e state.Entry) uint64 { return e.Seq })); err != nil {
		return done, err
	}
	if err := x.mustKnow(w); err != nil {
		return done, err
	}
	if done.Orders, done.Shown, err = x.expungeKept(name); err != nil {
		return store.Expunged{}, err
	}
	for i := range w.timeline {
		r := x.rows[w.timeline[i].Seq]
		if r == nil {
			continue // Retention was faster.
		}
		if x.expungeEvent(r) {
			done.Events++
		}
		if x.expungePush(w, r) {
			done.Discarded++
		}
	}
	done.Tokens = w.expungeTokens()
	if w.stored {
		x.touch(w)
	}
	x.audit(act, onWaybill(name))
	x.feedReload(w)
	return done, nil
}

// orderedOrShown tells whether anything was ordered, or shown, of a waybill.
const orderedOrShown = `SELECT EXISTS (SELECT FROM orders WHERE delivery_id = $1 AND waybill_id = $2)
	OR EXISTS (SELECT FROM shown WHERE delivery_id = $1 AND waybill_id = $2 AND version IS NOT NULL)`

// mustKnow gives store.ErrNotFound if there is nothing of a waybill to be forgotten, or that was.
func (x *tx) mustKnow(w *waybill) error {
	if w.known() {
		return nil
	}
	var some bool
	if _, err := x.find(orderedOrShown, []any{w.name.DeliveryID, w.name.WaybillID}, &some); err != nil {
		return err
	}
	if !some {
		return store.ErrNotFound
	}
	return nil
}

// expungeKept forgets what was ordered, and the texts of what was shown, and notes when.
func (x *tx) expungeKept(name state.Waybill) (orders, texts int, err error) {
	changed, err := x.exec(expungeOrders, name.DeliveryID, name.WaybillID)
	if err != nil {
		return 0, 0, err
	}
	shown, err := x.lockShown(name)
	if err != nil {
		return 0, 0, err
	}
	shown.expungedAt = x.now
	texts = shown.forget(math.MaxInt64)
	return int(changed), texts, x.writeShown(name, &shown)
}

// expungeEvent takes an event's text away. All else stays: that it came, when, and what became of it.
func (x *tx) expungeEvent(r *row) (changed bool) {
	if r.expunged {
		return false
	}
	r.expunged, r.event.Msg = true, ""
	x.change(r)
	return true
}

// expungePush ends what can't be sent any more, and forgets what upstream said of the rest.
func (x *tx) expungePush(w *waybill, r *row) (discarded bool) {
	p := &r.push
	p.Attempts = slices.Clone(p.Attempts)
	for i := range p.Attempts {
		p.Attempts[i].Errmsg = ""
	}
	switch {
	case p.Status == store.Pending || p.Status == store.Failed:
		x.end(w, r, store.Discarded, store.ReasonExpunged)
		return true
	case p.EndedForToken():
		p.Reason = store.ReasonExpunged
	}
	x.change(r)
	return false
}

// expungeTokens forgets a waybill's Tokens, and tells how many; those that no key opens count as one.
func (w *waybill) expungeTokens() (forgotten int) {
	if w.lacksToken() {
		return 0
	}
	forgotten = max(1, len(w.history))
	w.tokens, w.token, w.history, w.tokenAt = []byte{}, "", nil, 0
	w.dirty = true
	return forgotten
}
