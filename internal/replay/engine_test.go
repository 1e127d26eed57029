package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"carrier/internal/durations"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

// openEngine opens the embedded engine on a disk in memory.
func openEngine(t interface{ Fatalf(string, ...any) }, fs vfs.FS, feed store.Feed) *pebble.Store {
	s, err := pebble.Open("data", pebble.Options{
		FS: fs, Machine: state.Machine{ReorderWindow: time.Minute}, Waybills: 64, CacheBytes: 1 << 20, MemtableBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler), Feed: feed,
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// scan is the n-th event of a waybill: a pickup, then hubs.
func scan(w state.Waybill, n int) state.Event {
	e := state.Event{
		ID: fmt.Sprintf("%s-%d", w, n), Source: "app", DeliveryID: w.DeliveryID, WaybillID: w.WaybillID,
		Type: state.Transit, Time: int64(1_533_052_800 + n), Msg: "到达", Token: "TOKEN",
	}
	if n == 0 {
		e.Type = state.PickupDone
	}
	return e
}

// settle ends or retries a push and waits for it.
func settle(s *pebble.Store, o store.Outcome) error {
	done := make(chan error, 1)
	s.Settle(o, func(err error) { done <- err })
	return <-done
}

// engineWorld makes random rows in the engine.
type engineWorld struct {
	t      *rapid.T
	s      *pebble.Store
	chance *rand.Rand
}

func (w *engineWorld) must(err error) {
	if err != nil && !errors.Is(err, store.ErrState) && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatalf("%v", err)
	}
}

func (w *engineWorld) waybill() state.Waybill {
	return waybill([]string{"SF", "YT"}[w.chance.IntN(2)], w.chance.IntN(8))
}

func (w *engineWorld) event(i int) state.Event {
	e := scan(w.waybill(), i)
	e.Type = state.ActionTypes[w.chance.IntN(len(state.ActionTypes))]
	e.Time += w.chance.Int64N(20)
	e.Source = []string{"app", "nats"}[w.chance.IntN(2)]
	if w.chance.IntN(3) > 0 {
		e.Token = ""
	}
	return e
}

// outcome is what an attempt makes of an open push.
func (w *engineWorld) outcome(p *store.Push, token string) store.Outcome {
	o := store.Outcome{
		Seq: p.Seq, Waybill: p.Event.Waybill(), Status: store.Statuses()[w.chance.IntN(4)], Tries: 1, Token: token,
		Attempt: &store.Attempt{At: time.Now(), Scope: "ok"},
	}
	if code := []int{0, 40097, -1, 9300507}[w.chance.IntN(4)]; w.chance.IntN(5) > 0 {
		o.Attempt.Errcode = new(code)
	}
	switch o.Status {
	case store.Pending:
		o.NextAt = time.Now().Add(time.Duration(w.chance.IntN(200)) * time.Second)
	case store.Failed:
		o.Reason = []string{store.ReasonRefused, store.ReasonExhausted}[w.chance.IntN(2)]
		o.Park = w.chance.IntN(4) == 0
	case store.Discarded:
		o.Reason = store.ReasonUnknown
	}
	return o
}

// act changes something.
func (w *engineWorld) act(ctx context.Context, i int) {
	time.Sleep(time.Duration(w.chance.IntN(5)) * 300 * time.Millisecond)
	switch w.chance.IntN(9) {
	case 0, 1, 2, 3:
		_, err := w.s.Apply(ctx, []state.Event{w.event(i)})
		w.must(err)
	case 4, 5, 6:
		lane, err := w.s.Lane(ctx, w.waybill())
		w.must(err)
		if len(lane.Pushes) > 0 {
			w.must(settle(w.s, w.outcome(&lane.Pushes[0], lane.Token)))
		}
	case 7:
		_, err := w.s.Freeze(ctx, w.waybill(), w.chance.IntN(2) == 0, store.Act{})
		w.must(err)
	case 8:
		_, err := w.s.Replay(ctx, uint64(1+w.chance.IntN(i+1)), w.chance.IntN(2) == 0, store.Act{})
		w.must(err)
	}
}

func (w *engineWorld) query() store.Query {
	q := store.Query{Held: func(id string, _ bool) store.WaitingFor {
		if id == "YT" {
			return store.WaitBreaker
		}
		return store.WaitNothing
	}}
	for range w.chance.IntN(4) {
		switch w.chance.IntN(10) {
		case 0, 1:
			q.Status = store.Statuses()[w.chance.IntN(4)]
		case 2:
			q.WaitingFor = []store.WaitingFor{
				store.WaitRetry, store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitWaybill,
			}[w.chance.IntN(5)]
		case 3:
			q.Errcode = new([]int{0, 40097, -1, 1}[w.chance.IntN(4)])
		case 4:
			q.Reason = []string{store.ReasonRefused, store.ReasonExhausted, store.ReasonUnknown, "none"}[w.chance.IntN(4)]
		case 5:
			q.DeliveryID = []string{"SF", "YT", "XX"}[w.chance.IntN(3)]
		case 6:
			q.WaybillID = w.waybill().WaybillID
		case 7:
			q.Type = state.ActionTypes[w.chance.IntN(len(state.ActionTypes))]
		case 8:
			q.Source = []string{"app", "nats", "other"}[w.chance.IntN(3)]
		case 9:
			at := time.Now().Add(-time.Duration(w.chance.IntN(60_000)) * time.Millisecond)
			if w.chance.IntN(2) == 0 {
				q.Since = at
			} else {
				q.Until = at.Add(time.Duration(w.chance.IntN(1000)) * time.Microsecond)
			}
		}
	}
	return q
}

// listed is what the engine's list finds, read in pages of any size.
func (w *engineWorld) listed(ctx context.Context, q store.Query) (seqs []uint64) {
	for {
		q.Limit = 1 + w.chance.IntN(20)
		page, err := w.s.Pushes(ctx, q)
		w.must(err)
		for i := range page.Items {
			seqs = append(seqs, page.Items[i].Seq)
		}
		switch {
		case page.Next == 0:
			slices.Sort(seqs)
			return seqs
		case q.Ascending:
			q.After = page.Next
		default:
			q.Before = page.Next
		}
	}
}

// matching is what the waybills' stories have that matches.
func (w *engineWorld) matching(ctx context.Context, q *store.Query) (seqs []uint64) {
	for _, account := range []string{"SF", "YT"} {
		for i := range 8 {
			story, err := w.s.Waybill(ctx, waybill(account, i))
			w.must(err)
			for i := range story.Timeline {
				if matches(q, &story.Timeline[i], q.Held) {
					seqs = append(seqs, story.Timeline[i].Push.Seq)
				}
			}
		}
	}
	slices.Sort(seqs)
	return seqs
}

// TestMatchesAsTheEngine: a step of a story matches a filter when the engine lists its push, and not otherwise.
func TestMatchesAsTheEngine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			ctx := context.Background()
			w := engineWorld{t: rt, s: openEngine(rt, vfs.NewMem(), nil)}
			defer func() { w.must(w.s.Close()) }()
			w.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
			for i := range rapid.IntRange(0, 150).Draw(rt, "acts") {
				w.act(ctx, i)
			}
			for range 40 {
				q := w.query()
				q.Ascending = w.chance.IntN(2) == 0
				if got, want := w.matching(ctx, &q), w.listed(ctx, q); !slices.Equal(got, want) {
					rt.Fatalf("%+v\nmatching %v\nlisted   %v", q, got, want)
				}
			}
		})
	})
}

