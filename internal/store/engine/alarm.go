package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// Alarm wakes whoever carries out deadlines: when the next one passes, or when an earlier one is set meanwhile. Deadlines
// are Unix milliseconds, by the engine's clock. It is safe for concurrent use, but that only one may Wait.
type Alarm struct {
	next    atomic.Int64 // The deadline that is waited for; math.MaxInt64: none.
	earlier chan struct{}
}

// NewAlarm makes one that waits for no deadline yet.
func NewAlarm() *Alarm {
	a := &Alarm{earlier: make(chan struct{}, 1)}
	a.Set(math.MaxInt64)
	return a
}

// Set says which deadline is waited for; math.MaxInt64: none. Before one looks for it, it is set to none: then a deadline
// that comes during the look ends the next Wait at once.
func (a *Alarm) Set(next int64) { a.next.Store(next) }

// Expect hears that a deadline was set; 0: none was.
func (a *Alarm) Expect(deadline int64) {
	if deadline == 0 || deadline >= a.next.Load() {
		return
	}
	select {
	case a.earlier <- struct{}{}:
	default:
	}
}

// Wait returns true when there may be something to do, and false once stop is closed. It sleeps for longest at most: the
// clock may be set forward, and others may set deadlines that it does not hear of.
func (a *Alarm) Wait(stop <-chan struct{}, now func() time.Time, longest time.Duration) bool {
	sleep := time.NewTimer(a.until(now, longest))
	defer sleep.Stop()
	select {
	case <-stop:
		return false
	case <-a.earlier:
	case <-sleep.C:
	}
	return true
}

func (a *Alarm) until(now func() time.Time, longest time.Duration) time.Duration {
	next := a.next.Load()
	if next == math.MaxInt64 {
		return longest
	}
	return min(max(time.UnixMilli(next).Sub(now()), time.Millisecond), longest)
}
