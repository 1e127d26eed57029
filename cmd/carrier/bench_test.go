package main

import (
	"encoding/json"
	"strings"
	"testing"

	"carrier/internal/bench"
)

// runBench runs carrier bench with a line of arguments.
func runBench(t *testing.T, line string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv(runEnv, "1") // For the processes that it starts.
	return inProcess(t.Context(), nil, "", strings.Fields("bench "+line)...)
}

// TestBench measures far too shortly for a figure that means something, with the service in a process of its own.
func TestBench(t *testing.T) {
	const short = " --only batch --only backlog --rounds 1 --for 100ms --pending 500 --dir "
	status, stdout, stderr := runBench(t, "--json"+short+t.TempDir())
	if status != exitDone {
		t.Fatalf("status %d, %s", status, stderr)
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	var names []string
	for _, f := range report.Figures {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "batch-100 memory start" {
		t.Errorf("figures %s", got)
	}
	if !strings.Contains(stderr, "batch-100: round 1 of 1\n") {
		t.Errorf("progress: %s", stderr)
	}
}

func TestBenchRefuses(t *testing.T) {
	tests := []struct {
		name, line string
		status     int
		want       string
	}{
		{"a measurement that is none", "--only fast", exitUsage, "--only must be one of"},
		{"no rounds", "--rounds 0", exitUsage, "at least 1"},
		{"no time", "--for 0s", exitUsage, "--for above 0"},
		{"no folder", "--dir /nowhere/at/all", exitUsage, "give a folder that is there"},
		{"a part that nobody asked for", "--part", exitFailed, "started by carrier bench only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := runBench(t, tt.line)
			if status != tt.status || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("got status %d, %q, %q; want %d and %q", status, stdout, stderr, tt.status, tt.want)
			}
		})
	}
}
