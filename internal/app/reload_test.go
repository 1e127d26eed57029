package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// reload writes another configuration file and has the service read it.
func (s *service) reload(t *testing.T, yaml string) error {
	t.Helper()
	if err := os.WriteFile(s.file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.app.Reload(t.Context())
}

// reloaded is reload for a file that must be taken over.
func (s *service) reloaded(t *testing.T, settings *apptest.Settings) {
	t.Helper()
	if err := s.reload(t, settings.YAML()); err != nil {
		t.Fatal(err)
	}
}

// metrics are the lines of /metrics that begin so.
func (s *service) metrics(t *testing.T, prefix string) (lines []string) {
	t.Helper()
	_, page := s.Ask(t, http.MethodGet, "/metrics", nil)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// auditOf are the details of an action in the audit log, newest first.
func (s *service) auditOf(t *testing.T, action string) (details []string) {
	t.Helper()
	var list struct {
		Items []struct{ By, Reason, Detail string }
	}
	s.Call(t, http.MethodGet, "/admin/v1/audit?limit=1000&action="+action, nil, http.StatusOK, &list)
	for _, e := range list.Items {
		if e.By != "system" {
			t.Errorf("%s was done by %q", action, e.By)
		}
		details = append(details, e.Detail)
	}
	return details
}

// TestReload takes other settings over one after the other, and looks whether they are in force.
func TestReload(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	settings.Sources = []string{`{name: extra, api_key: EXTRA-0123456789}`}
	s := start(t, settings)
	s.Accept(t, scan("BEFORE", 1, 100001))

	t.Run("nothing is different", func(t *testing.T) {
		s.reloaded(t, settings)
		if got := s.auditOf(t, "config.reload"); len(got) != 0 {
			t.Errorf("the audit log has %q", got)
		}
	})
	t.Run("an admin token goes", func(t *testing.T) {
		desk := settings.Viewer
		v := logIn(t, s, desk)
		settings.Viewer = strings.Repeat("other-viewer-", 4)
		s.reloaded(t, settings)
		if status, _ := s.AskAs(t, desk, http.MethodGet, "/admin/v1/accounts", nil); status != http.StatusUnauthorized {
			t.Errorf("the old token is answered %d", status)
		}
		if status, _ := s.AskAs(t, settings.Viewer, http.MethodGet, "/admin/v1/accounts", nil); status != http.StatusOK {
			t.Errorf("the new token is answered %d", status)
		}
		if page := v.get(t, "/accounts"); !strings.Contains(page, `name="token"`) {
			t.Errorf("the session of the old token goes on: %s", page)
		}
	})
	t.Run("a source's rate", func(t *testing.T) {
		post := func() int {
			body := fmt.Sprintf(`{"id":"x","waybill_id":"X","action_type":100001,"action_time":%d,"action_msg":"x","delivery_id":"SF","token":"T"}`, base)
			status, _, _, err := s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", []byte(body),
				func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer EXTRA-0123456789") })
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
		post()
		settings.Sources = []string{`{name: extra, api_key: EXTRA-0123456789, rate: 0.001}`}
		s.reloaded(t, settings)
		if first, second := post(), post(); first != http.StatusOK || second != http.StatusTooManyRequests {
			t.Errorf("status %d and %d, want 200 and 429", first, second)
		}
		settings.Sources = nil
		s.reloaded(t, settings)
		if status := post(); status != http.StatusUnauthorized {
			t.Errorf("a source that went is answered %d", status)
		}
	})
	t.Run("an account comes and goes", func(t *testing.T) {
		e := scan("YTO1", 1, 100001)
		e.DeliveryID = "YTO"
		refused := func(when string) {
			t.Helper()
			if a := s.Send(t, e); a.HTTP != http.StatusUnprocessableEntity {
				t.Errorf("%s: status %d", when, a.HTTP)
			}
		}
		refused("before it is configured")
		only := settings.Accounts
		settings.Accounts = append(slices.Clone(only), apptest.Account{DeliveryID: "YTO", BaseURL: up.URL})
		s.reloaded(t, settings)
		s.Accept(t, e)
		s.Settled(t, soon)
		if got := len(up.Nodes("YTO1").Nodes); got != 1 {
			t.Errorf("upstream has %d nodes of the new account's waybill", got)
		}
		if s.Account(t, "YTO").DeliveryID != "YTO" {
			t.Error("the admin API does not list it")
		}
		settings.Accounts = only
		s.reloaded(t, settings)
		e.ID += "b"
		refused("when it went")
		if status, _ := s.Ask(t, http.MethodPost, "/admin/v1/accounts/YTO/pause", map[string]string{"reason": "x"}); status != http.StatusNotFound {
			t.Errorf("pausing it is answered %d", status)
		}
	})
	t.Run("a secret that was wrong", func(t *testing.T) {
		strict := apptest.NewUpstream(t, sandbox.Options{Open: true, Apps: []sandbox.App{{AppID: "wx0000000000000001", Secret: "right"}}})
		settings.Accounts[0].BaseURL, settings.Accounts[0].Secret = strict.URL, "wrong"
		s.reloaded(t, settings)
		e := scan("SECRET", 1, 100001)
		s.Accept(t, e)
		apptest.Eventually(t, soon, func() bool { return s.Account(t, "SF").Paused }, func() string { return "the account is paused" })
		settings.Accounts[0].Secret = "right"
		s.reloaded(t, settings)
		s.Settled(t, soon)
		if got := len(strict.Nodes("SECRET").Nodes); got != 1 {
			t.Errorf("upstream has %d nodes", got)
		}
	})
	t.Run("what the store judges by", func(t *testing.T) {
		settings.ReorderWindow = time.Nanosecond
		s.reloaded(t, settings)
		s.Send(t, scan("WINDOW", 1, 300002))
		apptest.Eventually(t, soon, func() bool { return len(s.EventsOf(t, "waybill_id=WINDOW&verdict=accepted")) == 1 },
			func() string { return "nothing is held for 2 minutes any more" })
	})
	t.Run("the log's level", func(t *testing.T) {
		settings.LogLevel = "error"
		s.reloaded(t, settings)
		settings.LogLevel = "info"
		s.reloaded(t, settings)
		for _, want := range []string{"log.level: info → error", "log.level: error → info"} {
			if !strings.Contains(s.log.String(), want) {
				t.Errorf("the log does not say %q", want)
			}
		}
	})
	s.reloadIsTold(t)
}

// reloadIsTold looks at what the log, the audit log and the metrics say of the reloads so far.
func (s *service) reloadIsTold(t *testing.T) {
	t.Helper()
	told := strings.Join(s.auditOf(t, "config.reload"), "\n")
	for _, want := range []string{
		`"admin.tokens[desk].token":"changed"`, `"accounts[YTO]":"added"`, `"accounts[YTO]":"removed"`, `"accounts[SF].secret":"changed"`,
		`"sources[extra].rate":"0 → 0.001"`, `"sources[extra]":"removed"`, `"state.reorder_window":"2m → 1ns"`,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the audit log has no %s in\n%s", want, told)
		}
	}
	for _, secret := range []string{"EXTRA-0123456789", "other-viewer", "wrong", "right\""} {
		if strings.Contains(told, secret) || strings.Contains(s.log.String(), "EXTRA-0123456789") {
			t.Errorf("%q is told", secret)
		}
	}
	if got := s.metrics(t, "carrier_config_reload_success"); !slices.Equal(got, []string{"carrier_config_reload_success 1"}) {
		t.Errorf("the metrics say %q", got)
	}
}

// TestReloadRefused: a file that can't be taken over as a whole changes nothing.
func TestReloadRefused(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	good := settings.YAML()
	missing := filepath.Join(t.TempDir(), "missing")
	taken := s.metrics(t, "carrier_config_reload_timestamp_seconds")
	for _, tt := range []struct{ name, yaml, want string }{
		{"no YAML", good + "\n:", "carrier.yaml"},
		{"an unknown key", good + "\nnothing: 1\n", "nothing: is no key"},
		{"a value that can't be", strings.Replace(good, "concurrency: 64", "concurrency: 0", 1), "accounts[0].concurrency"},
		{"a secret's file is missing", strings.Replace(good, `secret: "appsecret-SF"`, fmt.Sprintf("secret_file: %q", missing), 1), "secret_file"},
		{"a listener", strings.Replace(good, `listen: "127.0.0.1:0"`, `listen: "127.0.0.1:1"`, 1), "these keys need a restart: server.listen"},
		{"the store and more", strings.Replace(strings.Replace(good, "key_file: \"\"", "retention: 700h", 1), "concurrency: 64", "concurrency: 3", 1),
			"these keys need a restart: store.retention;"},
		{"NATS", strings.Replace(good, "nats: {}", "nats: {url: 'nats://127.0.0.1:1'}", 1), "these keys need a restart: nats.url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := s.reload(t, tt.yaml)
			if !errors.Is(err, app.ErrRefused) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), settings.Key) {
				t.Errorf("%v; want one about %q", err, tt.want)
			}
			if log := s.log.Tail(1); !strings.Contains(log, "reloading the configuration failed") || !strings.Contains(log, "nothing has changed") {
				t.Errorf("the log ends with %s", log)
			}
		})
	}
	if got := s.metrics(t, "carrier_config_reload_success"); !slices.Equal(got, []string{"carrier_config_reload_success 0"}) {
		t.Errorf("the metrics say %q", got)
	}
	if got := s.metrics(t, "carrier_config_reload_timestamp_seconds"); !slices.Equal(got, taken) || len(got) != 1 {
		t.Errorf("the time is %q, and was %q", got, taken)
	}
	if got := s.auditOf(t, "config.reload"); len(got) != 0 {
		t.Errorf("the audit log has %q", got)
	}
	s.Accept(t, scan("AFTER", 1, 100001))
	s.Settled(t, soon)
	s.reloaded(t, settings) // As it was: nothing is different.
	if got := s.metrics(t, "carrier_config_reload_success"); !slices.Equal(got, []string{"carrier_config_reload_success 1"}) {
		t.Errorf("the metrics say %q", got)
	}
}

