package state_test

import (
	"slices"
	"testing"
	"time"

	. "carrier/internal/state"
)

func TestLateEventTakesItsPlaceAndTheStageStays(t *testing.T) {
	tests := []struct {
		name  string
		way   string // The stage the waybill is in; its events came at 60, 120, ...
		event ActionType
		time  int64
		gap   bool
	}{
		{"assignment after pickup", "in_transit", 100003, 10, false},
		{"failed pickup with no assignment known", "in_transit", 100002, 10, true},
		{"hold-up before pickup", "in_transit", 400002, 10, false},
		{"transit between pickup and delivery round", "out_for_delivery", 200001, 90, false},
		{"transit before the signature", "delivered", 200001, 150, false},
		{"failed delivery before the signature", "delivered", 300004, 150, false},
		{"hold-up before the signature", "delivered", 400002, 90, false},
		{"failed pickup before the cancellation", "cancelled", 100002, 90, false},
		{"failed delivery with no round known", "in_transit", 300004, 90, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			d.bring(tt.way)
			got := d.send(tt.event, tt.time)
			d.same(got, Decision{Entry: Entry{Verdict: Accepted, Late: true, Gap: tt.gap}, Stage: stage(t, tt.way)})
			if !slices.IsSortedFunc(d.line, byTime) {
				t.Errorf("the timeline is out of order: %+v", d.line)
			}
		})
	}
}

func byTime(a, b Entry) int { return int(a.Time - b.Time) }

func TestLateEventThatContradictsIsRejected(t *testing.T) {
	tests := []struct {
		name    string
		way     []ActionType // At 10, 20, 30, ...
		event   ActionType
		time    int64
		reason  Reason
		from    string
		allowed []ActionType
		cause   uint64
	}{
		{
			"cancelled before a pickup that is known", []ActionType{100003, 100001}, 400001, 15, ContradictsNext,
			"assigned", []ActionType{100003, 100002, 100001, 400002}, 2,
		},
		{
			"signed for before more transit", []ActionType{100001, 200001, 200001}, 300003, 25, ContradictsNext,
			"in_transit", []ActionType{200001, 300002, 300004, 400002}, 3,
		},
		{
			"transit before the assignment", []ActionType{100003, 100001}, 200001, 5, ContradictsNext,
			"created", []ActionType{100003, 100002, 400002}, 1,
		},
		{
			"assignment after the pickup", []ActionType{100001, 200001}, 100003, 15, IllegalStep,
			// Not 300003: after a signature at 15 the transit at 20 would be illegal.
			"picked_up", []ActionType{200001, 300002, 300004, 400002}, 1,
		},
		{
			"anything after the signature", []ActionType{100001, 300002, 300003}, 200001, 35, IllegalStep,
			"delivered", []ActionType{}, 3,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			for i, a := range tt.way {
				d.send(a, int64(i+1)*10)
			}
			was, head := d.line.Stage(), d.line.Head()
			got := d.send(tt.event, tt.time)
			d.same(got, Decision{
				Entry: Entry{Verdict: Rejected, Reason: tt.reason}, Stage: was,
				From: stage(t, tt.from), Allowed: tt.allowed, Cause: tt.cause,
			})
			if d.line.Head() != head {
				t.Errorf("it is recorded, but must have no part in the story: %+v became %+v", head, d.line.Head())
			}
		})
	}
}

