package pathpush

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

var guardOptions = GuardOptions{Share: 0.5, Min: 10, Window: 10 * time.Minute}

func TestGuardMayFail(t *testing.T) {
	tests := []struct {
		name          string
		o             GuardOptions
		failed, ended int // before: refused, and delivered
		age           time.Duration
		want          bool
	}{
		{"nothing yet", guardOptions, 0, 0, 0, true},
		{"the last that may", guardOptions, 9, 0, 0, true},
		{"one too many", guardOptions, 10, 0, 0, false},
		{"at the share", guardOptions, 10, 11, 0, true},
		{"above the share", guardOptions, 10, 10, 0, false},
		{"nearly out of the window", guardOptions, 10, 0, 9*time.Minute + 29*time.Second, false},
		{"out of the window", guardOptions, 10, 0, 10 * time.Minute, true},
		{"off", GuardOptions{}, 1000, 0, 0, true},
		{"all may fail", GuardOptions{Share: 1, Min: 1, Window: time.Minute}, 1000, 0, 0, true},
		{"a tiny window", GuardOptions{Share: 0.5, Min: 1, Window: 1}, 5, 0, 0, false},
		{"without a minimum", GuardOptions{Share: 0.5, Window: time.Minute}, 0, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			g := newGuard(tt.o, now)
			for range tt.ended {
				g.ended(now)
			}
			b := g.bucket(now)
			b.failed, b.ended = b.failed+tt.failed, b.ended+tt.failed
			if got := g.mayFail(47001, now.Add(tt.age)); got != tt.want {
				t.Errorf("got %t with %+v", got, g.count(now.Add(tt.age)))
			}
		})
	}
}

// TestGuardCounts holds the buckets against a list of what happened: all within the window less a bucket is counted,
// nothing from before the window is, and memory does not grow.
func TestGuardCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type end struct {
			at   time.Time
			code int // 0: delivered
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		g := newGuard(GuardOptions{Share: 1, Min: 1, Window: 20 * time.Second}, now)
		var all []end
		for range rapid.IntRange(1, 300).Draw(rt, "ends") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(rt, "ms")) * time.Millisecond)
			code := rapid.SampledFrom([]int{0, 0, 47001, 40097, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}).Draw(rt, "code")
			if all = append(all, end{now, code}); code == 0 {
				g.ended(now)
			} else if !g.mayFail(code, now) {
				rt.Fatal("a share of 1 can't be exceeded")
			}
			var least, most guardCount
			for _, e := range all {
				failed := 0
				if e.code != 0 {
					failed = 1
				}
				if now.Sub(e.at) < 19*time.Second {
					least.ended, least.failed = least.ended+1, least.failed+failed
				}
				if now.Sub(e.at) < 20*time.Second {
					most.ended, most.failed = most.ended+1, most.failed+failed
				}
			}
			got := g.count(now)
			if got.ended < least.ended || got.ended > most.ended || got.failed < least.failed || got.failed > most.failed {
				rt.Fatalf("counted %+v, want %+v to %+v", got, least, most)
			}
			codes := 0
			for _, c := range g.commonest(now) {
				codes += c.n
			}
			if codes > got.failed {
				rt.Fatalf("%d errcodes of %d failures", codes, got.failed)
			}
		}
		for i := range g.buckets {
			if n := len(g.buckets[i].codes); n > guardCodes {
				rt.Fatalf("a bucket knows %d errcodes", n)
			}
		}
	})
}

func TestGuardReason(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuard(guardOptions, now)
	for i := range 10 {
		code := 47001
		if i%5 == 4 {
			code = 123456
		}
		g.mayFail(code, now)
	}
	g.ended(now)
	if g.mayFail(47001, now) {
		t.Fatal("it does not trip")
	}
	got, zh := g.reason(47001, now)
	for _, want := range []string{"of the 11 pushes that ended within 10m upstream refused 10", "8 × errcode 47001 (",
		wechat.Meaning(47001, false)[:20], "2 × errcode 123456", "resume", "let_fail_for", "share 0.5", "min 10"} {
		if !strings.Contains(got, want) {
			t.Errorf("the reason lacks %q: %s", want, got)
		}
	}
	for _, want := range []string{"10m 内结束的 11 个推送中，上游永久拒绝了 10 个", "8 × errcode 47001（", "2 × errcode 123456。", "share 0.5，min 10"} {
		if !strings.Contains(zh, want) {
			t.Errorf("in Chinese the reason lacks %q: %s", want, zh)
		}
	}
	none := newGuard(GuardOptions{Share: 0.5, Window: 90 * time.Minute}, now)
	none.mayFail(40097, now)
	if got, _ := none.reason(40097, now); !strings.Contains(got, "errcode 40097") || !strings.Contains(got, "1h30m ") {
		t.Errorf("the first refusal trips: %s", got)
	}
}

// refuse makes upstream refuse everything for good.
func refuse(int, call) (wechat.Answer, error) { return code(47001) }

