package pathpush

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"carrier/internal/store"
)

// errExcluded tells a breaker that a request says nothing about upstream's health.
var errExcluded = errors.New("does not count")

// failure is a request that speaks against upstream's health.
type failure struct{ what string }

func (f *failure) Error() string { return f.what }

// breaker guards one host. It adds to gobreaker what people ask of an open one: since when, why, until when, and whether
// it may be tried now.
type breaker struct {
	name string // The host's.
	wake func()

	// mu is taken inside gobreaker's own lock (OnStateChange), so nothing under mu may call cb.
	mu       sync.Mutex
	o        BreakerOptions
	cb       *gobreaker.TwoStepCircuitBreaker[struct{}]
	round    uint64 // counts the cb's: what an earlier one tells is over
	state    gobreaker.State
	opened   uint64 // how often it opened
	since    time.Time
	asked    bool               // An operator wants the next push to go through while it is open.
	probing  bool               // That push is on its way.
	heard    *store.BreakerNews // Of another node, while it is being followed.
	failures []seenFailure      // the latest, oldest first
	openedBy string
	changes  []breakerChange
}

type seenFailure struct {
	at   time.Time
	what string
}

type breakerChange struct {
	host, from, to, openedBy string
	heard                    bool // From another node.
}

const rememberedFailures = 64

func newBreaker(h Host, o BreakerOptions, wake func()) *breaker {
	b := &breaker{name: h.Name, o: o, wake: wake, since: time.Now()}
	b.cb = b.closed(b.round)
	return b
}

// closed makes a gobreaker, which begins closed. b.mu is held, or nobody else knows b.
func (b *breaker) closed(round uint64) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	o := b.o
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         b.name,
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
		OnStateChange: func(_ string, from, to gobreaker.State) { b.stateChanged(round, from, to) },
	})
}

func (b *breaker) current() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cb
}

// leave is a breaker's leave to send one request to its host.
type leave struct {
	host  *breaker
	stood store.Breaker // How the breaker stood when it gave it.
	done  func(error)   // Must be called with what came of the request.
}

// allow asks for a request.
func (b *breaker) allow() (l leave, ok bool) {
	cb := b.current()
	stood := store.BreakerClosed
	if cb.State() != gobreaker.StateClosed { // An open one that gives leave has become half open in this moment.
		stood = store.BreakerHalfOpen
	}
	report, err := cb.Allow()
	if err != nil {
		return leave{}, false
	}
	return leave{host: b, stood: stood, done: func(err error) {
		b.remember(err)
		report(err)
	}}, true
}

// ask has the next push go through although the breaker is open; false if it is not.
func (b *breaker) ask() bool {
	b.current().State() // lets it notice that its time is over
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = b.state == gobreaker.StateOpen && !b.probing
	return b.state == gobreaker.StateOpen
}

// probe gives the leave that ask asked for, once.
func (b *breaker) probe() (l leave, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked {
		return leave{}, false
	}
	b.asked, b.probing = false, true
	opened := b.opened
	return leave{host: b, stood: store.BreakerOpen, done: func(err error) {
		b.remember(err)
		b.probed(opened, err)
	}}, true
}

// probed closes the breaker after a probe that an operator asked for and that upstream took. gobreaker can't be told to
// close, so a new one takes its place. It may be half open by now; then this probe spares the others. If it was closed and
// opened again since the probe was sent, what the probe found is out of date.
func (b *breaker) probed(opened uint64, err error) {
	b.mu.Lock()
	b.probing = false
	closes := err == nil && b.opened == opened && b.state != gobreaker.StateClosed
	if closes {
		b.round++
		b.cb = b.closed(b.round)
		b.note(b.state, gobreaker.StateClosed)
	}
	b.mu.Unlock()
	if closes {
		b.wake()
	}
}

