package main

import (
	"encoding/json"
	"strings"
	"testing"

	"carrier/internal/doctor"
)

func TestDoctor(t *testing.T) {
	s, file := withNATS(t)
	t.Run("findings", func(t *testing.T) {
		t.Chdir(t.TempDir())
		status, out, errs := inProcess(t.Context(), nil, "", "doctor", "-c", file)
		if status != exitDone || errs != "" {
			t.Errorf("status %d, %q", status, errs)
		}
		for _, line := range []string{
			"ok    config        0 accounts, 0 sources, 0 admin tokens\n",
			"warn  config        accounts: there is none, so nothing is pushed\n",
			"ok    store         carrier-data: will be made at the first start, ",
			"warn  service       http://127.0.0.1:1: no service runs there (dial tcp 127.0.0.1:1: connect: connection refused); start it: carrier serve\n",
			"ok    nats          " + s.URL() + ": JetStream is enabled\n",
			"warn  nats.streams  stream CARRIER_EVENTS: is missing; ",
			"warn  nats.sync     " + s.URL() + ": could not be told: ",
		} {
			if !strings.Contains(out, line) {
				t.Errorf("there is no line %q in\n%s", line, out)
			}
		}
	})
	t.Run("JSON in Chinese", func(t *testing.T) {
		t.Chdir(t.TempDir())
		status, out, errs := inProcess(t.Context(), []string{"LANG=zh_CN.UTF-8"}, "", "doctor", "-c", file, "--json", "--nats-monitor", "http://127.0.0.1:1")
		var document struct {
			Findings []finding
			Counts   map[doctor.Level]int
		}
		if err := json.Unmarshal([]byte(out), &document); err != nil || status != exitDone || errs != "" {
			t.Fatalf("status %d, %q, %v in\n%s", status, errs, err, out)
		}
		want := finding{Check: "nats", Level: doctor.OK, About: s.URL(), Text: "JetStream 已启用"}
		found := 0
		counts := map[doctor.Level]int{}
		for _, f := range document.Findings {
			counts[f.Level]++
			if f == want {
				found++
			}
		}
		if found != 1 || counts[doctor.OK] != document.Counts[doctor.OK] || counts[doctor.Warn] != document.Counts[doctor.Warn] || document.Counts[doctor.Fail] != 0 {
			t.Errorf("%+v", document)
		}
	})
}

// TestDoctorFails: status 1, and each failure on a line of its own.
func TestDoctorFails(t *testing.T) {
	t.Run("a check", func(t *testing.T) {
		t.Chdir(t.TempDir())
		file := fileOf(t, "carrier.yaml", "nats: {url: \"nats://u:canary@127.0.0.1:1\"}\nserver: {admin_listen: \"127.0.0.1:1\"}\n")
		status, out, errs := inProcess(t.Context(), nil, "", "doctor", "-c", file)
		if status != exitFailed || errs != "carrier: findings marked fail: 1; do what their lines say and run this again\n" ||
			!strings.Contains(out, "fail  nats          nats://***@127.0.0.1:1: ") || strings.Contains(out, "canary") {
			t.Errorf("status %d, %q\n%s", status, errs, out)
		}
	})
	t.Run("the configuration", func(t *testing.T) {
		file := fileOf(t, "carrier.yaml", "log: {level: loud}\nserver: {listen: here}\n")
		status, out, errs := inProcess(t.Context(), nil, "", "doctor", "-c", file)
		if status != exitFailed || strings.Count(out, "fail  config        "+file+":") != 2 || strings.Count(out, "\n") != 2 {
			t.Errorf("status %d\n%s", status, out)
		}
		oneLine(t, errs)
		if status, out, _ := inProcess(t.Context(), nil, "", "doctor", "-c", "missing.yaml", "--json"); status != exitFailed || !strings.Contains(out, `"level": "fail"`) {
			t.Errorf("status %d\n%s", status, out)
		}
	})
}
