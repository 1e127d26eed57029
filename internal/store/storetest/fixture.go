package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	window      = 2 * time.Minute // The reorder window of all tests.
	noTokenWait = time.Hour
	account     = "SF"
	sender      = "courier-app"
)

// clock is the engine's only time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a store under test.
type fixture struct {
	*testing.T
	store Engine
	open  Opener
	opts  Options
	clock *clock

	mu      sync.Mutex
	changes []store.Change
	ids     atomic.Int64

	notified atomic.Int64             // Calls of Notify.
	heard    map[uint64]*store.Notice // The last one of each event that was told.
	untold   bool                     // The test itself reads notices and tells them.
}

func newFixture(t *testing.T, open Opener) *fixture {
	t.Helper()
	f := &fixture{T: t, open: open, clock: &clock{now: time.UnixMilli(1_800_000_000_000)}, heard: map[uint64]*store.Notice{}}
	f.opts = Options{
		Machine: state.Machine{ReorderWindow: window}, NoTokenWait: noTokenWait, Now: f.clock.Now,
		Feed: func(c []store.Change) {
			f.mu.Lock()
			defer f.mu.Unlock()
			// What is told of no waybill may come at any time, from an engine that nodes share.
			f.changes = append(f.changes, slices.DeleteFunc(slices.Clone(c), func(c store.Change) bool { return c.Shared != nil })...)
		},
		Notify: func() { f.notified.Add(1) },
	}
	f.store = open(t, "store", f.opts)
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// reopen closes and opens the store.
func (f *fixture) reopen() {
	f.Helper()
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	f.store = f.open(f.T, "store", f.opts)
}

// pass moves the clock and lets the engine do what is due.
func (f *fixture) pass(d time.Duration) {
	f.Helper()
	f.hear()
	f.clock.advance(d)
	if err := f.store.Tick(f.Context()); err != nil {
		f.Fatalf("Tick: %v", err)
	}
}

// check sees that all that is kept twice agrees, and that every end was told.
func (f *fixture) check() {
	f.Helper()
	f.hear()
	f.checkHeard()
	report, err := f.store.Check(f.Context())
	if err != nil {
		f.Errorf("Check: %v", err)
	}
	for _, p := range report.Problems {
		f.Errorf("Check: %s", p)
	}
}

// fed takes the changes heard of so far.
func (f *fixture) fed() []store.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.changes
	f.changes = nil
	return c
}

func waybill(id string) state.Waybill { return state.Waybill{DeliveryID: account, WaybillID: id} }

// scan makes an event of a waybill with an id of its own. at is action_time.
func (f *fixture) scan(id string, a state.ActionType, at int64) state.Event {
	n := f.ids.Add(1)
	return state.Event{
		ID: fmt.Sprintf("scan-%04d", n), Source: sender, DeliveryID: account, WaybillID: id, Type: a, Time: at,
		Msg: fmt.Sprintf("丽影邓丽君【18666666666】<%d> & more", at),
	}
}

func (f *fixture) apply(events ...state.Event) []store.Result {
	f.Helper()
	results, err := f.store.Apply(f.Context(), events)
	if err != nil {
		f.Fatalf("Apply: %v", err)
	}
	if len(results) != len(events) {
		f.Fatalf("Apply gave %d results for %d events", len(results), len(events))
	}
	return results
}

// one applies one event, expects a verdict and gives the result.
func (f *fixture) one(e state.Event, want state.Verdict) store.Result {
	f.Helper()
	r := f.apply(e)[0]
	if r.Verdict != want {
		f.Fatalf("%s (%s at %d) is %s (%s), want %s", e.ID, e.Type, e.Time, r.Verdict, r.Reason, want)
	}
	return r
}

func (f *fixture) token(w state.Waybill, token string, want bool) {
	f.Helper()
	changed, err := f.store.PutToken(f.Context(), w, token, store.Act{})
	if err != nil || changed != want {
		f.Fatalf("PutToken(%s): changed %v, err %v; want changed %v", w, changed, err, want)
	}
}

