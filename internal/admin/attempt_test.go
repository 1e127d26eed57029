package admin

import (
	"testing"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/store"
)

func TestAttemptsTellWhatReplacedWhatTheyUsed(t *testing.T) {
	at := func(minute int) time.Time { return someTime.Add(time.Duration(minute) * time.Minute).UTC() }
	attempt := func(token, accessToken time.Time) store.Attempt {
		return store.Attempt{At: someTime, Breaker: store.BreakerClosed, TokenAt: token, AccessTokenAt: accessToken}
	}
	type newer struct{ token, accessToken time.Time }
	none := time.Time{}
	tests := []struct {
		name        string
		attempts    []store.Attempt
		token       time.Time // The waybill's newest.
		accessToken time.Time // The account's present one.
		want        []newer
	}{
		{"all is the newest", []store.Attempt{attempt(at(0), at(1)), attempt(at(0), at(1))}, at(0), at(1).Add(time.Microsecond),
			[]newer{{none, none}, {none, none}}},
		{"a newer Token came afterwards", []store.Attempt{attempt(at(0), at(1)), attempt(at(0), at(1))}, at(5), at(1),
			[]newer{{at(5), none}, {at(5), none}}},
		{"each attempt had another", []store.Attempt{attempt(at(0), at(1)), attempt(at(2), at(3)), attempt(at(4), at(5))}, at(6), at(7),
			[]newer{{at(2), at(3)}, {at(4), at(5)}, {at(6), at(7)}}},
		{"one replaced by the next, which is the newest", []store.Attempt{attempt(at(0), at(1)), attempt(at(2), at(3))}, at(2), at(3),
			[]newer{{at(2), at(3)}, {none, none}}},
		{"from before it was kept", []store.Attempt{attempt(none, none), attempt(at(2), at(3))}, at(4), at(5),
			[]newer{{none, none}, {at(4), at(5)}}},
		{"with none, and none by now", []store.Attempt{attempt(none, none)}, none, none, []newer{{none, none}}},
		{"the Token was forgotten, the access_token refused", []store.Attempt{attempt(at(0), at(1))}, none, none, []newer{{none, none}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := samplePush()
			p.Attempts = tt.attempts
			v := seenBy(operator, pathpush.Snapshot{DeliveryID: "SF", AccessTokenAt: tt.accessToken})
			detail := v.pushDetail(&p, &store.Waybill{TokenAt: tt.token})
			for i, a := range detail.Attempts {
				if got := (newer{instantOf(a.NewerTokenAt), instantOf(a.RefetchedAt)}); got != tt.want[i] {
					t.Errorf("attempt %d: %v, want %v", i, got, tt.want[i])
				}
			}
		})
	}
}

func instantOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
