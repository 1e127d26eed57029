package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var settleTests = map[string]func(*fixture){
	"a delivered push leaves the lane":        settleDelivered,
	"a retry is kept":                         settleRetry,
	"every field of an attempt is kept":       settleAttempts,
	"only the latest attempts are kept":       settleManyAttempts,
	"failed and discarded":                    settleEnds,
	"an answer that comes after the end":      settleAfterEnd,
	"decisions that come after the end":       settleDecisionAfterEnd,
	"what is no push can't be settled":        settleNothing,
	"a push that waits for a Token":           settleWaiting,
	"many outcomes at once":                   settleMany,
	"settled pushes survive a restart":        settleSurvives,
	"a parked waybill keeps its other pushes": settlePark,
	"a newer Token overtakes the parking":     settleParkOvertaken,
}

// ready makes a waybill with a Token and n accepted events.
func (f *fixture) ready(id string, n int) (state.Waybill, []uint64) {
	f.Helper()
	w := waybill(id)
	f.token(w, "TOKEN", true)
	numbers := make([]uint64, n)
	for i := range numbers {
		e := f.scan(id, state.Transit, int64(100+i))
		if i == 0 {
			e.Type = state.PickupDone
		}
		numbers[i] = f.one(e, state.Accepted).Seq
	}
	return w, numbers
}

func settleDelivered(f *fixture) {
	w, n := f.ready("1", 2)
	f.clock.advance(time.Second)
	f.deliver(w, n[0])
	p := f.status(n[0], store.Delivered, "")
	if !p.DoneAt.Equal(f.clock.Now()) || len(p.Attempts) != 1 || p.Last().Errcode == nil || *p.Last().Errcode != 0 {
		f.Errorf("delivered: %+v", p)
	}
	f.openPushes(w, n[1])
	if st := f.store.Stats(); st.Pushes[account][store.Delivered] != 1 || st.Pushes[account][store.Pending] != 1 {
		f.Errorf("counted: %v", st.Pushes)
	}
}

func settleRetry(f *fixture) {
	w, n := f.ready("1", 1)
	at := f.clock.Now().Add(time.Minute)
	f.settle(store.Outcome{
		Seq: n[0], Waybill: w, Status: store.Pending, Attempt: f.attempt(-1),
		Tries: 2, Refusals: 1, Used: 90 * time.Second, NextAt: at,
	})
	for range 2 {
		p := f.openPushes(w, n[0]).Pushes[0]
		if p.Tries != 2 || p.Refusals != 1 || p.Used != 90*time.Second || !p.NextAt.Equal(at) || len(p.Attempts) != 1 {
			f.Errorf("kept: %+v", p)
		}
		if got := f.push(n[0]); got.WaitingFor != store.WaitRetry {
			f.Errorf("it waits for %q, want its retry", got.WaitingFor)
		}
		if got := f.sweep(account); len(got) != 1 {
			f.Errorf("the sweep lists %v", got)
		}
		f.reopen()
	}
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Delivered, Attempt: f.attempt(0), Tries: 3})
	if p := f.push(n[0]); len(p.Attempts) != 2 || p.Tries != 3 || !p.NextAt.IsZero() {
		f.Errorf("in the end: %+v", p)
	}
}

func settleAttempts(f *fixture) {
	w, n := f.ready("1", 1)
	want := []store.Attempt{
		{At: f.clock.Now(), Duration: 1234567 * time.Nanosecond, Errcode: new(-1), Errmsg: "系统繁忙", RID: "r-1", Scope: "upstream"},
		{At: f.clock.Now(), Errmsg: "no answer in 10s", Scope: "upstream", Unknown: true},
		{At: f.clock.Now().Add(time.Second), Errcode: new(40001), Scope: "credential", Breaker: store.BreakerClosed, AccessTokenAt: f.ago(time.Hour), TokenAt: f.ago(50 * time.Hour)},
		{At: f.clock.Now().Add(time.Second), Errcode: new(-1), Scope: "upstream", Breaker: store.BreakerOpen, Fallback: "api2.weixin.qq.com"},
		{At: f.clock.Now().Add(time.Second), Errcode: new(0), Scope: "ok", Breaker: store.BreakerHalfOpen, TokenAt: f.ago(-time.Minute)},
	}
	for i := range want {
		f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Pending, Attempt: &want[i]})
	}
	f.reopen()
	got := f.push(n[0]).Attempts
	for i := range got {
		f.sameTime(&got[i].At, want[i].At)
		f.sameTime(&got[i].AccessTokenAt, want[i].AccessTokenAt)
		f.sameTime(&got[i].TokenAt, want[i].TokenAt)
	}
	if !reflect.DeepEqual(got, want) {
		f.Errorf("attempts:\n%+v\nwant:\n%+v", got, want)
	}
}

