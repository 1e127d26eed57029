package pathpush

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// world lets everything happen that can happen around a pusher: events, Tokens, replays, freezes, pauses, restarts,
// a store that can't be read at times and an upstream that answers anything. The fakes and the checks below fail the
// test if a push is sent out of order, twice at once, or while it is held.
type world struct {
	*rig
	t        *rapid.T
	chance   *rand.Rand
	frozenAt map[string]time.Time
	guarded  bool // Options.Guard is on.
}

const worldWaybills = 6

var worldTypes = []state.ActionType{state.Transit, state.Transit, state.Transit, state.DeliveryBegun}

func (w *world) waybill() int { return rapid.IntRange(0, worldWaybills-1).Draw(w.t, "waybill") }

// actions are what rapid picks from.
func (w *world) actions(t *testing.T) map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"accept": func(rt *rapid.T) {
			w.store.scan(waybill(w.waybill()), false, rapid.SliceOfN(rapid.SampledFrom(worldTypes), 1, 4).Draw(rt, "types")...)
		},
		"limit": func(rt *rapid.T) { w.quota.takesDaily(rapid.Int64Range(1, 500).Draw(rt, "limit")) },
		"hold":  func(rt *rapid.T) { w.holdAndRelease() },
		"token": func(rt *rapid.T) {
			w.store.putToken(waybill(w.waybill()), rapid.StringMatching("[a-z]{3}").Draw(rt, "token"))
		},
		"replay":  func(rt *rapid.T) { w.one(rt, w.store.replay) },
		"freeze":  func(rt *rapid.T) { w.freeze(w.waybill(), true) },
		"thaw":    func(rt *rapid.T) { w.freeze(w.waybill(), false) },
		"bulk":    func(rt *rapid.T) { w.replayMany(rt) },
		"discard": func(rt *rapid.T) { w.one(rt, w.store.discard) },
		"retry":   func(rt *rapid.T) { w.one(rt, w.store.retryNow) },
		"probe":   func(rt *rapid.T) { w.do(rt, w.pusher.Probe(t.Context(), "SF")) },
		"":        func(rt *rapid.T) { w.consistent() },
		"pause":   func(rt *rapid.T) { w.do(rt, w.pusher.Pause(t.Context(), "SF", "by hand")) },
		"resume": func(rt *rapid.T) {
			letFail := time.Duration(rapid.IntRange(0, 2).Draw(rt, "minutes")) * time.Minute
			w.do(rt, w.pusher.Resume(t.Context(), "SF", letFail))
		},
		"sleep": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
		},
		"wait": func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute) },
		"restart": func(rt *rapid.T) {
			w.stop()
			if w.err != nil {
				rt.Fatalf("stopped with %v", w.err)
			}
			w.store.accept(waybill(w.waybill()), 2, true)
			w.begin(t)
		},
	}
}

// do takes an error of a store that is out of order for what it is.
func (w *world) do(rt *rapid.T, err error) {
	if err != nil && !errors.Is(err, errStore) && !errors.Is(err, ErrNothingToProbe) {
		rt.Fatal(err)
	}
}

var errStore = errors.New("input/output error")

func (w *world) holdAndRelease() {
	seq := w.store.hold(waybill(w.waybill()))
	go func() {
		time.Sleep(time.Duration(seq%700) * time.Millisecond)
		w.store.release(seq)
	}()
}

// one does something to some push.
func (w *world) one(rt *rapid.T, act func(seq uint64)) {
	if n := w.pushes(); n > 0 {
		act(uint64(rapid.IntRange(1, n).Draw(rt, "seq")))
	}
}

func (w *world) pushes() int {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return len(w.store.pushes)
}

// replayMany is some steps of a bulk replay.
func (w *world) replayMany(rt *rapid.T) {
	n := w.pushes()
	if n == 0 {
		return
	}
	from, count := rapid.IntRange(1, n).Draw(rt, "from"), rapid.IntRange(1, 30).Draw(rt, "count")
	for seq := from; seq <= min(n, from+count); seq++ {
		w.store.replayBulk(uint64(seq))
	}
}

func (w *world) freeze(n int, frozen bool) {
	w.store.mu.Lock()
	delete(w.frozenAt, waybill(n).WaybillID)
	if frozen {
		w.frozenAt[waybill(n).WaybillID] = time.Now()
	}
	w.store.mu.Unlock()
	w.store.freeze(waybill(n), frozen)
}

