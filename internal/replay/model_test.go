package replay

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestModel lets everything happen that can happen around replays: any waybills and statuses, pages of any size, rates,
// several replays at once, pauses, restarts, a store that fails now and then, accounts that are held. The fake fails
// the test if a waybill is split over two steps, a push is made pending twice, or an account gets too much; in the end
// all is accounted for, sent once, and in order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			g := newRig(rt)
			defer g.stop()
			w := world{rig: g, t: rt, chance: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
			w.luck = rand.New(rand.NewPCG(w.chance.Uint64(), 2))
			w.make()
			w.play()
		})
	})
}

type world struct {
	*rig
	t      *rapid.T
	chance *rand.Rand
	luck   *rand.Rand // The fake's; guarded by its mutex.
	ids    []uint64
}

var accounts = []string{"SF", "YT", "GONE"}

func (w *world) waybill() state.Waybill {
	return waybill(accounts[w.chance.IntN(len(accounts))], w.chance.IntN(60))
}

func (w *world) make() {
	g := w.rig
	g.store.commit = time.Duration(w.chance.IntN(20)) * time.Millisecond
	g.store.short = func() int { return w.luck.IntN(30) }
	g.store.answer = func(p *store.Push) store.Status {
		if p.Seq%5 == 0 {
			return store.Failed
		}
		return store.Delivered
	}
	for range rapid.IntRange(0, 600).Draw(w.t, "pushes") {
		status := store.Failed
		if w.chance.IntN(3) == 0 {
			status = store.Statuses()[w.chance.IntN(4)]
		}
		p := g.store.add(w.waybill(), status)
		p.Event.Type = state.ActionTypes[w.chance.IntN(len(state.ActionTypes))]
		p.Event.Time = w.chance.Int64N(50)
		g.store.place(p)
	}
	for range w.chance.IntN(10) {
		delete(g.store.tokens, w.waybill())
		g.store.frozen[w.waybill()] = true
	}
}

func (w *world) request() Request {
	req := Request{Rate: []float64{0, 0, 3, 40, 700}[w.chance.IntN(5)], SkipSuperseded: w.chance.IntN(3) == 0}
	switch w.chance.IntN(6) {
	case 0:
		req.Filter.DeliveryID = accounts[w.chance.IntN(len(accounts))]
	case 1:
		req.Filter.Type = state.ActionTypes[w.chance.IntN(len(state.ActionTypes))]
	case 2:
		req.Filter.Status = store.Statuses()[w.chance.IntN(4)]
	}
	return req
}

func (w *world) play() {
	g := w.rig
	g.begin()
	g.deliver(1 + w.chance.IntN(50))
	for range rapid.IntRange(1, 12).Draw(w.t, "acts") {
		w.act()
		time.Sleep(time.Duration(w.chance.IntN(1500)) * time.Millisecond)
	}
	w.end()
}

func (w *world) act() {
	g := w.rig
	switch w.chance.IntN(6) {
	case 0, 1:
		// What fails while it is counted is sent and not counted; that is not what is tested here.
		g.store.setStill(true)
		r, err := g.runner.Start(w.t.Context(), w.request(), store.Act{By: "ops"})
		g.store.setStill(false)
		if err == nil {
			w.ids = append(w.ids, r.ID)
		}
	case 2:
		if len(w.ids) > 0 {
			to := []store.ReplayStatus{store.ReplayPaused, store.ReplayRunning}[w.chance.IntN(2)]
			_, _ = g.runner.Set(w.t.Context(), w.ids[w.chance.IntN(len(w.ids))], to, store.Act{})
		}
	case 3:
		held := []store.WaitingFor{store.WaitNothing, store.WaitAccount, store.WaitBreaker}[w.chance.IntN(3)]
		g.store.hold(accounts[w.chance.IntN(2)], held)
	case 4:
		g.stop()
		w.restart()
		g.deliver(1 + w.chance.IntN(50))
	case 5:
		g.store.mu.Lock()
		g.store.fails = func(string) fault {
			if w.luck.IntN(10) == 0 {
				return fault(1 + w.luck.IntN(2))
			}
			return well
		}
		g.store.mu.Unlock()
	}
}

// end lets all come to its end and looks at the whole.
func (w *world) end() {
	g := w.rig
	g.store.hold("SF", store.WaitNothing)
	g.store.hold("YT", store.WaitNothing)
	g.store.mu.Lock()
	g.store.fails = nil
	clear(g.store.frozen)
	for _, p := range g.store.pushes {
		g.store.tokens[p.Event.Waybill()] = true
	}
	g.store.mu.Unlock()
	for _, id := range w.ids {
		_, _ = g.runner.Set(w.t.Context(), id, store.ReplayRunning, store.Act{})
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	for _, id := range w.ids {
		r := g.store.replay(id)
		if r.Status != store.ReplayDone || r.Requeued+r.Skipped != r.Matched || r.Open() != 0 {
			w.t.Errorf("replay %d: %+v", id, r)
		}
		if n := len(g.store.took(id)); int64(n) != r.Requeued {
			w.t.Errorf("replay %d took %d pushes and counts %d", id, n, r.Requeued)
		}
	}
	if n := g.leftovers(); n != 0 {
		w.t.Errorf("%d jobs and notes are left", n)
	}
}

// restart makes a new runner, as a new process would.
func (w *world) restart() {
	w.rig.make()
	w.rig.begin()
}
