package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestSIGHUP has a running service read its file again: a good one is taken over, a bad one is refused, and neither ends it.
func TestSIGHUP(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	for _, step := range []struct{ from, to, want string }{
		{"concurrency: 64", "concurrency: 65", "accounts[SF].concurrency: 64 → 65"},
		{"concurrency: 64", "concurrency: lots", "must be a number"},
		{"min_free: 0", "min_free: 1", "these keys need a restart: store.min_free"},
		{"concurrency: 64", "concurrency: 64", "accounts[SF].concurrency: 65 → 64"},
	} {
		yaml := strings.Replace(settings.YAML(), step.from, step.to, 1)
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Skipf("this system has no SIGHUP: %v", err)
		}
		apptest.Eventually(t, soon, func() bool { return strings.Contains(p.tail(1000), step.want) },
			func() string { return "the log says " + step.want + "; it ends with " + p.tail(1) })
	}
	c.Accept(t, apptest.Event{ID: "1", WaybillID: "W", ActionType: 100001, ActionTime: 1_700_000_000, ActionMsg: "x", Token: "T"})
	c.Settled(t, soon)
	if status, _ := p.terminate(t); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}
