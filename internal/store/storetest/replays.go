package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var replaysTests = map[string]func(*fixture){
	"what a new replay is given":                  replayMade,
	"a replay of nothing is done at once":         replayOfNothing,
	"a step moves what it should":                 replayMoves,
	"a step skips what has changed":               replaySkips,
	"what ended since the replay was made":        replayLater,
	"a replay of discarded pushes":                replayDiscarded,
	"many of one waybill keep their order":        replayKeepsOrder,
	"a step unparks its waybills":                 replayStepUnparks,
	"a step and frozen waybills":                  replayStepFrozen,
	"a step and waybills without a Token":         replayStepWithoutToken,
	"done when all is looked at and nothing open": replayDone,
	"each end is counted once":                    replayCounts,
	"an end that turns out otherwise":             replayCountsAgain,
	"pause, resume, cancel":                       replaySet,
	"pushes of a paused replay go on":             replayPaused,
	"pushes of a cancelled replay go on":          replayCancelled,
	"two replays of the same pushes":              replayTwice,
	"attempts bear their replay's number":         replayIdentity,
	"a new Token revives what a replay sent":      replayRevived,
	"a replay of one push":                        replaySingle,
	"a step again does nothing twice":             replayRepeats,
	"replays of any status survive a restart":     replayReopens,
	"replays are listed newest first":             replayLists,
	"a step of no replay":                         replayUnknown,
	"retention was faster than the replay":        replayRetention,
}

// sf is the leg of the account that tests use.
func sf() []store.Leg { return []store.Leg{{DeliveryID: account}} }

// start makes a replay of failed pushes of some accounts, and moves the clock as far as later ends need.
func (f *fixture) start(legs ...store.Leg) store.Replay {
	f.Helper()
	return f.startAs(store.Replay{Filter: store.Query{Status: store.Failed}, Legs: legs})
}

func (f *fixture) startAs(r store.Replay) store.Replay {
	f.Helper()
	r, err := f.store.StartReplay(f.Context(), r, by(store.ActReplayStart))
	if err != nil {
		f.Fatalf("StartReplay: %v", err)
	}
	f.clock.advance(settling)
	return r
}

// step carries out a step of the test account's leg.
func (f *fixture) step(id uint64, leg store.Leg, seqs ...uint64) store.Replay {
	f.Helper()
	r, err := f.store.Requeue(f.Context(), store.Requeue{Replay: id, Seqs: seqs, Leg: leg})
	if err != nil {
		f.Fatalf("Requeue(%d, %v): %v", id, seqs, err)
	}
	f.sameReplay(r, f.readReplay(id))
	return r
}

// upTo is a leg that has come to a number, end one that is through.
func upTo(seq uint64) store.Leg { return store.Leg{DeliveryID: account, Cursor: seq} }
func end(seq uint64) store.Leg  { return store.Leg{DeliveryID: account, Cursor: seq, Done: true} }

func (f *fixture) readReplay(id uint64) store.Replay {
	f.Helper()
	r, err := f.store.ReadReplay(f.Context(), id)
	if err != nil {
		f.Fatalf("ReadReplay(%d): %v", id, err)
	}
	return r
}

func (f *fixture) sameReplay(got, want store.Replay) {
	f.Helper()
	if a, b := replayText(f, got), replayText(f, want); a != b {
		f.Errorf("replay\n%s, want\n%s", a, b)
	}
}

// replayText shows all of a replay but its query's function.
func replayText(f *fixture, r store.Replay) string {
	f.Helper()
	r.CreatedAt, r.EndedAt = r.CreatedAt.UTC(), r.EndedAt.UTC()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		f.Fatalf("a replay as JSON: %v", err)
	}
	return string(text)
}

// tally is a replay's counters.
type tally struct{ requeued, skipped, delivered, failed, discarded int64 }

func (f *fixture) counted(id uint64, status store.ReplayStatus, want tally) store.Replay {
	f.Helper()
	r := f.readReplay(id)
	got := tally{r.Requeued, r.Skipped, r.Delivered, r.Failed, r.Discarded}
	if r.Status != status || got != want {
		f.Errorf("replay %d is %s %+v, want %s %+v", id, r.Status, got, status, want)
	}
	if open := want.requeued - want.delivered - want.failed - want.discarded; r.Open() != open {
		f.Errorf("replay %d has %d open, want %d", id, r.Open(), open)
	}
	if r.EndedAt.IsZero() == r.Status.Ended() {
		f.Errorf("replay %d is %s and ended at %v", id, r.Status, r.EndedAt)
	}
	return r
}

