package storetest

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

func replayMoves(f *fixture) {
	w, n := f.failed("1", 2)
	v, m := f.failed("2", 1)
	r := f.start(sf()...)
	before := f.push(n[0])
	f.clock.advance(time.Minute)
	f.fed()
	f.step(r.ID, upTo(n[1]), n...)
	c := f.fed()
	if len(c) != 1 || !c[0].Reload || c[0].Blocked || c[0].Waybill != w {
		f.Errorf("the step was fed as %+v, want one Reload", c)
	}
	for range 2 {
		f.openPushes(w, n...)
		f.openPushes(v)
		p := f.push(n[0])
		if p.Replay != r.ID || !p.Bulk || !p.OpenedAt.Equal(f.clock.Now()) || !p.DoneAt.IsZero() || p.Tries != 0 || p.Refusals != 0 || p.Used != 0 {
			f.Errorf("requeued: %+v, want fresh retries in the name of replay %d", p, r.ID)
		}
		if p.Status != store.Pending || p.Reason != "" || p.Ord != before.Ord || !reflect.DeepEqual(p.Attempts, before.Attempts) {
			f.Errorf("requeued: %+v, before: %+v", p, before)
		}
		f.counted(r.ID, store.ReplayRunning, tally{requeued: 2})
		if got := f.readReplay(r.ID).Legs; !slices.Equal(got, []store.Leg{upTo(n[1])}) {
			f.Errorf("legs: %+v", got)
		}
		if st := f.store.Stats().Pushes[account]; st[store.Pending] != 2 || st[store.Failed] != 1 {
			f.Errorf("counted: %v", st)
		}
		if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
			f.Errorf("the sweep lists %v", got)
		}
		f.expect("failed", f.pushes(store.Query{Status: store.Failed}), m...)
		f.check()
		f.reopen()
	}
	f.step(r.ID, end(m[0]), m...)
	f.openPushes(v, m...)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 3})
}

func replaySkips(f *fixture) {
	w, n := f.failed("1", 6)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	r := f.start(sf()...)
	f.replay(n[0], false)
	f.deliver(w, n[0]) // Delivered meanwhile.
	f.discard(n[1])    // Discarded meanwhile.
	f.replay(n[2], false)
	f.again(w, n[2], time.Minute) // Pending meanwhile.
	f.replay(n[3], false)
	f.fail(w, n[3], store.ReasonRefused, 47001, false) // Failed again, after the replay was made.
	_, later := f.failed("2", 1)                       // Came after it.
	f.fed()
	before := f.push(n[2])
	f.step(r.ID, upTo(n[3]), n[0], n[1], n[2], n[3], later[0], 4711, rejected.Seq)
	if c := f.fed(); len(c) != 0 {
		f.Errorf("a step that moves nothing was fed as %+v", c)
	}
	f.counted(r.ID, store.ReplayRunning, tally{skipped: 7})
	f.status(n[0], store.Delivered, "")
	f.status(n[1], store.Discarded, by("").Reason)
	f.status(n[3], store.Failed, store.ReasonRefused)
	f.status(later[0], store.Failed, store.ReasonRefused)
	if after := f.push(n[2]); !reflect.DeepEqual(before, after) {
		f.Errorf("a pending push became\n%+v, from\n%+v", after, before)
	}
	// What is named twice goes once; what others have looked at counts as they say.
	got, err := f.store.Requeue(f.Context(), store.Requeue{Replay: r.ID, Seqs: []uint64{n[4], n[5], n[4]}, Skipped: 10, Leg: end(n[5])})
	if err != nil {
		f.Fatalf("Requeue: %v", err)
	}
	f.sameReplay(got, f.counted(r.ID, store.ReplayRunning, tally{requeued: 2, skipped: 18}))
	f.openPushes(w, n[2], n[4], n[5])
}

