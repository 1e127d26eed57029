package storetest

import (
	"fmt"
	"reflect"
	"time"

	"carrier/internal/store"
)

var verifiedTests = map[string]func(*fixture){
	"a push is verified":               verifiedPush,
	"what is not verified":             verifiedNot,
	"a difference is kept and closed":  differenceKept,
	"differences are kept so many":     differencesBounded,
	"a difference survives a restart":  differenceReopens,
	"a difference is told":             differenceTold,
	"a difference is forgotten":        differenceForgotten,
	"verifying a push leaves it as is": verifiedQuiet,
}

func verifiedPush(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	if p := f.push(n[0]); !p.VerifiedAt.IsZero() {
		f.Errorf("it is verified at %v already", p.VerifiedAt)
	}
	at := f.clock.Now().Add(time.Minute)
	verified := func(want time.Time) {
		f.Helper()
		if p := f.status(n[0], store.Delivered, ""); !p.VerifiedAt.Equal(want) {
			f.Errorf("it is verified at %v, want %v", p.VerifiedAt, want)
		}
	}
	f.verify(w.WaybillID, at, n[0])
	verified(at)
	f.verify(w.WaybillID, at.Add(time.Hour), n[0])
	verified(at.Add(time.Hour))
	f.reopen()
	verified(at.Add(time.Hour))
	f.replay(n[0], true)
	if p := f.push(n[0]); !p.VerifiedAt.IsZero() {
		f.Errorf("it is sent again, and verified at %v", p.VerifiedAt)
	}
	f.deliver(w, n[0])
	verified(time.Time{})
}

func (f *fixture) verify(id string, at time.Time, seqs ...uint64) {
	f.Helper()
	if err := f.store.MarkVerified(f.Context(), waybill(id), seqs, at); err != nil {
		f.Fatalf("MarkVerified(%v): %v", seqs, err)
	}
}

func verifiedNot(f *fixture) {
	w, n := f.ready("1", 3)
	other, m := f.ready("2", 1)
	f.deliver(other, m[0])
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.verify("1", f.clock.Now(), n[0], n[1], n[2], m[0], 4711)
	f.verify("1", f.clock.Now())
	for seq, want := range map[uint64]bool{n[0]: true, n[1]: false, n[2]: false, m[0]: false} {
		if p := f.push(seq); p.VerifiedAt.IsZero() == want {
			f.Errorf("push %d, which is %s, is verified at %v", seq, p.Status, p.VerifiedAt)
		}
	}
}

// verifiedQuiet: nothing else of a push changes, and nobody is told.
func verifiedQuiet(f *fixture) {
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	f.fed()
	before := f.push(n[0])
	f.clock.advance(time.Minute)
	f.verify("1", f.clock.Now(), n[0])
	after := f.push(n[0])
	after.VerifiedAt = before.VerifiedAt
	if !reflect.DeepEqual(before, after) {
		f.Errorf("it was %+v, and is %+v", before, after)
	}
	if c := f.fed(); len(c) != 0 {
		f.Errorf("it was fed: %+v", c)
	}
}

func (f *fixture) differ(d store.Difference) {
	f.Helper()
	if err := f.store.PutDifference(f.Context(), d); err != nil {
		f.Fatalf("PutDifference(%s): %v", d.Waybill, err)
	}
}