// follow opens or closes the breaker as another node's did, unless it is so already.
func (b *breaker) follow(news *store.BreakerNews) {
	b.current().State() // lets it notice that its time is over
	b.mu.Lock()
	if news.Open == (b.state != gobreaker.StateClosed) {
		b.mu.Unlock()
		return
	}
	b.heard = news
	b.round++
	b.cb = b.closed(b.round)
	cb, enough := b.cb, b.o.MinRequests
	if !news.Open {
		b.note(b.state, gobreaker.StateClosed)
	}
	b.mu.Unlock()
	if news.Open {
		trip(cb, enough)
	}
	b.mu.Lock()
	b.heard = nil
	b.mu.Unlock()
	b.wake()
}

// retune has the breaker go by other options. What it counted so far is forgotten; one that is not closed is open anew,
// for the same reason.
func (b *breaker) retune(o BreakerOptions) {
	b.current().State() // lets it notice that its time is over
	b.mu.Lock()
	if o == b.o {
		b.mu.Unlock()
		return
	}
	b.o = o
	b.round++
	b.cb = b.closed(b.round)
	cb, opens := b.cb, b.state != gobreaker.StateClosed
	if opens {
		b.state = gobreaker.StateClosed
		b.heard = &store.BreakerNews{Open: true, OpenedBy: b.openedBy} // It is no news, for other nodes neither.
	}
	b.mu.Unlock()
	if opens {
		trip(cb, o.MinRequests)
		b.mu.Lock()
		b.heard = nil
		b.mu.Unlock()
	}
	b.wake()
}

// trip opens a breaker that has seen nothing yet. gobreaker can't be told to; as many failures as open it can.
func trip(cb *gobreaker.TwoStepCircuitBreaker[struct{}], enough int) {
	for range enough {
		if report, err := cb.Allow(); err == nil {
			report(errors.New("it was open already"))
		}
	}
}

// halfOpen is how many probes may go at once while it is half open.
func (b *breaker) halfOpen() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.o.HalfOpen
}

// remember notes a request that failed, for the story of how the breaker opened.
func (b *breaker) remember(err error) {
	f, bad := errors.AsType[*failure](err)
	if !bad {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.failures) == rememberedFailures {
		b.failures = slices.Delete(b.failures, 0, rememberedFailures/4)
	}
	b.failures = append(b.failures, seenFailure{time.Now(), f.what})
}

// stateChanged runs under gobreaker's lock: it only takes notes.
func (b *breaker) stateChanged(round uint64, from, to gobreaker.State) {
	b.mu.Lock()
	present := round == b.round
	if present {
		b.note(from, to)
	}
	b.mu.Unlock()
	if present {
		b.wake()
	}
}

// note takes down a change of state. b.mu is held.
func (b *breaker) note(from, to gobreaker.State) {
	b.since, b.state, b.asked = time.Now(), to, false
	switch to {
	case gobreaker.StateOpen:
		b.opened++
		b.openedBy = sumUp(b.failures, b.since.Add(-b.o.Interval-time.Second))
		if b.heard != nil {
			b.openedBy = b.heard.OpenedBy
		}
	case gobreaker.StateClosed:
		b.openedBy, b.failures = "", nil
	}
	b.changes = append(b.changes, breakerChange{
		host: b.name, from: stateName(from), to: stateName(to), openedBy: b.openedBy, heard: b.heard != nil,
	})
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

// justClosed tells whether it has closed since takeChanges.
func (b *breaker) justClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return closing(b.changes)
}

// closing tells whether a breaker closed among changes.
func closing(changes []breakerChange) bool {
	return slices.ContainsFunc(changes, func(c breakerChange) bool { return c.to == "closed" })
}

// probeAt is when an open breaker lets a probe through; zero if it is not open. The millisecond is for gobreaker, which
// lets one through after that time, not at it.
func (b *breaker) probeAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != gobreaker.StateOpen {
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
	OpenedByZh  string    // The same in Chinese.
	NextProbeAt time.Time // Zero unless open.
}

func (b *breaker) snapshot() BreakerSnapshot {
	b.current().State() // lets it notice that its time is over; before mu, as it may call stateChanged
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerSnapshot{Host: b.name, State: stateName(b.state), Since: b.since, OpenedBy: b.openedBy, OpenedByZh: failuresChinese(b.openedBy)}
	if b.state == gobreaker.StateOpen {
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
