package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"carrier/internal/state"
	"carrier/internal/store"
)

var applyTests = map[string]func(*fixture){
	"accepted event becomes a pending push":   acceptedEvent,
	"every field is kept byte for byte":       keptFields,
	"duplicates and conflicts":                duplicates,
	"duplicates within one call":              duplicatesInCall,
	"duplicates of what was not accepted":     duplicatesOfRefused,
	"ids are unique within a source only":     idsBySource,
	"waybills are unique within an account":   waybillsByAccount,
	"a rejected event is kept without a push": rejectedEvent,
	"repetitions are ignored":                 ignoredEvents,
	"a late event takes its place":            lateEvent,
	"a call of a thousand events":             largeCall,
	"an empty call":                           emptyCall,
	"the same event from many at once":        sameEventAtOnce,
	"numbers follow the order of acceptance":  concurrentOrder,
	"a caller who does not wait":              impatientCaller,
}

func acceptedEvent(f *fixture) {
	w := waybill("1")
	e := f.scan("1", state.PickupDone, 100)
	e.Token = "TOKEN"
	r := f.one(e, state.Accepted)
	if r.Seq == 0 || r.Stage != state.PickedUp || r.Late || r.Gap || r.Reason != 0 {
		f.Errorf("result %+v", r)
	}
	lane := f.openPushes(w, r.Seq)
	p := lane.Pushes[0]
	if p.Ord != r.Seq || p.Status != store.Pending || p.Tries != 0 || !p.NextAt.IsZero() {
		f.Errorf("push %+v: want ord %d, pending, untried", p, r.Seq)
	}
	if lane.Token != "TOKEN" || lane.Parked || lane.Frozen || lane.Blocked() {
		f.Errorf("lane: token set %v, parked %v, frozen %v", lane.Token != "", lane.Parked, lane.Frozen)
	}
	if !p.ReceivedAt.Equal(f.clock.Now()) {
		f.Errorf("received at %v, want %v", p.ReceivedAt, f.clock.Now())
	}
	next := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	if next.Seq <= r.Seq {
		f.Errorf("numbers do not rise: %d after %d", next.Seq, r.Seq)
	}
	f.openPushes(w, r.Seq, next.Seq)
}

func keptFields(f *fixture) {
	e := state.Event{
		ID: strings.Repeat("i", 128), Source: "a source/with 中文", DeliveryID: account, WaybillID: strings.Repeat("9", 64),
		Type: state.Detained, Time: 1<<40 + 7, Msg: "<b>&\x00\u2028'\"\\" + strings.Repeat("派", 300), Token: strings.Repeat("t", 256),
	}
	want := e
	want.Token = ""
	r := f.one(e, state.Accepted)
	for range 2 {
		if p := f.push(r.Seq); p.Event != want {
			f.Errorf("kept %+v, want %+v", p.Event, want)
		}
		if lane := f.openPushes(e.Waybill(), r.Seq); lane.Pushes[0].Event != want || lane.Token != e.Token {
			f.Errorf("the lane has %+v, want %+v and the Token", lane.Pushes[0].Event, want)
		}
		f.reopen()
	}
}

func duplicates(f *fixture) {
	e := f.scan("1", state.PickupDone, 100)
	first := f.one(e, state.Accepted)
	f.one(f.scan("1", state.Transit, 200), state.Accepted)
	for range 2 {
		again := f.one(e, state.Duplicate)
		if again.Seq != first.Seq || again.Original != state.Accepted || again.Stage != state.InTransit {
			f.Errorf("duplicate: %+v, want seq %d, original accepted, the stage of now", again, first.Seq)
		}
		for name, change := range map[string]func(*state.Event){
			"another text":    func(e *state.Event) { e.Msg += "!" },
			"another time":    func(e *state.Event) { e.Time++ },
			"another type":    func(e *state.Event) { e.Type = state.Transit },
			"another waybill": func(e *state.Event) { e.WaybillID = "2" },
			"a Token":         func(e *state.Event) { e.Token = "T" },
		} {
			other := e
			change(&other)
			if c := f.one(other, state.Conflict); c.Seq != first.Seq {
				f.Errorf("%s: conflict with %d, want %d", name, c.Seq, first.Seq)
			}
		}
		f.reopen()
	}
	if st := f.store.Stats(); st.Events[state.Accepted] != 2 || st.Pushes[account][store.Pending] != 2 {
		f.Errorf("after duplicates and conflicts: %+v", st)
	}
	if lane := f.lane(waybill("1")); lane.Token != "" {
		f.Error("a conflict registered its Token")
	}
}

