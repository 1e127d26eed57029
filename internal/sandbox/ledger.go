package sandbox

import (
	"hash/maphash"
	"maps"
	"sync"
	"time"
)

// Arrival is a push that was applied, in the order of arrival.
type Arrival struct {
	N          uint64    `json:"n"` // Counts from 1, over all waybills.
	At         time.Time `json:"at"`
	AppID      string    `json:"appid"`
	DeliveryID string    `json:"delivery_id,omitempty"`
	WaybillID  string    `json:"waybill_id"`
	ActionTime int64     `json:"action_time"`
	ActionType int64     `json:"action_type"`
	ActionMsg  string    `json:"action_msg"`
	// Repeat says that the waybill had this node already: the customer does not see it twice.
	Repeat bool `json:"repeat"`
	// Unanswered says that the client got no answer that it could read.
	Unanswered bool `json:"unanswered"`
	// Escaped says that the body held \u escapes. Upstream's pages ask for plain UTF-8.
	Escaped bool `json:"escaped,omitempty"`
}

// Node is a line of the trace that the customer sees.
type Node struct {
	ActionTime int64  `json:"action_time"`
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

// View is what is known of a waybill.
type View struct {
	WaybillID string    `json:"waybill_id"`
	Known     bool      `json:"known"`
	Arrivals  []Arrival `json:"arrivals"`
	Nodes     []Node    `json:"nodes"` // As they arrived, each once. Upstream does not say that it sorts.
}

// Page is a part of all arrivals.
type Page struct {
	Arrivals  []Arrival `json:"arrivals"`
	Next      uint64    `json:"next"`      // What to ask for next, as since.
	Forgotten uint64    `json:"forgotten"` // Arrivals asked for that are no longer kept.
}

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
	Redirected    uint64            `json:"redirected"` // Requests that followed a redirect.
	Escaped       uint64            `json:"escaped"`    // Applied ones whose body held \u escapes.
}

// kept is an arrival in memory.
type kept struct {
	at         int64 // Unix nanoseconds
	w          *waybill
	appID      string
	node       Node
	hash       uint64
	repeat     bool
	unanswered bool
	escaped    bool
}

// ledger keeps what arrived and what is known. Safe for concurrent use.
type ledger struct {
	opts   Options
	chance *chance
	seed   maphash.Seed

	mu       sync.Mutex // Owns what follows.
	waybills waybills
	flights  flights
	stats    Stats
	inFlight int
	last     uint64 // The newest arrival's number.
	first    uint64 // The number of the oldest that Clear left; 1 at the start.
	ring     []kept // Arrival n is at (n-first) % MaxNodes.
	// seen counts the kept arrivals of each node of each waybill. A collision of hashes (1 in 2^64) shows as a repeat.
	seen map[uint64]int
}

func newLedger(o Options, c *chance) *ledger {
	l := &ledger{opts: o, chance: c, seed: maphash.MakeSeed(), waybills: newWaybills(o.MaxWaybills), flights: flights{}}
	l.reset()
	return l
}

// reset forgets all arrivals and counts. Numbers go on: a reader's place stays valid.
func (l *ledger) reset() {
	l.first, l.ring, l.seen = l.last+1, nil, map[uint64]int{}
	l.stats = Stats{
		Seed: l.opts.Seed, Errcodes: map[int]uint64{}, Faults: map[string]uint64{},
		TokenErrors: map[int]uint64{}, TokenFaults: map[string]uint64{},
	}
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

// enter notes that a push of a waybill has come.
func (l *ledger) enter(app App, id string) *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flights.enter(flightKey{app.home(), id}, time.Now)
}

