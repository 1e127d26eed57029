package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var cancelTests = map[string]func(*fixture){
	"before any scan":                        cancelFirst,
	"by stage":                               cancelByStage,
	"what was open is not sent":              cancelDiscards,
	"a repeat":                               cancelRepeated,
	"another one":                            cancelAgain,
	"one that is older than the newest scan": cancelIsOfNow,
	"what is held is accepted before it":     cancelHurriesHeld,
	"a held scan shows that it is too late":  cancelHeldTooLate,
	"a scan that comes late":                 cancelThenLate,
	"an order that is not there":             cancelUnknown,
	"what the event says of itself":          cancelEvent,
	"a Token that comes after it":            cancelThenToken,
	"a push that is in flight":               cancelInFlight,
	"it survives a restart":                  cancelSurvives,
	"a race with a pickup":                   cancelRace,
}

func cancelOf(id string, at int64) state.Event {
	return state.Event{ID: id, Source: "wechat", Type: state.Cancelled, Time: at, Msg: "订单已取消"}
}

// cancel cancels an order and expects a verdict and the stage afterwards.
func (f *fixture) cancel(order string, e state.Event, want state.Verdict, stage state.Stage) store.Cancellation {
	f.Helper()
	c, err := f.store.CancelOrder(f.Context(), orderKeyOf(order), e)
	if err != nil || c.Verdict != want || c.Stage != stage {
		f.Fatalf("CancelOrder(%s): %+v, %v; want %s, %s", order, c, err, want, stage)
	}
	if c.Order.OrderID != order {
		f.Errorf("CancelOrder(%s) gives the order %+v", order, c.Order)
	}
	return c
}

func cancelFirst(f *fixture) {
	o := f.order(orderOf("1", "W1"), "T", true)
	f.clock.advance(time.Minute)
	f.fed()
	c := f.cancel("1", cancelOf("c1", 500), state.Accepted, state.Void)
	o.CancelledAt = f.clock.Now()
	if !sameOrder(c.Order, o) {
		f.Errorf("the order is %+v, want %+v", c.Order, o)
	}
	f.readOrder(o)
	if again := f.order(orderOf("1", "W1"), "T", false); !sameOrder(again, o) {
		f.Errorf("ordered again it is %+v, want %+v", again, o)
	}
	story := f.waybill(waybill("W1"))
	if len(story.Timeline) != 1 || story.Stage != state.Void {
		f.Fatalf("the waybill: %+v", story)
	}
	e, p := story.Timeline[0].Event, story.Timeline[0].Push
	if e.Verdict != state.Accepted || e.First != state.Accepted || e.Event.Time != 500 || e.Event.ID != "c1" || e.Event.Source != "wechat" {
		f.Errorf("the event: %+v", e)
	}
	if p.Status != store.Discarded || p.Reason != store.ReasonCancelled || !p.DoneAt.Equal(f.clock.Now()) {
		f.Errorf("its push: %+v", p)
	}
	for _, c := range f.fed() {
		if len(c.Added) > 0 {
			f.Errorf("a push of the cancellation was fed: %+v", c)
		}
	}
	f.openPushes(waybill("W1"))
	if got := f.sweep(account); len(got) != 0 {
		f.Errorf("the sweep lists %v", got)
	}
}

