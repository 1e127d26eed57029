package storetest

import (
	"fmt"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
)

var feedTests = map[string]func(*fixture){
	"the first push of a waybill comes whole": feedWhole,
	"a later push comes alone":                feedAppended,
	"a blocked waybill is said to be":         feedBlocked,
	"what unblocks a waybill is said":         feedUnblocked,
	"what opens nothing is not fed":           feedNothing,
	"a restart does not lose what is whole":   feedAfterRestart,
	"fed pushes can be read":                  feedDurable,
}

func feedWhole(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	f.fed()
	e := f.scan("1", state.PickupDone, 100)
	r := f.one(e, state.Accepted)
	c := f.fed()
	if len(c) != 1 || !c[0].Whole || c[0].Reload || c[0].Blocked || c[0].Token != "T" || c[0].Waybill != w {
		f.Fatalf("fed: %+v", c)
	}
	if p := c[0].Added; len(p) != 1 || p[0].Seq != r.Seq || p[0].Ord != r.Seq || p[0].Event != e || p[0].Status != store.Pending {
		f.Errorf("added: %+v", p)
	}
	f.deliver(w, r.Seq)
	again := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Whole || !slices.Equal(seqs(c[0].Added), []uint64{again.Seq}) {
		f.Errorf("after the first was delivered: %+v", c)
	}
}

func feedAppended(f *fixture) {
	w, _ := f.ready("1", 1)
	f.fed()
	r := f.one(f.scan("1", state.DeliveryBegun, 900), state.Accepted)
	c := f.fed()
	if len(c) != 1 || c[0].Whole || c[0].Reload || c[0].Waybill != w || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Errorf("fed: %+v, want the new push, not whole", c)
	}
}

func feedBlocked(f *fixture) {
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Blocked || c[0].Token != "" {
		f.Errorf("without a Token: %+v", c)
	}
	w, n := f.ready("2", 1)
	f.fail(w, n[0], store.ReasonToken, 40199, true)
	f.fed()
	f.one(f.scan("2", state.Transit, 900), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Blocked {
		f.Errorf("parked: %+v", c)
	}
}

// feedUnblocked has a waybill blocked and let go within one transaction: whatever the lanes were told before, the last word
// is that it can be sent.
func feedUnblocked(f *fixture) {
	const scans = 4
	for n := range scans { // Which of them brings the Token.
		id := fmt.Sprint("unblocked ", n)
		var events []state.Event
		for i := range scans {
			events = append(events, f.scan(id, state.Transit, int64(100+i)))
		}
		events[0].Type = state.PickupDone
		events[n].Token = "T"
		var want []uint64
		for _, r := range f.apply(events...) {
			want = append(want, r.Seq)
		}
		changes := f.fed()
		if last := changes[len(changes)-1]; last.Blocked || last.Waybill != waybill(id) {
			f.Errorf("a Token after %d scans: %+v, want the last to say that it can be sent", n, changes)
		}
		for _, c := range changes {
			// What is said to be whole is sent as it is.
			if c.Whole && !c.Blocked && (c.Token != "T" || !slices.Equal(seqs(c.Added), want)) {
				f.Errorf("a Token after %d scans: whole are %v with the Token %q, want %v", n, seqs(c.Added), c.Token, want)
			}
		}
	}
}

func feedNothing(f *fixture) {
	_, _ = f.ready("1", 1)
	e := f.scan("2", state.Signed, 100)
	f.fed()
	f.one(e, state.Held)
	f.one(e, state.Duplicate)
	f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.one(f.scan("1", state.PickupDone, 901), state.Ignored)
	f.token(waybill("3"), "T", true)
	for _, c := range f.fed() {
		if len(c.Added) > 0 || c.Waybill != waybill("3") {
			f.Errorf("fed: %+v", c)
		}
	}
}

func feedAfterRestart(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	f.deliver(w, n[1])
	_, m := f.ready("2", 1)
	f.reopen()
	f.fed()
	a := f.one(f.scan("1", state.DeliveryBegun, 900), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Whole || c[0].Token != "TOKEN" || !slices.Equal(seqs(c[0].Added), []uint64{a.Seq}) {
		f.Errorf("a waybill without open pushes: %+v, want whole", c)
	}
	b := f.one(f.scan("2", state.Transit, 900), state.Accepted)
	if c := f.fed(); len(c) != 1 || c[0].Whole || !slices.Equal(seqs(c[0].Added), []uint64{b.Seq}) {
		f.Errorf("a waybill with an open push: %+v, want not whole", c)
	}
	f.openPushes(waybill("2"), m[0], b.Seq)
}

func feedDurable(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	for i := range 50 {
		e := f.scan("1", state.Transit, int64(100+i))
		if i == 0 {
			e.Type = state.PickupDone
		}
		r := f.one(e, state.Accepted)
		lane := f.lane(w)
		if len(lane.Pushes) != i+1 || lane.Pushes[i].Seq != r.Seq {
			f.Fatalf("what was answered as accepted is not in the lane: %v", seqs(lane.Pushes))
		}
	}
}
