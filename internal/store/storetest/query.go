package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var queryTests = map[string]func(*fixture){
	"each filter of pushes":       queryPushes,
	"each filter of events":       queryEvents,
	"what pushes wait for":        queryWaiting,
	"pages join without a gap":    queryPages,
	"times":                       queryTimes,
	"pending pushes, old and new": queryPending,
	"what is not there":           queryMissing,
	"a waybill's story":           queryWaybill,
}

// pushes lists all pages of a query by number.
func (f *fixture) pushes(q store.Query) []uint64 {
	f.Helper()
	return pages(f, q, f.store.Pushes, func(p store.Push) uint64 { return p.Seq })
}

func (f *fixture) events(q store.Query) []uint64 {
	f.Helper()
	return pages(f, q, f.store.Events, func(e store.Event) uint64 { return e.Seq })
}

func pages[T any](f *fixture, q store.Query, list lister[T], seq func(T) uint64) []uint64 {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	got := []uint64{}
	for range 10_000 {
		page, err := list(f.Context(), q)
		if err != nil {
			f.Fatalf("query %+v: %v", q, err)
		}
		if len(page.Items) > q.Limit {
			f.Errorf("a page of %d, the limit is %d", len(page.Items), q.Limit)
		}
		for _, item := range page.Items {
			if n := len(got); n > 0 && seq(item) >= got[n-1] {
				f.Errorf("not newest first: %d after %d", seq(item), got[n-1])
			}
			got = append(got, seq(item))
		}
		if page.Next == 0 {
			return got
		}
		q.Before = page.Next
	}
	f.Fatal("the pages do not end")
	return nil
}

func (f *fixture) expect(name string, got []uint64, want ...uint64) {
	f.Helper()
	want = slices.Clone(want)
	slices.SortFunc(want, func(a, b uint64) int { return int(b) - int(a) })
	if !slices.Equal(got, want) {
		f.Errorf("%s: %v, want %v", name, got, want)
	}
}

