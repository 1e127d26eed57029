package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/bus/natstest"
)

// submit stands in for the service on NATS: it accepts all events, of one source.
func submit(t *testing.T, nc *nats.Conn) {
	t.Helper()
	svc, err := micro.AddService(nc, micro.Config{Name: "carrier", Version: "1.0.0"})
	if err == nil {
		err = svc.AddEndpoint("submit", micro.HandlerFunc(func(r micro.Request) {
			var results []string
			for line := range bytes.Lines(r.Data()) {
				var e struct{ ID string }
				if err := json.Unmarshal(line, &e); err != nil {
					t.Errorf("%q: %v", line, err)
				}
				results = append(results, fmt.Sprintf(`{"index":%d,"id":%q,"verdict":"accepted"}`, len(results), e.ID))
			}
			if err := r.Respond([]byte(`{"results":[` + strings.Join(results, ",") + `]}`)); err != nil {
				t.Error(err)
			}
		}), micro.WithEndpointSubject("carrier.submit.app"))
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSendOverNATS: the flag, the environment and a configuration each say where to.
func TestSendOverNATS(t *testing.T) {
	s := natstest.Start(t, func(o *server.Options) { o.Users = []*server.User{{Username: "u", Password: "canary"}} })
	submit(t, s.Connect(nats.UserInfo("u", "canary")))
	withUser := strings.Replace(s.URL(), "//", "//u:canary@", 1)
	file := fileOf(t, "carrier.yaml", "nats: {url: \""+s.URL()+"\", user: u, password: canary}\n")
	elsewhere := fileOf(t, "elsewhere.yaml", "nats: {url: \"nats://127.0.0.1:1\", user: u, password: canary}\n")
	for _, test := range []struct {
		name string
		env  []string
		args []string
	}{
		{"environment", []string{"CARRIER_NATS_URL=" + withUser, "CARRIER_API_KEY=k"}, nil},
		{"environment, in parts", []string{"CARRIER_NATS_URL=" + s.URL(), "CARRIER_NATS_USER=u", "CARRIER_NATS_PASSWORD=canary", "CARRIER_NO_KEY=x"}, nil},
		{"configuration", nil, []string{"-c", file}},
		{"flag over the configuration", nil, []string{"-c", elsewhere, "--nats", s.URL()}},
		{"flag over the environment", []string{"CARRIER_NATS_URL=nats://127.0.0.1:1", "CARRIER_NATS_USER=u", "CARRIER_NATS_PASSWORD=canary"}, []string{"--nats", s.URL()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := runSend(t, "", test.env, append(test.args, "--source", "app", "../../api/samples/events.csv")...)
			if status != exitDone || stderr != "" || !strings.Contains(stdout, "accepted   12\n") {
				t.Errorf("status %d, %q\n%s", status, stderr, stdout)
			}
		})
	}
	t.Run("--url is HTTP, whatever the environment says", func(t *testing.T) {
		url, _ := sendWebhook(t)
		status, stdout, stderr := runSend(t, oneEvent, []string{"CARRIER_NATS_URL=" + withUser, "CARRIER_API_KEY=k"}, "--url", url, "-")
		if status != exitDone || !strings.Contains(stdout, "accepted   1\n") {
			t.Errorf("status %d, %q\n%s", status, stderr, stdout)
		}
	})
}

func TestSendOverNATSSaysWhatIsWrong(t *testing.T) {
	events := fileOf(t, "events.ndjson", oneEvent)
	creds := fileOf(t, "creds", "canary")
	off := fileOf(t, "carrier.yaml", "log: {level: info}\n")
	address := []string{"--nats", "nats://127.0.0.1:1"}
	for _, test := range []struct {
		name   string
		env    []string
		args   []string
		status int
		want   string
	}{
		{"no source", nil, address, exitUsage, "--source is required over NATS"},
		{"a source of two parts", nil, append(address, "--source", "a.b"), exitUsage, "--source must be 1 to 64 letters"},
		{"both ways", nil, append(address, "--url", "http://127.0.0.1", "--source", "a"), exitUsage, "give one or the other"},
		{"a key", nil, append(address, "--source", "a", "--key-file", creds), exitUsage, "are for HTTP"},
		{"a password", nil, []string{"--nats", "nats://u:canary@127.0.0.1:1", "--source", "a"}, exitUsage, "--nats must hold no user or password"},
		{"another scheme", nil, []string{"--nats", "http://127.0.0.1:1", "--source", "a"}, exitUsage, "nats.url: must be empty, embedded, or nats://"},
		{"another scheme by environment", []string{"CARRIER_NATS_URL=ws://u:canary@h"}, []string{"--source", "a"}, exitUsage, "CARRIER_NATS_URL: nats.url: must be"},
		{"no such credentials", nil, append(address, "--source", "a", "--nats-creds", "nowhere"), exitUsage, "nowhere: there is no such file"},
		{"credentials that are none", []string{"CARRIER_NATS_CREDS=" + creds}, append(address, "--source", "a"), exitFailed, "127.0.0.1:1"},
		{"credentials, but no address", nil, []string{"--nats-creds", creds, "--source", "a"}, exitUsage, "give it with --nats or CARRIER_NATS_URL"},
		{"a configuration without NATS", nil, []string{"-c", off, "--source", "a"}, exitUsage, "set nats.url in the file"},
		{"no such configuration", nil, []string{"-c", "missing.yaml", "--source", "a"}, exitUsage, "missing.yaml: can't be read"},
		{"nobody there", nil, append(address, "--source", "a"), exitFailed, "check nats.url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := runSend(t, "", test.env, append(test.args, filepath.Clean(events))...)
			if status != test.status || !strings.Contains(stderr, test.want) || strings.Contains(stdout+stderr, "canary") {
				t.Errorf("status %d, %q %q; want %d, %q", status, stdout, stderr, test.status, test.want)
			}
			oneLine(t, stderr)
		})
	}
	if status, stdout, _ := runSend(t, "", nil, append(address, "--dry-run", events)...); status != exitDone || !strings.Contains(stdout, "well formed 1\n") {
		t.Errorf("a dry run has status %d\n%s", status, stdout)
	}
}