func (f *fixture) differences(want ...store.Difference) {
	f.Helper()
	got, err := f.store.Differences(f.Context())
	if err != nil || len(got) != len(want) {
		f.Fatalf("there are %d differences (%v), want %d", len(got), err, len(want))
	}
	for i := range got {
		if !got[i].FoundAt.Equal(want[i].FoundAt) || !got[i].CheckedAt.Equal(want[i].CheckedAt) {
			f.Errorf("%s was found at %v and %v, want %v and %v", got[i].Waybill, got[i].FoundAt, got[i].CheckedAt, want[i].FoundAt, want[i].CheckedAt)
		}
		got[i].FoundAt, got[i].CheckedAt = want[i].FoundAt, want[i].CheckedAt
		if !reflect.DeepEqual(got[i], want[i]) {
			f.Errorf("difference %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func (f *fixture) closeDifference(id string, want bool) {
	f.Helper()
	if closed, err := f.store.CloseDifference(f.Context(), waybill(id), true); err != nil || closed != want {
		f.Errorf("CloseDifference(%s): %v, %v; want %v", id, closed, err, want)
	}
}

func differenceKept(f *fixture) {
	f.differences()
	f.closeDifference("1", false)
	first := store.Difference{Waybill: waybill("1"), Merchant: "shop", Missing: []uint64{1, 2}, Extra: 3}
	f.differ(first)
	first.FoundAt, first.CheckedAt = f.clock.Now(), f.clock.Now()
	f.differences(first)
	f.clock.advance(time.Second)
	second := store.Difference{Waybill: waybill("2"), Changed: []uint64{7}, Moved: []uint64{8}, FoundAt: f.clock.Now(), CheckedAt: f.clock.Now()}
	f.differ(second)
	f.differences(second, first)
	f.clock.advance(time.Second)
	first.Missing, first.Extra = []uint64{2}, 0
	f.differ(first)
	first.CheckedAt = f.clock.Now()
	f.differences(first, second)
	f.closeDifference("1", true)
	f.closeDifference("1", false)
	f.differences(second)
}

func differencesBounded(f *fixture) {
	put := func(i int) {
		f.differ(store.Difference{Waybill: waybill(fmt.Sprint(i)), Extra: i})
		f.clock.advance(time.Millisecond)
	}
	for i := range store.MaxDifferences {
		put(i)
	}
	put(0) // It is the newest now.
	put(store.MaxDifferences)
	got, err := f.store.Differences(f.Context())
	if err != nil || len(got) != store.MaxDifferences {
		f.Fatalf("there are %d differences (%v)", len(got), err)
	}
	if newest, oldest := got[0].Extra, got[len(got)-1].Extra; newest != store.MaxDifferences || oldest != 2 || got[1].Extra != 0 {
		f.Errorf("the newest are %d and %d, the oldest %d", newest, got[1].Extra, oldest)
	}
}

func differenceReopens(f *fixture) {
	d := store.Difference{Waybill: waybill("1"), Missing: []uint64{1}, FoundAt: f.clock.Now(), CheckedAt: f.clock.Now()}
	f.differ(d)
	f.reopen()
	f.differences(d)
}

// tells expects the notices of differences that wait, with their times as the clock was then.
func (f *fixture) tells(want ...store.Difference) {
	f.Helper()
	got := f.notices()
	if len(got) != len(want) {
		f.Fatalf("%d notices wait, want %d: %+v", len(got), len(want), got)
	}
	for i, n := range got {
		d := n.Difference
		if d == nil {
			f.Fatalf("notice %d is of an end: %+v", i, n)
		}
		if !n.At.Equal(want[i].CheckedAt) || !d.CheckedAt.Equal(want[i].CheckedAt) || !d.FoundAt.Equal(want[i].FoundAt) {
			f.Errorf("notice %d is of %v, found %v and %v; want %v and %v", i, n.At, d.FoundAt, d.CheckedAt, want[i].FoundAt, want[i].CheckedAt)
		}
		d.FoundAt, d.CheckedAt = want[i].FoundAt, want[i].CheckedAt
		if !reflect.DeepEqual(*d, want[i]) || n.Event.Waybill() != d.Waybill || n.Seq != 0 || n.Nth != 0 || n.Status != store.NoPush {
			f.Errorf("notice %d is %+v, want %+v", i, n, want[i])
		}
	}
}

// differenceTold: a difference is told when it is found, when it changes and when it is gone, over restarts, and not when
// it is found again as it was. It stands in one line with the ends.
func differenceTold(f *fixture) {
	f.untold = true
	w := waybill("1")
	first := store.Difference{Waybill: w, Merchant: "shop", Missing: []uint64{1, 2}, Changed: []uint64{3}, Moved: []uint64{4}, Extra: 5}
	f.differ(first)
	first.FoundAt, first.CheckedAt = f.clock.Now(), f.clock.Now()
	f.tells(first)
	f.clock.advance(time.Minute)
	f.differ(first)
	f.reopen()
	f.tells(first)
	second := first
	second.Missing = []uint64{2}
	f.clock.advance(time.Minute)
	f.differ(second)
	second.CheckedAt = f.clock.Now()
	f.clock.advance(time.Minute)
	f.closeDifference("1", true)
	f.closeDifference("1", false)
	gone := store.Difference{Waybill: w, Merchant: "shop", FoundAt: first.FoundAt, CheckedAt: f.clock.Now()}
	f.tells(first, second, gone)
	f.reopen()
	f.tells(first, second, gone)
	f.told(f.notices()[1].Number)
	f.tells(gone)

	other, n := f.ready("2", 1)
	f.deliver(other, n[0])
	if all := f.notices(); len(all) != 2 || all[0].Difference == nil || all[1].Seq != n[0] || all[1].Difference != nil {
		f.Errorf("the notices are %+v", all)
	}
}

// differenceForgotten: that a difference is gone is told only if upstream agrees, and nothing is where nobody is told.
func differenceForgotten(f *fixture) {
	f.untold = true
	d := store.Difference{Waybill: waybill("1"), Missing: []uint64{1}, FoundAt: f.clock.Now(), CheckedAt: f.clock.Now()}
	f.differ(d)
	if closed, err := f.store.CloseDifference(f.Context(), d.Waybill, false); err != nil || !closed {
		f.Errorf("CloseDifference: %v, %v", closed, err)
	}
	f.differences()
	f.tells(d)
	f.tellNobody(true)
	f.differ(d)
	f.closeDifference("1", true)
	f.tellNobody(false)
	f.tells(d)
}
