package pathpush

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// outage makes the breakers open and leaves pushes waiting behind them.
func (r *rig) outage(t *testing.T) *outage {
	t.Helper()
	silent := &outage{}
	r.upstream.answer, r.fallback.answer = silent.answer, silent.answer
	for w := range 200 {
		r.store.accept(waybill(w), 1, false)
	}
	time.Sleep(time.Second)
	for _, b := range r.pusher.Snapshots()[0].Breakers {
		if b.State != "open" {
			t.Fatalf("the breaker is %+v", b)
		}
	}
	return silent
}

func (r *rig) probe(t *testing.T) {
	t.Helper()
	if err := r.pusher.Probe(t.Context(), "SF"); err != nil {
		t.Fatal(err)
	}
}

func TestProbeNowClosesTheBreaker(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		silent := r.outage(t)
		silent.over.Store(true)
		sent := len(r.upstream.seen())
		r.probe(t)
		time.Sleep(10 * time.Millisecond)
		if n := len(r.upstream.seen()) - sent; n != 1 {
			t.Errorf("%d requests as a probe, want 1", n)
		}
		time.Sleep(90 * time.Millisecond)
		s := r.pusher.Snapshots()[0]
		if b := s.Breakers[0]; b.State != "closed" || b.OpenedBy != "" || !b.NextProbeAt.IsZero() {
			t.Errorf("the breaker is %+v", b)
		}
		if s.Concurrency != 5 {
			t.Errorf("%d may be in flight; the flow must be raised step by step as after half-open", s.Concurrency)
		}
		time.Sleep(10 * time.Minute)
		if n := r.store.count(store.Delivered); n != 200 {
			t.Errorf("delivered %d of 200", n)
		}
	})
}

// TestProbeNowThatFails: the breaker's own schedule is as it was, and the probe is charged as any attempt is.
func TestProbeNowThatFails(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.outage(t)
		before, sent := r.pusher.Snapshots()[0].Breakers[0], len(r.upstream.seen())
		for range 3 {
			r.probe(t)
			time.Sleep(time.Second)
		}
		if n := len(r.upstream.seen()) - sent; n != 3 {
			t.Errorf("%d requests for 3 probes", n)
		}
		if b := r.pusher.Snapshots()[0].Breakers[0]; b != before {
			t.Errorf("the breaker is %+v, was %+v", b, before)
		}
		time.Sleep(time.Until(before.NextProbeAt))
		if n := len(r.upstream.seen()) - sent; n != 3 {
			t.Errorf("%d requests before the next probe is due", n-3)
		}
		time.Sleep(time.Second)
		if n := len(r.upstream.seen()) - sent; n <= 3 {
			t.Error("the breaker's own probes do not come")
		}
	})
}

// TestProbeNowOnlyOnce: asking again while a probe is on its way sends no second one.
func TestProbeNowOnlyOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.outage(t)
		r.upstream.takes(10 * time.Second)
		sent := len(r.upstream.seen())
		for range 10 {
			r.probe(t)
			time.Sleep(500 * time.Millisecond)
		}
		if n := len(r.upstream.seen()) - sent; n != 1 {
			t.Errorf("%d probes are in flight at once", n)
		}
	})
}

// TestProbeNowTriesTheMainHostFirst: the fallback's breaker is left alone, and so is a fallback that is in use.
func TestProbeNowTriesTheMainHostFirst(t *testing.T) {
	for _, fallbackUp := range []bool{false, true} {
		bubble(t, func(o *Options) {
			o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
		}, func(t *testing.T, r *rig) {
			silent := &outage{}
			if fallbackUp {
				r.upstream.answer = silent.answer
				for w := range 200 {
					r.store.accept(waybill(w), 1, false)
				}
				time.Sleep(20 * time.Second)
			} else {
				silent = r.outage(t)
			}
			main, fallback := len(r.upstream.seen()), len(r.fallback.seen())
			silent.over.Store(true)
			r.probe(t)
			r.store.accept(waybill(1000), 1, false)
			time.Sleep(15 * time.Millisecond)
			if n := len(r.upstream.seen()) - main; n != 1 {
				t.Errorf("fallback up %t: %d requests to the main host, want the probe", fallbackUp, n)
			}
			if n := len(r.fallback.seen()) - fallback; n > 1 || n > 0 && !fallbackUp {
				t.Errorf("fallback up %t: %d requests to the fallback", fallbackUp, n)
			}
			time.Sleep(100 * time.Millisecond)
			if b := r.pusher.Snapshots()[0].Breakers[0]; b.State != "closed" {
				t.Errorf("fallback up %t: the main host's breaker is %+v", fallbackUp, b)
			}
		})
	}
}

