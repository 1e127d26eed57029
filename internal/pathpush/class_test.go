package pathpush

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// opened is an open push for lanes in tests: of a bulk replay or not, and since when it is open.
func opened(ord uint64, bulk bool, minute int) store.Push {
	at := time.Date(2026, 1, 1, 10, minute, 0, 0, time.UTC)
	return store.Push{Seq: ord, Ord: ord, Status: store.Pending, Bulk: bulk, OpenedAt: at}
}

func TestClassOfALane(t *testing.T) {
	received := store.Push{Seq: 9, Ord: 9, ReceivedAt: time.Date(2026, 1, 1, 10, 9, 0, 0, time.UTC)} // never reopened
	tests := []struct {
		name   string
		lane   lane         // before
		read   []store.Push // Then it is read,
		append []store.Push // and these come in.
		want   class
	}{
		{"a scan", lane{}, nil, []store.Push{opened(1, false, 1)}, live},
		{"swept in", lane{backlog: true}, []store.Push{opened(1, false, 1)}, nil, old},
		{"swept in, and a scan", lane{backlog: true}, []store.Push{opened(1, false, 1)}, []store.Push{opened(2, false, 2)}, old},
		{"replayed", lane{}, []store.Push{opened(1, true, 5), opened(2, true, 6)}, nil, bulk},
		{"replayed, swept in", lane{backlog: true}, []store.Push{opened(1, true, 5)}, nil, bulk},
		{"a scan behind replayed ones", lane{}, []store.Push{opened(1, true, 5)}, []store.Push{opened(2, false, 6)}, live},
		{"the same, swept in", lane{backlog: true}, []store.Push{opened(1, true, 5)}, []store.Push{opened(2, false, 6)}, live},
		{"read with a scan behind replayed ones", lane{}, []store.Push{opened(1, true, 5), opened(2, false, 6)}, nil, live},
		{"the same, of the same commit", lane{}, []store.Push{opened(1, true, 5), opened(2, false, 5)}, nil, live},
		{"the same, swept in", lane{backlog: true}, []store.Push{opened(1, true, 5), opened(2, false, 6)}, nil, live},
		{"a scan between two replays", lane{}, []store.Push{opened(1, true, 5), opened(2, true, 8), opened(3, false, 6)}, nil, live},
		{"a scan that was never reopened", lane{}, []store.Push{opened(1, true, 8), received}, nil, live},
		{"parked until the replay", lane{}, []store.Push{opened(1, true, 5), opened(2, false, 4)}, nil, old},
		{"parked until the replay, and a scan", lane{}, []store.Push{opened(1, true, 5), opened(2, false, 4)},
			[]store.Push{opened(3, false, 6)}, live},
		{"on its way when the replay came", lane{known: true}, []store.Push{opened(1, true, 5), opened(2, false, 4)}, nil, live},
		{"a replay behind another", lane{}, []store.Push{opened(1, true, 5)}, []store.Push{opened(2, true, 6)}, bulk},
		{"a Token came", lane{}, []store.Push{opened(1, false, 1), opened(2, false, 2)}, nil, live},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ls, l := lanes{}, &tt.lane
			l.origin(tt.read)
			ls.put(l, tt.read)
			ls.append(l, tt.append)
			if got := l.classNow(); got != tt.want {
				t.Errorf("the class is %d, want %d", got, tt.want)
			}
			if want := bulkOf(l.pushes); l.bulk != want || ls.bulk != want || ls.loaded != len(l.pushes) {
				t.Errorf("counted %d and %d bulk pushes of %d, want %d of %d", l.bulk, ls.bulk, ls.loaded, want, len(l.pushes))
			}
		})
	}
}