// TestReloadUnderLoad reloads good and bad files again and again while events come in and go out: nothing acknowledged is
// lost, nothing is sent twice or out of order, and no request notices.
func TestReloadUnderLoad(t *testing.T) {
	const senders, rounds = 4, 30
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Seed: 5})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	good := settings.YAML()
	files := []string{
		strings.Replace(good, "concurrency: 64", "concurrency: 7", 1),
		strings.Replace(good, up.URL, strings.Replace(up.URL, "127.0.0.1", "localhost", 1), 1),
		good + "\nbad: 1\n",
		strings.Replace(good, `secret: "appsecret-SF"`, `secret: "another-SF"`, 1),
		strings.Replace(good, "log: {level: info", "log: {level: warn", 1),
		strings.Replace(good, `min_free: 0`, `min_free: 1`, 1),
		strings.Replace(good, "initial: 10ms", "initial: 20ms", 1),
		strings.Replace(good, "timeout: 10s", "rate: 2000", 1),
		good + "  - {delivery_id: YTO, appid: wx2, secret: s, base_url: \"" + up.URL + "\"}\n",
		good,
	}
	done := make(chan struct{})
	var mu sync.Mutex
	var sent []apptest.Event
	var loads sync.WaitGroup
	for n := range senders {
		loads.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				events := fleet(fmt.Sprintf("L%d-%d-", n, round), 5, 100001, 200001, 300002, 300003)
				sendAll(t, s, events)
				mu.Lock()
				sent = append(sent, events...)
				mu.Unlock()
			}
		})
	}
	taken, refused := 0, 0
	for i := range rounds {
		switch err := s.reload(t, files[i%len(files)]); {
		case err == nil:
			taken++
		case errors.Is(err, app.ErrRefused):
			refused++
		}
	}
	close(done)
	loads.Wait()
	s.Settled(t, later)
	if want := rounds / len(files) * 2; refused != want || taken != rounds-want {
		t.Errorf("%d reloads were taken and %d refused, want %d and %d", taken, refused, rounds-want, want)
	}
	if len(sent) < 500 {
		t.Errorf("the run is void: only %d events were sent", len(sent))
	}
	arrivedInOrder(t, up, sent)
	if stats := up.Stats(); stats.Repeats != 0 {
		t.Errorf("%d pushes arrived twice", stats.Repeats)
	}
	t.Logf("%d events under %d reloads", len(sent), taken)
}