// TestGuardStopsMassFailing: what one cause would make fail by the thousands stays pending, until an operator has looked.
func TestGuardStopsMassFailing(t *testing.T) {
	bubble(t, func(o *Options) { o.Guard = GuardOptions{Share: 0.5, Min: 100, Window: 10 * time.Minute} }, func(t *testing.T, r *rig) {
		r.upstream.answer = refuse
		for w := range 2000 {
			r.store.accept(waybill(w), 2, false)
		}
		start := time.Now()
		time.Sleep(time.Minute)
		s, kept := r.pusher.Snapshots()[0], r.store.account("SF")
		if n := r.store.count(store.Failed); n != 100 {
			t.Errorf("%d failed, want the 100 that may", n)
		}
		if g := s.Guard; !g.Tripped || g.Failed != 100 || g.Ended != 100 || g.Since.Before(start) || !g.LetFailUntil.IsZero() {
			t.Errorf("the guard is %+v", g)
		}
		if !s.Paused || !s.NextProbeAt.IsZero() || !s.PausedUntil.IsZero() || !strings.Contains(s.PauseReason, "100 × errcode 47001") {
			t.Errorf("the account is %+v", s)
		}
		if !kept.Paused || !kept.Guarded || kept.ByHand || kept.Reason != s.PauseReason {
			t.Errorf("kept is %+v", kept)
		}
		if got := r.pusher.Held("SF", false); got != store.WaitAccount {
			t.Errorf("pushes wait for %q", got)
		}
		attempted := 0
		for seq := range uint64(4000) {
			if p := r.store.push(seq + 1); p.Status == store.Pending && len(p.Attempts) > 0 {
				attempted++
				if p.Tries != 0 || p.Refusals != 0 || !p.NextAt.IsZero() || *p.Attempts[0].Errcode != 47001 {
					t.Errorf("push %d was charged: %+v", p.Seq, p)
				}
			}
		}
		sent := len(r.upstream.seen())
		if attempted != sent-100 || attempted == 0 || attempted > 64 {
			t.Errorf("%d pending pushes have an attempt, %d were sent", attempted, sent)
		}
		r.stop()
		r.begin(t) // It is kept.
		time.Sleep(24 * time.Hour)
		if n := len(r.upstream.seen()) - sent; n != 0 {
			t.Errorf("%d requests while the guard holds the account", n)
		}
		if g := r.pusher.Snapshots()[0].Guard; !g.Tripped || !g.Since.Equal(kept.Since) {
			t.Errorf("after a restart the guard is %+v", g)
		}
		r.upstream.mu.Lock()
		r.upstream.answer = nil // Mended.
		r.upstream.mu.Unlock()
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := r.store.count(store.Delivered); n != 3900 || r.store.account("SF").Guarded {
			t.Errorf("%d delivered after the cause was mended, want all 3900 that did not fail", n)
		}
		if g := r.pusher.Snapshots()[0].Guard; g != (GuardSnapshot{Ended: 3900}) {
			t.Errorf("the guard is %+v", g)
		}
	})
}

// TestGuardHoldsWhatIsInFlight: what comes back late stays pending, however well the others in flight fared meanwhile.
func TestGuardHoldsWhatIsInFlight(t *testing.T) {
	bubble(t, func(o *Options) { o.Guard = GuardOptions{Share: 0.5, Min: 5, Window: time.Minute} }, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			switch {
			case n > 25:
				time.Sleep(10 * time.Minute)
			case n > 6:
				time.Sleep(5 * time.Second)
				return code(0)
			}
			return code(47001)
		}
		for w := range 30 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Hour)
		if f, d, p := r.store.count(store.Failed), r.store.count(store.Delivered), r.store.count(store.Pending); f != 5 || d != 19 || p != 6 {
			t.Errorf("%d failed, %d delivered, %d pending; want 5, 19 and 6", f, d, p)
		}
		if n := len(r.upstream.seen()); n != 30 {
			t.Errorf("%d requests for 30 pushes", n)
		}
	})
}

// TestGuardAfterAResume: without a cure it trips again; told to let them fail, it stands by for that long.
func TestGuardAfterAResume(t *testing.T) {
	bubble(t, func(o *Options) { o.Guard = guardOptions }, func(t *testing.T, r *rig) {
		r.upstream.answer = refuse
		resume := func(letFail time.Duration) {
			t.Helper()
			if err := r.pusher.Resume(t.Context(), "SF", letFail); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		for w := range 500 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Minute)
		for again := range 3 {
			if n := r.store.count(store.Failed); n != 10*(again+1) || !r.pusher.Snapshots()[0].Guard.Tripped {
				t.Errorf("%d failed after %d resumes: %+v", n, again, r.pusher.Snapshots()[0].Guard)
			}
			resume(0)
		}
		at := time.Now()
		resume(time.Hour)
		if n := r.store.count(store.Failed); n != 500 {
			t.Errorf("%d of 500 failed although they may", n)
		}
		if g := r.pusher.Snapshots()[0].Guard; g.Tripped || !g.LetFailUntil.Equal(at.Add(time.Hour)) {
			t.Errorf("the guard is %+v", g)
		}
		time.Sleep(time.Hour)
		for w := range 500 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Minute)
		if n := r.store.count(store.Failed); n != 510 {
			t.Errorf("%d failed; the guard is not back after an hour", n-500)
		}
		resume(time.Hour)
		resume(0) // The guard is on again at once.
		for w := range 500 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Minute)
		if g := r.pusher.Snapshots()[0].Guard; !g.Tripped || !g.LetFailUntil.IsZero() {
			t.Errorf("the guard is %+v", g)
		}
	})
}

