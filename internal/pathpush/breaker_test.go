package pathpush

import (
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

func TestBreaker(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Max = time.Minute }, func(t *testing.T, r *rig) {
		busy := outage{errcode: -1}
		r.upstream.answer = busy.answer
		for w := range 200 {
			r.store.accept(waybill(w), 2, false)
		}
		time.Sleep(time.Second)
		s := r.pusher.Snapshots()[0].Breakers[0]
		if s.State != "open" || s.OpenedBy == "" || s.NextProbeAt.IsZero() {
			t.Fatalf("the breaker is %+v", s)
		}
		if got := r.pusher.Held("SF", false); got != store.WaitBreaker {
			t.Errorf("pushes wait for %q", got)
		}
		opened := len(r.upstream.seen())
		if opened > 64+20 {
			t.Errorf("%d requests before it opened", opened)
		}
		tries := r.store.push(400).Tries
		time.Sleep(28 * time.Second)
		if n := len(r.upstream.seen()); n != opened {
			t.Errorf("%d requests while it was open", n-opened)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.upstream.seen()); n > opened+5*5 {
			t.Errorf("%d requests as probes in two minutes", n-opened)
		}
		if got := r.store.push(400).Tries; got != tries {
			t.Errorf("a push that waited was charged %d tries", got-tries)
		}
		busy.over.Store(true)
		time.Sleep(3 * time.Minute)
		if got := r.store.count(store.Delivered); got != 400 {
			t.Errorf("delivered %d of 400 after the outage", got)
		}
		if s := r.pusher.Snapshots()[0].Breakers[0]; s.State != "closed" || s.OpenedBy != "" {
			t.Errorf("the breaker is %+v", s)
		}
	})
}

// comesBack ends an outage of a slow host with 5,000 waybills waiting, and fails if the host is run over once its breaker (by
// index) has closed.
func (r *rig) comesBack(t *testing.T, host *fakeUpstream, breaker int, after time.Duration) {
	t.Helper()
	host.latency = time.Second
	busy := outage{errcode: -1}
	host.answer = busy.answer
	for w := range 5000 {
		r.store.accept(waybill(w), 1, false)
	}
	time.Sleep(after)
	busy.over.Store(true)
	for r.pusher.Snapshots()[0].Breakers[breaker].State != "closed" {
		time.Sleep(50 * time.Millisecond)
	}
	seen := len(host.seen())
	time.Sleep(2 * time.Second)
	if n := len(host.seen()) - seen; n > 5*4 {
		t.Errorf("%d requests in the first two seconds after an outage", n)
	}
}

func TestRecoveryIsStepByStep(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Max = 5 * time.Second }, func(t *testing.T, r *rig) {
		r.comesBack(t, r.upstream, 0, 5*time.Second)
		time.Sleep(8 * time.Second)
		seen := len(r.upstream.seen())
		time.Sleep(2 * time.Second)
		if n := len(r.upstream.seen()) - seen; n < 120 {
			t.Errorf("%d requests in two seconds once it has recovered; the limit does not rise", n)
		}
	})
}

func TestFallbackWhileTheMainHostIsDown(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
	}, func(t *testing.T, r *rig) {
		var silent outage
		r.upstream.answer = silent.answer
		for w := range 300 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(5 * time.Minute)
		if got := r.store.count(store.Delivered); got != 300 {
			t.Errorf("delivered %d of 300", got)
		}
		if n := len(r.fallback.seen()); n < 200 {
			t.Errorf("only %d went to the fallback", n)
		}
		silent.over.Store(true)
		time.Sleep(time.Minute)
		for w := range 20 {
			r.store.accept(waybill(w), 1, false)
		}
		before := len(r.fallback.seen())
		time.Sleep(time.Minute)
		for w := range 20 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Second)
		if n := len(r.fallback.seen()) - before; n > 16 {
			t.Errorf("%d of 40 went to the fallback although the main host is back", n)
		}
	})
}

// TestHalfOpenIsLeft: probes whose answers don't count for the breaker leave their places to others.
func TestHalfOpenIsLeft(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Max = time.Second }, func(t *testing.T, r *rig) {
		var phase atomic.Int32
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			switch {
			case phase.Load() == 0:
				return code(-1)
			case phase.Load() == 1 && n%3 > 0:
				return code(40001)
			case phase.Load() == 1 && n%5 == 0:
				return code(45011)
			}
			return code(0)
		}
		for w := range 50 {
			r.store.accept(waybill(w), 3, false)
		}
		time.Sleep(10 * time.Second)
		if s := r.pusher.Snapshots()[0].Breakers[0]; s.State != "open" {
			t.Fatalf("the breaker is %+v", s)
		}
		phase.Store(1)
		time.Sleep(2 * time.Hour) // 45011 costs a minute each time.
		if s := r.pusher.Snapshots()[0].Breakers[0]; s.State != "closed" {
			t.Errorf("the breaker is %+v", s)
		}
		if got := r.store.count(store.Delivered); got != 150 {
			t.Errorf("delivered %d of 150", got)
		}
	})
}

// TestHalfOpenWithOneWaybill: the five probes that must succeed come one after the other if there is only one waybill.
func TestHalfOpenWithOneWaybill(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Max, o.Breaker.MinRequests = time.Second, 3 }, func(t *testing.T, r *rig) {
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n <= 3 {
				return code(-1)
			}
			return code(0)
		}
		r.store.accept(waybill(1), 7, false)
		time.Sleep(time.Minute)
		if got := r.store.count(store.Delivered); got != 7 {
			t.Errorf("delivered %d of 7", got)
		}
		if s := r.pusher.Snapshots()[0]; s.Breakers[0].State != "closed" {
			t.Errorf("the breaker is %+v", s.Breakers[0])
		}
	})
}

// TestFallbackRecoversStepByStep: after an outage of both hosts the one that comes back first must not be run over either.
func TestFallbackRecoversStepByStep(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Retry.Max = 5 * time.Second
		o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
	}, func(t *testing.T, r *rig) {
		r.upstream.answer = func(int, call) (wechat.Answer, error) { return code(-1) }
		r.comesBack(t, r.fallback, 1, 20*time.Second)
		time.Sleep(5 * time.Minute)
		if got := r.store.count(store.Delivered); got != 5000 {
			t.Errorf("delivered %d of 5000", got)
		}
		if s := r.pusher.Snapshots()[0]; s.Concurrency != 64 {
			t.Errorf("%d are allowed in flight long after it recovered", s.Concurrency)
		}
	})
}

// TestMainProbesWhileTheFallbackIsUsed: its few probes fail, the fallback carries on at full speed, nothing is lost.
func TestMainProbesWhileTheFallbackIsUsed(t *testing.T) {
	bubble(t, func(o *Options) {
		o.Retry.Max = time.Second
		o.Accounts[0].Hosts = append(o.Accounts[0].Hosts, Host{Name: "fallback"})
	}, func(t *testing.T, r *rig) {
		r.upstream.answer = func(int, call) (wechat.Answer, error) { return wechat.Answer{}, errTimeout }
		for w := range 200 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(10 * time.Second)
		before := len(r.upstream.seen())
		for i := range 3000 {
			r.store.accept(waybill(1000+i), 1, false)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := len(r.upstream.seen()) - before; n == 0 || n > 60 {
			t.Errorf("%d probes of the main host in five minutes", n)
		}
		if got := r.store.count(store.Delivered); got != 3200 {
			t.Errorf("delivered %d of 3200", got)
		}
		if got := r.pusher.Held("SF", false); got != store.WaitNothing {
			t.Errorf("pushes wait for %q although the fallback takes them", got)
		}
	})
}
