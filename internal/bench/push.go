package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pushLatency is how long the upstream takes for a push in the measurement push.
const pushLatency = 50 * time.Millisecond

// pushes measures how fast a backlog is pushed.
func (b *bench) pushes(ctx context.Context) (err error) {
	up, err := startUpstream(ctx, anyPort, pushLatency, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	for _, concurrency := range []int{256, 1024} {
		f := &Figure{
			Name: fmt.Sprintf("push-%d", concurrency), Unit: "pushes/s",
			Title:        fmt.Sprintf("pushes of a backlog, %d at a time, upstream %v", concurrency, pushLatency),
			CeilingTitle: "a bare net/http client", Aim: atLeastRatio(0.8),
		}
		var cpu, bareCPU []float64
		err := b.contest(ctx, f,
			func(ctx context.Context) (float64, error) { return b.pushBacklog(ctx, f.Name, up, concurrency, &cpu) },
			func(ctx context.Context) (float64, error) { return b.pushBare(ctx, up, concurrency, &bareCPU) })
		if err != nil {
			return err
		}
		f.note("CPU %s a push, %s of the bare client; %d at a time and %v make %.0f pushes/s at most",
			micros(median(cpu)), micros(median(bareCPU)), concurrency, pushLatency, float64(concurrency)/pushLatency.Seconds())
	}
	return nil
}

// pushBacklog measures the service with so many pushes pending that they outlast the measurement.
func (b *bench) pushBacklog(ctx context.Context, label string, up *upstream, concurrency int, cpu *[]float64) (rate float64, err error) {
	p, err := b.startPaused(ctx, role{Upstream: up.url(), Concurrency: concurrency})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	lasts := b.warmUp() + b.o.For + time.Second
	backlog := int(float64(concurrency) * lasts.Seconds() / pushLatency.Seconds())
	if err := b.fill(ctx, p, backlog); err != nil {
		return 0, err
	}
	if err := errors.Join(b.quiet(ctx, p), b.act(ctx, p, "resume")); err != nil {
		return 0, err
	}
	s, err := b.during(ctx, p, label, up.Pushes, nil)
	*cpu = append(*cpu, s.micros())
	return s.rate(), err
}

// pushBare measures the ceiling.
func (b *bench) pushBare(ctx context.Context, up *upstream, concurrency int, cpu *[]float64) (rate float64, err error) {
	p, err := start(ctx, b.o.Spawn, role{Kind: kindClient, Upstream: up.url(), Concurrency: concurrency})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s, err := b.during(ctx, p, "", up.Pushes, nil)
	*cpu = append(*cpu, s.micros())
	return s.rate(), err
}
