package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wiretest"
)

// testLease is long enough for a busy machine, and short enough for a test.
const testLease = 2 * time.Second

// soon is long enough for whatever happens by itself, on a machine with much else to do.
const soon = 20 * time.Second

// node is a store among several on one database, with what it was fed.
type node struct {
	*Store
	name string

	mu      sync.Mutex
	changes []store.Change
}

func openNode(t *testing.T, url, name string) *node {
	t.Helper()
	n := &node{name: name}
	o := testOptions(t)
	o.Node, o.LeaseTime = name, testLease
	o.Feed = func(changes []store.Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changes = append(n.changes, changes...)
	}
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil)).With("test_node", name)
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatalf("open node %s: %v", name, err)
	}
	n.Store = s
	t.Cleanup(func() { n.close(t) })
	return n
}

func (n *node) close(t *testing.T) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Errorf("close node %s: %v", n.name, err)
	}
}

// fed counts the changes that a condition holds for.
func (n *node) fed(is func(*store.Change) bool) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.changes {
		if is(&n.changes[i]) {
			count++
		}
	}
	return count
}

func isSweep(c *store.Change) bool { return c.Shared != nil && c.Shared.Sweep }
func lostOf(w state.Waybill) func(*store.Change) bool {
	return func(c *store.Change) bool { return c.Shared != nil && c.Shared.Lost != nil && c.Shared.Lost(w) }
}
func isReload(w state.Waybill) func(*store.Change) bool {
	return func(c *store.Change) bool { return c.Waybill == w && c.Reload }
}

// eventually waits until a condition holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is not so yet: %s", within, what)
		}
	}
}

// shares tells whether nodes own so many slots, and fails the test if two own the same.
func shares(t *testing.T, nodes []*node, want ...int) bool {
	t.Helper()
	owner := map[int16]string{}
	var got []int
	for _, n := range nodes {
		mine := n.leases.owned()
		for _, slot := range mine {
			if other := owner[slot]; other != "" {
				t.Errorf("slot %d is %s's and %s's", slot, other, n.name)
			}
			owner[slot] = n.name
		}
		got = append(got, len(mine))
	}
	slices.Sort(got)
	return slices.Equal(got, want)
}

// ownedWaybill is a waybill that a node owns.
func (n *node) ownedWaybill(t *testing.T) state.Waybill {
	t.Helper()
	for i := range 100_000 {
		if w := (state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint("W", i)}); n.leases.owns(w) {
			return w
		}
	}
	t.Fatalf("node %s owns nothing", n.name)
	return state.Waybill{}
}

func TestSlotsAreBalanced(t *testing.T) {
	db := schema.Start(t)
	a := openNode(t, db.URL(), "a")
	if !shares(t, []*node{a}, slots) {
		t.Errorf("the only node owns %d slots, want all at once", len(a.leases.owned()))
	}
	if a.fed(isSweep) != 0 {
		t.Error("the first node was told of slots before anything could be loaded")
	}
	b := openNode(t, db.URL(), "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	c := openNode(t, db.URL(), "c")
	all := []*node{a, b, c}
	eventually(t, soon, "three nodes share", func() bool { return shares(t, all, 85, 85, 86) })
	eventually(t, soon, "all know of three nodes", func() bool { return a.Nodes() == 3 && c.Nodes() == 3 })
	if b.fed(isSweep) == 0 || c.fed(isSweep) == 0 {
		t.Error("a node that got slots was not told to sweep")
	}
	b.close(t)
	eventually(t, soon, "two share at once what the third handed over", func() bool {
		return shares(t, []*node{a, c}, 128, 128)
	})
}

// A slot is not handed over while one of its pushes is under way, and no other begins.
func TestHandOverWaitsForPushes(t *testing.T) {
	db := schema.Start(t)
	a := openNode(t, db.URL(), "a")
	flights := map[state.Waybill]func(){}
	for i := range 600 { // Some of nearly every slot.
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(i)}
		lease, end, ok := a.Begin(w)
		if !ok || lease.Err() != nil {
			t.Fatalf("a node alone may not push for %s", w)
		}
		flights[w] = end
	}
	b := openNode(t, db.URL(), "b")
	eventually(t, soon, "the first node gives half of its slots up", func() bool { return len(a.leases.owned()) == 128 })
	idle := len(b.leases.owned())
	for w := range flights {
		if b.leases.owns(w) {
			t.Fatalf("%s was handed over while a push of it is under way", w)
		}
	}
	if idle > 40 {
		t.Errorf("%d slots without pushes under way, want only a few", idle)
	}
	refused := 0
	for w, end := range flights {
		if _, again, ok := a.Begin(w); ok {
			again()
		} else {
			refused++
		}
		end()
	}
	if refused == 0 {
		t.Error("pushes may still begin for waybills that are to be handed over")
	}
	eventually(t, soon, "the rest is handed over", func() bool { return shares(t, []*node{a, b}, 128, 128) })
}

