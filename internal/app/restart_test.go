package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestWhatWaitsSurvivesARestart brings pushes and events into every kind of waiting, restarts the service, and finds
// each as it was: with the same deadline, the same attempts, the same reason.
func TestWhatWaitsSurvivesARestart(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t)
	for _, id := range []string{"SF", "HAND", "REFUSED", "RETRY", "PARKED"} {
		settings.Accounts = append(settings.Accounts, apptest.Account{DeliveryID: id, BaseURL: up.URL})
	}
	settings.ReorderWindow = 2 * time.Second
	// A retry comes after hours, a Token is waited for for seconds: only so can one see that they stay what they were.
	settings.Push = `{retry: {initial: 40h, max: 60h, multiplier: 2, max_age: 720h}, token_retries: 1, no_token_wait: 3s}`
	s := start(t, settings)
	of := func(account, waybill string, n, action int) apptest.Event {
		e := scan(waybill, n, action)
		e.DeliveryID = account
		return e
	}

	// Held for a missing scan.
	held := of("SF", "HELD", 2, 300003)
	if a := s.Send(t, held); a.Verdict != "held" {
		t.Fatalf("verdict %q, want held", a.Verdict)
	}
	// Waits for its Token, one in time and one in vain.
	noToken, inVain := of("SF", "NOTOKEN", 1, 100001), of("SF", "INVAIN", 1, 100001)
	noToken.Token, inVain.Token = "", ""
	noTokenSeq, inVainSeq := s.Accept(t, noToken)[0], s.Accept(t, inVain)[0]
	// Paused by hand, and by upstream.
	if status, body := s.Ask(t, http.MethodPost, "/admin/v1/accounts/HAND/pause", map[string]string{"reason": "stocktaking"}); status != http.StatusOK {
		t.Fatalf("pause: status %d: %s", status, body)
	}
	byHand := s.Accept(t, of("HAND", "HAND", 1, 100001))[0]
	up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{
		"REFUSED": {Errcode: 48001}, "RETRY": {Errcode: -1, Times: 1}, "PARKED": {Errcode: 40199, Times: 1},
	}})
	refused := s.Accept(t, of("REFUSED", "REFUSED", 1, 100001))[0]
	retry := s.Accept(t, of("RETRY", "RETRY", 1, 100001), of("RETRY", "RETRY", 2, 200001))
	parked := s.Accept(t, of("PARKED", "PARKED", 1, 100001), of("PARKED", "PARKED", 2, 200001))
	apptest.Eventually(t, soon, func() bool {
		return s.Account(t, "REFUSED").Paused && len(s.GetPush(t, retry[0]).Attempts) == 1 && s.GetPush(t, parked[0]).Status == "failed"
	}, apptest.Text("everything has begun to wait"))

	before := waits(t, s, byHand, refused, retry, parked, noTokenSeq)
	heldUntil := s.EventsOf(t, "verdict=held")[0].HeldUntil
	s.stop()
	s = start(t, settings)
	// The first requests can be answered before the accounts are read.
	apptest.Eventually(t, soon, func() bool { return s.Account(t, "REFUSED").Paused && s.Account(t, "HAND").Paused }, apptest.Text("the pauses are kept"))
	after := waits(t, s, byHand, refused, retry, parked, noTokenSeq)
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was\n%s\nand is after the restart\n%s", name, was, after[name])
		}
	}
	if list := s.EventsOf(t, "verdict=held"); len(list) != 1 || !list[0].HeldUntil.Equal(*heldUntil) {
		t.Errorf("held after the restart: %+v, want the one event until %v", list, heldUntil)
	}

	// Each goes on when what it waits for comes.
	if status, body := s.Ask(t, http.MethodPut, "/admin/v1/waybills/SF/NOTOKEN/token", map[string]string{"token": "x"}); status != http.StatusOK {
		t.Fatalf("registering a Token: status %d: %s", status, body)
	}
	up.Faulty(t, sandbox.Faults{})
	for _, account := range []string{"HAND", "REFUSED"} {
		if status, body := s.Ask(t, http.MethodPost, "/admin/v1/accounts/"+account+"/resume", nil); status != http.StatusOK {
			t.Fatalf("resume: status %d: %s", status, body)
		}
	}
	if status, body := s.Ask(t, http.MethodPut, "/admin/v1/waybills/PARKED/PARKED/token", map[string]string{"token": "a new one"}); status != http.StatusOK {
		t.Fatalf("registering a Token: status %d: %s", status, body)
	}
	for _, seq := range append([]uint64{byHand, refused, noTokenSeq}, parked...) {
		apptest.Eventually(t, soon, func() bool { return s.GetPush(t, seq).Status == "delivered" }, func() string {
			return fmt.Sprintf("push %d is delivered: %+v", seq, s.GetPush(t, seq))
		})
	}
	if got := up.Nodes("PARKED").Nodes; len(got) != 2 || got[0].ActionType != 100001 {
		t.Errorf("the parked waybill arrived as %+v, want both scans in order", got)
	}

	// The deadlines are the old ones.
	apptest.Eventually(t, soon, func() bool { return len(up.Nodes("HELD").Arrivals) == 1 }, apptest.Text("the held event is pushed"))
	if at := up.Nodes("HELD").Arrivals[0].At; at.Before(*heldUntil) || at.Sub(*heldUntil) > soon {
		t.Errorf("the held event arrived at %v, want it soon after %v", at, heldUntil)
	}
	if w := s.Waybill(t, "SF", "HELD"); !w.Timeline[0].Gap || w.Stage != "delivered" {
		t.Errorf("the held event was taken in as %+v, want it with a gap", w)
	}
	apptest.Eventually(t, soon, func() bool { return s.GetPush(t, inVainSeq).Status == "failed" }, apptest.Text("the wait for a Token ends"))
	p := s.GetPush(t, inVainSeq)
	if p.Reason != "no_token" || len(p.Attempts) != 0 {
		t.Errorf("the push without a Token ended as %+v, want no_token", p)
	}
	if again := waits(t, s, byHand, refused, retry, parked, noTokenSeq)["retry"]; again != before["retry"] {
		t.Errorf("the retry was\n%s\nand is\n%s", before["retry"], again)
	}
	if n := up.Stats().Repeats; n != 0 {
		t.Errorf("%d pushes arrived twice", n)
	}
}

