package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/durations"
	"carrier/internal/state"
)

const (
	streamLines = 4   // That publish to JetStream at once.
	submitLines = 256 // Requests outstanding.
)

// nats measures events that come over NATS, beside the webhook's, which the same service takes in turn with them.
func (b *bench) nats(ctx context.Context) error {
	err := b.onNATS(ctx, true, func(r *natsRig) error {
		if err := r.stream(ctx, "nats-synced", "durable events through JetStream, the server syncing each"); err != nil {
			return err
		}
		return r.submit(ctx)
	})
	if err != nil {
		return err
	}
	return b.onNATS(ctx, false, func(r *natsRig) error {
		return r.stream(ctx, "nats-default", "events through JetStream, the server syncing now and then, as is its default")
	})
}

// natsRig is the service on a NATS server of its own, with the account paused.
type natsRig struct {
	*bench
	server, service *part
	nc              *nats.Conn
	consumer        jetstream.Consumer
	roll            *roll // One for all ways: an id that came before would be a duplicate.
}

// onNATS has work measure on a rig. Only one is there at a time: even an idle one takes a little of the machine.
func (b *bench) onNATS(ctx context.Context, syncAlways bool, work func(*natsRig) error) (err error) {
	up, err := startUpstream(ctx, anyPort, 0, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	r := &natsRig{bench: b, roll: newRoll(0)}
	r.server, err = start(ctx, b.o.Spawn, role{Kind: kindNATS, Folder: b.newStore(), SyncAlways: syncAlways})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.server.stop()) }()
	r.service, err = b.startPaused(ctx, role{Upstream: up.url(), Concurrency: 1, NATS: r.server.NATS})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.service.stop()) }()
	if r.nc, err = nats.Connect(r.server.NATS, nats.NoReconnect()); err != nil {
		return fmt.Errorf("connecting to the NATS server: %w", err)
	}
	defer r.nc.Close()
	if err := r.ready(ctx); err != nil {
		return err
	}
	return work(r)
}

// ready waits until the service has made its consumer: it takes requests before that.
func (r *natsRig) ready(ctx context.Context) error {
	js, err := jetstream.New(r.nc)
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		if r.consumer, err = js.Consumer(ctx, "CARRIER_EVENTS", "carrier-ingest"); err == nil {
			return nil
		}
		if time.Since(begun) > firstPatience || durations.Wait(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("waiting for the service to make its consumer: %w", err)
		}
	}
}

// natsCost is CPU microseconds for each event, of each round.
type natsCost struct {
	service, server []float64 // Of events over NATS.
	webhook         []float64 // The service's, of events over HTTP.
}

func (c *natsCost) note(f *Figure) {
	f.note("CPU %s an event, and %s of the NATS server; %s an event that comes by the webhook",
		micros(median(c.service)), micros(median(c.server)), micros(median(c.webhook)))
}

// stream measures events from their publication until they are durable in the service's store.
func (r *natsRig) stream(ctx context.Context, name, title string) error {
	f := &Figure{Name: name, Title: title, Unit: "events/s", CeilingTitle: "the webhook's NDJSON of 100, 32 connections"}
	var cost natsCost
	err := r.contest(ctx, f,
		func(ctx context.Context) (float64, error) { return r.streamOnce(ctx, name, &cost) },
		r.webhook(32, window, &cost))
	cost.note(f)
	return err
}

// webhook measures the other way into the same service.
func (r *natsRig) webhook(conns, batch int, cost *natsCost) measure {
	return func(ctx context.Context) (float64, error) {
		return r.flow(ctx, r.service, "", r.newLoad(r.service, r.roll, conns, batch), &cost.webhook)
	}
}

