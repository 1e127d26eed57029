package verify

import (
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// defaultDelay is how long upstream has to show what it answered with success, before that is missing, where nothing else is
// configured.
const defaultDelay = time.Minute

// Kind says how a push and what upstream shows of it stand to each other.
type Kind string

// The kinds. Differences are all but Same, Pending and Own.
const (
	Same    Kind = "same"    // Upstream shows it as it was delivered.
	Moved   Kind = "moved"   // Upstream shows it, at another place.
	Changed Kind = "changed" // Upstream shows it with another text.
	Missing Kind = "missing" // It was delivered, and upstream does not show it.
	Pending Kind = "pending" // Likewise, but it was delivered so lately that it may show yet.
	Extra   Kind = "extra"   // Upstream shows it, and it was not delivered, or not as often.
	Own     Kind = "own"     // Upstream shows it, and it is WeChat's own: no push has its type.
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Same, Moved, Changed, Missing, Pending, Extra, Own} }

// Difference tells whether a line of this kind is not as it should be.
func (k Kind) Difference() bool {
	switch k {
	case Moved, Changed, Missing, Extra:
		return true
	}
	return false
}

// Order is the order that upstream's trace fits best.
type Order string

// The orders that are right for a trace.
const (
	ByAcceptance Order = "acceptance" // The one in which pushes are sent.
	ByTime       Order = "time"       // By action_time: a late scan stands where it belongs.
)

// Line is one push, or one node of upstream's, or both.
type Line struct {
	Kind      Kind
	Seq       uint64           // The push's; 0: there is none.
	Status    store.Status     // The push's. It is not delivered where upstream has what it did not answer.
	Delivered *wechat.PathItem // As it was pushed; its text is empty if it was forgotten since.
	Upstream  *wechat.PathItem // As upstream shows it. Equal pushes may share one node.
}

// Report is upstream's trace beside what was delivered.
type Report struct {
	// Lines have the pushes in order of acceptance, and upstream's other nodes after the line that they follow upstream.
	Lines []Line
	Order Order
}

// Count is how many lines are of a kind.
func (r *Report) Count(k Kind) int {
	n := 0
	for i := range r.Lines {
		if r.Lines[i].Kind == k {
			n++
		}
	}
	return n
}

// Same tells whether no line is a difference.
func (r *Report) Same() bool {
	for i := range r.Lines {
		if r.Lines[i].Kind.Difference() {
			return false
		}
	}
	return true
}

// Seqs are the numbers of the pushes whose lines are of one of these kinds, in order of acceptance.
func (r *Report) Seqs(kinds ...Kind) []uint64 {
	var seqs []uint64
	for i := range r.Lines {
		l := &r.Lines[i]
		for _, k := range kinds {
			if l.Kind == k && l.Seq != 0 {
				seqs = append(seqs, l.Seq)
			}
		}
	}
	return seqs
}
