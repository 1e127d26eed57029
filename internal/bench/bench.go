package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"carrier/internal/durations"

	"golang.org/x/sync/errgroup"
)

// Options says what is measured and for how long.
type Options struct {
	// Spawn makes the command that runs Serve on its standard input and output in a process of its own. nil: all runs
	// in this process, and its figures of CPU and memory are those of the load too.
	Spawn func(ctx context.Context) *exec.Cmd
	// Dir is where stores are made and deleted again; "": the system's folder for temporary files. It should be on
	// the disk that the service will use.
	Dir string
	// Only names the measurements to make (see Names); empty: all.
	Only []string
	// Rounds is how often each is made, in turn with its ceiling; 0: 3. The median counts.
	Rounds int
	// For is how long each takes, beside its warm-up; 0: 5 s.
	For time.Duration
	// Pending is how many pushes the measurement backlog leaves pending; 0: 1,000,000.
	Pending int
	// Store is the URL of a PostgreSQL for the measurement nodes, whose user may make databases; "": one is started for it.
	Store string
	// Profile is a folder for profiles of what is measured (CPU; memory in backlog); "": none are made.
	Profile string
	// Say is told how far it is; nil: nobody is.
	Say func(string)
}

// measurement fills in one figure or more.
type measurement struct {
	name string
	run  func(b *bench, ctx context.Context) error
}

// measurements are all there are, in the order in which they are made.
func measurements() []measurement {
	return []measurement{
		{"single", (*bench).single},
		{"batch", (*bench).batches},
		{"nats", (*bench).nats},
		{"push", (*bench).pushes},
		{"pipe", (*bench).pipe},
		{"latency", (*bench).latency},
		{"replay", (*bench).replay},
		{"backlog", (*bench).backlog},
		{"nodes", (*bench).nodes},
	}
}

// Names lists the measurements for Options.Only.
func Names() []string {
	var names []string
	for _, m := range measurements() {
		names = append(names, m.name)
	}
	return names
}

// bench is one run.
type bench struct {
	o          Options
	dir        string // Of this run; deleted at its end.
	key, admin string // The source's, and the operator's.
	report     *Report
	stores     int // How many were made.
}

// Run measures. What was measured before an error is in the report beside it. Events that were lost, repeated or out
// of order are an error; an aim that was missed is not.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o.Rounds = cmp.Or(o.Rounds, 3)
	o.For = cmp.Or(o.For, 5*time.Second)
	o.Pending = cmp.Or(o.Pending, 1_000_000)
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "carrier-bench-")
	if err != nil {
		return nil, fmt.Errorf("%w; give another folder for the store", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{o: o, dir: dir, key: rand.Text(), admin: rand.Text() + rand.Text(), report: &Report{}}
	if b.report.Machine, err = probeMachine(dir); err != nil {
		return nil, err
	}
	for _, m := range measurements() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		if err := m.run(b, ctx); err != nil {
			return b.report, fmt.Errorf("measuring %s: %w", m.name, err)
		}
	}
	return b.report, nil
}

func (o *Options) check() error {
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no measurement %q; there are %v", name, Names())
		}
	}
	if o.Rounds < 1 || o.For < 0 || o.Pending < 1 {
		return fmt.Errorf("rounds (%d) and pending pushes (%d) must be at least 1, the time of a measurement (%v) above 0",
			o.Rounds, o.Pending, o.For)
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	if b.o.Say != nil {
		b.o.Say(fmt.Sprintf(format, args...))
	}
}

// warmUp is how long a measurement runs before it counts.
func (b *bench) warmUp() time.Duration { return min(b.o.For/4, time.Second) }

// measure gives a rate, or another figure.
type measure func(ctx context.Context) (float64, error)

// contest measures a figure in turn with its ceiling, round by round, so that what else the machine does hits both
// alike. Each begins every other round. others are measured in the same rounds, for a note.
func (b *bench) contest(ctx context.Context, f *Figure, figure, ceiling measure, others ...*yardstick) error {
	order := []measure{figure, ceiling}
	for _, o := range others {
		order = append(order, o.measure)
	}
	for round := range b.o.Rounds {
		b.say("%s: round %d of %d", f.Name, round+1, b.o.Rounds)
		got := make([]float64, len(order))
		for i := range order {
			which := (i + round + 1) % len(order)
			var err error
			if got[which], err = order[which](ctx); err != nil {
				return err
			}
		}
		f.add(got[0], got[1])
		for i, o := range others {
			o.rates, o.ratios = append(o.rates, got[2+i]), append(o.ratios, got[0]/got[2+i])
		}
	}
	for _, o := range others {
		f.note("%.2f of %s (%s %s)", median(o.ratios), o.title, number(median(o.rates)), f.Unit)
	}
	b.report.Figures = append(b.report.Figures, f)
	return nil
}

// yardstick is something else that a figure is compared with.
type yardstick struct {
	title         string
	measure       measure
	rates, ratios []float64
}

