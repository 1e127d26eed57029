package storetest

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// modelKeys are few, so that orders are repeated and meet on one waybill.
var modelKeys = rapid.SampledFrom([]store.OrderKey{
	{DeliveryID: account, BizID: "A", OrderID: "1"}, {DeliveryID: account, BizID: "A", OrderID: "2"},
	{DeliveryID: account, BizID: "B", OrderID: "1"}, {DeliveryID: "YTO", BizID: "A", OrderID: "1"},
})

func (m *model) putOrder(t *rapid.T) {
	o := store.Order{OrderKey: modelKeys.Draw(t, "order"), ShopAppID: "wx", ResultMsg: "ok", WaybillData: "##a##b##"}
	o.WaybillID = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "waybill")
	token := rapid.SampledFrom([]string{"", "A", "B", "C"}).Draw(t, "token")
	kept, fresh, err := m.store.PutOrder(context.Background(), o, token)
	want := m.orders[o.OrderKey]
	if err != nil || fresh != (want == nil) {
		t.Fatalf("PutOrder(%+v): fresh %v, %v; the model has %+v", o, fresh, err, want)
	}
	if want == nil {
		o.ReceivedAt = m.clock.Now()
		want = &o
		m.orders[o.OrderKey] = want
		m.newestOrder[o.Waybill()] = want
	}
	if !sameOrder(kept, *want) {
		t.Fatalf("PutOrder gives %+v, want %+v", kept, *want)
	}
	m.newToken(want.Waybill(), token)
}

// cancel cancels an order, perhaps with an event that was used before.
func (m *model) cancel(t *rapid.T) {
	key := modelKeys.Draw(t, "order")
	event := cancelOf(rapid.SampledFrom([]string{"c1", "c2", "c3", "c4", "c5", "c6"}).Draw(t, "id"), rapid.Int64Range(1, 15).Draw(t, "time"))
	event.ID += key.DeliveryID + key.BizID + key.OrderID // As a real one: unique to its order.
	got, err := m.store.CancelOrder(context.Background(), key, event)
	order := m.orders[key]
	if order == nil {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("CancelOrder of nothing: %+v, %v; want ErrNotFound", got, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("CancelOrder(%+v): %v", key, err)
	}
	verdict, stage := m.expectCancel(t, order, event)
	if got.Verdict != verdict || got.Stage != stage || !sameOrder(got.Order, *order) {
		t.Fatalf("CancelOrder(%+v, %+v): %+v; want %s, %s, %+v", key, event, got, verdict, stage, *order)
	}
}

func (m *model) expectCancel(t *rapid.T, order *store.Order, event state.Event) (state.Verdict, state.Stage) {
	w := order.Waybill()
	if first, ok := m.cancelled[event.ID]; ok {
		if first != state.Rejected {
			first = state.Ignored
		}
		return first, m.timelines[w].Stage()
	}
	for _, e := range m.timelines[w] {
		if (e.Verdict == state.Accepted || e.Verdict == state.Held) && e.Time >= event.Time {
			event.Time = e.Time + 1
		}
	}
	event.DeliveryID, event.WaybillID = w.DeliveryID, w.WaybillID
	seq := m.seqOf(t, w, event.ID)
	e := state.Entry{Seq: seq, Type: state.Cancelled, Time: event.Time, MsgHash: math.MaxUint64}
	after, d := m.opts.Machine.Decide(slices.Clone(m.timelines[w]), e, m.clock.Now().UnixMilli())
	changed := d.Changed
	if d.Entry.Verdict == state.Held {
		changed = m.opts.Machine.Expire(after, math.MaxInt64)
		i := slices.IndexFunc(after, func(e state.Entry) bool { return e.Seq == seq })
		d.Entry = after[i]
		changed = slices.DeleteFunc(changed, func(e state.Entry) bool { return e.Seq == seq })
	}
	m.timelines[w] = after
	m.verdicts[d.Entry.Verdict]++
	m.cancelled[event.ID] = d.Entry.Verdict
	m.sent = append(m.sent, sent{event: event, seq: seq, verdict: d.Entry.Verdict})
	m.accept(w, append([]state.Entry{d.Entry}, changed...))
	if d.Entry.Verdict == state.Accepted {
		for _, p := range m.pushes {
			if p.waybill == w && (p.status == store.Pending || p.lacksToken()) {
				m.ended(p, store.Discarded, store.ReasonCancelled)
			}
		}
	}
	if d.Entry.Verdict != state.Rejected && order.CancelledAt.IsZero() {
		order.CancelledAt = m.clock.Now()
	}
	return d.Entry.Verdict, after.Stage()
}

// seqOf finds the number that the store gave an event.
func (m *model) seqOf(t *rapid.T, w state.Waybill, id string) uint64 {
	story, err := m.store.Waybill(context.Background(), w)
	for _, step := range story.Timeline {
		if step.Event.Event.ID == id {
			return step.Event.Seq
		}
	}
	t.Fatalf("the event %s is not in the timeline of %s: %v", id, w, err)
	return 0
}

// lacksToken tells whether a push has ended for want of a Token.
func (p *modelPush) lacksToken() bool {
	return p.status == store.Failed && (p.reason == store.ReasonToken || p.reason == store.ReasonNoToken) ||
		p.status == store.Discarded && p.reason == store.ReasonUnknown
}

func (m *model) expunge(t *rapid.T) {
	w := modelWaybills.Draw(t, "waybill")
	act, kept := m.act(t, store.ActExpunge)
	got, err := m.store.Expunge(context.Background(), w, act)
	if len(m.timelines[w]) == 0 && m.tokens[w] == "" && m.newestOrder[w] == nil && m.shown[w].shown == nil {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Expunge of nothing: %+v, %v; want ErrNotFound", got, err)
		}
		return
	}
	m.audits += kept
	want := store.Expunged{Shown: m.expungeShown(w)}
	for _, e := range m.timelines[w] {
		if !m.expunged[e.Seq] {
			want.Events++
		}
		m.expunged[e.Seq] = true
		switch p := m.pushes[e.Seq]; {
		case p == nil:
		case p.status == store.Pending || p.status == store.Failed:
			want.Discarded++
			m.ended(p, store.Discarded, store.ReasonExpunged)
		case p.lacksToken():
			p.reason = store.ReasonExpunged
		}
	}
	for _, o := range m.orders {
		if o.Waybill() == w && o.ShopAppID != "" {
			want.Orders++
			o.ShopAppID, o.WaybillData = "", ""
		}
	}
	if (got.Tokens > 0) != (m.tokens[w] != "") {
		t.Fatalf("Expunge(%s) counts %d Tokens; the newest is %q", w, got.Tokens, m.tokens[w])
	}
	delete(m.tokens, w)
	if got.Tokens = 0; err != nil || got != want {
		t.Fatalf("Expunge(%s): %+v, %v; want %+v", w, got, err, want)
	}
}

