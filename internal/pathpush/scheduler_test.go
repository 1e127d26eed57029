package pathpush

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// TestStopDoesNotWaitForAnAccessToken: nothing was sent yet, so there is nothing to wait for.
func TestStopDoesNotWaitForAnAccessToken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.creds.hang()
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		start := time.Now()
		r.stop()
		if took := time.Since(start); took > time.Second || r.err != nil {
			t.Errorf("stopping took %s and ended with %v", took, r.err)
		}
		if p := r.store.push(1); p.Status != store.Pending || p.Tries != 0 || len(p.Attempts) != 0 {
			t.Errorf("the push was charged: %+v", p)
		}
	})
}

// TestStopAtAnyMoment: whenever it comes, Run ends in time, what was sent is recorded, and a new start finishes the work.
func TestStopAtAnyMoment(t *testing.T) {
	for _, after := range []time.Duration{0, 1, time.Millisecond, 20 * time.Millisecond, 21 * time.Millisecond, 300 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, func(o *Options) {
				for w := range 200 {
					o.Store.(*fakeStore).accept(waybill(w), 3, true)
				}
			}, func(t *testing.T, r *rig) {
				time.Sleep(after)
				start := time.Now()
				r.stop()
				if took := time.Since(start); took > 100*time.Millisecond || r.err != nil {
					t.Errorf("stopping took %s and ended with %v", took, r.err)
				}
				sent := len(r.upstream.seen())
				if got := r.store.count(store.Delivered); got != sent {
					t.Errorf("%d were sent, %d are recorded", sent, got)
				}
				r.store.accept(waybill(0), 1, false) // Nobody listens any more; that must not hurt.
				r.begin(t)
				time.Sleep(5 * time.Second)
				if got := r.store.count(store.Delivered); got != 601 || len(r.upstream.seen()) != 601 {
					t.Errorf("delivered %d of 601 with %d requests", got, len(r.upstream.seen()))
				}
			})
		})
	}
}

// TestSentAgainAtOnce: a push whose access_token, or Token, was replaced does not queue up behind thousands of others.
func TestSentAgainAtOnce(t *testing.T) {
	tests := []struct {
		name   string
		answer func(r *rig) (wechat.Answer, error)
	}{
		{"access_token", func(*rig) (wechat.Answer, error) { return code(40001) }},
		{"Token", func(r *rig) (wechat.Answer, error) {
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			r.store.tokens[waybill(0)] = "NEW"
			return code(9300507)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(o *Options) { o.Accounts[0].Concurrency = 8 }, func(t *testing.T, r *rig) {
				var refused atomic.Bool
				r.upstream.answer = func(_ int, c call) (wechat.Answer, error) {
					if c.update.WaybillID == "W0" && refused.CompareAndSwap(false, true) {
						return tt.answer(r)
					}
					return code(0)
				}
				for w := range 2000 {
					r.store.accept(waybill(w), 1, false)
				}
				time.Sleep(200 * time.Millisecond)
				if p := r.store.push(1); p.Status != store.Delivered {
					t.Errorf("push 1 is %s after %d requests", p.Status, len(r.upstream.seen()))
				}
			})
		})
	}
}

// TestOldBacklogDoesNotStarveUnderOverload: more new events come in than can be pushed, for a long time, and the
// memory is full of them.
func TestOldBacklogDoesNotStarveUnderOverload(t *testing.T) {
	bubble(t, func(o *Options) {
		o.MaxLoaded, o.Accounts[0].Concurrency = 200, 8
		for w := range 1000 {
			o.Store.(*fakeStore).accept(waybill(w), 1, true)
		}
	}, func(t *testing.T, r *rig) {
		for w := range 30_000 { // 500/s, while 380/s can be pushed.
			r.store.accept(waybill(10_000+w), 1, false)
			time.Sleep(2 * time.Millisecond)
		}
		old := 0
		for seq := range uint64(1000) {
			if r.store.push(seq+1).Status == store.Delivered {
				old++
			}
		}
		if old < 1000 {
			t.Errorf("%d of 1000 old pushes went in a minute, beside %d new ones", old, r.store.count(store.Delivered)-old)
		}
		if n := r.pusher.Snapshots()[0].Loaded; n > 300 {
			t.Errorf("%d pushes in memory", n)
		}
	})
}