// newStore names a folder for a store.
func (b *bench) newStore() string {
	b.stores++
	return filepath.Join(b.dir, fmt.Sprintf("store-%d", b.stores))
}

// startService starts the service; r says on which store and with what around it.
func (b *bench) startService(ctx context.Context, r role) (*part, error) {
	r.Kind, r.APIKey, r.AdminToken = kindService, b.key, b.admin
	return start(ctx, b.o.Spawn, r)
}

// startPaused starts the service on a new store and pauses its account: events are taken, and nothing is pushed.
func (b *bench) startPaused(ctx context.Context, r role) (*part, error) {
	r.Folder = b.newStore()
	p, err := b.startService(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := b.act(ctx, p, "pause"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// act pauses or resumes the account.
func (b *bench) act(ctx context.Context, p *part, what string) error {
	return b.post(ctx, p, "accounts/"+deliveryID+"/"+what, `{"reason":"carrier bench"}`)
}

// post asks the admin API to do something.
func (b *bench) post(ctx context.Context, p *part, what, body string) error {
	_, err := b.ask(ctx, p, http.MethodPost, what, body)
	return err
}

// ask asks the admin API for something.
func (b *bench) ask(ctx context.Context, p *part, method, what, body string) (answer []byte, err error) {
	url := fmt.Sprintf("http://%s/admin/v1/%s", p.Admin, what)
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+b.admin)
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("asking for %s: HTTP %d, %.400s", what, resp.StatusCode, answer)
	}
	return answer, err
}

// newLoad makes a load of what a part takes.
func (b *bench) newLoad(p *part, r *roll, conns, batch int) *load {
	return &load{dial: overHTTP(p.Events, b.key, batch), roll: r, conns: conns, batch: batch}
}

// span is a stretch of time in which something was counted.
type span struct {
	began time.Time
	took  time.Duration
	count uint64
	cpu   float64 // Seconds of the part's process.
}

func (s span) rate() float64 { return float64(s.count) / s.took.Seconds() }

// micros is CPU microseconds for each that was counted.
func (s span) micros() float64 { return s.cpu * 1e6 / float64(max(s.count, 1)) }

// firstPatience is how long it may take until anything is counted at all.
const firstPatience = time.Minute

// meter tells what is measured has used so far. A part is one.
type meter interface {
	usage() (usage, error)
	profile(file string) error
}

// during runs work, and counts while it does: from the end of the warm-up on, which begins when something is counted
// first, for as long as is measured, and longer if nothing was counted by then. label names the profile.
func (b *bench) during(ctx context.Context, m meter, label string, count func() uint64, work func(context.Context) error) (span, error) {
	var s span
	g, working := errgroup.WithContext(ctx)
	working, stop := context.WithCancel(working)
	if work != nil {
		g.Go(func() error { return work(working) })
	}
	g.Go(func() (err error) {
		defer stop()
		if moved(working, count, count()) && durations.Wait(working, b.warmUp()) == nil {
			s, err = b.count(working, m, label, count)
		}
		return err
	})
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return s, err
	}
	if s.count == 0 {
		return s, fmt.Errorf("nothing at all happened within %v", firstPatience)
	}
	return s, nil
}

// moved waits until count is not from any more; false if that takes too long, or ctx ended.
func moved(ctx context.Context, count func() uint64, from uint64) bool {
	for begun := time.Now(); count() == from; {
		if time.Since(begun) > firstPatience || durations.Wait(ctx, time.Millisecond) != nil {
			return false
		}
	}
	return true
}

func (b *bench) count(ctx context.Context, m meter, label string, count func() uint64) (span, error) {
	return b.metered(m, label, func() (uint64, error) {
		from := count()
		_ = durations.Wait(ctx, b.o.For)
		moved(ctx, count, from)
		return count() - from, nil
	})
}

// metered takes the time and the part's CPU for what work counts. label names the profile.
func (b *bench) metered(m meter, label string, work func() (uint64, error)) (s span, err error) {
	if b.o.Profile != "" && label != "" {
		if err := m.profile(filepath.Join(b.o.Profile, label+".cpu")); err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, m.profile("")) }()
	}
	before, err := m.usage()
	if err != nil {
		return s, err
	}
	s.began = time.Now()
	if s.count, err = work(); err != nil {
		return s, err
	}
	s.took = time.Since(s.began)
	after, err := m.usage()
	s.cpu = after.CPUSeconds - before.CPUSeconds
	return s, err
}

// quiet waits until a part has nothing to do any more, at most for a while: what it still does for one measurement
// must not be paid by the next.
func (b *bench) quiet(ctx context.Context, p *part) error {
	const (
		step = 200 * time.Millisecond
		most = 10 * time.Second
		idle = 0.05 // Of one CPU.
	)
	before, err := p.usage()
	for waited := time.Duration(0); err == nil && waited < most && durations.Wait(ctx, step) == nil; waited += step {
		var now usage
		if now, err = p.usage(); now.CPUSeconds-before.CPUSeconds < idle*step.Seconds() {
			return err
		}
		before = now
	}
	return errors.Join(err, ctx.Err())
}