// TestTurns shows who goes when: l, o, b for live, old and bulk, B for bulk for want of others.
func TestTurns(t *testing.T) {
	tests := []struct {
		name            string
		live, old, bulk int // lanes ready; the one that goes comes back
		bulkMay         bool
		want            string
	}{
		{"nothing", 0, 0, 0, true, ""},
		{"live only", 1, 0, 0, true, "llllllll"},
		{"bulk only", 0, 0, 1, true, "BBBB"},
		{"bulk only, with its share in flight", 0, 0, 1, false, ""},
		{"live and old", 1, 1, 0, true, "llllollllollllo"},
		{"live and bulk", 1, 0, 1, true, "lllllllllllllllblllllllllllllllb"},
		{"old and bulk", 0, 1, 1, true, "ooooooooooooooobooo"},
		{"all", 1, 1, 1, true, "llllollllollllobllllo"},
		{"all, but bulk has its share in flight", 1, 1, 1, false, "llllollllollllollllo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ls := lanes{}
			for c, n := range []int{tt.live, tt.old, tt.bulk} {
				for range n {
					ls.queues[c].push(&lane{class: class(c), where: ready})
				}
			}
			var got strings.Builder
			for range len(tt.want) {
				turn, ok := ls.turn(tt.bulkMay)
				if !ok {
					break
				}
				l := ls.pop(turn.class)
				l.where = ready
				ls.queues[turn.class].push(l)
				if turn.spare {
					got.WriteByte('B')
				} else {
					got.WriteByte("lob"[turn.class])
				}
			}
			if got.String() != tt.want {
				t.Errorf("got  %s\nwant %s", got.String(), tt.want)
			}
			if _, ok := ls.turn(tt.bulkMay); ok != (tt.want != "") {
				t.Errorf("a lane may go: %t", ok)
			}
		})
	}
}

func TestBulkLimit(t *testing.T) {
	for limit, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 64: 32} {
		if got := bulkLimit(limit); got != want {
			t.Errorf("%d of %d, want %d", got, limit, want)
		}
	}
}

func TestQueue(t *testing.T) {
	var q queue
	a, b, c := &lane{}, &lane{}, &lane{}
	steps := []struct {
		name string
		do   func()
		want []*lane
	}{
		{"push", func() { q.push(a) }, []*lane{a}},
		{"push another", func() { q.push(b) }, []*lane{a, b}},
		{"push to the front", func() { q.pushFront(c) }, []*lane{c, a, b}},
		{"remove from the middle", func() { q.remove(a) }, []*lane{c, b}},
		{"remove the last", func() { q.remove(b) }, []*lane{c}},
		{"remove the only one", func() { q.remove(c) }, nil},
		{"push to the front of none", func() { q.pushFront(b) }, []*lane{b}},
		{"push behind it", func() { q.push(a) }, []*lane{b, a}},
		{"remove the first", func() { q.remove(b) }, []*lane{a}},
	}
	for _, s := range steps {
		s.do()
		if got := inQueue(&q); !slices.Equal(got, s.want) || q.len != len(s.want) {
			t.Fatalf("%s: %d lanes linked, %d counted, want %d", s.name, len(got), q.len, len(s.want))
		}
	}
}

// failedPushes makes n waybills, from first on, each with a push that failed.
func (s *fakeStore) failedPushes(first, n int) (seqs []uint64) {
	for i := range n {
		s.mu.Lock()
		p := s.keep(waybill(first+i), store.Failed)
		p.Reason = store.ReasonExhausted
		seqs = append(seqs, p.Seq)
		s.mu.Unlock()
	}
	return seqs
}

// TestBulkLeavesRoom: however many replays there are, and however slow upstream is, a live event goes at once.
func TestBulkLeavesRoom(t *testing.T) {
	for _, concurrency := range []int{2, 5, 64} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			bubble(t, func(o *Options) { o.Accounts[0].Concurrency = concurrency }, func(t *testing.T, r *rig) {
				r.upstream.takes(time.Minute)
				r.store.replayBulk(r.store.failedPushes(0, 1000)...)
				time.Sleep(10 * time.Second) // The ramp at the start.
				if n := r.pusher.Snapshots()[0].InFlight; n != bulkLimit(concurrency) {
					t.Errorf("%d replayed pushes are in flight, want %d of %d", n, bulkLimit(concurrency), concurrency)
				}
				r.store.accept(waybill(5000), 1, false)
				time.Sleep(time.Millisecond)
				calls := r.upstream.seen()
				if last := calls[len(calls)-1].update.WaybillID; last != "W5000" {
					t.Errorf("the live event does not go; the last that went is %s", last)
				}
			})
		})
	}
}

