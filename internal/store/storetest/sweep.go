package storetest

import (
	"fmt"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
)

var sweepTests = map[string]func(*fixture){
	"every waybill with an open push is listed": sweepLists,
	"a large backlog in bounded pages":          sweepPages,
	"accounts are swept apart":                  sweepAccounts,
	"what moves while the sweep is under way":   sweepMoves,
}

func sweepLists(f *fixture) {
	if got := f.sweep(account); len(got) != 0 {
		f.Errorf("an empty store: %v", got)
	}
	a, na := f.ready("a", 1)
	_, nb := f.ready("b", 2)
	f.ready("c", 1)
	f.one(f.scan("no-token", state.PickupDone, 1), state.Accepted)
	f.token(waybill("held"), "T", true)
	f.one(f.scan("held", state.Signed, 9), state.Held)
	f.deliver(a, na[0])
	f.deliver(waybill("b"), nb[0])
	for range 2 {
		got := slices.DeleteFunc(f.sweep(account), func(id string) bool { return id == "no-token" })
		if want := []string{"b", "c"}; !slices.Equal(got, want) {
			f.Errorf("the sweep lists %v, want %v", got, want)
		}
		f.reopen()
	}
}

func sweepPages(f *fixture) {
	const n = 3500
	var want []string
	for i := range n / 500 {
		events := make([]state.Event, 500)
		for k := range events {
			id := fmt.Sprintf("%05d", i*500+k)
			want = append(want, id)
			events[k] = f.scan(id, state.PickupDone, 100)
			events[k].Token = "T"
		}
		f.apply(events...)
	}
	first, next, done, err := f.store.Sweep(f.Context(), account, store.Place{})
	if err != nil || done || len(first) > 1100 || next == (store.Place{}) {
		f.Errorf("the first page has %d waybills, next %v, done %v, err %v", len(first), next, done, err)
	}
	if got := f.sweep(account); !slices.Equal(got, want) {
		f.Errorf("the sweep lists %d waybills, want %d", len(got), len(want))
	}
}

func sweepAccounts(f *fixture) {
	f.ready("1", 1)
	e := f.scan("2", state.PickupDone, 100)
	e.DeliveryID, e.Token = "YTO", "T"
	f.one(e, state.Accepted)
	if got := f.sweep("YTO"); !slices.Equal(got, []string{"2"}) {
		f.Errorf("YTO: %v", got)
	}
	if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
		f.Errorf("%s: %v", account, got)
	}
	if got := f.sweep("NOBODY"); len(got) != 0 {
		f.Errorf("an account without events: %v", got)
	}
}

// sweepMoves settles, replays and adds while a sweep goes on: what was open at its beginning and still is must be listed.
func sweepMoves(f *fixture) {
	const n = 2600
	seqs := map[string]uint64{}
	for i := range n / 100 {
		events := make([]state.Event, 100)
		for k := range events {
			events[k] = f.scan(fmt.Sprintf("%05d", i*100+k), state.PickupDone, 100)
			events[k].Token = "T"
		}
		for k, r := range f.apply(events...) {
			seqs[events[k].WaybillID] = r.Seq
		}
	}
	var ends []store.Outcome
	for i := 0; i < n; i += 2 {
		id := fmt.Sprintf("%05d", i)
		ends = append(ends, store.Outcome{Seq: seqs[id], Waybill: waybill(id), Status: store.Delivered})
	}
	f.settleAll(ends)
	seen := map[string]bool{}
	var place store.Place
	for step := 0; ; step++ {
		waybills, next, done, err := f.store.Sweep(f.Context(), account, place)
		if err != nil {
			f.Fatalf("Sweep: %v", err)
		}
		for _, w := range waybills {
			seen[w.WaybillID] = true
		}
		if done {
			break
		}
		place = next
		id := fmt.Sprintf("%05d", step*2)
		f.replay(seqs[id], true)
		f.settle(store.Outcome{Seq: seqs[id], Waybill: waybill(id), Status: store.Delivered})
		f.pass(0)
	}
	for i := 1; i < n; i += 2 {
		if id := fmt.Sprintf("%05d", i); !seen[id] {
			f.Fatalf("waybill %s was open all the time and is not listed", id)
		}
	}
}
