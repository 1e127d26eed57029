package storetest

import (
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
)

// endCase makes ends of a waybill and tells which.
type endCase struct {
	name string
	make func(f *fixture, id string) []ending
}

var endCases = []endCase{
	{"delivered", func(f *fixture, id string) []ending {
		return []ending{{makeDelivered(f, id), 1, store.Delivered, ""}}
	}},
	{"failed, and the waybill parked", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 2)
		f.fail(w, n[0], store.ReasonToken, 9300507, true)
		return []ending{{n[0], 1, store.Failed, store.ReasonToken}}
	}},
	{"a retry is none", func(f *fixture, id string) []ending {
		makeRetry(f, id)
		return nil
	}},
	{"discarded by a decision", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: "not wanted"})
		return []ending{{n[0], 1, store.Discarded, "not wanted"}}
	}},
	{"a failed one is discarded by a decision", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		f.fail(w, n[0], store.ReasonRefused, 47001, false)
		f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: "not wanted"})
		return []ending{{n[0], 1, store.Failed, store.ReasonRefused}, {n[0], 2, store.Discarded, "not wanted"}}
	}},
	{"a pending one is discarded by hand", func(f *fixture, id string) []ending {
		n := makePending(f, id)
		f.discard(n)
		return []ending{{n, 1, store.Discarded, by("").Reason}}
	}},
	{"a failed one is discarded by hand", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		f.fail(w, n[0], store.ReasonExhausted, -1, false)
		f.discard(n[0])
		return []ending{{n[0], 1, store.Failed, store.ReasonExhausted}, {n[0], 2, store.Discarded, by("").Reason}}
	}},
	{"a discarded one turns out to be delivered", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		f.discard(n[0])
		f.fail(w, n[0], store.ReasonRefused, 47001, false) // Changes nothing.
		f.deliver(w, n[0])
		f.deliver(w, n[0]) // Neither does that.
		return []ending{{n[0], 1, store.Discarded, by("").Reason}, {n[0], 2, store.Delivered, ""}}
	}},
	{"no Token came", func(f *fixture, id string) []ending {
		n := makeNoToken(f, id)
		f.pass(noTokenWait)
		return []ending{{n, 1, store.Failed, store.ReasonNoToken}}
	}},
	{"a Token wakes what failed for want of one", func(f *fixture, id string) []ending {
		n := makeNoToken(f, id)
		f.pass(noTokenWait)
		f.token(waybill(id), "T", true)
		f.deliver(waybill(id), n)
		return []ending{{n, 1, store.Failed, store.ReasonNoToken}, {n, 2, store.Delivered, ""}}
	}},
	{"discarded as its waybill is unknown", func(f *fixture, id string) []ending {
		f.discardUnknown()
		r := f.apply(f.scan(id, state.PickupDone, 100), f.scan(id, state.Transit, 200))
		f.opts.DiscardUnknown = false
		f.reopen()
		f.token(waybill(id), "T", true)
		f.deliver(waybill(id), r[0].Seq)
		return []ending{
			{r[0].Seq, 1, store.Discarded, store.ReasonUnknown}, {r[1].Seq, 1, store.Discarded, store.ReasonUnknown},
			{r[0].Seq, 2, store.Delivered, ""},
		}
	}},
	{"replayed by hand, twice", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		f.deliver(w, n[0])
		f.replay(n[0], true)
		f.fail(w, n[0], store.ReasonRefused, 47001, false)
		f.reopen()
		f.replay(n[0], false)
		f.reopen()
		f.deliver(w, n[0])
		return []ending{
			{n[0], 1, store.Delivered, ""}, {n[0], 2, store.Failed, store.ReasonRefused}, {n[0], 3, store.Delivered, ""},
		}
	}},
	{"replayed with many", func(f *fixture, id string) []ending {
		w, n := f.failed(id, 2)
		r := f.start(sf()...)
		f.clock.advance(settling)
		f.step(r.ID, end(n[1]), n...)
		f.deliver(w, n[0])
		f.discard(n[1])
		return []ending{
			{n[0], 1, store.Failed, store.ReasonRefused}, {n[1], 1, store.Failed, store.ReasonRefused},
			{n[0], 2, store.Delivered, ""}, {n[1], 2, store.Discarded, by("").Reason},
		}
	}},
	{"the order was cancelled", func(f *fixture, id string) []ending {
		o := f.order(orderOf(id, id), "T", true)
		scan := f.one(f.scan(id, state.PickupAssigned, 100), state.Accepted)
		f.cancel(o.OrderID, cancelOf("cancel-"+id, 200), state.Accepted, state.Void)
		story := f.waybill(waybill(id)).Timeline
		return []ending{
			{scan.Seq, 1, store.Discarded, store.ReasonCancelled},
			{story[len(story)-1].Event.Seq, 1, store.Discarded, store.ReasonCancelled},
		}
	}},
	{"the order was cancelled of a waybill without a Token", func(f *fixture, id string) []ending {
		f.discardUnknown()
		o := f.order(orderOf(id, id), "", true)
		scan := f.one(f.scan(id, state.PickupAssigned, 100), state.Accepted)
		f.cancel(o.OrderID, cancelOf("cancel-"+id, 200), state.Accepted, state.Void)
		f.opts.DiscardUnknown = false
		f.reopen()
		story := f.waybill(waybill(id)).Timeline
		return []ending{ // One each, with the reason that stands.
			{scan.Seq, 1, store.Discarded, store.ReasonCancelled},
			{story[len(story)-1].Event.Seq, 1, store.Discarded, store.ReasonCancelled},
		}
	}},
	{"the order can't be cancelled any more", func(f *fixture, id string) []ending {
		o := f.order(orderOf(id, id), "T", true)
		scan := f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
		f.deliver(waybill(id), scan.Seq)
		f.cancel(o.OrderID, cancelOf("cancel-"+id, 200), state.Rejected, state.PickedUp)
		story := f.waybill(waybill(id)).Timeline
		return []ending{
			{scan.Seq, 1, store.Delivered, ""}, {story[1].Event.Seq, 1, store.NoPush, state.IllegalStep.String()},
		}
	}},
	{"expunged", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 4)
		f.deliver(w, n[0])
		f.fail(w, n[1], store.ReasonRefused, 47001, false)
		f.discard(n[2])
		f.expunge(id)
		return []ending{
			{n[0], 1, store.Delivered, ""}, {n[1], 1, store.Failed, store.ReasonRefused}, {n[2], 1, store.Discarded, by("").Reason},
			{n[1], 2, store.Discarded, store.ReasonExpunged}, {n[3], 1, store.Discarded, store.ReasonExpunged},
		}
	}},
	{"held when it was expunged", func(f *fixture, id string) []ending {
		f.token(waybill(id), "T", true)
		n := makeHeld(f, id)
		f.expunge(id)
		f.pass(window)
		return []ending{{n, 1, store.Discarded, store.ReasonExpunged}}
	}},
	{"held, accepted and delivered", func(f *fixture, id string) []ending {
		f.token(waybill(id), "T", true)
		n := makeHeld(f, id)
		f.pass(window)
		f.deliver(waybill(id), n)
		return []ending{{n, 1, store.Delivered, ""}}
	}},
	{"rejected, accepted by hand and delivered", func(f *fixture, id string) []ending {
		w, n := f.ready(id, 1)
		r := f.one(f.scan(id, state.Cancelled, 900), state.Rejected)
		f.accept(r.Seq)
		f.reopen()
		f.deliver(w, n[0])
		f.deliver(w, r.Seq)
		return []ending{
			{n[0], 1, store.Delivered, ""}, {r.Seq, 1, store.NoPush, state.IllegalStep.String()}, {r.Seq, 2, store.Delivered, ""},
		}
	}},
	{"rejected, accepted by hand and discarded at once", func(f *fixture, id string) []ending {
		f.discardUnknown()
		a := f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
		r := f.one(f.scan(id, state.Cancelled, 900), state.Rejected)
		f.accept(r.Seq)
		f.opts.DiscardUnknown = false
		f.reopen()
		return []ending{
			{a.Seq, 1, store.Discarded, store.ReasonUnknown},
			{r.Seq, 1, store.NoPush, state.IllegalStep.String()}, {r.Seq, 2, store.Discarded, store.ReasonUnknown},
		}
	}},
	{"what was ignored is none", func(f *fixture, id string) []ending {
		f.token(waybill(id), "T", true)
		f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
		f.one(f.scan(id, state.PickupDone, 300), state.Ignored)
		return nil
	}},
}

func noticeEveryEnd(f *fixture) {
	f.untold = true
	for i, c := range endCases {
		want := c.make(f, fmt.Sprint(i))
		before := f.Failed()
		notices := f.ends(want...)
		if f.Failed() && !before {
			f.Fatalf("above: %s", c.name)
		}
		f.reopen()
		if again := f.notices(); !sameNotices(again, notices) {
			f.Fatalf("%s: after a restart the notices are\n%+v, before\n%+v", c.name, again, notices)
		}
		if len(notices) > 0 {
			f.told(notices[len(notices)-1].Number)
		}
		f.check()
	}
}
