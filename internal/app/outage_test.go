package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// sendAll sends events in batches, each of which must be accepted; it returns their numbers.
func sendAll(t *testing.T, s *service, events []apptest.Event) []uint64 {
	t.Helper()
	var seqs []uint64
	for part := range slices.Chunk(events, 500) {
		answers, err := s.PostBatch(t.Context(), part, false)
		if err != nil {
			t.Fatalf("sending a batch: %v", err)
		}
		for i, a := range answers {
			if a.HTTP != http.StatusOK || a.Verdict != "accepted" {
				t.Fatalf("event %s: status %d, verdict %q", part[i].ID, a.HTTP, a.Verdict)
			}
			seqs = append(seqs, a.Seq)
		}
	}
	return seqs
}

// fleet are the scans of many waybills, a scan of each in turn.
func fleet(prefix string, waybills int, actions ...int) []apptest.Event {
	var events []apptest.Event
	for n, action := range actions {
		for w := range waybills {
			events = append(events, scan(fmt.Sprintf("%s%04d", prefix, w), n+1, action))
		}
	}
	return events
}

// arrivedInOrder checks that upstream has exactly these events of each waybill, in the order in which they were sent.
func arrivedInOrder(t *testing.T, up *apptest.Upstream, events []apptest.Event) {
	t.Helper()
	byWaybill := map[string][]apptest.Event{}
	for _, e := range events {
		byWaybill[e.WaybillID] = append(byWaybill[e.WaybillID], e)
	}
	for w, want := range byWaybill {
		if got := up.Nodes(w).Nodes; !slices.Equal(got, trace(want...)) {
			t.Errorf("waybill %s: upstream has %+v, want %+v", w, got, trace(want...))
		}
	}
	if n := up.Stats().Overlaps; n != 0 {
		t.Errorf("%d pushes of one waybill were under way together with another", n)
	}
}

// TestTokenStorm lets the access_token die while 500 pushes are under way: one fetch replaces it, and nothing is lost.
func TestTokenStorm(t *testing.T) {
	const pushes = 500
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	account := sf(up)
	account.Concurrency = pushes
	s := start(t, apptest.NewSettings(t, account))
	// Slow enough that all the 500 are under way together, also while the service opens its connections step by step.
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(700 * time.Millisecond)}})

	warm := fleet("WARM", 2500, 100001)
	sendAll(t, s, warm)
	full := func() bool { return up.Stats().InFlight == pushes }
	apptest.Eventually(t, later, full, func() string { return fmt.Sprintf("500 pushes under way: %+v", up.Stats()) })
	if n := up.Stats().TokenFetches; n != 1 {
		t.Fatalf("%d access_tokens were fetched before anything went wrong, want 1", n)
	}
	up.Faulty(t, sandbox.Faults{
		ExpireNow: true, Trouble: sandbox.Trouble{Latency: sandbox.Duration(700 * time.Millisecond)},
	})
	s.Settled(t, later)

	stats := up.Stats()
	t.Logf("%d pushes met the dead access_token; %d fetches", stats.Errcodes[42001], stats.TokenFetches)
	if stats.Errcodes[42001] < pushes/2 { // On a busy machine some are late for it.
		t.Errorf("the run is void: only %d pushes met the dead access_token", stats.Errcodes[42001])
	}
	if stats.TokenFetches != 2 || stats.Forced != 0 {
		t.Errorf("%d access_tokens were fetched, %d by force; want one more than at the start", stats.TokenFetches, stats.Forced)
	}
	if stats.Repeats != 0 {
		t.Errorf("%d pushes arrived twice, want none", stats.Repeats)
	}
	if a := s.Account(t, "SF"); a.Breaker.OpenedBy != "" || a.Paused || a.Counts["delivered"] != int64(len(warm)) {
		t.Errorf("the account is %+v, want it untouched and %d pushes delivered", a, len(warm))
	}
	for _, p := range s.Pushes(t, "") {
		if p.Attempts != 1 {
			t.Errorf("push %d took %d tries, want the dead access_token to cost nothing", p.Seq, p.Attempts)
		}
	}
	arrivedInOrder(t, up, warm)
}