// sending checks that a request is for the first open push of a waybill that is not held.
func (w *world) sending(c call) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	seq, now := uint64(c.update.ActionTime), time.Now()
	if at, frozen := w.frozenAt[c.update.WaybillID]; frozen && at.Before(now) {
		w.t.Errorf("push %d of a frozen waybill was sent", seq)
	}
	p := w.store.pushes[seq-1]
	if p.Status == store.Discarded && p.DoneAt.Equal(now) {
		return // It was on its way when that happened.
	}
	open := w.store.open(p.Event.Waybill())
	if transitOnly(open) && w.keeps(now) && !w.lately(p.Event.Waybill(), now) {
		w.t.Errorf("push %d was sent although it waits for the rest of the quota", seq)
	}
	for _, before := range open {
		if before.Seq == seq {
			return
		}
		if w.store.reopened[before.Seq].Before(now) {
			w.t.Errorf("push %d of %s was sent before push %d", seq, p.Event.Waybill(), before.Seq)
		}
	}
	w.t.Errorf("push %d was sent although it is %s", seq, p.Status)
}

// keeps tells whether transit scans wait, and did so before now. A probe takes what there is.
func (w *world) keeps(now time.Time) bool {
	a := w.pusher.roster.Load().order[0]
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reserve.holds && a.reserve.since.Before(now) && !a.gate.pause.Paused
}

// lately tells whether a push of a waybill ended at this very moment: it may have been a main scan.
func (w *world) lately(of state.Waybill, now time.Time) bool {
	return slices.ContainsFunc(w.store.byKey[of], func(p *store.Push) bool { return p.DoneAt.Equal(now) })
}

// answer is upstream's on a bad day.
func (w *world) answer(int, call) (wechat.Answer, error) {
	codes := []int{0, 0, 0, 0, 0, 0, -1, -1, 40001, 42001, 9300507, 40199, 47001, 40097, 45011, 123, 40164}
	w.store.mu.Lock()
	n, takes := w.chance.IntN(len(codes)+1), w.chance.IntN(4000)
	w.store.mu.Unlock()
	if takes > 3000 {
		time.Sleep(time.Duration(takes) * time.Millisecond)
	}
	if n == len(codes) {
		return wechat.Answer{}, errTimeout
	}
	return code(codes[n])
}

func (w *world) broken(call string) error {
	if call != "Account" && w.chance.IntN(10) == 0 {
		return fmt.Errorf("%s: %w", call, errStore)
	}
	return nil
}

// heal puts everything right that waits for a person, and gives it time.
func (w *world) heal(t *testing.T) {
	w.store.breaks(nil)
	w.upstream.mu.Lock()
	w.upstream.answer = nil
	w.upstream.mu.Unlock()
	for n := range worldWaybills {
		w.freeze(n, false)
	}
	w.quota.takesDaily(1_000_000)
	if err := w.pusher.Resume(t.Context(), "SF", 0); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(15 * time.Minute)
	for n := range worldWaybills {
		w.store.putToken(waybill(n), "GOOD")
	}
	time.Sleep(15 * time.Minute)
}

// check holds the end against what is promised: all is sent, and attempts are charged as policy says.
func (w *world) check() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	charged := map[string]bool{"ok": true, "upstream": true, "waybill": true, "event": true}
	for _, p := range w.store.pushes {
		if p.Status == store.NoPush {
			continue
		}
		tries, ok, guarded := 0, 0, 0
		for _, at := range p.Attempts {
			if charged[at.Scope] {
				tries++
			}
			if at.Scope == "ok" {
				ok++
			}
			if at.Scope == "event" {
				guarded++
			}
		}
		switch {
		case p.Status == store.Pending:
			w.t.Errorf("push %d of %s was forgotten: %+v", p.Seq, p.Event.Waybill(), *p)
		case p.Status == store.Discarded: // What was in flight is noted, and not charged.
		case w.guarded && p.Tries <= tries && p.Tries >= tries-guarded: // Those that the guard kept from failing cost nothing.
		case p.Tries != tries:
			w.t.Errorf("push %d was charged %d tries for %d attempts that count", p.Seq, p.Tries, tries)
		case p.Status == store.Delivered && ok != 1 || p.Status == store.Failed && ok != 0:
			w.t.Errorf("push %d is %s after %d successes", p.Seq, p.Status, ok)
		case p.Status == store.Failed && p.Reason == store.ReasonToken:
			w.t.Errorf("push %d was not put back by a new Token", p.Seq)
		}
	}
	a := w.pusher.roster.Load().order[0]
	a.mu.Lock()
	defer a.mu.Unlock()
	ls := &a.lanes
	if a.inFlight != 0 || a.bulkAway != 0 || ls.loaded != 0 || ls.bulk != 0 || len(ls.all) != 0 || len(ls.waiting) != 0 ||
		ls.ready() || a.gate.probing || a.link.Load().breakers[0].probing {
		w.t.Errorf("left in memory: %d in flight (%d of them bulk), %d pushes, %d of them bulk, %d lanes, %d waiting",
			a.inFlight, a.bulkAway, ls.loaded, ls.bulk, len(ls.all), len(ls.waiting))
	}
}

