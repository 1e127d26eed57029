package app_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestBrokenUpstreamUnderLoad gives 200 pushes to each kind of trouble, at two fifths of the requests: all arrive, in
// order, and no connection and no goroutine is left over.
func TestBrokenUpstreamUnderLoad(t *testing.T) {
	const waybills = 100
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Seed: 11})
	account := sf(up)
	account.Timeout = 250 * time.Millisecond
	s := start(t, apptest.NewSettings(t, account))
	warm := fleet("WARM", 64, 100001)
	sendAll(t, s, warm)
	s.Settled(t, soon)
	before := openFiles(t)

	troubles := map[string]sandbox.Faults{
		"BUSY":     {Trouble: sandbox.Trouble{Busy: 0.4}},
		"BEFORE":   {Trouble: sandbox.Trouble{ResetsBefore: 0.4}},
		"AFTER":    {Trouble: sandbox.Trouble{Resets: 0.4}},
		"HTML":     {Trouble: sandbox.Trouble{HTML: 0.4}},
		"HALF":     {Trouble: sandbox.Trouble{HalfJSON: 0.4}},
		"EMPTY":    {Trouble: sandbox.Trouble{Empty: 0.4}},
		"REDIRECT": {Trouble: sandbox.Trouble{Redirect: 0.4}},
		"HUGE":     {Trouble: sandbox.Trouble{Huge: 0.1}},
		"HANG":     {Trouble: sandbox.Trouble{Hang: 0.2}},
		"NOCODE":   {Trouble: sandbox.Trouble{NoErrcode: 0.4}},
		"HTTP500":  {Trouble: sandbox.Trouble{HTTP500: 0.4}},
		"SLOW":     {Trouble: sandbox.Trouble{Latency: sandbox.Duration(20 * time.Millisecond), Jitter: sandbox.Duration(280 * time.Millisecond)}},
		"TOKENS":   {ExpireTokens: 0.01},
		"ALL": {Trouble: sandbox.Trouble{Busy: 0.05, ResetsBefore: 0.05, Resets: 0.05, HTML: 0.05, HalfJSON: 0.05, Empty: 0.05,
			Redirect: 0.05, Hang: 0.02, NoErrcode: 0.05, HTTP500: 0.05}, Token: sandbox.Trouble{Busy: 0.2}},
	}
	sent := warm
	for _, name := range slices.Sorted(maps.Keys(troubles)) {
		up.Faulty(t, troubles[name])
		events := fleet(name, waybills, 100001, 200001)
		sendAll(t, s, events)
		s.Settled(t, later)
		sent = append(sent, events...)
	}
	up.Faulty(t, sandbox.Faults{})
	arrivedInOrder(t, up, sent)
	stats := up.Stats()
	if stats.Redirected != 0 {
		t.Errorf("%d redirects were followed: Token and access_token went where a stranger told", stats.Redirected)
	}
	// A push arrives twice only where the service could not know what became of the first sending, and says so.
	if unknown := unknownOutcomes(t, s); stats.Repeats > uint64(unknown) || stats.Repeats == 0 {
		t.Errorf("%d pushes arrived twice, and the outcome of %d attempts is recorded as unknown", stats.Repeats, unknown)
	}
	if p := s.Pushes(t, "status=failed"); len(p) != 0 {
		t.Errorf("%d pushes failed, the first is %+v; each was to be retried", len(p), p[0])
	}
	if len(stats.Faults) < 9 {
		t.Errorf("the run is void: upstream had only the troubles %v", stats.Faults)
	}
	// A broken connection costs a new one; the old ones must be gone. 64 of each side may be kept.
	apptest.Eventually(t, soon, func() bool { return openFiles(t) <= before+80 }, func() string {
		return fmt.Sprintf("the open files, %d at first, are not many more in the end: %d", before, openFiles(t))
	})
}

// unknownOutcomes counts the attempts that are recorded as sent without an answer.
func unknownOutcomes(t *testing.T, s *service) (n int) {
	t.Helper()
	for _, p := range s.Pushes(t, "") {
		if p.Attempts < 2 {
			continue
		}
		for _, a := range s.GetPush(t, p.Seq).Attempts {
			if a.Unknown {
				n++
			}
		}
	}
	return n
}

// openFiles counts this process's open files and connections.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // Not Linux: goroutines tell enough, as each connection has some.
	}
	return len(list)
}

// poison is how many events TestPoison sends; a release is tested with more.
var poison = flag.Int("poison", 10000, "how many events TestPoison sends")

