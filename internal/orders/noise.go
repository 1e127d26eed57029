package orders

import (
	"sync"
	"time"
)

// quiet is how long after a line about refused pushes of an account there is no other.
const quiet = time.Minute

// noise keeps strangers from filling the log: anybody can send wrong signatures as fast as the network carries them.
type noise struct {
	mu       sync.Mutex
	last     time.Time
	withheld int
}

// next tells whether a line may be written now, and how many were not since the last one.
func (n *noise) next(now time.Time) (withheld int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.last.IsZero() && now.Sub(n.last) < quiet {
		n.withheld++
		return 0, false
	}
	withheld, n.withheld, n.last = n.withheld, 0, now
	return withheld, true
}