// answered notes that a push is about to be answered, or that its client has gone.
func (l *ledger) answered(v verdict, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	if v.flight != nil {
		overlaps, peak := l.flights.leave(v.flight, there, time.Now)
		l.stats.Overlaps += uint64(overlaps)
		l.stats.MaxPerWaybill = max(l.stats.MaxPerWaybill, peak)
	}
	switch {
	case v.fault.spoils():
		l.stats.Faults[string(v.fault)]++
	case !there:
		l.stats.Faults["client_gone"]++
	case v.no != nil:
		l.stats.Errcodes[v.no.code]++
		return
	default:
		l.stats.Errcodes[codeOK]++
		return
	}
	if v.applied {
		l.stats.Unanswered++
	}
	if k := l.kept(v.n); k != nil {
		k.unanswered = true
	}
}

// kept is arrival n; nil if it is none, or forgotten.
func (l *ledger) kept(n uint64) *kept {
	if n < l.oldest() || n > l.last {
		return nil
	}
	return &l.ring[(n-l.first)%uint64(l.opts.MaxNodes)]
}

// oldest is the number of the oldest arrival that is kept; last+1 if none is.
func (l *ledger) oldest() uint64 { return l.last + 1 - uint64(len(l.ring)) }

// apply takes a push that has the right form: it adds a node, or refuses the waybill or its Token.
func (l *ledger) apply(app App, up *update, now time.Time) (uint64, *refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waybills.find(app, up.waybillID, up.token)
	switch {
	case w == nil && !l.opts.Open:
		return 0, refuse(codeNoWaybill, "")
	case w != nil && w.Token != up.token:
		return 0, refuse(codeOrderToken, "")
	}
	l.stats.Applied++
	if up.escaped {
		l.stats.Escaped++
	}
	if l.opts.CountOnly {
		return 0, nil
	}
	if w == nil {
		w = l.waybills.add(Order{DeliveryID: app.DeliveryID, WaybillID: up.waybillID, Token: up.token}, app.AppID)
	}
	return l.keep(app, w, up, now), nil
}

// keep adds an arrival, and forgets the oldest if there are too many.
func (l *ledger) keep(app App, w *waybill, up *update, now time.Time) uint64 {
	node := Node{up.at, up.action, up.message}
	hash := maphash.Comparable(l.seed, struct {
		waybill uint64
		node    Node
	}{w.id, node})
	k := kept{at: now.UnixNano(), w: w, appID: app.AppID, node: node, hash: hash, repeat: l.seen[hash] > 0, escaped: up.escaped}
	if k.repeat {
		l.stats.Repeats++
	}
	l.seen[hash]++
	l.last++
	w.nodes = append(w.nodes, l.last)
	if len(l.ring) < l.opts.MaxNodes {
		l.ring = append(l.ring, k)
		return l.last
	}
	slot := &l.ring[(l.last-l.first)%uint64(l.opts.MaxNodes)]
	l.release(slot)
	*slot = k
	return l.last
}

// release forgets what hangs on an arrival that makes room.
func (l *ledger) release(k *kept) {
	k.w.nodes = k.w.nodes[1:]
	if l.seen[k.hash]--; l.seen[k.hash] == 0 {
		delete(l.seen, k.hash)
	}
}

func (l *ledger) addOrder(o Order) Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waybills.ordered(o.DeliveryID, o.WaybillID)
	if w == nil {
		if o.Token == "" {
			o.Token = l.chance.text(orderTokenSize)
		}
		w = l.waybills.add(o, "")
	}
	if o.Token != "" {
		w.Token = o.Token
	}
	w.appID = "" // An order made it known, whatever came first.
	return w.Order
}

// arrival is kept arrival n in full.
func (l *ledger) arrival(n uint64) Arrival {
	k := l.kept(n)
	return Arrival{
		N: n, At: time.Unix(0, k.at).UTC(), AppID: k.appID, DeliveryID: k.w.DeliveryID, WaybillID: k.w.WaybillID,
		ActionTime: k.node.ActionTime, ActionType: k.node.ActionType, ActionMsg: k.node.ActionMsg,
		Repeat: k.repeat, Unanswered: k.unanswered, Escaped: k.escaped,
	}
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
	return out
}

// Clear forgets what arrived, the counts, and the waybills that only a push made known. Orders, access_tokens and
// faults stay.
func (s *Sandbox) Clear() {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waybills.keepOrdered()
	l.reset()
}
