package storetest

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var unknownTests = map[string]func(*fixture){
	"a push without a Token is discarded at once":  unknownDiscarded,
	"a Token brings all of them back, in order":    unknownRevived,
	"an order's or an event's Token does so too":   unknownAnyToken,
	"what is released later is discarded too":      unknownReleased,
	"a replay by hand waits for a Token":           unknownReplayed,
	"what waited before goes on waiting":           unknownWaitedBefore,
	"a push that an operator discarded stays that": unknownByHand,
}

// discardUnknown opens the store with push.unknown_waybills: discard.
func (f *fixture) discardUnknown() {
	f.Helper()
	f.opts.DiscardUnknown = true
	f.reopen()
}

func unknownDiscarded(f *fixture) {
	f.discardUnknown()
	f.fed()
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	if fed := f.fed(); len(fed) != 0 {
		f.Errorf("fed: %+v", fed)
	}
	for range 2 {
		f.openPushes(waybill("1"))
		for _, seq := range []uint64{a.Seq, b.Seq} {
			p := f.status(seq, store.Discarded, store.ReasonUnknown)
			if !p.DoneAt.Equal(f.clock.Now()) || p.WaitingFor != store.WaitNothing || len(p.Attempts) != 0 {
				f.Errorf("discarded: %+v", p)
			}
		}
		if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 2 || st[store.Pending] != 0 {
			f.Errorf("counted: %v", st)
		}
		page, err := f.store.Pushes(f.Context(), store.Query{Status: store.Discarded, Reason: store.ReasonUnknown, Limit: 10})
		if err != nil || len(page.Items) != 2 {
			f.Errorf("listed: %+v, %v", page, err)
		}
		f.reopen()
	}
	f.pass(2 * noTokenWait)
	f.status(a.Seq, store.Discarded, store.ReasonUnknown)
	f.keepFor(keep)
	f.pass(keep)
	if got := f.store.Stats().Pushes[account][store.Discarded]; got != 0 {
		f.Errorf("%d are kept for ever", got)
	}
}

func unknownRevived(f *fixture) {
	f.discardUnknown()
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	c := f.one(f.scan("1", state.DeliveryBegun, 300), state.Accepted)
	f.reopen()
	f.clock.advance(time.Hour)
	f.fed()
	f.token(w, "T", true)
	if fed := f.fed(); len(fed) != 1 || !fed[0].Reload || fed[0].Blocked {
		f.Errorf("fed: %+v, want one Reload", fed)
	}
	d := f.one(f.scan("1", state.Signed, 400), state.Accepted)
	lane := f.openPushes(w, a.Seq, b.Seq, c.Seq, d.Seq)
	if p := lane.Pushes[0]; !p.OpenedAt.Equal(f.clock.Now()) || !p.DoneAt.IsZero() || p.Reason != "" {
		f.Errorf("revived: %+v", p)
	}
	if st := f.store.Stats().Pushes[account]; st[store.Pending] != 4 || st[store.Discarded] != 0 {
		f.Errorf("counted: %v", st)
	}
	if got := f.sweep(account); len(got) != 1 {
		f.Errorf("the sweep lists %v", got)
	}
}

func unknownAnyToken(f *fixture) {
	f.discardUnknown()
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	e := f.scan("1", state.Transit, 200)
	e.Token = "T"
	b := f.one(e, state.Accepted)
	f.openPushes(waybill("1"), a.Seq, b.Seq)
	c := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	f.order(orderOf("1", "2"), "T", true)
	f.openPushes(waybill("2"), c.Seq)
	// All of it within one commit.
	x, y := f.scan("3", state.PickupDone, 100), f.scan("3", state.Transit, 200)
	y.Token = "T"
	r := f.apply(x, y)
	f.openPushes(waybill("3"), r[0].Seq, r[1].Seq)
}

func unknownReleased(f *fixture) {
	f.discardUnknown()
	held := f.one(f.scan("1", state.Transit, 200), state.Held)
	pickup := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	expired := f.one(f.scan("2", state.Transit, 200), state.Held)
	f.pass(window)
	for _, seq := range []uint64{held.Seq, pickup.Seq, expired.Seq} {
		f.status(seq, store.Discarded, store.ReasonUnknown)
	}
	f.token(waybill("1"), "T", true)
	f.openPushes(waybill("1"), pickup.Seq, held.Seq)
}

func unknownReplayed(f *fixture) {
	f.discardUnknown()
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.replay(a.Seq, false)
	f.openPushes(waybill("1"), a.Seq)
	if p := f.push(a.Seq); p.WaitingFor != store.WaitToken {
		f.Errorf("it waits for %q", p.WaitingFor)
	}
	f.pass(noTokenWait)
	f.status(a.Seq, store.Failed, store.ReasonNoToken)
	f.token(waybill("1"), "T", true)
	f.openPushes(waybill("1"), a.Seq)
}

func unknownWaitedBefore(f *fixture) {
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.discardUnknown()
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	f.openPushes(waybill("1"), a.Seq)
	f.status(b.Seq, store.Discarded, store.ReasonUnknown)
	f.opts.DiscardUnknown = false
	f.reopen()
	c := f.one(f.scan("1", state.DeliveryBegun, 300), state.Accepted)
	f.openPushes(waybill("1"), a.Seq, c.Seq)
	f.token(waybill("1"), "T", true)
	f.openPushes(waybill("1"), a.Seq, b.Seq, c.Seq)
}

func unknownByHand(f *fixture) {
	f.discardUnknown()
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.replay(a.Seq, false)
	if _, err := f.store.Discard(f.Context(), a.Seq, by(store.ActDiscard)); err != nil {
		f.Fatalf("Discard: %v", err)
	}
	f.token(waybill("1"), "T", true)
	f.openPushes(waybill("1"))
	f.status(a.Seq, store.Discarded, by("").Reason)
}
