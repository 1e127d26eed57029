package pathpush

import (
	"context"
	"testing"
	"testing/synctest"

	"carrier/internal/state"
	"carrier/internal/wechat"
)

// rig is a pusher with all its fakes, running in a synctest bubble.
type rig struct {
	store    *fakeStore
	upstream *fakeUpstream
	fallback *fakeUpstream
	creds    *fakeCreds
	quota    *fakeQuota // Not asked unless the options have it.
	pusher   *Pusher
	options  Options
	stop     context.CancelFunc
	err      error
}

// bubble runs test with a rig whose pusher is running, and stops it at the end.
func bubble(t *testing.T, change func(*Options), test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{store: newFakeStore(t), upstream: newFakeUpstream(t), fallback: newFakeUpstream(t), creds: &fakeCreds{}}
		r.quota = &fakeQuota{up: r.upstream, limit: 1_000_000}
		o := Options{
			Store: r.store,
			Accounts: []AccountOptions{{
				DeliveryID: "SF", Hosts: []Host{{"main", r.upstream}}, Credentials: r.creds, Concurrency: 64,
			}},
			Random: func() float64 { return 0.5 },
		}
		if change != nil {
			change(&o)
		}
		if o.QuotaReserve > 0 {
			o.Accounts[0].Quota = r.quota
		}
		for i := range o.Accounts[0].Hosts[1:] {
			o.Accounts[0].Hosts[i+1].Upstream = r.fallback
		}
		r.options = o
		r.begin(t)
		defer func() { r.stop() }()
		test(t, r)
	})
}

// begin starts a pusher on the rig's fakes, as after a restart.
func (r *rig) begin(t *testing.T) {
	p, err := New(r.options)
	if err != nil {
		t.Fatal(err)
	}
	r.store.mu.Lock()
	r.pusher, r.store.feed = p, p.Feed
	r.store.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	r.stop = func() { cancel(); <-done }
	go func() { defer close(done); r.err = p.Run(ctx) }()
}

// changeToken has a waybill get the Token NEW while another one is on its way with a push, which is refused.
func (r *rig) changeToken(w state.Waybill) {
	r.upstream.answer = func(_ int, c call) (wechat.Answer, error) {
		if c.update.Token != "NEW" {
			r.store.putToken(w, "NEW")
			return code(9300507)
		}
		return code(0)
	}
}