// switchUnknown opens the store with the other setting of push.unknown_waybills.
func (m *model) switchUnknown(t *rapid.T) {
	m.opts.DiscardUnknown = !m.opts.DiscardUnknown
	m.reopen(t)
}

// rotate opens the store with one more key for Tokens.
func (m *model) rotate(t *rapid.T) {
	m.opts.TokenKeys = append([][]byte{key(byte(len(m.opts.TokenKeys)))}, m.opts.TokenKeys...)
	m.reopen(t)
}

func (m *model) compareOrders() {
	for key, want := range m.orders {
		if got, err := m.store.ReadOrder(context.Background(), key); err != nil || !sameOrder(got, *want) {
			m.Fatalf("order %+v is %+v (%v), want %+v", key, got, err, *want)
		}
	}
	for w, want := range m.newestOrder {
		if got, err := m.store.OrderOf(context.Background(), w); err != nil || !sameOrder(got, *want) {
			m.Fatalf("the newest order of %s is %+v (%v), want %+v", w, got, err, *want)
		}
	}
}

// firstUse uses few signatures with few contents.
func (m *model) firstUse(t *rapid.T) {
	signature := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "signature")
	content := [32]byte{rapid.Byte().Draw(t, "content") % 3}
	until := m.clock.Now().Add(rapid.SampledFrom([]time.Duration{0, time.Second, window, noTokenWait}).Draw(t, "until"))
	got, err := m.store.FirstUse(context.Background(), signature, content, until)
	known, ok := m.uses[signature]
	want := !ok || known.until.Before(m.clock.Now()) || known.content == content
	if err != nil || got != want {
		t.Fatalf("FirstUse(%s, %v): %v, %v; want %v", signature, content[0], got, err, want)
	}
	if want && (!ok || until.After(known.until)) {
		m.uses[signature] = modelUse{content, until}
	}
}

type modelUse struct {
	content [32]byte
	until   time.Time
}
