package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Store is what bulk replays need of the store (see store.Store).
type Store interface {
	Pushes(ctx context.Context, q store.Query) (store.Page[store.Push], error)
	Waybill(ctx context.Context, w state.Waybill) (store.Waybill, error)
	store.Replays
}

// Pusher tells how pushing goes. Its methods must not block.
type Pusher interface {
	// Held says what all pushes of an account wait for at the moment, or those of waybills of which only transit scans
	// are open (see pathpush.Pusher.Held).
	Held(deliveryID string, transitOnly bool) store.WaitingFor
	// Load says how much room an account has for more.
	Load(deliveryID string) Load
}

// Load is what an account has to do.
type Load struct {
	Bulk int              // Pushes of bulk replays that are on their way: read into memory, or being read.
	Held store.WaitingFor // WaitBreaker, WaitAccount or nothing, as of Pusher.Held.
	// Reason is that of Held in words, and ReasonZh in Chinese; either may be empty.
	Reason, ReasonZh string
}

// Options sets up a Runner.
type Options struct {
	Store      Store
	Pusher     Pusher
	Configured func(deliveryID string) bool // Whether an account is, at the moment. Pushes of others are left alone.
	Logger     *slog.Logger
	// Shared says that other nodes start replays and change them, too: Run looks for that every few seconds.
	Shared bool
}

// Runner starts bulk replays and carries them out. It is safe for concurrent use.
type Runner struct {
	store  Store
	pusher Pusher
	log    *slog.Logger
	look   time.Duration // How often Run looks for what other nodes did; 0: there are none.
	wake   chan struct{} // Tells Run that replays changed.

	configured func(deliveryID string) bool

	// listing keeps Run from finding a replay before Start has noted what of it is left alone.
	listing lock

	mu   sync.Mutex
	jobs map[uint64]*job
	// turns are held, one per account, while a leg takes a step or waits for room; the others queue up in the order in
	// which they came, so that replays share an account fairly.
	turns map[string]lock
	left  map[uint64]int // By replay: pushes it matched and leaves alone, not counted as skipped yet.

	// oldest is the first replay that has not ended; those before it need not be listed. Only Run uses it.
	oldest uint64
}

// New makes a Runner. It starts nothing.
func New(o Options) (*Runner, error) {
	if o.Store == nil || o.Pusher == nil || o.Configured == nil {
		return nil, errors.New("replay: a store, a pusher and what tells the configured accounts are needed")
	}
	r := &Runner{
		store: o.Store, pusher: o.Pusher, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		configured: o.Configured, wake: make(chan struct{}, 1), listing: newLock(),
		jobs: map[uint64]*job{}, left: map[uint64]int{}, turns: map[string]lock{},
	}
	if o.Shared {
		r.look = lookEvery
	}
	return r, nil
}

// Request asks for a replay.
type Request struct {
	Filter store.Query // Only its conditions count; times are absolute.
	// Rate is how many pushes a second become pending at most, over all accounts; 0: 500, which live events
	// don't feel.
	Rate           float64
	Reason         string
	SkipSuperseded bool // Leave out pushes of waybills of which a later stage was delivered already.
}

// ruleOf is the rule of a replay that has not been made.
func (r *Runner) ruleOf(req Request) rule {
	return rule{
		filter: r.conditions(req.Filter), skipSuperseded: req.SkipSuperseded,
		configured: r.configured, held: r.pusher.Held,
	}
}

// conditions is q without what selects a page of it.
func (r *Runner) conditions(q store.Query) store.Query {
	q.Limit, q.Before, q.After, q.Ascending, q.Held = 0, 0, 0, false, r.pusher.Held
	return q
}

// Start counts what a replay is of, keeps it, and lets Run carry it out; it does not wait for that. The reason of the
// request is kept with the replay and, where act has none, with act.
func (r *Runner) Start(ctx context.Context, req Request, act store.Act) (store.Replay, error) {
	of := r.ruleOf(req)
	matched, left, legs, err := r.count(ctx, &of)
	if err != nil {
		return store.Replay{}, fmt.Errorf("counting what a replay is of: %w", err)
	}
	if err := describe(&act, req, &of.filter); err != nil {
		return store.Replay{}, err
	}
	of.filter.Held = nil
	kept := store.Replay{
		By: act.By, Reason: req.Reason, Filter: of.filter, Rate: max(0, req.Rate), SkipSuperseded: req.SkipSuperseded,
		Matched: int64(matched), Legs: legs,
	}
	if err := r.listing.take(ctx); err != nil {
		return store.Replay{}, err
	}
	defer r.listing.release()
	if kept, err = r.store.StartReplay(ctx, kept, act); err != nil {
		return store.Replay{}, fmt.Errorf("starting a replay: %w", err)
	}
	if !kept.Status.Ended() {
		r.leave(kept.ID, left)
	}
	r.log.Info("replay started", "replay", kept.ID, "by", act.By, "matched", matched, "left_alone", left,
		"rate", kept.Rate, "reason", req.Reason)
	r.Wake()
	return kept, nil
}

// count walks what a rule finds: how much that is, how much of it is not sent whatever happens, and a leg for every
// account that has any. The leg of an account that is not configured ends at once; it has one so that the replay
// tells that its pushes were left alone.
func (r *Runner) count(ctx context.Context, of *rule) (matched, left int, legs []store.Leg, err error) {
	accounts := map[string]bool{}
	err = r.walk(ctx, of, func(p *store.Push) error {
		matched++
		accounts[p.Event.DeliveryID] = true
		if p.Status != of.sends() || !r.configured(p.Event.DeliveryID) {
			left++
		}
		return nil
	})
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		legs = append(legs, store.Leg{DeliveryID: id})
	}
	return matched, left, legs, err
}

// describe completes what the audit log keeps of a start.
func describe(act *store.Act, req Request, filter *store.Query) error {
	act.Action = cmp.Or(act.Action, store.ActReplayStart)
	act.Reason = cmp.Or(act.Reason, req.Reason)
	if act.Detail != "" {
		return nil
	}
	text, err := json.Marshal(filter)
	if err != nil {
		return fmt.Errorf("the filter of a replay as text: %w", err)
	}
	act.Detail = string(text)
	return nil
}

// Set pauses, resumes or cancels a replay (see store.Replays.SetReplay). What it made pending already goes on.
func (r *Runner) Set(ctx context.Context, id uint64, to store.ReplayStatus, act store.Act) (store.Replay, error) {
	kept, err := r.store.SetReplay(ctx, id, to, act)
	if err != nil {
		return store.Replay{}, err
	}
	if kept.Status.Ended() {
		r.takeLeft(id)
	}
	r.log.Info("replay "+to.String(), "replay", id, "by", act.By, "reason", act.Reason)
	r.Wake()
	return kept, nil
}

// Wake tells the runner that somebody else changed a replay's status. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// leave notes pushes that a replay matched and leaves alone; takeLeft takes them, to be counted with its next step.
// What is forgotten in between, by a crash, is counted at the replay's end.
func (r *Runner) leave(id uint64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > 0 {
		r.left[id] += n
	}
}

func (r *Runner) takeLeft(id uint64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.left[id]
	delete(r.left, id)
	return n
}