// streamOnce counts what is published in the time of a measurement, and what is left then is waited for, too: the
// stream may take events faster than the service does.
func (r *natsRig) streamOnce(ctx context.Context, label string, cost *natsCost) (rate float64, err error) {
	accepted, err := r.accepted(ctx)
	if err != nil {
		return 0, err
	}
	var s span
	l := &load{dial: overStream(r.nc), conns: streamLines, batch: 1, roll: r.roll}
	err = r.spend(l, cost, func() error {
		if err := r.publish(ctx, l, r.warmUp()); err != nil {
			return err
		}
		s, err = r.metered(r.service, label, func() (uint64, error) {
			before := l.accepted.Load()
			err := r.publish(ctx, l, r.o.For)
			return l.accepted.Load() - before, err
		})
		return err
	})
	if err == nil && s.count == 0 {
		err = errors.New("no event was published while it was measured; let it run longer")
	}
	if err != nil {
		return 0, err
	}
	cost.service = append(cost.service, s.micros())
	return s.rate(), errors.Join(r.check(ctx, accepted+l.accepted.Load()), r.quiet(ctx, r.server), r.quiet(ctx, r.service))
}

// publish has the load publish for some time, and then waits until the consumer has nothing left.
func (r *natsRig) publish(ctx context.Context, l *load, d time.Duration) error {
	timed, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if err := errors.Join(l.run(timed), ctx.Err()); err != nil {
		return err
	}
	last, since := uint64(0), time.Now()
	for {
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return fmt.Errorf("asking what the consumer has left: %w", err)
		}
		left := info.NumPending + uint64(info.NumAckPending)
		if left == 0 {
			return nil
		}
		if left != last {
			last, since = left, time.Now()
		}
		if time.Since(since) > drainPatience {
			return fmt.Errorf("%d events are left in the stream, and the service took none within %v", left, drainPatience)
		}
		if durations.Wait(ctx, 10*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// submit measures events that come as requests, each answered when it is durable.
func (r *natsRig) submit(ctx context.Context) error {
	f := &Figure{
		Name: "nats-submit", Unit: "events/s", Title: fmt.Sprintf("durable events by carrier.submit, %d requests outstanding", submitLines),
		CeilingTitle: fmt.Sprintf("the webhook's single events, %d connections", submitLines),
	}
	var cost natsCost
	err := r.contest(ctx, f,
		func(ctx context.Context) (rate float64, err error) {
			l := &load{dial: overSubmit(r.nc), conns: submitLines, batch: 1, roll: r.roll}
			err = r.spend(l, &cost, func() error {
				rate, err = r.flow(ctx, r.service, f.Name, l, &cost.service)
				return err
			})
			return rate, err
		},
		r.webhook(submitLines, 1, &cost))
	cost.note(f)
	return err
}

// spend notes the NATS server's CPU for each event that the load brings during work.
func (r *natsRig) spend(l *load, cost *natsCost, work func() error) error {
	before, err := r.server.usage()
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	after, err := r.server.usage()
	s := span{count: l.accepted.Load(), cpu: after.CPUSeconds - before.CPUSeconds}
	cost.server = append(cost.server, s.micros())
	return err
}

// accepted is how many events the service has accepted, ever.
func (r *natsRig) accepted(ctx context.Context) (uint64, error) {
	answer, err := r.ask(ctx, r.service, http.MethodGet, "stats", "")
	if err != nil {
		return 0, err
	}
	var stats struct {
		Events map[state.Verdict]uint64 `json:"events"`
	}
	if err := json.Unmarshal(answer, &stats); err != nil {
		return 0, fmt.Errorf("reading the service's figures: %w", err)
	}
	return stats.Events[state.Accepted], nil
}

// check fails unless the service has accepted so many events: what it refused has left the stream as well, and a figure
// of refusals would mean nothing.
func (r *natsRig) check(ctx context.Context, want uint64) error {
	got, err := r.accepted(ctx)
	if err == nil && got != want {
		err = fmt.Errorf("the service accepted %d events where %d were sent: this must not happen; keep the output and report it", got, want)
	}
	return err
}
