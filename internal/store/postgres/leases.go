package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/state"
	"carrier/internal/store"
)

// errLeaseEnded is why what a node has under way is cut off.
var errLeaseEnded = errors.New("this node's lease ended")

// leaseOptions set up the leases of a node.
type leaseOptions struct {
	Pool  *pgxpool.Pool // Of their own: a renewal must not wait for a connection.
	Name  string
	Lease time.Duration
	Log   *slog.Logger
	Feed  store.Feed // Called by one goroutine at a time.
}

// leases are what a node owns of a database that it shares: slots of waybills, and duties.
//
// A node is alive as long as its row in nodes has not expired, which it renews every fifth of the lease time. All that
// it owns it owns under that row's number; whoever finds a row expired deletes it and sets free what was under its
// number (bury). A node whose row is gone registers anew, under a number that was never used, so that nothing it had
// begun before can be recorded any more.
//
// By its own clock a node gives up a fifth of the lease time earlier (margin). What is under way is cut off then.
//
//	0 s          8 s      10 s
//	├─ renewed ──┼─ cut ──┼─ others may take over          (lease time 10 s; renewed at 2, 4 and 6 s at the latest)
//
// The clock that decides is PostgreSQL's; a node only measures how long ago it asked for a renewal, with both the
// monotonic clock and the time of day: the first stands still in a suspended machine, the second may be set.
type leases struct {
	o    leaseOptions
	wake chan struct{} // Has the next round begin.

	// telling is held while slots are lost or gained, until the lanes were told: they hear of a loss before what follows.
	telling sync.Mutex

	mu      sync.Mutex // Guards the rest.
	number  int32      // In nodes; 0: not registered.
	renewed time.Time  // When the renewal was asked for that was granted last; zero: none holds.
	expiry  *time.Timer
	held    [slots]*holding
	ending  map[*holding]bool // Given up, with pushes under way.
	alive   int
	found   uint64 // Nodes whose leases had ended, since the start.
	leaving bool
	duties  map[store.Duty]*duty
	news    map[breakerName]store.BreakerNews // To be told with the next round: how each breaker changed last.

	pollAt time.Time // Of rounds alone: see polls.

	// What shows whether this node hears the others (listen.go).
	pinged bool   // A ping came back since the last round.
	silent int    // Rounds without one.
	deaf   func() // Ends the listening; nil: nobody listens.
}

// holding is a slot that this node owns. It is guarded by the leases' mutex.
type holding struct {
	slot    int16
	lease   context.Context
	cut     context.CancelCauseFunc
	flights int
	ended   bool // No push may begin.
}

func newLeases(o leaseOptions) *leases {
	l := &leases{
		o: o, wake: make(chan struct{}, 1), alive: 1, ending: map[*holding]bool{}, duties: map[store.Duty]*duty{},
		news: map[breakerName]store.BreakerNews{},
	}
	l.expiry = time.AfterFunc(time.Hour, l.expire)
	l.expiry.Stop()
	return l
}

func (l *leases) every() time.Duration  { return l.o.Lease / 5 }
func (l *leases) margin() time.Duration { return l.o.Lease / 5 }

// valid tells whether the lease holds by this node's clocks. l.mu is held.
func (l *leases) valid(now time.Time) bool {
	if l.renewed.IsZero() {
		return false
	}
	lasts := l.o.Lease - l.margin()
	return now.Sub(l.renewed) < lasts && now.Round(0).Sub(l.renewed.Round(0)) < lasts
}

// Begin asks leave to send a push (store.Ownership).
func (l *leases) Begin(w state.Waybill) (lease context.Context, end func(), ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[slotOf(w)]
	if h == nil || h.ended || !l.valid(now) {
		return nil, nil, false
	}
	h.flights++
	return h.lease, func() { l.landed(h) }, true
}

// landed notes that a push is through. One that kept a slot from being handed over lets that go on.
func (l *leases) landed(h *holding) {
	l.mu.Lock()
	h.flights--
	waited := h.ended && h.flights == 0
	if waited {
		delete(l.ending, h)
	}
	l.mu.Unlock()
	if waited {
		l.poke()
	}
}

// Nodes is how many nodes are alive (store.Ownership).
func (l *leases) Nodes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(1, l.alive)
}

// stats is how this node stands.
func (l *leases) stats() store.NodeStats {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := store.NodeStats{Alive: max(1, l.alive), Takeovers: l.found, RenewedAt: l.renewed}
	if !l.valid(now) {
		st.RenewedAt = time.Time{}
		return st
	}
	for _, h := range l.held {
		if h != nil && !h.ended {
			st.Slots++
		}
	}
	return st
}

// HandOver gives all slots up (store.Ownership).
func (l *leases) HandOver() {
	l.mu.Lock()
	l.leaving = true
	l.mu.Unlock()
	l.poke()
}

// breakerName names a breaker among all accounts'.
type breakerName struct{ deliveryID, host string }

// Tell lets the other nodes know of a breaker (store.Ownership).
func (l *leases) Tell(b store.BreakerNews) {
	l.mu.Lock()
	l.news[breakerName{b.DeliveryID, b.Host}] = b
	l.mu.Unlock()
	l.poke()
}

// tellAgain has news told with the next round that may not have got through with this one, but for what is out of date
// by now. They are kept no longer than the lease lasts: one that opens breakers everywhere must not come late (renew).
func (l *leases) tellAgain(news map[breakerName]store.BreakerNews) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(news, l.news)
	l.news = news
}

