package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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

// stable_token goes on giving the one that upstream refuses in calls: only then it is forced, and that is kept first.
func TestForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		var kept [][]time.Time
		a, book := keeper(t, ModeStable, func(o *AccessTokenOptions) {
			o.OnForced = func(times []time.Time) {
				kept = append(kept, times)
				if got := len(h.forced); got != len(kept)-1 {
					t.Errorf("forced %d times before it was kept", got)
				}
			}
		}, h)
		first := mustGet(t, a)
		time.Sleep(10 * time.Minute)
		start := time.Now()
		a.Refused(first)
		second := mustGet(t, a)
		if second == first || generationOf(a) != 2 {
			t.Errorf("got %q again, generation %d", second, generationOf(a))
		}
		if len(kept) != 1 || !slices.Equal(kept[0], []time.Time{start}) {
			t.Errorf("kept %v, want %v", kept, start)
		}
		if got := book.lines("forcing a refresh"); got != 1 {
			t.Errorf("%d lines tell of it", got)
		}
		// Refused again at once: there are 30 s between two of them.
		a.Refused(second)
		_, err := a.Get(t.Context())
		e := wantTokenError(t, err, ScopeCredential, 0)
		if want := start.Add(forceApart); !e.RetryAt.Equal(want) {
			t.Errorf("RetryAt %v, want %v", e.RetryAt, want)
		}
		time.Sleep(time.Until(e.RetryAt))
		if third := mustGet(t, a); third == second || len(kept) != 2 || len(kept[1]) != 2 {
			t.Errorf("got %q, kept %v", third, kept)
		}
	})
}

// While every access_token is refused after two minutes, a day has 20 forced refreshes; tokenHost checks the limits.
func TestForceLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeStable, nil, h)
		start, spent := time.Now(), 0
		for time.Since(start) < 49*time.Hour {
			token, err := a.Get(t.Context())
			if err == nil {
				time.Sleep(2 * time.Minute)
				a.Refused(token)
				continue
			}
			e := wantTokenError(t, err, ScopeCredential, 0)
			if wait := time.Until(e.RetryAt); wait <= 0 || wait > time.Minute {
				t.Fatalf("RetryAt in %v", wait)
			}
			if errors.Is(err, errForceSpent) {
				spent++
			}
			time.Sleep(time.Until(e.RetryAt))
		}
		// Two whole days, the third's first hour; upstream makes a few new ones by itself.
		if got := len(h.forced); got < 50 || got > 60 {
			t.Errorf("forced %d times in 49 hours, want nearly 60 at most", got)
		}
		if spent == 0 {
			t.Error("the limit was never met")
		}
	})
}

func TestForceRemembersBeforeRestart(t *testing.T) {
	tests := []struct {
		name   string
		ago    []time.Duration // Forced before the start.
		wait   time.Duration   // Until the next fetch; 0 if it may be forced at once.
		forced int             // What is kept after all.
	}{
		{"none", nil, 0, 1},
		{"one, 10 s ago", []time.Duration{10 * time.Second}, 20 * time.Second, 2},
		{"one, in the future", []time.Duration{-time.Hour}, 30 * time.Second, 2},
		{"19 within the day", slices.Repeat([]time.Duration{time.Hour}, 19), 0, 20},
		{"20 within the day", slices.Repeat([]time.Duration{23 * time.Hour}, 20), time.Minute, 0},
		{"20 the day before", slices.Repeat([]time.Duration{24 * time.Hour}, 20), 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &tokenHost{t: t}
				var kept []time.Time
				a, _ := keeper(t, ModeStable, func(o *AccessTokenOptions) {
					for _, ago := range tt.ago {
						o.Forced = append(o.Forced, time.Now().Add(-ago))
					}
					o.OnForced = func(times []time.Time) { kept = times }
				}, h)
				a.Refused(mustGet(t, a))
				if _, err := a.Get(t.Context()); tt.wait != 0 {
					e := wantTokenError(t, err, ScopeCredential, 0)
					if got := time.Until(e.RetryAt); got != tt.wait {
						t.Fatalf("to be tried again in %v, want %v", got, tt.wait)
					}
					time.Sleep(tt.wait)
					a.Get(t.Context())
				}
				if len(kept) != tt.forced {
					t.Errorf("kept %d times, want %d", len(kept), tt.forced)
				}
			})
		})
	}
}

