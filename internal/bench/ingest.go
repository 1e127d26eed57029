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

// rivals are what the service's way in is compared with.
type rivals struct {
	webhook *part // The same webhook without a store.
	handler *part // A plain Echo handler; it takes single events only.
}

// ingest measures ways in, with the account paused: single events against a plain Echo handler, and all against the
// same webhook without a store.
func (b *bench) ingest(ctx context.Context, ways []ingestion) (err error) {
	up, err := startUpstream(ctx, anyPort, 0, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	full, err := b.startPaused(ctx, role{Upstream: up.url(), Concurrency: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.stop()) }()
	bare, err := start(ctx, b.o.Spawn, role{Kind: kindWebhook, APIKey: b.key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	plain, err := start(ctx, b.o.Spawn, role{Kind: kindHandler})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.stop()) }()

	r := newRoll(0) // One for all: an id that came before would be a duplicate.
	for _, way := range ways {
		if err := b.ingestOne(ctx, way, full, rivals{bare, plain}, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) ingestOne(ctx context.Context, way ingestion, full *part, rivals rivals, r *roll) error {
	const webhookTitle = "the same webhook without a store"
	f := &Figure{Name: way.name, Title: way.title, Unit: "events/s", CeilingTitle: webhookTitle, Aim: way.aim}
	var cpu, bareCPU, plainCPU []float64
	measured := func(p *part, label string, cpu *[]float64) measure {
		return func(ctx context.Context) (float64, error) {
			return b.flow(ctx, p, label, b.newLoad(p, r, way.conns, way.batch), cpu)
		}
	}
	figure, webhook := measured(full, way.name, &cpu), measured(rivals.webhook, way.name+"-webhook", &bareCPU)
	if way.batch > 1 {
		err := b.contest(ctx, f, figure, webhook)
		f.note("CPU %s an event, %s without the store", micros(median(cpu)), micros(median(bareCPU)))
		return err
	}
	f.CeilingTitle = "an Echo handler with encoding/json and validator tags that stores nothing"
	err := b.contest(ctx, f, figure, measured(rivals.handler, way.name+"-ceiling", &plainCPU),
		&yardstick{title: webhookTitle, measure: webhook})
	f.note("CPU %s an event, %s of the plain handler, %s of the webhook without a store", micros(median(cpu)),
		micros(median(plainCPU)), micros(median(bareCPU)))
	return err
}

// flow measures how many events a second a load brings into a part.
func (b *bench) flow(ctx context.Context, p *part, label string, l *load, cpu *[]float64) (rate float64, err error) {
	s, err := b.during(ctx, p, label, l.accepted.Load, l.run)
	if err != nil {
		return 0, err
	}
	*cpu = append(*cpu, s.micros())
	return s.rate(), b.quiet(ctx, p)
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
