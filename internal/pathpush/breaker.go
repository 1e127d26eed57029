package pathpush

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// errExcluded tells a breaker that a request says nothing about upstream's health.
var errExcluded = errors.New("does not count")

// failure is a request that speaks against upstream's health.
type failure struct{ what string }

func (f *failure) Error() string { return f.what }

// breaker guards one host. It adds to gobreaker what people ask of an open one: since when, why, until when.
type breaker struct {
	host Host
	o    BreakerOptions
	cb   *gobreaker.TwoStepCircuitBreaker[struct{}]
	wake func()

	// mu is taken inside gobreaker's own lock (OnStateChange), so nothing under mu may call cb.
	mu       sync.Mutex
	open     bool
	since    time.Time
	failures []seenFailure // the latest, oldest first
	openedBy string
	changes  []breakerChange
}

type seenFailure struct {
	at   time.Time
	what string
}

type breakerChange struct {
	host, from, to, openedBy string
}

const rememberedFailures = 64

func newBreaker(h Host, o BreakerOptions, wake func()) *breaker {
	b := &breaker{host: h, o: o, wake: wake, since: time.Now()}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         h.Name,
		MaxRequests:  uint32(o.HalfOpen),
		Interval:     o.Interval,
		BucketPeriod: max(o.Interval/10, time.Millisecond),
		Timeout:      o.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			// Requests counts those in flight too; only answers tell something.
			answers := c.TotalSuccesses + c.TotalFailures
			return int(answers) >= o.MinRequests && float64(c.TotalFailures) >= o.FailureRatio*float64(answers)
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: b.stateChanged,
	})
	return b
}

// allow asks for a request. If it may go, done must be called with what came of it.
func (b *breaker) allow() (done func(error), ok bool) {
	report, err := b.cb.Allow()
	if err != nil {
		return nil, false
	}
	return func(err error) {
		if f, bad := errors.AsType[*failure](err); bad {
			b.remember(f.what)
		}
		report(err)
	}, true
}

func (b *breaker) remember(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.failures) == rememberedFailures {
		b.failures = slices.Delete(b.failures, 0, rememberedFailures/4)
	}
	b.failures = append(b.failures, seenFailure{time.Now(), what})
}

// stateChanged runs under gobreaker's lock: it only takes notes.
func (b *breaker) stateChanged(_ string, from, to gobreaker.State) {
	b.mu.Lock()
	b.since, b.open = time.Now(), to == gobreaker.StateOpen
	switch to {
	case gobreaker.StateOpen:
		b.openedBy = sumUp(b.failures, b.since.Add(-b.o.Interval-time.Second))
	case gobreaker.StateClosed:
		b.openedBy, b.failures = "", nil
	}
	b.changes = append(b.changes, breakerChange{b.host.Name, stateName(from), stateName(to), b.openedBy})
	b.mu.Unlock()
	b.wake()
}

// sumUp counts the failures since a time by kind: "12 × errcode -1, 3 × timeout".
func sumUp(failures []seenFailure, since time.Time) string {
	counts := map[string]int{}
	var kinds []string
	for _, f := range failures {
		if f.at.Before(since) {
			continue
		}
		if counts[f.what]++; counts[f.what] == 1 {
			kinds = append(kinds, f.what)
		}
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return counts[b] - counts[a] })
	parts := make([]string, 0, len(kinds))
	for _, k := range kinds[:min(len(kinds), 5)] {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[k], k))
	}
	return strings.Join(parts, ", ")
}

// takeChanges returns the changes of state since the last call.
func (b *breaker) takeChanges() []breakerChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

// probeAt is when an open breaker lets a probe through; zero if it is not open. The millisecond is for gobreaker, which
// lets one through after that time, not at it.
func (b *breaker) probeAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return time.Time{}
	}
	return b.since.Add(b.o.OpenFor + time.Millisecond)
}

// BreakerSnapshot tells how a breaker is.
type BreakerSnapshot struct {
	Host        string
	State       string // "closed", "open" or "half_open"
	Since       time.Time
	OpenedBy    string    // Which answers opened it; empty while closed.
	NextProbeAt time.Time // Zero unless open.
}

func (b *breaker) snapshot() BreakerSnapshot {
	state := b.cb.State() // before mu: it may call stateChanged
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerSnapshot{Host: b.host.Name, State: stateName(state), Since: b.since, OpenedBy: b.openedBy}
	if state == gobreaker.StateOpen {
		s.NextProbeAt = b.since.Add(b.o.OpenFor)
	}
	return s
}

func stateName(s gobreaker.State) string {
	switch s {
	case gobreaker.StateOpen:
		return "open"
	case gobreaker.StateHalfOpen:
		return "half_open"
	}
	return "closed"
}