// trySettle settles a push and waits.
func (f *fixture) trySettle(o store.Outcome) error {
	f.Helper()
	done := make(chan error, 2)
	f.store.Settle(o, func(err error) { done <- err })
	err := <-done
	select {
	case <-done:
		f.Errorf("Settle called done twice")
	default:
	}
	return err
}

func (f *fixture) settle(o store.Outcome) {
	f.Helper()
	if err := f.trySettle(o); err != nil {
		f.Fatalf("Settle(%d): %v", o.Seq, err)
	}
}

// settleAll settles pushes as a service does that has many under way: without waiting for each.
func (f *fixture) settleAll(outcomes []store.Outcome) {
	f.Helper()
	done := make(chan error, len(outcomes))
	for _, o := range outcomes {
		f.store.Settle(o, func(err error) { done <- err })
	}
	for range outcomes {
		if err := <-done; err != nil {
			f.Fatalf("Settle: %v", err)
		}
	}
}

// deliver settles a push as delivered.
func (f *fixture) deliver(w state.Waybill, seq uint64) {
	f.Helper()
	f.settle(store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered, Attempt: f.attempt(0)})
}

// fail settles a push as failed.
func (f *fixture) fail(w state.Waybill, seq uint64, reason string, errcode int, park bool) {
	f.Helper()
	f.settle(store.Outcome{
		Seq: seq, Waybill: w, Status: store.Failed, Reason: reason, Attempt: f.attempt(errcode), Tries: 3, Refusals: 3, Park: park,
	})
}

func (f *fixture) attempt(errcode int) *store.Attempt {
	return &store.Attempt{
		At: f.clock.Now(), Duration: 52 * time.Millisecond, Errcode: &errcode, Errmsg: "the upstream's words",
		RID: "rid-1", Scope: "event",
	}
}

func (f *fixture) lane(w state.Waybill) store.Lane {
	f.Helper()
	lane, err := f.store.Lane(f.Context(), w)
	if err != nil {
		f.Fatalf("Lane(%s): %v", w, err)
	}
	return lane
}

// open expects a waybill's open pushes, by number, in the order of sending.
func (f *fixture) openPushes(w state.Waybill, want ...uint64) store.Lane {
	f.Helper()
	lane := f.lane(w)
	if got := seqs(lane.Pushes); !slices.Equal(got, want) {
		f.Errorf("Lane(%s) has pushes %v, want %v", w, got, want)
	}
	for i := 1; i < len(lane.Pushes); i++ {
		if lane.Pushes[i-1].Ord >= lane.Pushes[i].Ord {
			f.Errorf("Lane(%s) is not in order of ord: %d before %d", w, lane.Pushes[i-1].Ord, lane.Pushes[i].Ord)
		}
	}
	return lane
}

func seqs(pushes []store.Push) []uint64 {
	got := make([]uint64, len(pushes))
	for i := range pushes {
		got[i] = pushes[i].Seq
	}
	return got
}

func (f *fixture) push(seq uint64) store.Push {
	f.Helper()
	p, err := f.store.Push(f.Context(), seq)
	if err != nil {
		f.Fatalf("Push(%d): %v", seq, err)
	}
	return p
}

// status expects where a push stands.
func (f *fixture) status(seq uint64, want store.Status, reason string) store.Push {
	f.Helper()
	p := f.push(seq)
	if p.Status != want || p.Reason != reason {
		f.Errorf("push %d is %s (%q), want %s (%q)", seq, p.Status, p.Reason, want, reason)
	}
	return p
}

// sweep lists the waybills of a whole sweep of an account, each once.
func (f *fixture) sweep(delivery string) []string {
	f.Helper()
	seen := map[string]bool{}
	var place store.Place
	for range 10_000 {
		waybills, next, done, err := f.store.Sweep(f.Context(), delivery, place)
		if err != nil {
			f.Fatalf("Sweep: %v", err)
		}
		for _, w := range waybills {
			if w.DeliveryID != delivery {
				f.Errorf("Sweep(%s) lists %s", delivery, w)
			}
			seen[w.WaybillID] = true
		}
		if done {
			ids := make([]string, 0, len(seen))
			for id := range seen {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			return ids
		}
		place = next
	}
	f.Fatal("the sweep does not end")
	return nil
}
