package app

import (
	"carrier/internal/pathpush"
	"carrier/internal/replay"
	"carrier/internal/store"
)

// newReplays makes the runner of bulk replays.
func (a *App) newReplays() (err error) {
	a.replays, err = replay.New(replay.Options{
		Store: a.store, Pusher: room{a.pusher}, Configured: a.configured, Logger: a.log.With("part", "replay"), Shared: a.shared(),
	})
	return err
}

// room tells bulk replays how busy the accounts are.
type room struct{ *pathpush.Pusher }

// Load says how much of bulk replays an account has to do, and what keeps it.
func (r room) Load(deliveryID string) replay.Load {
	load := replay.Load{Held: r.Held(deliveryID, false)}
	for _, s := range r.Snapshots() {
		if s.DeliveryID != deliveryID {
			continue
		}
		load.Bulk = s.BulkLoaded
		switch load.Held {
		case store.WaitAccount:
			load.Reason, load.ReasonZh = s.PauseReason, s.PauseReasonZh
		case store.WaitBreaker:
			load.Reason, load.ReasonZh = s.Breakers[0].OpenedBy, s.Breakers[0].OpenedByZh
		}
	}
	return load
}
