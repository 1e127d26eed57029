package pathpush

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// reload has the rig's pusher go by its options as change leaves them. It counts the accounts that are done with.
func (r *rig) reload(t *testing.T, change func(*Options)) (removed *atomic.Int32) {
	t.Helper()
	removed = new(atomic.Int32)
	r.options.Accounts = slices.Clone(r.options.Accounts)
	change(&r.options)
	take, err := r.pusher.Prepare(r.options, func(string) { removed.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	take()
	return removed
}

func TestOtherLimits(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		flood := func(from int) (most int) {
			r.upstream.mu.Lock()
			r.upstream.most = 0
			r.upstream.mu.Unlock()
			for w := range 400 {
				r.store.accept(waybill(from+w), 1, false)
			}
			time.Sleep(5 * time.Second)
			r.upstream.mu.Lock()
			defer r.upstream.mu.Unlock()
			return r.upstream.most
		}
		if most := max(flood(0), flood(500)); most != 64 {
			t.Errorf("%d were in flight at once, want 64", most)
		}
		r.reload(t, func(o *Options) { o.Accounts[0].Concurrency = 3 })
		if most := flood(1000); most != 3 {
			t.Errorf("%d were in flight at once, want 3", most)
		}
		r.reload(t, func(o *Options) { o.Accounts[0].Concurrency, o.Accounts[0].Rate = 100, 10 })
		before := len(r.upstream.seen())
		flood(2000)
		if sent := len(r.upstream.seen()) - before; sent < 45 || sent > 55 {
			t.Errorf("%d were sent in 5 s at 10 a second", sent)
		}
		r.reload(t, func(o *Options) { o.Accounts[0].Rate = 0 })
		time.Sleep(5 * time.Second)
		if got := r.store.count(store.Delivered); got != 1600 {
			t.Errorf("%d of 1600 are delivered", got)
		}
	})
}

// TestOtherHost: what is in flight ends where it began, the rest goes to the new host with the new credentials, in order,
// and the old ones are given up only then.
func TestOtherHost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.takes(10 * time.Second)
		r.store.accept(waybill(1), 3, false)
		r.store.accept(waybill(2), 1, false)
		time.Sleep(time.Second)
		var retired atomic.Pointer[time.Time]
		begun := time.Now()
		r.reload(t, func(o *Options) {
			o.Accounts[0].Hosts, o.Accounts[0].Credentials = []Host{{"new", r.fallback}}, &fakeCreds{}
			o.Accounts[0].Retired = func() { retired.Store(new(time.Now())) }
		})
		r.store.accept(waybill(3), 1, false)
		time.Sleep(time.Second)
		if retired.Load() != nil {
			t.Error("the old host was given up with pushes in flight")
		}
		time.Sleep(time.Minute)
		if at := retired.Load(); at == nil || at.Sub(begun) != 9*time.Second {
			t.Errorf("the old host was given up at %s, want 9 s after %s", at, begun)
		}
		if old, now := len(r.upstream.seen()), len(r.fallback.seen()); old != 2 || now != 3 {
			t.Errorf("%d pushes went to the old host and %d to the new one, want 2 and 3", old, now)
		}
		if got := r.store.count(store.Delivered); got != 5 {
			t.Errorf("%d of 5 are delivered", got)
		}
		if s := r.pusher.Snapshots()[0]; len(s.Breakers) != 1 || s.Breakers[0].Host != "new" {
			t.Errorf("the breakers are %+v", s.Breakers)
		}
	})
}

// TestSameHost: what stays the same is not replaced, and its breaker remembers.
func TestSameHost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		since := r.pusher.Snapshots()[0].Breakers[0].Since
		r.reload(t, func(o *Options) {
			o.Accounts[0].Retired = func() { t.Error("what is still used was given up") }
			o.TokenRetries = 7
		})
		time.Sleep(time.Hour)
		if got := r.pusher.Snapshots()[0].Breakers[0].Since; got != since {
			t.Errorf("the breaker is of %s, want %s", got, since)
		}
	})
}

// TestNewSecretEndsAPause: after a wrong secret was replaced nobody waits for the next probe.
func TestNewSecretEndsAPause(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.creds.fail(&wechat.TokenError{Errcode: 40125, Scope: wechat.ScopeAccount, Err: errors.New("invalid appsecret")})
		r.store.accept(waybill(1), 1, false)
		time.Sleep(time.Second)
		if !r.pusher.Snapshots()[0].Paused {
			t.Fatal("it is not paused")
		}
		r.reload(t, func(o *Options) { o.Accounts[0].Credentials = &fakeCreds{} })
		time.Sleep(time.Second)
		if got := r.store.count(store.Delivered); got != 1 || r.pusher.Snapshots()[0].Paused {
			t.Errorf("delivered %d, %+v", got, r.pusher.Snapshots()[0])
		}
	})
}

