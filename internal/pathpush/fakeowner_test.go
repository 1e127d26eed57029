package pathpush

import (
	"context"
	"slices"
	"sync"
	"testing"

	"carrier/internal/state"
	"carrier/internal/store"
)

// fakeOwner is a node's share of a store: all waybills but those of which it lost the lease.
type fakeOwner struct {
	mu     sync.Mutex
	nodes  int
	cut    map[state.Waybill]context.CancelFunc
	leases map[state.Waybill]context.Context
	lost   map[state.Waybill]bool
	away   map[state.Waybill]int
	told   []store.BreakerNews
}

func newFakeOwner() *fakeOwner {
	return &fakeOwner{nodes: 1, cut: map[state.Waybill]context.CancelFunc{}, leases: map[state.Waybill]context.Context{},
		lost: map[state.Waybill]bool{}, away: map[state.Waybill]int{}}
}

func (o *fakeOwner) Begin(w state.Waybill) (context.Context, func(), bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost[w] {
		return nil, nil, false
	}
	if o.leases[w] == nil {
		o.leases[w], o.cut[w] = context.WithCancel(context.Background())
	}
	o.away[w]++
	return o.leases[w], func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.away[w]--
	}, true
}

func (o *fakeOwner) Nodes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.nodes
}

func (o *fakeOwner) Tell(b store.BreakerNews) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, b)
}

// news is what the other nodes were told.
func (o *fakeOwner) news() []store.BreakerNews {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// lose ends the lease of a waybill, and what is under way of it.
func (o *fakeOwner) lose(w state.Waybill) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost[w] = true
	if cut := o.cut[w]; cut != nil {
		cut()
		delete(o.leases, w)
	}
}

func (o *fakeOwner) gain(w state.Waybill) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost[w] = false
}

func (o *fakeOwner) underWay() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, away := range o.away {
		n += away
	}
	return n
}

// sharing is a store of which a node gives only what it owns.
type sharing struct {
	*fakeStore
	owner *fakeOwner
}

func (s sharing) Lane(ctx context.Context, w state.Waybill) (store.Lane, error) {
	s.owner.mu.Lock()
	lost := s.owner.lost[w]
	s.owner.mu.Unlock()
	if lost {
		return store.Lane{Waybill: w}, nil
	}
	return s.fakeStore.Lane(ctx, w)
}

// Settle refuses what another node owns.
func (s sharing) Settle(o store.Outcome, done func(error)) {
	s.owner.mu.Lock()
	lost := s.owner.lost[o.Waybill]
	s.owner.mu.Unlock()
	if lost {
		go done(store.ErrNotOwner)
		return
	}
	s.fakeStore.Settle(o, done)
}

// nodeBubble runs a test with one of several nodes.
func nodeBubble(t *testing.T, change func(*Options), test func(t *testing.T, r *rig, owner *fakeOwner)) {
	t.Helper()
	owner := newFakeOwner()
	bubble(t, func(o *Options) {
		o.Ownership, o.Store = owner, sharing{o.Store.(*fakeStore), owner}
		if change != nil {
			change(o)
		}
	}, func(t *testing.T, r *rig) {
		test(t, r, owner)
		r.stop()
		if r.err != nil {
			t.Errorf("Run: %v", r.err)
		}
		if n := owner.underWay(); n != 0 {
			t.Errorf("%d pushes were begun and not ended", n)
		}
	})
}

func lostOf(ws ...state.Waybill) []store.Change {
	return []store.Change{{Shared: &store.Shared{Lost: func(w state.Waybill) bool {
		for _, lost := range ws {
			if w == lost {
				return true
			}
		}
		return false
	}}}}
}

func missedChange() []store.Change {
	return []store.Change{{Shared: &store.Shared{Sweep: true, Missed: true}}}
}

func sweepChange() []store.Change { return []store.Change{{Shared: &store.Shared{Sweep: true}}} }
