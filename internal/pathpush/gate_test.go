package pathpush

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// untilBeijing sleeps until a time of day in Beijing. Bubbles begin at 08:00 there.
func untilBeijing(t *testing.T, clock string) {
	t.Helper()
	at, err := time.ParseInLocation("15:04:05.000", clock, beijing)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(beijing)
	wait := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), beijing).Sub(now)
	if wait < 0 {
		wait += 24 * time.Hour
	}
	time.Sleep(wait)
}

func TestRateEnds(t *testing.T) {
	in := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	tests := []struct {
		name      string
		errcode   int
		sent, end string
	}{
		{"minute", 45011, "2026-03-04T10:20:30+08:00", "2026-03-04T10:21:02+08:00"},
		{"minute, last moment", 45011, "2026-03-04T10:20:59.999+08:00", "2026-03-04T10:21:02+08:00"},
		{"minute, first moment", 45011, "2026-03-04T10:20:00+08:00", "2026-03-04T10:21:02+08:00"},
		{"day", 45009, "2026-03-04T10:20:30+08:00", "2026-03-05T00:00:02+08:00"},
		{"day, by a UTC clock", 45009, "2026-03-04T15:59:00Z", "2026-03-05T00:00:02+08:00"},
		{"day, UTC is a day behind", 45009, "2026-03-04T17:00:00Z", "2026-03-06T00:00:02+08:00"},
		{"day, last moment", 45009, "2026-03-04T23:59:59.999+08:00", "2026-03-05T00:00:02+08:00"},
		{"month's end", 45009, "2026-02-28T12:00:00+08:00", "2026-03-01T00:00:02+08:00"},
		{"day just begun: yesterday's, by upstream's clock", 45009, "2026-03-04T00:00:05+08:00", "2026-03-04T00:01:02+08:00"},
		{"day begun a while ago", 45009, "2026-03-04T00:10:00+08:00", "2026-03-05T00:00:02+08:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := rateEnds(tt.errcode, in(tt.sent)), in(tt.end); !got.Equal(want) {
				t.Errorf("got %s, want %s", got.In(beijing), want.In(beijing))
			}
		})
	}
}

// TestQuotaAnsweredAfterMidnight: the request was sent before midnight, so it is yesterday's quota that is used up. To
// wait for the next midnight would lose a whole day.
func TestQuotaAnsweredAfterMidnight(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.latency = time.Second
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n == 1 {
				return code(45009)
			}
			return code(0)
		}
		untilBeijing(t, "23:59:59.500")
		r.store.accept(waybill(1), 1, false)
		time.Sleep(10 * time.Second)
		if p := r.store.push(1); p.Status != store.Delivered {
			s := r.pusher.Snapshots()[0]
			t.Errorf("push is %s; the account waits until %s", p.Status, s.PausedUntil.In(beijing))
		}
	})
}

func TestProbeInFlightDoesNotEndAnOperatorsPause(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n == 1 {
				return code(40164)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 3, false)
		time.Sleep(time.Second)
		r.upstream.takes(10 * time.Second)
		time.Sleep(time.Minute) // The probe is in flight.
		if n := len(r.upstream.seen()); n != 2 {
			t.Fatalf("%d requests, want the first and a probe", n)
		}
		if err := r.pusher.Pause(t.Context(), "SF", "stocktaking"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		s := r.pusher.Snapshots()[0]
		if !s.Paused || s.PauseReason != "stocktaking" || !r.store.account("SF").ByHand {
			t.Errorf("the probe ended an operator's pause: %+v, kept %+v", s, r.store.account("SF"))
		}
		if n := len(r.upstream.seen()); n != 2 {
			t.Errorf("%d requests although the operator paused", n-2)
		}
		if p := r.store.push(1); p.Status != store.Delivered {
			t.Errorf("the probe's push is %s", p.Status)
		}
	})
}

// TestRefusalFromBeforeAResume: what was sent before the operator put things right says nothing of how they are now.
func TestRefusalFromBeforeAResume(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			switch n {
			case 1:
				return code(40164)
			case 2:
				time.Sleep(8 * time.Second)
				return code(40164)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 1, false)
		r.store.accept(waybill(2), 1, false)
		time.Sleep(4 * time.Second)
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if s := r.pusher.Snapshots()[0]; s.Paused {
			t.Errorf("paused again by an old answer: %s", s.PauseReason)
		}
		if got := r.store.count(store.Delivered); got != 2 {
			t.Errorf("delivered %d of 2", got)
		}
	})
}

