package pathpush

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// reserve keeps what remains of the day's quota for the scans that customers wait for: pickup, delivery, signature and
// exception. While it holds, a lane of which only transit scans (200001) are open leaves memory when its turn comes: it
// must not take the room of lanes that may go. Once another scan stands behind them it is read again and flows, the
// transit scans first. When the quota is no longer short, all are swept in. The account's mutex guards it.
type reserve struct {
	holds bool
	since time.Time // Of holds.
	left  bool      // Lanes were left in the store because of it.
}

// transitOnly tells whether pushes are there, and all are transit scans.
func transitOnly(pushes []store.Push) bool {
	for i := range pushes {
		if pushes[i].Event.Type != state.Transit {
			return false
		}
	}
	return len(pushes) > 0
}

// watchReserve begins or ends the holding of transit scans, as what remains of the quota asks.
func (a *account) watchReserve(now time.Time) {
	a.mu.Lock()
	a.quota.roll(now)
	holds := a.quota.holds()
	changed := holds != a.reserve.holds
	if changed {
		a.reserve.holds, a.reserve.since = holds, now
	}
	if a.reserve.left && !a.holdsTransit() {
		a.reserve.left, a.sweep.again = false, true
	}
	a.mu.Unlock()
	if changed {
		a.logReserve(now)
	}
}

// logReserve tells whether transit scans wait, once per change.
func (a *account) logReserve(now time.Time) {
	a.mu.Lock()
	s, holds := a.quota.snapshot(now), a.reserve.holds
	a.mu.Unlock()
	if holds {
		a.log.Warn("transit scans wait: what remains of the day's quota is kept for the other scans (push.quota_reserve)",
			"remaining", s.Remaining, "limit", s.Limit, "reserved", s.Reserved, "until", s.DayEnds())
		return
	}
	a.log.Info("transit scans go on", "used", s.Used, "limit", s.Limit)
}

// holdsTransit tells whether lanes of transit scans stay in the store. Not while a probe is wanted: it takes what there
// is, lest an account that has nothing else waits although upstream would take its pushes again.
func (a *account) holdsTransit() bool { return a.reserve.holds && !a.gate.wantsProbe() }

// leavesInStore tells whether what a commit made open waits for the reserve. If transit scans came to a waybill that is
// not in memory, then all that is open of it is: else it would be in memory, or left there for another reason, which
// has it read in its own time.
func (a *account) leavesInStore(c *store.Change) bool {
	return !c.Reload && a.holdsTransit() && transitOnly(c.Added)
}

// clearHeads makes sure that the first lane of each queue can be sent. A doubtful one is read first. While the reserve
// holds, a lane whose new end was left in the store is read as well, as that end may let it flow, and one that waits
// leaves memory.
//
// At other times such a lane is sent without its new end, and read afterwards. Read before, one head after the other would be
// in an outage, and go behind those that wait already, until all that there was no room for is in memory.
func (a *account) clearHeads() {
	holds := a.holdsTransit()
	for i := range a.lanes.queues {
		q := &a.lanes.queues[i]
		for q.first != nil {
			if q.first.doubtful || holds && q.first.stale {
				a.want(q.first)
			} else if holds && transitOnly(q.first.pushes) {
				a.reserve.left = true
				a.lanes.drop(q.first)
			} else {
				break
			}
		}
	}
}