func (l *leases) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// owns tells whether a waybill's pushes are this node's to send.
func (l *leases) owns(w state.Waybill) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[slotOf(w)]
	return h != nil && !h.ended && l.valid(now)
}

// owned lists the slots whose waybills' pushes are this node's to send.
func (l *leases) owned() (list []int16) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for slot, h := range l.held {
		if h != nil && !h.ended && l.valid(now) {
			list = append(list, int16(slot))
		}
	}
	return list
}

// me is the number under which this node owns what it owns; 0: it is not registered.
func (l *leases) me() int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.number
}

// expire gives all up when the lease was not renewed in time.
func (l *leases) expire() {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	if left := l.left(time.Now()); left > 0 {
		l.expiry.Reset(left)
		l.mu.Unlock()
		return
	}
	lost := l.dropAll()
	l.mu.Unlock()
	l.tellLost(lost, "PostgreSQL did not renew this node's lease in time")
}

// left is how long the lease lasts yet by the monotonic clock. l.mu is held.
func (l *leases) left(now time.Time) time.Duration {
	if l.renewed.IsZero() {
		return 0
	}
	return l.o.Lease - l.margin() - now.Sub(l.renewed)
}

// extend notes a renewal that was granted to the node of a number, and when it was asked for. If the lease has ended
// meanwhile, which expire may not have seen yet, things were refused and passed over: it is given up, to be taken up anew.
func (l *leases) extend(number int32, asked time.Time) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	now := time.Now()
	lapsed := !l.valid(now)
	var lost []int16
	for slot, h := range l.held {
		if h != nil && !h.ended && lapsed {
			l.giveUp(h) // Nobody took it: what is under way may end, and be recorded.
			lost = append(lost, int16(slot))
		}
	}
	l.number, l.renewed = number, asked
	l.expiry.Reset(max(0, l.left(now)))
	l.mu.Unlock()
	l.tellLost(lost, "its lease had ended before it was renewed")
}

// dropAll ends all that this node owns, and cuts off what is under way. l.mu is held.
func (l *leases) dropAll() (lost []int16) {
	l.renewed = time.Time{}
	for slot := range l.held {
		if l.held[slot] != nil {
			lost = append(lost, int16(slot))
			l.drop(int16(slot))
		}
	}
	for h := range l.ending {
		h.cut(errLeaseEnded)
	}
	for _, d := range l.duties {
		d.drop()
	}
	return lost
}

// drop ends a holding at once. l.mu is held.
func (l *leases) drop(slot int16) {
	h := l.held[slot]
	l.held[slot] = nil
	l.giveUp(h)
	h.cut(errLeaseEnded)
}

// giveUp lets no more pushes begin. l.mu is held.
func (l *leases) giveUp(h *holding) {
	h.ended = true
	if h.flights > 0 {
		l.ending[h] = true
	}
}

// hold takes a slot that the database says is this node's; false if pushes of an earlier holding are under way: their
// outcomes must not be taken for those of this one. l.mu is held.
func (l *leases) hold(slot int16) bool {
	if !l.idle(slot) {
		return false
	}
	lease, cut := context.WithCancelCause(context.Background())
	l.held[slot] = &holding{slot: slot, lease: lease, cut: cut}
	return true
}

// tellLost has what is loaded of slots forgotten.
func (l *leases) tellLost(lost []int16, why string) {
	if len(lost) == 0 {
		return
	}
	var gone [slots]bool
	for _, slot := range lost {
		gone[slot] = true
	}
	l.o.Log.Info("waybills are no longer this node's to push for", "slots", len(lost), "why", why)
	l.o.Feed([]store.Change{{Shared: &store.Shared{Lost: func(w state.Waybill) bool { return gone[slotOf(w)] }}}})
}

// tellGained has the open pushes of new slots read.
func (l *leases) tellGained(gained int) {
	if gained == 0 {
		return
	}
	l.o.Log.Info("waybills are this node's to push for now", "slots", gained)
	l.o.Feed([]store.Change{{Shared: &store.Shared{Sweep: true}}})
}

// startPatience is for how long a node tries to register. A round that takes its time is as good as lost to a node that
// renews its lease; one that starts has nothing to lose yet.
const startPatience = 20 * time.Second

// start registers the node and takes what is free.
func (l *leases) start(ctx context.Context) error {
	feed := l.o.Feed
	l.o.Feed = func([]store.Change) {} // Nothing is loaded yet that could change.
	defer func() { l.o.Feed = feed }()
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("PostgreSQL did not let it within %s", startPatience))
	defer cancel()
	for {
		again, err := l.round(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("register node %s: %w (%w)", l.o.Name, context.Cause(ctx), err)
		case <-time.After(again):
		}
	}
}

// run renews and balances until ctx ends.
func (l *leases) run(ctx context.Context) {
	failing := "" // What it fails for, so that it is told once.
	for ctx.Err() == nil {
		again, err := l.round(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != failing {
			l.o.Log.Error("this node's lease can't be renewed; trying again", "err", err)
		}
		failing = ""
		if err != nil {
			failing = err.Error()
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// close gives up all that is left and takes the node off the list.
func (l *leases) close(ctx context.Context) error {
	l.expiry.Stop()
	l.mu.Lock()
	l.dropAll()
	number := l.number
	l.number = 0
	l.mu.Unlock()
	if number == 0 {
		return nil
	}
	if err := l.unregister(ctx, number); err != nil {
		return fmt.Errorf("hand over what this node owned (others take it when its lease ends): %w", err)
	}
	return nil
}
