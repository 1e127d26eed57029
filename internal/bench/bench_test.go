package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/store/postgres/pgtest"
)

// short is enough to see that a measurement works, and far too short for a figure that means something.
func short(t *testing.T, only ...string) Options {
	return Options{
		Dir: t.TempDir(), Only: only, Rounds: 1, For: 200 * time.Millisecond, Pending: 2000,
		Say: func(line string) { t.Log(line) },
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		measurement string
		figures     []string
		ceilings    bool
	}{
		{"single", []string{"single-64", "single-256"}, true},
		{"batch", []string{"batch-100"}, true},
		{"nats", []string{"nats-synced", "nats-submit", "nats-default"}, true},
		{"push", []string{"push-256", "push-1024"}, true},
		{"pipe", []string{"pipe", "pipe-cpu"}, false},
		{"latency", []string{"latency-p50", "latency-p99"}, true},
		{"replay", []string{"replay-p99"}, true},
		{"backlog", []string{"memory", "start"}, false},
	}
	var names []string
	for _, tt := range tests {
		names = append(names, tt.measurement)
		t.Run(tt.measurement, func(t *testing.T) {
			o := short(t, tt.measurement)
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			checkFigures(t, report, tt.figures, tt.ceilings)
			if left, err := os.ReadDir(o.Dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	names = append(names, "nodes") // TestNodes.
	if !slices.Equal(names, Names()) {
		t.Errorf("measurements %v, tested %v", Names(), names)
	}
}

// TestNodes measures on a PostgreSQL that the bench starts.
func TestNodes(t *testing.T) {
	pgtest.StartServer(t) // Which skips where there is none.
	o := short(t, "nodes")
	o.Dir = openFolder(t)
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkFigures(t, report, []string{"nodes-1", "nodes-2", "nodes-3", "nodes-1-cpu", "nodes-2-cpu", "nodes-3-cpu"}, true)
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestNodesElsewhere makes databases on a server that is somebody else's, and leaves none behind.
func TestNodesElsewhere(t *testing.T) {
	server := pgtest.StartServer(t)
	b := &bench{o: Options{Store: server.URL("postgres")}}
	db, err := b.openDatabases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, err := db.create(t.Context())
	if err != nil || !strings.Contains(db.url(name), "/"+name+"?") {
		t.Errorf("the database %s is at %s, %v", name, db.url(name), err)
	}
	count := func() (n int) {
		if err := server.QueryRow("SELECT count(*) FROM pg_database WHERE datname LIKE 'carrier_bench_%'", &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("%d databases were made", n)
	}
	if err := errors.Join(db.drop(name), db.close()); err != nil || count() != 0 {
		t.Errorf("%d databases are left behind, %v", count(), err)
	}
	var c nodesCost
	c.nodes[0], c.database[0], c.embedded = []float64{0.2}, []float64{0}, []float64{0.1}
	if f := c.figures(db)[0]; f.Aim != (Aim{}) || !strings.Contains(f.Title, "PostgreSQL's is not known (the server is not this program's own)") {
		t.Errorf("of PostgreSQL's CPU it says %q, with the aim %s", f.Title, f.Aim)
	}
}

// openFolder is one that PostgreSQL may enter, which runs as another user where the tests run as root.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func checkFigures(t *testing.T, r *Report, want []string, ceilings bool) {
	t.Helper()
	var got []string
	for _, f := range r.Figures {
		got = append(got, f.Name)
		if f.Value <= 0 || len(f.Rounds) != 1 || f.Unit == "" || f.Title == "" {
			t.Errorf("%s: %+v", f.Name, f)
		}
		if ceilings && (f.Ceiling <= 0 || f.Ratio <= 0 || f.CeilingTitle == "") {
			t.Errorf("%s has no ceiling: %+v", f.Name, f)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("figures %v, want %v", got, want)
	}
	if m := r.Machine; m.CPUs < 1 || m.OS == "" || m.SyncMicros < 0 {
		t.Errorf("machine: %+v", m)
	}
}

// TestProcesses has the service in a process of its own, as carrier bench has it: killed, started again, profiled.
func TestProcesses(t *testing.T) {
	o := short(t, "pipe", "backlog")
	o.Spawn, o.Profile = spawn, t.TempDir()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkFigures(t, report, []string{"pipe", "pipe-cpu", "memory", "start"}, false)
	if audit := report.Figures[0].Notes[0]; !strings.Contains(audit, " 0 lost, 0 out of order, 0 repeated") {
		t.Errorf("the pipe's note: %s", audit)
	}
	for _, name := range []string{"pipe.cpu", "memory.heap"} {
		if profile, err := os.Stat(filepath.Join(o.Profile, name)); err != nil || profile.Size() == 0 {
			t.Errorf("the profile %s: %v, %v", name, profile, err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"unknown measurement", func(o *Options) { o.Only = []string{"fast"} }, `no measurement "fast"; there are [single`},
		{"no rounds", func(o *Options) { o.Rounds = -1 }, "rounds (-1)"},
		{"no folder", func(o *Options) { o.Dir += "/nowhere" }, "give another folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := short(t, "batch")
			tt.change(&o)
			report, err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || report != nil {
				t.Errorf("got %v, %v; want an error with %q", report, err, tt.want)
			}
		})
	}
}

// TestUnreadyPart is a process that can't become what it is to be.
func TestUnreadyPart(t *testing.T) {
	for _, s := range []struct {
		name string
		fn   func() (*part, error)
	}{
		{"here", func() (*part, error) { return start(t.Context(), nil, role{Kind: "drummer"}) }},
		{"process", func() (*part, error) { return start(t.Context(), spawn, role{Kind: "drummer"}) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			p, err := s.fn()
			if p != nil || err == nil || !strings.Contains(err.Error(), `there is no part "drummer"`) {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
}

// TestLoadRefused must not take refusals for events.
func TestLoadRefused(t *testing.T) {
	p, err := start(t.Context(), nil, role{Kind: kindWebhook, APIKey: "the-right-key-of-the-source"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, batch := range []int{1, window} {
		l := &load{dial: overHTTP(p.Events, "a-wrong-key-of-the-source", batch), roll: newRoll(1000), conns: 2, batch: batch}
		if err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP 401") {
			t.Errorf("batches of %d: got %v, want HTTP 401", batch, err)
		}
		if n := l.accepted.Load(); n != 0 {
			t.Errorf("batches of %d: %d accepted", batch, n)
		}
	}
}

func TestReport(t *testing.T) {
	f := &Figure{Name: "single", Title: "durable events", Unit: "events/s", CeilingTitle: "no store", Aim: atLeastRatio(0.8)}
	f.add(9000, 10_000)
	f.add(5000, 10_000)
	f.add(21_000, 20_000)
	f.note("CPU %s an event", micros(41.26))
	slow := &Figure{Name: "start", Title: "to the first push", Unit: "s", Aim: atMostValue(2)}
	slow.add(2.5, 0)
	free := &Figure{Name: "latency", Title: "half within", Unit: "ms"}
	free.add(0.123456, 0)
	r := &Report{Machine: Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26", Dir: "/x", SyncMicros: 3, Load: 2.5}, Figures: []*Figure{f, slow, free}}

	if f.Value != 9000 || f.Ceiling != 10_000 || f.Ratio != 0.9 || !f.Reached || slow.Reached || !free.Reached {
		t.Errorf("got %+v, %+v, %+v", f, slow, free)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	const want = `linux/amd64, 2 CPUs, go1.26; fsync of 4 KiB in /x: 3 us

FIGURE   VALUE           CEILING  RATIO  AIM
single   9,000 events/s  10,000   0.90   at least 0.8, reached
start    2.5 s                           at most 2.0, missed
latency  0.123 ms

single: durable events; ceiling: no store
    CPU 41.3 us an event
start: to the first push
latency: half within

The folder seems to be in memory, or on a disk that does not wait for its medium: give one on the service's disk.

Other programs were busy (load 2.5 on 2 CPUs): trust CPU per event more than ratios, and both more than figures per second.
`
	if got := trimLines(table.String()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	checkJSON(t, r)
}

// trimLines takes the spaces off the ends of lines.
func trimLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

func checkJSON(t *testing.T, r *Report) {
	t.Helper()
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Figures) != 3 || back.Figures[0].Ratio != 0.9 || back.Figures[0].Aim != atLeastRatio(0.8) || back.Machine != r.Machine {
		t.Errorf("read back: %s", text.Bytes())
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"two", []float64{3, 1}, 2},
		{"three", []float64{9, 1, 2}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
