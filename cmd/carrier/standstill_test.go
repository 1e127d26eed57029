package main

import (
	"time"

	"carrier/internal/sandbox"
)

// pushTimeout is how long a push may be under way. One that upstream had before a fault by longer than that had long been
// recorded.
const pushTimeout = 2 * time.Second

// standstill is that a node stood still, and what it sent after that. Between its last look at its lease and the sending
// no lease can keep it from sending one push a waybill, which its successor sent before, and of which it records nothing.
type standstill struct {
	most    int                       // How many pushes can have been about to be sent when it fell asleep.
	of      func(waybill string) bool // Whether the node owned it then; nil: any may have been its own.
	resumed time.Time
	sent    map[string]bool // The waybills of which a push was sent too late.
}

// excuses tells whether an arrival is such a push, and notes it. The oracle need not judge those.
func (s *standstill) excuses(a *sandbox.Arrival) bool {
	late := s != nil && !s.resumed.IsZero() && a.Repeat && !s.sent[a.WaybillID] && len(s.sent) < s.most &&
		a.At.After(s.resumed) && a.At.Before(s.resumed.Add(pushTimeout)) && (s.of == nil || s.of(a.WaybillID))
	if late {
		if s.sent == nil {
			s.sent = map[string]bool{}
		}
		s.sent[a.WaybillID] = true
	}
	return late
}

// overlaps is how many pushes may have met another one of their waybills because of what was sent too late: that meets
// one push, and perhaps the next.
func (s *standstill) overlaps() uint64 {
	if s == nil {
		return 0
	}
	return 2 * uint64(len(s.sent))
}