func replayLater(f *fixture) {
	// All within one millisecond, by a clock that stands still: what has ended before the replay was made is of it, what
	// ends after it is not, whatever the clock says, also after a restart and after it was set back.
	w, n := f.failed("1", 1)
	v, m := f.ready("2", 3)
	r, err := f.store.StartReplay(f.Context(), store.Replay{Legs: sf()}, by(store.ActReplayStart))
	if err != nil {
		f.Fatalf("StartReplay: %v", err)
	}
	f.fail(v, m[0], store.ReasonRefused, 47001, false)
	f.reopen()
	f.fail(v, m[1], store.ReasonRefused, 47001, false)
	f.clock.advance(-time.Hour)
	f.reopen()
	f.fail(v, m[2], store.ReasonRefused, 47001, false)
	f.step(r.ID, end(m[2]), append(n, m...)...)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1, skipped: 3})
	f.openPushes(w, n...)
	f.openPushes(v)
	for _, seq := range m {
		if p := f.push(seq); !p.DoneAt.After(r.CreatedAt) {
			f.Errorf("push %d ended at %v, not after the replay was made at %v", seq, p.DoneAt, r.CreatedAt)
		}
	}
	f.clock.advance(time.Hour + settling)
	second := f.start(sf()...)
	f.step(second.ID, end(m[2]), m...)
	f.openPushes(v, m...)
}

func replayDiscarded(f *fixture) {
	w, n := f.ready("1", 4)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.discard(n[1])
	f.deliver(w, n[2])
	r := f.startAs(store.Replay{Filter: store.Query{Status: store.Discarded}, Legs: sf()})
	f.discard(n[3]) // After it was made.
	f.step(r.ID, end(n[3]), n...)
	// The step is told what to move; the filter is its caller's to judge, but what was discarded goes only if asked for.
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2, skipped: 2})
	f.openPushes(w, n[0], n[1])
	f.status(n[2], store.Delivered, "")
	f.status(n[3], store.Discarded, by("").Reason)
	for _, filter := range []store.Query{{}, {Status: store.Failed}, {Status: store.Delivered}} {
		r := f.startAs(store.Replay{Filter: filter, Legs: sf()})
		f.step(r.ID, end(n[3]), n[2], n[3])
		f.counted(r.ID, store.ReplayDone, tally{skipped: 2})
	}
}

func replayKeepsOrder(f *fixture) {
	w, n := f.ready("1", 6)
	for _, i := range []int{1, 3, 4} {
		f.fail(w, n[i], store.ReasonRefused, 47001, false)
	}
	f.deliver(w, n[0])
	v, m := f.failed("2", 2)
	held := f.one(f.scan("1", state.Signed, 900), state.Held)
	early := f.one(f.scan("1", state.DeliveryBegun, 800), state.Accepted) // It releases the one before.
	f.fail(w, held.Seq, store.ReasonRefused, 47001, false)
	f.openPushes(w, n[2], n[5], early.Seq)
	r := f.start(sf()...)
	f.fed()
	f.step(r.ID, upTo(early.Seq), n[4], held.Seq, m[1], n[1], m[0], n[3])
	f.openPushes(w, n[1], n[2], n[3], n[4], n[5], early.Seq, held.Seq)
	f.openPushes(v, m...)
	told := map[state.Waybill]bool{}
	for _, c := range f.fed() {
		if !c.Reload || len(c.Added) > 0 {
			f.Errorf("fed: %+v, want Reloads only", c)
		}
		told[c.Waybill] = true
	}
	if !told[w] || !told[v] || len(told) != 2 {
		f.Errorf("lanes told: %v", told)
	}
	f.reopen()
	f.openPushes(w, n[1], n[2], n[3], n[4], n[5], early.Seq, held.Seq)
}

func replayStepUnparks(f *fixture) {
	w, n := f.ready("1", 3)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	v, m := f.ready("2", 2)
	f.fail(v, m[0], store.ReasonToken, 9300507, true)
	r := f.start(sf()...)
	f.fed()
	f.step(r.ID, upTo(n[2]), n[0])
	if c := f.fed(); len(c) != 1 || c[0].Blocked || !c[0].Reload {
		f.Errorf("fed: %+v, want one Reload, not blocked", c)
	}
	if lane := f.openPushes(w, n...); lane.Parked || lane.Blocked() {
		f.Errorf("the waybill is still parked")
	}
	// What a step leaves as it is stays parked.
	f.discard(m[0])
	f.step(r.ID, end(m[1]), m[0])
	f.reopen()
	if f.lane(w).Parked || !f.lane(v).Parked {
		f.Errorf("after a restart: parked %v and %v, want false and true", f.lane(w).Parked, f.lane(v).Parked)
	}
}