// TestBulkDoesNotStarve: live events take all there is, and replays still get their turns.
func TestBulkDoesNotStarve(t *testing.T) {
	bubble(t, func(o *Options) { o.Accounts[0].Concurrency = 8 }, func(t *testing.T, r *rig) {
		seqs := r.store.failedPushes(0, 100)
		r.store.replayBulk(seqs...)
		for w := range 6000 { // 500/s, while 380/s can be pushed.
			r.store.accept(waybill(10_000+w), 1, false)
			time.Sleep(2 * time.Millisecond)
		}
		delivered := r.store.count(store.Delivered)
		for _, seq := range seqs {
			if p := r.store.push(seq); p.Status != store.Delivered {
				t.Fatalf("replayed push %d is %s while %d others went", seq, p.Status, delivered)
			}
		}
	})
}

// TestScanBehindReplays: today's scan of a waybill is not late for a replay, wherever its lane is when it comes.
func TestScanBehindReplays(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		scan   func(r *rig, w int) // Makes the scan come in the wanted moment; W1's replayed push is seq 1.
	}{
		{"ready", nil, func(r *rig, w int) {
			r.store.replayBulk(1)
			time.Sleep(500 * time.Millisecond)
			r.store.accept(waybill(w), 1, false)
		}},
		{"being read", func(o *Options) { o.Store.(*fakeStore).laneTakes = 2 * time.Millisecond }, func(r *rig, w int) {
			r.store.replayBulk(1)
			time.Sleep(time.Millisecond)
			r.store.accept(waybill(w), 1, false)
		}},
		{"before the replay", nil, func(r *rig, w int) {
			r.store.mu.Lock()
			r.store.frozen[waybill(w)] = true // So that it is still open when the replay comes.
			r.store.mu.Unlock()
			r.store.accept(waybill(w), 1, false)
			r.store.freeze(waybill(w), false)
			r.store.replayBulk(1)
		}},
		{"no room for it", nil, func(r *rig, w int) {
			r.store.replayBulk(1)
			time.Sleep(100 * time.Millisecond)
			a := r.pusher.roster.Load().order[0]
			a.mu.Lock()
			room := a.maxLoaded
			a.maxLoaded = 1
			a.mu.Unlock()
			r.store.accept(waybill(w), 1, false)
			a.mu.Lock()
			a.maxLoaded = room
			a.mu.Unlock()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.change, func(t *testing.T, r *rig) {
				r.upstream.replays = true
				first := r.store.failedPushes(1, 1)
				if first[0] != 1 {
					t.Fatalf("the first push is %d", first[0])
				}
				r.upstream.takes(time.Second)
				r.store.replayBulk(r.store.failedPushes(100, 2000)...) // A minute's work, all before W1.
				time.Sleep(5 * time.Second)
				start := time.Now()
				tt.scan(r, 1)
				time.Sleep(4 * time.Second)
				done := 0
				for _, p := range r.store.byWaybill(waybill(1)) {
					if p.Status == store.Delivered && p.DoneAt.Sub(start) < 3*time.Second {
						done++
					}
				}
				if done != 2 {
					t.Errorf("%d of the waybill's 2 pushes went while %d replays wait", done, r.store.count(store.Pending))
				}
			})
		})
	}
}

func (s *fakeStore) byWaybill(w state.Waybill) []store.Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []store.Push
	for _, p := range s.byKey[w] {
		all = append(all, *p)
	}
	return all
}