func queryPushes(f *fixture) {
	w, n := f.ready("1", 4)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.settle(store.Outcome{Seq: n[2], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	other := f.scan("1", state.PickupDone, 100)
	other.DeliveryID, other.Source, other.Token = "YTO", "another", "T"
	m := f.one(other, state.Accepted).Seq
	f.fail(other.Waybill(), m, store.ReasonToken, 40199, true)
	f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	for range 2 {
		f.expect("all", f.pushes(store.Query{}), n[0], n[1], n[2], n[3], m)
		f.expect("delivered", f.pushes(store.Query{Status: store.Delivered}), n[0])
		f.expect("failed", f.pushes(store.Query{Status: store.Failed}), n[1], m)
		f.expect("failed of an account", f.pushes(store.Query{Status: store.Failed, DeliveryID: "YTO"}), m)
		f.expect("discarded", f.pushes(store.Query{Status: store.Discarded}), n[2])
		f.expect("pending", f.pushes(store.Query{Status: store.Pending}), n[3])
		f.expect("errcode", f.pushes(store.Query{Errcode: new(47001)}), n[1])
		f.expect("errcode 0", f.pushes(store.Query{Errcode: new(0)}), n[0])
		f.expect("failed with an errcode", f.pushes(store.Query{Status: store.Failed, Errcode: new(40199)}), m)
		f.expect("reason", f.pushes(store.Query{Reason: store.ReasonOperator}), n[2])
		f.expect("account", f.pushes(store.Query{DeliveryID: "YTO"}), m)
		f.expect("waybill", f.pushes(store.Query{DeliveryID: account, WaybillID: "1"}), n...)
		f.expect("waybill of any account", f.pushes(store.Query{WaybillID: "1"}), append(slices.Clone(n), m)...)
		f.expect("type", f.pushes(store.Query{Type: state.PickupDone}), n[0], m)
		f.expect("source", f.pushes(store.Query{Source: "another"}), m)
		f.expect("verdict", f.pushes(store.Query{Verdict: state.Accepted}), n[0], n[1], n[2], n[3], m)
		f.expect("no match", f.pushes(store.Query{Source: "nobody"}))
		f.reopen()
	}
}

func queryEvents(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted).Seq
	b := f.one(f.scan("1", state.PickupDone, 110), state.Ignored).Seq
	c := f.one(f.scan("1", state.Cancelled, 120), state.Rejected).Seq
	d := f.one(f.scan("1", state.Signed, 130), state.Held).Seq
	e := f.one(f.scan("2", state.Signed, 130), state.Held).Seq
	f.expect("all", f.events(store.Query{}), a, b, c, d, e)
	for verdict, want := range map[state.Verdict][]uint64{
		state.Accepted: {a}, state.Ignored: {b}, state.Rejected: {c}, state.Held: {d, e}, state.Duplicate: {},
	} {
		f.expect(verdict.String(), f.events(store.Query{Verdict: verdict}), want...)
	}
	f.expect("reason", f.events(store.Query{Reason: state.IllegalStep.String()}), c)
	f.expect("waybill", f.events(store.Query{DeliveryID: account, WaybillID: "2"}), e)
	f.expect("status", f.events(store.Query{Status: store.Pending}), a)
	f.one(f.scan("1", state.DeliveryBegun, 125), state.Accepted)
	f.expect("held, after a release", f.events(store.Query{Verdict: state.Held}), e)
	page, err := f.store.Events(f.Context(), store.Query{WaybillID: "1", DeliveryID: account, Type: state.Signed, Limit: 1})
	if err != nil || len(page.Items) != 1 {
		f.Fatalf("Events: %+v, %v", page, err)
	}
	if got := page.Items[0]; got.First != state.Held || got.Verdict != state.Accepted || got.Status != store.Pending || got.Event.Waybill() != w {
		f.Errorf("a released event: %+v", got)
	}
}

func queryWaiting(f *fixture) {
	none := f.one(f.scan("no-token", state.PickupDone, 100), state.Accepted).Seq
	_, line := f.ready("line", 2)
	retry, rn := f.ready("retry", 1)
	f.settle(store.Outcome{
		Seq: rn[0], Waybill: retry, Status: store.Pending, Attempt: f.attempt(-1), NextAt: f.clock.Now().Add(time.Minute),
	})
	park, pn := f.ready("park", 2)
	f.fail(park, pn[0], store.ReasonToken, 40199, true)
	f.expect("token", f.pushes(store.Query{WaitingFor: store.WaitToken}), none)
	f.expect("waybill", f.pushes(store.Query{WaitingFor: store.WaitWaybill}), line[1], pn[1])
	f.expect("retry", f.pushes(store.Query{WaitingFor: store.WaitRetry}), rn[0])
	f.expect("breaker", f.pushes(store.Query{WaitingFor: store.WaitBreaker}))
	held := func(delivery string, _ bool) store.WaitingFor {
		if delivery == account {
			return store.WaitBreaker
		}
		return store.WaitNothing
	}
	f.expect("breaker, while it is open", f.pushes(store.Query{WaitingFor: store.WaitBreaker, Held: held}), line[0], rn[0])
	f.expect("token, while it is open", f.pushes(store.Query{WaitingFor: store.WaitToken, Held: held}), none)
	f.clock.advance(time.Minute)
	f.expect("retry, when its time has come", f.pushes(store.Query{WaitingFor: store.WaitRetry}))
	if p := f.push(line[0]); p.WaitingFor != store.WaitNothing {
		f.Errorf("the first of a lane waits for %q", p.WaitingFor)
	}
}

func queryPages(f *fixture) {
	var want []uint64
	for i := range 23 {
		e := f.scan(fmt.Sprint(i), state.PickupDone, 100)
		e.Token = "T"
		want = append(want, f.one(e, state.Accepted).Seq)
	}
	for _, limit := range []int{1, 7, 23, 100} {
		f.expect(fmt.Sprintf("pushes by %d", limit), f.pushes(store.Query{Limit: limit}), want...)
		f.expect(fmt.Sprintf("events by %d", limit), f.events(store.Query{Limit: limit}), want...)
	}
	page, err := f.store.Pushes(f.Context(), store.Query{Limit: 23})
	if err != nil || len(page.Items) != 23 || page.Next != 0 {
		f.Errorf("a page that holds all: %d items, next %d, err %v", len(page.Items), page.Next, err)
	}
	for i, seq := range want {
		if i%2 == 0 {
			f.fail(waybill(fmt.Sprint(i)), seq, store.ReasonRefused, 47001, false)
		}
	}
	if got := f.pushes(store.Query{Status: store.Failed, Limit: 5}); len(got) != 12 {
		f.Errorf("failed by 5: %v", got)
	}
}

func queryTimes(f *fixture) {
	begin := f.clock.Now()
	var n []uint64
	for i := range 5 {
		n = append(n, f.one(f.scan(fmt.Sprint(i), state.PickupDone, 100), state.Accepted).Seq)
		f.clock.advance(time.Second)
	}
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Second) }
	f.expect("since", f.pushes(store.Query{Since: at(3)}), n[3], n[4])
	f.expect("until", f.pushes(store.Query{Until: at(2)}), n[0], n[1])
	f.expect("since and until", f.pushes(store.Query{Since: at(1), Until: at(3)}), n[1], n[2])
	f.expect("since between two", f.pushes(store.Query{Since: at(3).Add(time.Millisecond)}), n[4])
	f.expect("since the future", f.pushes(store.Query{Since: at(9)}))
	f.expect("until the past", f.events(store.Query{Until: begin}))
	f.clock.advance(-time.Hour) // A clock that is set back does not turn the order round.
	last := f.one(f.scan("9", state.PickupDone, 100), state.Accepted).Seq
	f.expect("since, after the clock went back", f.pushes(store.Query{Since: at(4)}), n[4], last)
}

