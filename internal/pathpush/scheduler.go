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
	for {
		if ctx.Err() != nil {
			return nil
		}
		f, again, err := a.next(ctx, time.Now())
		if err != nil {
			return err
		}
		if f != nil {
			a.flights.Go(func() { a.fly(context.WithoutCancel(ctx), f) })
			continue
		}
		if again.IsZero() {
			again = time.Now().Add(time.Hour)
		}
		timer.Reset(time.Until(again))
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
		}
	}
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
	if a.lanes.loaded < a.maxLoaded/4 && (!a.sweep.done || a.sweep.again) {
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
	return &flight{lane: l, push: &l.pushes[0], token: l.token, host: host, done: done, probe: probe}, time.Time{}, nil
}

// skipStale has lanes read again that changed in the store while they were ready.
func (a *account) skipStale() {
	for _, q := range []*queue{&a.lanes.live, &a.lanes.old} {
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
		// Half-open and full of probes: their answers will wake us; the time is then in the past and must not make
		// us turn in circles.
		if at := b.probeAt().Add(time.Millisecond); time.Until(at) > 0 && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return nil, nil, again
}

// logBreakers tells of breakers that changed, once per change, and starts the way back up after an outage.
func (a *account) logBreakers(now time.Time) {
	for i, b := range a.breakers {
		for _, c := range b.takeChanges() {
			log := a.log.Info
			if c.to == "open" {
				log = a.log.Warn
			}
			log("breaker "+c.to, "host", c.host, "from", c.from, "opened_by", c.openedBy)
			if i == 0 && c.from == "half_open" && c.to == "closed" {
				a.mu.Lock()
				a.ramp.restart(b.o.HalfOpen, now)
				a.mu.Unlock()
			}
		}
	}
}

// endPause ends a pause whose time is over.
func (a *account) endPause(ctx context.Context, now time.Time) {
	a.mu.Lock()
	over := a.gate.over(now)
	a.mu.Unlock()
	if !over {
		return
	}
	if err := a.resume(context.WithoutCancel(ctx), "its time is over"); err != nil {
		a.log.Error("keeping that the account goes on", "err", err)
	}
}
