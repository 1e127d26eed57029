package pathpush

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

func TestDeliversInOrderAndInParallel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		start := time.Now()
		for range 5 {
			for w := range 60 {
				r.store.accept(waybill(w), 1, false)
			}
		}
		time.Sleep(2 * time.Second)
		if got := r.store.count(store.Delivered); got != 300 {
			t.Fatalf("delivered %d of 300", got)
		}
		calls := r.upstream.seen()
		if took := calls[len(calls)-1].at.Sub(start); took > time.Second {
			t.Errorf("300 pushes over 60 waybills took %s; they do not go in parallel", took)
		}
		if r.upstream.most > 64 {
			t.Errorf("%d in flight, 64 are allowed", r.upstream.most)
		}
	})
}

// TestScopes holds every scope's consequence against the table of policy's comment.
func TestScopes(t *testing.T) {
	type want struct {
		status   store.Status
		reason   string
		tries    int
		calls    int // of this push
		parked   bool
		paused   bool
		refreshs int
	}
	const forever = 1 << 30
	tests := []struct {
		name  string
		code  int
		times int // it is answered before 0
		after time.Duration
		want  want
	}{
		{"ok", 0, 0, time.Second, want{status: store.Delivered, tries: 1, calls: 1}},
		{"busy twice", -1, 2, time.Minute, want{status: store.Delivered, tries: 3, calls: 3}},
		{"busy for ever", -1, forever, 100 * time.Hour, want{status: store.Failed, reason: store.ReasonExhausted, tries: -1, calls: -1}},
		{"access_token invalid", 40001, 1, time.Second, want{status: store.Delivered, tries: 1, calls: 2, refreshs: 1}},
		{"access_token malformed", 40014, 1, time.Second, want{status: store.Delivered, tries: 1, calls: 2, refreshs: 1}},
		{"access_token expired", 42001, 1, time.Second, want{status: store.Delivered, tries: 1, calls: 2, refreshs: 1}},
		{"access_token missing", 41001, 1, time.Second, want{status: store.Delivered, tries: 1, calls: 2, refreshs: 1}},
		{"refused again and again", 40001, 4, time.Minute, want{status: store.Delivered, tries: 1, calls: 5, refreshs: 4}},
		{"appid", 40013, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"secret", 40125, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"IP not allowed", 40164, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"secret frozen", 40243, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"not authorised", 48001, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"banned", 48004, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"limited", 50002, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"platform", 61024, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"needs an admin", 89503, forever, 30 * time.Second, want{status: store.Pending, calls: 1, paused: true}},
		{"IP refused a day", 89506, forever, 23 * time.Hour, want{status: store.Pending, calls: 1, paused: true}},
		{"IP refused an hour", 89507, forever, 59 * time.Minute, want{status: store.Pending, calls: 1, paused: true}},
		{"probe after a minute", 40164, 1, 2 * time.Minute, want{status: store.Delivered, tries: 1, calls: 2}},
		{"minute's limit", 45011, 1, 2 * time.Minute, want{status: store.Delivered, tries: 1, calls: 2}},
		{"day's quota", 45009, 1, 7 * time.Hour, want{status: store.Pending, calls: 1, paused: true}},
		{"day's quota, next day", 45009, 1, 25 * time.Hour, want{status: store.Delivered, tries: 1, calls: 2}},
		{"Token wrong", 9300507, forever, time.Hour, want{status: store.Failed, reason: store.ReasonToken, tries: 3, calls: 3, parked: true}},
		{"waybill unknown", 40199, forever, time.Hour, want{status: store.Failed, reason: store.ReasonToken, tries: 3, calls: 3, parked: true}},
		{"waybill unknown at first", 40199, 2, time.Hour, want{status: store.Delivered, tries: 3, calls: 3}},
		{"invalid args", 40097, forever, time.Second, want{status: store.Failed, reason: store.ReasonRefused, tries: 1, calls: 1}},
		{"malformed", 47001, forever, time.Second, want{status: store.Failed, reason: store.ReasonRefused, tries: 1, calls: 1}},
		{"empty", 44002, forever, time.Second, want{status: store.Failed, reason: store.ReasonRefused, tries: 1, calls: 1}},
		{"too long", 9300526, forever, time.Second, want{status: store.Failed, reason: store.ReasonRefused, tries: 1, calls: 1}},
		{"never heard of", 123456, forever, time.Second, want{status: store.Failed, reason: store.ReasonRefused, tries: 1, calls: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				left := tt.times
				r.upstream.answer = func(int, call) (wechat.Answer, error) {
					if left > 0 {
						left--
						return code(tt.code)
					}
					return code(0)
				}
				r.store.accept(waybill(1), 1, false)
				time.Sleep(tt.after)
				p := r.store.push(1)
				if p.Status != tt.want.status || p.Reason != tt.want.reason {
					t.Errorf("got %s %q, want %s %q", p.Status, p.Reason, tt.want.status, tt.want.reason)
				}
				if tt.want.tries >= 0 && p.Tries != tt.want.tries {
					t.Errorf("got %d tries, want %d", p.Tries, tt.want.tries)
				}
				if n := len(r.upstream.seen()); tt.want.calls >= 0 && n != tt.want.calls {
					t.Errorf("got %d calls, want %d", n, tt.want.calls)
				}
				if len(p.Attempts) != len(r.upstream.seen()) {
					t.Errorf("%d attempts are remembered of %d", len(p.Attempts), len(r.upstream.seen()))
				}
				if got := r.store.parked[waybill(1)]; got != tt.want.parked {
					t.Errorf("parked is %t", got)
				}
				if got := r.pusher.Snapshots()[0].Paused; got != tt.want.paused {
					t.Errorf("paused is %t", got)
				}
				if r.creds.refused != tt.want.refreshs {
					t.Errorf("%d access_tokens were given up, want %d", r.creds.refused, tt.want.refreshs)
				}
			})
		})
	}
}

