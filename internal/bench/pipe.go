package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

const (
	pipeLatency     = 20 * time.Millisecond // The upstream's, for a push.
	pipeConcurrency = 512
	// pipeLead is how far acceptance may be ahead of delivery: enough to keep all lanes busy, little enough that what
	// is delivered keeps step with what is accepted.
	pipeLead = 20_000
	// drainPatience is how long nothing may arrive before what is missing counts as lost.
	drainPatience = 15 * time.Second

	liveRate = 1000 // Events a second in the measurement latency: a busy day of a large company.
)

// pipe measures the whole way, in and out at once.
func (b *bench) pipe(ctx context.Context) (err error) {
	bare, err := startUpstream(ctx, anyPort, pipeLatency, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	f := &Figure{
		Name: "pipe", Unit: "events/s", Title: fmt.Sprintf("events in (NDJSON of 100) and delivered in order, upstream %v", pipeLatency),
		CeilingTitle: "a bare net/http client, pushing only", Aim: atLeastValue(5000),
	}
	cpu := &Figure{Name: "pipe-cpu", Unit: "CPU s/1,000 events", Title: "CPU of the service, in and delivered", Aim: atMostValue(0.2)}
	var all Audit
	err = b.contest(ctx, f,
		func(ctx context.Context) (float64, error) {
			s, audit, err := b.pipeOnce(ctx)
			cpu.add(s.cpu*1000/float64(max(s.count, 1)), 0)
			all.add(audit)
			return s.rate(), err
		},
		func(ctx context.Context) (float64, error) {
			var ignored []float64
			return b.pushBare(ctx, bare, pipeConcurrency, &ignored)
		})
	if err != nil {
		return err
	}
	f.note("of %d events %d lost, %d out of order, %d repeated", all.Accepted, all.Lost, all.Disordered, all.Repeated)
	b.report.Figures = append(b.report.Figures, cpu)
	return nil
}

// pipeOnce runs the whole way on a new store, lets it run dry and compares.
func (b *bench) pipeOnce(ctx context.Context) (s span, a Audit, err error) {
	run, err := b.startPiped(ctx)
	if err != nil {
		return s, a, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	l := run.load(b, 32, window)
	l.lead = pipeLead
	if s, err = b.during(ctx, run.part, "pipe", run.book.arrived.Load, l.run); err != nil {
		return s, a, err
	}
	if err := run.book.drain(ctx); err != nil {
		return s, a, err
	}
	a = run.book.audit()
	return s, a, a.err()
}

// piped is the service between a load and an upstream, both of which write into one book.
type piped struct {
	*part
	book *book
	up   *upstream
}

func (b *bench) startPiped(ctx context.Context) (*piped, error) {
	return b.startPipedOn(ctx, b.newStore(), (*book).arrive)
}

// startPipedOn has the service work on a store, and arrive note what comes out of it.
func (b *bench) startPipedOn(ctx context.Context, folder string, arrive func(*book, []byte)) (*piped, error) {
	bk := newBook(newRoll(0))
	up, err := startUpstream(ctx, anyPort, pipeLatency, func(body []byte) { arrive(bk, body) })
	if err != nil {
		return nil, err
	}
	p, err := b.startService(ctx, role{Folder: folder, Upstream: up.url(), Concurrency: pipeConcurrency})
	if err != nil {
		return nil, errors.Join(err, up.stop())
	}
	return &piped{p, bk, up}, nil
}

func (r *piped) load(b *bench, conns, batch int) *load {
	l := b.newLoad(r.part, r.book.roll, conns, batch)
	l.book = r.book
	return l
}

func (r *piped) stop() error { return errors.Join(r.part.stop(), r.up.stop()) }

// latency measures how long live events take at a rate that leaves the machine at ease.
func (b *bench) latency(ctx context.Context) error {
	half := &Figure{Name: "latency-p50", Unit: "ms", Title: fmt.Sprintf("accepted to delivered, %d events/s, half of them within", liveRate),
		CeilingTitle: "the upstream's own time"}
	most := &Figure{Name: "latency-p99", Unit: "ms", Title: fmt.Sprintf("accepted to delivered, %d events/s, 99%% of them within", liveRate),
		CeilingTitle: half.CeilingTitle}
	for round := range b.o.Rounds {
		b.say("latency: round %d of %d", round+1, b.o.Rounds)
		waited, err := b.latencyOnce(ctx)
		if err != nil {
			return err
		}
		at := func(share float64) float64 {
			d := waited[int(share*float64(len(waited)-1))] + pipeLatency
			return float64(d.Microseconds()) / 1000
		}
		own := float64(pipeLatency.Milliseconds())
		half.add(at(0.50), own)
		most.add(at(0.99), own)
	}
	b.report.Figures = append(b.report.Figures, half, most)
	return nil
}

func (b *bench) latencyOnce(ctx context.Context) (waited []time.Duration, err error) {
	run, err := b.startPiped(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	l := run.load(b, 16, 1)
	l.pace = rate.NewLimiter(liveRate, 1)
	s, err := b.during(ctx, run.part, "latency", run.book.accepted.Load, l.run)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(run.book.drain(ctx), run.book.audit().err()); err != nil {
		return nil, err
	}
	if waited = run.book.waited(s.began); len(waited) == 0 {
		return nil, errors.New("no event was accepted while it was measured; let it run longer")
	}
	return waited, nil
}