func duplicatesInCall(f *fixture) {
	e, other := f.scan("1", state.PickupDone, 100), f.scan("1", state.Transit, 200)
	changed := e
	changed.Msg = "another"
	r := f.apply(e, e, changed, other, e)
	want := []state.Verdict{state.Accepted, state.Duplicate, state.Conflict, state.Accepted, state.Duplicate}
	for i := range r {
		if r[i].Verdict != want[i] {
			f.Errorf("event %d is %s, want %s", i, r[i].Verdict, want[i])
		}
	}
	if r[1].Seq != r[0].Seq || r[2].Seq != r[0].Seq || r[4].Seq != r[0].Seq || r[4].Original != state.Accepted {
		f.Errorf("they do not point to the first: %+v", r)
	}
}

func duplicatesOfRefused(f *fixture) {
	f.one(f.scan("1", state.Cancelled, 100), state.Accepted)
	rejected := f.scan("1", state.PickupDone, 200)
	first := f.one(rejected, state.Rejected)
	held := f.scan("2", state.Signed, 100)
	waiting := f.one(held, state.Held)
	f.reopen()
	again := f.one(rejected, state.Duplicate)
	if again.Original != state.Rejected || again.Reason != state.IllegalStep || again.Seq != first.Seq {
		f.Errorf("duplicate of a rejected one: %+v", again)
	}
	f.pass(window)
	again = f.one(held, state.Duplicate)
	if again.Original != state.Held || again.Reason != state.MissingScan || again.Seq != waiting.Seq {
		f.Errorf("duplicate of one that was held at first: %+v, want the first verdict", again)
	}
}

func idsBySource(f *fixture) {
	e := f.scan("1", state.PickupDone, 100)
	f.one(e, state.Accepted)
	e.Source, e.Type, e.Time = "another", state.Transit, 200
	f.one(e, state.Accepted)
	// The names of source and id must not run together.
	a, b := f.scan("2", state.PickupDone, 100), f.scan("3", state.PickupDone, 100)
	a.Source, a.ID, b.Source, b.ID = "s", "1x", "s1", "x"
	f.one(a, state.Accepted)
	f.one(b, state.Accepted)
}

func waybillsByAccount(f *fixture) {
	a, b := f.scan("1", state.PickupDone, 100), f.scan("1", state.PickupDone, 100)
	b.DeliveryID = "YTO"
	first, second := f.one(a, state.Accepted), f.one(b, state.Accepted)
	f.openPushes(a.Waybill(), first.Seq)
	f.openPushes(b.Waybill(), second.Seq)
	// A waybill whose number begins like another's is another.
	c := f.scan("10", state.PickupDone, 100)
	third := f.one(c, state.Accepted)
	f.openPushes(a.Waybill(), first.Seq)
	f.openPushes(c.Waybill(), third.Seq)
}

func rejectedEvent(f *fixture) {
	w := waybill("1")
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	signed := f.one(f.scan("1", state.Cancelled, 90), state.Rejected)
	if signed.From != state.Created || signed.Reason != state.ContradictsNext || signed.Allowed == nil || signed.Cause == 0 {
		f.Errorf("rejected: %+v", signed)
	}
	e := f.scan("1", state.PickupAssigned, 200)
	e.Token = "LATE-TOKEN"
	r := f.one(e, state.Rejected)
	if r.From != state.PickedUp || r.Stage != state.PickedUp || len(r.Allowed) == 0 {
		f.Errorf("rejected: %+v", r)
	}
	if p := f.status(r.Seq, store.NoPush, ""); p.Ord != 0 || p.Event.ID != e.ID {
		f.Errorf("a rejected event has the push %+v", p)
	}
	if lane := f.lane(w); lane.Token != "LATE-TOKEN" {
		f.Error("the Token of a rejected event is not registered")
	}
	story := f.waybill(w)
	if story.Stage != state.PickedUp || len(story.Timeline) != 3 {
		f.Errorf("stage %s with %d events, want picked_up with 3", story.Stage, len(story.Timeline))
	}
}

func (f *fixture) waybill(w state.Waybill) store.Waybill {
	f.Helper()
	story, err := f.store.Waybill(f.Context(), w)
	if err != nil {
		f.Fatalf("Waybill(%s): %v", w, err)
	}
	return story
}