func TestTimeoutIsRecordedAsUnknownAndRetriedWithTheSameBytes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n == 1 {
				return wechat.Answer{}, errTimeout
			}
			return code(0)
		}
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Minute)
		p, calls := r.store.push(1), r.upstream.seen()
		if len(calls) != 2 || calls[0].update != calls[1].update {
			t.Errorf("the second request differs: %+v", calls)
		}
		if p.Status != store.Delivered || !p.Attempts[0].Unknown || p.Attempts[0].Errcode != nil {
			t.Errorf("got %s with %+v", p.Status, p.Attempts)
		}
	})
}

func TestEventScopeLetsTheWaybillGoOn(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n == 1 {
				return code(47001)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 3, false)
		time.Sleep(time.Second)
		if f, d := r.store.count(store.Failed), r.store.count(store.Delivered); f != 1 || d != 2 {
			t.Errorf("%d failed and %d delivered, want 1 and 2", f, d)
		}
	})
}

func TestOverrideOfAnErrcode(t *testing.T) {
	bubble(t, func(o *Options) { o.Errcodes = map[int]wechat.Scope{40199: wechat.ScopeEvent} },
		func(t *testing.T, r *rig) {
			r.upstream.answer = func(int, call) (wechat.Answer, error) { return code(40199) }
			r.store.accept(waybill(1), 1, false)
			time.Sleep(time.Second)
			if p := r.store.push(1); p.Reason != store.ReasonRefused || p.Tries != 1 {
				t.Errorf("got %s %q after %d tries", p.Status, p.Reason, p.Tries)
			}
		})
}

func TestParkedWaybillGoesOnWithANewToken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(_ int, c call) (wechat.Answer, error) {
			if c.update.Token != "NEW" {
				return code(9300507)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 3, false)
		r.store.accept(waybill(2), 1, false)
		time.Sleep(time.Hour)
		if n := len(r.upstream.seen()); n != 6 {
			t.Fatalf("%d requests for two parked waybills, want 3 each", n)
		}
		r.store.accept(waybill(1), 1, false) // comes in while it is parked
		time.Sleep(time.Hour)
		if n := len(r.upstream.seen()); n != 6 {
			t.Errorf("a parked waybill was pushed")
		}
		r.store.putToken(waybill(1), "NEW")
		time.Sleep(time.Second)
		for seq := range uint64(5) {
			p := r.store.push(seq + 1)
			if p.Event.WaybillID == "W1" && p.Status != store.Delivered {
				t.Errorf("push %d is %s", p.Seq, p.Status)
			}
		}
		if p := r.store.push(4); p.Status != store.Failed {
			t.Errorf("the other waybill's push is %s", p.Status)
		}
	})
}

func TestChangedTokenIsUsedAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.changeToken(waybill(1))
		r.store.accept(waybill(1), 2, false)
		time.Sleep(200 * time.Millisecond)
		if got := r.store.count(store.Delivered); got != 2 {
			t.Errorf("delivered %d of 2", got)
		}
		if n := len(r.upstream.seen()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

func TestPauseByHandSurvivesAndHasNoProbes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		if err := r.pusher.Pause(t.Context(), "SF", "maintenance"); err != nil {
			t.Fatal(err)
		}
		r.store.accept(waybill(1), 1, false)
		time.Sleep(10 * time.Hour)
		if n := len(r.upstream.seen()); n != 0 {
			t.Errorf("%d requests while paused", n)
		}
		if kept := r.store.accounts["SF"]; !kept.Paused || !kept.ByHand || kept.Reason != "maintenance" {
			t.Errorf("kept %+v", kept)
		}
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if r.store.count(store.Delivered) != 1 || r.store.accounts["SF"].Paused {
			t.Errorf("it did not go on")
		}
		if err := r.pusher.Pause(t.Context(), "XX", ""); !errors.Is(err, ErrUnknownAccount) {
			t.Errorf("got %v", err)
		}
	})
}

func TestKeptPauseHoldsAfterARestart(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Store.(*fakeStore).accounts["SF"] = store.Account{Paused: true, ByHand: true, Reason: "holiday"}
		o.Store.(*fakeStore).accept(waybill(1), 1, true)
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)
		if n := len(r.upstream.seen()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestNoAccessTokenHoldsTheAccountAndCostsNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.creds.fail(&wechat.TokenError{Scope: wechat.ScopeUpstream, RetryAt: time.Now().Add(5 * time.Second), Err: errors.New("no route")})
		for w := range 100 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(4 * time.Second)
		if got := r.pusher.Held("SF", false); got != store.WaitAccount {
			t.Errorf("pushes wait for %q", got)
		}
		r.creds.fail(nil)
		time.Sleep(5 * time.Second)
		if got := r.store.count(store.Delivered); got != 100 {
			t.Errorf("delivered %d of 100", got)
		}
		if p := r.store.push(1); p.Tries != 1 {
			t.Errorf("%d tries", p.Tries)
		}
	})
}

func TestWrongSecretPausesTheAccount(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.creds.fail(&wechat.TokenError{Errcode: 40125, Scope: wechat.ScopeAccount, Err: errors.New("invalid appsecret")})
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		s := r.pusher.Snapshots()[0]
		if !s.Paused || s.PauseReason == "" || s.NextProbeAt.IsZero() {
			t.Fatalf("got %+v", s)
		}
		r.creds.fail(nil)
		time.Sleep(2 * time.Minute)
		if r.store.count(store.Delivered) != 1 {
			t.Errorf("the probe did not find out that the secret is right now")
		}
	})
}

func TestRate(t *testing.T) {
	bubble(t, func(o *Options) { o.Accounts[0].Rate = 50 }, func(t *testing.T, r *rig) {
		for w := range 1000 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(10 * time.Second)
		if n := len(r.upstream.seen()); n < 450 || n > 510 {
			t.Errorf("%d requests in 10 s at a rate of 50/s", n)
		}
	})
}

func TestMoreThanFitsIntoMemory(t *testing.T) {
	bubble(t, func(o *Options) { o.MaxLoaded = 100 }, func(t *testing.T, r *rig) {
		for range 5 {
			for w := range 300 {
				r.store.accept(waybill(w), 1, false)
			}
			// The bound is soft: a lane is read whole, so 100 lanes of 5 may be there.
			if n := r.pusher.Snapshots()[0].Loaded; n > 500 {
				t.Fatalf("%d pushes in memory", n)
			}
		}
		time.Sleep(time.Minute)
		if got := r.store.count(store.Delivered); got != 1500 {
			t.Errorf("delivered %d of 1500", got)
		}
	})
}

func TestBacklogIsSweptInAtTheStart(t *testing.T) {
	bubble(t, func(o *Options) {
		for w := range 500 {
			o.Store.(*fakeStore).accept(waybill(w), 2, true)
		}
	}, func(t *testing.T, r *rig) {
		time.Sleep(2 * time.Second)
		if got := r.store.count(store.Delivered); got != 1000 {
			t.Errorf("delivered %d of 1000", got)
		}
	})
}