func replayStepFrozen(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	f.freeze(w, true, true)
	r := f.start(sf()...)
	f.fed()
	f.step(r.ID, end(n[1]), n[0])
	if c := f.fed(); len(c) != 1 || !c[0].Blocked {
		f.Errorf("fed: %+v, want blocked", c)
	}
	if lane := f.openPushes(w, n...); !lane.Frozen || lane.Parked {
		f.Errorf("frozen %v, parked %v; want only frozen", lane.Frozen, lane.Parked)
	}
	f.freeze(w, false, true)
	if lane := f.lane(w); lane.Blocked() {
		f.Error("thawed, the waybill is still blocked")
	}
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1})
}

func replayStepWithoutToken(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	f.pass(noTokenWait)
	r := f.start(sf()...)
	f.pass(time.Minute)
	f.step(r.ID, end(b.Seq), a.Seq, b.Seq)
	if lane := f.openPushes(w, a.Seq, b.Seq); !lane.Blocked() {
		f.Error("a lane without a Token is not blocked")
	}
	f.pass(noTokenWait - time.Millisecond)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2})
	f.pass(time.Millisecond)
	f.openPushes(w)
	f.counted(r.ID, store.ReplayDone, tally{requeued: 2, failed: 2})
}

func replayTwice(f *fixture) {
	w, n := f.failed("1", 3)
	a, b := f.start(sf()...), f.start(sf()...)
	f.step(a.ID, upTo(n[1]), n[0], n[1])
	f.step(b.ID, end(n[2]), n...)
	f.counted(b.ID, store.ReplayRunning, tally{requeued: 1, skipped: 2})
	f.step(a.ID, end(n[2]), n[2])
	f.counted(a.ID, store.ReplayRunning, tally{requeued: 2, skipped: 1})
	f.openPushes(w, n...)
	for i, id := range []uint64{a.ID, a.ID, b.ID} {
		if p := f.push(n[i]); p.Replay != id {
			f.Errorf("push %d is of replay %d, want %d", n[i], p.Replay, id)
		}
	}
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.deliver(w, n[2])
	f.counted(a.ID, store.ReplayDone, tally{requeued: 2, skipped: 1, delivered: 1, failed: 1})
	f.counted(b.ID, store.ReplayDone, tally{requeued: 1, skipped: 2, delivered: 1})
	// What failed again is left to a replay that is made after that.
	c := f.start(sf()...)
	f.step(c.ID, end(n[2]), n...)
	f.counted(c.ID, store.ReplayRunning, tally{requeued: 1, skipped: 2})
	f.openPushes(w, n[1])
}

func replayRepeats(f *fixture) {
	w, n := f.failed("1", 4)
	r := f.start(sf()...)
	f.step(r.ID, upTo(n[1]), n[0], n[1])
	f.deliver(w, n[0])
	before := [2]store.Push{f.push(n[0]), f.push(n[1])}
	f.reopen() // Whoever asked may not have heard the answer.
	f.step(r.ID, upTo(n[1]), n[0], n[1])
	for i, p := range before {
		if after := f.push(p.Seq); !reflect.DeepEqual(after, before[i]) {
			f.Errorf("the same step again made\n%+v of\n%+v", after, before[i])
		}
	}
	if got := f.readReplay(r.ID); got.Requeued != 2 || got.Delivered != 1 {
		f.Errorf("it is counted as %+v, want 2 requeued", got)
	}
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.step(r.ID, upTo(n[1]), n[0], n[1])
	f.status(n[1], store.Failed, store.ReasonRefused)
	f.step(r.ID, end(n[3]), n[2], n[3])
	f.deliver(w, n[2])
	f.deliver(w, n[3])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 4, skipped: 4, delivered: 3, failed: 1})
	f.refuses(r.ID, n...)
}

func replayRetention(f *fixture) {
	f.keepFor(keep)
	w, n := f.ready("1", 1)
	f.discard(n[0])
	v, m := f.failed("2", 1)
	r := f.startAs(store.Replay{Filter: store.Query{Status: store.Discarded}, Legs: sf()})
	f.pass(keep + time.Hour)
	if _, err := f.store.Waybill(f.Context(), w); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("the old waybill: %v, want ErrNotFound", err)
	}
	f.step(r.ID, end(m[0]), n[0], m[0])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1, skipped: 1})
	f.deliver(v, m[0])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 1, skipped: 1, delivered: 1})
	f.pass(keep)
	f.counted(r.ID, store.ReplayDone, tally{requeued: 1, skipped: 1, delivered: 1})
	if got := f.sweep(account); len(got) != 0 {
		f.Errorf("the sweep lists %v", got)
	}
}
