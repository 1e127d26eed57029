package pathpush

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// account pushes for one delivery company. Five goroutines work in run: the scheduler sends what is ready
// (scheduler.go), the loader reads lanes from the store (loader.go), two see to the quota (quotaask.go), and the
// credentials refresh themselves. Each push in flight has a goroutine of its own (attempt.go).
type account struct {
	id        string
	maxLoaded int

	store    Store
	owner    Ownership
	link     atomic.Pointer[link]   // Replaced with mu held.
	policy   atomic.Pointer[policy] // Replaced as a whole.
	log      *slog.Logger
	observer Observer
	spans    *spans.Tracer

	wake     chan struct{} // tells the scheduler that something changed
	wakeLoad chan struct{} // tells the loader
	wakeAsk  chan struct{} // has upstream asked for the quota
	wakeKept chan struct{} // has what is kept of the account read again

	mu          sync.Mutex
	concurrency int
	rate        float64       // Of all nodes together. 0: no limit.
	limiter     *rate.Limiter // This node's share of it; nil: no limit.

	lanes    lanes
	gate     gate
	ramp     ramp
	guard    guard
	quota    quota
	reserve  reserve
	inFlight int             // requests under way
	bulkAway int             // of them for bulk lanes
	wanted   []state.Waybill // lanes to be read; each is in lanes.all, loading
	sweep    sweep
	failed   error // the store's: everything ends

	toldUnrecorded time.Time // when it was last logged that an outcome can't be recorded

	unread unread // only the loader's

	// keeping holds a value while what is kept of the account is read or written; mu is not held while waiting for it.
	keeping  chan struct{}
	restored bool          // guarded by keeping: the gate is as it was kept
	kept     uint64        // guarded by keeping: the gate's changes that are in the store
	base     store.Account // guarded by keeping: what the store keeps, as far as this node knows

	flights  sync.WaitGroup // requests under way, and links that were replaced and are still used
	settling sync.WaitGroup // outcomes not durable yet

	life  context.Context // Ends with end: the account is not configured any more.
	end   context.CancelFunc
	after <-chan struct{} // Closed when one of the same delivery_id from before is done; nil: there is none.
	done  chan struct{}   // Closed when this one is.
}

func newAccount(o *Options, ao AccountOptions) *account {
	a := &account{
		id: ao.DeliveryID, concurrency: ao.Concurrency, maxLoaded: o.MaxLoaded,
		store: o.Store, owner: o.Ownership, observer: o.Observer, spans: o.Spans, rate: ao.Rate,
		log:      o.Logger.With("delivery_id", ao.DeliveryID),
		wake:     make(chan struct{}, 1),
		wakeLoad: make(chan struct{}, 1),
		wakeAsk:  make(chan struct{}, 1),
		wakeKept: make(chan struct{}, 1),
		keeping:  make(chan struct{}, 1),
		done:     make(chan struct{}),
		lanes:    lanes{all: map[state.Waybill]*lane{}},
		ramp:     newRamp(ao.Concurrency),
		guard:    newGuard(o.Guard, time.Now()),
		quota:    newQuota(o.QuotaReserve, time.Now()),
	}
	a.life, a.end = context.WithCancel(context.Background())
	a.policy.Store(newPolicy(o))
	a.link.Store(a.newLink(o, &ao))
	if ao.Rate > 0 {
		a.limiter = rate.NewLimiter(rate.Limit(ao.Rate), burst(ao.Rate))
	}
	return a
}

