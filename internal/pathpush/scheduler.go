package pathpush

import (
	"context"
	"time"

	"carrier/internal/store"
)

// schedule sends what is ready, as far as gate, concurrency, rate and breakers allow, until ctx ends.
func (a *account) schedule(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	work := context.WithoutCancel(ctx)
	for {
		if ctx.Err() != nil {
			return nil
		}
		f, again, err := a.next(ctx, time.Now())
		if err != nil {
			return err
		}
		if f != nil {
			a.flights.Go(func() {
				defer f.link.users.Done()
				a.fly(ctx, work, f)
			})
			continue
		}
		timer.Reset(sleepFor(again))
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// sleepFor is how long to sleep until a time, or until woken if it is zero. It is never long: the clock may be set
// while we sleep, and the end of a pause is a time of day.
func sleepFor(until time.Time) time.Duration {
	const longest = time.Minute
	if until.IsZero() {
		return longest
	}
	return min(time.Until(until), longest)
}

// flight is one push on its way.
type flight struct {
	lane *lane
	// push, token and tokenAt are the lane's, as they were when it was taken: the lane may grow meanwhile.
	push    *store.Push
	token   string
	tokenAt time.Time
	lease   context.Context // Ends when the waybill may be another node's: the request is cut off.
	end     func()          // Tells the owner that all is done.
	link    *link
	leave
	probe bool      // of a paused account
	asked bool      // by an operator, of probe
	bulk  bool      // Its lane was a bulk one.
	opens uint64    // gate.opens when it began
	at    time.Time // When it began: its call counts for that day's quota.
}

// next takes the lane whose turn it is and the host to use. If nothing can go, it says when to ask again at the
// latest (zero: when woken).
func (a *account) next(ctx context.Context, now time.Time) (*flight, time.Time, error) {
	a.logBreakers(now)
	a.endPause(ctx, now)
	a.watchReserve(now)

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return nil, time.Time{}, a.failed
	}
	a.shareRate(now)
	dueAt := a.lanes.due(now)
	if a.reserve.holds {
		dueAt = earlier(dueAt, dayEnd(a.quota.day))
	}
	a.clearHeads()
	if a.roomForBacklog(a.maxLoaded / 4) {
		notify(a.wakeLoad)
	}
	if !a.lanes.ready() {
		return nil, dueAt, nil
	}
	ok, probe, again := a.gate.admit(now)
	if !ok {
		return nil, again, nil
	}
	limit := a.ramp.at(now)
	share := a.concurrencyShare()
	if limit < share {
		dueAt = earlier(dueAt, a.ramp.next)
	}
	limit = min(limit, share)
	if a.inFlight >= limit {
		return nil, dueAt, nil
	}
	turn, ok := a.lanes.turn(a.bulkAway < bulkLimit(limit))
	if !ok {
		return nil, dueAt, nil
	}
	if wait := a.rateWait(now, turn); wait > 0 {
		return nil, earlier(dueAt, now.Add(wait)), nil
	}
	lease, end, ok := a.begin(turn)
	if !ok {
		return nil, now, nil
	}
	leave, again := a.pickHost()
	if leave.host == nil {
		end()
		return nil, again, nil
	}
	f := &flight{lease: lease, end: end, leave: leave, probe: probe, at: now}
	a.depart(f, turn)
	return f, time.Time{}, nil
}

// depart has f take the lane whose turn it is.
func (a *account) depart(f *flight, t turn) {
	now := f.at
	if a.limiter != nil {
		a.limiter.AllowN(now, 1)
	}
	l := a.lanes.pop(t.class)
	f.lane, f.push, f.token, f.tokenAt = l, &l.pushes[0], l.token, l.tokenAt
	f.bulk, f.opens = t.class == bulk, a.gate.opens
	a.quota.count(now)
	if a.quota.askDue(now) {
		notify(a.wakeAsk)
	}
	f.link = a.useLink()
	if f.probe {
		f.asked = a.gate.beginProbe()
	}
	a.inFlight++
	if f.bulk {
		a.bulkAway++
	}
}

// arrive ends what depart began. The lane is not free before its outcome is durable.
func (a *account) arrive(f *flight) {
	a.inFlight--
	if f.bulk {
		a.bulkAway--
	}
}

// earlier is the first of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// spareTokens is how many pushes the rate limit must have room for before a bulk replay may take one of them without a
// turn of its own: the next live event then still finds one, and does not wait for it.
const spareTokens = 2

// rateWait is how long the rate limit asks to wait.
func (a *account) rateWait(now time.Time, t turn) time.Duration {
	if a.limiter == nil {
		return 0
	}
	need := 1.0
	if t.spare {
		need = spareTokens
	}
	missing := need - a.limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(a.limiter.Limit())*float64(time.Second)) + time.Microsecond
}

// pickHost asks the hosts' breakers in order. If none lets a request through (no host), it says when one will probe.
func (a *account) pickHost() (l leave, again time.Time) {
	breakers := a.link.Load().breakers
	for _, b := range breakers {
		if l, ok := b.probe(); ok {
			return l, time.Time{}
		}
	}
	for _, b := range breakers {
		if l, ok := b.allow(); ok {
			return l, time.Time{}
		}
		// A half-open one that is full of probes has no such time: their answers wake us.
		if at := b.probeAt(); !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return leave{}, again
}

// logBreakers tells of breakers that changed, once per change, and starts the way back up after an outage, whichever
// host comes back: it has to take what the account has piled up meanwhile.
func (a *account) logBreakers(now time.Time) {
	for _, b := range a.link.Load().breakers {
		for _, c := range a.breakerChanges(b, now) {
			log := a.log.Info
			if c.to == "open" {
				log = a.log.Warn
			}
			log("breaker "+c.to, "host", c.host, "from", c.from, "opened_by", c.openedBy)
			a.tell(c)
		}
	}
}

// breakerChanges takes a breaker's changes and restarts the ramp for one that closed, in one step: a snapshot sees
// neither a closed breaker with the full concurrency of before the outage, nor the other way round.
func (a *account) breakerChanges(b *breaker, now time.Time) []breakerChange {
	a.mu.Lock()
	defer a.mu.Unlock()
	changes := b.takeChanges()
	if closing(changes) {
		a.ramp.restart(b.halfOpen(), now)
		a.lanes.age()
	}
	return changes
}
