package pathpush

import "time"

// ramp raises the pushes in flight step by step: gently at the start, so that connections are not opened all at once,
// and slowly after an outage, so that upstream is not run over while it recovers.
type ramp struct {
	full  int // the account's concurrency
	limit int
	step  time.Duration
	next  time.Time // of the next doubling
}

const (
	startLimit   = 32
	startStep    = 250 * time.Millisecond
	recoveryStep = 2 * time.Second
)

func newRamp(full int) ramp { return ramp{full: full, limit: min(startLimit, full), step: startStep} }

// resize sets another full concurrency. More than there was is come up to as at the start.
func (r *ramp) resize(full int) { r.full, r.limit = full, min(r.limit, full) }

// restart begins the slow way up after an outage.
func (r *ramp) restart(limit int, now time.Time) {
	r.limit, r.step, r.next = max(1, min(limit, r.full)), recoveryStep, now.Add(recoveryStep)
}

// at is the limit at now.
func (r *ramp) at(now time.Time) int {
	if r.limit < r.full && !now.Before(r.next) {
		if !r.next.IsZero() {
			r.limit = min(2*r.limit, r.full)
		}
		r.next = now.Add(r.step)
	}
	return r.limit
}
