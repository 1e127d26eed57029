package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// restless is an upstream on a bad day: every kind of trouble, none of it for long.
var restless = sandbox.Faults{
	Trouble: sandbox.Trouble{
		Latency: sandbox.Duration(5 * time.Millisecond), Jitter: sandbox.Duration(40 * time.Millisecond),
		Busy: 0.04, Resets: 0.02, ResetsBefore: 0.02, HalfJSON: 0.01, HTTP500: 0.01, HTML: 0.01, NoErrcode: 0.01,
	},
	ExpireTokens: 0.002,
}

// load is a generator over the current process of a service that comes and goes.
type load struct {
	*apptest.Generator
	up     *apptest.Upstream
	client atomic.Pointer[apptest.Client]
	starts int // Of processes, for the oracle; 0: it is not to judge how often access_tokens were fetched.
	done   sync.WaitGroup
	slept  *standstill // What a node sent late that had stood still; nil: none did.
}

// startLoad sends plans to whatever l.client is at the moment, c at first, until the test ends; rate is in events a
// second.
func startLoad(t *testing.T, seed uint64, up *apptest.Upstream, c *apptest.Client, rate float64) *load {
	t.Helper()
	l := &load{up: up}
	l.client.Store(c)
	l.start(t, seed, l.client.Load, rate)
	return l
}

// start sends plans to whatever client gives, until the test ends; rate is in events a second.
func (l *load) start(t *testing.T, seed uint64, client func() *apptest.Client, rate float64) {
	t.Helper()
	base := time.Now().Add(-24 * time.Hour).Unix()
	l.Generator = &apptest.Generator{
		Workers: 12, Rate: rate,
		Plan:   func(n int) apptest.Plan { return apptest.NewPlan(seed, n, "SF", base) },
		Client: client,
		Before: func(p *apptest.Plan) {
			if _, err := l.up.AddOrder(sandbox.Order{WaybillID: p.WaybillID, Token: p.Token}); err != nil {
				t.Error(err)
			}
		},
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l.done.Go(func() { l.Run(ctx) })
	t.Cleanup(func() { cancel(); l.done.Wait() })
}

// finish lets the generator finish what it began, heals upstream, waits until everything is through, and has the
// oracle compare the logs.
func (l *load) finish(t *testing.T, outages []apptest.Outage) *apptest.Run {
	t.Helper()
	run, violations := l.compare(t, outages, soon)
	for _, v := range violations[:min(len(violations), 20)] {
		t.Error(v)
	}
	if n := len(violations); n > 20 {
		t.Errorf("... %d violations in all", n)
	}
	return run
}

// compare is finish for who wants to judge the violations himself. What is not through when nothing has moved for while
// is left over.
func (l *load) compare(t *testing.T, outages []apptest.Outage, while time.Duration) (run *apptest.Run, violations []string) {
	t.Helper()
	l.Stop()
	l.done.Wait()
	l.up.Faulty(t, sandbox.Faults{})
	c := l.client.Load()
	c.Drain(t, while)
	log, order, wrong := l.Log()
	run = &apptest.Run{
		Sent: log, Order: order, Stored: c.EventsOf(t, "delivery_id=SF"), Pushes: c.Pushes(t, "delivery_id=SF"), Outages: outages,
		Arrivals: slices.DeleteFunc(l.up.All(), func(a sandbox.Arrival) bool {
			return a.WaybillID[0] != 'W' || l.slept.excuses(&a)
		}),
		Upstream: l.up.Stats(), Starts: l.starts,
	}
	violations = append(wrong, run.Violations()...)
	if n := run.Upstream.Overlaps; n > l.slept.overlaps() {
		violations = append(violations, fmt.Sprintf("%d pushes of one waybill were under way together with another", n))
	}
	return run, violations
}

// TestKill9 kills the service at random moments while events come in and upstream is restless, and compares what was
// promised with what happened. Run it with -kills 200 for a release.
func TestKill9(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, restless)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 2 * time.Second})
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	l := startLoad(t, seed, up, c, 800)

	var outages []apptest.Outage
	withPushes, withBacklog, slowest := 0, 0, time.Duration(0)
	for range *kills {
		before, moment := l.Acked(), time.Duration(50+rng.IntN(700))*time.Millisecond
		timer := time.NewTimer(moment)
		// A random moment of the load, not of the start: some events must have come in first.
		apptest.Eventually(t, later, func() bool { return l.Acked() > before+5 }, func() string {
			return fmt.Sprintf("events are taken after a restart; the log ends with\n%s", p.tail(20))
		})
		<-timer.C
		if up.Stats().InFlight > 0 {
			withPushes++
		}
		out := apptest.Outage{Killed: time.Now()}
		p.kill()
		began := time.Now()
		p, c = serveCarrier(t, settings, file)
		slowest = max(slowest, time.Since(began))
		out.Up = time.Now()
		outages = append(outages, out)
		if c.Account(t, "SF").Counts["pending"] > 0 {
			withBacklog++
		}
		l.client.Store(c)
	}
	l.starts = 1 + len(outages)
	run := l.finish(t, outages)

	stats := up.Stats()
	t.Logf("%d kills (%d with pushes in flight, %d restarts with a backlog); %d events in %d requests, %d of which were cut; "+
		"%d pushes arrived, %d of them twice; the slowest start took %v",
		len(outages), withPushes, withBacklog, len(run.Sent), l.Requests.Load(), l.Cut.Load(), stats.Applied, stats.Repeats,
		slowest.Round(time.Millisecond))
	// A run without load or without faults proves nothing.
	if len(run.Sent) < 100**kills || l.Acked() < len(run.Sent) || withPushes < *kills/2 || withBacklog < *kills/2 || l.Cut.Load() < int64(*kills)/2 {
		t.Errorf("the run is void: too few events, kills with work under way, or requests cut")
	}
	if slowest > 5*time.Second {
		t.Errorf("a start took %v, want at most 5s", slowest)
	}
	if status, took := p.terminate(t); status != 0 || took > 30*time.Second {
		t.Errorf("the last process ended with status %d after %v", status, took)
	}
	checkStore(t, file, len(run.Stored))
}

// checkStore runs `carrier store check` on a store that no process uses.
func checkStore(t *testing.T, configFile string, events int) {
	t.Helper()
	status, out, errs := command(t, nil, "", "store", "check", "-c", configFile)
	if status != 0 {
		t.Errorf("store check ended with status %d:\n%s%s", status, out, errs)
	}
	if want := fmt.Sprintf(" %d events", events); !strings.Contains(out, want) {
		t.Errorf("store check says\n%s, want%s in it", out, want)
	}
}

// progress waits until so many events were acknowledged.
func progress(t *testing.T, l *load, want int) {
	t.Helper()
	apptest.Eventually(t, later, func() bool { return l.Acked() >= want }, func() string {
		return fmt.Sprintf("%d events are acknowledged, want %d", l.Acked(), want)
	})
}