// An unreachable upstream is asked seldom, however many want an access_token all the time.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t, answer: func(int, bool) (string, int, error) { return "", 0, errUnreachable }}
		a, book := keeper(t, ModeStable, nil, h)
		start := time.Now()
		for time.Since(start) < 20*time.Minute {
			for range 10 {
				_, err := a.Get(t.Context())
				e := wantTokenError(t, err, ScopeUpstream, 0)
				if call, ok := errors.AsType[*CallError](err); !ok || call.Kind != KindNetwork || !errors.Is(err, errUnreachable) {
					t.Fatalf("Get = %v, want its cause", err)
				}
				if wait := time.Until(e.RetryAt); wait <= 0 || wait > backoffMax {
					t.Fatalf("to be tried again in %v", wait)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		times := h.times()
		for i, limit := range []time.Duration{2, 4, 8, 16, 32, 60, 60, 60} {
			gap := times[i+1].Sub(times[i])
			if gap < backoffMin || gap > limit*time.Second+100*time.Millisecond {
				t.Errorf("wait %d was %v, want 1s to %ds", i+1, gap, limit)
			}
		}
		if n := len(times); n < 25 || n > 80 {
			t.Errorf("%d fetches in 20 minutes", n)
		}
		if got := book.lines("level=WARN"); got != 1 {
			t.Errorf("the same failure was logged %d times", got)
		}
		h.instead(nil)
		a.Retry()
		if got := mustGet(t, a); got != "CANARY-T1" {
			t.Errorf("Get = %q", got)
		}
	})
}

func TestRefusedFetch(t *testing.T) {
	tests := []struct {
		name, body string
		errcode    int
		scope      Scope
		text       string
		minWait    time.Duration
		maxWait    time.Duration
	}{
		{"IP address", `{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, not in whitelist rid: 1"}`, 40164, ScopeAccount,
			"no access_token (account): errcode 40164: invalid ip 1.2.3.4, not in whitelist rid: 1: " + Meaning(40164, false), time.Second, 2 * time.Second},
		{"wrong secret", `{"errcode":40001,"errmsg":"bad ` + canarySecret + `"}`, 40001, ScopeAccount,
			"no access_token (account): errcode 40001: bad ***: " + (&TokenError{Errcode: 40001}).Meaning(false), time.Second, 2 * time.Second},
		{"unknown", `{"errcode":12345}`, 12345, ScopeAccount,
			"no access_token (account): errcode 12345: without words: an errcode that is not documented", time.Second, 2 * time.Second},
		{"this minute", `{"errcode":45011,"errmsg":"x"}`, 45011, ScopeRate, "", 45 * time.Second, 46 * time.Second},
		{"busy", `{"errcode":-1,"errmsg":"x"}`, -1, ScopeUpstream, "", time.Second, 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(15 * time.Second) // A quarter of a minute has passed.
				h := &tokenHost{t: t, answer: say(tt.body)}
				a, _ := keeper(t, ModeStable, nil, h)
				_, err := a.Get(t.Context())
				e := wantTokenError(t, err, tt.scope, tt.errcode)
				if tt.text != "" && err.Error() != tt.text {
					t.Errorf("text %q, want %q", err, tt.text)
				}
				if wait := time.Until(e.RetryAt); wait < tt.minWait || wait > tt.maxWait {
					t.Errorf("to be tried again in %v, want %v to %v", wait, tt.minWait, tt.maxWait)
				}
			})
		})
	}
}

func TestFallback(t *testing.T) {
	tests := []struct {
		name     string
		body     string
		status   int
		err      error
		latency  time.Duration
		fallback bool
	}{
		{name: "network", err: errUnreachable, fallback: true},
		{name: "busy", body: `{"errcode":-1}`, fallback: true},
		{name: "5xx", body: `{"errcode":0}`, status: 503, fallback: true},
		{name: "page", body: `<html>`, fallback: true},
		{name: "hangs", latency: time.Hour, fallback: true},
		{name: "refuses", body: `{"errcode":40164}`},
		{name: "limits", body: `{"errcode":45011}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				main := &tokenHost{t: t, latency: tt.latency, answer: func(int, bool) (string, int, error) { return tt.body, tt.status, tt.err }}
				second := &tokenHost{t: t, latency: time.Second}
				a, _ := keeper(t, ModeStable, nil, main, second)
				start := time.Now()
				_, err := a.Get(t.Context())
				if got := err == nil; got != tt.fallback || second.count() > 1 || (second.count() == 1) != tt.fallback {
					t.Errorf("Get: %v, %d fetches from the fallback", err, second.count())
				}
				if took := time.Since(start); took > defaultFetchTimeout+time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// What both hosts say is no access_token, and shows nothing.
func TestBrokenGrants(t *testing.T) {
	tests := []struct{ name, body, kind string }{
		{"no access_token", `{"expires_in":7200}`, KindNoToken},
		{"empty", `{"access_token":"","expires_in":7200}`, KindNoToken},
		{"success without one", `{"errcode":0,"errmsg":"ok"}`, KindNoToken},
		{"not printable", `{"access_token":"` + canaryAccess[:10] + `\n","expires_in":7200}`, KindNoToken},
		{"not ASCII", `{"access_token":"CANARY汉","expires_in":7200}`, KindNoToken},
		{"too long", `{"access_token":"` + strings.Repeat("CANARY", 700) + `","expires_in":7200}`, KindNoToken},
		{"no string", `{"access_token":{"a":"CANARY"},"expires_in":7200}`, KindNoToken},
		{"errcode null", `{"errcode":null,"access_token":"CANARY","expires_in":7200}`, KindNoErrcode},
		{"errcode a string", `{"errcode":"0","access_token":"CANARY","expires_in":7200}`, KindBadErrcode},
		{"half", `{"access_token":"CANARY`, KindNotJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &tokenHost{t: t, answer: say(tt.body)}
				a, _ := keeper(t, ModeStable, nil, h)
				token, err := a.Get(t.Context())
				wantTokenError(t, err, ScopeUpstream, 0)
				if e := wantCallError(t, errors.Unwrap(err), opStableToken); token != "" || e.Kind != tt.kind {
					t.Errorf("Get = %q, kind %q, want %q", token, e.Kind, tt.kind)
				}
			})
		})
	}
}