// failed makes a waybill of n failed pushes.
func (f *fixture) failed(id string, n int) (state.Waybill, []uint64) {
	f.Helper()
	w, numbers := f.ready(id, n)
	for _, seq := range numbers {
		f.fail(w, seq, store.ReasonRefused, 47001, false)
	}
	return w, numbers
}

func replayMade(f *fixture) {
	_, n := f.failed("1", 3)
	now := f.clock.Now()
	ask := store.Replay{
		ID: 77, By: "somebody else", Reason: "中断之后", CreatedAt: now.Add(time.Hour), EndedAt: now, Status: store.ReplayCancelled,
		Filter: store.Query{
			Status: store.Failed, WaitingFor: store.WaitRetry, Verdict: state.Accepted, Errcode: new(0), Reason: store.ReasonRefused,
			DeliveryID: account, WaybillID: "1", Type: state.Transit, Source: sender, Since: now.Add(-time.Hour).UTC(), Until: now.UTC(),
		},
		UpTo: 99, Rate: 2.5, SkipSuperseded: true,
		Matched: 3, Requeued: 4, Skipped: 5, Delivered: 6, Failed: 7, Discarded: 8,
		Legs: []store.Leg{{DeliveryID: account, Cursor: 1}, {DeliveryID: "YTO", Done: true}},
	}
	got := f.startAs(ask)
	want := ask
	want.ID, want.By, want.CreatedAt, want.EndedAt, want.Status, want.UpTo = 1, "ops", now, time.Time{}, store.ReplayRunning, n[2]
	want.Requeued, want.Skipped, want.Delivered, want.Failed, want.Discarded = 0, 0, 0, 0, 0
	f.sameReplay(got, want)
	for range 2 {
		f.sameReplay(f.readReplay(1), want)
		page, err := f.store.ListReplays(f.Context(), 0, 10)
		if err != nil || len(page.Items) != 1 || page.Next != 0 {
			f.Fatalf("ListReplays: %+v, %v", page, err)
		}
		f.sameReplay(page.Items[0], want)
		f.reopen()
	}
	for _, seq := range n {
		f.status(seq, store.Failed, store.ReasonRefused) // Nothing moves before a step.
	}
	got.Legs[0].Cursor = 99 // What was handed out is the caller's.
	f.sameReplay(f.readReplay(1), want)
	if next := f.start(sf()...); next.ID != 2 {
		f.Errorf("the next one is number %d", next.ID)
	}
}

func replayOfNothing(f *fixture) {
	r := f.start()
	f.counted(r.ID, store.ReplayDone, tally{})
	f.counted(f.start(end(0)).ID, store.ReplayDone, tally{}) // All its legs are done.
	f.counted(f.start(sf()...).ID, store.ReplayRunning, tally{})
	if _, err := f.store.Requeue(f.Context(), store.Requeue{Replay: r.ID, Leg: end(1)}); !errors.Is(err, store.ErrState) {
		f.Errorf("a step of it: %v, want ErrState", err)
	}
}

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

func replayDone(f *fixture) {
	yto := func(n uint64, done bool) store.Leg { return store.Leg{DeliveryID: "YTO", Cursor: n, Done: done} }
	w, n := f.failed("1", 2)
	e := f.scan("1", state.PickupDone, 100)
	e.DeliveryID, e.Token = "YTO", "T"
	m := f.one(e, state.Accepted).Seq
	f.fail(e.Waybill(), m, store.ReasonRefused, 47001, false)
	r := f.start(upTo(0), yto(0, false))

	f.step(r.ID, upTo(n[0]), n[0])
	f.deliver(w, n[0])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1, delivered: 1}) // Nothing is open, but both legs go on.
	f.step(r.ID, yto(m, true), m)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2, delivered: 1})
	f.deliver(e.Waybill(), m)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2, delivered: 2}) // One leg goes on.
	f.reopen()
	f.step(r.ID, end(n[1]), n[1])
	got := f.counted(r.ID, store.ReplayRunning, tally{requeued: 3, delivered: 2}) // One push is open.
	if !got.Exhausted() || !slices.Equal(got.Legs, []store.Leg{end(n[1]), yto(m, true)}) {
		f.Errorf("legs: %+v", got.Legs)
	}
	f.again(w, n[1], 0)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 3, delivered: 2}) // To be tried again is no end.
	f.clock.advance(time.Minute)
	f.deliver(w, n[1])
	got = f.counted(r.ID, store.ReplayDone, tally{requeued: 3, delivered: 3})
	if !got.EndedAt.Equal(f.clock.Now()) {
		f.Errorf("ended at %v, want now: %v", got.EndedAt, f.clock.Now())
	}

	// The last leg may end when nothing has been open for long.
	last := f.start(upTo(0), yto(0, false))
	f.step(last.ID, end(9))
	f.counted(last.ID, store.ReplayRunning, tally{})
	f.step(last.ID, yto(9, true))
	f.counted(last.ID, store.ReplayDone, tally{})
}

