package storetest

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

func (f *fixture) accept(seq uint64) store.Event {
	f.Helper()
	e, err := f.store.Accept(f.Context(), seq, by(store.ActAccept))
	if err != nil {
		f.Fatalf("Accept(%d): %v", seq, err)
	}
	return e
}

func acceptNewest(f *fixture) {
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.clock.advance(time.Hour)
	f.fed()
	e := f.accept(r.Seq)
	if want := f.event(w, r.Seq); !reflect.DeepEqual(e, want) {
		f.Errorf("answered:\n%+v, kept:\n%+v", e, want)
	}
	if e.Verdict != state.Accepted || e.First != state.Rejected || !e.Override || e.Reason != 0 || e.Late || e.Status != store.Pending {
		f.Errorf("accepted: %+v", e)
	}
	c := f.fed()
	if len(c) != 1 || !c[0].Whole || c[0].Token != "TOKEN" || c[0].Blocked || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Fatalf("fed: %+v", c)
	}
	p := f.openPushes(w, r.Seq).Pushes[0]
	if !reflect.DeepEqual(c[0].Added[0], p) {
		f.Errorf("fed:\n%+v, in the lane:\n%+v", c[0].Added[0], p)
	}
	if p.Ord <= r.Seq || !p.OpenedAt.Equal(f.clock.Now()) || p.Replay != 0 || p.Bulk {
		f.Errorf("its push: %+v, want an ord above %d and that it became pending now", p, r.Seq)
	}
	if story := f.waybill(w); story.Stage != state.Void {
		f.Errorf("the stage is %s", story.Stage)
	}
	if st := f.store.Stats(); st.Events[state.Rejected] != 1 || st.Events[state.Accepted] != 1 || st.Pushes[account][store.Pending] != 1 {
		f.Errorf("counted: %v %v; events are counted by their first verdict", st.Events, st.Pushes)
	}
	f.expect("rejected", f.events(store.Query{Verdict: state.Rejected}))
	f.expect("accepted", f.events(store.Query{Verdict: state.Accepted}), n[0], r.Seq)
	next := f.one(f.scan("2", state.PickupDone, 1), state.Accepted)
	if next.Seq <= p.Ord {
		f.Errorf("the number %d was given again after ord %d", next.Seq, p.Ord)
	}
}

func acceptLate(f *fixture) {
	w, n := f.ready("1", 3) // At 100, 101 and 102.
	r := f.one(f.scan("1", state.Cancelled, 100), state.Rejected)
	after := f.one(f.scan("1", state.DeliveryBegun, 500), state.Accepted)
	f.fed()
	if e := f.accept(r.Seq); !e.Late || !e.Override {
		f.Errorf("accepted: %+v, want late", e)
	}
	if c := f.fed(); len(c) != 1 || c[0].Whole || c[0].Reload || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Errorf("fed: %+v, want one more push at the end", c)
	}
	f.openPushes(w, append(n, after.Seq, r.Seq)...) // By acceptance, not by time.
	story := f.waybill(w)
	if story.Stage != state.OutForDelivery || story.Timeline[1].Event.Seq != r.Seq {
		f.Errorf("stage %s, and second in the timeline is %d", story.Stage, story.Timeline[1].Event.Seq)
	}
	f.one(f.scan("1", state.Signed, 600), state.Accepted)
}

func acceptWithoutToken(f *fixture) {
	w := waybill("1")
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.pass(2 * noTokenWait) // Longer ago than a push waits for its Token.
	f.accept(r.Seq)
	f.pass(noTokenWait - time.Millisecond)
	f.status(r.Seq, store.Pending, "")
	f.pass(time.Millisecond)
	f.status(r.Seq, store.Failed, store.ReasonNoToken)
	f.token(w, "T", true)
	f.status(r.Seq, store.Pending, "")
}

func acceptReleases(f *fixture) {
	// Two pickups: the second meant nothing, until the order goes back to a courier between them.
	w := waybill("1")
	f.token(w, "T", true)
	first := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	again := f.one(f.scan("1", state.PickupDone, 300), state.Ignored)
	r := f.one(f.scan("1", state.PickupAssigned, 200), state.Rejected)
	last := f.one(f.scan("1", state.Transit, 400), state.Accepted)
	f.fed()
	f.accept(r.Seq)
	if c := f.fed(); len(c) != 1 || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq, again.Seq}) {
		f.Errorf("fed: %+v, want the override and what it gives a meaning to", c)
	}
	f.openPushes(w, first.Seq, last.Seq, r.Seq, again.Seq)
	if e := f.event(w, again.Seq); e.Verdict != state.Accepted || e.First != state.Ignored || e.Override || !e.Late {
		f.Errorf("ignored before: %+v, want accepted, late", e)
	}

	// What is still held goes behind it, once its time is up or the missing scan comes.
	v := waybill("2")
	f.token(v, "T", true)
	early := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	held := f.one(f.scan("2", state.Signed, 900), state.Held)
	back := f.one(f.scan("2", state.PickupAssigned, 200), state.Rejected)
	f.accept(back.Seq)
	f.heldCount(1)
	f.openPushes(v, early.Seq, back.Seq)
	f.check()
	f.pass(window)
	f.heldCount(0)
	f.openPushes(v, early.Seq, back.Seq, held.Seq)
	if got := f.waybill(v).Stage; got != state.Delivered {
		f.Errorf("the stage is %s", got)
	}
	f.reopen()
	f.openPushes(v, early.Seq, back.Seq, held.Seq)
}