// TestProbeNowWaitsForWork: with nothing to send, the next push is the probe.
func TestProbeNowWaitsForWork(t *testing.T) {
	bubble(t, func(o *Options) { o.Breaker.OpenFor, o.Retry.MaxAge = time.Hour, time.Millisecond }, func(t *testing.T, r *rig) {
		down := true
		r.upstream.answer = func(int, call) (wechat.Answer, error) {
			if down {
				return code(-1)
			}
			return code(0)
		}
		for w := range 20 {
			r.store.accept(waybill(w), 1, false) // All fail at once; nothing is left to send.
		}
		time.Sleep(time.Minute)
		sent := len(r.upstream.seen())
		r.probe(t)
		time.Sleep(time.Minute)
		if s := r.pusher.Snapshots()[0]; s.Breakers[0].State != "open" || s.Loaded != 0 || len(r.upstream.seen()) != sent {
			t.Fatalf("got %+v after %d requests", s, len(r.upstream.seen())-sent)
		}
		down = false
		r.store.accept(waybill(100), 1, false)
		r.store.accept(waybill(101), 1, false)
		time.Sleep(15 * time.Millisecond)
		if n := len(r.upstream.seen()) - sent; n != 1 {
			t.Errorf("%d requests, want the probe", n)
		}
		time.Sleep(time.Second)
		if n := r.store.count(store.Delivered); n != 2 || r.pusher.Snapshots()[0].Breakers[0].State != "closed" {
			t.Errorf("delivered %d of 2: %+v", n, r.pusher.Snapshots()[0].Breakers[0])
		}
	})
}

