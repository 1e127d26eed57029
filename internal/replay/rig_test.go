package replay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// rig is a runner over a fake, in a bubble.
type rig struct {
	t      failer
	store  *fakeStore
	runner *Runner
	logs   *lines

	stops []func()
}

// lines keeps what is logged as an error.
type lines struct {
	slog.Handler
	mu   sync.Mutex
	errs []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level >= slog.LevelError {
		l.errs = append(l.errs, r.Message)
	}
	return nil
}

func (l *lines) errors() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.errs)
}

func newRig(t failer) *rig {
	g := &rig{t: t, store: newFakeStore(t), logs: &lines{}}
	g.make()
	return g
}

// make makes the runner, also anew, as after a restart.
func (g *rig) make() {
	r, err := New(Options{Store: g.store, Pusher: g.store, Configured: isAccount, Logger: slog.New(g.logs)})
	if err != nil {
		g.t.Errorf("New: %v", err)
	}
	g.runner = r
}

// begin starts the runner.
func (g *rig) begin() { g.background(func(ctx context.Context) { _ = g.runner.Run(ctx) }) }

// deliver sends n pushes of each account every 100 ms.
func (g *rig) deliver(n int) { g.background(func(ctx context.Context) { g.store.push(ctx, n) }) }

func (g *rig) background(run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx) }()
	g.stops = append(g.stops, func() { cancel(); <-ended })
}

// stop ends all that began.
func (g *rig) stop() {
	for _, stop := range g.stops {
		stop()
	}
	g.stops = nil
}

// bubble runs a test with a rig in a bubble.
func bubble(t *testing.T, run func(t *testing.T, g *rig)) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		run(t, g)
	})
}

// failed makes n failed pushes of each of so many waybills of an account, the waybills by turns.
func (g *rig) failed(account string, waybills, n int) {
	for range n {
		for w := range waybills {
			g.store.add(waybill(account, w), store.Failed)
		}
	}
}

// start starts a replay.
func (g *rig) start(t *testing.T, req Request) store.Replay {
	t.Helper()
	r, err := g.runner.Start(t.Context(), req, store.Act{By: "ops"})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return r
}

// after lets time pass and reads a replay.
func (g *rig) after(d time.Duration, id uint64) store.Replay {
	time.Sleep(d)
	synctest.Wait()
	return g.store.replay(id)
}

// is compares a replay's progress: "done 5 matched, 3 requeued, 2 skipped, 3 delivered".
func is(t *testing.T, r store.Replay, want string) {
	t.Helper()
	got := fmt.Sprintf("%s %d matched, %d requeued, %d skipped, %d delivered", r.Status, r.Matched, r.Requeued, r.Skipped, r.Delivered)
	if got != want {
		t.Errorf("replay %d: %s\nwant: %s", r.ID, got, want)
	}
}

// orderly checks that the pushes of each waybill were sent in order of acceptance.
func (g *rig) orderly(t failer) {
	t.Helper()
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	last := map[state.Waybill]uint64{}
	for _, seq := range g.store.sent {
		p := g.store.pushes[seq-1]
		w := p.Event.Waybill()
		if p.Ord < last[w] {
			t.Errorf("%s: %d was sent after %d", w, p.Ord, last[w])
		}
		last[w] = p.Ord
	}
}

// leftovers counts what the runner remembers of replays. It is nothing once all have ended.
func (g *rig) leftovers() int {
	g.runner.mu.Lock()
	defer g.runner.mu.Unlock()
	return len(g.runner.jobs) + len(g.runner.left)
}

// isAccount tells whether the tests' configuration has an account.
func isAccount(deliveryID string) bool { return deliveryID == "SF" || deliveryID == "YT" }
