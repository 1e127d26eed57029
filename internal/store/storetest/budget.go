package storetest

import (
	"testing"
	"time"
)

// runTime is how long random runs of one property may take together. With the race detector they take twenty times as
// long as without.
const runTime = 15 * time.Second

// budget bounds the runs of a property by time. Once one has failed there is no bound: rapid repeats it to find the
// smallest that fails.
type budget struct {
	t      *testing.T
	began  time.Time
	n      int
	passed bool // The last one did.
	over   bool
}

func newBudget(t *testing.T) *budget { return &budget{t: t, began: time.Now(), passed: true} }

// another tells whether there is time for one more run.
func (b *budget) another() bool {
	if b.passed && b.n > 0 && time.Since(b.began) > runTime {
		if !b.over {
			b.t.Logf("%d runs took %v; that must do", b.n, time.Since(b.began).Round(time.Second))
		}
		b.over = true
		return false
	}
	b.n++
	b.passed = false
	return true
}
