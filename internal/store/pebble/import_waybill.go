package pebble

import (
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// waybill writes a waybill of which nothing is there.
func (w *importing) waybill(r *store.WaybillRecord) {
	name := r.Waybill()
	if k := importBlock(r); k.flags != 0 {
		w.set(waybillKey(nil, tableFlags, name), encodeBlock(nil, k))
	}
	if len(r.Tokens)+len(r.Events) > 0 {
		w.set(nameKey(nil, name), nil)
	}
	if len(r.Tokens) > 0 {
		key := waybillKey(nil, tableTokens, name)
		w.set(key, sealTokens(w.s.keys, nil, key, r.Tokens))
	}
	for i := range r.Orders {
		o := &orderRecord{Order: r.Orders[i].Order, number: r.Orders[i].Number}
		key := orderKey(nil, o.OrderKey)
		w.set(key, encodeOrder(nil, o))
		w.set(orderedKey(nil, name, o.number), key[1:])
	}
	if shown := importShown(r); shown.at() != 0 {
		w.set(waybillKey(nil, tableShown, name), encodeShown(nil, shown))
	}
	if r.Difference != nil {
		w.setJSON(waybillKey(nil, tableDiffers, name), r.Difference)
	}
	for i := range r.Events {
		w.event(name, &r.Events[i])
	}
}

func importBlock(r *store.WaybillRecord) *block {
	k := &block{}
	if r.Parked {
		k.flags |= flagParked
		k.parked = r.ParkedAt
	}
	if r.Frozen != nil {
		k.flags |= flagFrozen
		k.hold = *r.Frozen
	}
	return k
}

func importShown(r *store.WaybillRecord) *shownRecord {
	shown := &shownRecord{expungedAt: r.ExpungedAt}
	if r.Shown != nil {
		shown.Shown = *r.Shown
	}
	return shown
}

func (w *importing) event(name state.Waybill, e *store.EventRecord) {
	rec := importEvent(e)
	w.set(seqKey(nil, tableEvents, e.Seq), encodeEvent(nil, rec, encodeBody(nil, &rec.event)))
	w.set(idKey(nil, eventID(&rec.event)), encodeID(nil, e.Seq, e.Content))
	w.set(timelineKey(nil, name, e.Seq), encodeEntry(nil, &e.Now))
	value := putWaybill(nil, name)
	if e.Now.Verdict == state.Held {
		w.set(deadlineKey(nil, tableHeld, e.Now.Until, e.Seq), value)
	}
	if e.Push == nil {
		return
	}
	p := pushRecord{PushRecord: *e.Push, queued: e.Push.Status == store.Pending && e.Push.TokenUntil == 0}
	switch {
	case p.TokenUntil != 0:
		w.set(deadlineKey(nil, tableNoToken, p.TokenUntil, e.Seq), value)
	case p.queued:
		w.set(seqKey(nil, tableQueued, e.Seq), value)
	}
	w.set(seqKey(nil, tablePushes, e.Seq), encodePush(nil, &p))
}

// importEvent makes the row of an event. It is no natural push, whatever it was: each push has a row of its own.
func importEvent(e *store.EventRecord) *eventRecord {
	rec := &eventRecord{event: e.Event, receivedAt: e.ReceivedAt, first: e.First, reason: e.Reason}
	for flag, set := range map[byte]bool{
		flagLate: e.Late, flagGap: e.Gap, flagExpunged: e.Expunged, flagTraced: e.Event.Trace != "", flagWhy: e.Why != nil,
	} {
		if set {
			rec.flags |= flag
		}
	}
	if e.Why != nil {
		rec.from, rec.cause, rec.allowed = e.Why.From, e.Why.Cause, e.Why.Allowed
	}
	return rec
}

// forgetWaybill deletes all rows of a waybill; name is as putWaybill makes it.
func (w *importing) forgetWaybill(name string) {
	waybill, ok := parseWaybill([]byte(name))
	if !ok {
		w.must(codec.ErrRecord)
		return
	}
	old, err := w.x.waybill(waybill)
	if err != nil {
		w.must(err)
		return
	}
	w.del(nameKey(nil, waybill))
	for _, table := range waybillTables {
		w.del(waybillKey(nil, table, waybill))
	}
	for _, o := range old.Orders {
		if o.Waybill() == waybill { // Else it is another waybill's by now.
			w.del(orderKey(nil, o.OrderKey))
		}
		w.del(orderedKey(nil, waybill, o.Number))
	}
	for i := range old.Events {
		w.forgetEvent(waybill, &old.Events[i])
	}
}

// forgetEvent deletes an event, unless its number is another waybill's by now.
func (w *importing) forgetEvent(name state.Waybill, e *store.EventRecord) {
	w.del(timelineKey(nil, name, e.Seq))
	if e.Event.Waybill() != name {
		return
	}
	w.del(seqKey(nil, tableEvents, e.Seq))
	w.del(seqKey(nil, tablePushes, e.Seq))
	w.del(deadlineKey(nil, tableHeld, e.Now.Until, e.Seq))
	w.del(seqKey(nil, tableQueued, e.Seq))
	if e.Push != nil && e.Push.TokenUntil != 0 {
		w.del(deadlineKey(nil, tableNoToken, e.Push.TokenUntil, e.Seq))
	}
	var owner uint64
	key := idKey(nil, eventID(&e.Event))
	_, err := read(w.s.db, key, func(v []byte) (err error) {
		owner, _, err = decodeID(v)
		return err
	})
	if w.must(err); owner == e.Seq { // Else another event has the id by now.
		w.del(key)
	}
}
