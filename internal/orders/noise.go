package orders

import (
	"sync"
	"time"
)

// quiet is how long after a line about an account's pushes that came to nothing there is no other of the same kind.
const quiet = time.Minute

// noise keeps the log from being filled with one thing: by strangers, who can send wrong signatures as fast as the network
// carries them, and by each order while a dispatch system is away.
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
