package sandbox

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

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
	trace      fault // How it shows otherwise than it was pushed.
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
		TokenErrors: map[int]uint64{}, TokenFaults: map[string]uint64{}, Trace: map[string]uint64{},
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
	switch {
	case k.repeat:
		l.stats.Repeats++
	case up.trace != none:
		k.trace = up.trace
		l.stats.Trace[string(up.trace)]++
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

// forgetOrder takes back an order that its carrier did not take.
func (l *ledger) forgetOrder(deliveryID, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waybills.ordered(deliveryID, id); w != nil {
		l.waybills.forget(w)
		l.waybills.queue = slices.DeleteFunc(l.waybills.queue, func(q *waybill) bool { return q == w })
	}
}

// knows tells whether an order of this company has made a waybill known.
func (l *ledger) knows(deliveryID, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waybills.ordered(deliveryID, id) != nil
}

// Clear forgets what arrived, the callbacks, the counts, and the waybills that only a push made known. Orders,
// access_tokens and faults stay.
func (s *Sandbox) Clear() {
	s.callbacks.clear()
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waybills.keepOrdered()
	l.reset()
}
