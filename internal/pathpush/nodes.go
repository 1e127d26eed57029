package pathpush

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"carrier/internal/store"
)

// What follows concerns a store that several nodes share: each pushes for the waybills that it owns (Ownership), at its
// share of the account's rate, and takes over what the others find out about the account.

// shared takes in what the store tells of other nodes.
func (p *Pusher) shared(s *store.Shared) {
	for _, a := range p.roster.Load().order {
		if s.Lost != nil {
			a.lost(s)
		}
		if s.Sweep {
			a.sweepAgain(s.Missed)
		}
		if s.Sweep || s.Account == a.id {
			notify(a.wakeKept)
		}
		if s.Breaker != nil && s.Breaker.DeliveryID == a.id {
			a.hear(s.Breaker)
		}
	}
}

// lost drops the lanes of waybills that are another node's now. Those being read or in flight are read again, which
// shows that nothing of them is ours.
func (a *account) lost(s *store.Shared) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w, l := range a.lanes.all {
		if !s.Lost(w) {
			continue
		}
		if l.where == ready || l.where == waiting {
			a.lanes.drop(l)
		} else {
			l.stale = true
		}
	}
	a.poke()
}

// sweepAgain has all that is open in the store read that is not in memory. If news were missed, what is in memory is read
// once more, each lane when its turn comes.
func (a *account) sweepAgain(missed bool) {
	a.mu.Lock()
	a.sweep.again = true
	if missed {
		for _, l := range a.lanes.all {
			l.stale, l.doubtful = true, true
		}
	}
	a.mu.Unlock()
	notify(a.wakeLoad)
}

// begin asks leave to send the head of the lane whose turn it is. Without leave, the lane is another node's.
func (a *account) begin(t turn) (lease context.Context, end func(), ok bool) {
	l := a.lanes.queues[t.class].first
	lease, end, ok = a.owner.Begin(l.waybill)
	if !ok {
		a.lanes.drop(l)
	}
	return lease, end, ok
}

// lostBefore ends a flight whose waybill became another node's before anything was sent.
func (a *account) lostBefore(f *flight) {
	f.done(errExcluded)
	a.endProbe(f)
	a.stale(f)
	a.notSent(f)
}

// lostAway ends a flight that was cut off, as its waybill is about to be another node's, which sends the push again.
// What upstream made of it is not known, and nothing may be recorded any more.
func (a *account) lostAway(f *flight) {
	a.log.Warn("a push was cut off: its waybill is another node's now, which sends it again",
		"seq", f.push.Seq, "waybill_id", f.lane.waybill.WaybillID)
	f.done(errExcluded)
	a.endProbe(f)
	a.stale(f)
	defer f.end()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrive(f)
	a.requeue(f.lane, time.Now())
	a.poke()
}

// recordAgain is how long an outcome waits that a shared store could not record.
const recordAgain = 500 * time.Millisecond

// recordsAgain tells whether an outcome is to be recorded once more. A store that is shared stands elsewhere and may be
// away for a while: the push waits for it in memory, but no longer than the waybill is this node's, or this node runs.
func (a *account) recordsAgain(run context.Context, f *flight, err error) bool {
	leased := f.lease.Done() != nil
	if err == nil || !leased || errors.Is(err, store.ErrNotOwner) || run.Err() != nil {
		return false
	}
	a.mu.Lock()
	tell := time.Since(a.toldUnrecorded) > time.Minute
	if tell {
		a.toldUnrecorded = time.Now()
	}
	a.mu.Unlock()
	if tell {
		a.log.Error("what became of a push can't be recorded; trying again", "seq", f.push.Seq, "err", err)
	}
	return true
}

func (a *account) stale(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f.lane.stale = true
}

// burst is how many pushes may go at once at a rate.
func burst(perSecond float64) int { return max(spareTokens, int(perSecond/100)) }

// shareRate divides the account's rate by the nodes that are alive. The caller holds a.mu.
func (a *account) shareRate(now time.Time) {
	if a.limiter == nil {
		return
	}
	share := a.rate / float64(a.owner.Nodes())
	if rate.Limit(share) != a.limiter.Limit() {
		a.limiter.SetLimitAt(now, rate.Limit(share))
		a.limiter.SetBurstAt(now, burst(share))
	}
}

