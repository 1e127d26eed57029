package storetest

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var termsTests = map[string]func(*fixture){
	"another window is for what is held from then on":  termsWindow,
	"pushes of unknown waybills are discarded, or not": termsUnknown,
	"a push waits for its Token as long as was said":   termsTokenWait,
}

// terms are those that the store was opened with, as change leaves them.
func (f *fixture) terms(change func(*store.Terms)) {
	t := store.Terms{Machine: f.opts.Machine, NoTokenWait: f.opts.NoTokenWait, DiscardUnknown: f.opts.DiscardUnknown}
	change(&t)
	f.store.SetTerms(t)
}

func termsWindow(f *fixture) {
	before := f.one(f.scan("1", state.Signed, 300), state.Held)
	f.terms(func(t *store.Terms) { t.Machine.ReorderWindow = 10 * window })
	after := f.one(f.scan("2", state.Signed, 300), state.Held)
	f.pass(window)
	if e := f.event(waybill("1"), before.Seq); e.Verdict != state.Accepted {
		f.Errorf("what was held before is %s after the window of then", e.Verdict)
	}
	if e := f.event(waybill("2"), after.Seq); e.Verdict != state.Held {
		f.Errorf("what is held by the longer window is %s", e.Verdict)
	}
	f.terms(func(t *store.Terms) { t.Machine.ReorderWindow = 0 })
	f.one(f.scan("3", state.Signed, 300), state.Accepted)
	f.pass(10 * window)
}

func termsUnknown(f *fixture) {
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.terms(func(t *store.Terms) { t.DiscardUnknown = true })
	b := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	f.terms(func(*store.Terms) {})
	c := f.one(f.scan("3", state.PickupDone, 100), state.Accepted)
	f.status(a.Seq, store.Pending, "")
	f.status(b.Seq, store.Discarded, store.ReasonUnknown)
	f.status(c.Seq, store.Pending, "")
}

func termsTokenWait(f *fixture) {
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.terms(func(t *store.Terms) { t.NoTokenWait = time.Minute })
	b := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	f.pass(time.Minute)
	f.status(a.Seq, store.Pending, "")
	f.status(b.Seq, store.Failed, store.ReasonNoToken)
	f.pass(noTokenWait)
	f.status(a.Seq, store.Failed, store.ReasonNoToken)
}
