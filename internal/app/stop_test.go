package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/telemetry"
)

// slowUpstream takes a push and answers it when it is let.
type slowUpstream struct {
	*httptest.Server
	entered chan struct{}
	answer  chan struct{}
}

func newSlowUpstream(t *testing.T) *slowUpstream {
	u := &slowUpstream{entered: make(chan struct{}, 100), answer: make(chan struct{})}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !strings.HasSuffix(r.URL.Path, "/path/update") {
			_, _ = io.WriteString(w, `{"errcode":48001,"errmsg":"api unauthorized"}`) // It only takes pushes.
			return
		}
		u.entered <- struct{}{}
		<-u.answer
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	t.Cleanup(u.Close)
	return u
}

// TestStopWithAPushInFlight goes through the stop step by step: events are refused at once, the admin side says so and
// goes on, the push in flight is let through and recorded, and only then everything ends.
func TestStopWithAPushInFlight(t *testing.T) {
	u := newSlowUpstream(t)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: u.URL, TokenMode: "none"})
	s := start(t, settings)
	first, second := scan("1", 1, 100001), scan("1", 2, 200001)
	first.Token = "TOKEN"
	for _, e := range []apptest.Event{first, second} {
		if a, err := s.Post(t.Context(), e); err != nil || a.Verdict != "accepted" {
			t.Fatalf("got %+v, %v", a, err)
		}
	}
	<-u.entered

	stopped := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() { s.stop(); close(stopped) })
	apptest.Eventually(t, soon, func() bool {
		status, reason := get(t, s.Admin+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(reason, "stopping")
	}, apptest.Text("/readyz goes on saying that events are taken"))
	apptest.Eventually(t, soon, func() bool {
		_, err := s.Post(t.Context(), scan("2", 1, 100001))
		return err != nil
	}, apptest.Text("events go on being taken"))
	select {
	case <-stopped:
		t.Error("it stopped with a push in flight")
	default:
	}
	close(u.answer)
	stopping.Wait()
	// Events are refused a moment before pushing ends, so the next push may have gone too; what was sent is recorded.
	want := []store.Status{store.Delivered, store.Pending}
	if len(u.entered) > 0 {
		want[1] = store.Delivered
	}
	kept := readWaybill(t, settings, state.Waybill{DeliveryID: "SF", WaybillID: "1"})
	for i, status := range want {
		if got := kept.Timeline[i].Push.Status; got != status {
			t.Errorf("push %d of the waybill is recorded as %s, want %s", i+1, got, status)
		}
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// readWaybill opens the store of a service that has stopped, as the service does.
func readWaybill(t *testing.T, settings *apptest.Settings, w state.Waybill) store.Waybill {
	t.Helper()
	a := build(t, settings)
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	kept, err := a.Store().Waybill(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func build(t *testing.T, settings *apptest.Settings) *app.App {
	t.Helper()
	cfg, err := config.Load(settings.File(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: telemetry.NewLogger(io.Discard, cfg.Log.Level, cfg.Log.Format)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestCloseWithoutRun gives back the store and both ports, so that the same configuration can be built again, and may
// be called twice.
func TestCloseWithoutRun(t *testing.T) {
	settings := apptest.NewSettings(t)
	a := build(t, settings)
	settings.Listen, settings.AdminListen = a.Addr(), a.AdminAddr()
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	again := build(t, settings)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestRunThatIsOverBeforeItBegins stops in order all the same.
func TestRunThatIsOverBeforeItBegins(t *testing.T) {
	a := build(t, apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:1", TokenMode: "none"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if a.Store() == nil {
		t.Error("who holds the App after its end must not meet a nil store")
	}
}