func replayCounts(f *fixture) {
	w, n := f.failed("1", 5)
	r := f.start(sf()...)
	f.step(r.ID, end(n[4]), n...)
	f.deliver(w, n[0])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1})
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1, failed: 1})
	f.discard(n[2])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1, failed: 1, discarded: 1})
	f.settle(store.Outcome{Seq: n[3], Waybill: w, Status: store.Discarded, Reason: store.ReasonUnknown})
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1, failed: 1, discarded: 2})
	f.deliver(w, n[0]) // A late answer, of what has ended.
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1, failed: 1, discarded: 2})
	f.reopen()
	f.settle(store.Outcome{
		Seq: n[4], Waybill: w, Status: store.Failed, Reason: store.ReasonToken, Attempt: f.attempt(9300507), Park: true, Token: "OLD",
	}) // A newer Token came: it is sent again.
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 5, delivered: 1, failed: 1, discarded: 2})
	f.deliver(w, n[4])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 5, delivered: 2, failed: 1, discarded: 2})
}

func replayCountsAgain(f *fixture) {
	w, n := f.failed("1", 3)
	r := f.start(sf()...)
	f.step(r.ID, end(n[2]), n...)
	f.discard(n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.fail(w, n[2], store.ReasonRefused, 47001, false)
	ended := f.counted(r.ID, store.ReplayDone, tally{requeued: 3, failed: 2, discarded: 1}).EndedAt
	f.clock.advance(time.Minute)
	f.reopen()
	f.deliver(w, n[0]) // It was in flight when it was discarded.
	f.counted(r.ID, store.ReplayDone, tally{requeued: 3, delivered: 1, failed: 2})
	f.discard(n[1])
	got := f.counted(r.ID, store.ReplayDone, tally{requeued: 3, delivered: 1, failed: 1, discarded: 1})
	if !got.EndedAt.Equal(ended) {
		f.Errorf("it ended at %v, and later at %v", ended, got.EndedAt)
	}
	// Another replay takes what is failed: the first one has its end, and keeps it.
	f.replay(n[2], false)
	f.deliver(w, n[2])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 3, delivered: 1, failed: 1, discarded: 1})
}

func replaySet(f *fixture) {
	f.failed("1", 1)
	reach := map[store.ReplayStatus][]store.ReplayStatus{
		store.ReplayRunning:   nil,
		store.ReplayPaused:    {store.ReplayPaused},
		store.ReplayCancelled: {store.ReplayCancelled},
	}
	allowed := map[[2]store.ReplayStatus]bool{
		{store.ReplayRunning, store.ReplayPaused}: true, {store.ReplayRunning, store.ReplayCancelled}: true,
		{store.ReplayPaused, store.ReplayRunning}: true, {store.ReplayPaused, store.ReplayCancelled}: true,
	}
	targets := append(store.ReplayStatuses(), 0, 99)
	for _, from := range store.ReplayStatuses() {
		for _, to := range targets {
			legs := sf()
			if from == store.ReplayDone {
				legs = nil
			}
			id := f.start(legs...).ID
			for _, s := range reach[from] {
				f.set(id, s)
			}
			before, entries := f.readReplay(id), len(f.audit(store.AuditQuery{}))
			got, err := f.store.SetReplay(f.Context(), id, to, by(store.ActReplayPause))
			after := f.readReplay(id)
			if !allowed[[2]store.ReplayStatus{from, to}] {
				if !errors.Is(err, store.ErrState) || len(f.audit(store.AuditQuery{})) != entries {
					f.Errorf("from %s to %s: %v, want ErrState and no audit", from, to, err)
				}
				f.sameReplay(after, before)
				continue
			}
			if err != nil || after.Status != to || len(f.audit(store.AuditQuery{})) != entries+1 {
				f.Errorf("from %s to %s: %v, it is %s", from, to, err, after.Status)
			}
			if after.EndedAt.IsZero() == to.Ended() {
				f.Errorf("it is %s and ended at %v", to, after.EndedAt)
			}
			f.sameReplay(got, after)
		}
	}
}

