package postgres

import (
	"sync"

	"carrier/internal/state"
)

// busy holds the waybills that one of this node's committers is at, until their changes were fed: Feed hears of a
// waybill's changes in the order of their commits, and two transactions of one node don't wait for each other's rows.
type busy struct {
	mu    sync.Mutex
	freed sync.Cond
	held  map[state.Waybill]bool
}

func (b *busy) init() {
	b.freed.L = &b.mu
	b.held = map[state.Waybill]bool{}
}

// take waits until none of the waybills is held, and holds them all. Nobody waits while holding some.
func (b *busy) take(all map[state.Waybill]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.any(all) {
		b.freed.Wait()
	}
	for w := range all {
		b.held[w] = true
	}
}

func (b *busy) any(all map[state.Waybill]bool) bool {
	for w := range all {
		if b.held[w] {
			return true
		}
	}
	return false
}

// free lets them go.
func (b *busy) free(all map[state.Waybill]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range all {
		delete(b.held, w)
	}
	b.freed.Broadcast()
}
