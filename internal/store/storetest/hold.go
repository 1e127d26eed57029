package storetest

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var holdTests = map[string]func(*fixture){
	"a missing scan releases what it held":    heldIsReleased,
	"release within one call":                 heldReleasedInCall,
	"held events go when their time is up":    heldExpires,
	"held events survive a restart":           heldSurvives,
	"a released event without a Token waits":  releasedWithoutToken,
	"an ignored event that means something":   ignoredIsPromoted,
	"what a release makes pointless":          releasedAsRepeat,
	"events behind a held one wait for it":    behindHeld,
	"released ones are found after a restart": releasedSurvives,
}

func (f *fixture) event(w state.Waybill, seq uint64) store.Event {
	f.Helper()
	for _, s := range f.waybill(w).Timeline {
		if s.Event.Seq == seq {
			return s.Event
		}
	}
	f.Fatalf("event %d is not in the timeline of %s", seq, w)
	return store.Event{}
}

func (f *fixture) heldCount(want int64) {
	f.Helper()
	if got := f.store.Stats().Held; got != want {
		f.Errorf("Stats.Held is %d, want %d", got, want)
	}
}

func heldIsReleased(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	signed := f.one(f.scan("1", state.Signed, 300), state.Held)
	if signed.Reason != state.MissingScan || signed.Stage != state.Created {
		f.Errorf("held: %+v", signed)
	}
	f.heldCount(1)
	f.openPushes(w)
	e := f.event(w, signed.Seq)
	if e.Verdict != state.Held || !e.HeldUntil.Equal(f.clock.Now().Add(window)) || e.Status != store.NoPush {
		f.Errorf("held event: %+v", e)
	}
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	last := f.one(f.scan("1", state.DeliveryBegun, 200), state.Accepted)
	if last.Stage != state.Delivered {
		f.Errorf("the stage after the release is %s, want delivered", last.Stage)
	}
	lane := f.lane(w)
	if got := seqs(lane.Pushes); len(got) != 3 || got[2] != signed.Seq {
		f.Fatalf("the lane is %v, want the released event %d last", got, signed.Seq)
	}
	if p := lane.Pushes[2]; p.Ord <= last.Seq {
		f.Errorf("the released event has ord %d, want one above %d", p.Ord, last.Seq)
	}
	e = f.event(w, signed.Seq)
	if e.Verdict != state.Accepted || e.First != state.Held || e.Reason != 0 || !e.HeldUntil.IsZero() || e.Status != store.Pending {
		f.Errorf("released event: %+v", e)
	}
	f.heldCount(0)
	next := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	if next.Seq <= lane.Pushes[2].Ord {
		f.Errorf("the number %d was given twice: as seq after ord %d", next.Seq, lane.Pushes[2].Ord)
	}
}

func heldReleasedInCall(f *fixture) {
	w := waybill("1")
	r := f.apply(f.scan("1", state.Signed, 300), f.scan("1", state.DeliveryBegun, 200), f.scan("1", state.PickupDone, 100))
	want := []state.Verdict{state.Held, state.Held, state.Accepted}
	for i := range r {
		if r[i].Verdict != want[i] {
			f.Errorf("event %d is %s, want %s", i, r[i].Verdict, want[i])
		}
	}
	f.openPushes(w, r[2].Seq, r[1].Seq, r[0].Seq)
	f.heldCount(0)
}

func heldExpires(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	r := f.one(f.scan("1", state.Signed, 300), state.Held)
	f.pass(window - time.Millisecond)
	f.openPushes(w)
	f.pass(time.Millisecond)
	f.openPushes(w, r.Seq)
	e := f.event(w, r.Seq)
	if e.Verdict != state.Accepted || !e.Gap || f.waybill(w).Stage != state.Delivered {
		f.Errorf("after the window: %+v", e)
	}
	f.heldCount(0)
	changes := f.fed()
	if n := len(changes); n == 0 || len(changes[n-1].Added) != 1 || !changes[n-1].Whole || changes[n-1].Token != "T" {
		f.Errorf("the release was fed as %+v", changes)
	}
}

func heldSurvives(f *fixture) {
	w := waybill("1")
	r := f.one(f.scan("1", state.Signed, 300), state.Held)
	f.reopen()
	f.heldCount(1)
	f.clock.advance(window)
	f.reopen()
	f.pass(0)
	f.openPushes(w, r.Seq)
	f.reopen()
	f.openPushes(w, r.Seq)
	next := f.one(f.scan("2", state.PickupDone, 1), state.Accepted)
	if p := f.push(r.Seq); next.Seq <= p.Ord {
		f.Errorf("after a restart the number %d is given again (ord %d)", next.Seq, p.Ord)
	}
}

func releasedWithoutToken(f *fixture) {
	w := waybill("1")
	r := f.one(f.scan("1", state.Signed, 300), state.Held)
	f.pass(window)
	if lane := f.openPushes(w, r.Seq); !lane.Blocked() {
		f.Error("a lane without a Token is not blocked")
	}
	f.token(w, "T", true)
	f.openPushes(w, r.Seq)
	if got := f.sweep(account); len(got) != 1 {
		f.Errorf("the sweep lists %v", got)
	}
}

func ignoredIsPromoted(f *fixture) {
	// Two pickups: the second means nothing, until a late failure of a pickup comes between them.
	w := waybill("1")
	f.one(f.scan("1", state.Detained, 100), state.Accepted)
	f.one(f.scan("1", state.Detained, 300), state.Ignored)
	f.one(f.scan("1", state.PickupAssigned, 200), state.Accepted)
	story := f.waybill(w)
	open := f.lane(w).Pushes
	accepted := 0
	for _, s := range story.Timeline {
		if s.Event.Verdict == state.Accepted {
			accepted++
		}
	}
	if accepted != len(open) {
		f.Errorf("%d events are accepted, and %d pushes are open", accepted, len(open))
	}
	f.reopen()
	if got := f.lane(w).Pushes; len(got) != len(open) {
		f.Errorf("after a restart %d pushes are open, want %d", len(got), len(open))
	}
}

func releasedAsRepeat(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.DeliveryBegun, 200), state.Held)
	b := f.one(f.scan("1", state.Signed, 300), state.Held)
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.heldCount(0)
	lane := f.lane(w)
	if got := seqs(lane.Pushes); len(got) != 3 || got[1] != a.Seq || got[2] != b.Seq {
		f.Errorf("released in the order %v, want by time: %d, %d", got, a.Seq, b.Seq)
	}
}

func behindHeld(f *fixture) {
	w := waybill("1")
	signed := f.one(f.scan("1", state.Signed, 100), state.Held)
	r := f.one(f.scan("1", state.DeliveryFailed, 50), state.Held)
	f.heldCount(2)
	f.openPushes(w)
	f.pass(window)
	f.openPushes(w, r.Seq, signed.Seq)
	f.heldCount(0)
}

func releasedSurvives(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	held := f.one(f.scan("1", state.Transit, 300), state.Held)
	first := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.deliver(w, first.Seq)
	f.reopen()
	f.openPushes(w, held.Seq)
	if got := f.sweep(account); len(got) != 1 || got[0] != "1" {
		f.Errorf("the sweep lists %v, want the waybill", got)
	}
	f.deliver(w, held.Seq)
	f.openPushes(w)
	f.reopen()
	if got := f.sweep(account); len(got) != 0 {
		f.Errorf("the sweep lists %v, want nothing", got)
	}
}
