package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var expungeTests = map[string]func(*fixture){
	"what is gone, and what stays":           expungeAll,
	"twice":                                  expungeTwice,
	"duplicates are still known":             expungeDuplicates,
	"nothing of it is sent again":            expungeNoReplay,
	"a new Token revives nothing":            expungeNoRevival,
	"what is held is not sent later":         expungeHeld,
	"scans that come afterwards":             expungeAndOn,
	"an order, without any scan":             expungeOrder,
	"a waybill that nobody knows":            expungeUnknown,
	"what upstream takes in that moment":     expungeInFlight,
	"it is audited":                          expungeAudited,
	"other waybills keep theirs":             expungeOthers,
	"among scans and answers at that time":   expungeAtOnce,
	"retention takes what is left":           expungeRetention,
	"the rejected can't be accepted by hand": expungeRejected,
}

func (f *fixture) expunge(id string) store.Expunged {
	f.Helper()
	got, err := f.store.Expunge(f.Context(), waybill(id), store.Act{})
	if err != nil {
		f.Fatalf("Expunge: %v", err)
	}
	return got
}

// expungeAll makes one push of each status, and compares all that is known before and after.
func expungeAll(f *fixture) {
	f.order(orderOf("1", "W1"), "SECRET-1", true)
	w, n := f.ready("W1", 4)
	f.one(f.scan("W1", state.Cancelled, 900), state.Rejected)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.settle(store.Outcome{Seq: n[2], Waybill: w, Status: store.Discarded, Reason: "客户要求", Attempt: f.attempt(-1)})
	before := f.waybill(w)
	f.fed()
	f.clock.advance(time.Minute)
	if got, want := f.expunge("W1"), (store.Expunged{Events: 5, Discarded: 2, Tokens: 2, Orders: 1}); got != want {
		f.Errorf("expunged %+v, want %+v", got, want)
	}
	if fed := f.fed(); len(fed) != 1 || !fed[0].Reload || !fed[0].Blocked || len(fed[0].Added) != 0 {
		f.Errorf("fed: %+v, want one Reload", fed)
	}
	for range 2 {
		after := f.waybill(w)
		if after.TokenSet || after.Stage != before.Stage || len(after.Timeline) != len(before.Timeline) {
			f.Fatalf("the waybill: %+v", after)
		}
		for i := range after.Timeline {
			f.sameButText(&before.Timeline[i], &after.Timeline[i])
		}
		f.openPushes(w)
		f.status(n[0], store.Delivered, "")
		f.status(n[1], store.Discarded, store.ReasonExpunged)
		f.status(n[2], store.Discarded, "客户要求")
		f.status(n[3], store.Discarded, store.ReasonExpunged)
		o, err := f.store.ReadOrder(f.Context(), orderKeyOf("1"))
		if err != nil || o.ShopAppID != "" || o.WaybillData != "" || o.WaybillID != "W1" || o.ReceivedAt.IsZero() {
			f.Errorf("the order: %+v, %v", o, err)
		}
		f.pass(time.Second)
		f.check()
		f.reopen()
	}
}

// sameButText sees that an event and its push are as before, but for words.
func (f *fixture) sameButText(before, after *store.Step) {
	f.Helper()
	e, was := after.Event, before.Event
	if e.Event.Msg != "" || !e.Expunged || was.Expunged {
		f.Errorf("the event %+v still has its text", e)
	}
	if e.Seq != was.Seq || e.Verdict != was.Verdict || e.First != was.First || e.Reason != was.Reason || e.From != was.From ||
		e.Cause != was.Cause || len(e.Allowed) != len(was.Allowed) || !e.ReceivedAt.Equal(was.ReceivedAt) ||
		e.Event.ID != was.Event.ID || e.Event.Time != was.Event.Time || e.Event.Type != was.Event.Type || e.Event.Source != was.Event.Source {
		f.Errorf("the event was\n%+v and is\n%+v", was, e)
	}
	if len(after.Push.Attempts) != len(before.Push.Attempts) {
		f.Fatalf("push %d had %d attempts, and has %d", e.Seq, len(before.Push.Attempts), len(after.Push.Attempts))
	}
	for i, a := range after.Push.Attempts {
		b := before.Push.Attempts[i]
		if a.Errmsg != "" || *a.Errcode != *b.Errcode || !a.At.Equal(b.At) || a.RID != b.RID || a.Scope != b.Scope || a.Duration != b.Duration {
			f.Errorf("an attempt was %+v and is %+v", b, a)
		}
	}
}