// TestTheLongerPauseStands: answers that come in late must not shorten a pause.
func TestTheLongerPauseStands(t *testing.T) {
	tests := []struct {
		name          string
		first, second int
		paused        bool // two minutes later
		code          int  // kept
	}{
		{"a day, then a minute", 45009, 45011, true, 45009},
		{"a minute, then a day", 45011, 45009, true, 45009},
		{"the account, then a minute", 40164, 45011, true, 40164},
		{"the account, then a day", 40164, 45009, true, 40164},
		{"a minute, then the account", 45011, 40164, true, 40164},
		{"the account, for another reason", 40164, 48001, true, 48001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
					if n == 1 {
						return code(tt.first)
					}
					time.Sleep(time.Second)
					return code(tt.second)
				}
				r.store.accept(waybill(1), 1, false)
				r.store.accept(waybill(2), 1, false)
				time.Sleep(50 * time.Second)
				if got := r.store.account("SF").Errcode; got != tt.code {
					t.Errorf("kept a pause for %d, want one for %d", got, tt.code)
				}
				s := r.pusher.Snapshots()[0]
				if s.Paused != tt.paused {
					t.Errorf("paused is %t: %+v", s.Paused, s)
				}
			})
		})
	}
}

func TestPauseAgainChangesTheReason(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for _, reason := range []string{"one", "two"} {
			if err := r.pusher.Pause(t.Context(), "SF", reason); err != nil {
				t.Fatal(err)
			}
			if got := r.pusher.Snapshots()[0].PauseReason; got != reason || r.store.account("SF").Reason != reason {
				t.Errorf("the reason is %q, kept is %q, want %q", got, r.store.account("SF").Reason, reason)
			}
		}
	})
}

// TestWhatCouldNotBeKeptIsKeptNextTime: an operator who is told that it failed does it again, and that must not find
// everything done already.
func TestWhatCouldNotBeKeptIsKeptNextTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		fail := errors.New("disk full")
		var broken atomic.Bool
		r.store.breaks(func(call string) error {
			if broken.Load() && call == "PutAccount" {
				return fail
			}
			return nil
		})
		twice := func(what string, act func() error, paused bool) {
			broken.Store(true)
			if err := act(); !errors.Is(err, fail) {
				t.Errorf("%s: got %v, want the store's error", what, err)
			}
			broken.Store(false)
			if err := act(); err != nil {
				t.Errorf("%s again: %v", what, err)
			}
			if got := r.store.account("SF").Paused; got != paused {
				t.Errorf("%s: kept paused %t, want %t", what, got, paused)
			}
		}
		twice("pause", func() error { return r.pusher.Pause(t.Context(), "SF", "because") }, true)
		twice("resume", func() error { return r.pusher.Resume(t.Context(), "SF", 0) }, false)
	})
}

// TestKeptInOrder: a slow write of a pause must not come after the write of the resume that followed it.
func TestKeptInOrder(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Store.(*fakeStore).accountTakes = func(n int) time.Duration {
			if n == 1 {
				return time.Minute
			}
			return 0
		}
	}, func(t *testing.T, r *rig) {
		var both sync.WaitGroup
		both.Go(func() { _ = r.pusher.Pause(t.Context(), "SF", "slow") })
		time.Sleep(time.Second)
		both.Go(func() { _ = r.pusher.Resume(t.Context(), "SF", 0) })
		both.Wait()
		if r.store.account("SF").Paused || r.pusher.Snapshots()[0].Paused {
			t.Errorf("kept %+v, in memory %+v; want both resumed", r.store.account("SF"), r.pusher.Snapshots()[0])
		}
	})
}

func TestForcedAndPausesDoNotForgetEachOther(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	bubble(t, func(o *Options) {
		o.Store.(*fakeStore).accounts["SF"] = store.Account{Paused: true, ByHand: true, Reason: "holiday", ForcedAt: []time.Time{at}}
	}, func(t *testing.T, r *rig) {
		forced := []time.Time{at, at.Add(time.Minute)}
		if err := r.pusher.Forced(t.Context(), "SF", forced); err != nil {
			t.Fatal(err)
		}
		if k := r.store.account("SF"); !k.Paused || k.Reason != "holiday" || len(k.ForcedAt) != 2 {
			t.Errorf("after a forced access_token: %+v", k)
		}
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		if err := r.pusher.Pause(t.Context(), "SF", "again"); err != nil {
			t.Fatal(err)
		}
		if k := r.store.account("SF"); len(k.ForcedAt) != 2 {
			t.Errorf("a pause forgot when access_tokens were forced: %+v", k)
		}
		if err := r.pusher.Forced(t.Context(), "XX", nil); !errors.Is(err, ErrUnknownAccount) {
			t.Errorf("got %v", err)
		}
	})
}