func TestEqualTimesGoByRankThenArrival(t *testing.T) {
	// Along the parcel's way; what ends it comes last.
	ranked := []ActionType{100003, 100002, 100001, 200001, 300002, 300004, 400002, 300003, 400001}
	t.Run("rank", func(t *testing.T) {
		var line Timeline
		for i := range ranked {
			line = line.Insert(Entry{Seq: uint64(i), Type: ranked[(i*5)%len(ranked)], Time: 7})
		}
		for i, e := range line {
			if e.Type != ranked[i] {
				t.Fatalf("place %d has %d, want %d", i, e.Type, ranked[i])
			}
		}
	})
	t.Run("arrival", func(t *testing.T) {
		d := newDesk(t)
		d.bring("picked_up")
		for range 3 {
			got := d.send(Transit, d.last)
			d.verdict(got, Accepted, 0, "in_transit")
			if got.Entry.Late {
				t.Error("the same time as the newest is not late")
			}
		}
		if got, want := d.order(), []uint64{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
			t.Errorf("order is %v, want %v", got, want)
		}
	})
	t.Run("failure and signature in one second", func(t *testing.T) {
		d := newDesk(t)
		d.bring("out_for_delivery")
		d.verdict(d.send(Signed, 500), Accepted, 0, "delivered")
		got := d.send(DeliveryFailed, 500)
		d.verdict(got, Accepted, 0, "delivered")
		if !got.Entry.Late {
			t.Error("it was put before the signature, so it is late")
		}
	})
	t.Run("pickup and cancellation in one second, whichever comes first", func(t *testing.T) {
		d := newDesk(t)
		d.send(PickupDone, 5)
		d.verdict(d.send(Cancelled, 5), Rejected, IllegalStep, "picked_up")
		d = newDesk(t)
		d.send(Cancelled, 5)
		d.verdict(d.send(PickupDone, 5), Rejected, ContradictsNext, "cancelled")
	})
}

func TestRepeats(t *testing.T) {
	t.Run("word for word", func(t *testing.T) {
		d := newDesk(t)
		d.sendMsg(PickupDone, 100, 1)
		d.sendMsg(Transit, 200, 2)
		d.sendMsg(DeliveryBegun, 300, 3)
		got := d.sendMsg(Transit, 200, 2)
		d.same(got, Decision{Entry: Entry{Verdict: Ignored, Reason: RepeatsEvent}, Stage: OutForDelivery, Cause: 2})
		// Again: it repeats the event, not its repetition.
		if got := d.sendMsg(Transit, 200, 2); got.Cause != 2 || got.Entry.Reason != RepeatsEvent {
			t.Errorf("got %+v, want a repetition of event 2", got)
		}
	})
	t.Run("another text is another event", func(t *testing.T) {
		d := newDesk(t)
		d.sendMsg(PickupDone, 100, 1)
		d.sendMsg(Transit, 200, 2)
		d.verdict(d.sendMsg(Transit, 200, 3), Accepted, 0, "in_transit")
		d.verdict(d.sendMsg(Transit, 201, 3), Accepted, 0, "in_transit")
	})
	t.Run("of one that is held", func(t *testing.T) {
		d := newDesk(t)
		d.sendMsg(Transit, 200, 2)
		got := d.sendMsg(Transit, 200, 2)
		d.same(got, Decision{Entry: Entry{Verdict: Ignored, Reason: RepeatsEvent}, Stage: Created, Cause: 1})
	})
	t.Run("of one that was rejected is judged anew", func(t *testing.T) {
		d := newDesk(t)
		d.sendMsg(Cancelled, 100, 1)
		d.verdict(d.sendMsg(Transit, 200, 2), Rejected, IllegalStep, "cancelled")
		d.verdict(d.sendMsg(Transit, 200, 2), Rejected, IllegalStep, "cancelled")
	})
	t.Run("of a stage, earlier in time than what it repeats", func(t *testing.T) {
		// The later one was pushed already, so this is a late event like others.
		d := newDesk(t)
		d.send(PickupDone, 200)
		d.same(d.send(PickupDone, 100), Decision{Entry: Entry{Verdict: Accepted, Late: true}, Stage: PickedUp})
	})
	t.Run("of a stage that was left is no repeat", func(t *testing.T) {
		d := newDesk(t)
		d.send(Detained, 100)
		d.send(PickupAssigned, 200)
		d.verdict(d.send(Detained, 300), Accepted, 0, "held_before_pickup")
	})
}