func ignoredEvents(f *fixture) {
	first := f.scan("1", state.PickupDone, 100)
	picked := f.one(first, state.Accepted)
	r := f.one(f.scan("1", state.PickupDone, 200), state.Ignored)
	if r.Reason != state.RepeatsStage || r.Cause != picked.Seq {
		f.Errorf("the same stage again: %+v", r)
	}
	word := first
	word.ID = "another id"
	r = f.one(word, state.Ignored)
	if r.Reason != state.RepeatsEvent || r.Cause != picked.Seq {
		f.Errorf("the same words again: %+v", r)
	}
	f.openPushes(waybill("1"), picked.Seq)
	if st := f.store.Stats(); st.Events[state.Ignored] != 2 {
		f.Errorf("ignored are counted as %d, want 2", st.Events[state.Ignored])
	}
}

func lateEvent(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.DeliveryBegun, 300), state.Accepted)
	c := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	if !c.Late || c.Stage != state.OutForDelivery {
		f.Errorf("late: %+v, want late and the stage unchanged", c)
	}
	f.openPushes(w, a.Seq, b.Seq, c.Seq)
	story := f.waybill(w)
	got := []uint64{story.Timeline[0].Event.Seq, story.Timeline[1].Event.Seq, story.Timeline[2].Event.Seq}
	if want := []uint64{a.Seq, c.Seq, b.Seq}; !reflect.DeepEqual(got, want) {
		f.Errorf("the timeline is %v, want %v: by time", got, want)
	}
	if !story.Timeline[1].Event.Late {
		f.Error("the timeline does not say late")
	}
}

func largeCall(f *fixture) {
	events := make([]state.Event, 1000)
	for i := range events {
		events[i] = f.scan(fmt.Sprintf("%03d", i%250), state.PickupDone, 100)
		if i >= 250 {
			events[i].Type, events[i].Time = state.Transit, int64(100+i)
		}
	}
	r := f.apply(events...)
	for i := range r {
		if r[i].Verdict != state.Accepted || i > 0 && r[i].Seq <= r[i-1].Seq {
			f.Fatalf("event %d: %+v after %+v", i, r[i], r[max(i-1, 0)])
		}
	}
	if st := f.store.Stats(); st.Pushes[account][store.Pending] != 1000 {
		f.Errorf("pending: %d", st.Pushes[account][store.Pending])
	}
	f.openPushes(waybill("007"), r[7].Seq, r[257].Seq, r[507].Seq, r[757].Seq)
}

func emptyCall(f *fixture) {
	if r, err := f.store.Apply(f.Context(), nil); err != nil || len(r) != 0 {
		f.Errorf("Apply of nothing: %v, %v", r, err)
	}
}

func sameEventAtOnce(f *fixture) {
	e := f.scan("1", state.PickupDone, 100)
	var mu sync.Mutex
	got := map[state.Verdict]int{}
	seqs := map[uint64]bool{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			r, err := f.store.Apply(f.Context(), []state.Event{e})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				f.Errorf("Apply: %v", err)
				return
			}
			got[r[0].Verdict]++
			seqs[r[0].Seq] = true
		})
	}
	wg.Wait()
	if got[state.Accepted] != 1 || got[state.Duplicate] != 31 || len(seqs) != 1 {
		f.Errorf("verdicts %v with numbers %v, want one accepted and 31 duplicates of it", got, seqs)
	}
}

func concurrentOrder(f *fixture) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for g := range 8 {
		wg.Go(func() {
			id := fmt.Sprint(g)
			var want []uint64
			for i := range 20 {
				mu.Lock()
				e := f.scan(id, state.Transit, int64(100+i))
				mu.Unlock()
				if i == 0 {
					e.Type = state.PickupDone
				}
				r, err := f.store.Apply(f.Context(), []state.Event{e})
				if err != nil || r[0].Verdict != state.Accepted {
					f.Errorf("waybill %s, event %d: %+v, %v", id, i, r, err)
					return
				}
				want = append(want, r[0].Seq)
			}
			f.openPushes(waybill(id), want...)
		})
	}
	wg.Wait()
}

func impatientCaller(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	e := f.scan("1", state.PickupDone, 100)
	r, err := f.store.Apply(ctx, []state.Event{e})
	refused := errors.Is(err, store.ErrUnavailable)
	again := f.apply(e)[0]
	switch {
	case refused && again.Verdict != state.Accepted:
		f.Errorf("refused with %v, but the event was kept: %+v", err, again)
	case err == nil && (r[0].Verdict != state.Accepted || again.Verdict != state.Duplicate):
		f.Errorf("taken as %+v, and again as %+v", r[0], again)
	}
}
