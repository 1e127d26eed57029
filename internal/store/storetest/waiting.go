package storetest

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var waitingTests = map[string]func(*fixture){
	"for a Token":                   waitsForToken,
	"for its next attempt":          waitsForRetry,
	"for an earlier push":           waitsBehind,
	"for a waybill that is parked":  waitsParked,
	"for a waybill that is frozen":  waitsFrozen,
	"for one that is both":          waitsBoth,
	"for its account":               waitsForAccount,
	"for its account's quota":       waitsForQuota,
	"for nothing":                   waitsForNothing,
	"since it became pending again": waitsSinceReplay,
	"what is first":                 waitsForFirst,
}

// waits expects what a push waits for, wherever that is told: alone, in lists, and in its waybill's story.
func (f *fixture) waits(seq uint64, kind store.WaitingFor, want store.Waiting) {
	f.Helper()
	p := f.push(seq)
	f.sameWait("the push", &p, kind, want)
	page, err := f.store.Pushes(f.Context(), store.Query{Before: seq + 1, After: seq - 1, Limit: 1})
	if err != nil || len(page.Items) != 1 {
		f.Fatalf("the list has %d pushes (%v), want push %d", len(page.Items), err, seq)
	}
	f.sameWait("the list", &page.Items[0], kind, want)
	for _, s := range f.waybill(p.Event.Waybill()).Timeline {
		if s.Push.Seq == seq {
			f.sameWait("the story", &s.Push, kind, want)
		}
	}
}

func (f *fixture) sameWait(where string, p *store.Push, kind store.WaitingFor, want store.Waiting) {
	f.Helper()
	got := p.Waiting
	if !got.Since.Equal(want.Since) || !got.Until.Equal(want.Until) {
		f.Errorf("push %d, by %s, waits from %v until %v; want %v and %v", p.Seq, where, got.Since, got.Until, want.Since, want.Until)
	}
	got.Since, got.Until = want.Since, want.Until
	if p.WaitingFor != kind || got != want {
		f.Errorf("push %d, by %s, waits for %q: %+v; want %q: %+v", p.Seq, where, p.WaitingFor, got, kind, want)
	}
}

func waitsForToken(f *fixture) {
	begin := f.clock.Now()
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.clock.advance(time.Minute)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	for range 2 {
		f.waits(a.Seq, store.WaitToken, store.Waiting{Since: begin, Until: begin.Add(noTokenWait)})
		f.waits(b.Seq, store.WaitToken, store.Waiting{Since: begin.Add(time.Minute), Until: begin.Add(time.Minute + noTokenWait)})
		f.reopen()
	}
	f.token(waybill("1"), "T", true)
	f.waits(a.Seq, store.WaitNothing, store.Waiting{})
	// A Token ends that wait; it does not make a push pending that was so before.
	f.waits(b.Seq, store.WaitWaybill, store.Waiting{Since: begin.Add(time.Minute), Behind: a.Seq})
	if p := f.push(a.Seq); !p.OpenedAt.Equal(begin) {
		f.Errorf("pending since %v, want %v", p.OpenedAt, begin)
	}

	// One that was held first waits from its release on.
	held := f.one(f.scan("2", state.Signed, 100), state.Held)
	f.pass(window)
	now := f.clock.Now()
	f.waits(held.Seq, store.WaitToken, store.Waiting{Since: now, Until: now.Add(noTokenWait)})
}

func waitsForRetry(f *fixture) {
	w, n := f.ready("1", 2)
	begin := f.clock.Now()
	f.again(w, n[0], time.Minute)
	since := begin.Add(f.attempt(0).Duration) // When the answer came.
	f.clock.advance(time.Second)
	f.waits(n[0], store.WaitRetry, store.Waiting{Since: since, Until: begin.Add(time.Minute)})
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: begin, Behind: n[0]})
	f.clock.advance(time.Minute)
	f.waits(n[0], store.WaitNothing, store.Waiting{})
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: begin, Behind: n[0]})
	f.again(w, n[0], time.Minute)
	if _, err := f.store.RetryNow(f.Context(), n[0], store.Act{}); err != nil {
		f.Fatalf("RetryNow: %v", err)
	}
	f.waits(n[0], store.WaitNothing, store.Waiting{})
}

