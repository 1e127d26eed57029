package storetest

import (
	"errors"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var replayTests = map[string]func(*fixture){
	"a replay has its old place in the lane": replayOrder,
	"what may be replayed":                   replayRules,
	"a replay unparks":                       replayUnparks,
	"a replay without a Token waits again":   replayWithoutToken,
	"a replay survives a restart":            replaySurvives,
}

func (f *fixture) replay(seq uint64, force bool) store.Push {
	f.Helper()
	p, err := f.store.Replay(f.Context(), seq, force, store.Act{})
	if err != nil {
		f.Fatalf("Replay(%d): %v", seq, err)
	}
	return p
}

func replayOrder(f *fixture) {
	w, n := f.ready("1", 3)
	f.fail(w, n[0], store.ReasonExhausted, -1, false)
	f.deliver(w, n[1])
	f.openPushes(w, n[2])
	f.fed()
	p := f.replay(n[0], false)
	if p.Seq != n[0] || p.Ord != n[0] || p.Status != store.Pending || p.Tries != 0 || p.Reason != "" || len(p.Attempts) != 1 {
		f.Errorf("replayed: %+v", p)
	}
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Waybill != w {
		f.Errorf("the replay was fed as %+v, want one Reload", c)
	}
	f.openPushes(w, n[0], n[2])
	f.replay(n[1], true)
	f.openPushes(w, n[0], n[1], n[2])
	f.deliver(w, n[0])
	f.openPushes(w, n[1], n[2])
}

func replayRules(f *fixture) {
	w, n := f.ready("1", 3)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.deliver(w, n[0])
	f.settle(store.Outcome{Seq: n[1], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	for _, c := range []struct {
		name  string
		seq   uint64
		force bool
		want  error
	}{
		{"a delivered one needs force", n[0], false, store.ErrState},
		{"a delivered one with force", n[0], true, nil},
		{"a discarded one", n[1], false, nil},
		{"one that is pending again", n[1], true, store.ErrState},
		{"one that is pending", n[2], false, store.ErrState},
		{"an event without a push", rejected.Seq, true, store.ErrState},
		{"no event at all", 4711, true, store.ErrNotFound},
	} {
		if _, err := f.store.Replay(f.Context(), c.seq, c.force, store.Act{}); !errors.Is(err, c.want) {
			f.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	f.openPushes(w, n...)
}

func replayUnparks(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonToken, 40199, true)
	f.replay(n[0], false)
	if lane := f.openPushes(w, n...); lane.Parked {
		f.Error("the waybill is still parked")
	}
	f.reopen()
	if lane := f.openPushes(w, n...); lane.Parked {
		f.Error("after a restart the waybill is parked again")
	}
}

func replayWithoutToken(f *fixture) {
	w := waybill("1")
	r := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.pass(noTokenWait)
	f.replay(r.Seq, false)
	f.pass(noTokenWait - time.Millisecond)
	f.openPushes(w, r.Seq)
	f.pass(time.Millisecond)
	f.status(r.Seq, store.Failed, store.ReasonNoToken)
}

func replaySurvives(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonExhausted, -1, false)
	f.deliver(w, n[1])
	f.pass(time.Second) // The marks of what is settled move on.
	f.replay(n[0], false)
	f.reopen()
	f.openPushes(w, n[0])
	if got := f.sweep(account); len(got) != 1 || got[0] != "1" {
		f.Errorf("the sweep lists %v", got)
	}
	f.deliver(w, n[0])
	f.reopen()
	if got := f.sweep(account); len(got) != 0 {
		f.Errorf("the sweep lists %v, want nothing", got)
	}
}