// Whatever expires_in says, an access_token is neither kept for ever nor fetched in a hot loop, with Run and without.
func TestExpiresIn(t *testing.T) {
	tests := []struct {
		name, expiresIn string
		life            time.Duration
	}{
		{"documented", "7200", 2 * time.Hour},
		{"what is left", "345", 345 * time.Second},
		{"5 minutes", "300", 5 * time.Minute},
		{"1 second", "1", time.Minute},
		{"0", "0", time.Minute},
		{"negative", "-300", time.Minute},
		{"beyond all durations", "9223372036854775807", 2 * time.Hour},
		{"beyond all integers", "1e99", time.Minute},
		{"a string", `"7200"`, time.Minute},
		{"null", "null", time.Minute},
	}
	for _, tt := range tests {
		for _, mode := range []string{ModeStable, ModeBasic} {
			t.Run(tt.name+" "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := &tokenHost{t: t, answer: func(n int, _ bool) (string, int, error) {
						return fmt.Sprintf(`{"access_token":"CANARY-%d","expires_in":%s}`, n, tt.expiresIn), 200, nil
					}}
					a, _ := keeper(t, mode, nil, h)
					mustGet(t, a)
					if got := time.Until(expiresAt(a)); got != tt.life {
						t.Errorf("expires in %v, want %v", got, tt.life)
					}
					time.Sleep(tt.life - time.Nanosecond)
					mustGet(t, a)
					if got := h.count(); got != 1 {
						t.Errorf("%d fetches within the first one's life", got)
					}
					time.Sleep(time.Nanosecond)
					mustGet(t, a)
					if got := h.count(); got != 2 {
						t.Errorf("%d fetches after the first one's end, want 2", got)
					}

					stop := run(t, a)
					before := h.count()
					time.Sleep(6 * time.Hour)
					stop()
					if n := h.count() - before; n < 3 || n > 6*120 {
						t.Errorf("%d fetches by Run in 6 hours", n)
					}
				})
			})
		}
	}
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

// A host that is behind gives what was refused long ago: the one that is valid is kept, and nothing is forced.
func TestStaleHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &tokenHost{t: t}
		a, _ := keeper(t, ModeStable, nil, h)
		first := mustGet(t, a)
		h.rotate()
		a.Refused(first)
		second := mustGet(t, a)
		stop := run(t, a)
		h.instead(say(`{"access_token":"` + first + `","expires_in":7200}`))
		time.Sleep(time.Hour)
		if got := mustGet(t, a); got != second || generationOf(a) != 2 {
			t.Errorf("Get = %q, want %q; generation %d", got, second, generationOf(a))
		}
		h.instead(nil)
		time.Sleep(backoffMax)
		if got := mustGet(t, a); got != second {
			t.Errorf("Get = %q, want %q", got, second)
		}
		stop()
		if len(h.forced) != 0 {
			t.Errorf("forced at %v", h.forced)
		}
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

// Over a real connection, with access_tokens as long as they come.
func TestFetchOverHTTP(t *testing.T) {
	long := strings.Repeat("9_", 300)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == PathOfUpdatePath {
			if got := r.URL.Query().Get("access_token"); got != long {
				t.Errorf("pushed with %q", got)
			}
			w.Write(okAnswer)
			return
		}
		fmt.Fprintf(w, `{"access_token":"%s","expires_in":7200}`, long)
	}))
	defer s.Close()
	for _, mode := range []string{ModeStable, ModeBasic} {
		c := NewClient(ClientOptions{BaseURL: s.URL})
		a := NewAccessToken(AccessTokenOptions{Clients: []*Client{c}, AppID: "wx1", Secret: func() string { return canarySecret }, Mode: mode})
		if _, err := c.UpdatePath(t.Context(), mustGet(t, a), PathUpdate{}); err != nil {
			t.Error(err)
		}
		a.Close()
		c.CloseIdleConnections()
	}

	down := NewClient(ClientOptions{BaseURL: rawServer(t, reset)})
	defer down.CloseIdleConnections()
	for _, mode := range []string{ModeStable, ModeBasic} {
		a := NewAccessToken(AccessTokenOptions{Clients: []*Client{down}, AppID: "wx1", Secret: func() string { return canarySecret }, Mode: mode})
		_, err := a.Get(t.Context())
		wantTokenError(t, err, ScopeUpstream, 0)
		a.Close()
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