func TestNothingToProbe(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		before func(t *testing.T, r *rig)
		why    string
	}{
		{"all is well", nil, func(*testing.T, *rig) {}, "not paused"},
		{"paused by hand", nil, func(t *testing.T, r *rig) {
			if err := r.pusher.Pause(t.Context(), "SF", "holiday"); err != nil {
				t.Fatal(err)
			}
		}, "by hand"},
		{"paused by hand while the breaker is open", nil, func(t *testing.T, r *rig) {
			r.outage(t)
			if err := r.pusher.Pause(t.Context(), "SF", "holiday"); err != nil {
				t.Fatal(err)
			}
		}, "by hand"},
		{"paused before a restart", func(o *Options) {
			o.Store.(*fakeStore).accounts["SF"] = store.Account{Paused: true, Guarded: true, Reason: "too many"}
		}, func(*testing.T, *rig) {}, "guard"},
		{"half open", nil, func(t *testing.T, r *rig) {
			r.outage(t)
			r.upstream.takes(time.Minute)
			time.Sleep(31 * time.Second)
		}, "half-open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.change, func(t *testing.T, r *rig) {
				tt.before(t, r)
				sent := len(r.upstream.seen())
				err := r.pusher.Probe(t.Context(), "SF")
				if !errors.Is(err, ErrNothingToProbe) || !strings.Contains(err.Error(), tt.why) {
					t.Errorf("got %v, want it to say %q", err, tt.why)
				}
				time.Sleep(time.Second)
				if n := len(r.upstream.seen()) - sent; n != 0 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
	p, err := New(Options{Store: newFakeStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Probe(t.Context(), "XX"); !errors.Is(err, ErrUnknownAccount) {
		t.Errorf("got %v", err)
	}
}

// TestProbeNowOfAPausedAccount: one push goes at once, whatever upstream's answers asked to wait for. What it finds decides.
func TestProbeNowOfAPausedAccount(t *testing.T) {
	for _, errcode := range []int{40164, 89506, 45009, 45011} {
		for _, mended := range []bool{false, true} {
			bubble(t, nil, func(t *testing.T, r *rig) {
				refusal := outage{errcode: errcode}
				r.upstream.answer = refusal.answer
				r.store.accept(waybill(1), 3, false)
				time.Sleep(time.Second)
				before := r.pusher.Snapshots()[0]
				if !before.Paused || len(r.upstream.seen()) != 1 {
					t.Fatalf("%d: %+v", errcode, before)
				}
				refusal.over.Store(mended)
				r.probe(t)
				time.Sleep(time.Second)
				after, n := r.pusher.Snapshots()[0], len(r.upstream.seen())-1
				switch {
				case mended && (n != 3 || after.Paused || r.store.account("SF").Paused):
					t.Errorf("%d: %d requests, want all three pushes: %+v", errcode, n, after)
				case !mended && (n != 1 || !after.Paused || !after.NextProbeAt.Equal(before.NextProbeAt) ||
					!after.PausedUntil.Equal(before.PausedUntil) || !after.PausedSince.Equal(before.PausedSince)):
					t.Errorf("%d: %d requests, want 1 and the pause as it was: %+v, was %+v", errcode, n, after, before)
				}
			})
		}
	}
}

// TestProbeNowWithoutAnAccessToken: a wait for one ends, and so does a pause that a wrong secret asked for.
func TestProbeNowWithoutAnAccessToken(t *testing.T) {
	tests := []struct {
		name string
		err  *wechat.TokenError
	}{
		{"no route", &wechat.TokenError{Scope: wechat.ScopeUpstream, Err: errors.New("no route")}},
		{"wrong secret", &wechat.TokenError{Errcode: 40125, Scope: wechat.ScopeAccount, Err: errors.New("invalid appsecret")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				failure := *tt.err
				failure.RetryAt = time.Now().Add(5 * time.Minute)
				r.creds.fail(&failure)
				r.store.accept(waybill(1), 2, false)
				time.Sleep(time.Second)
				r.creds.mu.Lock()
				r.creds.sticky = true // The cause is gone, and only a new fetch would show it.
				r.creds.mu.Unlock()
				time.Sleep(10 * time.Second)
				if n := r.store.count(store.Delivered); n != 0 {
					t.Fatalf("%d delivered; nothing was held", n)
				}
				r.probe(t)
				time.Sleep(time.Second)
				if n := r.store.count(store.Delivered); n != 2 {
					t.Errorf("delivered %d of 2: %+v", n, r.pusher.Snapshots()[0])
				}
			})
		})
	}
}

// TestProbeNowOfAPausedAccountBehindAnOpenBreaker: one push goes through both.
func TestProbeNowOfAPausedAccountBehindAnOpenBreaker(t *testing.T) {
	bubble(t, func(o *Options) { o.Breaker.OpenFor = time.Hour }, func(t *testing.T, r *rig) {
		silent := r.outage(t)
		a := r.pusher.roster.Load().order[0]
		a.mu.Lock()
		a.gate.set(pauseFor(wechat.ScopeAccount, 40164, inBoth("not in whitelist"), time.Now()), time.Now())
		a.mu.Unlock()
		silent.over.Store(true)
		sent := len(r.upstream.seen())
		r.probe(t)
		time.Sleep(15 * time.Millisecond)
		if n := len(r.upstream.seen()) - sent; n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		time.Sleep(time.Second)
		if s := r.pusher.Snapshots()[0]; s.Paused || s.Breakers[0].State != "closed" {
			t.Errorf("got %+v", s)
		}
	})
}

// TestProbeNowBesideHalfOpen: while a probe that was asked for is on its way, the breaker's own time comes.
func TestProbeNowBesideHalfOpen(t *testing.T) {
	good, bad := error(nil), error(&failure{"timeout"})
	tests := []struct {
		name   string
		half   []error // What the probes of half-open find before the one that was asked for is answered,
		asked  error   // what that finds,
		later  []error // and what more of half-open's find after it.
		states [2]string
	}{
		{"it closes for the others", []error{good}, good, nil, [2]string{"half_open", "closed"}},
		{"what comes later is of the past", nil, good, []error{bad, bad, bad}, [2]string{"half_open", "closed"}},
		{"an answer that does not count", nil, errExcluded, nil, [2]string{"half_open", "half_open"}},
		{"it fails beside them", []error{good}, bad, []error{good, good}, [2]string{"half_open", "closed"}},
		{"they closed it", []error{good, good, good}, good, nil, [2]string{"closed", "closed"}},
		{"they closed it, and it fails", []error{good, good, good}, bad, nil, [2]string{"closed", "closed"}},
		{"they opened it anew", []error{bad}, good, nil, [2]string{"open", "open"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(Host{Name: "main"}, BreakerOptions{
					MinRequests: 1, FailureRatio: 0.5, Interval: time.Second, OpenFor: 10 * time.Second, HalfOpen: 3,
				}, func() {})
				first, _ := b.allow()
				first.done(bad)
				if !b.ask() {
					t.Fatal("it is not open")
				}
				own, ok := b.probe()
				if _, twice := b.probe(); !ok || twice {
					t.Fatalf("leave for a probe: %t, for a second one: %t", ok, twice)
				}
				time.Sleep(11 * time.Second)
				var half []leave
				for range 3 {
					l, ok := b.allow()
					if !ok {
						t.Fatal("half-open lets no probe through beside the other")
					}
					half = append(half, l)
				}
				for i, err := range tt.half {
					half[i].done(err)
				}
				if got := b.snapshot().State; got != tt.states[0] {
					t.Errorf("before the answer it is %s, want %s", got, tt.states[0])
				}
				own.done(tt.asked)
				for i, err := range tt.later {
					half[len(tt.half)+i].done(err)
				}
				if got := b.snapshot().State; got != tt.states[1] {
					t.Errorf("in the end it is %s, want %s", got, tt.states[1])
				}
			})
		})
	}
}

