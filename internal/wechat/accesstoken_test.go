package wechat

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// 500 who ask at once, are all refused at once and ask again: one fetch each time.
func TestStorm(t *testing.T) {
	for _, mode := range []string{ModeStable, ModeBasic} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &tokenHost{t: t, latency: 100 * time.Millisecond}
				a, _ := keeper(t, mode, nil, h)
				defer run(t, a)()
				all := func(do func()) {
					var wg sync.WaitGroup
					for range 500 {
						wg.Go(do)
					}
					wg.Wait()
				}
				all(func() {
					if got := mustGet(t, a); got != "CANARY-T1" {
						t.Errorf("Get = %q, want the first", got)
					}
				})
				if got := h.count(); got != 1 {
					t.Errorf("%d fetches for 500 Gets", got)
				}
				time.Sleep(2 * youngLife)
				if mode == ModeStable {
					h.rotate()
				}
				before := h.count()
				var changed sync.Map
				all(func() {
					if a.Refused("CANARY-T1") {
						changed.Store(new(int), true)
					}
					if got := mustGet(t, a); got == "CANARY-T1" {
						t.Error("Get gives the one that was refused")
					}
				})
				if got := h.count() - before; got != 1 {
					t.Errorf("%d fetches for 500 refusals", got)
				}
				changes := 0
				changed.Range(func(any, any) bool { changes++; return true })
				if changes != 1 {
					t.Errorf("%d of 500 refusals changed something", changes)
				}
			})
		})
	}
}

// Answers to pushes that went out with the old one come in long after the new one was fetched.
func TestLateRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t, latency: 50 * time.Millisecond}
		a, _ := keeper(t, ModeBasic, nil, h)
		old := mustGet(t, a)
		for i := range 200 {
			if changed := a.Refused(old); changed != (i == 0) {
				t.Errorf("refusal %d changed something: %v", i, changed)
			}
			if got := mustGet(t, a); got == old {
				t.Errorf("after refusal %d Get gives the old one", i)
			}
			time.Sleep(2 * time.Millisecond)
		}
		if got := h.count(); got != 2 {
			t.Errorf("%d fetches, want the first and one more", got)
		}
		if a.Refused("") || a.Refused("never seen") {
			t.Error("what is no access_token of ours changed something")
		}
	})
}

// Who began a fetch and gave up does not take it from the others.
func TestImpatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t, latency: 2 * time.Second}
		a, _ := keeper(t, "", nil, h)
		gone := errors.New("push timed out")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := a.Get(ctx)
			wantTokenError(t, err, ScopeUpstream, 0)
			if !errors.Is(err, gone) {
				t.Errorf("Get = %v, want the cause %q", err, gone)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if got := mustGet(t, a); got != "CANARY-T1" {
					t.Errorf("Get = %q", got)
				}
			})
		}
		wg.Wait()
		if got := h.count(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

// Run's schedule: what is fetched when, and that nobody ever waits.
func TestRunStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t, latency: time.Second}
		a, _ := keeper(t, ModeStable, nil, h)
		stop := run(t, a)
		time.Sleep(2 * time.Second)
		start := time.Now()
		for time.Since(start) < 12*time.Hour {
			before := time.Now()
			mustGet(t, a)
			if time.Since(before) != 0 {
				t.Fatalf("Get waited %v, %v after the start", time.Since(before), time.Since(start))
			}
			if left := time.Until(expiresAt(a)); left < 4*time.Minute {
				t.Fatalf("only %v are left", left)
			}
			time.Sleep(17 * time.Second)
		}
		stop()
		times := h.times()
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap > stableEvery || gap < 30*time.Second {
				t.Errorf("fetch %d came %v after the one before", i, gap)
			}
		}
		if got := generationOf(a); got < 6 || got > 8 {
			t.Errorf("%d generations in 12 hours", got)
		}
		if len(h.forced) != 0 {
			t.Errorf("forced at %v", h.forced)
		}
	})
}

func TestRunBasic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeBasic, nil, h)
		stop := run(t, a)
		time.Sleep(24*time.Hour - time.Second)
		stop()
		times := h.times()
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap != 105*time.Minute {
				t.Errorf("fetch %d came %v after the one before, want 1h45m", i, gap)
			}
		}
		if n := len(times); n != 14 || generationOf(a) != 14 {
			t.Errorf("%d fetches and %d generations in a day, want 14", n, generationOf(a))
		}
	})
}

// A refresh ahead of time that fails takes nothing away while the old one lives.
func TestRunKeepsTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, book := keeper(t, ModeStable, nil, h)
		stop := run(t, a)
		synctest.Wait()
		h.instead(say(`{"errcode":40164,"errmsg":"invalid ip"}`))
		time.Sleep(2*time.Hour - time.Second)
		if got := mustGet(t, a); got != "CANARY-T1" {
			t.Errorf("Get = %q", got)
		}
		// Only a person can help, so Run does not try more often than every 5 minutes.
		if got := h.count(); got > 25 {
			t.Errorf("%d fetches in 2 hours", got)
		}
		time.Sleep(time.Second)
		_, err := a.Get(t.Context())
		wantTokenError(t, err, ScopeAccount, 40164)
		h.instead(nil)
		time.Sleep(accountEvery)
		if got := mustGet(t, a); got != "CANARY-T2" {
			t.Errorf("Get = %q after the cause was corrected", got)
		}
		if got := book.lines("level=WARN"); got != 1 {
			t.Errorf("the same failure was logged %d times", got)
		}
		stop()
	})
}

