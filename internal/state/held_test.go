package state_test

import (
	"slices"
	"testing"

	. "carrier/internal/state"
)

func TestScanThatFillsTheGapReleasesHeldOnesInTimeOrder(t *testing.T) {
	d := newDesk(t)
	d.bring("assigned")
	d.verdict(d.send(Signed, 500), Held, MissingScan, "assigned")        // 2
	d.verdict(d.send(DeliveryBegun, 400), Held, MissingScan, "assigned") // 3
	d.verdict(d.send(Transit, 300), Held, MissingScan, "assigned")       // 4
	d.verdict(d.send(Transit, 350), Held, BehindHeld, "assigned")        // 5: nothing but 4's pickup is missing
	got := d.send(PickupDone, 200)
	d.verdict(got, Accepted, 0, "delivered")
	if got.Entry.Late || got.Entry.Gap {
		t.Errorf("the pickup came before nothing that was accepted: %+v", got.Entry)
	}
	if order, want := seqs(got.Changed), []uint64{4, 5, 3, 2}; !slices.Equal(order, want) {
		t.Errorf("released %v, want %v", order, want)
	}
	for _, e := range got.Changed {
		if e.Verdict != Accepted || e.Gap || e.Late || e.Until != 0 || e.Reason != 0 || e != d.entry(e.Seq) {
			t.Errorf("released as %+v, kept as %+v", e, d.entry(e.Seq))
		}
	}
	if d.line.NextDeadline() != 0 {
		t.Error("nothing is held any more")
	}
}

func TestScanThatFillsHalfTheGapReleasesHalf(t *testing.T) {
	d := newDesk(t)
	d.send(Signed, 500) // 1: lacks a delivery round.
	d.send(Transit, 300)
	got := d.send(PickupDone, 200)
	d.verdict(got, Accepted, 0, "in_transit")
	if order := seqs(got.Changed); !slices.Equal(order, []uint64{2}) {
		t.Errorf("released %v, want only the transit", order)
	}
	if e := d.entry(1); e.Verdict != Held {
		t.Errorf("the signature is %s, want held", e.Verdict)
	}
	got = d.send(DeliveryBegun, 400)
	d.verdict(got, Accepted, 0, "delivered")
	if order := seqs(got.Changed); !slices.Equal(order, []uint64{1}) {
		t.Errorf("released %v, want the signature", order)
	}
}

func TestHeldEventsAreFacts(t *testing.T) {
	d := newDesk(t)
	d.verdict(d.send(Signed, 500), Held, MissingScan, "created")
	got := d.send(Transit, 600)
	d.verdict(got, Rejected, IllegalStep, "created")
	if got.From != Delivered || got.Cause != 1 || len(got.Allowed) != 0 || got.Allowed == nil {
		t.Errorf("rejected as %+v, want from delivered because of event 1", got)
	}
	got = d.send(Cancelled, 400)
	d.verdict(got, Rejected, ContradictsNext, "created")
	if got.From != Created || got.Cause != 1 {
		t.Errorf("rejected as %+v, want from created because of event 1", got)
	}
	d.verdict(d.send(Signed, 550), Ignored, RepeatsStage, "created")
}

func TestWindowCountsFromEachEventsOwnArrival(t *testing.T) {
	d := newDesk(t)
	first := d.send(Signed, 500).Entry
	d.now += 60_000
	second := d.send(Transit, 300).Entry
	if first.Until+60_000 != second.Until {
		t.Fatalf("deadlines %d and %d, want a minute apart", first.Until, second.Until)
	}
	if d.line.NextDeadline() != first.Until {
		t.Fatalf("NextDeadline is %d, want %d", d.line.NextDeadline(), first.Until)
	}
	// The signature may wait no longer, so what comes before it goes first, gap or not.
	changed := d.m.Expire(d.line, first.Until)
	if order := seqs(changed); !slices.Equal(order, []uint64{2, 1}) {
		t.Fatalf("accepted %v, want the transit and then the signature", order)
	}
	if !changed[0].Gap || !changed[1].Gap {
		t.Errorf("both lack a scan: %+v", changed)
	}
}