// TestProbeNowIsForgottenWithTheOutage: asked for while open, and not sent before the breaker's own time came, it is
// needed no more.
func TestProbeNowIsForgottenWithTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Host{Name: "main"}, BreakerOptions{
			MinRequests: 1, FailureRatio: 0.5, Interval: time.Second, OpenFor: time.Second, HalfOpen: 1,
		}, func() {})
		first, _ := b.allow()
		first.done(&failure{"timeout"})
		b.ask()
		time.Sleep(2 * time.Second)
		if own, ok := b.allow(); !ok {
			t.Error("half-open lets no probe through")
		} else {
			own.done(nil)
		}
		if _, ok := b.probe(); ok || b.ask() {
			t.Error("a closed breaker has a probe")
		}
	})
}

// TestProbeNowRaces asks for probes from everywhere while breakers open and close: for the race detector, and to see that
// no probe is left hanging.
func TestProbeNowRaces(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Breaker = BreakerOptions{MinRequests: 3, OpenFor: 50 * time.Millisecond, HalfOpen: 2, Interval: time.Second}
		o.Retry.Max = 100 * time.Millisecond
		o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
	}, func(t *testing.T, r *rig) {
		answer := func(n int, _ call) (wechat.Answer, error) {
			switch {
			case n > 3000 || n%7 == 0:
				return code(0)
			case n%13 == 0:
				return code(45011)
			}
			return code(-1)
		}
		r.upstream.answer, r.fallback.answer = answer, answer
		for w := range 300 {
			r.store.accept(waybill(w), 2, false)
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 400 {
					time.Sleep(time.Duration(10+i) * time.Millisecond)
					if err := r.pusher.Probe(t.Context(), "SF"); err != nil && !errors.Is(err, ErrNothingToProbe) {
						t.Error(err)
					}
					r.pusher.Snapshots()
				}
			})
		}
		all.Wait()
		time.Sleep(24 * time.Hour)
		if n := r.store.count(store.Delivered); n != 600 {
			t.Errorf("delivered %d of 600: %+v", n, r.pusher.Snapshots()[0])
		}
	})
}