// consistent holds what is counted of the lanes against the lanes.
func (w *world) consistent() {
	a := w.pusher.roster.Load().order[0]
	a.mu.Lock()
	defer a.mu.Unlock()
	loaded, bulks, resting, queued := 0, 0, 0, [numClasses]int{}
	for name, l := range a.lanes.all {
		loaded += len(l.pushes)
		bulks += l.bulk
		if l.where == waiting {
			resting += l.bulk
		}
		if l.where != loading && l.bulk != bulkOf(l.pushes) {
			w.t.Errorf("%s has %d bulk pushes, counted are %d", name, bulkOf(l.pushes), l.bulk)
		}
		if l.where == ready {
			queued[l.class]++
			if l.class != l.classNow() {
				w.t.Errorf("%s is queued as %d and is %d", name, l.class, l.classNow())
			}
		}
	}
	if loaded != a.lanes.loaded || bulks != a.lanes.bulk {
		w.t.Errorf("%d pushes and %d bulk ones are in memory, counted are %d and %d", loaded, bulks, a.lanes.loaded, a.lanes.bulk)
	}
	if resting != a.lanes.resting {
		w.t.Errorf("%d bulk pushes wait for a retry, counted are %d", resting, a.lanes.resting)
	}
	for c := range numClasses {
		if n := len(inQueue(&a.lanes.queues[c])); n != queued[c] || n != a.lanes.queues[c].len {
			w.t.Errorf("queue %d links %d lanes, says %d, and should have %d", c, n, a.lanes.queues[c].len, queued[c])
		}
	}
	if a.inFlight < a.bulkAway || a.bulkAway < 0 || a.bulkAway > bulkLimit(a.concurrency) {
		w.t.Errorf("%d in flight, %d of them bulk", a.inFlight, a.bulkAway)
	}
}

// inQueue follows a queue's links, both ways.
func inQueue(q *queue) []*lane {
	var there, back []*lane
	for l := q.first; l != nil; l = l.next {
		there = append(there, l)
	}
	for l := q.last; l != nil; l = l.prev {
		back = append(back, l)
	}
	slices.Reverse(back)
	if !slices.Equal(there, back) {
		return nil
	}
	return there
}

func TestWorld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		room := rapid.IntRange(4, 40).Draw(rt, "room")
		seed, takes := rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(0, 40).Draw(rt, "ms to read a lane")
		calm, guarded := rapid.Bool().Draw(rt, "calm"), rapid.Bool().Draw(rt, "guarded")
		reserve := rapid.SampledFrom([]float64{0, 0.2, 0.9}).Draw(rt, "reserve")
		bubble(t, func(o *Options) {
			o.MaxLoaded, o.QuotaReserve = room, reserve
			o.Store.(*fakeStore).laneTakes = time.Duration(takes) * time.Millisecond
			o.Accounts[0].Concurrency = 3
			o.Retry = Retry{Initial: 10 * time.Millisecond, Max: 20 * time.Second, Multiplier: 2, MaxAge: time.Minute}
			if guarded {
				o.Guard = GuardOptions{Share: 0.2, Min: 3, Window: 5 * time.Minute}
			}
			o.Breaker = BreakerOptions{MinRequests: 6, OpenFor: 5 * time.Second, HalfOpen: 2}
		}, func(t *testing.T, r *rig) {
			w := &world{rig: r, t: rt, chance: rand.New(rand.NewPCG(seed, 1)), frozenAt: map[string]time.Time{}, guarded: guarded}
			r.upstream.replays = true
			r.upstream.mu.Lock()
			r.upstream.sending = w.sending
			if !calm {
				r.upstream.answer = w.answer
			}
			r.upstream.mu.Unlock()
			r.store.breaks(w.broken)
			rt.Repeat(w.actions(t))
			time.Sleep(time.Second) // What was held is released by then.
			w.heal(t)
			w.check()
		})
	})
}