// work runs the account until ctx ends or it is not configured any more. It is called once.
func (a *account) work(ctx context.Context) error {
	defer close(a.done)
	if a.after != nil {
		select {
		case <-a.after:
		case <-ctx.Done():
			return nil
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(a.life, stop)()
	if err := a.run(ctx); err != nil {
		return fmt.Errorf("pushing for account %s: %w", a.id, err)
	}
	return nil
}

// run works until ctx ends, then lets what is in flight end and be recorded.
func (a *account) run(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return ended(ctx, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.keepFresh(gctx) })
	g.Go(func() error { return a.load(gctx) })
	g.Go(func() error { return a.schedule(gctx) })
	g.Go(func() error { return a.askQuotas(gctx) })
	g.Go(func() error { return a.keepQuotas(gctx) })
	err := g.Wait()
	a.flights.Wait()
	a.settling.Wait()
	if keeping := a.keepQuota(context.WithoutCancel(ctx), true); keeping != nil {
		a.log.Error("keeping what is used of the quota", "err", keeping)
	}
	return err
}

// ended makes the end of ctx no error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// poke wakes the scheduler.
func (a *account) poke() { notify(a.wake) }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// changed takes in what a commit made open.
func (a *account) changed(c *store.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes.all[c.Waybill]
	switch {
	case l != nil && c.Reload:
		a.reload(l)
	case l != nil && a.lanes.loaded >= a.maxLoaded:
		a.leave(l, c.Added)
	case l != nil:
		if l.where == loading {
			l.stale = true // It may have been read just before.
		}
		a.lanes.append(l, c.Added)
	case c.Blocked:
	case a.leavesInStore(c):
		a.reserve.left = true
	case a.full():
		a.sweep.again = true
	case c.Whole && !c.Reload:
		if len(c.Added) > 0 {
			a.lanes.add(&lane{waybill: c.Waybill, token: c.Token, tokenAt: c.TokenAt}, c.Added, time.Now())
		}
	default:
		a.want(&lane{waybill: c.Waybill})
	}
	a.poke()
}

// full tells whether there is no room for another lane. Where it is a backlog that fills the memory, a quarter more is for
// what is new: else the scans of today would wait in the store until all of the backlog is through.
func (a *account) full() bool {
	ls := &a.lanes
	if max(ls.loaded, len(ls.all)) < a.maxLoaded {
		return false
	}
	return ls.queues[live].len >= a.maxLoaded/8 || len(ls.all) >= a.maxLoaded+a.maxLoaded/4
}

// leave leaves a lane's new end in the store for want of room: it is read when the lane's turn comes.
func (a *account) leave(l *lane, added []store.Push) {
	l.meet(added)
	l.stale = true
	l.more = l.more || bulkOf(added) < len(added)
	a.lanes.classify(l)
}

// reload has a lane read again: now, or when its push in flight is through. What of it is ready or waits must not be
// sent any more: it may be discarded by now, or the waybill frozen.
func (a *account) reload(l *lane) {
	switch l.where {
	case waiting, ready:
		a.want(l)
	default:
		l.stale = true
	}
}

// want has a lane read from the store. It may turn out to hold pushes of a bulk replay: one is counted until then, or as
// many as it had.
func (a *account) want(l *lane) {
	a.lanes.take(l)
	mayBe := max(1, l.bulk)
	a.lanes.put(l, nil)
	a.lanes.count(l, mayBe)
	l.where, l.stale, l.doubtful, l.more, l.refusals = loading, false, false, false, 0
	a.lanes.all[l.waybill] = l
	a.wanted = append(a.wanted, l.waybill)
	notify(a.wakeLoad)
}

// held says what all pushes of the account wait for, or those of waybills of which only transit scans are open.
func (a *account) held(transitOnly bool) store.WaitingFor {
	a.mu.Lock()
	_, _, closed := a.gate.closed(time.Now())
	reserved := transitOnly && a.reserve.holds
	a.mu.Unlock()
	switch {
	case closed:
		return store.WaitAccount
	case a.allOpen():
		return store.WaitBreaker
	case reserved:
		return store.WaitAccount
	}
	return store.WaitNothing
}

// allOpen tells whether the breakers of all hosts are open.
func (a *account) allOpen() bool {
	for _, b := range a.link.Load().breakers {
		if b.snapshot().State != "open" {
			return false
		}
	}
	return true
}

// Snapshot tells how an account is.
type Snapshot struct {
	DeliveryID           string
	Breakers             []BreakerSnapshot // One per host, the main one first.
	Paused               bool
	PauseReason          string
	PauseReasonZh        string // In Chinese; empty for an operator's own words.
	PausedSince          time.Time
	PausedUntil          time.Time // Zero: until the reason is gone, or an operator resumes.
	NextProbeAt          time.Time // Of a pause that upstream's answers asked for.
	AccessTokenAt        time.Time // When this process was first given the present one; zero: there is none.
	AccessTokenExpiresAt time.Time // The same.
	InFlight             int
	Concurrency          int // Allowed in flight at present: less than configured after an outage.
	Loaded               int // Pushes held in memory.
	// BulkLoaded are those of them that bulk replays made pending, and those that lanes being read are thought to have;
	// but not those that wait for a retry, as long as these are few: what upstream refuses for days must not keep a replay
	// from going on with the others.
	BulkLoaded int
	Guard      GuardSnapshot
	Quota      QuotaSnapshot
}

// restingShare is the part of the memory for pushes that those of bulk replays may have while they wait for a retry.
const restingShare = 8

func (a *account) snapshot() Snapshot {
	s := Snapshot{DeliveryID: a.id}
	link := a.link.Load()
	s.AccessTokenAt, s.AccessTokenExpiresAt = link.creds.Life()
	for _, b := range link.breakers {
		s.Breakers = append(s.Breakers, b.snapshot())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	reason, until, closed := a.gate.closed(now)
	s.PauseReason, s.PauseReasonZh, s.PausedUntil, s.Paused = reason.en, reason.zh, until, closed
	s.PausedSince = a.gate.pause.Since
	if s.Paused && !needsOperator(&a.gate.pause) && s.PausedUntil.IsZero() {
		s.NextProbeAt = a.gate.probeAt
	}
	s.InFlight, s.Concurrency = a.inFlight, a.limitNow()
	s.Loaded = a.lanes.loaded
	s.BulkLoaded = a.lanes.bulk - min(a.lanes.resting, a.maxLoaded/restingShare)
	s.Guard = a.guard.snapshot(&a.gate.pause, now)
	s.Quota = a.quota.snapshot(now)
	if a.reserve.holds {
		s.Quota.HeldSince = a.reserve.since
	}
	return s
}

// limitNow is how many pushes may be in flight at the moment. The caller holds a.mu.
func (a *account) limitNow() int {
	limit := min(a.ramp.limit, a.concurrencyShare())
	for _, b := range a.link.Load().breakers {
		if b.justClosed() { // The scheduler is about to restart the ramp.
			limit = min(limit, max(1, b.halfOpen()))
		}
	}
	return limit
}
