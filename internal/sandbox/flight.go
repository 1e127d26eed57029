package sandbox

import "time"

// grace is how long upstream may take to see that a client has hung up. A push that comes within it, while an
// earlier one of its waybill is still held here for a client that has gone, does not overlap with it.
const grace = 250 * time.Millisecond

// flight is a push that is in the sandbox.
type flight struct {
	key  flightKey
	next *flight // One of the same waybill that came earlier.
	// overtaken counts the pushes of the same waybill that came since; the first of them at overtakenAt.
	overtaken   int
	overtakenAt time.Time
	// peak is how many of the same waybill were in the sandbox together, at most, since this one came.
	peak int
}

type flightKey struct{ home, waybill string }

// flights are the pushes in the sandbox, by waybill. Owned by the ledger's mutex.
type flights map[flightKey]*flight

// enter notes a push. now is only asked where pushes meet.
func (fs flights) enter(key flightKey, now func() time.Time) *flight {
	f := &flight{key: key, next: fs[key], peak: 1}
	fs[key] = f
	together := 1
	for e := f.next; e != nil; e = e.next {
		together++
		e.overtaken++
		if e.overtakenAt.IsZero() {
			e.overtakenAt = now()
		}
	}
	for e := f.next; e != nil; e = e.next {
		e.peak = max(e.peak, together)
	}
	return f
}

// leave takes f out, before its answer is sent. It returns how many pushes overlapped with it, and its peak.
// there says that the client was still waiting.
func (fs flights) leave(f *flight, there bool, now func() time.Time) (overlaps, peak int) {
	if fs[f.key] == f {
		if f.next == nil {
			delete(fs, f.key)
		} else {
			fs[f.key] = f.next
		}
	}
	for e := fs[f.key]; e != nil; e = e.next {
		if e.next == f {
			e.next = f.next
		}
	}
	if f.overtaken == 0 || !there && now().Sub(f.overtakenAt) < grace {
		return 0, 1
	}
	return f.overtaken, f.peak
}