func cancelByStage(f *fixture) {
	for i, c := range []struct {
		scans []state.ActionType
		want  state.Verdict
		stage state.Stage
	}{
		{nil, state.Accepted, state.Void},
		{[]state.ActionType{state.PickupAssigned}, state.Accepted, state.Void},
		{[]state.ActionType{state.PickupAssigned, state.PickupFailed}, state.Accepted, state.Void},
		{[]state.ActionType{state.Detained}, state.Accepted, state.Void},
		{[]state.ActionType{state.PickupDone}, state.Rejected, state.PickedUp},
		{[]state.ActionType{state.PickupDone, state.Transit}, state.Rejected, state.InTransit},
		{[]state.ActionType{state.PickupDone, state.Detained}, state.Rejected, state.HeldAfterPickup},
		{[]state.ActionType{state.PickupDone, state.DeliveryBegun}, state.Rejected, state.OutForDelivery},
		{[]state.ActionType{state.PickupDone, state.DeliveryBegun, state.Signed}, state.Rejected, state.Delivered},
		{[]state.ActionType{state.Cancelled}, state.Ignored, state.Void},
	} {
		id := fmt.Sprint(i)
		f.order(orderOf(id, id), "T", true)
		for at, a := range c.scans {
			f.one(f.scan(id, a, int64(100+at)), state.Accepted)
		}
		before := f.store.Stats().Pushes[account][store.Pending]
		got := f.cancel(id, cancelOf("c"+id, 900), c.want, c.stage)
		if cancelled := c.want != state.Rejected; got.Order.CancelledAt.IsZero() == cancelled {
			f.Errorf("after %v: the order is %+v", c.scans, got.Order)
		}
		if after := f.store.Stats().Pushes[account][store.Pending]; (after != before) != (c.want == state.Accepted && len(c.scans) > 0) {
			f.Errorf("after %v, %s: %d pushes were open, and %d are", c.scans, c.want, before, after)
		}
		if n := len(f.waybill(waybill(id)).Timeline); n != len(c.scans)+1 {
			f.Errorf("after %v: the timeline has %d events", c.scans, n)
		}
	}
}

func cancelDiscards(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	w := waybill("W1")
	a := f.one(f.scan("W1", state.PickupAssigned, 100), state.Accepted)
	b := f.one(f.scan("W1", state.PickupFailed, 110), state.Accepted)
	c := f.one(f.scan("W1", state.PickupFailed, 120), state.Accepted)
	d := f.one(f.scan("W1", state.PickupAssigned, 130), state.Accepted)
	f.deliver(w, a.Seq)
	f.fail(w, b.Seq, store.ReasonRefused, 47001, false)
	f.fail(w, c.Seq, store.ReasonToken, 40199, true)
	f.fed()
	f.cancel("1", cancelOf("c", 900), state.Accepted, state.Void)
	fed := f.fed()
	if len(fed) != 1 || !fed[0].Reload || fed[0].Waybill != w || len(fed[0].Added) != 0 {
		f.Errorf("it was fed as %+v, want one Reload", fed)
	}
	f.openPushes(w)
	f.status(a.Seq, store.Delivered, "")
	f.status(b.Seq, store.Failed, store.ReasonRefused)
	f.status(c.Seq, store.Discarded, store.ReasonCancelled)
	f.status(d.Seq, store.Discarded, store.ReasonCancelled)
	f.reopen()
	f.openPushes(w)
	f.status(d.Seq, store.Discarded, store.ReasonCancelled)
}

func cancelRepeated(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	f.order(orderOf("2", "W2"), "T", true)
	f.one(f.scan("W2", state.PickupDone, 100), state.Accepted)
	first := f.cancel("1", cancelOf("c1", 500), state.Accepted, state.Void)
	f.cancel("2", cancelOf("c2", 500), state.Rejected, state.PickedUp)
	f.clock.advance(time.Hour)
	for range 2 {
		again := f.cancel("1", cancelOf("c1", 777), state.Ignored, state.Void)
		if !sameOrder(again.Order, first.Order) {
			f.Errorf("a repeat gives %+v, want %+v", again.Order, first.Order)
		}
		f.cancel("2", cancelOf("c2", 500), state.Rejected, state.PickedUp)
		f.reopen()
	}
	for id, want := range map[string]int{"W1": 1, "W2": 2} {
		if n := len(f.waybill(waybill(id)).Timeline); n != want {
			f.Errorf("%s has %d events, want %d", id, n, want)
		}
	}
}

func cancelAgain(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	first := f.cancel("1", cancelOf("c1", 500), state.Accepted, state.Void)
	f.clock.advance(time.Hour)
	if again := f.cancel("1", cancelOf("c2", 600), state.Ignored, state.Void); !sameOrder(again.Order, first.Order) {
		f.Errorf("another cancellation changed the order: %+v, was %+v", again.Order, first.Order)
	}
}