// A node that the database does not hear gives up before another takes over, and what it has under way is cut off.
func TestTakeover(t *testing.T) {
	db := schema.Start(t)
	proxy := wiretest.New(t, db.URL())
	a := openNode(t, db.URL(), "a")
	b := openNode(t, proxy.URL, "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	w := b.ownedWaybill(t)
	lease, end, ok := b.Begin(w)
	if !ok {
		t.Fatal("the owner may not push")
	}

	stalled := time.Now()
	proxy.Stall()
	<-lease.Done()
	if got := time.Since(stalled); got > testLease {
		t.Errorf("a push was cut off after %s; the lease is %s", got, testLease)
	}
	if !errors.Is(context.Cause(lease), errLeaseEnded) {
		t.Errorf("the push was cut off for %v", context.Cause(lease))
	}
	if a.leases.owns(w) {
		t.Error("another node owned the waybill before the push was cut off")
	}
	if _, _, ok := b.Begin(w); ok {
		t.Error("a push may begin after the lease ended")
	}
	eventually(t, soon, "the lanes hear of it", func() bool { return b.fed(lostOf(w)) > 0 })
	eventually(t, soon, "the other takes over", func() bool { return a.leases.owns(w) && len(a.leases.owned()) == slots })
	if took := time.Since(stalled); took > testLease+testLease/2 {
		t.Errorf("the takeover took %s; the lease is %s", took, testLease)
	}
	if n := a.Nodes(); n != 1 {
		t.Errorf("%d nodes are alive, want 1", n)
	}
	if st := a.leases.stats(); st.Alive != 1 || st.Slots != slots || st.Takeovers != 1 || time.Since(st.RenewedAt) > testLease {
		t.Errorf("the one that took over stands at %+v", st)
	}
	if st := b.leases.stats(); st.Slots != 0 || !st.RenewedAt.IsZero() || st.Takeovers != 0 {
		t.Errorf("the one that lost its lease stands at %+v", st)
	}

	proxy.Resume()
	eventually(t, soon, "the node comes back", func() bool { return len(b.leases.owned()) >= 127 })
	if slot := slotOf(w); slices.Contains(b.leases.owned(), slot) {
		t.Error("the slot came back while a push of the lease before is under way")
	}
	end()
	eventually(t, soon, "two nodes share again", func() bool { return shares(t, []*node{a, b}, 128, 128) })
}

// HandOver leaves nothing to a node that stops, and the others have it at once.
func TestHandOver(t *testing.T) {
	db := schema.Start(t)
	a, b := openNode(t, db.URL(), "a"), openNode(t, db.URL(), "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	w := b.ownedWaybill(t)
	_, end, _ := b.Begin(w)
	b.HandOver()
	eventually(t, soon, "all that is idle is the other's", func() bool { return len(a.leases.owned()) == slots-1 })
	end()
	eventually(t, soon, "all is the other's", func() bool { return len(a.leases.owned()) == slots })
	if len(b.leases.owned()) != 0 || b.fed(lostOf(w)) == 0 {
		t.Error("the node that hands over goes on")
	}
}

func TestDuties(t *testing.T) {
	db := schema.Start(t)
	a, b := openNode(t, db.URL(), "a"), openNode(t, db.URL(), "b")
	var doing, most, begun atomic.Int32
	work := func(ctx context.Context) error {
		most.Store(max(most.Load(), doing.Add(1)))
		begun.Add(1)
		defer doing.Add(-1)
		<-ctx.Done()
		return ctx.Err()
	}
	var group sync.WaitGroup
	defer group.Wait()
	stops := map[string]context.CancelFunc{}
	for _, n := range []*node{a, b} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stops[n.name] = stop
		group.Go(func() {
			if err := n.While(ctx, store.DutyReplays, work); err != nil {
				t.Errorf("node %s: %v", n.name, err)
			}
		})
	}
	eventually(t, soon, "one works", func() bool { return begun.Load() == 1 })
	worker := a
	if b.leases.working(store.DutyReplays) {
		worker = b
	}
	stops[worker.name]()
	eventually(t, soon, "the other works", func() bool { return begun.Load() == 2 && doing.Load() == 1 })
	if most.Load() != 1 {
		t.Errorf("%d worked at a time", most.Load())
	}
}

// working tells whether a duty is being done here.
func (l *leases) working(name store.Duty) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.duties[name] != nil && l.duties[name].working
}

