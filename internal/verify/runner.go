package verify

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Store is what the verifier needs of the store (see store.Store).
type Store interface {
	Orders
	Waybill(ctx context.Context, w state.Waybill) (store.Waybill, error)
	Discard(ctx context.Context, seq uint64, act store.Act) (store.Push, error)
	store.Verified
}

// Result is what came of looking at one waybill, in one word.
type Result string

// The results.
const (
	ResultSame      Result = "same"        // Upstream shows what was delivered.
	ResultDifferent Result = "different"   // It does not.
	ResultNoOne     Result = "no_merchant" // No merchant may ask about it.
	ResultRefused   Result = "refused"     // Upstream refused to say.
	ResultFailed    Result = "failed"      // Upstream or the store did not answer.
	ResultLimited   Result = "limited"     // The merchant's calls of the day are used up.
	ResultCancelled Result = "cancelled"   // Beside another result: upstream says that the order was cancelled.
)

// Options sets up a Runner.
type Options struct {
	Store     Store
	Merchants Merchants
	Off       bool          // Nothing is looked at: there are no merchants.
	Share     float64       // 0 to 1, of the waybills; 0 looks only at those that gave cause.
	Rate      float64       // Waybills a second; 0: 1.
	PerDay    int           // Calls of one merchant in a day (Asia/Shanghai); 0: 10,000.
	After     time.Duration // How long after a waybill's last delivery; 0: 5 minutes.
	Delay     time.Duration // As of Upstream.
	// Nodes is how many nodes do this; Rate and PerDay are divided by it. nil: this one alone does.
	Nodes func() int
	// Owns tells whether a waybill is this node's to look at, where several share the store; nil: all are.
	Owns    func(state.Waybill) bool
	Observe func(Result) // Hears of each result. It must not block. May be nil.
	Logger  *slog.Logger
	Spans   *spans.Tracer // Makes a span of each waybill that is looked at. nil: there are none.
}

const (
	// maxFollowed bounds the waybills that wait to be looked at; of more than that a smaller share is.
	maxFollowed = 100_000
	// minTidied is from how many entries on the queue is worth tidying.
	minTidied = 1000
	// lookAgain is how often it is seen which differences to look at again.
	lookAgain = time.Hour
	// lookSeldom is how often at least each is.
	lookSeldom = 24 * time.Hour
)

// Runner looks at a sample of waybills some time after their last push was delivered, and at those of which upstream
// refused the Token or the number: whether upstream shows what was delivered, and whether the order still stands.
//
// What waits to be looked at is in memory only, and so is how many calls were made today: a restart forgets both.
// Differences that were found are kept, and looked at again until they are gone.
type Runner struct {
	o      Options // Those that Retune changes are in tuning.
	tuning atomic.Pointer[tuning]
	log    *slog.Logger
	seed   maphash.Seed
	limit  *rate.Limiter
	budget *budget
	wake   chan struct{} // Tells Run that the queue is not empty any more.

	mu      sync.Mutex // Owns the rest.
	queue   []followed // In order of time.
	due     map[state.Waybill]time.Time
	differs map[state.Waybill]bool // Those with a difference that is kept.

	// What only Run uses.

	last     Result                      // Of the waybill before.
	tried    map[state.Waybill]time.Time // When waybills that differ were last to be looked at again, whatever came of it.
	troubles map[call]trouble            // What was told.
	orders   map[string][]asked          // By merchant: orders to ask about, with the next call.
	since    time.Time                   // Since when the oldest of them waits.
}

// followed is a waybill and when it is to be looked at. One that is delivered to meanwhile has a later one.
type followed struct {
	waybill state.Waybill
	at      time.Time
}

// NewRunner makes a Runner. It starts nothing.
func NewRunner(o Options) *Runner {
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Nodes == nil {
		o.Nodes = func() int { return 1 }
	}
	r := &Runner{
		o: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		seed: maphash.MakeSeed(), limit: rate.NewLimiter(0, 1),
		wake: make(chan struct{}, 1), due: map[state.Waybill]time.Time{}, differs: map[state.Waybill]bool{},
		troubles: map[call]trouble{}, orders: map[string][]asked{},
	}
	r.budget = newBudget(func() int { return max(1, r.tuning.Load().perDay/r.o.Nodes()) })
	r.Retune(o)
	return r
}

// Settled hears of every outcome of a push that is durable. It does not block.
func (r *Runner) Settled(o *store.Outcome) {
	t := r.tuning.Load()
	if t.on && (o.Park || o.Status == store.Delivered && r.chosen(o.Waybill, t.share)) {
		r.follow(o.Waybill, time.Now().Add(t.after))
	}
}