func (f *fixture) set(id uint64, to store.ReplayStatus) store.Replay {
	f.Helper()
	r, err := f.store.SetReplay(f.Context(), id, to, by(store.ActReplayPause))
	if err != nil {
		f.Fatalf("SetReplay(%d, %s): %v", id, to, err)
	}
	return r
}

// refuses expects that a replay takes no step.
func (f *fixture) refuses(id uint64, seqs ...uint64) {
	f.Helper()
	before := f.readReplay(id)
	_, err := f.store.Requeue(f.Context(), store.Requeue{Replay: id, Seqs: seqs, Skipped: 1, Leg: end(99)})
	if !errors.Is(err, store.ErrState) {
		f.Errorf("a step of a replay that is %s: %v, want ErrState", before.Status, err)
	}
	f.sameReplay(f.readReplay(id), before)
}

func replayPaused(f *fixture) {
	w, n := f.failed("1", 2)
	r := f.start(sf()...)
	f.step(r.ID, upTo(n[0]), n[0])
	f.set(r.ID, store.ReplayPaused)
	f.refuses(r.ID, n[1])
	f.status(n[1], store.Failed, store.ReasonRefused)
	f.deliver(w, n[0])
	f.counted(r.ID, store.ReplayPaused, tally{requeued: 1, delivered: 1})
	f.reopen()
	f.refuses(r.ID, n[1])
	f.set(r.ID, store.ReplayRunning)
	f.step(r.ID, end(n[1]), n[1])
	f.set(r.ID, store.ReplayPaused)
	f.deliver(w, n[1])
	// All is through, but it is held: it is done once it may run.
	f.counted(r.ID, store.ReplayPaused, tally{requeued: 2, delivered: 2})
	f.sameReplay(f.set(r.ID, store.ReplayRunning), f.counted(r.ID, store.ReplayDone, tally{requeued: 2, delivered: 2}))
}