func TestIgnoredEventThatMeansSomethingAfterALateOne(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		d := newDesk(t)
		d.send(Detained, 100)
		d.verdict(d.send(Detained, 300), Ignored, RepeatsStage, "held_before_pickup")
		got := d.send(PickupDone, 200)
		d.verdict(got, Accepted, 0, "held_after_pickup")
		if got.Entry.Late {
			t.Error("nothing newer was accepted before it")
		}
		if !slices.Equal(seqs(got.Changed), []uint64{2}) || got.Changed[0].Verdict != Accepted || got.Changed[0].Late {
			t.Errorf("changed %+v, want the second hold-up accepted", got.Changed)
		}
	})
	t.Run("before newer ones, so it is late itself", func(t *testing.T) {
		d := newDesk(t)
		d.send(Detained, 100)
		d.send(Detained, 300)
		d.send(PickupAssigned, 400)
		got := d.send(PickupFailed, 200)
		d.verdict(got, Accepted, 0, "assigned")
		if !got.Entry.Late || !slices.Equal(seqs(got.Changed), []uint64{2}) {
			t.Fatalf("got %+v, want a late event that gives the second hold-up a meaning", got)
		}
		if e := got.Changed[0]; e.Verdict != Accepted || !e.Late || e.Reason != 0 {
			t.Errorf("the second hold-up is %+v, want accepted and late", e)
		}
	})
	t.Run("waits behind what is held", func(t *testing.T) {
		d := newDesk(t)
		d.send(Detained, 100)
		d.send(Detained, 300)
		got := d.send(Transit, 200)
		d.verdict(got, Held, MissingScan, "held_before_pickup")
		if len(got.Changed) != 0 {
			t.Errorf("changed %+v", got.Changed)
		}
		if order := seqs(d.m.Expire(d.line, got.Entry.Until)); !slices.Equal(order, []uint64{3, 2}) {
			t.Errorf("accepted %v, want the transit and then the hold-up", order)
		}
		if d.line.Stage() != HeldAfterPickup {
			t.Errorf("stage %s", d.line.Stage())
		}
	})
	t.Run("but nothing that contradicts it is kept out", func(t *testing.T) {
		// 100001 at 300 repeats; were it accepted, transit at 200 could not come before it.
		d := newDesk(t)
		d.send(PickupDone, 100)
		d.verdict(d.send(PickupDone, 300), Ignored, RepeatsStage, "picked_up")
		d.verdict(d.send(Transit, 200), Accepted, 0, "in_transit")
		d.verdict(d.send(DeliveryBegun, 400), Accepted, 0, "out_for_delivery")
	})
}

func TestReasonsOfOthersChangeOnlyWithTheirVerdict(t *testing.T) {
	// An engine stores what Changed tells, so nothing else may change.
	d := newDesk(t)
	held := d.send(Signed, 500).Entry
	d.send(DeliveryBegun, 400)
	if got := d.entry(1); got != held {
		t.Errorf("unreported: %+v became %+v", held, got)
	}
}

