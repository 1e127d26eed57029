package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus/natstest"
)

// withNATS is a server and the name of a configuration that uses it.
func withNATS(t *testing.T) (s *natstest.Server, file string) {
	t.Helper()
	s = natstest.Start(t, nil)
	return s, fileOf(t, "carrier.yaml", "nats: {url: \""+s.URL()+"\"}\nserver: {admin_listen: \"127.0.0.1:1\"}\n")
}

// TestNATSPlanAndApply goes from an empty server to one that is as wanted, and through a drift of two kinds.
func TestNATSPlanAndApply(t *testing.T) {
	s, file := withNATS(t)
	step := func(wantStatus int, says []string, args ...string) string {
		t.Helper()
		status, out, errs := inProcess(t.Context(), nil, "", append([]string{"nats"}, append(args, "-c", file)...)...)
		if status != wantStatus {
			t.Fatalf("carrier nats %v: status %d, want %d: %s", args, status, wantStatus, errs)
		}
		for _, word := range says {
			if !strings.Contains(out+errs, word) {
				t.Errorf("carrier nats %v does not say %q:\n%s%s", args, word, out, errs)
			}
		}
		return out
	}
	step(0, []string{"object", "stream CARRIER_EVENTS", "consumer carrier-ingest", "stream CARRIER_OUTCOMES", "missing"}, "plan")
	step(1, []string{"differences: 3; carrier nats apply"}, "plan", "--check")
	step(0, []string{"stream CARRIER_EVENTS: made\n", "consumer carrier-ingest: made\n", "stream CARRIER_OUTCOMES: made\n"}, "apply")
	step(0, []string{"nothing differs"}, "plan", "--check")
	step(0, []string{"nothing differs"}, "apply")

	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "CARRIER_EVENTS", "carrier-ingest"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreatePushConsumer(t.Context(), "CARRIER_EVENTS", jetstream.ConsumerConfig{
		Durable: "carrier-ingest", DeliverSubject: "elsewhere", AckPolicy: jetstream.AckExplicitPolicy, HeadersOnly: true, FilterSubject: "carrier.events.*",
	}); err != nil {
		t.Fatal(err)
	}
	out := step(0, []string{"deliver_subject", "headers_only"}, "plan")
	if harmful, rest := strings.Index(out, "deliver_subject"), strings.Index(out, "max_ack_pending"); rest >= 0 && rest < harmful {
		t.Errorf("what must be is not first:\n%s", out)
	}
	var plan struct{ Differences []difference }
	if err := json.Unmarshal([]byte(step(0, nil, "plan", "--json")), &plan); err != nil || len(plan.Differences) < 2 || plan.Differences[0].Object != "consumer carrier-ingest" {
		t.Errorf("%+v, %v", plan, err)
	}
	var applied struct{ Changed, Left []difference }
	out = step(1, []string{"left, and such that the service can't work: 1; "}, "apply", "--json")
	if err := json.Unmarshal([]byte(out), &applied); err != nil {
		t.Fatal(err)
	}
	if !fields(applied.Changed)["headers_only"] || !fields(applied.Left)["deliver_subject"] || fields(applied.Left)["headers_only"] {
		t.Errorf("%+v", applied)
	}
	step(1, []string{"deliver_subject", "delete it"}, "apply")
}

func fields(differences []difference) map[string]bool {
	names := map[string]bool{}
	for _, d := range differences {
		names[d.Field] = true
	}
	return names
}

// TestNATSWithoutServer: one line says what to do.
func TestNATSWithoutServer(t *testing.T) {
	for _, c := range []struct{ name, yaml, says string }{
		{"away", "nats: {url: \"nats://u:canary@127.0.0.1:1\"}\n", "check nats.url"},
		{"embedded", "nats: {url: embedded, embedded: {listen: \"127.0.0.1:1\"}}\n", "the embedded server runs with the service, so start that first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := inProcess(t.Context(), nil, "", "nats", "plan", "-c", fileOf(t, "carrier.yaml", c.yaml))
			if status != exitFailed || out != "" || !strings.Contains(errs, c.says) || strings.Contains(errs, "canary") {
				t.Errorf("status %d, %q, %q", status, out, errs)
			}
			oneLine(t, errs)
		})
	}
}

// TestNATSInChinese: the table and the sentences are in the terminal's language.
func TestNATSInChinese(t *testing.T) {
	_, file := withNATS(t)
	zh := []string{"LANG=zh_CN.UTF-8"}
	for _, c := range []struct {
		command, says string
	}{{"plan", "可自动修正"}, {"plan", "不存在"}, {"plan", "carrier nats apply 可立即创建"}, {"apply", "stream CARRIER_EVENTS：已创建"}, {"plan", "没有差异"}} {
		if status, out, errs := inProcess(t.Context(), zh, "", "nats", c.command, "-c", file); status != exitDone || !strings.Contains(out, c.says) {
			t.Errorf("carrier nats %s: status %d, %s%s", c.command, status, out, errs)
		}
	}
}