// TestGuardLeavesAlone shows what is no mass failing, or has its own cure.
func TestGuardLeavesAlone(t *testing.T) {
	tests := []struct {
		name   string
		answer func(n int, c call) (wechat.Answer, error)
		failed int
		reason string
	}{
		{"one in ten", func(n int, _ call) (wechat.Answer, error) {
			if n%10 == 0 {
				return code(47001)
			}
			return code(0)
		}, 50, store.ReasonRefused},
		{"Tokens", func(int, call) (wechat.Answer, error) { return code(9300507) }, 500, store.ReasonToken},
		{"an outage", func(int, call) (wechat.Answer, error) { return code(-1) }, 500, store.ReasonExhausted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(o *Options) {
				o.Guard = guardOptions
				o.Retry.MaxAge, o.Retry.Max = time.Minute, 10*time.Second
				o.Breaker.FailureRatio, o.Breaker.MinRequests = 1, 1<<30
			}, func(t *testing.T, r *rig) {
				r.upstream.answer = tt.answer
				for w := range 500 {
					r.store.accept(waybill(w), 1, false)
				}
				time.Sleep(time.Hour)
				if n := r.store.count(store.Failed); n != tt.failed || r.pusher.Snapshots()[0].Guard.Tripped {
					t.Errorf("%d failed, want %d: %+v", n, tt.failed, r.pusher.Snapshots()[0])
				}
				for seq := range uint64(500) {
					if p := r.store.push(seq + 1); p.Status == store.Failed && p.Reason != tt.reason {
						t.Errorf("push %d failed for %q", p.Seq, p.Reason)
					}
				}
			})
		})
	}
}

// TestGuardAndOtherPauses: an operator's pause stands, and none that upstream asks for replaces or ends the guard's.
func TestGuardAndOtherPauses(t *testing.T) {
	tests := []struct {
		name    string
		others  int // what the answers to the other half of the pushes say
		guarded bool
		reason  string
	}{
		{"a day's quota", 45009, true, "47001"},
		{"a minute's limit", 45011, true, "47001"},
		{"the account", 40164, true, "47001"},
		{"by hand", 0, false, "stocktaking"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(o *Options) { o.Guard = GuardOptions{Share: 0.1, Min: 5, Window: time.Hour} }, func(t *testing.T, r *rig) {
				var quick atomic.Bool
				r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
					switch {
					case n%2 == 0 && tt.others != 0 && !quick.Load():
						return code(tt.others)
					case n > 4:
						time.Sleep(5 * time.Second)
					}
					return code(47001)
				}
				for w := range 40 {
					r.store.accept(waybill(w), 1, false)
				}
				time.Sleep(time.Second)
				if tt.others == 0 {
					if err := r.pusher.Pause(t.Context(), "SF", "stocktaking"); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(48 * time.Hour)
				s, kept := r.pusher.Snapshots()[0], r.store.account("SF")
				if kept.Guarded != tt.guarded || s.Guard.Tripped != tt.guarded || !s.Paused || !strings.Contains(s.PauseReason, tt.reason) {
					t.Errorf("kept %+v; %+v", kept, s)
				}
				if n := r.store.count(store.Failed); n > 5 {
					t.Errorf("%d failed, want 5 at most", n)
				}
				if err := r.pusher.Pause(t.Context(), "SF", "over it"); err != nil {
					t.Fatal(err)
				}
				if s := r.pusher.Snapshots()[0]; s.PauseReason != "over it" || s.Guard.Tripped {
					t.Errorf("an operator's own pause comes before: %+v", s)
				}
			})
		})
	}
}

// TestGuardStopsAtAStoreThatFails: the pause holds although it could not be kept, and is kept with the next chance.
func TestGuardStopsAtAStoreThatFails(t *testing.T) {
	bubble(t, func(o *Options) { o.Guard = guardOptions }, func(t *testing.T, r *rig) {
		r.upstream.answer = refuse
		r.store.breaks(func(call string) error {
			if call == "PutAccount" {
				return errStore
			}
			return nil
		})
		for w := range 100 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Minute)
		if n := r.store.count(store.Failed); n != 10 || !r.pusher.Snapshots()[0].Guard.Tripped {
			t.Errorf("%d failed: %+v", n, r.pusher.Snapshots()[0])
		}
		r.store.breaks(nil)
		if err := r.pusher.Forced(t.Context(), "SF", nil); err != nil {
			t.Fatal(err)
		}
		if !r.store.account("SF").Guarded {
			t.Error("the pause was not kept with the next write")
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	now := time.Now()
	g := newGuard(GuardOptions{Share: 0.5, Min: 1 << 40, Window: 10 * time.Minute}, now)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Millisecond)
		if i%2 == 0 {
			g.ended(now)
		} else {
			g.mayFail(40000+i%5, now)
		}
	}
}
