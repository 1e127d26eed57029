package postgres

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
	"carrier/internal/wiretest"
)

// pair opens two nodes that share a database; the first by way of a proxy.
func pair(t *testing.T) (a, b *node, proxy *wiretest.Wire) {
	t.Helper()
	db := pgtest.Start(t)
	proxy = wiretest.New(t, db.URL())
	a, b = openNode(t, proxy.URL, "a"), openNode(t, db.URL(), "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	return a, b, proxy
}

// accept has a node take the first scan of a waybill, and gives its number.
func (n *node) accept(t *testing.T, w state.Waybill) uint64 {
	t.Helper()
	r, err := n.Apply(t.Context(), []state.Event{scanOf(w.WaybillID, 1, state.PickupDone)})
	if err != nil || r[0].Verdict != state.Accepted {
		t.Fatalf("apply: %+v, %v", r, err)
	}
	return r[0].Seq
}

// delivered records that upstream took a push.
func (n *node) delivered(w state.Waybill, seq uint64) error {
	done := make(chan error, 1)
	n.Settle(store.Outcome{
		Seq: seq, Waybill: w, Status: store.Delivered, Tries: 1, Attempt: &store.Attempt{At: time.Now(), Errcode: new(0), Scope: "ok"},
	}, func(err error) { done <- err })
	return <-done
}

// swept are the waybills that a sweep of a node lists.
func (n *node) swept(t *testing.T) (all []state.Waybill) {
	t.Helper()
	for at, done := (store.Place{}), false; !done; {
		page, next, end, err := n.Sweep(t.Context(), "SF", at)
		if err != nil {
			t.Fatal(err)
		}
		all, at, done = append(all, page...), next, end
	}
	return all
}

// Only the owner of a waybill sees its lane and records outcomes.
func TestOnlyTheOwnerPushes(t *testing.T) {
	a, b, _ := pair(t)
	w := a.ownedWaybill(t)
	seq := b.accept(t, w)
	if lane, err := b.Lane(t.Context(), w); err != nil || len(lane.Pushes) != 0 {
		t.Errorf("another node reads the lane: %+v, %v", lane, err)
	}
	if slices.Contains(b.swept(t), w) || !slices.Contains(a.swept(t), w) {
		t.Error("a sweep lists the waybill on the other node, or does not on the owner")
	}
	if err := b.delivered(w, seq); !errors.Is(err, store.ErrNotOwner) {
		t.Errorf("another node's outcome: %v, want ErrNotOwner", err)
	}
	if p, err := b.Push(t.Context(), seq); err != nil || p.Status != store.Pending || len(p.Attempts) != 0 {
		t.Errorf("after a refused outcome: %+v, %v", p, err)
	}
	if lane, err := a.Lane(t.Context(), w); err != nil || len(lane.Pushes) != 1 {
		t.Errorf("the owner's lane: %+v, %v", lane, err)
	}
	if err := a.delivered(w, seq); err != nil {
		t.Errorf("the owner's outcome: %v", err)
	}
}

// A node that was taken for dead records nothing of what it had in flight, although nobody has told it yet.
func TestNothingIsRecordedAfterTakeover(t *testing.T) {
	a, b, proxy := pair(t)
	w := a.ownedWaybill(t)
	seq := a.accept(t, w)
	lease, end, ok := a.Begin(w)
	if !ok {
		t.Fatal("the owner may not push")
	}
	defer end()
	proxy.Stall()
	eventually(t, soon, "the other takes over", func() bool { return b.leases.owns(w) })
	if lease.Err() == nil {
		t.Error("the push was not cut off before that")
	}
	if err := b.delivered(w, seq); err != nil {
		t.Fatalf("the new owner's outcome: %v", err)
	}
	result := make(chan error, 1)
	go func() { result <- a.delivered(w, seq) }()
	proxy.Resume()
	if err := <-result; !errors.Is(err, store.ErrNotOwner) && !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the former owner's outcome: %v, want ErrNotOwner, or ErrUnavailable if its connection broke", err)
	}
	if p, err := b.Push(t.Context(), seq); err != nil || len(p.Attempts) != 1 {
		t.Errorf("attempts of both owners are recorded: %+v, %v", p.Attempts, err)
	}
}

