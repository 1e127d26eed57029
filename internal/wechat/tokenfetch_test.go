package wechat

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
