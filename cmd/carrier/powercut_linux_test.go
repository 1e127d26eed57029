package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// cuts is how often TestPowerCut cuts the power; a release is tested with more.
var cuts = flag.Int("cuts", 5, "how often TestPowerCut cuts the power")

// TestPowerCut cuts the power of the store's disk while events come in and go out, and compares what was promised with
// what happened. TestPlantedFaults is its control: a service that does not sync loses what it promised. Run it with
// -cuts 150 for a release.
func TestPowerCut(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	l, run, violations := powerCuts(t, itself, seed, *cuts, soon)
	for _, v := range violations[:min(len(violations), 20)] {
		t.Error(v)
	}
	stats := l.up.Stats()
	t.Logf("%d cuts; %d events in %d requests, %d of which were cut; %d pushes arrived, %d of them twice",
		*cuts, len(run.Sent), l.Requests.Load(), l.Cut.Load(), stats.Applied, stats.Repeats)
	if len(run.Sent) < 100**cuts || l.Cut.Load() < int64(*cuts)/2 {
		t.Error("the run is void: too few events or requests cut")
	}
}

// powerCuts has a carrier serve from a disk whose power is cut at random moments, and returns what the oracle says. while is
// as for compare.
func powerCuts(t *testing.T, b binary, seed uint64, cuts int, while time.Duration) (l *load, run *apptest.Run, violations []string) {
	t.Helper()
	disk := newLoopDisk(t, 512<<20)
	rng := rand.New(rand.NewPCG(seed, 4))
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, restless)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 2 * time.Second})
	settings.Store = filepath.Join(disk.dir, "store")
	file := settings.File(t)
	p, c := b.serve(t, settings, file)
	l = startLoad(t, seed, up, c, 800)

	var outages []apptest.Outage
	for range cuts {
		enough := l.Acked() + 100 + rng.IntN(150)
		apptest.Eventually(t, later, func() bool { return l.Acked() > enough }, func() string {
			return fmt.Sprintf("events are taken after a cut; the log ends with\n%s", p.tail(20))
		})
		out := apptest.Outage{Killed: time.Now()}
		p.freeze(t)
		disk.cut()
		p.kill()
		disk.restore()
		p, c = b.serve(t, settings, file)
		out.Up = time.Now()
		outages = append(outages, out)
		l.client.Store(c)
	}
	l.starts = 1 + len(outages)
	run, violations = l.compare(t, outages, while)
	p.kill() // The disk can't be unmounted before.
	return l, run, violations
}

// freeze has every thread of the process stand still where it is, as a machine does whose power fails. A call into the
// kernel may be at work still; whatever it answers, nobody acts on it any more. Without that a few cuts in a hundred break
// laws that no disk can break: an ext4 that is shut down in the middle of an fsync may answer that it was done, and not
// have what was written when it is mounted again. A machine without power answers nothing.
func (p *process) freeze(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	apptest.Eventually(t, soon, func() bool { return p.threads(t)["T"] > 0 }, apptest.Text("the process stops"))
	apptest.Eventually(t, soon, func() bool {
		states := p.threads(t)
		delete(states, "T") // Stopped.
		delete(states, "D") // In the kernel, from where it gets no further than to its stop.
		return len(states) == 0
	}, apptest.Text("its threads stop"))
}

// threads counts the process's threads by their state (proc(5), /proc/PID/stat).
func (p *process) threads(t testing.TB) map[string]int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // A thread that has just ended.
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		state, _, _ := strings.Cut(rest, " ")
		states[state]++
	}
	return states
}
