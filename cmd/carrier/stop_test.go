package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestSIGTERM stops the service in the ordinary way under load, several times. A stop is no crash: no request that was
// taken goes without its answer, and nothing is sent upstream a second time.
func TestSIGTERM(t *testing.T) {
	const rounds = 5
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 15))
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{
		Latency: sandbox.Duration(50 * time.Millisecond), Jitter: sandbox.Duration(150 * time.Millisecond),
	}})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	l := startLoad(t, seed, up, c, 800)

	inFlight, unanswered := 0, 0
	for range rounds {
		enough := l.Acked() + 150 + rng.IntN(200)
		apptest.Eventually(t, later, func() bool { return l.Acked() > enough && up.Stats().InFlight > 10 },
			apptest.Text("there is a load"))
		inFlight += up.Stats().InFlight
		status, took := p.terminate(t)
		if status != 0 {
			t.Errorf("SIGTERM ends the service with status %d, want 0:\n%s", status, p.tail(10))
		}
		if took > 30*time.Second {
			t.Errorf("the stop took %v, want at most 30s", took)
		}
		if n := up.Stats().InFlight; n != 0 {
			t.Errorf("%d pushes were still under way when the process ended", n)
		}
		cut := waitUnanswered(t, l)

		p, c = serveCarrier(t, settings, file)
		kept := map[string]bool{}
		for _, e := range c.EventsOf(t, "") {
			kept[e.Source+"/"+e.EventID] = true
		}
		for _, s := range cut {
			unanswered++
			if kept[s.Source+"/"+s.Event.ID] {
				t.Errorf("event %s was kept, but its sender got no answer", s.Event.ID)
			}
		}
		l.client.Store(c)
	}
	run := l.finish(t, nil) // Without an outage, nothing may arrive twice.
	t.Logf("%d stops with %d pushes in flight; %d events, %d of which met a closed door; %d pushes arrived",
		rounds, inFlight, len(run.Sent), unanswered, up.Stats().Applied)
	if inFlight < 10*rounds || unanswered < rounds || len(run.Sent) < 100*rounds {
		t.Errorf("the run is void: too little was under way at the stops")
	}
	if n := up.Stats().Repeats; n != 0 {
		t.Errorf("%d pushes arrived twice, want none: those in flight at a stop are recorded", n)
	}
}

// waitUnanswered waits until every worker of the generator has met the closed door, and returns the events that have
// no answer.
func waitUnanswered(t *testing.T, l *load) []apptest.Sent {
	t.Helper()
	var cut []apptest.Sent
	requests := l.Requests.Load()
	apptest.Eventually(t, soon, func() bool { return l.Requests.Load() >= requests+int64(2*l.Workers) },
		apptest.Text("the generator meets the closed door"))
	log, _, _ := l.Log()
	for _, s := range log {
		if !s.Acked() && s.Unanswered > 0 {
			cut = append(cut, s)
		}
	}
	return cut
}
