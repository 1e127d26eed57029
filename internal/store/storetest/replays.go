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