// waits describes what waits, in words that must not change with a restart.
func waits(t *testing.T, s *service, byHand, refused uint64, retry, parked []uint64, noToken uint64) map[string]string {
	t.Helper()
	push := func(seq uint64) string {
		p := s.GetPush(t, seq)
		next := "at once"
		if p.NextAttemptAt != nil {
			next = p.NextAttemptAt.String()
		}
		var tried []string
		for _, a := range p.Attempts {
			tried = append(tried, fmt.Sprintf("%s %s %d %s", a.At, a.Scope, *a.Errcode, a.Errmsg))
		}
		return fmt.Sprintf("%s, waiting for %q, next %s, %d tries, reason %q, attempts %s", p.Status, p.WaitingFor, next, p.Tries, p.Reason,
			strings.Join(tried, "; "))
	}
	account := func(id string) string {
		a := s.Account(t, id)
		return fmt.Sprintf("paused %v (%s) until %v, %d pending", a.Paused, a.PauseReason, a.PausedUntil, a.Counts["pending"])
	}
	refusedPush := s.GetPush(t, refused)
	return map[string]string{
		"paused by hand":        account("HAND") + "; " + push(byHand),
		"paused by upstream":    account("REFUSED") + "; " + refusedPush.Status + " " + refusedPush.WaitingFor, // A restart may probe.
		"retry":                 push(retry[0]),
		"behind the retry":      push(retry[1]),
		"failed and parked":     fmt.Sprint(push(parked[0]), " parked ", s.Waybill(t, "PARKED", "PARKED").Parked),
		"behind the parked one": push(parked[1]),
		"without a Token":       push(noToken),
	}
}

// TestOneServiceAStore starts a second service on a store that is in use: it is refused with words that help, and the
// first one goes on.
func TestOneServiceAStore(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	err := loadAndStart(t, settings.YAML())
	if err == nil || !strings.Contains(err.Error(), settings.Store) || !strings.Contains(err.Error(), "another carrier process") {
		t.Errorf("the second service says %v, want it to name the store and the other process", err)
	}
	s.Accept(t, scan("STILL", 1, 100001))
	s.Settled(t, soon)
}

// TestStartAndStop starts and stops the service many times with work in it: every event is kept, each arrives once.
func TestStartAndStop(t *testing.T) {
	const rounds = 15
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(5 * time.Millisecond)}})
	settings := apptest.NewSettings(t, sf(up))
	var all []apptest.Event
	for n := range rounds {
		s := start(t, settings)
		events := fleet(fmt.Sprintf("ROUND%d-", n), 30, 100001, 200001, 300002)
		sendAll(t, s, events)
		all = append(all, events...)
		s.stop() // In the midst of it.
	}
	s := start(t, settings)
	s.Settled(t, soon)
	arrivedInOrder(t, up, all)
	if kept := s.EventsOf(t, ""); len(kept) != len(all) {
		t.Errorf("%d events are kept, want %d", len(kept), len(all))
	}
	if n := up.Stats().Repeats; n != 0 {
		t.Errorf("%d pushes arrived twice; each stop waits for those in flight", n)
	}
	if seqs := s.Pushes(t, ""); !slices.IsSortedFunc(seqs, func(a, b apptest.ListedPush) int { return int(b.Seq) - int(a.Seq) }) {
		t.Error("the list of pushes is not newest first")
	}
}