func replayCancelled(f *fixture) {
	w, n := f.failed("1", 3)
	r := f.start(sf()...)
	f.step(r.ID, upTo(n[1]), n[0], n[1])
	f.clock.advance(time.Minute)
	ended := f.set(r.ID, store.ReplayCancelled).EndedAt
	if !ended.Equal(f.clock.Now()) {
		f.Errorf("cancelled at %v, want %v", ended, f.clock.Now())
	}
	f.refuses(r.ID, n[2])
	f.openPushes(w, n[0], n[1])
	f.clock.advance(time.Minute)
	f.deliver(w, n[0])
	f.reopen()
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	got := f.counted(r.ID, store.ReplayCancelled, tally{requeued: 2, delivered: 1, failed: 1})
	if !got.EndedAt.Equal(ended) {
		f.Errorf("it ended at %v, and later at %v", ended, got.EndedAt)
	}
	if p := f.push(n[0]); p.Last().Replay != r.ID {
		f.Errorf("its attempt is of replay %d, want %d", p.Last().Replay, r.ID)
	}
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

func replayIdentity(f *fixture) {
	w, n := f.ready("1", 1)
	seq := n[0]
	tell := func(want ...uint64) {
		f.Helper()
		got := []uint64{}
		for _, a := range f.push(seq).Attempts {
			got = append(got, a.Replay)
		}
		if !slices.Equal(got, want) {
			f.Errorf("the attempts are of the replays %v, want %v", got, want)
		}
	}
	f.again(w, seq, 0)
	f.fail(w, seq, store.ReasonRefused, 47001, false)
	tell(0, 0)
	single := f.replay(seq, false).Replay
	f.again(w, seq, 0)
	f.fail(w, seq, store.ReasonRefused, 47001, false)
	tell(0, 0, single, single)
	bulk := f.start(sf()...)
	f.step(bulk.ID, end(seq), seq)
	f.deliver(w, seq)
	tell(0, 0, single, single, bulk.ID)
	f.reopen()
	tell(0, 0, single, single, bulk.ID)
	forced := f.replay(seq, true)
	if forced.Replay != 3 || forced.Bulk {
		f.Errorf("replayed by force: %+v, want replay 3 of one push", forced)
	}
	f.discard(seq)
	f.deliver(w, seq) // It was in flight.
	tell(0, 0, single, single, bulk.ID, forced.Replay)
	if p := f.push(seq); p.Replay != forced.Replay || p.Attempts[0].Errmsg != f.attempt(0).Errmsg {
		f.Errorf("in the end: %+v", p)
	}
}

func replayRevived(f *fixture) {
	w, n := f.failed("1", 2)
	r := f.start(sf()...)
	f.step(r.ID, end(n[1]), n...)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	f.deliver(w, n[1])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 2, delivered: 1, failed: 1})
	f.clock.advance(time.Minute)
	f.token(w, "BETTER", true)
	p := f.status(n[0], store.Pending, "")
	if p.Replay != 0 || p.Bulk || !p.OpenedAt.Equal(f.clock.Now()) || p.Last().Replay != r.ID {
		f.Errorf("revived: %+v, want no replay's, and its attempts as they were", p)
	}
	f.reopen()
	f.deliver(w, n[0])
	if p := f.push(n[0]); p.Last().Replay != 0 {
		f.Errorf("the attempt with the new Token is of replay %d, want none", p.Last().Replay)
	}
	f.counted(r.ID, store.ReplayDone, tally{requeued: 2, delivered: 1, failed: 1})

	// A Token that only ends a wait leaves the push to its replay.
	bare := makeNoToken(f, "2")
	f.pass(noTokenWait)
	again := f.start(sf()...)
	f.step(again.ID, end(bare), bare)
	f.token(waybill("2"), "T", true)
	if p := f.push(bare); p.Replay != again.ID || !p.Bulk {
		f.Errorf("after the Token: %+v, want replay %d's", p, again.ID)
	}
	f.deliver(waybill("2"), bare)
	f.counted(again.ID, store.ReplayDone, tally{requeued: 1, delivered: 1})
}

func replaySingle(f *fixture) {
	w, n := f.failed("1", 2)
	p, err := f.store.Replay(f.Context(), n[0], false, by(store.ActReplay))
	if err != nil {
		f.Fatalf("Replay: %v", err)
	}
	if !reflect.DeepEqual(p, f.lane(w).Pushes[0]) || p.Replay != 1 || p.Bulk || !p.OpenedAt.Equal(f.clock.Now()) {
		f.Errorf("answered:\n%+v, kept:\n%+v", p, f.lane(w).Pushes[0])
	}
	r := f.counted(1, store.ReplayRunning, tally{requeued: 1})
	if r.Single != n[0] || r.By != "ops" || r.Reason != by("").Reason || r.Matched != 1 || len(r.Legs) != 0 || !r.CreatedAt.Equal(f.clock.Now()) {
		f.Errorf("kept as %+v", r)
	}
	f.reopen()
	f.clock.advance(time.Second)
	f.deliver(w, n[0])
	if got := f.counted(1, store.ReplayDone, tally{requeued: 1, delivered: 1}); !got.EndedAt.Equal(f.clock.Now()) {
		f.Errorf("ended at %v, want %v", got.EndedAt, f.clock.Now())
	}
	// One of many that ends at the same moment is no reason to send it twice.
	f.replay(n[1], false)
	many := f.start(sf()...)
	f.step(many.ID, end(n[1]), n...)
	f.counted(many.ID, store.ReplayDone, tally{skipped: 2})
	f.discard(n[1])
	f.counted(2, store.ReplayDone, tally{requeued: 1, discarded: 1})
	if _, err := f.store.Replay(f.Context(), 4711, false, by(store.ActReplay)); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("of nothing: %v", err)
	}
	if next := f.start(); next.ID != 4 {
		f.Errorf("the next is number %d: what was refused took one", next.ID)
	}
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