// TestRetriesFarAwayBlockNothingElse: waybills that wait for their next attempt leave the others alone.
func TestRetriesFarAwayBlockNothingElse(t *testing.T) {
	bubble(t, func(o *Options) {
		s := o.Store.(*fakeStore)
		for w := range 300 {
			s.accept(waybill(w), 2, true)
		}
		for i, p := range s.pushes {
			p.NextAt = time.Now().Add(4*time.Minute + time.Duration(i)*time.Millisecond)
			p.Tries = 7
		}
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Second)
		for w := range 300 {
			r.store.accept(waybill(1000+w), 2, false)
		}
		time.Sleep(2 * time.Second)
		if got := r.store.count(store.Delivered); got != 600 || len(r.upstream.seen()) != 600 {
			t.Errorf("delivered %d of the 600 that can go, with %d requests", got, len(r.upstream.seen()))
		}
		time.Sleep(5 * time.Minute)
		if got := r.store.count(store.Delivered); got != 1200 {
			t.Errorf("delivered %d of 1200", got)
		}
	})
}

// TestRetryFromAClockThatWasWrong: no retry waits longer than the longest backoff.
func TestRetryFromAClockThatWasWrong(t *testing.T) {
	bubble(t, func(o *Options) {
		s := o.Store.(*fakeStore)
		s.accept(waybill(1), 1, true)
		s.pushes[0].NextAt = time.Now().AddDate(1, 0, 0)
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Second)
		if r.store.count(store.Delivered) != 1 {
			t.Error("the push waits for a time that a wrong clock has set")
		}
	})
}

func TestRatePrecision(t *testing.T) {
	tests := []struct {
		rate     float64
		over     time.Duration
		min, max int
	}{
		{0.5, time.Minute, 30, 31},
		{1, time.Minute, 60, 61},
		{7, time.Minute, 418, 421},
		{99, 10 * time.Second, 980, 991},
		{1000, 5 * time.Second, 4950, 5010},
		{5000, 2 * time.Second, 9900, 10_050},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.rate), func(t *testing.T) {
			bubble(t, func(o *Options) {
				o.Accounts[0].Rate, o.Accounts[0].Concurrency = tt.rate, 1000
				for w := range tt.max + int(4*tt.rate) {
					o.Store.(*fakeStore).accept(waybill(w), 1, true)
				}
			}, func(t *testing.T, r *rig) {
				time.Sleep(3 * time.Second) // The ramp at the start.
				before := len(r.upstream.seen())
				time.Sleep(tt.over)
				if n := len(r.upstream.seen()) - before; n < tt.min || n > tt.max {
					t.Errorf("%d requests in %s, want %d to %d", n, tt.over, tt.min, tt.max)
				}
			})
		})
	}
}

// TestStoreThatCannotBeRead: lanes that could not be read are read later, and none is forgotten.
func TestStoreThatCannotBeRead(t *testing.T) {
	bubble(t, func(o *Options) {
		for w := range 100 {
			o.Store.(*fakeStore).accept(waybill(w), 2, true)
		}
		o.MaxLoaded = 40
	}, func(t *testing.T, r *rig) {
		n := 0
		r.store.breaks(func(call string) error {
			if n++; call != "Account" && n%3 > 0 && n < 600 {
				return errors.New("input/output error")
			}
			return nil
		})
		for w := range 100 {
			r.store.accept(waybill(50+w), 1, false)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(20 * time.Minute)
		if got := r.store.count(store.Delivered); got != 300 {
			t.Errorf("delivered %d of 300", got)
		}
	})
}

// TestRestingReplay: replayed pushes that wait for their retries leave room for others of the replay, up to a share of
// the memory.
func TestRestingReplay(t *testing.T) {
	const waybills, loaded = 100, 400
	bubble(t, func(o *Options) {
		o.MaxLoaded, o.Breaker.MinRequests = loaded, 1_000_000
		o.Retry = Retry{Initial: time.Hour, Max: time.Hour, Multiplier: 2, MaxAge: 72 * time.Hour}
	}, func(t *testing.T, r *rig) {
		var seqs []uint64
		for w := range waybills {
			r.store.accept(waybill(w), 1, false)
			seqs = append(seqs, uint64(w+1))
		}
		time.Sleep(10 * time.Second)
		r.upstream.mu.Lock()
		r.upstream.answer = func(int, call) (wechat.Answer, error) { return code(-1) }
		r.upstream.mu.Unlock()
		r.store.replayBulk(seqs...)
		time.Sleep(10 * time.Second)
		if got, want := r.pusher.Snapshots()[0].BulkLoaded, waybills-loaded/restingShare; got != want {
			t.Errorf("%d bulk pushes count while %d wait for a retry, want %d", got, waybills, want)
		}
	})
}

// TestUnreadableWaybill: a waybill that can't be read holds up no other, whether swept in or fed, and is sent once it can.
func TestUnreadableWaybill(t *testing.T) {
	bubble(t, func(o *Options) {
		s := o.Store.(*fakeStore)
		s.unreadable = waybill(0)
		for w := range 50 {
			s.accept(waybill(w), 1, true)
		}
	}, func(t *testing.T, r *rig) {
		time.Sleep(10 * time.Second)
		if got := r.store.count(store.Delivered); got != 49 {
			t.Errorf("of the backlog: delivered %d of 49", got)
		}
		start := len(r.upstream.seen())
		for w := range 50 {
			r.store.replay(uint64(w + 1)) // Its lane has to be read.
		}
		time.Sleep(loadRetry / 2)
		if got := len(r.upstream.seen()) - start; got != 49 {
			t.Errorf("made pending again: sent %d of 49", got)
		}
		r.store.mu.Lock()
		r.store.unreadable = state.Waybill{}
		r.store.mu.Unlock()
		time.Sleep(2 * loadRetry)
		if got := r.store.count(store.Delivered); got != 50 {
			t.Errorf("delivered %d of 50", got)
		}
	})
}

func TestAccountThatCannotBeReadEndsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		s.broken = func(string) error { return errors.New("input/output error") }
		p, err := New(Options{Store: s, Accounts: []AccountOptions{
			{DeliveryID: "SF", Hosts: []Host{{"main", newFakeUpstream(t)}}, Credentials: &fakeCreds{}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Error("it runs without knowing whether the account is paused")
		}
	})
}

// TestFrozenWaybill: it is held at once, but for what is in flight, and goes on where it stopped.
func TestFrozenWaybill(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 5, false)
		time.Sleep(10 * time.Millisecond)
		r.store.freeze(waybill(1), true)
		r.store.accept(waybill(1), 1, false)
		r.store.accept(waybill(2), 1, false)
		time.Sleep(time.Hour)
		if n := len(r.upstream.seen()); n != 2 {
			t.Errorf("%d requests, want the one in flight and the other waybill's", n)
		}
		if n := r.pusher.Snapshots()[0].Loaded; n != 0 {
			t.Errorf("%d pushes of a frozen waybill are in memory", n)
		}
		r.store.freeze(waybill(1), false)
		time.Sleep(time.Second)
		if got := r.store.count(store.Delivered); got != 7 {
			t.Errorf("delivered %d of 7", got)
		}
	})
}