// Run fetches after a refusal although nobody asks.
func TestRunAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeStable, nil, h)
		stop := run(t, a)
		synctest.Wait()
		h.rotate()
		a.Refused("CANARY-T1")
		if got := expiresAt(a); !got.IsZero() {
			t.Errorf("what was refused expires at %v", got)
		}
		synctest.Wait()
		if got := generationOf(a); got != 2 || h.count() != 2 {
			t.Errorf("generation %d after %d fetches, want 2 and 2", got, h.count())
		}
		stop()
	})
}

// Another program ends the life of each access_token a second after it was given: the day's fetches (2,000 in basic
// mode) must not be used up in an hour, and the error says what is going on.
func TestWarOverTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeBasic, nil, h)
		stop := run(t, a)
		start, told := time.Now(), 0
		for time.Since(start) < time.Hour {
			token, err := a.Get(t.Context())
			if err == nil {
				time.Sleep(time.Second)
				a.Refused(token)
				continue
			}
			e := wantTokenError(t, err, ScopeCredential, 0)
			if !errors.Is(err, errDiesYoung) {
				t.Fatalf("Get = %v", err)
			}
			told++
			time.Sleep(time.Until(e.RetryAt))
		}
		if got := h.count(); got < 60 || got > 200 {
			t.Errorf("%d fetches in an hour", got)
		}
		if told == 0 {
			t.Error("nobody was told")
		}
		// Peace: the next one lives, and a later refusal is met at once.
		time.Sleep(backoffMax)
		token := mustGet(t, a)
		time.Sleep(2 * youngLife)
		a.Refused(token)
		if got := mustGet(t, a); got == token {
			t.Errorf("Get = %q, want a new one", got)
		}
		stop()
	})
}

func TestModeNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccessToken(AccessTokenOptions{Mode: ModeNone})
		stop := run(t, a)
		time.Sleep(time.Hour)
		if token, err := a.Get(t.Context()); token != "" || err != nil {
			t.Errorf("Get = %q, %v", token, err)
		}
		if a.Refused("") || a.Refused("x") || generationOf(a) != 0 || !expiresAt(a).IsZero() {
			t.Error("mode none has an access_token")
		}
		stop()
		a.Close()
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t, latency: time.Hour}
		a, book := keeper(t, ModeStable, func(o *AccessTokenOptions) { o.Timeout = 2 * time.Hour }, h)
		failed := make(chan error)
		go func() { _, err := a.Get(t.Context()); failed <- err }()
		synctest.Wait()
		start := time.Now()
		a.Close()
		err := <-failed
		wantTokenError(t, err, ScopeUpstream, 0)
		if e := wantCallError(t, errors.Unwrap(err), opStableToken); e.Kind != KindCanceled || time.Since(start) != 0 {
			t.Errorf("a fetch that Close ended: %v after %v", err, time.Since(start))
		}
		a.Retry()
		_, err = a.Get(t.Context())
		wantTokenError(t, err, ScopeUpstream, 0)
		if h.count() != 1 {
			t.Errorf("%d fetches, want none after Close", h.count())
		}
		if got := book.lines("level=WARN"); got != 0 {
			t.Errorf("Close was logged as a failure")
		}
	})
}

func TestNewAccessTokenRefuses(t *testing.T) {
	secret := func() string { return canarySecret }
	for name, o := range map[string]AccessTokenOptions{
		"mode":      {Mode: "stabel", Clients: []*Client{NewClient(ClientOptions{})}, Secret: secret},
		"no client": {Secret: secret},
		"no secret": {Clients: []*Client{NewClient(ClientOptions{})}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "wechat: ") {
					t.Errorf("NewAccessToken panicked with %q", text)
				}
			}()
			NewAccessToken(o)
		})
	}
}

// TestDated: an access_token is known by when it was first given, however often it is given again.
func TestDated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeStable, nil, h)
		if from, until := a.Life(); !from.IsZero() || !until.IsZero() {
			t.Errorf("before there is one it lives from %v to %v", from, until)
		}
		start := time.Now()
		for range 2 {
			token, at, err := a.Dated(t.Context())
			if err != nil || token == "" || !at.Equal(start) {
				t.Errorf("Dated = %q, %v, %v; want the one of %v", token, at, err, start)
			}
			if from, until := a.Life(); !from.Equal(start) || !until.After(time.Now()) {
				t.Errorf("it lives from %v to %v, want from %v", from, until, start)
			}
			time.Sleep(10 * time.Minute)
			a.refresh(t.Context())
		}
		h.rotate()
		a.Refused(mustGet(t, a))
		if from, until := a.Life(); !from.IsZero() || !until.IsZero() {
			t.Errorf("a refused one lives from %v to %v", from, until)
		}
		if _, at, err := a.Dated(t.Context()); err != nil || !at.Equal(time.Now()) {
			t.Errorf("the next one is of %v, %v; want %v", at, err, time.Now())
		}
	})
	t.Run("none", func(t *testing.T) {
		a := NewAccessToken(AccessTokenOptions{Mode: ModeNone})
		if token, at, err := a.Dated(t.Context()); token != "" || !at.IsZero() || err != nil {
			t.Errorf("Dated = %q, %v, %v", token, at, err)
		}
	})
}

// An NTP step must neither age an access_token nor keep a dead one: times that are compared with others of this process
// have to keep Go's reading of the monotonic clock, which rounding drops. (There is none on a bubble's clock.)
func TestLifeIsMonotonic(t *testing.T) {
	a, _ := keeper(t, ModeStable, nil, &tokenHost{t: t})
	mustGet(t, a)
	for name, at := range map[string]time.Time{"expiresAt": a.expiresAt, "refreshAt": a.refreshAt} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%s is %v, without a reading of the monotonic clock: a step of the wall clock moves it", name, at)
		}
	}
}
