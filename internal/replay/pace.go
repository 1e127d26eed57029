package replay

import (
	"cmp"
	"math"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxBulk is about how many pushes of replays an account has on its way at a time. It is enough to keep an account
	// at work for as long as nobody looks (roomEvery), and bounds what a live push may find before it.
	maxBulk = 512
	// maxPushes and maxWaybills bound a step, so that live events never wait long for the store's writer. A waybill
	// that has more pushes is one step all the same.
	maxPushes   = 64
	maxWaybills = 32
	// roomEvery is how often a leg looks whether its account has room again.
	roomEvery = 100 * time.Millisecond
	// usualRate is how many pushes a second a replay makes pending that names no rate: fast enough for what an outage
	// leaves behind, and slow enough that live events don't feel it. Measured on two shared cores, with upstream,
	// sender and service on them: at 500 a second the p99 of live events stayed as it was, without a limit (3,000 a
	// second) it was up to nine times as long.
	usualRate = 500
	// stepsPerSecond is into how many steps the rate of a slow replay is divided.
	stepsPerSecond = 10
)

// pace keeps a replay to its rate, over all its legs: after each step a leg waits until the pushes of that step are
// paid for, so that a waybill's pushes need not fit any burst.
type pace struct {
	limiter *rate.Limiter
	pushes  int // In a step at most.
}

func newPace(perSecond float64) pace {
	perSecond = cmp.Or(perSecond, usualRate)
	p := pace{pushes: int(min(max(math.Floor(perSecond/stepsPerSecond), 1), maxPushes))}
	p.limiter = rate.NewLimiter(rate.Limit(perSecond), p.pushes)
	p.limiter.AllowN(time.Now(), p.pushes) // What was not used before it began does not count.
	return p
}

// spend pays for n pushes and says when the next step may be taken.
func (p *pace) spend(n int, now time.Time) time.Time {
	at := now
	for n > 0 {
		part := min(n, p.limiter.Burst())
		at = now.Add(p.limiter.ReserveN(now, part).DelayFrom(now))
		n -= part
	}
	return at
}