func TestWindowOfOneDoesNotEndThatOfLaterOnes(t *testing.T) {
	d := newDesk(t)
	first := d.send(Transit, 300).Entry
	d.now += 60_000
	second := d.send(Signed, 500).Entry // Lacks a delivery round as well as the pickup.
	changed := d.m.Expire(d.line, first.Until)
	if order := seqs(changed); !slices.Equal(order, []uint64{1}) {
		t.Fatalf("accepted %v, want only the transit", order)
	}
	if d.line.NextDeadline() != second.Until {
		t.Errorf("NextDeadline is %d, want %d", d.line.NextDeadline(), second.Until)
	}
	d.now = first.Until
	got := d.send(DeliveryBegun, 400)
	d.verdict(got, Accepted, 0, "delivered")
	if got.Entry.Late || !slices.Equal(seqs(got.Changed), []uint64{2}) {
		t.Errorf("got %+v, want it in order and the signature released", got)
	}
}

// TestOverdueEventsAreNotOvertaken: the clock of an engine may be behind its intake.
func TestOverdueEventsAreNotOvertaken(t *testing.T) {
	d := newDesk(t)
	held := d.send(Transit, 300).Entry
	d.now = held.Until + 1
	got := d.send(DeliveryBegun, 400)
	// To accept it here would push it before the transit: what changes with an event is accepted after it.
	d.verdict(got, Held, BehindHeld, "created")
	if len(got.Changed) != 0 {
		t.Errorf("changed %+v, want nothing", got.Changed)
	}
	if at := d.line.NextDeadline(); at > d.now {
		t.Errorf("NextDeadline is %d, want one that has passed", at)
	}
	if order := seqs(d.m.Expire(d.line, d.now)); !slices.Equal(order, []uint64{1, 2}) {
		t.Errorf("accepted %v, want the transit and then the round", order)
	}
	if d.line.Stage() != OutForDelivery {
		t.Errorf("stage %s", d.line.Stage())
	}
}

// TestHasten has an event that would wait accepted at once: what is held before it is accepted too, and so is what waited
// for no more than it.
func TestHasten(t *testing.T) {
	d := newDesk(t)
	d.send(Transit, 300)
	d.send(Signed, 500)
	got := d.send(DeliveryBegun, 400)
	d.verdict(got, Held, BehindHeld, "created")
	got = d.m.Hasten(d.line, got)
	d.same(got, Decision{Entry: Entry{Verdict: Accepted}, Stage: Delivered, Changed: got.Changed})
	if !slices.Equal(seqs(got.Changed), []uint64{1, 2}) || got.Entry != *d.line.Find(3) {
		t.Errorf("got %+v, want the transit before it and the signature accepted with it", got)
	}
	if d.line.Find(4) != nil {
		t.Error("an event is found that is not there")
	}
}

func TestNoWindowAcceptsAtOnce(t *testing.T) {
	d := newDesk(t)
	d.m = Machine{}
	got := d.send(Signed, 500)
	d.same(got, Decision{Entry: Entry{Verdict: Accepted, Gap: true}, Stage: Delivered})
	got = d.send(PickupDone, 100)
	d.same(got, Decision{Entry: Entry{Verdict: Accepted, Late: true}, Stage: Delivered})
}

func TestHeldEventThatTurnsOutToRepeat(t *testing.T) {
	d := newDesk(t)
	d.send(Transit, 100)  // 1, held
	d.send(Detained, 300) // 2, held behind it
	d.send(Detained, 200) // 3, held behind it; makes 2 a repeat
	got := d.send(PickupDone, 50)
	d.verdict(got, Accepted, 0, "held_after_pickup")
	if order := seqs(got.Changed); !slices.Equal(order, []uint64{1, 3, 2}) {
		t.Fatalf("changed %v, want 1, 3 and 2", order)
	}
	if e := got.Changed[2]; e.Verdict != Ignored || e.Reason != RepeatsStage || e.Until != 0 {
		t.Errorf("event 2 is %+v, want ignored", e)
	}
}
