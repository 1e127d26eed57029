package pebble

import (
	"maps"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Stats reads figures that are kept in memory.
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := store.Stats{
		Pushes: map[string]map[store.Status]int64{}, Events: map[state.Verdict]int64{},
		Held: s.totals.held, Oldest: maps.Clone(s.oldest),
		Commits: s.commits, CommitTime: s.waited, Rows: s.rows, FreeBytes: s.disk.free.Load(),
	}
	st.Notices, st.OldestNotice = int64(s.outbox.waiting()), codec.FromMillis(s.outbox.oldest)
	for delivery, row := range s.totals.pushes {
		counts := map[store.Status]int64{}
		for _, status := range store.Statuses() {
			counts[status] = row[status]
		}
		st.Pushes[delivery] = counts
	}
	for v, n := range s.totals.events {
		if n != 0 {
			st.Events[state.Verdict(v)] = n
		}
	}
	return st
}
