package pathpush

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// What is in memory of a lost waybill is not sent, wherever it is; what comes back is found by a sweep.
func TestLostWaybills(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, owner *fakeOwner) {
		r.upstream.takes(time.Second)
		ready, waits, kept := waybill(1), waybill(2), waybill(3)
		r.upstream.answers(func(_ int, c call) (wechat.Answer, error) {
			if c.update.WaybillID == waits.WaybillID {
				return code(-1) // It waits for its retry.
			}
			return code(0)
		})
		for _, w := range []state.Waybill{ready, waits, kept} {
			r.store.accept(w, 3, false)
		}
		time.Sleep(1010 * time.Millisecond) // Each has its second push, or its retry, before it.
		for _, w := range []state.Waybill{ready, waits} {
			owner.lose(w)
		}
		r.pusher.Feed(lostOf(ready, waits))
		time.Sleep(time.Minute)
		sent := map[string]int{}
		for _, c := range r.upstream.seen() {
			sent[c.update.WaybillID]++
		}
		if want := map[string]int{"W1": 2, "W2": 1, "W3": 3}; !reflect.DeepEqual(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
		if s := r.pusher.Snapshots()[0]; s.Loaded != 0 || s.InFlight != 0 {
			t.Errorf("%d pushes are in memory and %d in flight, want none", s.Loaded, s.InFlight)
		}

		r.upstream.answers(nil)
		owner.gain(ready)
		owner.gain(waits)
		r.pusher.Feed(sweepChange())
		time.Sleep(time.Minute)
		if got := r.store.count(store.Delivered); got != 9 {
			t.Errorf("%d of 9 are delivered after the waybills came back", got)
		}
	})
}

// While news of other nodes don't come through, one takes scans of waybills whose lanes are in memory here, and freezes
// one. Nothing of that is told, but that something may have been missed.
func TestMissedNews(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, _ *fakeOwner) {
		r.upstream.takes(100 * time.Millisecond)
		flies, waits, frozen := waybill(1), waybill(2), waybill(3)
		var recovered atomic.Bool
		r.upstream.answers(func(_ int, c call) (wechat.Answer, error) {
			if c.update.WaybillID != flies.WaybillID && !recovered.Load() {
				return code(-1)
			}
			return code(0)
		})
		r.store.accept(waits, 1, false)
		r.store.accept(frozen, 1, false)
		time.Sleep(150 * time.Millisecond) // They wait for their retries.
		r.store.accept(flies, 1, false)
		time.Sleep(50 * time.Millisecond)
		r.store.accept(flies, 1, true)
		r.store.accept(waits, 1, true)
		r.store.mu.Lock()
		r.store.frozen[frozen] = true
		r.store.mu.Unlock()
		recovered.Store(true)
		r.pusher.Feed(missedChange())
		time.Sleep(10 * time.Minute)
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		for _, w := range []state.Waybill{flies, waits} {
			if open := r.store.open(w); len(open) != 0 {
				t.Errorf("%d pushes of %s are left open, want none", len(open), w)
			}
		}
		if open := r.store.open(frozen); len(open) != 1 {
			t.Errorf("%d pushes of a waybill that is frozen are open, want 1", len(open))
		}
	})
}

// A request under way is cut off when the lease ends, says nothing of upstream's health, and is recorded by nobody.
func TestCutOff(t *testing.T) {
	hanging := &hangingUpstream{}
	nodeBubble(t, func(o *Options) {
		o.Breaker.MinRequests, o.Accounts[0].Hosts[0].Upstream = 1, hanging
	}, func(t *testing.T, r *rig, owner *fakeOwner) {
		w := waybill(1)
		r.store.accept(w, 2, false)
		time.Sleep(time.Second)
		owner.lose(w)
		r.pusher.Feed(lostOf(w))
		time.Sleep(time.Second)
		p := r.store.push(1)
		if hanging.calls.Load() != 1 || len(p.Attempts) != 0 || p.Status != store.Pending {
			t.Errorf("%d calls, push %+v; want one call, and a pending push without attempts", hanging.calls.Load(), p)
		}
		if s := r.pusher.Snapshots()[0]; s.Breakers[0].State != "closed" || s.InFlight != 0 || s.Loaded != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

// hangingUpstream answers nothing.
type hangingUpstream struct{ calls atomic.Int32 }

func (u *hangingUpstream) UpdatePath(ctx context.Context, _ string, _ wechat.PathUpdate) (wechat.Answer, error) {
	u.calls.Add(1)
	<-ctx.Done()
	return wechat.Answer{}, &wechat.CallError{Op: "updatePath", Sent: true, Kind: "cancelled", Err: ctx.Err()}
}

// An answer that comes just before the lease ends, and is refused by the store, ends nothing but the lane.
func TestRefusedOutcome(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, owner *fakeOwner) {
		w := waybill(1)
		r.upstream.sending = func(call) { // Before anything is accepted.
			owner.mu.Lock()
			owner.lost[w] = true
			owner.mu.Unlock()
		}
		r.store.accept(w, 2, false)
		r.store.accept(waybill(2), 2, false)
		time.Sleep(time.Second)
		if got := r.store.count(store.Delivered); got != 2 {
			t.Errorf("%d delivered, want only the 2 of the other waybill", got)
		}
		if calls := len(r.upstream.seen()); calls != 3 {
			t.Errorf("%d calls, want 3", calls)
		}
	})
}

// A waybill that is lost while an access_token is fetched is not sent.
func TestLostBeforeSending(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, owner *fakeOwner) {
		r.creds.hang()
		w := waybill(1)
		r.store.accept(w, 1, false)
		time.Sleep(time.Second)
		if owner.underWay() != 1 {
			t.Error("the push is not under way while an access_token is fetched")
		}
		owner.lose(w)
		r.pusher.Feed(lostOf(w))
	})
}