// TestOutageAndRecovery takes upstream away and gives it back: the breaker opens, pushes wait at no cost, events are
// taken all the while, the flow rises step by step, and everything arrives in order.
func TestOutageAndRecovery(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	account := sf(up)
	account.Concurrency = 16
	settings := apptest.NewSettings(t, account)
	settings.Push = `{retry: {initial: 20ms, max: 200ms, multiplier: 2, max_age: 72h}, ` +
		`breaker: {min_requests: 5, failure_ratio: 0.5, interval: 10s, open_for: 1500ms, half_open: 2}}`
	s := start(t, settings)
	before := fleet("BEFORE", 20, 100001)
	sendAll(t, s, before)
	s.Settled(t, soon)

	up.Faulty(t, sandbox.Faults{Outage: true})
	during := fleet("DURING", 40, 100001, 200001)
	sendAll(t, s, during)
	breaker := func() string { return s.Account(t, "SF").Breaker.State }
	apptest.Eventually(t, soon, func() bool { return breaker() == "open" }, apptest.Text("the breaker opens"))
	checkOpen(t, s, up)

	// Intake goes on while nothing can be sent.
	more := fleet("DURING", 40, 100001, 200001, 300002)[80:]
	for i, seq := range sendAll(t, s, more) {
		if p := s.GetPush(t, seq); p.Status != "pending" || p.Tries != 0 || len(p.Attempts) != 0 {
			t.Fatalf("push %d of waybill %d, taken during the outage, is %+v; want it untouched", seq, i, p)
		}
	}

	// Upstream is back, and slow enough to see how many pushes are let through at a time.
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(100 * time.Millisecond)}})
	var steps []int
	apptest.Eventually(t, later, func() bool {
		a := s.Account(t, "SF")
		if n := a.ConcurrencyNow; a.Breaker.State == "closed" && (len(steps) == 0 || steps[len(steps)-1] != n) {
			steps = append(steps, n)
		}
		return a.Counts["pending"] == 0
	}, func() string { return fmt.Sprintf("all is delivered: %+v", s.Account(t, "SF")) })
	t.Logf("pushes allowed at a time after the breaker closed: %v", steps)
	if len(steps) < 2 || steps[0] > 4 || !slices.IsSorted(steps) {
		t.Errorf("the pushes allowed at a time were %v, want them to begin low and to rise", steps)
	}
	all := slices.Concat(before, during, more)
	arrivedInOrder(t, up, all)
	if a := s.Account(t, "SF"); a.Counts["delivered"] != int64(len(all)) || a.Breaker.State != "closed" {
		t.Errorf("the account is %+v, want %d delivered and a closed breaker", a, len(all))
	}
	if stats := up.Stats(); stats.Repeats != 0 {
		t.Errorf("%d pushes arrived twice; none had been applied during the outage", stats.Repeats)
	}
	var health struct{ Status string }
	if _, body := s.AskAs(t, "", http.MethodGet, "/readyz", nil); json.Unmarshal(body, &health) != nil || health.Status != "ready" {
		t.Errorf("/readyz says %s after the recovery, want ready", body)
	}
}

// checkOpen looks at everything that tells of an open breaker, and sees that nothing is used up while it is open.
func checkOpen(t *testing.T, s *service, up *apptest.Upstream) {
	t.Helper()
	tries := func() (total int) {
		for _, p := range s.Pushes(t, "status=pending") {
			total += p.Attempts
		}
		return total
	}
	// What was under way when the breaker opened, or a half-open probe between the looks, would count: so look again,
	// but not for ever.
	for range 50 {
		pushes, used := up.Stats().Pushes, tries()
		account := s.Account(t, "SF")
		waiting, pending := s.Pushes(t, "waiting_for=breaker"), s.Pushes(t, "status=pending")
		status, body := s.AskAs(t, "", http.MethodGet, "/readyz", nil)
		_, metrics := s.AskAs(t, "", http.MethodGet, "/metrics", nil)
		if up.Stats().Pushes != pushes || account.Breaker.State != "open" || s.Account(t, "SF").Breaker.State != "open" {
			apptest.Eventually(t, soon, func() bool { return s.Account(t, "SF").Breaker.State == "open" }, apptest.Text("the breaker is open again"))
			continue
		}
		if account.InFlight > 0 || tries() != used {
			continue
		}
		heads := map[string]bool{}
		for _, p := range pending {
			heads[p.WaybillID] = true
			if p.WaitingFor != "breaker" && p.WaitingFor != "waybill" {
				t.Errorf("push %d waits for %q, want the breaker, or the push before it", p.Seq, p.WaitingFor)
			}
		}
		if len(waiting) != len(heads) {
			t.Errorf("%d pushes wait for the breaker, want one of each of the %d waybills", len(waiting), len(heads))
		}
		if account.Breaker.OpenedBy == "" || account.Breaker.NextProbeAt == nil || account.OldestPendingSeconds < 0 {
			t.Errorf("the account does not say why the breaker is open, and until when: %+v", account)
		}
		if status != http.StatusOK || !strings.Contains(string(body), `"degraded"`) || !strings.Contains(string(body), "SF") {
			t.Errorf("/readyz answers %d %s; want 200, degraded, and the account", status, body)
		}
		if want := `carrier_breaker_state{delivery_id="SF"`; !metricIs(string(metrics), want, `state="open"`, "1") {
			t.Errorf("/metrics does not show the open breaker")
		}
		return
	}
	t.Error("the breaker was never open for as long as it takes to look, without an attempt being used up")
}

// metricIs tells whether /metrics has a line that begins with start, holds label, and has the value.
func metricIs(metrics, start, label, value string) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, start) && strings.Contains(line, label) && strings.HasSuffix(strings.TrimSpace(line), " "+value) {
			return true
		}
	}
	return false
}