// concurrencyShare is how many pushes may be in flight on this node: its part of the account's concurrency, rounded up,
// so that each has one.
func (a *account) concurrencyShare() int {
	nodes := a.owner.Nodes()
	return (a.concurrency + nodes - 1) / nodes
}

// reread takes over what another node kept of the account.
func (a *account) reread(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	if err := a.beginKeeping(ctx); err != nil {
		return err
	}
	defer a.endKeeping()
	return a.merge(ctx)
}

// merge reads what is kept of the account and puts it together with what this node changed since it last did, which is
// not kept yet. The caller keeps.
func (a *account) merge(ctx context.Context) error {
	theirs, err := a.store.Account(ctx, a.id)
	if err != nil {
		return err
	}
	now := time.Now()
	a.mu.Lock()
	before := a.gate.pause
	changed := a.gate.merge(&a.base, theirs, now)
	a.quota.merge(&a.base.Quota, &theirs.Quota, now)
	a.noteQuota(true) // What of it is this node's is kept next.
	if changed && before.Guarded {
		a.guard.begin(now, 0)
	}
	a.base = theirs
	a.mu.Unlock()
	if changed {
		a.tellMerged(&theirs)
	}
	return nil
}

// tellMerged goes on as another node decided.
func (a *account) tellMerged(kept *store.Account) {
	if kept.Paused {
		a.log.Warn("account paused, on another node", "reason", kept.Reason, "until", kept.Until)
	} else {
		a.link.Load().creds.Retry()
		a.log.Info("account resumed, on another node")
	}
	a.poke()
}

// merge takes over a pause, or its end, that another node kept; what this node changed since base stays. changed says
// that the pause is another one now.
func (g *gate) merge(base *store.Account, theirs store.Account, now time.Time) (changed bool) {
	forced := lastDay(slices.Concat(theirs.ForcedAt, g.pause.ForcedAt), now)
	own := !samePause(&g.pause, base)
	changed = !own && !samePause(&g.pause, &theirs)
	changes := g.changes
	switch {
	case changed && theirs.Paused:
		g.set(theirs, now)
	case changed:
		g.open()
	}
	g.changes = changes // What was taken over is kept already.
	g.pause.ForcedAt, g.pause.Quota = forced, theirs.Quota
	return changed
}

// lastDay are the times of the last day, each once and in order.
func lastDay(all []time.Time, now time.Time) []time.Time {
	all = slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// samePause tells whether two say the same of the account's pause. A store keeps milliseconds.
func samePause(a, b *store.Account) bool {
	if !a.Paused || !b.Paused {
		return a.Paused == b.Paused
	}
	return a.ByHand == b.ByHand && a.Guarded == b.Guarded && a.Reason == b.Reason && a.Errcode == b.Errcode &&
		a.Since.UnixMilli() == b.Since.UnixMilli() && a.Until.UnixMilli() == b.Until.UnixMilli()
}

// merge takes over what other nodes counted, beside what this one did since base. Of two answers of upstream the later
// one counts.
func (q *quota) merge(base, theirs *store.Quota, now time.Time) {
	q.roll(now)
	asked := q.askedAt.After(theirs.AskedAt)
	if theirs.AskedAt.After(q.askedAt) {
		q.limit, q.askedAt, q.askError = theirs.Limit, theirs.AskedAt, ""
	}
	if !theirs.Day.Equal(q.day) || asked {
		return
	}
	since := q.used
	if base.Day.Equal(q.day) {
		since -= base.Used
	}
	q.used = max(0, theirs.Used+since)
	if q.waived == base.Waived || !base.Day.Equal(q.day) && !q.waived {
		q.waived = theirs.Waived
	}
}

// hear takes in that a breaker opened or closed on another node: what it found out holds for this one.
func (a *account) hear(news *store.BreakerNews) {
	for _, b := range a.link.Load().breakers {
		if b.name == news.Host {
			b.follow(news)
		}
	}
}

// tell lets other nodes know how a breaker changed here.
func (a *account) tell(c breakerChange) {
	if c.heard || c.to == "half_open" {
		return
	}
	a.owner.Tell(store.BreakerNews{DeliveryID: a.id, Host: c.host, Open: c.to == "open", OpenedBy: c.openedBy})
}
