package admin

import (
	"context"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// StatsItem is the service in figures; all are kept as rows change, none is counted for the answer.
type StatsItem struct {
	Version        string                   `json:"version"`
	StartedAt      time.Time                `json:"started_at"`
	UptimeSeconds  float64                  `json:"uptime_seconds"`
	Events         map[state.Verdict]int64  `json:"events"` // By first verdict, since the store was made.
	Held           int64                    `json:"held"`   // Now.
	Pushes         map[store.Status]int64   `json:"pushes"`
	Accounts       map[string]AccountCounts `json:"accounts"`
	ReplaysRunning int                      `json:"replays_running"`
	Store          StoreFigures             `json:"store"`
}

// AccountCounts are an account's pushes by status, and how old the oldest pending one is.
type AccountCounts struct {
	Counts               map[store.Status]int64 `json:"counts"`
	OldestPendingSeconds float64                `json:"oldest_pending_seconds"`
}

// StoreFigures are the engine's, since the start.
type StoreFigures struct {
	Commits   uint64  `json:"commits"`
	Rows      uint64  `json:"rows"`
	CommitMS  float64 `json:"commit_ms"`  // From batch to durable, on average.
	FreeBytes uint64  `json:"free_bytes"` // Of the disk; 0 if not known.
}

// Stats tells how the service is, in figures.
func (s *Service) Stats(ctx context.Context) (StatsItem, error) {
	running, err := s.running(ctx)
	if err != nil {
		return StatsItem{}, storeProblem(err)
	}
	stats, now := s.Store.Stats(), time.Now()
	item := StatsItem{
		Version: s.Version, StartedAt: s.StartedAt.UTC(), UptimeSeconds: now.Sub(s.StartedAt).Seconds(),
		Events: map[state.Verdict]int64{}, Held: stats.Held, Pushes: map[store.Status]int64{},
		Accounts: map[string]AccountCounts{}, ReplaysRunning: running,
		Store: StoreFigures{Commits: stats.Commits, Rows: stats.Rows, FreeBytes: stats.FreeBytes},
	}
	if stats.Commits > 0 {
		item.Store.CommitMS = float64(stats.CommitTime.Microseconds()) / 1000 / float64(stats.Commits)
	}
	for _, v := range []state.Verdict{state.Accepted, state.Held, state.Ignored, state.Rejected} {
		item.Events[v] = stats.Events[v]
	}
	for _, id := range s.Accounts() {
		item.Accounts[id] = countsOf(&stats, id, now)
	}
	for id := range stats.Pushes {
		item.Accounts[id] = countsOf(&stats, id, now) // Also of an account that is not configured any more.
	}
	for _, status := range store.Statuses() {
		for id := range item.Accounts {
			item.Pushes[status] += item.Accounts[id].Counts[status]
		}
	}
	return item, nil
}

// lookedAt bounds the replays that are looked at for those that run. Older ones would have run past all these.
const lookedAt = store.MaxLimit

// running counts the bulk replays that run.
func (s *Service) running(ctx context.Context) (int, error) {
	page, err := s.Store.ListReplays(ctx, 0, lookedAt)
	n := 0
	for i := range page.Items {
		if r := &page.Items[i]; r.Status == store.ReplayRunning && r.Single == 0 {
			n++
		}
	}
	return n, err
}

// countsOf are an account's counters, each status there.
func countsOf(stats *store.Stats, deliveryID string, now time.Time) AccountCounts {
	c := AccountCounts{Counts: map[store.Status]int64{}}
	for _, status := range store.Statuses() {
		c.Counts[status] = stats.Pushes[deliveryID][status]
	}
	if oldest, ok := stats.Oldest[deliveryID]; ok {
		c.OldestPendingSeconds = max(0, now.Sub(oldest).Seconds())
	}
	return c
}
