package storetest

import (
	"errors"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

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