func waitsBehind(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	held := f.one(f.scan("1", state.Transit, 300), state.Held)
	begin := f.clock.Now()
	f.clock.advance(time.Second)
	first := f.one(f.scan("1", state.PickupDone, 100), state.Accepted) // It releases the one before.
	released := f.clock.Now()
	f.clock.advance(time.Second)
	last := f.one(f.scan("1", state.DeliveryBegun, 400), state.Accepted)
	for range 2 {
		f.waits(first.Seq, store.WaitNothing, store.Waiting{})
		// By the order of sending, which is not that of the numbers.
		f.waits(held.Seq, store.WaitWaybill, store.Waiting{Since: released, Behind: first.Seq})
		f.waits(last.Seq, store.WaitWaybill, store.Waiting{Since: f.clock.Now(), Behind: held.Seq})
		f.reopen()
	}
	if p := f.push(held.Seq); !p.ReceivedAt.Equal(begin) || !p.OpenedAt.Equal(released) {
		f.Errorf("received %v and pending since %v, want %v and %v", p.ReceivedAt, p.OpenedAt, begin, released)
	}
	f.deliver(w, first.Seq)
	f.waits(held.Seq, store.WaitNothing, store.Waiting{})
	f.discard(held.Seq)
	f.waits(last.Seq, store.WaitNothing, store.Waiting{})
}

func waitsParked(f *fixture) {
	w, n := f.ready("1", 3)
	begin := f.clock.Now()
	f.clock.advance(time.Minute)
	parked := f.clock.Now()
	f.fail(w, n[0], store.ReasonToken, 40199, true)
	f.clock.advance(time.Minute)
	late := f.one(f.scan("1", state.DeliveryBegun, 900), state.Accepted)
	for range 2 {
		for _, seq := range n[1:] {
			f.waits(seq, store.WaitWaybill, store.Waiting{Since: parked, Parked: true})
		}
		f.waits(late.Seq, store.WaitWaybill, store.Waiting{Since: f.clock.Now(), Parked: true})
		f.waits(n[0], store.WaitNothing, store.Waiting{})
		f.reopen()
	}
	f.token(w, "BETTER", true)
	f.waits(n[0], store.WaitNothing, store.Waiting{})
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: begin, Behind: n[0]})
}

func waitsFrozen(f *fixture) {
	w, n := f.ready("1", 1)
	f.clock.advance(time.Minute)
	frozen := f.clock.Now()
	f.freeze(w, true, true)
	f.clock.advance(time.Minute)
	late := f.one(f.scan("1", state.DeliveryBegun, 900), state.Accepted)
	for range 2 {
		f.waits(n[0], store.WaitWaybill, store.Waiting{Since: frozen, Frozen: true, Reason: by("").Reason})
		f.waits(late.Seq, store.WaitWaybill, store.Waiting{Since: f.clock.Now(), Frozen: true, Reason: by("").Reason})
		f.reopen()
	}
	f.freeze(w, false, true)
	f.waits(n[0], store.WaitNothing, store.Waiting{})
}

func waitsBoth(f *fixture) {
	w, n := f.ready("1", 2)
	f.clock.advance(time.Minute)
	first := f.clock.Now()
	f.fail(w, n[0], store.ReasonToken, 40199, true)
	f.clock.advance(time.Minute)
	second := f.clock.Now()
	f.freeze(w, true, true)
	// The longest of what keeps it counts; when that ends, the other one.
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: first, Parked: true, Frozen: true, Reason: by("").Reason})
	f.token(w, "BETTER", true)
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: second, Frozen: true, Reason: by("").Reason})
	f.fail(w, n[0], store.ReasonToken, 40199, true) // It was in flight when the waybill was frozen.
	f.freeze(w, false, true)
	f.waits(n[1], store.WaitWaybill, store.Waiting{Since: second, Parked: true})
}

func waitsForAccount(f *fixture) {
	w, n := f.ready("1", 2)
	bare := makeNoToken(f, "2")
	begin := f.clock.Now()
	f.again(w, n[0], time.Minute)
	for _, kind := range []store.WaitingFor{store.WaitBreaker, store.WaitAccount} {
		q := store.Query{Limit: 10, Held: func(delivery string, _ bool) store.WaitingFor {
			if delivery != account {
				f.Errorf("asked for account %q", delivery)
			}
			return kind
		}}
		page, err := f.store.Pushes(f.Context(), q)
		if err != nil || len(page.Items) != 3 {
			f.Fatalf("Pushes: %d, %v", len(page.Items), err)
		}
		// Since when is for the account to tell; what does not wait for it alone waits for something else.
		f.sameWait("the list", &page.Items[2], kind, store.Waiting{})
		f.sameWait("the list", &page.Items[1], store.WaitWaybill, store.Waiting{Since: begin, Behind: n[0]})
		f.sameWait("the list", &page.Items[0], store.WaitToken, store.Waiting{Since: begin, Until: begin.Add(noTokenWait)})
		q.WaitingFor = kind
		f.expect(string(kind), f.pushes(q), n[0])
	}
	f.discard(bare)
}

