package pebble

import (
	"context"
	"fmt"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// Expunge forgets the personal data of a waybill. Once it returns, nothing shows them any more; their bytes leave the
// files a little later (see washer).
func (s *Store) Expunge(ctx context.Context, w state.Waybill, act store.Act) (store.Expunged, error) {
	op := &expungeOp{waybill: w, act: act}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return store.Expunged{}, fmt.Errorf("expunge waybill %s: %w", w, err)
	}
	s.washer.due.Store(true)
	return op.done, nil
}

// expungeOp has a commit of its own: what it reads from disk is all there is.
type expungeOp struct {
	engine.Waiter
	waybill state.Waybill
	act     store.Act
	done    store.Expunged
}

func (o *expungeOp) rows() int { return 1 }

func (o *expungeOp) run(x *tx) {
	o.done, o.Err = x.expunge(o.waybill, o.act)
	x.full = true
}

// expunge reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) expunge(name state.Waybill, act store.Act) (done store.Expunged, err error) {
	w, err := x.waybill(name)
	if err != nil {
		return done, err
	}
	t, err := x.timeline(w)
	if err != nil {
		return done, err
	}
	rows, err := x.rowsOf(t)
	if err != nil {
		return done, err
	}
	orders, err := readOrders(x.s.db, name)
	if err != nil {
		return done, err
	}
	if done.Tokens, err = x.countTokens(name); err != nil {
		return done, err
	}
	shown, err := x.shownOf(name)
	if err != nil {
		return done, err
	}
	if len(t) == 0 && len(orders) == 0 && done.Tokens == 0 && !shown.known() {
		return done, store.ErrNotFound
	}
	for i := range rows {
		if x.expungeEvent(&rows[i]) {
			done.Events++
		}
		if x.expungePush(name, &rows[i]) {
			done.Discarded++
		}
	}
	for _, o := range orders {
		if o.ShopAppID != "" || o.WaybillData != "" {
			o.ShopAppID, o.WaybillData = "", ""
			x.saveOrder(o)
			done.Orders++
		}
	}
	done.Shown = x.expungeShown(name, &shown)
	w.token, w.tokenAt, w.sealed = "", 0, false
	x.del(waybillKey(nil, tableTokens, name))
	x.moveFront(w, w.front.with(false))
	if len(t) == 0 {
		x.unlistName(name)
		w.named = false
	}
	x.set(waybillKey(nil, tableUnwashed, name), nil)
	x.audit(act, store.AuditEntry{DeliveryID: name.DeliveryID, WaybillID: name.WaybillID})
	x.feedReload(w)
	return done, nil
}

// rowsOf reads the events of a timeline with their pushes, and notes what those are listed under.
func (x *tx) rowsOf(t state.Timeline) ([]row, error) {
	rows := make([]row, len(t))
	for i := range t {
		r, found, err := readRow(x.s.db, t[i].Seq)
		if err == nil && !found {
			err = damaged(seqKey(nil, tableEvents, t[i].Seq), codec.ErrRecord)
		}
		if err != nil {
			return nil, err
		}
		if r.hasPush {
			x.noteIndexed(r.seq, &r.push)
		}
		rows[i] = r
	}
	return rows, nil
}

// countTokens counts a waybill's Tokens, as far as they can be opened; one that can't counts as one.
func (x *tx) countTokens(name state.Waybill) (int, error) {
	tokens, err := readTokens(x.s.db, x.s.keys, name)
	if x.s.isSealed(err) {
		return 1, nil
	}
	return len(tokens), err
}

// expungeEvent writes an event without its text. All else stays: that it came, when, and what became of it.
func (x *tx) expungeEvent(r *row) (changed bool) {
	if r.event.expunged() {
		return false
	}
	r.event.flags |= flagExpunged
	r.event.event.Msg = ""
	x.key = seqKey(x.key[:0], tableEvents, r.seq)
	x.value = encodeEvent(x.value[:0], &r.event, encodeBody(nil, &r.event.event))
	x.set(x.key, x.value)
	return true
}

// expungePush ends what can't be sent any more, and forgets what upstream said of the rest.
func (x *tx) expungePush(name state.Waybill, r *row) (discarded bool) {
	if !r.hasPush {
		return false
	}
	rec, told := r.push, false
	rec.Attempts = slices.Clone(rec.Attempts)
	for i := range rec.Attempts {
		told = told || rec.Attempts[i].Errmsg != ""
		rec.Attempts[i].Errmsg = ""
	}
	switch {
	case rec.Status == store.Pending || rec.Status == store.Failed:
		x.end(name, r.seq, &rec, store.Discarded, store.ReasonExpunged)
		return true
	case rec.EndedForToken():
		rec.Reason = store.ReasonExpunged
		x.savePush(r.seq, rec)
	case told:
		x.savePush(r.seq, rec)
	}
	return false
}