// TestPoison mixes waybills and events that upstream will never take into many good ones: they stop nobody else.
func TestPoison(t *testing.T) {
	waybills := *poison / 2
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Seed: 12})
	settings := apptest.NewSettings(t, sf(up))
	settings.Push = `{retry: {initial: 10ms, max: 50ms, multiplier: 2, max_age: 72h}, token_retries: 3}` // The breaker as it is by default.
	s := start(t, settings)
	faults := map[string]sandbox.WaybillFault{}
	bad := map[string]int{}
	codes := []int{40199, 9300507, 47001, 40097}
	each := waybills / 100 / len(codes) // One waybill of a hundred is poisoned.
	for i := range each * len(codes) {
		waybill := fmt.Sprintf("POISON%04d", i*100)
		bad[waybill] = codes[i%len(codes)]
		faults[waybill] = sandbox.WaybillFault{Errcode: bad[waybill]}
	}
	up.Faulty(t, sandbox.Faults{Waybills: faults})
	events := fleet("POISON", waybills, 100001, 200001)
	sendAll(t, s, events)
	parkedCodes := map[int]bool{40199: true, 9300507: true}
	// Parked waybills: the first push failed, the second waits. Others that are poisoned: both failed.
	wantFailed, wantPending := each*2+2*each*2, each*2
	apptest.Eventually(t, later, func() bool {
		counts := s.Account(t, "SF").Counts
		return counts["failed"] == int64(wantFailed) && counts["pending"] == int64(wantPending) &&
			counts["delivered"] == int64(len(events)-wantFailed-wantPending)
	}, func() string { return fmt.Sprintf("all but the poisoned are delivered: %+v", s.Account(t, "SF")) })

	for _, p := range s.Pushes(t, "status=failed") {
		code := bad[p.WaybillID]
		switch {
		case code == 0:
			t.Errorf("push %d of waybill %s failed, which is not poisoned: %+v", p.Seq, p.WaybillID, p)
		case parkedCodes[code] && (p.Reason != "token_refused" || p.Attempts != 3):
			t.Errorf("push %d failed as %+v, want token_refused after 3 attempts", p.Seq, p)
		case !parkedCodes[code] && (p.Reason != "refused" || p.Attempts != 1):
			t.Errorf("push %d failed as %+v, want refused at once", p.Seq, p)
		}
	}
	for _, p := range s.Pushes(t, "status=pending") {
		if p.WaitingFor != "waybill" || !parkedCodes[bad[p.WaybillID]] {
			t.Errorf("push %d of waybill %s is pending: %+v", p.Seq, p.WaybillID, p)
		}
	}
	stats := up.Stats()
	if want := uint64(each*2*3 + each*2*2); stats.Errcodes[40199]+stats.Errcodes[9300507]+stats.Errcodes[47001]+stats.Errcodes[40097] != want {
		t.Errorf("upstream refused %v, want %d refusals in all: retries have a bound", stats.Errcodes, want)
	}
	if a := s.Account(t, "SF"); a.Breaker.OpenedBy != "" || a.Breaker.State != "closed" || a.Paused || stats.TokenFetches != 1 {
		t.Errorf("the account is %+v after %d fetches of access_tokens; want it untouched", a, stats.TokenFetches)
	}
}

// TestNoAccessToken lets the calls for an access_token fail: pushes wait at no cost, and go on by themselves.
func TestNoAccessToken(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Seed: 13})
	up.Faulty(t, sandbox.Faults{Token: sandbox.Trouble{Busy: 1}})
	s := start(t, apptest.NewSettings(t, sf(up)))
	events := fleet("NOTOKEN", 50, 100001, 200001)
	seqs := sendAll(t, s, events)
	apptest.Eventually(t, soon, func() bool { return s.Account(t, "SF").Paused }, apptest.Text("the account waits"))
	if p := s.GetPush(t, seqs[0]); p.Status != "pending" || p.WaitingFor != "account" || p.Tries != 0 || len(p.Attempts) != 0 {
		t.Errorf("a push is %+v, want it waiting for the account, untouched", p)
	}
	if a := s.Account(t, "SF"); a.Breaker.OpenedBy != "" || a.PauseReason == "" || a.AccessTokenExpiresAt != nil {
		t.Errorf("the account is %+v, want it to say why, and its breaker untouched", a)
	}
	if n := up.Stats().TokenFetches; n > 10 {
		t.Errorf("%d access_tokens were asked for: failures are to be waited out", n)
	}
	up.Faulty(t, sandbox.Faults{})
	s.Settled(t, later)
	arrivedInOrder(t, up, events)
	if stats := up.Stats(); stats.Repeats != 0 {
		t.Errorf("%d pushes arrived twice", stats.Repeats)
	}
}