// The rate is divided by the nodes that are alive.
func TestRateOfNodes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes int
		want  int // within 10 s at 40/s
	}{{"alone", 1, 400}, {"of two", 2, 200}, {"of eight", 8, 50}} {
		t.Run(tt.name, func(t *testing.T) {
			nodeBubble(t, func(o *Options) { o.Accounts[0].Rate = 40 }, func(t *testing.T, r *rig, owner *fakeOwner) {
				owner.mu.Lock()
				owner.nodes = tt.nodes
				owner.mu.Unlock()
				for i := range 600 {
					r.store.accept(waybill(i), 1, false)
				}
				time.Sleep(10 * time.Second)
				if got := len(r.upstream.seen()); got < tt.want-2 || got > tt.want+3 {
					t.Errorf("%d pushes within 10 s, want %d", got, tt.want)
				}
			})
		})
	}
}

// The concurrency is divided likewise, and each node has at least one.
func TestConcurrencyOfNodes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes int
		want  int // in flight at once, of 10
	}{{"alone", 1, 10}, {"of two", 2, 5}, {"of three", 3, 4}, {"of more than there are", 30, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			nodeBubble(t, func(o *Options) { o.Accounts[0].Concurrency = 10 }, func(t *testing.T, r *rig, owner *fakeOwner) {
				owner.mu.Lock()
				owner.nodes = tt.nodes
				owner.mu.Unlock()
				r.upstream.takes(time.Minute)
				for i := range 40 {
					r.store.accept(waybill(i), 1, false)
				}
				time.Sleep(5 * time.Second)
				if got, told := owner.underWay(), r.pusher.Snapshots()[0].Concurrency; got != tt.want || told != tt.want {
					t.Errorf("%d pushes are in flight, and %d may be, they say; want %d", got, told, tt.want)
				}
			})
		})
	}
}

func TestAccountOfOtherNodes(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, _ *fakeOwner) {
		r.pusher.Feed(r.store.otherNode(func(a *store.Account) {
			a.Paused, a.ByHand, a.Reason, a.Since = true, true, "the label printer is broken", time.Now()
		}))
		synctest.Wait()
		if s := r.pusher.Snapshots()[0]; !s.Paused || s.PauseReason != "the label printer is broken" {
			t.Errorf("another node's pause did not arrive: %+v", s)
		}
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Minute)
		if n := len(r.upstream.seen()); n != 0 {
			t.Errorf("%d pushes were sent while paused", n)
		}
		r.pusher.Feed(r.store.otherNode(func(a *store.Account) { *a = store.Account{Version: a.Version, Quota: a.Quota} }))
		time.Sleep(time.Second)
		if got := r.store.count(store.Delivered); got != 1 {
			t.Errorf("%d delivered after another node resumed the account, want 1", got)
		}
	})
}

// Two nodes that keep something of an account at a time lose nothing of each other's.
func TestAccountConflict(t *testing.T) {
	nodeBubble(t, func(o *Options) { o.QuotaReserve = 0 }, func(t *testing.T, r *rig, owner *fakeOwner) {
		owner.mu.Lock()
		owner.nodes = 2
		owner.mu.Unlock()
		r.store.accept(waybill(1), 30, false)
		time.Sleep(time.Second) // Not kept yet.
		forced := time.Now().Add(-time.Hour)
		// The news is not fed: it is found when this node keeps what it counted.
		_ = r.store.otherNode(func(a *store.Account) {
			a.Paused, a.ByHand, a.Reason, a.Since = true, true, "stop", time.Now()
			a.Quota = store.Quota{Day: dayOf(time.Now()), Used: 500}
			a.ForcedAt = []time.Time{forced, forced.Add(-48 * time.Hour)}
		})
		time.Sleep(keepQuotaEvery)
		kept := r.store.account("SF")
		if !kept.Paused || kept.Reason != "stop" || kept.Quota.Used != 530 || len(kept.ForcedAt) != 1 || !kept.ForcedAt[0].Equal(forced) {
			t.Errorf("kept %+v; want the other node's pause, both nodes' calls (530), and what was forced today", kept)
		}
		if s := r.pusher.Snapshots()[0]; !s.Paused || s.Quota.Used != 530 {
			t.Errorf("this node: %+v", s)
		}

		// Its own change of the pause stands, whatever the other kept before it knew.
		_ = r.store.otherNode(func(a *store.Account) { a.Quota.Used += 70 })
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		if kept := r.store.account("SF"); kept.Paused || kept.Quota.Used != 600 {
			t.Errorf("after this node resumed: %+v; want no pause, and 600 calls", kept)
		}
	})
}