func cancelIsOfNow(f *fixture) {
	for i, at := range []int64{1, 99, 100, 101, 500} {
		id := fmt.Sprint(i)
		f.order(orderOf(id, id), "T", true)
		f.one(f.scan(id, state.PickupAssigned, 100), state.Accepted)
		f.cancel(id, cancelOf("c"+id, at), state.Accepted, state.Void)
		steps := f.waybill(waybill(id)).Timeline
		if got, want := steps[1].Event.Event.Time, max(at, 101); len(steps) != 2 || got != want || steps[1].Event.Late {
			f.Errorf("cancelled at %d: the timeline says %d, want %d", at, got, want)
		}
	}
}

func cancelHurriesHeld(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	held := f.one(f.scan("W1", state.PickupFailed, 200), state.Held)
	f.cancel("1", cancelOf("c", 100), state.Accepted, state.Void)
	story := f.waybill(waybill("W1"))
	if len(story.Timeline) != 2 || story.Stage != state.Void {
		f.Fatalf("the waybill: %+v", story)
	}
	if e := story.Timeline[0].Event; e.Seq != held.Seq || e.Verdict != state.Accepted || !e.Gap {
		f.Errorf("what was held: %+v", e)
	}
	if e := story.Timeline[1].Event; e.First != state.Accepted || e.Event.Time != 201 {
		f.Errorf("the cancellation: %+v", e)
	}
	f.status(held.Seq, store.Discarded, store.ReasonCancelled)
	f.openPushes(waybill("W1"))
	f.heldCount(0)
	f.pass(2 * window)
	f.openPushes(waybill("W1"))
}

func cancelHeldTooLate(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	held := f.one(f.scan("W1", state.Transit, 200), state.Held)
	f.cancel("1", cancelOf("c", 100), state.Rejected, state.Created)
	f.pass(window)
	f.openPushes(waybill("W1"), held.Seq)
	if o, err := f.store.ReadOrder(f.Context(), orderKeyOf("1")); err != nil || !o.CancelledAt.IsZero() {
		f.Errorf("the order: %+v, %v", o, err)
	}
}

// cancelThenLate: what comes after a cancellation can't contradict it, whatever its time.
func cancelThenLate(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	f.one(f.scan("W1", state.PickupAssigned, 100), state.Accepted)
	f.cancel("1", cancelOf("c", 500), state.Accepted, state.Void)
	for _, at := range []int64{50, 150, 500, 600} {
		f.one(f.scan("W1", state.PickupDone, at), state.Rejected)
	}
	late := f.one(f.scan("W1", state.PickupFailed, 300), state.Accepted)
	if !late.Late || late.Stage != state.Void {
		f.Errorf("a scan of before: %+v", late)
	}
	f.openPushes(waybill("W1"), late.Seq)
}

func cancelUnknown(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	for _, k := range []store.OrderKey{orderKeyOf("2"), {DeliveryID: "YTO", BizID: "BIZ", OrderID: "1"}, {}} {
		if c, err := f.store.CancelOrder(f.Context(), k, cancelOf("c", 1)); !errors.Is(err, store.ErrNotFound) || c != (store.Cancellation{}) {
			f.Errorf("CancelOrder(%+v): %+v, %v; want ErrNotFound", k, c, err)
		}
	}
	if got := f.store.Stats().Events; len(got) != 0 {
		f.Errorf("events: %v", got)
	}
}

func cancelEvent(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	e := f.scan("W9", state.PickupDone, 100)
	e.DeliveryID, e.Token = "YTO", "STRANGE"
	f.cancel("1", e, state.Accepted, state.Void)
	if lane := f.lane(waybill("W1")); lane.Token != "T" {
		f.Errorf("the Token is %q", lane.Token)
	}
	for _, id := range []state.Waybill{waybill("W9"), {DeliveryID: "YTO", WaybillID: "W9"}} {
		if _, err := f.store.Waybill(f.Context(), id); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("%s: %v, want ErrNotFound", id, err)
		}
	}
}

