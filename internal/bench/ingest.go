package bench

import (
	"context"
	"errors"
	"fmt"
)

// single measures events that come one a request.
func (b *bench) single(ctx context.Context) error {
	return b.ingest(ctx, []ingestion{
		{name: "single-64", title: "durable events, one a request, 64 connections", conns: 64, batch: 1, aim: atLeastRatio(0.8)},
		{name: "single-256", title: "durable events, one a request, 256 connections", conns: 256, batch: 1, aim: atLeastRatio(0.8)},
	})
}

// batches measures events that come in batches.
func (b *bench) batches(ctx context.Context) error {
	return b.ingest(ctx, []ingestion{
		{name: "batch-100", title: "durable events, NDJSON of 100, 32 connections", conns: 32, batch: window, aim: atLeastValue(60_000)},
	})
}

// ingestion is a way in which events come.
type ingestion struct {
	name, title  string
	conns, batch int
	aim          Aim
}

// ingest measures ways in, with the account paused, against the same webhook without a store.
func (b *bench) ingest(ctx context.Context, ways []ingestion) (err error) {
	up, err := startUpstream(ctx, anyPort, 0, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	full, err := b.startPaused(ctx, up.url(), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.stop()) }()
	bare, err := start(ctx, b.o.Spawn, role{Kind: kindWebhook, APIKey: b.key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()

	r := newRoll(0) // One for all: an id that came before would be a duplicate.
	for _, way := range ways {
		if err := b.ingestOne(ctx, way, full, bare, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) ingestOne(ctx context.Context, way ingestion, full, bare *part, r *roll) error {
	f := &Figure{Name: way.name, Title: way.title, Unit: "events/s", CeilingTitle: "the same webhook without a store", Aim: way.aim}
	var cpu, bareCPU []float64
	measure := func(p *part, label string, cpu *[]float64) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			l := b.newLoad(p, r, way.conns, way.batch)
			s, err := b.during(ctx, p, label, l.accepted.Load, l.run)
			if err != nil {
				return 0, err
			}
			*cpu = append(*cpu, s.micros())
			return s.rate(), b.quiet(ctx, p)
		}
	}
	err := b.contest(ctx, f, measure(full, way.name, &cpu), measure(bare, way.name+"-ceiling", &bareCPU))
	f.note("CPU %s an event, %s without the store", micros(median(cpu)), micros(median(bareCPU)))
	return err
}

// fill has the service accept n events, as fast as it can.
func (b *bench) fill(ctx context.Context, p *part, n int) error {
	l := b.newLoad(p, newRoll(uint64(n+steps-1)/uint64(steps)), 32, window)
	if err := l.run(ctx); err != nil {
		return err
	}
	if got := l.accepted.Load(); got < uint64(n) {
		return fmt.Errorf("only %d of %d events were sent: %w", got, n, ctx.Err())
	}
	return nil
}