func acceptContradicts(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	held := f.one(f.scan("1", state.Signed, 500), state.Held)
	r := f.one(f.scan("1", state.Cancelled, 400), state.Rejected)
	if r.Reason != state.ContradictsNext || r.Cause != held.Seq {
		f.Errorf("rejected: %+v, want because of event %d", r, held.Seq)
	}
	f.fed()
	f.accept(r.Seq)
	if c := f.fed(); len(c) != 1 || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Errorf("fed: %+v, want the override alone", c)
	}
	f.heldCount(0)
	f.check()
	f.pass(window)
	f.openPushes(w, r.Seq)
	e := f.event(w, held.Seq)
	if e.Verdict != state.Rejected || e.First != state.Held || !e.HeldUntil.IsZero() || e.Allowed != nil {
		f.Errorf("held before: %+v, want rejected now", e)
	}
	// That one can be taken as well.
	if e := f.accept(held.Seq); e.Verdict != state.Accepted || e.First != state.Held || !e.Override {
		f.Errorf("accepted: %+v", e)
	}
	f.openPushes(w, r.Seq, held.Seq)
	if _, err := f.store.Accept(f.Context(), held.Seq, by(store.ActAccept)); !errors.Is(err, store.ErrState) {
		f.Errorf("again: %v, want ErrState", err)
	}
}

func acceptSurvives(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	f.deliver(w, n[1])
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.pass(time.Second)
	f.accept(r.Seq)
	before := f.event(w, r.Seq)
	for range 2 {
		f.reopen()
		f.openPushes(w, r.Seq)
		if after := f.event(w, r.Seq); !reflect.DeepEqual(before, after) {
			f.Errorf("after a restart:\n%+v, before:\n%+v", after, before)
		}
		if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
			f.Errorf("the sweep lists %v", got)
		}
	}
	f.one(f.scan("1", state.Transit, 950), state.Rejected) // The story goes on from where the operator has put it.
	f.deliver(w, r.Seq)
	f.reopen()
	f.openPushes(w)
}

func rejectedWhy(f *fixture) {
	w, n := f.ready("1", 2) // A pickup at 100 and a hub at 101.
	illegal := f.one(f.scan("1", state.PickupDone, 900), state.Rejected)
	contradicts := f.one(f.scan("1", state.Signed, 100), state.Rejected)
	repeats := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	ignored := f.one(f.scan("2", state.PickupDone, 110), state.Ignored)
	v := waybill("3")
	f.one(f.scan("3", state.Cancelled, 100), state.Accepted)
	nothing := f.one(f.scan("3", state.Transit, 200), state.Rejected)
	if nothing.Allowed == nil {
		f.Error("nothing is allowed, and the list is missing")
	}
	for range 2 {
		e := f.event(w, illegal.Seq)
		if e.From != state.InTransit || e.Cause != n[1] || !slices.Equal(e.Allowed, illegal.Allowed) || len(e.Allowed) == 0 {
			f.Errorf("an illegal step: %+v, want from in_transit because of %d", e, n[1])
		}
		e = f.event(w, contradicts.Seq)
		if e.From != contradicts.From || e.Cause != n[1] || !slices.Equal(e.Allowed, contradicts.Allowed) {
			f.Errorf("one that contradicts: %+v, want as it was answered: %+v", e, contradicts)
		}
		if e := f.event(waybill("2"), ignored.Seq); e.Cause != repeats.Seq || e.Allowed != nil {
			f.Errorf("one that repeats: %+v, want because of %d", e, repeats.Seq)
		}
		if e := f.event(v, nothing.Seq); e.Allowed == nil || len(e.Allowed) != 0 || e.From != state.Void {
			f.Errorf("where nothing is allowed: %+v", e)
		}
		if e := f.event(w, n[0]); e.Cause != 0 || e.Allowed != nil || e.From != 0 {
			f.Errorf("one that was accepted: %+v", e)
		}
		page, err := f.store.Events(f.Context(), store.Query{Verdict: state.Rejected, WaybillID: "1", DeliveryID: account, Limit: 10})
		if err != nil || len(page.Items) != 2 || page.Items[1].Cause != n[1] || !slices.Equal(page.Items[1].Allowed, illegal.Allowed) {
			f.Errorf("in a list: %+v, %v", page.Items, err)
		}
		f.reopen()
	}
	// An override does not forget why it took one.
	f.accept(illegal.Seq)
	if e := f.event(w, illegal.Seq); e.From != state.InTransit || !slices.Equal(e.Allowed, illegal.Allowed) || e.Cause != n[1] {
		f.Errorf("after an override: %+v", e)
	}
}