func cancelThenToken(f *fixture) {
	f.order(orderOf("1", "W1"), "", true)
	a := f.one(f.scan("W1", state.PickupAssigned, 100), state.Accepted)
	f.pass(noTokenWait)
	f.status(a.Seq, store.Failed, store.ReasonNoToken)
	f.cancel("1", cancelOf("c", 500), state.Accepted, state.Void)
	f.order(orderOf("1", "W1"), "T", false)
	f.openPushes(waybill("W1"))
	f.status(a.Seq, store.Discarded, store.ReasonCancelled)
}

func cancelInFlight(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	a := f.one(f.scan("W1", state.PickupAssigned, 100), state.Accepted)
	f.cancel("1", cancelOf("c", 500), state.Accepted, state.Void)
	f.deliver(waybill("W1"), a.Seq)
	f.status(a.Seq, store.Delivered, "")
}

func cancelSurvives(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	f.cancel("1", cancelOf("c", 500), state.Accepted, state.Void)
	f.reopen()
	f.one(f.scan("W1", state.PickupDone, 600), state.Rejected)
	f.cancel("1", cancelOf("c", 500), state.Ignored, state.Void)
	if o, err := f.store.ReadOrder(f.Context(), orderKeyOf("1")); err != nil || !o.CancelledAt.Equal(f.clock.Now()) {
		f.Errorf("the order: %+v, %v", o, err)
	}
}

// cancelRace lets a pickup and a cancellation meet 1,000 times: one of them wins, and never both.
func cancelRace(f *fixture) {
	const races, atOnce = 1000, 20
	won := map[state.Stage]int{}
	for from := 0; from < races; from += atOnce {
		r := make([]race, atOnce)
		var wg sync.WaitGroup
		for i := range r {
			r[i].id = fmt.Sprint(from + i)
			wg.Go(func() { r[i].run(f, i%2 == 0) })
		}
		wg.Wait()
		for i := range r {
			won[r[i].check(f)]++
		}
	}
	f.Logf("of %d races, %d were picked up and %d cancelled", races, won[state.PickedUp], won[state.Void])
}

// race is a pickup and a cancellation of one order, at the same time.
type race struct {
	id                string
	pickup            []store.Result
	cancel            store.Cancellation
	order, perr, cerr error
}

// run makes the order and lets the two run. The one that is started last is most often the first.
func (r *race) run(f *fixture, cancelLast bool) {
	if _, _, r.order = f.store.PutOrder(f.Context(), orderOf(r.id, r.id), "T"); r.order != nil {
		return
	}
	pickup, cancel := f.scan(r.id, state.PickupDone, 100), cancelOf("c"+r.id, 100)
	racers := []func(){
		func() { r.pickup, r.perr = f.store.Apply(f.Context(), []state.Event{pickup}) },
		func() { r.cancel, r.cerr = f.store.CancelOrder(f.Context(), orderKeyOf(r.id), cancel) },
	}
	if !cancelLast {
		slices.Reverse(racers)
	}
	var wg sync.WaitGroup
	for _, racer := range racers {
		wg.Go(racer)
	}
	wg.Wait()
}

// check sees that one of them won, by all that is known of it, and gives the stage that this led to.
func (r *race) check(f *fixture) state.Stage {
	f.Helper()
	if err := errors.Join(r.order, r.perr, r.cerr); err != nil {
		f.Fatalf("race %s: %v", r.id, err)
	}
	picked, cancelled := r.pickup[0].Verdict == state.Accepted, r.cancel.Verdict == state.Accepted
	if picked == cancelled {
		f.Fatalf("race %s: the pickup is %s, and the cancellation %s", r.id, r.pickup[0].Verdict, r.cancel.Verdict)
	}
	story, order := f.waybill(waybill(r.id)), r.cancel.Order
	if order.CancelledAt.IsZero() == cancelled || story.Stage != map[bool]state.Stage{true: state.Void, false: state.PickedUp}[cancelled] {
		f.Fatalf("race %s: cancelled %v, the stage is %s, the order %+v", r.id, cancelled, story.Stage, order)
	}
	return story.Stage
}