// chosen tells whether a waybill is in the sample, or differs and may not any more.
func (r *Runner) chosen(w state.Waybill, share float64) bool {
	if float64(maphash.Comparable(r.seed, w)) < share*math.MaxUint64 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.differs[w]
}

// follows tells whether a waybill is to be looked at.
func (r *Runner) follows(w state.Waybill) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, does := r.due[w]
	return does
}

// follow has a waybill looked at, not before at.
func (r *Runner) follow(w state.Waybill, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.due[w]; !known && len(r.due) >= maxFollowed && !r.differs[w] {
		return
	}
	if len(r.queue) >= minTidied && len(r.queue) >= 2*len(r.due) {
		r.tidy()
	}
	r.due[w] = at
	r.queue = append(r.queue, followed{w, at})
	if len(r.queue) == 1 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// tidy takes out of the queue what has a later place in it: waybills that are delivered to again and again while others
// wait for their turn would fill it. The caller holds mu.
func (r *Runner) tidy() {
	r.queue = slices.DeleteFunc(r.queue, func(f followed) bool { return !r.due[f.waybill].Equal(f.at) })
}

// next takes the first waybill that is due. If none is, wait is how long until one may be; negative: none is followed.
func (r *Runner) next(now time.Time) (w state.Waybill, ok bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 {
		first := r.queue[0]
		if first.at.After(now) {
			return w, false, first.at.Sub(now)
		}
		r.queue = r.queue[1:]
		if r.due[first.waybill].Equal(first.at) {
			delete(r.due, first.waybill)
			return first.waybill, true, 0
		}
	}
	r.queue = nil // Its memory goes with it.
	return w, false, -1
}

// Run looks at what is due until ctx ends. Its error is always nil: what can't be looked at is left out.
func (r *Runner) Run(ctx context.Context) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	r.reconsider(ctx)
	for ctx.Err() == nil {
		if r.askIn() == 0 {
			r.askOrders(ctx)
		}
		w, ok, wait := r.next(time.Now())
		switch {
		case !ok:
			r.idle(ctx, again.C, wait)
		case r.turn(ctx):
			r.look(ctx, w)
			r.reconsiderIf(ctx, again.C)
		}
	}
	return nil
}

// turn waits until the rate lets another waybill be looked at; false if ctx ended first.
func (r *Runner) turn(ctx context.Context) bool {
	if share := rate.Limit(r.tuning.Load().rate / float64(r.o.Nodes())); share != r.limit.Limit() {
		r.limit.SetLimit(share)
	}
	return r.limit.Wait(ctx) == nil
}

// idle waits until something is to be done.
func (r *Runner) idle(ctx context.Context, again <-chan time.Time, wait time.Duration) {
	if left := r.askIn(); left >= 0 && (wait < 0 || left < wait) {
		wait = left
	}
	var due <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-again:
		r.reconsider(ctx)
	case <-due:
	}
}

// reconsiderIf does so when it is time, also while there is always something to look at.
func (r *Runner) reconsiderIf(ctx context.Context, again <-chan time.Time) {
	select {
	case <-again:
		r.reconsider(ctx)
	default:
	}
}

// reconsider has waybills looked at again that differ.
func (r *Runner) reconsider(ctx context.Context) {
	tuning := r.tuning.Load()
	if !tuning.on {
		return
	}
	all, err := r.o.Store.Differences(ctx)
	if err != nil {
		r.log.Warn("the differences can't be read, and are not looked at again for now", "err", err)
		return
	}
	differs := make(map[state.Waybill]bool, len(all))
	for i := range all {
		differs[all[i].Waybill] = true
	}
	r.mu.Lock()
	r.differs = differs
	r.mu.Unlock()
	tried := make(map[state.Waybill]time.Time, len(all))
	for i := range all {
		d, now := &all[i], time.Now()
		if r.o.Owns != nil && !r.o.Owns(d.Waybill) {
			continue // Its owner looks.
		}
		last := later(d.CheckedAt, r.tried[d.Waybill])
		// One that is to be looked at already would lose its place in the queue.
		if dueAgain(d.FoundAt, last, now) && !r.follows(d.Waybill) {
			r.follow(d.Waybill, now.Add(tuning.after))
			last = now
		}
		tried[d.Waybill] = last
	}
	r.tried = tried
}

// dueAgain tells whether a difference that was looked at last at a time is to be looked at again: the longer it has stood,
// the less often. Many can't be mended by pushing, and all of them every hour would use up the calls of a day.
func dueAgain(foundAt, last, now time.Time) bool {
	return now.Sub(last) >= min(lookSeldom, last.Sub(foundAt))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
