package sandbox

import "maps"

// Stats counts since the start, or since Clear.
type Stats struct {
	Seed          uint64            `json:"seed"`
	Pushes        uint64            `json:"pushes"`          // Requests to updatePath, whatever became of them.
	Applied       uint64            `json:"applied"`         // Those that count, repeats among them.
	Repeats       uint64            `json:"repeats"`         // Applied ones that the waybill had already.
	Unanswered    uint64            `json:"unanswered"`      // Applied ones without an answer that could be read.
	Waybills      int               `json:"waybills"`        // Known now.
	Errcodes      map[int]uint64    `json:"errcodes"`        // Answers to pushes; 0 is success.
	Faults        map[string]uint64 `json:"faults"`          // What else befell pushes.
	InFlight      int               `json:"in_flight"`       // Pushes in the sandbox now.
	MaxPerWaybill int               `json:"max_per_waybill"` // Pushes of one waybill that were under way together, at most.
	Overlaps      uint64            `json:"overlaps"`        // Pairs of pushes of one waybill that were under way together.
	TokenFetches  uint64            `json:"token_fetches"`
	Forced        uint64            `json:"forced"` // Those of them that asked for force_refresh, granted or not.
	TokenErrors   map[int]uint64    `json:"token_errcodes"`
	TokenFaults   map[string]uint64 `json:"token_faults"`
	Trace         map[string]uint64 `json:"trace"`      // Nodes that show otherwise than they were pushed, by fault.
	Redirected    uint64            `json:"redirected"` // Requests that followed a redirect.
	Escaped       uint64            `json:"escaped"`    // Applied ones whose body held \u escapes.
	Callbacks     CallbackStats     `json:"callbacks"`  // WeChat's own pushes to the carriers.
}

// Stats counts what happened.
func (s *Sandbox) Stats() Stats {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.stats
	out.Waybills, out.InFlight = len(l.waybills.queue), l.inFlight
	out.Errcodes, out.Faults = maps.Clone(out.Errcodes), maps.Clone(out.Faults)
	out.TokenErrors, out.TokenFaults = maps.Clone(out.TokenErrors), maps.Clone(out.TokenFaults)
	out.Trace = maps.Clone(out.Trace)
	out.Callbacks = s.callbacks.counts()
	return out
}

func (l *ledger) pushed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Pushes++
	l.inFlight++
}

// lost counts a push that was not even read.
func (l *ledger) lost(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Pushes++
	l.stats.Faults[why]++
}

func (l *ledger) forced() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Forced++
}

func (l *ledger) redirected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Redirected++
}

// tokenAnswered counts a request for an access_token.
func (l *ledger) tokenAnswered(no *refusal, f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.TokenFetches++
	switch {
	case f.spoils():
		l.stats.TokenFaults[string(f)]++
	case no != nil:
		l.stats.TokenErrors[no.code]++
	default:
		l.stats.TokenErrors[codeOK]++
	}
}
