package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

func (f *fixture) freeze(w state.Waybill, frozen, want bool) {
	f.Helper()
	action := store.ActFreeze
	if !frozen {
		action = store.ActThaw
	}
	changed, err := f.store.Freeze(f.Context(), w, frozen, by(action))
	if err != nil || changed != want {
		f.Fatalf("Freeze(%s, %v): changed %v, err %v; want changed %v", w, frozen, changed, err, want)
	}
}

func freezeHolds(f *fixture) {
	w, n := f.ready("1", 1)
	f.fed()
	f.freeze(w, true, true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || !c[0].Blocked || c[0].Waybill != w {
		f.Errorf("the freeze was fed as %+v, want one Reload, blocked", c)
	}
	held := f.one(f.scan("1", state.Signed, 900), state.Held)
	next := f.one(f.scan("1", state.Transit, 500), state.Accepted)
	late := f.one(f.scan("1", state.PickupAssigned, 50), state.Accepted)
	f.pass(window)
	for _, c := range f.fed() {
		if !c.Blocked {
			f.Errorf("a push of a frozen waybill was fed as sendable: %+v", c)
		}
	}
	if lane := f.openPushes(w, n[0], next.Seq, late.Seq, held.Seq); !lane.Frozen || lane.Parked || !lane.Blocked() {
		f.Errorf("the lane: %+v", lane)
	}
	story := f.waybill(w)
	if !story.Frozen || story.Parked || story.Held.By != "ops" || story.Held.Reason != by("").Reason || story.Stage != state.Delivered {
		f.Errorf("the story: %+v", story)
	}
	// What was in flight when the waybill was frozen still ends, and can be put right by hand.
	f.deliver(w, n[0])
	f.fail(w, next.Seq, store.ReasonRefused, 47001, false)
	f.replay(next.Seq, false)
	f.discard(late.Seq)
	if lane := f.openPushes(w, next.Seq, held.Seq); !lane.Frozen {
		f.Error("a replay has thawed the waybill")
	}
	f.token(w, "NEWER", true)
	if lane := f.openPushes(w, next.Seq, held.Seq); !lane.Frozen {
		f.Error("a Token has thawed the waybill")
	}
}

func freezeThaws(f *fixture) {
	w, n := f.ready("1", 2)
	f.freeze(w, true, true)
	f.pass(time.Second)
	f.fed()
	f.freeze(w, false, true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked {
		f.Errorf("the thaw was fed as %+v, want one Reload, not blocked", c)
	}
	for range 2 {
		if lane := f.openPushes(w, n...); lane.Frozen || lane.Blocked() {
			f.Errorf("the lane is blocked: %+v", lane)
		}
		if story := f.waybill(w); story.Frozen || story.Held != (store.Hold{}) {
			f.Errorf("the story: frozen %v, %+v", story.Frozen, story.Held)
		}
		if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
			f.Errorf("the sweep lists %v", got)
		}
		f.reopen()
	}
}

func freezeOnce(f *fixture) {
	w, _ := f.ready("1", 1)
	f.freeze(w, false, false)
	f.freeze(w, true, true)
	since := f.clock.Now()
	f.clock.advance(time.Hour)
	f.fed()
	changed, err := f.store.Freeze(f.Context(), w, true, store.Act{By: "night", Action: store.ActFreeze, Reason: "another"})
	if changed || err != nil {
		f.Errorf("a second freeze: changed %v, err %v", changed, err)
	}
	if got := f.waybill(w).Held; !got.Since.Equal(since) || got.By != "ops" || got.Reason != by("").Reason {
		f.Errorf("after it: %+v, want the first one", got)
	}
	if c := f.fed(); len(c) != 0 {
		f.Errorf("it was fed as %+v", c)
	}
	if got := f.audit(store.AuditQuery{}); len(got) != 1 {
		f.Errorf("the audit log has %d entries, want one", len(got))
	}
}

func freezeUnknown(f *fixture) {
	for _, frozen := range []bool{true, false} {
		changed, err := f.store.Freeze(f.Context(), waybill("1"), frozen, by(store.ActFreeze))
		if changed || !errors.Is(err, store.ErrNotFound) {
			f.Errorf("Freeze(%v): changed %v, err %v; want ErrNotFound", frozen, changed, err)
		}
	}
	f.token(waybill("1"), "T", true)
	f.freeze(waybill("1"), true, true)
	f.one(f.scan("2", state.Signed, 100), state.Held)
	f.freeze(waybill("2"), true, true)
	r := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	for range 2 {
		if lane := f.openPushes(waybill("1"), r.Seq); !lane.Frozen {
			f.Error("a waybill that was frozen before its first event is not frozen")
		}
		f.reopen()
	}
}

func freezeParked(f *fixture) {
	flags := func(id string, frozen, parked bool) {
		f.Helper()
		lane, story := f.lane(waybill(id)), f.waybill(waybill(id))
		if lane.Frozen != frozen || story.Frozen != frozen || (story.Held != store.Hold{}) != frozen {
			f.Errorf("waybill %s: frozen %v, %v, %+v; want %v", id, lane.Frozen, story.Frozen, story.Held, frozen)
		}
		if lane.Parked != parked || story.Parked != parked || lane.Blocked() != (frozen || parked) {
			f.Errorf("waybill %s: parked %v, %v, blocked %v; want %v", id, lane.Parked, story.Parked, lane.Blocked(), parked)
		}
	}
	for i, unpark := range []func(w state.Waybill, failed uint64){
		func(w state.Waybill, _ uint64) { f.token(w, "BETTER", true) },
		func(_ state.Waybill, failed uint64) { f.replay(failed, false) },
	} {
		first, second := fmt.Sprint("a", i), fmt.Sprint("b", i)
		w, n := f.ready(first, 2)
		f.fail(w, n[0], store.ReasonToken, 9300507, true)
		f.freeze(w, true, true)
		flags(first, true, true)
		f.fed()
		unpark(w, n[0])
		if c := f.fed(); len(c) != 1 || !c[0].Blocked {
			f.Errorf("what unparks a frozen waybill was fed as %+v, want blocked", c)
		}
		flags(first, true, false)
		f.freeze(w, false, true)
		flags(first, false, false)

		v, m := f.ready(second, 2)
		f.freeze(v, true, true)
		f.fail(v, m[0], store.ReasonToken, 9300507, true)
		f.reopen()
		f.fed()
		f.freeze(v, false, true)
		if c := f.fed(); len(c) != 1 || !c[0].Blocked {
			f.Errorf("the thaw of a parked waybill was fed as %+v, want blocked", c)
		}
		flags(second, false, true)
		unpark(v, m[0])
		flags(second, false, false)
		f.openPushes(v, m...)
		f.reopen()
		flags(first, false, false)
		flags(second, false, false)
	}
}

func freezeOutlives(f *fixture) {
	f.keepFor(keep)
	w, n := f.ready("frozen", 1)
	f.freeze(w, true, true)
	held := f.waybill(w).Held
	f.deliver(w, n[0])
	f.pass(2 * keep)
	f.reopen()
	f.pass(keep)
	story := f.waybill(w)
	if !story.Frozen || !story.Held.Since.Equal(held.Since) || story.Held.By != held.By || story.Held.Reason != held.Reason {
		f.Errorf("after the retention: %+v, want %+v", story.Held, held)
	}
	f.status(n[0], store.Delivered, "")
	f.freeze(w, false, true)
	f.pass(time.Hour)
	if _, err := f.store.Waybill(f.Context(), w); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("thawed, and old: %v, want ErrNotFound", err)
	}
	f.check()
	if e := f.scan("frozen", state.PickupDone, 100); f.one(e, state.Accepted).Seq == 0 || f.lane(w).Frozen {
		f.Error("a waybill that comes again is frozen")
	}
}