// sameTime expects an instant, and makes it one that compares as equal in whatever zone it was.
func (f *fixture) sameTime(got *time.Time, want time.Time) {
	f.Helper()
	if !got.Equal(want) {
		f.Errorf("%v, want %v", got, want)
	}
	*got = want
}

// ago is a time before now, as precise as attempts keep it.
func (f *fixture) ago(d time.Duration) time.Time {
	return f.clock.Now().Add(-d).Truncate(time.Millisecond)
}

func settleManyAttempts(f *fixture) {
	w, n := f.ready("1", 1)
	for i := range store.MaxAttempts + 5 {
		a := f.attempt(-1)
		a.Errmsg = fmt.Sprint(i)
		f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Pending, Attempt: a, Tries: i + 1})
	}
	p := f.push(n[0])
	if len(p.Attempts) != store.MaxAttempts || p.Attempts[0].Errmsg != "5" || p.Last().Errmsg != "54" || p.Tries != 55 {
		f.Errorf("%d attempts from %q to %q, %d tries", len(p.Attempts), p.Attempts[0].Errmsg, p.Last().Errmsg, p.Tries)
	}
}

func settleEnds(f *fixture) {
	w, n := f.ready("1", 3)
	f.fail(w, n[0], store.ReasonRefused, 9300526, false)
	f.settle(store.Outcome{Seq: n[1], Waybill: w, Status: store.Discarded, Reason: "the customer asked for it"})
	f.openPushes(w, n[2])
	f.status(n[0], store.Failed, store.ReasonRefused)
	if p := f.status(n[1], store.Discarded, "the customer asked for it"); len(p.Attempts) != 0 {
		f.Errorf("discarded with attempts: %+v", p)
	}
	if st := f.store.Stats().Pushes[account]; st[store.Failed] != 1 || st[store.Discarded] != 1 || st[store.Pending] != 1 {
		f.Errorf("counted: %v", st)
	}
}

func settleAfterEnd(f *fixture) {
	w, n := f.ready("1", 1)
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	// A refusal of a request that was in flight when the push was discarded changes nothing.
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	if p := f.status(n[0], store.Discarded, store.ReasonOperator); len(p.Attempts) != 1 {
		f.Errorf("the answer is not kept as an attempt: %+v", p)
	}
	// What upstream has taken is delivered.
	f.deliver(w, n[0])
	if p := f.status(n[0], store.Delivered, ""); len(p.Attempts) != 2 {
		f.Errorf("the answer is not kept as an attempt: %+v", p)
	}
	if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 0 || st[store.Delivered] != 1 || st[store.Pending] != 0 {
		f.Errorf("counted: %v", st)
	}
}

func settleDecisionAfterEnd(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	discard := store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator}
	if err := f.trySettle(discard); !errors.Is(err, store.ErrState) {
		f.Errorf("discarding a delivered push: %v, want ErrState", err)
	}
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	discard.Seq = n[1]
	f.settle(discard)
	f.status(n[1], store.Discarded, store.ReasonOperator)
	page, err := f.store.Pushes(f.Context(), store.Query{Status: store.Failed, Limit: 10})
	if err != nil || len(page.Items) != 0 {
		f.Errorf("it is still listed as failed: %v, %v", page.Items, err)
	}
}