// waitsForQuota: an account that keeps what remains of its quota holds waybills that have nothing but transit scans open.
func waitsForQuota(f *fixture) {
	w, n := f.ready("1", 2) // A pickup, and a transit scan behind it.
	v, m := f.ready("2", 3)
	f.deliver(v, m[0])
	kept := func(_ string, transitOnly bool) store.WaitingFor {
		if transitOnly {
			return store.WaitAccount
		}
		return store.WaitNothing
	}
	check := func(transitOnly map[uint64]bool, waiting ...uint64) {
		f.Helper()
		page, err := f.store.Pushes(f.Context(), store.Query{Status: store.Pending, Limit: 100, Held: kept})
		if err != nil || len(page.Items) != len(transitOnly) {
			f.Errorf("Pushes: %d, %v, want %d", len(page.Items), err, len(transitOnly))
		}
		for _, p := range page.Items {
			if p.TransitOnly != transitOnly[p.Seq] || f.push(p.Seq).TransitOnly != transitOnly[p.Seq] {
				f.Errorf("push %d says that nothing but transit scans is open: %v", p.Seq, p.TransitOnly)
			}
		}
		f.expect("for the account", f.pushes(store.Query{WaitingFor: store.WaitAccount, Held: kept}), waiting...)
	}
	check(map[uint64]bool{n[0]: false, n[1]: false, m[1]: true, m[2]: true}, m[1])
	f.expect("behind", f.pushes(store.Query{WaitingFor: store.WaitWaybill, Held: kept}), n[1], m[2])

	// Its next attempt may wait, too: what keeps all comes first.
	f.again(v, m[1], time.Minute)
	check(map[uint64]bool{n[0]: false, n[1]: false, m[1]: true, m[2]: true}, m[1])
	f.expect("for a retry", f.pushes(store.Query{WaitingFor: store.WaitRetry, Held: kept}))
	f.again(w, n[0], time.Minute)
	f.expect("for a retry", f.pushes(store.Query{WaitingFor: store.WaitRetry, Held: kept}), n[0])

	// A main scan behind them lets them go, and the last main scan that ends leaves the others waiting.
	signed := f.one(f.scan("2", state.DeliveryBegun, 900), state.Accepted)
	f.deliver(w, n[0])
	check(map[uint64]bool{n[1]: true, m[1]: false, m[2]: false, signed.Seq: false}, n[1])
}

func waitsForNothing(f *fixture) {
	w, n := f.ready("1", 4)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.discard(n[2])
	for _, seq := range n {
		f.waits(seq, store.WaitNothing, store.Waiting{})
	}
	f.freeze(w, true, true)
	for _, seq := range n[:3] { // What has ended waits for nothing, whatever holds its waybill.
		f.waits(seq, store.WaitNothing, store.Waiting{})
	}
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	if p := f.push(rejected.Seq); p.WaitingFor != store.WaitNothing || p.Waiting != (store.Waiting{}) {
		f.Errorf("an event without a push: %+v", p)
	}
}

func waitsSinceReplay(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	bare := makeNoToken(f, "2")
	f.pass(noTokenWait)
	f.status(bare, store.Failed, store.ReasonNoToken)
	again := f.clock.Now()
	for _, seq := range []uint64{n[0], n[1], bare} {
		f.replay(seq, false)
	}
	f.clock.advance(time.Minute)
	for range 2 {
		f.waits(n[1], store.WaitWaybill, store.Waiting{Since: again, Behind: n[0]})
		f.waits(bare, store.WaitToken, store.Waiting{Since: again, Until: again.Add(noTokenWait)})
		for _, seq := range []uint64{n[0], n[1], bare} {
			if p := f.push(seq); !p.OpenedAt.Equal(again) || p.OpenedAt.Equal(p.ReceivedAt) {
				f.Errorf("push %d is pending since %v, want %v", seq, p.OpenedAt, again)
			}
		}
		f.reopen()
	}
	f.freeze(w, true, true)
	f.waits(n[0], store.WaitWaybill, store.Waiting{Since: f.clock.Now(), Frozen: true, Reason: by("").Reason})
	f.token(waybill("2"), "T", true)
	if p := f.push(bare); !p.OpenedAt.Equal(again) || p.Replay == 0 {
		f.Errorf("after its Token came: pending since %v for replay %d, want %v and as before", p.OpenedAt, p.Replay, again)
	}
}

func waitsForFirst(f *fixture) {
	// No Token, frozen, behind another, its account held: the Token is named, as nothing else helps before it.
	w := waybill("1")
	begin := f.clock.Now()
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	f.freeze(w, true, true)
	f.waits(b.Seq, store.WaitToken, store.Waiting{Since: begin, Until: begin.Add(noTokenWait)})
	f.token(w, "T", true)
	f.waits(b.Seq, store.WaitWaybill, store.Waiting{Since: begin, Frozen: true, Reason: by("").Reason})
}