// TestFeedOfUnknownAccounts: events of accounts that are not configured any more stay in the store.
func TestFeedOfUnknownAccounts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.store.accept(state.Waybill{DeliveryID: "GONE", WaybillID: "1"}, 1, false)
		time.Sleep(time.Second)
		if n := len(r.upstream.seen()); n != 0 || r.pusher.Held("GONE", false) != store.WaitNothing {
			t.Errorf("%d requests", n)
		}
	})
}

// TestGaugesComeBackToZero: whatever happened, in the end nothing is in flight and nothing in memory.
func TestGaugesComeBackToZero(t *testing.T) {
	bubble(t, func(o *Options) {
		o.MaxLoaded = 50
		o.Retry = Retry{Initial: time.Millisecond, Max: time.Second, Multiplier: 2, MaxAge: time.Minute}
	}, func(t *testing.T, r *rig) {
		codes := []int{0, 40001, -1, 0, 9300507, 47001, 0, 45011, 40164}
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) { return code(codes[n%len(codes)]) }
		for i := range 400 {
			r.store.accept(waybill(i%70), 1+i%3, false)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		r.upstream.mu.Lock()
		r.upstream.answer = nil
		r.upstream.mu.Unlock()
		time.Sleep(30 * time.Minute)
		a := r.pusher.roster.Load().order[0]
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.inFlight != 0 || a.lanes.loaded != 0 || len(a.lanes.all) != 0 || len(a.lanes.waiting) != 0 ||
			a.lanes.ready() || len(a.wanted) != 0 || a.gate.probing {
			t.Errorf("in flight %d, loaded %d, lanes %d, waiting %d, wanted %d, probing %t", a.inFlight,
				a.lanes.loaded, len(a.lanes.all), len(a.lanes.waiting), len(a.wanted), a.gate.probing)
		}
	})
}

// TestManyAccountsFailTogether: one account's store trouble ends the whole pusher, without leaving goroutines behind
// (the bubble sees to that).
func TestManyAccountsFailTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		o := Options{Store: s}
		for _, id := range []string{"SF", "YTO", "ZTO"} {
			o.Accounts = append(o.Accounts, AccountOptions{
				DeliveryID: id, Hosts: []Host{{"main", newFakeUpstream(t)}}, Credentials: &fakeCreds{},
			})
		}
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		s.feed, s.settleIs = p.Feed, errors.New("disk gone")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		s.accept(waybill(1), 1, false)
		if err := <-done; err == nil || ctx.Err() != nil {
			t.Errorf("got %v", err)
		}
	})
}