func replayReopens(f *fixture) {
	w, n := f.failed("1", 8)
	ids := map[string]uint64{}
	var want []store.Replay
	for i, c := range []struct {
		name   string
		status store.ReplayStatus
		legs   []store.Leg
	}{
		{"running", store.ReplayRunning, sf()}, {"paused", store.ReplayPaused, sf()},
		{"cancelled", store.ReplayCancelled, sf()}, {"done", store.ReplayDone, sf()},
	} {
		id := f.start(c.legs...).ID
		ids[c.name] = id
		f.step(id, upTo(n[2*i]), n[2*i])
		switch c.status {
		case store.ReplayDone:
			f.step(id, end(n[2*i]))
			f.deliver(w, n[2*i])
		case store.ReplayRunning:
		default:
			f.set(id, c.status)
		}
		want = append(want, f.counted(id, c.status, f.readTally(id)))
	}
	single := f.replay(n[7], false)
	want = append(want, f.readReplay(single.Replay))
	for range 2 {
		f.reopen()
		for _, r := range want {
			f.sameReplay(f.readReplay(r.ID), r)
		}
		f.openPushes(w, n[0], n[2], n[4], n[7])
		f.check()
	}
	for _, i := range []int{0, 2, 4, 7} {
		f.deliver(w, n[i])
	}
	f.counted(ids["running"], store.ReplayRunning, tally{requeued: 1, delivered: 1})
	f.counted(ids["paused"], store.ReplayPaused, tally{requeued: 1, delivered: 1})
	f.counted(ids["cancelled"], store.ReplayCancelled, tally{requeued: 1, delivered: 1})
	f.counted(single.Replay, store.ReplayDone, tally{requeued: 1, delivered: 1})
	f.step(ids["running"], end(n[1]), n[1])
	f.set(ids["paused"], store.ReplayRunning)
	f.step(ids["paused"], end(n[3]), n[3])
	f.refuses(ids["cancelled"], n[5])
	f.refuses(ids["done"], n[5])
	f.openPushes(w, n[1], n[3])
	if next := f.start(); next.ID != single.Replay+1 {
		f.Errorf("the next is number %d, want %d", next.ID, single.Replay+1)
	}
}

func (f *fixture) readTally(id uint64) tally {
	f.Helper()
	r := f.readReplay(id)
	return tally{r.Requeued, r.Skipped, r.Delivered, r.Failed, r.Discarded}
}

func replayLists(f *fixture) {
	const n = 11
	_, numbers := f.failed("1", n)
	for i := range n {
		if i%2 == 0 {
			f.start(sf()...)
		} else {
			f.replay(numbers[i], false)
		}
	}
	for _, limit := range []int{1, 4, n, 100} {
		var got []uint64
		before := uint64(0)
		for range 100 {
			page, err := f.store.ListReplays(f.Context(), before, limit)
			if err != nil || len(page.Items) > limit {
				f.Fatalf("ListReplays: %d of %d, %v", len(page.Items), limit, err)
			}
			for _, r := range page.Items {
				got = append(got, r.ID)
				f.sameReplay(r, f.readReplay(r.ID))
			}
			if before = page.Next; before == 0 {
				break
			}
		}
		if len(got) != n || got[0] != n || !slices.IsSortedFunc(got, func(a, b uint64) int { return int(b) - int(a) }) {
			f.Errorf("by %d: %v", limit, got)
		}
	}
}

func replayUnknown(f *fixture) {
	_, n := f.failed("1", 1)
	_, rerr := f.store.Requeue(f.Context(), store.Requeue{Replay: 7, Seqs: n, Leg: end(n[0])})
	_, serr := f.store.SetReplay(f.Context(), 7, store.ReplayPaused, by(store.ActReplayPause))
	_, gerr := f.store.ReadReplay(f.Context(), 7)
	for name, err := range map[string]error{"Requeue": rerr, "SetReplay": serr, "ReadReplay": gerr} {
		if !errors.Is(err, store.ErrNotFound) {
			f.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	f.status(n[0], store.Failed, store.ReasonRefused)
	page, err := f.store.ListReplays(f.Context(), 0, 10)
	if err != nil || len(page.Items) != 0 {
		f.Errorf("ListReplays: %+v, %v", page, err)
	}
	// A leg that the replay does not have changes nothing of its legs.
	r := f.start(sf()...)
	f.step(r.ID, store.Leg{DeliveryID: "NOBODY", Cursor: 9, Done: true})
	if got := f.readReplay(r.ID); !slices.Equal(got.Legs, sf()) || got.Status != store.ReplayRunning {
		f.Errorf("legs: %+v, it is %s", got.Legs, got.Status)
	}
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