// What is kept of an account is changed only over what was read, and the other nodes hear of it.
func TestAccountVersions(t *testing.T) {
	a, b, _ := pair(t)
	ctx := t.Context()
	if err := a.PutAccount(ctx, "SF", store.Account{Paused: true, Reason: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := b.PutAccount(ctx, "SF", store.Account{}); !errors.Is(err, store.ErrChanged) {
		t.Errorf("a change over what was not there any more: %v, want ErrChanged", err)
	}
	kept, err := b.Account(ctx, "SF")
	if err != nil || kept.Version != 1 || kept.Reason != "first" {
		t.Fatalf("kept: %+v, %v", kept, err)
	}
	kept.Reason = "second"
	if err := b.PutAccount(ctx, "SF", kept); err != nil {
		t.Errorf("a change over what was read: %v", err)
	}
	if err := a.PutAccount(ctx, "SF", kept); !errors.Is(err, store.ErrChanged) {
		t.Errorf("a change over an older one: %v, want ErrChanged", err)
	}
	heard := func(c *store.Change) bool { return c.Shared != nil && c.Shared.Account == "SF" }
	eventually(t, soon, "both hear of the other's change", func() bool { return a.fed(heard) == 1 && b.fed(heard) == 1 })
}

// A check of the database is no node: it takes nothing from those that are.
func TestCheckDatabase(t *testing.T) {
	db := pgtest.Start(t)
	if _, err := CheckDatabase(t.Context(), db.URL(), Options{}); err == nil {
		t.Error("a database without a store is checked")
	}
	n := openNode(t, db.URL(), "a")
	n.accept(t, state.Waybill{DeliveryID: "SF", WaybillID: "1"})
	report, err := CheckDatabase(context.WithoutCancel(t.Context()), db.URL(), Options{})
	if err != nil || report.Events != 1 || len(report.Problems) != 0 {
		t.Errorf("check: %+v, %v", report, err)
	}
	if n.Nodes() != 1 || len(n.leases.owned()) != slots {
		t.Error("the check became a node")
	}
}

// What another node left open, and what a transaction did of which the outcome is not known, must not be overtaken: the
// lanes of the owner may not have heard of it.
func TestNothingOvertakesWhatWasNotTold(t *testing.T) {
	a, b, _ := pair(t)
	w := a.ownedWaybill(t)
	scan := func(n *node, at int) {
		t.Helper()
		r, err := n.Apply(t.Context(), []state.Event{scanOf(w.WaybillID, at, state.Transit)})
		if err != nil || r[0].Verdict != state.Accepted {
			t.Fatalf("apply: %+v, %v", r, err)
		}
	}
	reloads := func() int { return a.fed(func(c *store.Change) bool { return c.Waybill == w && c.Reload }) }
	first := a.accept(t, w)
	scan(a, 2)
	if n := reloads(); n != 0 {
		t.Errorf("%d reloads of what only the owner changed, want none", n)
	}
	scan(b, 3)
	eventually(t, soon, "the owner hears of the other node's event", func() bool { return reloads() > 0 })
	heard := reloads()
	if err := a.delivered(w, first); err != nil {
		t.Fatal(err)
	}
	if n := reloads(); n != heard+1 {
		t.Errorf("%d more reloads when the owner signs over the other node's name, want 1", n-heard)
	}
	scan(a, 4)
	if n := reloads(); n != heard+1 {
		t.Errorf("%d more reloads of what only the owner changed, want none", n-heard-1)
	}
	doubtful := &needs{waybills: map[state.Waybill]bool{w: true}}
	a.doubt(doubtful)
	if n := reloads(); n != heard+2 {
		t.Errorf("%d more reloads by a doubt, want 1", n-heard-1)
	}
	scan(a, 5)
	if n := reloads(); n != heard+3 {
		t.Errorf("%d more reloads by what came after a doubt, want 1", n-heard-2)
	}
	a.resolve(newID(), doubtful)
	if n := reloads(); n != heard+4 {
		t.Errorf("%d more reloads once the doubt is resolved, want 1", n-heard-3)
	}
}
