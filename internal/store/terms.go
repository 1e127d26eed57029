package store

import (
	"sync/atomic"
	"time"

	"carrier/internal/state"
)

// Terms are by what an engine judges events and pushes. What was decided by earlier ones stays decided: a scan that is held,
// or a push that waits for its Token, does so until the time that was set then.
type Terms struct {
	Machine        state.Machine
	NoTokenWait    time.Duration // How long a push waits for its waybill's Token before it fails.
	DiscardUnknown bool          // The push of a waybill without a Token is discarded at once (ReasonUnknown).
}

// Judge has the Terms that are in force. An engine embeds one and sets it when it is opened.
type Judge struct {
	terms   atomic.Pointer[Terms]
	longest atomic.Int64
}

// Terms are those in force.
func (j *Judge) Terms() *Terms { return j.terms.Load() }

// SetTerms puts other terms in force, for what is decided from then on. Safe for concurrent use.
func (j *Judge) SetTerms(t Terms) {
	for longest := j.longest.Load(); longest < int64(t.Machine.ReorderWindow); longest = j.longest.Load() {
		j.longest.CompareAndSwap(longest, int64(t.Machine.ReorderWindow))
	}
	j.terms.Store(&t)
}

// LongestReorder is the longest reorder window that was in force since the engine was opened: no scan is held for longer.
func (j *Judge) LongestReorder() time.Duration { return time.Duration(j.longest.Load()) }
