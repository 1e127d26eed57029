package pathpush

import (
	"flag"
	"slices"
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// gathered is how many pushes gather in TestAnHourWithoutUpstream; a release is tested with more.
var gathered = flag.Int("gathered", 25_000, "how many pushes gather in TestAnHourWithoutUpstream")

// TestAnHourWithoutUpstream has pushes gather while upstream is away for an hour, far more than fit into memory, and then
// lets it come back: while it is away it is asked once per time-out of the breaker, and nothing of what waits is used up;
// afterwards the flow rises step by step up to the rate, which it keeps to, and scans that come in by then don't wait
// behind the rest. Run it with -gathered 100000 for a release.
func TestAnHourWithoutUpstream(t *testing.T) {
	const scans, rate = 5, 500
	waybills, room := *gathered/scans, *gathered/12
	bubble(t, func(o *Options) {
		o.Accounts[0].Rate, o.MaxLoaded = rate, room
		o.Breaker.HalfOpen, o.Breaker.OpenFor = 1, 30*time.Second
	}, func(t *testing.T, r *rig) {
		r.upstream.answers(func(int, call) (wechat.Answer, error) { return code(-1) })
		gone := time.Now()
		for n := range scans * 100 {
			for w := range waybills / 100 {
				r.store.accept(waybill(n%100*(waybills/100)+w), 1, false)
			}
			// The bound is soft: what is in memory of a waybill is whole.
			if n := r.pusher.Snapshots()[0].Loaded; n > 2*room {
				t.Fatalf("%d pushes are in memory, %d may be", n, room)
			}
			time.Sleep(time.Hour / (scans * 100))
		}
		probes := askedWhileOpen(t, r, gone)
		t.Logf("%d pushes waited for an hour; upstream was asked %d times after the breaker had opened", waybills*scans, probes)
		nothingUsedUp(t, r)

		r.upstream.answers(nil)
		back := time.Now()
		fresh := drain(r, waybills)
		recoveredGently(t, r, back, rate)
		if took, least := time.Since(back), time.Duration(waybills*scans)*time.Second/rate; took > least*10/9+time.Minute {
			t.Errorf("the backlog took %v, at %d a second it takes %v", took, rate, least)
		}
		closed := firstAfter(r, back).Add(time.Second) // What came before it knew that upstream is back waited with the rest.
		for _, seq := range fresh {
			if p := r.store.push(seq); p.ReceivedAt.After(closed) && p.DoneAt.Sub(p.ReceivedAt) > 30*time.Second {
				t.Errorf("scan %d came %v after upstream was back, and waited %v behind the backlog",
					seq, p.ReceivedAt.Sub(back), p.DoneAt.Sub(p.ReceivedAt))
			}
		}
	})
}

// firstAfter is when the first request after a time was sent.
func firstAfter(r *rig, t time.Time) time.Time {
	calls := r.upstream.seen()
	return calls[slices.IndexFunc(calls, func(c call) bool { return c.at.After(t) })].at
}

// askedWhileOpen counts the requests since the breaker opened, and sees that there is at most one in any of its
// time-outs.
func askedWhileOpen(t *testing.T, r *rig, gone time.Time) (probes int) {
	t.Helper()
	calls := r.upstream.seen()
	opened := slices.IndexFunc(calls, func(c call) bool { return c.at.Sub(gone) > 15*time.Second })
	if opened < 0 {
		t.Fatal("upstream was never probed")
	}
	for i := opened + 1; i < len(calls); i++ {
		if wait := calls[i].at.Sub(calls[i-1].at); wait < 30*time.Second {
			t.Errorf("upstream was asked again after %v, while the breaker was open", wait)
		}
	}
	return len(calls) - opened
}

// nothingUsedUp sees that a push has an attempt for each request, and no more.
func nothingUsedUp(t *testing.T, r *rig) {
	t.Helper()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	tries, ended := 0, 0
	for _, p := range r.store.pushes {
		if tries += p.Tries; p.Status != store.Pending {
			ended++
		}
	}
	if n := len(r.upstream.seen()); tries != n || ended != 0 {
		t.Errorf("%d attempts were used up by %d requests, and %d pushes ended", tries, n, ended)
	}
}

// drain waits until all is delivered, while a scan of a new waybill comes in every second. It returns those.
func drain(r *rig, next int) (fresh []uint64) {
	all := len(r.store.pushes)
	for r.store.count(store.Delivered) < all+len(fresh) {
		r.store.accept(waybill(next+len(fresh)), 1, false)
		fresh = append(fresh, uint64(all+len(fresh)+1))
		time.Sleep(time.Second)
		if len(fresh) > 10_000 {
			break // What is missing is told by the caller's checks.
		}
	}
	return fresh
}

// recoveredGently sees that the flow rises step by step, and keeps to the rate.
func recoveredGently(t *testing.T, r *rig, back time.Time, rate int) {
	t.Helper()
	var perSecond []int
	for _, c := range r.upstream.seen() {
		if since := c.at.Sub(back); since >= 0 {
			for int(since/time.Second) >= len(perSecond) {
				perSecond = append(perSecond, 0)
			}
			perSecond[since/time.Second]++
		}
	}
	first := slices.IndexFunc(perSecond, func(n int) bool { return n > 0 })
	steps := perSecond[first:min(first+20, len(perSecond))]
	t.Logf("requests per second once upstream was back: %v", steps)
	if steps[0] > rate/5 || steps[2] > rate/2 {
		t.Errorf("it begins with %v requests a second, which is a rush", steps[:3])
	}
	if most := slices.Max(perSecond); most > rate*11/10 {
		t.Errorf("%d requests in one second, %d are allowed", most, rate)
	}
}