// TestBeforeRun: the admin API is up while the pusher begins; what it does must neither be lost nor wipe what was kept.
func TestBeforeRun(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	s := newFakeStore(t)
	s.accounts["SF"] = store.Account{ForcedAt: []time.Time{at}}
	up := newFakeUpstream(t)
	p, err := New(Options{Store: s, Accounts: []AccountOptions{
		{DeliveryID: "SF", Hosts: []Host{{"main", up}}, Credentials: &fakeCreds{}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.feed = p.Feed
	s.accept(waybill(1), 2, false)
	if err := p.Pause(t.Context(), "SF", "before it runs"); err != nil {
		t.Fatal(err)
	}
	if k := s.account("SF"); !k.Paused || len(k.ForcedAt) != 1 {
		t.Errorf("kept %+v", k)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !p.Snapshots()[0].Paused || len(up.seen()) != 0 {
		t.Errorf("the pause from before was forgotten: %+v, %d requests", p.Snapshots()[0], len(up.seen()))
	}
}

// TestQuotaPauseFromAClockThatWasWrong: no limit of upstream's lasts longer than a day.
func TestQuotaPauseFromAClockThatWasWrong(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Store.(*fakeStore).accounts["SF"] = store.Account{
			Paused: true, Errcode: 45009, Reason: "errcode 45009", Until: time.Now().AddDate(10, 0, 0),
		}
	}, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Minute)
		if r.store.count(store.Delivered) != 1 {
			t.Errorf("the account waits until %s", r.pusher.Snapshots()[0].PausedUntil)
		}
	})
}

// TestProbesGoOn: whatever a probe meets, another one comes, at most one at a time and ever more rarely.
func TestProbesGoOn(t *testing.T) {
	tests := []struct {
		name  string
		probe func() (wechat.Answer, error)
	}{
		{"the same refusal", func() (wechat.Answer, error) { return code(40164) }},
		{"another refusal", func() (wechat.Answer, error) { return code(48001) }},
		{"busy", func() (wechat.Answer, error) { return code(-1) }},
		{"no answer", func() (wechat.Answer, error) { return wechat.Answer{}, errTimeout }},
		{"access_token refused", func() (wechat.Answer, error) { return code(40001) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				var well atomic.Bool
				r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
					switch {
					case n == 1:
						return code(40164)
					case well.Load():
						return code(0)
					}
					return tt.probe()
				}
				r.store.accept(waybill(1), 1, false)
				time.Sleep(time.Second)
				r.store.accept(waybill(2), 1, false)
				r.store.accept(waybill(3), 1, false)
				time.Sleep(time.Hour)
				n := len(r.upstream.seen()) - 1
				if n < 5 || n > 12 {
					t.Errorf("%d probes in an hour", n)
				}
				well.Store(true)
				time.Sleep(11 * time.Minute)
				if got := r.store.count(store.Delivered); got != 3 {
					t.Errorf("delivered %d of 3 after the cause was gone: %+v", got, r.pusher.Snapshots()[0])
				}
				if r.store.account("SF").Paused {
					t.Error("the end of the pause was not kept")
				}
			})
		})
	}
}

// TestProbeWithoutAnAccessToken: a probe that gets no access_token is not the last one.
func TestProbeWithoutAnAccessToken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.creds.fail(&wechat.TokenError{Errcode: 40164, Scope: wechat.ScopeAccount, Err: errors.New("not in whitelist")})
		r.store.accept(waybill(1), 2, false)
		time.Sleep(90 * time.Second)
		r.creds.fail(&wechat.TokenError{Scope: wechat.ScopeUpstream, RetryAt: time.Now().Add(time.Minute), Err: errors.New("no route")})
		time.Sleep(30 * time.Minute)
		if !r.pusher.Snapshots()[0].Paused || len(r.upstream.seen()) != 0 {
			t.Errorf("got %+v", r.pusher.Snapshots()[0])
		}
		r.creds.fail(nil)
		time.Sleep(11 * time.Minute)
		if got := r.store.count(store.Delivered); got != 2 {
			t.Errorf("delivered %d of 2: %+v", got, r.pusher.Snapshots()[0])
		}
	})
}

// TestProbeWaitsForWork: an account without pushes keeps its probe for the first that comes.
func TestProbeWaitsForWork(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Store.(*fakeStore).accounts["SF"] = store.Account{Paused: true, Errcode: 40164, Reason: "errcode 40164"}
	}, func(t *testing.T, r *rig) {
		time.Sleep(24 * time.Hour)
		for w := range 100 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(10 * time.Millisecond)
		if n := len(r.upstream.seen()); n != 1 {
			t.Errorf("%d probes at once, want 1", n)
		}
		time.Sleep(10 * time.Second)
		if got := r.store.count(store.Delivered); got != 100 {
			t.Errorf("delivered %d of 100", got)
		}
	})
}