// engine is the embedded engine with a pusher of its own: it delivers what is open, waybill by waybill.
type engine struct {
	*pebble.Store
	mu   sync.Mutex
	open map[state.Waybill]bool // Those that may have open pushes.
	sent []uint64
}

// feed notes what became open.
func (e *engine) feed(changes []store.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range changes {
		e.open[changes[i].Waybill] = true
	}
}

func (e *engine) Held(string, bool) store.WaitingFor { return store.WaitNothing }

// Load counts five pushes for each waybill that may have some.
func (e *engine) Load(account string) (l Load) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.open {
		if w.DeliveryID == account {
			l.Bulk += 5
		}
	}
	return l
}

// push ends a push of each open waybill every 20 ms, until ctx ends; every seventh fails again.
func (e *engine) push(ctx context.Context) {
	for durations.Wait(ctx, 20*time.Millisecond) == nil {
		e.mu.Lock()
		open := slices.Collect(maps.Keys(e.open))
		e.mu.Unlock()
		for _, w := range open {
			e.pushOne(ctx, w)
		}
	}
}

func (e *engine) pushOne(ctx context.Context, w state.Waybill) {
	e.mu.Lock()
	delete(e.open, w)
	e.mu.Unlock()
	lane, err := e.Lane(ctx, w)
	if err != nil || len(lane.Pushes) == 0 {
		return
	}
	p := &lane.Pushes[0]
	o := store.Outcome{Seq: p.Seq, Waybill: w, Status: store.Delivered, Token: lane.Token}
	if p.Seq%7 == 0 {
		o.Status, o.Reason = store.Failed, store.ReasonRefused
	}
	o.Attempt = &store.Attempt{At: time.Now(), Errcode: new(0), Scope: "ok"}
	if settle(e.Store, o) == nil {
		e.sent = append(e.sent, p.Seq)
	}
	if len(lane.Pushes) > 1 {
		e.feed([]store.Change{{Waybill: w}})
	}
}

