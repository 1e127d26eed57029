package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carrier/internal/wiretest"
)

// TestHealth asks services in every state how they are: the exit status is what containers go by.
func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		path   string
		status int
		body   string
		want   int
		says   string // On standard output if want is 0, else on standard error.
	}{
		{"ready", nil, "/readyz", 200, `{"status":"ready"}`, exitDone, "ready\n"},
		{"degraded is healthy", nil, "/readyz", 200, `{"status":"degraded","degraded":["account SF waits: 40164","NATS is away"]}`,
			exitDone, "degraded; account SF waits: 40164; NATS is away\n"},
		{"unready", nil, "/readyz", 503, `{"status":"unready","reason":"the disk is full"}`, exitFailed, "unready; the disk is full"},
		{"alive, whatever else", []string{"--live"}, "/livez", 200, "ok\n", exitDone, "ok\n"},
		{"another program", nil, "/readyz", 200, "<html>hello</html>", exitFailed, "not the service (status 200)"},
		{"another program that knows no such path", []string{"--live"}, "/livez", 404, "404 page not found\n", exitFailed, "not the service (status 404)"},
		{"what an answer says can't move the cursor", nil, "/readyz", 503, `{"status":"unready","reason":"a\nb\u001b[2J"}`, exitFailed, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != c.path {
					t.Errorf("asked for %s, want %s", r.URL.Path, c.path)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(srv.Close)
			got, stdout, stderr := inProcess(t.Context(), []string{"CARRIER_ADMIN_URL=" + srv.URL}, "", append([]string{"health"}, c.args...)...)
			if got != c.want {
				t.Errorf("status %d, want %d; %s%s", got, c.want, stdout, stderr)
			}
			if c.want == exitDone && stdout != c.says {
				t.Errorf("it says %q, want %q", stdout, c.says)
			}
			if c.want != exitDone {
				oneLine(t, stderr)
				if !strings.Contains(stderr, c.says) || strings.Contains(stderr, "\x1b") {
					t.Errorf("it says %q, want %q in it and no control characters", stderr, c.says)
				}
			}
		})
	}
}

// TestHealthWithoutAnAnswer looks for a service where there is none, and where one hangs.
func TestHealthWithoutAnAnswer(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	gone := "http://" + wiretest.Nobody(t)
	for _, c := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"nothing listens", []string{"--admin-url", gone}, exitFailed, "is the service running there?"},
		{"no answer in time", []string{"--admin-url", hanging.URL, "--timeout", "20ms"}, exitFailed, "no answer within 20ms"},
		{"a time-out of nothing", []string{"--timeout", "0s"}, exitUsage, "--timeout"},
		{"no address", []string{"--admin-url", "::"}, exitUsage, "::"},
		{"a configuration that is not there", []string{"-c", "missing.yaml"}, exitUsage, "missing.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, stdout, stderr := inProcess(t.Context(), nil, "", append([]string{"health"}, c.args...)...)
			if got != c.want || stdout != "" {
				t.Errorf("status %d, want %d; it printed %q", got, c.want, stdout)
			}
			oneLine(t, stderr)
			if !strings.Contains(stderr, c.says) {
				t.Errorf("it says %q, want %q in it", stderr, c.says)
			}
		})
	}
}