func TestLiveEventsAreNotBehindTheBacklog(t *testing.T) {
	bubble(t, func(o *Options) {
		for w := range 5000 {
			o.Store.(*fakeStore).accept(waybill(w), 1, true)
		}
		o.Accounts[0].Hosts[0].Upstream.(*fakeUpstream).latency = 100 * time.Millisecond
	}, func(t *testing.T, r *rig) {
		time.Sleep(500 * time.Millisecond)
		r.store.accept(waybill(9000), 1, false)
		time.Sleep(500 * time.Millisecond)
		if p := r.store.push(5001); p.Status != store.Delivered {
			t.Errorf("a new event waits behind %d old ones", 5000-r.store.count(store.Delivered))
		}
		for w := range 3000 {
			r.store.accept(waybill(10000+w), 1, false)
		}
		before := r.store.count(store.Delivered)
		time.Sleep(2 * time.Second)
		old := 0
		for seq := range uint64(5000) {
			if r.store.push(seq+1).Status == store.Delivered {
				old++
			}
		}
		if all := r.store.count(store.Delivered) - before; old < all/10 {
			t.Errorf("the backlog starves")
		}
	})
}

func TestStopLetsPushesInFlightEndAndBeRecorded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.latency = 5 * time.Second
		for w := range 200 {
			r.store.accept(waybill(w), 2, false)
		}
		time.Sleep(time.Second)
		begun := len(r.upstream.seen())
		r.stop()
		if r.err != nil {
			t.Errorf("stopped with %v", r.err)
		}
		if got := r.store.count(store.Delivered); got != begun || len(r.upstream.seen()) != begun {
			t.Errorf("%d were in flight, %d are recorded, %d were sent", begun, got, len(r.upstream.seen()))
		}
	})
}

func TestStoreFailureEndsEverything(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.store.settleIs = errors.New("disk gone")
		r.store.accept(waybill(1), 2, false)
		time.Sleep(time.Second)
		synctest.Wait()
		if r.err == nil {
			t.Errorf("the pusher goes on although outcomes can't be recorded")
		}
		if n := len(r.upstream.seen()); n != 1 {
			t.Errorf("%d requests: a lane went on without its outcome", n)
		}
	})
}

// TestWhateverUpstreamAnswers lets upstream answer anything, while events and Tokens come in: the fakes fail the test
// if order breaks, and in the end every push has ended or its waybill is parked.
func TestWhateverUpstreamAnswers(t *testing.T) {
	codes := []int{0, 0, 0, -1, 40001, 42001, 9300507, 40199, 47001, 40097, 45011, 123}
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(rapid.SampledFrom(codes), 1, 60).Draw(rt, "answers")
		steps := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 40).Draw(rt, "steps")
		room := rapid.IntRange(4, 40).Draw(rt, "room")
		bubble(t, func(o *Options) {
			o.MaxLoaded = room
			o.Retry = Retry{Initial: 10 * time.Millisecond, Max: time.Second, Multiplier: 2, MaxAge: time.Minute}
		}, func(t *testing.T, r *rig) {
			r.upstream.replays = true // a new Token makes failed pushes pending again, behind those that went on
			r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
				switch {
				case n > len(script):
					return code(0)
				case n%11 == 0:
					return wechat.Answer{}, errTimeout
				}
				return code(script[n-1])
			}
			for i, s := range steps {
				if s == 7 {
					r.store.putToken(waybill(i%5), rapid.StringMatching("[a-z]{4}").Draw(rt, "token"))
				} else {
					r.store.accept(waybill(s), 1+s%2, false)
				}
				time.Sleep(time.Duration(s) * 5 * time.Millisecond)
			}
			time.Sleep(10 * time.Minute)
			r.store.mu.Lock()
			defer r.store.mu.Unlock()
			for _, p := range r.store.pushes {
				if p.Status == store.Pending && !r.store.parked[p.Event.Waybill()] {
					rt.Errorf("push %d of %s is still pending: %+v", p.Seq, p.Event.Waybill(), p)
				}
			}
		})
	})
}

func TestNewRefusesMistakes(t *testing.T) {
	account := AccountOptions{DeliveryID: "SF", Hosts: []Host{{"main", newFakeUpstream(t)}}, Credentials: &fakeCreds{}}
	tests := []struct {
		name string
		o    Options
	}{
		{"no store", Options{Accounts: []AccountOptions{account}}},
		{"no host", Options{Store: newFakeStore(t), Accounts: []AccountOptions{{DeliveryID: "SF", Credentials: &fakeCreds{}}}}},
		{"an account twice", Options{Store: newFakeStore(t), Accounts: []AccountOptions{account, account}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.o); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestRunWithoutAccountsEndsWithItsContext(t *testing.T) {
	p, err := New(Options{Store: newFakeStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
}
