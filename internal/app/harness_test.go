package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/logtest"
	"carrier/internal/sandbox"
	"carrier/internal/telemetry"
)

const (
	soon  = 30 * time.Second  // For what takes milliseconds on an idle machine.
	later = 120 * time.Second // For what takes seconds there.
)

// service is the whole product in this process.
type service struct {
	*apptest.Client
	app  *app.App
	file string // Its configuration.
	log  *logtest.Buffer
	stop func() // Stops it as SIGTERM would; it may be called again.
}

// start runs the service with a configuration read from a file, as the command does, and stops it at the end of the
// test. A service that does not stop without an error fails the test.
func start(t *testing.T, s *apptest.Settings) *service {
	t.Helper()
	return startTraced(t, s, nil)
}

// startTraced does the same with somewhere for spans to go.
func startTraced(t *testing.T, s *apptest.Settings, tracing *telemetry.Tracing) *service {
	t.Helper()
	file := s.File(t)
	load := func() (*config.Config, error) {
		cfg, err := config.Load(file, nil)
		if err == nil {
			err = cfg.Check()
		}
		return cfg, err
	}
	cfg, err := load()
	if err != nil {
		t.Fatalf("the configuration: %v", err)
	}
	log := &logtest.Buffer{}
	a, err := app.New(t.Context(), app.Options{
		Config: cfg, Load: load, Log: telemetry.NewLogger(log, cfg.Log.Level, cfg.Log.Format), Version: "test", Tracing: tracing,
	})
	if err != nil {
		t.Fatalf("starting the service: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	client := s.Client(t, a.Addr(), a.AdminAddr())
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		// An idle connection of ours is no reason for the service to wait.
		client.HTTP.CloseIdleConnections()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the service ended with an error: %v", err)
			}
		case <-time.After(later):
			t.Errorf("the service did not stop within %v", later)
		}
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the service's log ends with:\n%s", log.Tail(30))
		}
	})
	return &service{Client: client, app: a, file: file, log: log, stop: stop}
}

// sf is one account on an upstream.
func sf(u *apptest.Upstream) apptest.Account {
	return apptest.Account{DeliveryID: "SF", BaseURL: u.URL}
}

// scan is an event of a waybill of SF's; n makes its id, its text and its time.
func scan(waybill string, n, action int) apptest.Event {
	return apptest.Event{
		ID: fmt.Sprintf("%s-%d", waybill, n), DeliveryID: "SF", WaybillID: waybill, ActionType: action,
		ActionTime: base + int64(n)*60, ActionMsg: fmt.Sprintf("扫描 %d of %s", n, waybill), Token: "token-" + waybill,
	}
}

// base is a time long past, in Unix seconds: no test depends on the clock by it.
const base = 1_700_000_000

// story are scans of a waybill in order.
func story(waybill string, actions ...int) []apptest.Event {
	events := make([]apptest.Event, len(actions))
	for i, a := range actions {
		events[i] = scan(waybill, i+1, a)
	}
	return events
}

// trace is what upstream must have of a waybill.
func trace(events ...apptest.Event) []sandbox.Node {
	nodes := make([]sandbox.Node, len(events))
	for i, e := range events {
		nodes[i] = sandbox.Node{ActionTime: e.ActionTime, ActionType: int64(e.ActionType), ActionMsg: e.ActionMsg}
	}
	return nodes
}

// writeFile writes a file of the test's own and returns its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "carrier.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