func queryPending(f *fixture) {
	var want []uint64
	for i := range 40 {
		w, n := f.ready(fmt.Sprint(i), 2)
		f.deliver(w, n[0])
		switch i % 4 {
		case 0:
			f.replay(n[0], true)
			want = append(want, n[0], n[1])
		case 1:
			want = append(want, n[1])
		default:
			f.deliver(w, n[1])
		}
		f.pass(0)
	}
	want = append(want, f.one(f.scan("no-token", state.PickupDone, 1), state.Accepted).Seq)
	for _, limit := range []int{3, 100} {
		f.expect(fmt.Sprintf("pending by %d", limit), f.pushes(store.Query{Status: store.Pending, Limit: limit}), want...)
	}
}

func queryMissing(f *fixture) {
	if _, err := f.store.Push(f.Context(), 1); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Push: %v, want ErrNotFound", err)
	}
	if _, err := f.store.Waybill(f.Context(), waybill("1")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Waybill: %v, want ErrNotFound", err)
	}
	if lane := f.openPushes(waybill("1")); lane.Waybill != waybill("1") {
		f.Errorf("the empty lane is of %s", lane.Waybill)
	}
	f.expect("pushes", f.pushes(store.Query{}))
	f.expect("events", f.events(store.Query{Verdict: state.Held}))
	f.expect("pending", f.pushes(store.Query{Status: store.Pending}))
	f.expect("waybill", f.pushes(store.Query{WaybillID: "1"}))
}

func queryWaybill(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	r := f.one(f.scan("1", state.Cancelled, 50), state.Rejected)
	for range 2 {
		story := f.waybill(w)
		if story.Stage != state.InTransit || !story.TokenSet || story.Parked || story.Frozen || len(story.Timeline) != 3 {
			f.Fatalf("story: %+v", story)
		}
		first, second, third := story.Timeline[0], story.Timeline[1], story.Timeline[2]
		if first.Event.Seq != r.Seq || first.Push.Status != store.NoPush || first.Event.Verdict != state.Rejected {
			f.Errorf("first: %+v", first)
		}
		if second.Event.Seq != n[0] || second.Push.Status != store.Delivered || len(second.Push.Attempts) != 1 {
			f.Errorf("second: %+v", second)
		}
		if third.Event.Seq != n[1] || third.Push.Status != store.Pending || third.Event.Status != store.Pending {
			f.Errorf("third: %+v", third)
		}
		f.reopen()
	}
}