// fill keeps each failed pushes of every waybill.
func (e *engine) fill(t *testing.T, waybills []state.Waybill, each int) {
	t.Helper()
	for n := range each {
		for _, w := range waybills {
			r, err := e.Apply(t.Context(), []state.Event{scan(w, n)})
			if err != nil {
				t.Fatal(err)
			}
			o := store.Outcome{Seq: r[0].Seq, Waybill: w, Status: store.Failed, Reason: store.ReasonRefused, Token: "TOKEN"}
			o.Attempt = &store.Attempt{At: time.Now(), Errcode: new(40097), Scope: "event"}
			if err := settle(e.Store, o); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// runOver starts a runner and the pusher.
func (g *rig) runOver(t *testing.T, e *engine) {
	t.Helper()
	var err error
	g.runner, err = New(Options{Store: e, Pusher: e, Configured: isAccount, Logger: slog.New(g.logs)})
	if err != nil {
		t.Fatal(err)
	}
	g.begin()
	g.background(e.push)
}

// TestOverTheEngine carries out two replays of the same rows over the embedded engine, with a restart in the middle.
func TestOverTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waybills, each = 100, 5
		var all []state.Waybill
		for i := range waybills {
			all = append(all, waybill([]string{"SF", "YT"}[i%2], i))
		}
		disk := vfs.NewMem()
		e := &engine{open: map[state.Waybill]bool{}}
		e.Store = openEngine(t, disk, e.feed)
		e.fill(t, all, each)
		e.mu.Lock()
		clear(e.open)
		e.mu.Unlock()

		g := &rig{t: t, logs: &lines{}}
		g.runOver(t, e)
		plan, err := g.runner.DryRun(t.Context(), Request{})
		if err != nil || plan.Matched != waybills*each || plan.Calls != waybills*each || plan.Totals[WaitsBehind] != waybills*(each-1) {
			t.Errorf("dry run: %+v, %v", plan, err)
		}
		first := g.start(t, Request{Rate: 200})
		second := g.start(t, Request{Filter: store.Query{Errcode: new(40097)}, Rate: 100})
		time.Sleep(time.Second)
		g.stop()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		middle := len(e.sent)
		e.Store = openEngine(t, disk, e.feed)
		for _, w := range all {
			e.feed([]store.Change{{Waybill: w}})
		}
		g.runOver(t, e)
		time.Sleep(10 * time.Second)
		g.stop()

		a, err := e.ReadReplay(t.Context(), first.ID)
		b, berr := e.ReadReplay(t.Context(), second.ID)
		if err != nil || berr != nil {
			t.Fatal(err, berr)
		}
		if a.Status != store.ReplayDone || b.Status != store.ReplayDone || a.Requeued+b.Requeued != waybills*each ||
			a.Requeued+a.Skipped != a.Matched || b.Requeued+b.Skipped != b.Matched {
			t.Errorf("%+v\n%+v", a, b)
		}
		if middle == 0 || middle == waybills*each || len(e.sent) != waybills*each {
			t.Errorf("%d were sent before the restart, %d in all", middle, len(e.sent))
		}
		last := map[state.Waybill]uint64{}
		for _, seq := range e.sent {
			p, err := e.Push(t.Context(), seq)
			if err != nil || seq <= last[p.Event.Waybill()] || p.Last().Replay == 0 {
				t.Fatalf("push %d after %d: %+v, %v", seq, last[p.Event.Waybill()], p, err)
			}
			last[p.Event.Waybill()] = seq
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