func settleNothing(f *fixture) {
	w, n := f.ready("1", 1)
	if err := f.trySettle(store.Outcome{Seq: 4711, Waybill: w, Status: store.Delivered, Attempt: f.attempt(0)}); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("an event that is not there: %v, want ErrNotFound", err)
	}
	if err := f.trySettle(store.Outcome{Seq: n[0], Waybill: waybill("2"), Status: store.Delivered, Attempt: f.attempt(0)}); err == nil {
		f.Error("a push was settled under another waybill's name")
	}
	rejected := f.one(f.scan("1", state.Cancelled, 200), state.Rejected)
	if err := f.trySettle(store.Outcome{Seq: rejected.Seq, Waybill: w, Status: store.Discarded}); !errors.Is(err, store.ErrState) {
		f.Errorf("an event without a push: %v, want ErrState", err)
	}
	f.openPushes(w, n[0])
}

func settleWaiting(f *fixture) {
	w := waybill("1")
	r := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.settle(store.Outcome{Seq: r.Seq, Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	f.openPushes(w)
	f.pass(2 * noTokenWait)
	f.status(r.Seq, store.Discarded, store.ReasonOperator)
	f.token(w, "T", true)
	f.status(r.Seq, store.Discarded, store.ReasonOperator)
}

func settleMany(f *fixture) {
	const n = 300
	var calls atomic.Int64
	done := make(chan error, n)
	for i := range n {
		w, seqs := f.ready(fmt.Sprint(i), 1)
		f.store.Settle(store.Outcome{Seq: seqs[0], Waybill: w, Status: store.Delivered, Attempt: f.attempt(0)}, func(err error) {
			calls.Add(1)
			done <- err
		})
	}
	for range n {
		if err := <-done; err != nil {
			f.Errorf("Settle: %v", err)
		}
	}
	if got := f.store.Stats().Pushes[account][store.Delivered]; got != n || calls.Load() != n {
		f.Errorf("%d delivered after %d calls of done, want %d", got, calls.Load(), n)
	}
}

func settleSurvives(f *fixture) {
	w, n := f.ready("1", 3)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	before := f.store.Stats()
	f.reopen()
	f.openPushes(w, n[2])
	f.status(n[0], store.Delivered, "")
	f.status(n[1], store.Failed, store.ReasonRefused)
	after := f.store.Stats()
	if !reflect.DeepEqual(before.Pushes, after.Pushes) || !reflect.DeepEqual(before.Events, after.Events) {
		f.Errorf("counters before: %v %v, after: %v %v", before.Pushes, before.Events, after.Pushes, after.Events)
	}
}

func settlePark(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	lane := f.openPushes(w, n[1])
	if !lane.Parked || lane.Frozen {
		f.Errorf("lane: parked %v, frozen %v", lane.Parked, lane.Frozen)
	}
	f.fed()
	third := f.one(f.scan("1", state.DeliveryBegun, 900), state.Accepted)
	f.openPushes(w, n[1], third.Seq)
	for _, c := range f.fed() {
		if !c.Blocked {
			f.Errorf("a push of a parked waybill was fed as sendable: %+v", c)
		}
	}
}

func settleParkOvertaken(f *fixture) {
	w, n := f.ready("1", 2)
	refused := f.lane(w).Token
	f.token(w, "NEWER", true)
	f.settle(store.Outcome{
		Seq: n[0], Waybill: w, Status: store.Failed, Reason: store.ReasonToken, Attempt: f.attempt(9300507),
		Tries: 3, Refusals: 3, Park: true, Token: refused,
	})
	lane := f.openPushes(w, n...)
	if lane.Parked || lane.Token != "NEWER" {
		f.Errorf("parked %v with the Token %q, although a newer one had come", lane.Parked, lane.Token)
	}
	if p := lane.Pushes[0]; p.Refusals != 0 || !p.NextAt.IsZero() || len(p.Attempts) != 1 {
		f.Errorf("it is not sent again at once: %+v", p)
	}
	f.settle(store.Outcome{
		Seq: n[0], Waybill: w, Status: store.Failed, Reason: store.ReasonToken, Attempt: f.attempt(9300507),
		Tries: 6, Refusals: 3, Park: true, Token: "NEWER",
	})
	if lane := f.openPushes(w, n[1]); !lane.Parked {
		f.Error("the newest Token is refused, but the waybill is not parked")
	}
}
