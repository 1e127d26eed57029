package storetest

import (
	"errors"
	"reflect"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

func (f *fixture) discard(seq uint64) store.Push {
	f.Helper()
	p, err := f.store.Discard(f.Context(), seq, by(store.ActDiscard))
	if err != nil {
		f.Fatalf("Discard(%d): %v", seq, err)
	}
	return p
}

func discardLeaves(f *fixture) {
	w, n := f.ready("1", 3)
	f.again(w, n[0], time.Minute)
	f.fed()
	f.clock.advance(time.Second)
	p := f.discard(n[0])
	want := f.push(n[0])
	if !reflect.DeepEqual(p, want) {
		f.Errorf("answered:\n%+v, kept:\n%+v", p, want)
	}
	if p.Status != store.Discarded || !p.DoneAt.Equal(f.clock.Now()) || !p.NextAt.IsZero() || len(p.Attempts) != 1 || p.WaitingFor != "" {
		f.Errorf("discarded: %+v", p)
	}
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked || c[0].Waybill != w {
		f.Errorf("the discard was fed as %+v, want one Reload", c)
	}
	f.openPushes(w, n[1], n[2])
	f.discard(n[2])
	f.openPushes(w, n[1])
	f.discard(n[1])
	f.openPushes(w)
	if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 3 || st[store.Pending] != 0 {
		f.Errorf("counted: %v", st)
	}
	f.expect("discarded", f.pushes(store.Query{Status: store.Discarded}), n...)
	f.fed()
	next := f.one(f.scan("1", state.Transit, 900), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Whole {
		f.Errorf("after all were discarded, a new push was fed as %+v, want Whole", c)
	}
	f.openPushes(w, next.Seq)
}

func discardReason(f *fixture) {
	_, n := f.ready("1", 2)
	f.discard(n[0])
	f.status(n[0], store.Discarded, by("").Reason)
	if _, err := f.store.Discard(f.Context(), n[1], store.Act{By: "ops", Action: store.ActSkip}); err != nil {
		f.Fatalf("Discard: %v", err)
	}
	f.status(n[1], store.Discarded, store.ReasonOperator)
}

func discardFailed(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	f.clock.advance(time.Second)
	if p := f.discard(n[0]); !p.DoneAt.Equal(f.clock.Now()) || len(p.Attempts) != 1 {
		f.Errorf("discarded: %+v", p)
	}
	f.expect("failed", f.pushes(store.Query{Status: store.Failed}))
	f.expect("discarded", f.pushes(store.Query{Status: store.Discarded}), n[0])
	if !f.openPushes(w, n[1]).Parked {
		f.Error("the Token is still refused, but the waybill is not parked")
	}
	f.token(w, "BETTER", true)
	f.openPushes(w, n[1]) // What is discarded stays so, also when a better Token comes.
	if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 1 || st[store.Failed] != 0 || st[store.Pending] != 1 {
		f.Errorf("counted: %v", st)
	}
}

func discardInFlight(f *fixture) {
	w, n := f.ready("1", 3)
	for _, seq := range n {
		f.discard(seq)
	}
	// Answers that come after it: upstream took it; upstream refused it for good; upstream is to be asked again.
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonToken, 9300507, true)
	f.again(w, n[2], time.Minute)
	f.status(n[0], store.Delivered, "")
	for _, seq := range n[1:] {
		if p := f.status(seq, store.Discarded, by("").Reason); len(p.Attempts) != 1 || !p.NextAt.IsZero() {
			f.Errorf("its last attempt: %+v", p)
		}
	}
	if lane := f.openPushes(w); lane.Parked {
		f.Error("a refusal of what is discarded parked the waybill")
	}
	if st := f.store.Stats().Pushes[account]; st[store.Delivered] != 1 || st[store.Discarded] != 2 || st[store.Pending] != 0 {
		f.Errorf("counted: %v", st)
	}
}

func discardSurvives(f *fixture) {
	w, n := f.ready("1", 2)
	bare := makeNoToken(f, "2")
	f.discard(n[0])
	f.discard(bare)
	before := f.push(n[0])
	f.reopen()
	if after := f.push(n[0]); !reflect.DeepEqual(before, after) {
		f.Errorf("after a restart:\n%+v, before:\n%+v", after, before)
	}
	f.openPushes(w, n[1])
	f.openPushes(waybill("2"))
	f.pass(2 * noTokenWait)
	f.status(bare, store.Discarded, by("").Reason)
	f.check()
}

func retryNow(f *fixture) {
	w, n := f.ready("1", 2)
	f.again(w, n[0], time.Hour)
	f.fed()
	p, err := f.store.RetryNow(f.Context(), n[0], by(store.ActRetry))
	if err != nil {
		f.Fatalf("RetryNow: %v", err)
	}
	if !p.NextAt.IsZero() || p.Status != store.Pending || p.Tries != 1 || p.Used != time.Second || len(p.Attempts) != 1 {
		f.Errorf("answered: %+v, want only its wait gone", p)
	}
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked {
		f.Errorf("fed as %+v, want one Reload", c)
	}
	for range 2 {
		lane := f.openPushes(w, n...)
		if got := lane.Pushes[0]; !got.NextAt.IsZero() || got.Tries != 1 {
			f.Errorf("in the lane: %+v", got)
		}
		f.reopen()
	}
}

func retryNot(f *fixture) {
	// A push that waits for its next attempt, and for an earlier one of its waybill.
	seq := makeRetryBehind(f, "1")
	first := f.lane(waybill("1")).Pushes[0].Seq
	if _, err := f.store.RetryNow(f.Context(), seq, by(store.ActRetry)); !errors.Is(err, store.ErrState) {
		f.Errorf("behind another: %v, want ErrState", err)
	}
	f.deliver(waybill("1"), first)
	if _, err := f.store.RetryNow(f.Context(), seq, by(store.ActRetry)); err != nil {
		f.Errorf("as the first: %v", err)
	}
}
