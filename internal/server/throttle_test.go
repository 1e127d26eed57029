package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
)

// visitor asks one server again and again.
type visitor struct {
	echo *echo.Echo
	rig  *rig
}

func newVisitor(t *testing.T) *visitor {
	r := newRig(t)
	r.o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	return &visitor{newEcho(&r.o, adminRoutes(&r.o), newAuth(&r.o), notOnAdmin), r}
}

// ask asks for the accounts from an address with credentials.
func (v *visitor) ask(from, authorization string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", "/admin/v1/accounts", nil)
	req.RemoteAddr = from
	req.Header.Set("Authorization", authorization)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	v.echo.ServeHTTP(w, req)
	return w
}

const stranger = "203.0.113.9:1"

// exhaust sends as many wrong tokens as are looked at.
func (v *visitor) exhaust(t *testing.T, from string, header ...string) {
	t.Helper()
	for i := range maxWrong {
		wantStatus(t, v.ask(from, fmt.Sprint("Bearer wrong", i), header...), http.StatusUnauthorized)
	}
}

func TestWrongTokensAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		v.exhaust(t, stranger)
		w := v.ask(stranger, "Bearer wrong")
		wantProblem(t, w, http.StatusTooManyRequests, "rate_limited")
		if s, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || s != 60 {
			t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
		}
		wantStatus(t, v.ask(stranger, "Bearer "+opsToken), http.StatusTooManyRequests)
		wantStatus(t, v.ask("203.0.113.10:1", "Bearer "+opsToken), http.StatusOK)
		wantStatus(t, v.ask("203.0.113.10:1", "Bearer wrong"), http.StatusUnauthorized)

		time.Sleep(wrongWindow - time.Second)
		w = v.ask(stranger, "Bearer "+opsToken)
		wantStatus(t, w, http.StatusTooManyRequests)
		if got := w.Header().Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After is %q in the last second", got)
		}
		time.Sleep(time.Second)
		wantStatus(t, v.ask(stranger, "Bearer "+opsToken), http.StatusOK)
		v.exhaust(t, stranger)
		wantStatus(t, v.ask(stranger, "Bearer wrong"), http.StatusTooManyRequests)
		if log := v.rig.log.String(); strings.Count(log, "wrong admin tokens") != 2 || !strings.Contains(log, "203.0.113.9") ||
			strings.Contains(log, "wrong9") {
			t.Errorf("logged %s", log)
		}
	})
}

// TestWhatIsNoGuess: health checks, and callers that forgot the header, lock nobody out.
func TestWhatIsNoGuess(t *testing.T) {
	v := newVisitor(t)
	for range 5 * maxWrong {
		wantStatus(t, v.ask(stranger, ""), http.StatusUnauthorized)
		wantStatus(t, v.ask(stranger, "Bearer "+deskToken), http.StatusOK)
	}
}

// TestARightTokenForgivesNothing: a viewer can't guess an operator's token in between. Yet who was right from there
// before is still let in: a neighbour's stale token must not lock operators out.
func TestARightTokenForgivesNothing(t *testing.T) {
	v := newVisitor(t)
	for i := range maxWrong {
		wantStatus(t, v.ask(stranger, fmt.Sprint("Bearer wrong", i)), http.StatusUnauthorized)
		if i < maxWrong-1 {
			wantStatus(t, v.ask(stranger, "Bearer "+deskToken), http.StatusOK)
		}
	}
	for range 3 {
		wantStatus(t, v.ask(stranger, "Bearer "+deskToken), http.StatusOK)
		wantStatus(t, v.ask(stranger, "Bearer wrong"), http.StatusTooManyRequests)
		wantStatus(t, v.ask(stranger, "Bearer "+opsToken), http.StatusTooManyRequests)
	}
}

// TestAFewWrongTokensAMinute lock nobody out: somebody mistypes now and then.
func TestAFewWrongTokensAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		for range 10 {
			for range maxWrong - 1 {
				wantStatus(t, v.ask(stranger, "Bearer wrong"), http.StatusUnauthorized)
			}
			time.Sleep(wrongWindow)
		}
	})
}

func TestWhoIsThrottled(t *testing.T) {
	tests := []struct {
		name         string
		guesser, xff string
		other, oxff  string
		together     bool
	}{
		{"two addresses", "203.0.113.9:1", "", "203.0.113.10:1", "", false},
		{"another port", "203.0.113.9:1", "", "203.0.113.9:2", "", true},
		{"IPv6, one network", "[2001:db8::1]:1", "", "[2001:db8::ffff:2]:1", "", true},
		{"IPv6, two networks", "[2001:db8::1]:1", "", "[2001:db8:0:1::1]:1", "", false},
		{"IPv4 within IPv6", "[::ffff:203.0.113.9]:1", "", "203.0.113.9:1", "", true},
		{"IPv4 within IPv6, another", "[::ffff:203.0.113.9]:1", "", "203.0.113.10:1", "", false},
		{"behind a proxy", "10.0.0.1:1", "203.0.113.9", "10.0.0.1:1", "203.0.113.10", false},
		{"behind a proxy, the same", "10.0.0.1:1", "203.0.113.9", "10.0.0.2:1", "203.0.113.9", true},
		{"a header that a stranger makes up", "203.0.113.9:1", "1.1.1.1", "203.0.113.9:1", "2.2.2.2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVisitor(t)
			v.exhaust(t, tt.guesser, "X-Forwarded-For", tt.xff)
			want := http.StatusOK
			if tt.together {
				want = http.StatusTooManyRequests
			}
			wantStatus(t, v.ask(tt.other, "Bearer "+opsToken, "X-Forwarded-For", tt.oxff), want)
		})
	}
}

// TestThrottleIsBounded: a stranger with any number of addresses fills no memory, and those that are at it now are kept.
func TestThrottleIsBounded(t *testing.T) {
	var th throttle
	now := time.Now()
	address := func(i int) string { return netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}).String() }
	for i := range 3 * maxWatched {
		th.count(address(i), now)
		th.count("203.0.113.9", now)
	}
	if len(th.watched) != maxWatched || th.byAge.Len() != maxWatched {
		t.Errorf("%d addresses are remembered, %d in order", len(th.watched), th.byAge.Len())
	}
	if th.blocked("203.0.113.9", now) == 0 {
		t.Error("the one that goes on guessing is forgotten")
	}
	if th.blocked(address(0), now) != 0 || th.watched[network(address(0))] != nil {
		t.Error("the oldest is remembered")
	}
}

func TestThrottleAtOnce(t *testing.T) {
	var th throttle
	done := make(chan bool)
	for range 8 {
		go func() {
			first := false
			for range 100 {
				th.blocked("203.0.113.9", time.Now())
				first = th.count("203.0.113.9", time.Now()) || first
			}
			done <- first
		}()
	}
	times := 0
	for range 8 {
		if <-done {
			times++
		}
	}
	if times != 1 {
		t.Errorf("the tenth was counted %d times", times)
	}
}
