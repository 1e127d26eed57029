package postgres

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestPartitionsAreDropped sees partitions go in which nothing is left, and no others.
func TestPartitionsAreDropped(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	var mu sync.Mutex
	o := testOptions(t)
	o.Retention, o.partitionRows, o.Notify = time.Hour, 16, nil
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := openStore(t, o)
	const parcels, kept = 100, 40
	for n := range parcels {
		e := scanOf(fmt.Sprint(n), 1, state.PickupDone)
		r, err := s.Apply(t.Context(), []state.Event{e})
		if err != nil {
			t.Fatalf("Apply: %v", err)
		}
		if n != kept { // That one stays open.
			deliver(t, []*Store{s}, e.Waybill(), r[0].Seq)
		}
	}
	before := partitionBounds(t, s)
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	tick(t, s)
	if got := partitionBounds(t, s); !slices.Equal(got, before) {
		t.Errorf("partitions were dropped while their numbers may still be in use: %v of %v", got, before)
	}
	s.pruning.past.since = time.Now().Add(-passedAfter)
	tick(t, s)
	// The open one's number is 41: of the rest only what is not given yet is left.
	want := slices.DeleteFunc(slices.Clone(before), func(bound int64) bool { return bound <= parcels && bound != 48 })
	if got := partitionBounds(t, s); !slices.Equal(got, want) {
		t.Errorf("the partitions %v are left, want %v of %v", got, want, before)
	}
	checkStore(t, s)
	again := scanOf("7", 1, state.PickupDone)
	if r, err := s.Apply(t.Context(), []state.Event{again}); err != nil || r[0].Verdict != state.Accepted {
		t.Errorf("a deleted waybill comes again: %+v, %v", r, err)
	}
	if lane, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(kept)}); err != nil || len(lane.Pushes) != 1 {
		t.Errorf("the open one's lane: %+v, %v", lane, err)
	}
	checkStore(t, s)
}

func tick(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Tick(t.Context()); err != nil {
		t.Fatalf("Tick: %v", err)
	}
}

func partitionBounds(t *testing.T, s *Store) (bounds []int64) {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), listPartitions)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var bound int64
		if err := rows.Scan(&table, &bound); err != nil {
			t.Fatal(err)
		}
		bounds = append(bounds, bound)
	}
	return bounds
}

// TestRetentionAmongScans lets old waybills be deleted while their scans come in on another node: a waybill is there as a
// whole, or not at all.
func TestRetentionAmongScans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.UnixMilli(1_800_000_000_000)
	o := testOptions(t)
	o.Retention, o.Notify = time.Hour, nil
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	nodes := openNodes(t, 2, o)
	const parcels = 60
	for n := range parcels {
		e := scanOf(fmt.Sprint(n), 1, state.PickupDone)
		r, err := nodes[0].Apply(t.Context(), []state.Event{e})
		if err != nil {
			t.Fatalf("Apply: %v", err)
		}
		deliver(t, nodes, e.Waybill(), r[0].Seq)
	}
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := nodes[0].Tick(t.Context()); err != nil {
			t.Errorf("Tick: %v", err)
		}
	})
	for n := range parcels {
		wg.Go(func() {
			if _, err := nodes[1].Apply(t.Context(), []state.Event{scanOf(fmt.Sprint(n), 2, state.Transit)}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		})
	}
	wg.Wait()
	checkStore(t, nodes[1])
	whole := map[int]int{}
	for n := range parcels {
		story, err := nodes[1].Waybill(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(n)})
		if err != nil {
			t.Fatalf("Waybill: %v", err)
		}
		whole[len(story.Timeline)]++
		for _, step := range story.Timeline {
			if len(story.Timeline) == 2 && step.Event.Verdict != state.Accepted {
				t.Errorf("event %d is %s", step.Event.Seq, step.Event.Verdict)
			}
		}
	}
	t.Logf("by how many events are there: %v", whole)
	if whole[1]+whole[2] != parcels {
		t.Errorf("waybills by how many events are there: %v", whole)
	}
}

// TestRetentionGoesByTheEarlierClock: a node whose clock is ahead of the database's deletes nothing early for all.
func TestRetentionGoesByTheEarlierClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		ahead time.Duration
	}{
		{"the node's is ahead", 1000 * time.Hour},
		{"the node's is behind", -1000 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			var ahead atomic.Int64
			o.Retention, o.Notify = time.Hour, nil
			o.Now, o.realTime = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, true
			s := openStore(t, o) // The event comes by the right time,
			e := scanOf("1", 1, state.PickupDone)
			r, err := s.Apply(t.Context(), []state.Event{e})
			if err != nil {
				t.Fatal(err)
			}
			deliver(t, []*Store{s}, e.Waybill(), r[0].Seq)
			ahead.Store(int64(test.ahead)) // and this node's is another one.
			if err := s.prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Waybill(t.Context(), e.Waybill()); err != nil {
				t.Errorf("what is a moment old is gone: %v", err)
			}
			s.pruning.mu.Lock()
			s.opts.realTime = false // Then it does as its own clock says.
			s.pruning.mu.Unlock()
			if err := s.prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Waybill(t.Context(), e.Waybill()); errors.Is(err, store.ErrNotFound) != (test.ahead > 0) {
				t.Errorf("by its own clock: %v", err)
			}
		})
	}
}

// TestUsesAreForgottenByTheEarlierClock: a node whose clock is ahead lets nobody use a signature again, on any node.
func TestUsesAreForgottenByTheEarlierClock(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	var ahead atomic.Int64
	o.Now, o.realTime = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, true
	s := openStore(t, o)
	until := time.Now().Add(time.Hour)
	if allowed, err := s.FirstUse(t.Context(), "signature", [32]byte{1}, until); err != nil || !allowed {
		t.Fatalf("the first use: %v, %v", allowed, err)
	}
	ahead.Store(int64(1000 * time.Hour))
	if err := s.forgetUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	ahead.Store(0) // As on the other nodes.
	if allowed, err := s.FirstUse(t.Context(), "signature", [32]byte{2}, until); err != nil || allowed {
		t.Errorf("another content with the same signature: %v, %v", allowed, err)
	}
}