// An error of what is done under a duty ends it, and the duty goes to another.
func TestDutyFails(t *testing.T) {
	db := schema.Start(t)
	a, b := openNode(t, db.URL(), "a"), openNode(t, db.URL(), "b")
	broken := errors.New("broken")
	if err := a.While(t.Context(), store.DutyOutcomes, func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err := b.While(ctx, store.DutyOutcomes, func(context.Context) error {
		stop()
		return nil
	})
	if err != nil {
		t.Errorf("the other node: %v", err)
	}
}

// An event that comes in on one node is heard of by the owner, whose lanes are read again.
func TestNewsReachTheOwner(t *testing.T) {
	db := schema.Start(t)
	proxy := wiretest.New(t, db.URL())
	a := openNode(t, proxy.URL, "a")
	b := openNode(t, db.URL(), "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	w := a.ownedWaybill(t)
	apply := func(n *node, at int) {
		t.Helper()
		e := scanOf(w.WaybillID, at, state.Transit)
		if at == 1 {
			e.Type = state.PickupDone
		}
		if r, err := n.Apply(t.Context(), []state.Event{e}); err != nil || r[0].Verdict != state.Accepted {
			t.Fatalf("apply: %+v, %v", r, err)
		}
	}
	apply(b, 1)
	eventually(t, soon, "the owner hears of it", func() bool { return a.fed(isReload(w)) == 1 })
	if n := b.fed(func(c *store.Change) bool { return c.Waybill == w }); n != 0 {
		t.Errorf("a node that does not own the waybill was fed %d changes of it", n)
	}
	// The owner's lane lacks what came in elsewhere until it has read: its own events must not be added behind a gap.
	apply(a, 2)
	if got := a.fed(isReload(w)); got != 2 {
		t.Errorf("%d reloads, want 2: the owner's own event comes after one of another node", got)
	}
	apply(a, 3)
	if got := a.fed(func(c *store.Change) bool { return c.Waybill == w && len(c.Added) == 1 }); got != 1 {
		t.Errorf("%d additions, want 1", got)
	}

	sweeps := a.fed(isSweep)
	proxy.Cut()
	eventually(t, soon, "after its connection broke, the owner reads all", func() bool { return a.fed(isSweep) > sweeps })
}

// Many waybills are told of in notes that PostgreSQL takes.
func TestManyNews(t *testing.T) {
	db := schema.Start(t)
	a, b := openNode(t, db.URL(), "a"), openNode(t, db.URL(), "b")
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
	var events []state.Event
	theirs := 0
	for i := range 1000 {
		e := scanOf(fmt.Sprintf("运单-%0100d", i), 1, state.PickupDone)
		events = append(events, e)
		if a.leases.owns(e.Waybill()) {
			theirs++
		}
	}
	if _, err := b.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "the other node hears of its share", func() bool {
		return a.fed(func(c *store.Change) bool { return c.Reload }) == theirs
	})
}

// News of breakers goes to the others.
func TestBreakerNews(t *testing.T) {
	db := schema.Start(t)
	a, b := openNode(t, db.URL(), "a"), openNode(t, db.URL(), "b")
	want := store.BreakerNews{DeliveryID: "SF", Host: "api.weixin.qq.com", Open: true, OpenedBy: "20 × timeout"}
	a.Tell(want)
	is := func(c *store.Change) bool {
		return c.Shared != nil && c.Shared.Breaker != nil && *c.Shared.Breaker == want
	}
	eventually(t, soon, "the other node hears", func() bool { return b.fed(is) == 1 })
	if a.fed(is) != 0 {
		t.Error("a node hears its own news")
	}
}

func TestShares(t *testing.T) {
	for live := 1; live <= 300; live++ {
		sum := 0
		for rank := range live {
			v := view{rank: rank, live: live}
			sum += v.target()
		}
		if sum != slots {
			t.Fatalf("%d nodes share %d slots, want %d", live, sum, slots)
		}
	}
}
