package ingest

import (
	"sync"
	"time"
)

// quiet is how long after a line about unreadable messages of a source there is no other.
const quiet = time.Minute

// noise keeps messages that can't be read from filling the log: they come as fast as a stream carries them, and no rate
// holds them up. The zero value is ready.
type noise struct {
	mu      sync.Mutex
	sources map[string]*withheld // By label, of which there are few whatever names strangers send under.
}

// withheld are the lines of a source that were not written.
type withheld struct {
	last  time.Time // When one was.
	lines int       // Since then.
}

// next tells whether a line of a source may be written now, and how many were not since the last one.
func (n *noise) next(label string, now time.Time) (lines int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.sources[label]
	switch {
	case w == nil:
		if n.sources == nil {
			n.sources = map[string]*withheld{}
		}
		w = &withheld{}
		n.sources[label] = w
	case now.Sub(w.last) < quiet:
		w.lines++
		return 0, false
	}
	lines, w.lines, w.last = w.lines, 0, now
	return lines, true
}
