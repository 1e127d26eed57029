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
			a.flights.Go(func() { a.fly(ctx, work, f) })
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
	// push and token are the lane's, as they were when it was taken: the lane may grow meanwhile.
	push  *store.Push
	token string
	host  *breaker
	done  func(error) // tells the breaker
	probe bool        // of a paused account
	opens uint64      // gate.opens when it began
}

// next takes the lane whose turn it is and the host to use. If nothing can go, it says when to ask again at the
// latest (zero: when woken).
func (a *account) next(ctx context.Context, now time.Time) (*flight, time.Time, error) {
	a.logBreakers(now)
	a.endPause(ctx, now)

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return nil, time.Time{}, a.failed
	}
	dueAt := a.lanes.due(now)
	a.skipStale()
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
	if limit := a.ramp.at(now); a.inFlight >= limit {
		if limit < a.concurrency {
			return nil, a.ramp.next, nil
		}
		return nil, time.Time{}, nil
	}
	if wait := a.rateWait(now); wait > 0 {
		return nil, now.Add(wait), nil
	}
	host, done, again := a.pickHost()
	if host == nil {
		return nil, again, nil
	}
	if a.limiter != nil {
		a.limiter.AllowN(now, 1)
	}
	a.gate.probing = a.gate.probing || probe
	a.inFlight++
	l := a.lanes.next()
	return &flight{lane: l, push: &l.pushes[0], token: l.token, host: host, done: done, probe: probe, opens: a.gate.opens}, time.Time{}, nil
}

// skipStale has lanes read again that changed in the store while they were ready.
func (a *account) skipStale() {
	for _, q := range [...]*queue{&a.lanes.live, &a.lanes.old} {
		for q.len() > 0 && q.lanes[q.head].stale {
			a.want(q.pop())
		}
	}
}

// rateWait is how long the rate limit asks to wait.
func (a *account) rateWait(now time.Time) time.Duration {
	if a.limiter == nil || a.limiter.TokensAt(now) >= 1 {
		return 0
	}
	missing := 1 - a.limiter.TokensAt(now)
	return time.Duration(missing/float64(a.limiter.Limit())*float64(time.Second)) + time.Microsecond
}

// pickHost asks the hosts' breakers in order. If none lets a request through, it says when one will probe.
func (a *account) pickHost() (*breaker, func(error), time.Time) {
	var again time.Time
	for _, b := range a.breakers {
		if done, ok := b.allow(); ok {
			return b, done, time.Time{}
		}
		// A half-open one that is full of probes has no such time: their answers wake us.
		if at := b.probeAt(); !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return nil, nil, again
}

// logBreakers tells of breakers that changed, once per change, and starts the way back up after an outage, whichever
// host comes back: it has to take what the account has piled up meanwhile.
func (a *account) logBreakers(now time.Time) {
	for _, b := range a.breakers {
		for _, c := range b.takeChanges() {
			log := a.log.Info
			if c.to == "open" {
				log = a.log.Warn
			}
			log("breaker "+c.to, "host", c.host, "from", c.from, "opened_by", c.openedBy)
			if c.from == "half_open" && c.to == "closed" {
				a.mu.Lock()
				a.ramp.restart(b.o.HalfOpen, now)
				a.mu.Unlock()
			}
		}
	}
}
