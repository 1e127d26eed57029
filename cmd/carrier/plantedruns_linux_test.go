package main

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
	"carrier/internal/store/postgres/pgtest"
)

// TestPlantedFaults runs a carrier with one fault after the other in the way of the other tests here, and has the oracle
// find it: tests that can't see these faults would prove nothing.
func TestPlantedFaults(t *testing.T) {
	path := buildPlanted(t)
	found := make(chan string, len(plants))
	t.Run("with", func(t *testing.T) {
		for _, r := range []struct {
			name, fault string
			laws        string // One of which the oracle must find broken; none for the controls.
			run         func(t *testing.T, b binary) (violations []string)
		}{
			{"no fault", "", "", badDay},
			{"no fault, and a lease that ends", "", "", lostLease},
			{"ack before commit", "ack before commit", "L1", crashes},
			{"skip dedupe", "skip dedupe", "L1", badDay},
			{"drop on breaker open", "drop on breaker open", "L2", badDay},
			{"reorder", "reorder", "L4", badDay},
			{"refresh on 9300507", "refresh on 9300507", "L8", badDay},
			{"retry on 40097", "retry on 40097", "L9", badDay},
			{"sync off", "sync off", "L1", unsynced},
			// What two nodes take for their own is sent by both, or by neither.
			{"ignore lease epoch", "ignore lease epoch", "L2 L4 L5", lostLease},
		} {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				violations := r.run(t, binary{path, []string{plantedEnv + "=" + r.fault}})
				if r.fault == "" {
					for _, v := range violations {
						t.Error(v)
					}
					return
				}
				if v := broken(violations, r.laws); v != "" {
					found <- r.fault
					t.Logf("found by %d violations, such as: %s", len(violations), v)
					return
				}
				t.Errorf("the oracle did not find the fault by %s; it says %q", r.laws, violations)
			})
		}
	})
	t.Logf("%d of %d planted faults detected", len(found), len(plants))
}

// broken is the first violation of one of the laws; "" if there is none.
func broken(violations []string, laws string) string {
	for _, v := range violations {
		if law, _, _ := strings.Cut(v, ":"); strings.Contains(laws, law) {
			return v
		}
	}
	return ""
}

// quiet is how long a carrier with a fault may stand still before what it left over is taken for lost.
const quiet = 3 * time.Second

// unsynced cuts the power of a carrier's disk.
func unsynced(t *testing.T, b binary) []string {
	_, _, violations := powerCuts(t, b, rand.Uint64N(1<<32), 2, quiet)
	return violations
}

// crashes kills the carrier some times under load.
func crashes(t *testing.T, b binary) []string {
	const times = 3
	seed := rand.Uint64N(1 << 32)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	file := settings.File(t)
	p, c := b.serve(t, settings, file)
	l := startLoad(t, seed, up, c, 400)
	var outages []apptest.Outage
	for range times {
		progress(t, l, l.Acked()+60)
		out := apptest.Outage{Killed: time.Now()}
		p.kill()
		p, c = b.serve(t, settings, file)
		out.Up = time.Now()
		outages = append(outages, out)
		l.client.Store(c)
	}
	progress(t, l, l.Acked()+60)
	_, violations := l.compare(t, outages, quiet)
	return violations
}

// badDay gives the carrier an upstream that is slow, refuses some of what it is sent, and is gone for a while.
func badDay(t *testing.T, b binary) []string {
	seed := rand.Uint64N(1 << 32)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	bad := sandbox.Faults{
		Trouble:  sandbox.Trouble{Latency: sandbox.Duration(20 * time.Millisecond), Jitter: sandbox.Duration(80 * time.Millisecond)},
		Waybills: map[string]sandbox.WaybillFault{},
	}
	for n := range 20 {
		waybill := apptest.NewPlan(seed, n+1, "SF", 0).WaybillID
		bad.Waybills[waybill] = sandbox.WaybillFault{Errcode: []int{9300507, 40097}[n%2], Times: 1}
	}
	up.Faulty(t, bad)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	settings.Push = `{retry: {initial: 10ms, max: 100ms, multiplier: 2, max_age: 72h}, ` +
		`breaker: {min_requests: 10, failure_ratio: 0.5, interval: 1s, open_for: 300ms, half_open: 2}}`
	_, c := b.serve(t, settings, settings.File(t))
	l := startLoad(t, seed, up, c, 300)
	l.starts = 1
	progress(t, l, 200)
	bad.Outage, bad.Waybills = true, nil
	up.Faulty(t, bad)
	apptest.Eventually(t, soon, func() bool {
		a := c.Account(t, "SF")
		return a.Breaker.State == "open" || a.Paused // Who needs an access_token just then gets none.
	}, apptest.Text("pushes wait"))
	progress(t, l, l.Acked()+100)
	bad.Outage = false
	up.Faulty(t, bad)
	progress(t, l, l.Acked()+100)
	run, violations := l.compare(t, nil, soon)
	if n := run.Upstream.Errcodes; n[9300507] == 0 || n[40097] == 0 {
		t.Errorf("the run is void: upstream's answers were %v", n)
	}
	return violations
}

// lostLease has one of two nodes stand still for longer than its lease.
func lostLease(t *testing.T, b binary) []string {
	seed := rand.Uint64N(1 << 32)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	// Slow, so that the node has much in memory when it falls asleep.
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(200 * time.Millisecond)}})
	settings := apptest.NewSettings(t, apptest.Account{
		DeliveryID: "SF", BaseURL: up.URL, Timeout: pushTimeout, Concurrency: 32, // Of both: more than the load needs.
	})
	settings.StoreURL, settings.Lease = pgtest.Start(t).URL(), testLease
	file := settings.File(t)
	_, c := b.serve(t, settings, file)
	sleeper, its := b.serve(t, settings, file)
	l := startLoad(t, seed, up, c, 150)
	apptest.Eventually(t, later, func() bool { return its.Account(t, "SF").InFlight > 8 }, apptest.Text("the second node pushes"))
	slept := time.Now()
	if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	arrived := up.Stats().Applied
	apptest.Eventually(t, later, func() bool { return time.Since(slept) > 2*testLease && up.Stats().Applied > arrived+50 },
		apptest.Text("the other node takes over"))
	// Of the few that it has under way, most are with upstream at any moment.
	l.slept = &standstill{most: 2, resumed: time.Now()}
	if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	progress(t, l, l.Acked()+150)
	// Only what was in flight when it fell asleep may be sent again.
	_, violations := l.compare(t, []apptest.Outage{{Killed: slept, Up: slept.Add(time.Second)}}, 4*testLease)
	t.Logf("%d pushes were sent too late", len(l.slept.sent))
	return violations
}