func expungeTwice(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	f.one(f.scan("W1", state.PickupDone, 100), state.Accepted)
	f.expunge("W1")
	for range 2 {
		if got := f.expunge("W1"); got != (store.Expunged{}) {
			f.Errorf("the second time it forgets %+v", got)
		}
		f.pass(time.Second)
	}
	f.one(f.scan("W1", state.Transit, 200), state.Accepted)
	if got := f.expunge("W1"); got.Events != 1 || got.Discarded != 1 {
		f.Errorf("what came since: %+v", got)
	}
}

func expungeDuplicates(f *fixture) {
	e := f.scan("1", state.PickupDone, 100)
	e.Token = "T"
	first := f.one(e, state.Accepted)
	f.expunge("1")
	for range 2 {
		if r := f.one(e, state.Duplicate); r.Seq != first.Seq || r.Original != state.Accepted {
			f.Errorf("the duplicate is %+v", r)
		}
		other := e
		other.Msg += "!"
		f.one(other, state.Conflict)
		f.reopen()
	}
	again := e
	again.ID = "another id"
	if r := f.one(again, state.Ignored); r.Reason != state.RepeatsEvent || r.Cause != first.Seq {
		f.Errorf("the same text under another id: %+v", r)
	}
}

func expungeNoReplay(f *fixture) {
	w, n := f.ready("1", 3)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.expunge("1")
	for _, seq := range n {
		before := f.push(seq)
		if _, err := f.store.Replay(f.Context(), seq, true, by(store.ActReplay)); !errors.Is(err, store.ErrState) {
			f.Errorf("Replay(%d), %s: %v, want ErrState", seq, before.Status, err)
		}
	}
	r := f.startAs(store.Replay{Filter: store.Query{Status: store.Discarded}, Legs: sf()})
	if r = f.step(r.ID, end(n[2]), n...); r.Requeued != 0 || r.Skipped != 3 {
		f.Errorf("a step of many: %+v", r)
	}
	f.openPushes(w)
}

func expungeNoRevival(f *fixture) {
	f.discardUnknown()
	unknown := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	w, n := f.ready("2", 2)
	f.fail(w, n[0], store.ReasonToken, 40199, true)
	f.expunge("1")
	f.expunge("2")
	f.token(waybill("1"), "T", true)
	f.token(w, "NEW", true)
	f.openPushes(waybill("1"))
	f.openPushes(w)
	f.status(unknown.Seq, store.Discarded, store.ReasonExpunged)
	f.status(n[0], store.Discarded, store.ReasonExpunged)
}

func expungeHeld(f *fixture) {
	f.token(waybill("1"), "T", true)
	held := f.one(f.scan("1", state.Transit, 200), state.Held)
	other := f.one(f.scan("2", state.Transit, 200), state.Held)
	f.expunge("1")
	f.expunge("2")
	f.heldCount(2)
	f.token(waybill("1"), "T2", true)
	pickup := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.pass(window)
	f.status(held.Seq, store.Discarded, store.ReasonExpunged)
	f.status(other.Seq, store.Discarded, store.ReasonExpunged)
	f.openPushes(waybill("1"), pickup.Seq)
}

func expungeAndOn(f *fixture) {
	w, n := f.ready("1", 1)
	f.expunge("1")
	later := f.one(f.scan("1", state.Transit, 900), state.Accepted)
	if p := f.push(later.Seq); p.WaitingFor != store.WaitToken || p.Event.Msg == "" {
		f.Errorf("a scan that comes afterwards: %+v", p)
	}
	f.token(w, "NEW", true)
	f.openPushes(w, later.Seq)
	f.status(n[0], store.Discarded, store.ReasonExpunged)
}

