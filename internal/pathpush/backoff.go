package pathpush

import (
	"math"
	"time"
)

// delay is how long to wait before retry number n (0 is the first): full jitter, so that what failed together is
// not retried together.
func (r Retry) delay(n int, random float64) time.Duration {
	top := float64(r.Initial) * math.Pow(r.Multiplier, float64(n))
	if !(top < float64(r.Max)) { // also when it overflowed
		top = float64(r.Max)
	}
	return time.Duration(random * top)
}