// TestPauseByHandOutlivesNewCredentials: only an operator ends what an operator began.
func TestPauseByHandOutlivesNewCredentials(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		if err := r.pusher.Pause(t.Context(), "SF", "maintenance"); err != nil {
			t.Fatal(err)
		}
		r.store.accept(waybill(1), 1, false)
		r.reload(t, func(o *Options) { o.Accounts[0].Credentials = &fakeCreds{} })
		time.Sleep(time.Hour)
		if len(r.upstream.seen()) != 0 || !r.pusher.Snapshots()[0].Paused {
			t.Errorf("%d were sent", len(r.upstream.seen()))
		}
	})
}

// TestOpenBreakerStaysOpen also with other options, and its time is the new one.
func TestOpenBreakerStaysOpen(t *testing.T) {
	options := BreakerOptions{MinRequests: 5, FailureRatio: 0.5, Interval: 10 * time.Second, OpenFor: time.Hour, HalfOpen: 1}
	bubble(t, func(o *Options) { o.Breaker = options }, func(t *testing.T, r *rig) {
		r.upstream.answers(func(int, call) (wechat.Answer, error) { return code(-1) })
		for w := range 50 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(10 * time.Second)
		was := r.pusher.Snapshots()[0].Breakers[0]
		if was.State != "open" {
			t.Fatalf("it is %+v", was)
		}
		sent := len(r.upstream.seen())
		r.reload(t, func(o *Options) { o.Breaker.OpenFor, o.Breaker.MinRequests = time.Minute, 7 })
		if now := r.pusher.Snapshots()[0].Breakers[0]; now.State != "open" || now.OpenedBy != was.OpenedBy || time.Until(now.NextProbeAt) > time.Minute {
			t.Errorf("it is %+v, and was %+v", now, was)
		}
		time.Sleep(50 * time.Second)
		if got := len(r.upstream.seen()); got != sent {
			t.Errorf("%d were sent while it was open", got-sent)
		}
		r.upstream.answers(nil)
		time.Sleep(time.Minute)
		if got := r.pusher.Snapshots()[0].Breakers[0].State; got != "closed" {
			t.Errorf("it is %s after its new time", got)
		}
	})
}

func TestAccountsComeAndGo(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		ids := func() (ids []string) {
			for _, s := range r.pusher.Snapshots() {
				ids = append(ids, s.DeliveryID)
			}
			return ids
		}
		r.upstream.takes(10 * time.Second)
		sf := r.options.Accounts[0]
		yto := AccountOptions{DeliveryID: "YTO", Hosts: []Host{{"yto", r.fallback}}, Credentials: &fakeCreds{}}
		of := waybill(9)
		of.DeliveryID = "YTO"
		r.store.accept(of, 1, true) // From before: the store has it, and nobody told the pusher.
		r.store.accept(waybill(1), 3, false)
		time.Sleep(time.Second)

		removed := r.reload(t, func(o *Options) { o.Accounts = []AccountOptions{yto} })
		if got := ids(); !slices.Equal(got, []string{"YTO"}) {
			t.Errorf("the accounts are %v", got)
		}
		if err := r.pusher.Pause(t.Context(), "SF", ""); !errors.Is(err, ErrUnknownAccount) {
			t.Errorf("pausing one that went: %v", err)
		}
		time.Sleep(time.Second)
		if r.store.count(store.Delivered) != 1 || removed.Load() != 0 {
			t.Errorf("%d delivered, removed %v; want the one of YTO, and SF's push in flight", r.store.count(store.Delivered), removed.Load())
		}
		// Back again while its push is still in flight: the fake upstream fails the test if two of a waybill are.
		r.reload(t, func(o *Options) { o.Accounts = []AccountOptions{yto, sf} })
		time.Sleep(5 * time.Second)
		if got := len(r.upstream.seen()); got != 1 {
			t.Errorf("%d pushes of SF were sent before the one in flight ended", got)
		}
		time.Sleep(time.Minute)
		if got := r.store.count(store.Delivered); got != 4 || removed.Load() != 1 {
			t.Errorf("%d of 4 are delivered, removed %v", got, removed.Load())
		}
		if got := ids(); !slices.Equal(got, []string{"YTO", "SF"}) {
			t.Errorf("the accounts are %v", got)
		}
	})
}

func TestOptionsThatCanNotBePrepared(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for name, change := range map[string]func(*Options){
			"an account twice":   func(o *Options) { o.Accounts = append(o.Accounts, o.Accounts[0]) },
			"no host":            func(o *Options) { o.Accounts[0].Hosts = nil },
			"too large a share":  func(o *Options) { o.QuotaReserve = 2 },
			"without its secret": func(o *Options) { o.Accounts[0].Credentials = nil },
		} {
			o := r.options
			o.Accounts = slices.Clone(o.Accounts)
			change(&o)
			if take, err := r.pusher.Prepare(o, nil); err == nil || take != nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
