package pathpush

import (
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// how is what an attempt tells of how it was sent.
type how struct {
	breaker       store.Breaker
	fallback      string
	accessTokenAt time.Time
	tokenAt       time.Time
}

func howOf(p store.Push) (list []how) {
	for _, a := range p.Attempts {
		list = append(list, how{a.Breaker, a.Fallback, a.AccessTokenAt, a.TokenAt})
	}
	return list
}

func wantHow(t *testing.T, p store.Push, want ...how) {
	t.Helper()
	got := howOf(p)
	if len(got) != len(want) {
		t.Fatalf("%d attempts, want %d: %+v", len(got), len(want), got)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("attempt %d was sent with %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestAttemptTellsItsToken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.changeToken(waybill(1))
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		wantHow(t, r.store.push(1),
			how{store.BreakerClosed, "", accessTokenOf(0), tokenTime(firstToken(waybill(1)))},
			how{store.BreakerClosed, "", accessTokenOf(0), tokenTime("NEW")})
	})
}

func TestAttemptTellsItsAccessToken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.answer = func(_ int, c call) (wechat.Answer, error) {
			if c.accessToken == "ACCESS-0" {
				return code(40001)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 1, false)
		token := tokenTime(firstToken(waybill(1)))
		time.Sleep(time.Second)
		wantHow(t, r.store.push(1),
			how{store.BreakerClosed, "", accessTokenOf(0), token},
			how{store.BreakerClosed, "", accessTokenOf(1), token})
	})
}

// TestAttemptTellsItsBreaker has the main host fail, its fallback too, an operator probe the open breaker, and the main
// host's breaker close again over probes.
func TestAttemptTellsItsBreaker(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Breaker = BreakerOptions{MinRequests: 2, OpenFor: time.Minute, HalfOpen: 1}
		o.Retry.Max = time.Second
		o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
	}, func(t *testing.T, r *rig) {
		busy := outage{errcode: -1}
		r.upstream.answer, r.fallback.answer = busy.answer, busy.answer
		r.store.accept(waybill(1), 1, false)
		at := how{accessTokenAt: accessTokenOf(0), tokenAt: tokenTime(firstToken(waybill(1)))}
		sent := func(breaker store.Breaker, fallback string) how {
			at.breaker, at.fallback = breaker, fallback
			return at
		}
		time.Sleep(30 * time.Second) // Both are open.
		if err := r.pusher.Probe(t.Context(), "SF"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		busy.over.Store(true)
		time.Sleep(time.Minute)
		wantHow(t, r.store.push(1),
			sent(store.BreakerClosed, ""), sent(store.BreakerClosed, ""),
			sent(store.BreakerClosed, "fallback"), sent(store.BreakerClosed, "fallback"),
			sent(store.BreakerOpen, ""),
			sent(store.BreakerHalfOpen, ""))
	})
}