func TestOverride(t *testing.T) {
	t.Run("of the newest moves the stage", func(t *testing.T) {
		d := newDesk(t)
		d.bring("delivered")
		rejected := d.send(Transit, 500).Entry
		if changed := d.override(rejected.Seq); len(changed) != 0 {
			t.Errorf("changed %+v", changed)
		}
		if d.line.Stage() != InTransit {
			t.Errorf("stage %s, want in_transit", d.line.Stage())
		}
		d.verdict(d.send(DeliveryBegun, 600), Accepted, 0, "out_for_delivery")
		d.verdict(d.send(Signed, 700), Accepted, 0, "delivered")
	})
	t.Run("of an older one leaves the stage and what follows", func(t *testing.T) {
		d := newDesk(t)
		d.bring("in_transit") // at 60 and 120
		rejected := d.send(Cancelled, 90).Entry
		d.override(rejected.Seq)
		if d.line.Stage() != InTransit {
			t.Errorf("stage %s, want in_transit", d.line.Stage())
		}
		if !d.entry(rejected.Seq).Late {
			t.Error("it took its place before others and is not marked as late")
		}
		got := d.send(DeliveryBegun, 300)
		d.verdict(got, Accepted, 0, "out_for_delivery")
		// Others are not blamed for the step that the operator allowed.
		d.verdict(d.send(PickupAssigned, 10), Accepted, 0, "out_for_delivery")
		d.verdict(d.send(Transit, 200), Accepted, 0, "out_for_delivery")
		// What contradicts a step that is legal is still rejected.
		d.verdict(d.send(Signed, 130), Rejected, ContradictsNext, "out_for_delivery")
	})
	t.Run("of an older one against what is held", func(t *testing.T) {
		d := newDesk(t)
		held := d.send(Signed, 500).Entry
		rejected := d.send(Cancelled, 400).Entry
		d.override(rejected.Seq)
		changed := d.m.Expire(d.line, held.Until)
		if d.line.Stage() != Void || d.line.NextDeadline() != 0 {
			t.Errorf("stage %s, next deadline %d; want cancelled and none", d.line.Stage(), d.line.NextDeadline())
		}
		if e := d.entry(1); e.Verdict != Rejected || e.Reason != IllegalStep || e.Until != 0 {
			t.Errorf("the signature is %+v (changed %+v), want rejected: an operator can see it then", e, changed)
		}
	})
	t.Run("of what is not rejected changes nothing", func(t *testing.T) {
		d := newDesk(t)
		d.bring("in_transit")
		before := slices.Clone(d.line)
		for _, seq := range []uint64{1, 99} {
			if changed := d.m.Override(d.line, seq, d.now); changed != nil || !slices.Equal(d.line, before) {
				t.Errorf("event %d: changed %+v, and the timeline is %+v", seq, changed, d.line)
			}
		}
	})
	t.Run("can be the gap that others wait for", func(t *testing.T) {
		d := newDesk(t)
		d.bring("cancelled")
		pickup := d.send(PickupDone, 300).Entry
		d.verdict(d.send(Transit, 400), Rejected, IllegalStep, "cancelled")
		d.override(pickup.Seq)
		d.verdict(d.send(Transit, 500), Accepted, 0, "in_transit")
	})
}

func TestDecideInOrderLeavesTheRestToDecide(t *testing.T) {
	m := Machine{ReorderWindow: window}
	head := Head{Stage: InTransit, Type: Transit, Time: 100, Plain: true}
	tests := []struct {
		name string
		head Head
		e    Entry
		ok   bool
	}{
		{"newer and legal", head, Entry{Type: DeliveryBegun, Time: 101}, true},
		{"same second, higher rank", head, Entry{Type: DeliveryBegun, Time: 100}, true},
		{"same second, same rank", head, Entry{Type: Transit, Time: 100}, false},
		{"older", head, Entry{Type: Transit, Time: 99}, false},
		{"a gap", head, Entry{Type: Signed, Time: 101}, false},
		{"illegal", head, Entry{Type: PickupDone, Time: 101}, false},
		{"unknown", head, Entry{Type: 7, Time: 101}, false},
		{"something is held", Head{Stage: InTransit, Type: Transit, Time: 100}, Entry{Type: Transit, Time: 101}, false},
		{"a new waybill", Head{Plain: true}, Entry{Type: PickupDone, Time: -5}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, ok := m.DecideInOrder(tt.head, tt.e); ok != tt.ok {
				t.Errorf("answers: %v, want %v", ok, tt.ok)
			}
		})
	}
}

func TestHead(t *testing.T) {
	d := newDesk(t)
	check := func(want Head) {
		t.Helper()
		if got := d.line.Head(); got != want {
			t.Errorf("head is %+v, want %+v", got, want)
		}
	}
	check(Head{Stage: Created, Plain: true})
	d.send(PickupDone, 100)
	check(Head{Stage: PickedUp, Type: PickupDone, Time: 100, Plain: true})
	d.send(Cancelled, 200) // Rejected: no part of the story.
	check(Head{Stage: PickedUp, Type: PickupDone, Time: 100, Plain: true})
	d.send(PickupDone, 150) // Ignored, but it may come to mean something.
	check(Head{Stage: PickedUp, Type: PickupDone, Time: 100})
	d.send(Signed, 300) // Held.
	check(Head{Stage: PickedUp, Type: PickupDone, Time: 100})
	d.now += (3 * time.Minute).Milliseconds()
	d.m.Expire(d.line, d.now)
	check(Head{Stage: Delivered, Type: Signed, Time: 300})
}