// TestBulkLoaded: what the replay runner paces itself by counts what is in memory and what is being read.
func TestBulkLoaded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		loaded := func() int { return r.pusher.Snapshots()[0].BulkLoaded }
		seqs := r.store.failedPushes(0, 300)
		if err := r.pusher.Pause(t.Context(), "SF", "so that nothing goes"); err != nil {
			t.Fatal(err)
		}
		r.store.mu.Lock()
		r.store.laneTakes = time.Second
		r.store.mu.Unlock()
		r.store.replayBulk(seqs...)
		if n := loaded(); n != 300 {
			t.Errorf("%d while the lanes are being read, want 300", n)
		}
		r.store.accept(waybill(1000), 5, false)
		time.Sleep(400 * time.Second)
		if s := r.pusher.Snapshots()[0]; s.BulkLoaded != 300 || s.Loaded != 305 {
			t.Errorf("%d of %d in memory are bulk, want 300 of 305", s.BulkLoaded, s.Loaded)
		}
		r.store.freeze(waybill(0), true)
		r.store.discard(seqs[1])
		time.Sleep(10 * time.Second)
		if n := loaded(); n != 298 {
			t.Errorf("%d after a freeze and a discard, want 298", n)
		}
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := loaded(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// TestSweptReplaysLeaveRoom: after a restart in the middle of a replay the memory is not full of it.
func TestSweptReplaysLeaveRoom(t *testing.T) {
	bubble(t, func(o *Options) {
		o.MaxLoaded = 400
		s := o.Store.(*fakeStore)
		s.feed = func([]store.Change) {}
		s.replayBulk(s.failedPushes(0, 2000)...)
	}, func(t *testing.T, r *rig) {
		r.upstream.takes(time.Second)
		time.Sleep(3 * time.Second)
		s := r.pusher.Snapshots()[0]
		if s.BulkLoaded < 100 || s.BulkLoaded > 220 {
			t.Errorf("%d of the room of 400 are taken by replays", s.BulkLoaded)
		}
		r.store.accept(waybill(5000), 1, false)
		time.Sleep(1500 * time.Millisecond)
		if p := r.store.push(2001); p.Status != store.Delivered {
			t.Error("a live event waits for replays that were swept in")
		}
		time.Sleep(5 * time.Minute)
		if n := r.store.count(store.Delivered); n != 2001 {
			t.Errorf("delivered %d of 2001", n)
		}
	})
}

// TestRateWithReplays: they take what live events leave of the rate, and no more.
func TestRateWithReplays(t *testing.T) {
	bubble(t, func(o *Options) { o.Accounts[0].Rate = 50 }, func(t *testing.T, r *rig) {
		r.store.replayBulk(r.store.failedPushes(0, 3000)...)
		time.Sleep(2 * time.Second)
		before := len(r.upstream.seen())
		for i := range 400 { // 20/s
			r.store.accept(waybill(10_000+i), 1, false)
			time.Sleep(50 * time.Millisecond)
		}
		live, all := 0, r.upstream.seen()[before:]
		for _, c := range all {
			if len(c.update.WaybillID) == len("W10000") {
				live++
			}
		}
		if live < 399 || len(all) < 985 || len(all) > 1005 {
			t.Errorf("%d requests in 20 s at 50/s, of them %d of the 400 live events", len(all), live)
		}
	})
}

// TestRateLeavesOneForLive: at a low rate a live event would wait long if replays took each chance at once.
func TestRateLeavesOneForLive(t *testing.T) {
	bubble(t, func(o *Options) { o.Accounts[0].Rate = 2 }, func(t *testing.T, r *rig) {
		r.store.replayBulk(r.store.failedPushes(0, 200)...)
		time.Sleep(3 * time.Second)
		for i := range 20 {
			time.Sleep(1700 * time.Millisecond)
			r.store.accept(waybill(10_000+i), 1, false)
			start := time.Now()
			time.Sleep(time.Millisecond)
			calls := r.upstream.seen()
			if last := calls[len(calls)-1]; last.update.WaybillID != waybill(10_000+i).WaybillID {
				t.Errorf("live event %d waits; the last that went is %s, %s before", i, last.update.WaybillID, start.Sub(last.at))
			}
		}
		if n := len(r.upstream.seen()); n < 70 || n > 80 {
			t.Errorf("%d requests in 37 s at 2/s", n)
		}
	})
}

// latencies pushes live events at a rate a second for ten seconds, beside a permanent flood of replays or without it,
// and returns how long they took from their arrival, sorted.
func latencies(t *testing.T, o AccountOptions, perSecond float64, flood bool) (took []time.Duration, replayed int) {
	bubble(t, func(opts *Options) {
		opts.Accounts[0].Concurrency, opts.Accounts[0].Rate = o.Concurrency, o.Rate
	}, func(t *testing.T, r *rig) {
		chance := rand.New(rand.NewPCG(1, 2))
		r.upstream.replays = true
		r.upstream.answer = func(int, call) (wechat.Answer, error) {
			r.store.mu.Lock()
			slow := time.Duration(chance.ExpFloat64() * float64(20*time.Millisecond))
			r.store.mu.Unlock()
			time.Sleep(slow) // on top of upstream's 20 ms
			return code(0)
		}
		if flood {
			stop := make(chan struct{})
			defer close(stop)
			go r.flood(stop)
		}
		time.Sleep(3 * time.Second) // The ramp at the start.
		arrivals := rand.New(rand.NewPCG(3, 4))
		const first = 10_000 // waybill
		last := first
		for start := time.Now(); time.Since(start) < 10*time.Second; last++ {
			time.Sleep(time.Duration(arrivals.ExpFloat64() / perSecond * float64(time.Second)))
			r.store.accept(waybill(last), 1, false)
		}
		time.Sleep(5 * time.Second)
		for w := first; w < last; w++ {
			p := r.store.byWaybill(waybill(w))[0]
			if p.Status != store.Delivered {
				t.Errorf("live push %d is %s", p.Seq, p.Status)
			}
			took = append(took, p.DoneAt.Sub(p.ReceivedAt))
		}
		replayed = len(r.upstream.seen()) - len(took)
	})
	slices.Sort(took)
	return took, replayed
}

// flood keeps bulk replays coming, as many at a time as the replay runner lets be in memory.
func (r *rig) flood(stop chan struct{}) {
	seqs := r.store.failedPushes(0, 1024)
	for next := 0; ; {
		for range max(0, 512-r.pusher.Snapshots()[0].BulkLoaded) {
			r.store.replayBulk(seqs[next%len(seqs)]) // Again, if it was delivered.
			next++
		}
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestLiveLatencyBesideReplays: with a permanent flood of bulk replays the p99 of live events, from arrival to durable
// delivery, is at most twice what it is without.
func TestLiveLatencyBesideReplays(t *testing.T) {
	tests := []struct {
		name      string
		account   AccountOptions
		perSecond float64
	}{
		{"default", AccountOptions{Concurrency: 64}, 300},
		{"busy", AccountOptions{Concurrency: 64}, 1000},
		{"four at once", AccountOptions{Concurrency: 4}, 30},
		{"rate 100", AccountOptions{Concurrency: 64, Rate: 100}, 50},
		{"rate 20", AccountOptions{Concurrency: 64, Rate: 20}, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p99 := func(took []time.Duration) time.Duration { return took[len(took)*99/100] }
			without, _ := latencies(t, tt.account, tt.perSecond, false)
			with, replayed := latencies(t, tt.account, tt.perSecond, true)
			t.Logf("%d live events: p50 %s, p99 %s without; p50 %s, p99 %s with %d replayed pushes beside them",
				len(with), without[len(without)/2].Round(time.Millisecond), p99(without).Round(time.Millisecond),
				with[len(with)/2].Round(time.Millisecond), p99(with).Round(time.Millisecond), replayed)
			if p99(with) > 2*p99(without) {
				t.Errorf("p99 is %s, and %s without replays", p99(with), p99(without))
			}
			if replayed < 100 {
				t.Errorf("only %d replayed pushes went", replayed)
			}
		})
	}
}