func TestQuotaMerge(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, beijing)
	day, before := dayOf(now), dayOf(now.AddDate(0, 0, -1))
	asked := now.Add(-time.Minute)
	for _, tt := range []struct {
		name         string
		mine         quota
		base, theirs store.Quota
		used, limit  int64
	}{
		{"both counted", quota{day: day, used: 130}, store.Quota{Day: day, Used: 100}, store.Quota{Day: day, Used: 180}, 210, 0},
		{"nothing kept before", quota{day: day, used: 30}, store.Quota{}, store.Quota{Day: day, Used: 180}, 210, 0},
		{"theirs is of yesterday", quota{day: day, used: 30}, store.Quota{Day: before, Used: 900}, store.Quota{Day: before, Used: 980}, 30, 0},
		{"the base is of yesterday", quota{day: day, used: 30}, store.Quota{Day: before, Used: 900}, store.Quota{Day: day, Used: 10}, 40, 0},
		{"they asked upstream", quota{day: day, used: 130}, store.Quota{Day: day, Used: 100},
			store.Quota{Day: day, Used: 700, Limit: 1000, AskedAt: asked}, 730, 1000},
		{"this one asked upstream", quota{day: day, used: 700, limit: 1000, askedAt: asked}, store.Quota{Day: day, Used: 100},
			store.Quota{Day: day, Used: 180}, 700, 1000},
		{"more was kept than sent", quota{day: day, used: 10}, store.Quota{Day: day, Used: 200}, store.Quota{Day: day, Used: 100}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := tt.mine
			q.merge(&tt.base, &tt.theirs, now)
			if q.used != tt.used || q.limit != tt.limit {
				t.Errorf("used %d of %d, want %d of %d", q.used, q.limit, tt.used, tt.limit)
			}
		})
	}
}

// A breaker that opens here is told of, and one that opened elsewhere opens here, once and without echo.
func TestBreakersOfNodes(t *testing.T) {
	nodeBubble(t, nil, func(t *testing.T, r *rig, owner *fakeOwner) {
		news := store.BreakerNews{DeliveryID: "SF", Host: "main", Open: true, OpenedBy: "20 × timeout"}
		r.pusher.Feed([]store.Change{{Shared: &store.Shared{Breaker: &news}}})
		synctest.Wait()
		s := r.pusher.Snapshots()[0].Breakers[0]
		if s.State != "open" || s.OpenedBy != news.OpenedBy || s.NextProbeAt.IsZero() {
			t.Errorf("another node's open breaker: %+v here", s)
		}
		r.store.accept(waybill(1), 1, false)
		time.Sleep(20 * time.Second)
		if n := len(r.upstream.seen()); n != 0 {
			t.Errorf("%d pushes went through an open breaker", n)
		}
		closed := store.BreakerNews{DeliveryID: "SF", Host: "main"}
		r.pusher.Feed([]store.Change{{Shared: &store.Shared{Breaker: &closed}}})
		time.Sleep(time.Second)
		if got := r.store.count(store.Delivered); got != 1 {
			t.Errorf("%d delivered after the breaker closed elsewhere, want 1", got)
		}
		if told := owner.news(); len(told) != 0 {
			t.Errorf("news of others was told again: %+v", told)
		}

		r.upstream.answers(func(int, call) (wechat.Answer, error) { return wechat.Answer{}, errTimeout })
		for i := range 40 {
			r.store.accept(waybill(100+i), 1, false)
		}
		time.Sleep(time.Second)
		if told := owner.news(); len(told) != 1 || !told[0].Open || told[0].Host != "main" || told[0].OpenedBy == "" {
			t.Errorf("told %+v, want that main opened", told)
		}
	})
}

// A shared store that is away for a while ends nothing: the outcome waits for it, and nothing is sent twice.
func TestStoreComesBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		lose   bool // The lease, while the store is away.
		status store.Status
	}{
		{"nothing was kept", store.ErrUnavailable, false, store.Delivered},
		{"the outcome is unknown", errors.New("the connection broke during a commit"), false, store.Delivered},
		{"the lease ends", store.ErrUnavailable, true, store.Pending},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodeBubble(t, nil, func(t *testing.T, r *rig, owner *fakeOwner) {
				w := waybill(1)
				r.store.fail(tt.err)
				r.store.accept(w, 1, false)
				time.Sleep(5 * time.Second)
				if tt.lose {
					owner.lose(w)
				}
				r.store.fail(nil)
				time.Sleep(time.Second)
				if p := r.store.push(1); p.Status != tt.status || len(r.upstream.seen()) != 1 {
					t.Errorf("the push is %s after %d calls; want %s after 1", p.Status, len(r.upstream.seen()), tt.status)
				}
			})
		})
	}
}