func expungeOrder(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	if got, want := f.expunge("W1"), (store.Expunged{Tokens: 1, Orders: 1}); got != want {
		f.Errorf("expunged %+v, want %+v", got, want)
	}
	again := f.order(orderOf("1", "W1"), "T2", false)
	if again.WaybillID != "W1" || again.WaybillData != "" {
		f.Errorf("ordered again: %+v", again)
	}
	f.laneToken("W1", "T2")
}

func expungeUnknown(f *fixture) {
	if got, err := f.store.Expunge(f.Context(), waybill("1"), by(store.ActExpunge)); !errors.Is(err, store.ErrNotFound) || got != (store.Expunged{}) {
		f.Errorf("Expunge: %+v, %v; want ErrNotFound", got, err)
	}
	f.audited(0, store.AuditEntry{})
}

func expungeInFlight(f *fixture) {
	w, n := f.ready("1", 2)
	f.expunge("1")
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Pending, Attempt: f.attempt(-1), NextAt: f.clock.Now()})
	f.deliver(w, n[1])
	f.status(n[0], store.Discarded, store.ReasonExpunged)
	f.status(n[1], store.Delivered, "")
	f.openPushes(w)
}

func expungeAudited(f *fixture) {
	f.ready("1", 1)
	if _, err := f.store.Expunge(f.Context(), waybill("1"), by(store.ActExpunge)); err != nil {
		f.Fatalf("Expunge: %v", err)
	}
	f.audited(1, store.AuditEntry{Act: by(store.ActExpunge), DeliveryID: account, WaybillID: "1"})
}

func expungeOthers(f *fixture) {
	var want []store.Waybill
	for _, id := range []string{"1", "10", "2"} {
		f.order(orderOf(id, id), "ORDER", true)
		f.ready(id, 2)
	}
	for _, id := range []string{"10", "2"} {
		want = append(want, f.waybill(waybill(id)))
	}
	f.expunge("1")
	for i, id := range []string{"10", "2"} {
		got := f.waybill(waybill(id))
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want[i]) {
			f.Errorf("%s was\n%+v and is\n%+v", id, want[i], got)
		}
		f.laneToken(id, "TOKEN")
	}
}

// expungeAtOnce forgets waybills while their scans and answers come in: whatever comes first, all fits together.
func expungeAtOnce(f *fixture) {
	for n := range 30 {
		id := fmt.Sprint(n)
		w, seqs := f.ready(id, 3)
		scan := f.scan(id, state.Transit, 900)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.store.Expunge(f.Context(), w, store.Act{}); err != nil {
				f.Errorf("Expunge: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := f.store.Apply(f.Context(), []state.Event{scan}); err != nil {
				f.Errorf("Apply: %v", err)
			}
		})
		wg.Go(func() { f.deliver(w, seqs[0]) })
		wg.Wait()
		lane := f.lane(w)
		if len(lane.Pushes) > 1 || lane.Token != "" {
			f.Fatalf("the lane: %+v", lane)
		}
		for i, step := range f.waybill(w).Timeline {
			if i < 3 && step.Event.Event.Msg != "" {
				f.Errorf("the text is there: %+v", step.Event)
			}
		}
	}
}

func expungeRetention(f *fixture) {
	f.keepFor(keep)
	f.order(orderOf("1", "W1"), "T", true)
	f.one(f.scan("W1", state.PickupDone, 100), state.Accepted)
	f.order(orderOf("2", "W2"), "T", true)
	f.expunge("W1")
	f.expunge("W2")
	f.pass(keep + time.Millisecond)
	for _, id := range []string{"W1", "W2"} {
		if _, err := f.store.OrderOf(f.Context(), waybill(id)); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("%s: %v, want ErrNotFound", id, err)
		}
	}
}

func expungeRejected(f *fixture) {
	f.ready("1", 1)
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.expunge("1")
	if _, err := f.store.Accept(f.Context(), r.Seq, by(store.ActAccept)); !errors.Is(err, store.ErrState) {
		f.Errorf("Accept: %v, want ErrState", err)
	}
}
